// What WGSL's float operators and functions become in the canonical tier, where `canon.wgsl` has no twin of them.
// It is plain WGSL: the floats in here are made canonical like those of the shader. The functions down to `starling_sub`
// are primitives, which stay as they are.

// `extractBits` and `insertBits`, which drivers get wrong where a field begins or ends beyond bit 31.
fn starling_bits_field(offset: u32, count: u32) -> u32 {
    let o = min(offset, 32u);
    let c = min(count, 32u - o);
    let ones = select((1u << (c & 31u)) - 1u, 0xffffffffu, c == 32u);
    return select(ones << (o & 31u), 0u, o == 32u);
}
fn starling_bits_extract_u(x: u32, offset: u32, count: u32) -> u32 {
    return (x & starling_bits_field(offset, count)) >> min(offset, 31u);
}
fn starling_bits_extract_i(x: i32, offset: u32, count: u32) -> i32 {
    let field = starling_bits_field(offset, count);
    let up = countLeadingZeros(field) & 31u;
    let high = bitcast<i32>((bitcast<u32>(x) & field) << up);
    return select(high >> ((up + min(offset, 31u)) & 31u), 0, field == 0u);
}
fn starling_bits_insert_u(x: u32, new_bits: u32, offset: u32, count: u32) -> u32 {
    let field = starling_bits_field(offset, count);
    return (x & ~field) | ((new_bits << (offset & 31u)) & field);
}
fn starling_bits_insert_i(x: i32, new_bits: i32, offset: u32, count: u32) -> i32 {
    return bitcast<i32>(starling_bits_insert_u(bitcast<u32>(x), bitcast<u32>(new_bits), offset, count));
}

// A sum of two canonical values is at most 2^101, and shaders may add as often as they like.
fn starling_limit(x: f32) -> f32 {
    let u = bitcast<u32>(x) | c_zero;
    return bitcast<f32>((u & 0x80000000u) | min(u & 0x7fffffffu, C_HUGE));
}
fn starling_add(a: f32, b: f32) -> f32 { return starling_limit(a + b); }
fn starling_sub(a: f32, b: f32) -> f32 { return starling_limit(a - b); }

fn starling_from_i32(i: i32) -> f32 {
    let magnitude = c_from_u32(u32(abs(i)));
    return select(magnitude, -magnitude, i < 0);
}
// Truncation, saturating at the largest f32 below 2^31 and its negative.
fn starling_to_i32(x: f32) -> i32 {
    let magnitude = i32(min(c_to_u32(abs(x)), 2147483520u));
    return select(magnitude, -magnitude, x < 0.0);
}

fn starling_ceil(x: f32) -> f32 { return -floor(-x); }
fn starling_trunc(x: f32) -> f32 {
    let magnitude = floor(abs(x));
    return select(magnitude, -magnitude, x < 0.0);
}
fn starling_fract(x: f32) -> f32 { return x - floor(x); }
// To the nearest integer, to the even one of two.
fn starling_round(x: f32) -> f32 {
    let below = floor(x);
    let rest = x - below;
    let odd = below - 2.0 * floor(below * 0.5);
    let up = rest > 0.5 || (rest == 0.5 && odd != 0.0);
    return select(below, below + 1.0, up);
}
fn starling_mod(a: f32, b: f32) -> f32 { return a - b * starling_trunc(a / b); }
fn starling_sign(x: f32) -> f32 { return select(select(0.0, 1.0, x > 0.0), -1.0, x < 0.0); }
fn starling_clamp(x: f32, low: f32, high: f32) -> f32 { return min(max(x, low), high); }
fn starling_saturate(x: f32) -> f32 { return min(max(x, 0.0), 1.0); }
fn starling_step(edge: f32, x: f32) -> f32 { return select(0.0, 1.0, edge <= x); }
fn starling_smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = starling_saturate((x - low) / (high - low));
    return t * t * (3.0 - 2.0 * t);
}
fn starling_mix(a: f32, b: f32, t: f32) -> f32 { return a * (1.0 - t) + b * t; }
fn starling_fma(a: f32, b: f32, c: f32) -> f32 { return a * b + c; }
fn starling_radians(x: f32) -> f32 { return x * 0.017453292; }
fn starling_degrees(x: f32) -> f32 { return x * 57.295780; }
fn starling_inverse_sqrt(x: f32) -> f32 { return 1.0 / sqrt(x); }

// Exact for integers.
fn starling_exp2(x: f32) -> f32 {
    let bounded = min(max(x, -101.0), 101.0);
    let n = floor(bounded);
    let rest = exp((bounded - n) * 0.69314718);
    return rest * c_pow2(starling_to_i32(n));
}
// Exact for powers of two.
fn starling_log2(x: f32) -> f32 {
    if x <= 0.0 {
        return -1.2676506e30;
    }
    let u = bitcast<u32>(x);
    let k = starling_from_i32(i32(u >> 23u) - 127);
    let m = bitcast<f32>((u & 0x7fffffu) | 0x3f800000u);
    return k + log(m) * 1.4426950;
}
fn starling_pow(x: f32, y: f32) -> f32 {
    if x <= 0.0 {
        return select(0.0, 1.0, y == 0.0);
    }
    return starling_exp2(y * starling_log2(x));
}

fn starling_tan(x: f32) -> f32 { return sin(x) / cos(x); }
fn starling_atan(x: f32) -> f32 {
    let a = abs(x);
    var base = 0.0;
    var t = a;
    if a > 2.4142136 {
        base = 1.5707964;
        t = -1.0 / a;
    } else if a > 0.41421356 {
        base = 0.78539819;
        t = (a - 1.0) / (a + 1.0);
    }
    let z = t * t;
    var p = 8.05374449538e-2 * z - 1.38776856032e-1;
    p = p * z + 1.99777106478e-1;
    p = p * z - 3.33329491539e-1;
    let y = base + (p * z * t + t);
    return select(y, -y, x < 0.0);
}
fn starling_atan2(y: f32, x: f32) -> f32 {
    if x == 0.0 {
        return 1.5707964 * starling_sign(y);
    }
    let angle = starling_atan(y / x);
    return select(angle, angle + select(3.1415927, -3.1415927, y < 0.0), x < 0.0);
}
fn starling_asin(x: f32) -> f32 {
    let a = min(abs(x), 1.0);
    let far = a > 0.5;
    let z = select(a * a, 0.5 * (1.0 - a), far);
    let t = select(a, sqrt(z), far);
    var p = 4.2163199048e-2 * z + 2.4181311049e-2;
    p = p * z + 4.5470025998e-2;
    p = p * z + 7.4953002686e-2;
    p = p * z + 1.6666752422e-1;
    let near = p * z * t + t;
    let y = select(near, 1.5707964 - 2.0 * near, far);
    return select(y, -y, x < 0.0);
}
fn starling_acos(x: f32) -> f32 { return 1.5707964 - starling_asin(x); }
fn starling_sinh(x: f32) -> f32 {
    if abs(x) < 0.5 {
        let z = x * x;
        return x + x * z * (1.6666667e-1 + z * (8.3333333e-3 + z * 1.9841270e-4));
    }
    let e = exp(x);
    return 0.5 * e - 0.5 / e;
}
fn starling_cosh(x: f32) -> f32 {
    let e = exp(x);
    return 0.5 * e + 0.5 / e;
}
fn starling_tanh(x: f32) -> f32 {
    let a = min(abs(x), 15.0);
    var y = 0.0;
    if a < 0.5 {
        y = starling_sinh(a) / starling_cosh(a);
    } else {
        y = 1.0 - 2.0 / (exp(2.0 * a) + 1.0);
    }
    return select(y, -y, x < 0.0);
}
fn starling_asinh(x: f32) -> f32 {
    let a = abs(x);
    let y = log(a + sqrt(a * a + 1.0));
    return select(y, -y, x < 0.0);
}
fn starling_acosh(x: f32) -> f32 { return log(x + sqrt(x * x - 1.0)); }
fn starling_atanh(x: f32) -> f32 { return 0.5 * log((1.0 + x) / (1.0 - x)); }
fn starling_ldexp(x: f32, k: i32) -> f32 { return x * c_pow2(clamp(k, -100, 100)); }

fn starling_pack4x8unorm(v: vec4<f32>) -> u32 {
    let q = vec4<u32>(floor(saturate(v) * 255.0 + 0.5));
    return q.x | (q.y << 8u) | (q.z << 16u) | (q.w << 24u);
}
fn starling_unpack4x8unorm(p: u32) -> vec4<f32> {
    return vec4<f32>(vec4(p & 255u, (p >> 8u) & 255u, (p >> 16u) & 255u, p >> 24u)) / 255.0;
}
fn starling_pack2x16unorm(v: vec2<f32>) -> u32 {
    let q = vec2<u32>(floor(saturate(v) * 65535.0 + 0.5));
    return q.x | (q.y << 16u);
}
fn starling_unpack2x16unorm(p: u32) -> vec2<f32> {
    return vec2<f32>(vec2(p & 65535u, p >> 16u)) / 65535.0;
}
fn starling_pack4x8snorm(v: vec4<f32>) -> u32 {
    let q = vec4<i32>(floor(clamp(v, vec4(-1.0), vec4(1.0)) * 127.0 + 0.5));
    let b = vec4<u32>(q) & vec4(255u);
    return b.x | (b.y << 8u) | (b.z << 16u) | (b.w << 24u);
}
fn starling_unpack4x8snorm(p: u32) -> vec4<f32> {
    let s = vec4<i32>(vec4(p << 24u, p << 16u, p << 8u, p)) >> vec4(24u);
    return max(vec4<f32>(s) / 127.0, vec4(-1.0));
}
fn starling_pack2x16snorm(v: vec2<f32>) -> u32 {
    let q = vec2<i32>(floor(clamp(v, vec2(-1.0), vec2(1.0)) * 32767.0 + 0.5));
    let b = vec2<u32>(q) & vec2(65535u);
    return b.x | (b.y << 16u);
}
fn starling_unpack2x16snorm(p: u32) -> vec2<f32> {
    let s = vec2<i32>(vec2(p << 16u, p)) >> vec2(16u);
    return max(vec2<f32>(s) / 32767.0, vec2(-1.0));
}

fn starling_cross(a: vec3<f32>, b: vec3<f32>) -> vec3<f32> {
    return a.yzx * b.zxy - a.zxy * b.yzx;
}
