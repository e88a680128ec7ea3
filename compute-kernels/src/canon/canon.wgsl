// Canonical f32: the same bits on every device. The Rust twin is canon/mod.rs, which states the rules.
// Every result passes a barrier, `| c_zero` with a run-time zero, which keeps a compiler from contracting,
// reassociating or folding across operations. Entry points start with `c_zero = dispatch.zero;`, read floats with
// `c_load` and write them with `c_store`: between the two, a zero may have either sign, and no operation sees it.

var<private> c_zero: u32;

const C_TINY: u32 = 0x0d800000u; // 2^-100
const C_HUGE: u32 = 0x71800000u; // 2^100

// The value with these bits.
fn c_bits(u: u32) -> f32 {
    return bitcast<f32>(u | c_zero);
}

// Results of sums: nothing to flush, because products are multiples of 2^-123 and so are their sums.
fn c_barrier(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | c_zero);
}

// Results of products: magnitudes below 2^-100 and NaN become +0, those above 2^100 become 2^100.
// One wrapping subtraction finds both of the former.
fn c_flush(x: f32) -> f32 {
    let u = bitcast<u32>(x) | c_zero;
    let m = u & 0x7fffffffu;
    let kept = (u & 0x80000000u) | min(m, C_HUGE);
    return bitcast<f32>(select(0u, kept, m - C_TINY <= 0x7f800000u - C_TINY));
}

// Canonical value of any bits, and the bits of a canonical value.
fn c_load(u: u32) -> f32 {
    return c_flush(bitcast<f32>(u | c_zero));
}

fn c_store(x: f32) -> u32 {
    let u = bitcast<u32>(x) | c_zero;
    return select(u, 0u, u == 0x80000000u);
}

fn c_add(a: f32, b: f32) -> f32 { return c_barrier(a + b); }
fn c_sub(a: f32, b: f32) -> f32 { return c_barrier(a - b); }
fn c_mul(a: f32, b: f32) -> f32 { return c_flush(a * b); }
fn c_neg(a: f32) -> f32 { return bitcast<f32>(bitcast<u32>(a) ^ (0x80000000u | c_zero)); }
fn c_abs(a: f32) -> f32 { return bitcast<f32>(bitcast<u32>(a) & 0x7fffffffu); }
fn c_min(a: f32, b: f32) -> f32 { return select(b, a, a < b); }
fn c_max(a: f32, b: f32) -> f32 { return select(b, a, a > b); }
fn c_floor(a: f32) -> f32 { return c_barrier(floor(a)); }

// Nearest f32 of any u32: both halves convert exactly, so only the sum rounds.
fn c_from_u32(u: u32) -> f32 {
    return c_add(f32(u >> 16u) * 65536.0, f32(u & 0xffffu));
}

// Truncation, saturating at 0 and at 4294967040, the largest f32 below 2^32.
fn c_to_u32(a: f32) -> u32 {
    return u32(c_min(c_max(a, 0.0), 4294967040.0));
}

// Correctly rounded quotient and square root.
fn c_div(a: f32, b: f32) -> f32 { return c_div_skewed(a, b, 1.0); }
fn c_sqrt(x: f32) -> f32 { return c_sqrt_skewed(x, 1.0); }

// The driver's division only proposes: the exact remainder, which fits an i32 as long as the proposal is within
// 64 ulp, decides. A quotient of two 24-bit integers is never a tie. `skew` spoils the proposal: the canary shows
// with it, on devices that propose well, that the last bit does not depend on the driver.
fn c_div_skewed(a: f32, b: f32, skew: f32) -> f32 {
    let ua = bitcast<u32>(a);
    let ub = bitcast<u32>(b);
    let xa = ua & 0x7fffffffu;
    let xb = ub & 0x7fffffffu;
    if xa == 0u {
        return 0.0;
    }
    if xb == 0u {
        return c_bits((ua & 0x80000000u) | C_HUGE);
    }
    let sign = (ua ^ ub) & 0x80000000u;
    let ma = (xa & 0x7fffffu) | 0x800000u;
    let mb = (xb & 0x7fffffu) | 0x800000u;
    let less = ma < mb;
    let fb = f32(mb);
    var q = u32(f32(ma) / fb * skew * select(8388608.0, 16777216.0, less));
    var r = i32((ma << select(23u, 24u, less)) - q * mb);
    let step = i32(floor(f32(r) / fb));
    q += u32(step);
    r -= step * i32(mb);
    if r < 0 {
        q -= 1u;
        r += i32(mb);
    } else if r >= i32(mb) {
        q += 1u;
        r -= i32(mb);
    }
    q += select(0u, 1u, 2 * r > i32(mb));
    let e = i32(xa >> 23u) - i32(xb >> 23u) + select(127, 126, less);
    if e <= 0 {
        return 0.0;
    }
    if e >= 255 {
        return c_bits(sign | C_HUGE);
    }
    return c_flush(bitcast<f32>(sign | ((u32(e) << 23u) + (q - 0x800000u))));
}

// The same for the square root: within 32 ulp. 0 of a negative number.
fn c_sqrt_skewed(x: f32, skew: f32) -> f32 {
    let u = bitcast<u32>(x);
    if x <= 0.0 {
        return 0.0;
    }
    let odd = ((u >> 23u) & 1u) == 0u; // the bias is odd, so this is an odd exponent
    let m = (u & 0x7fffffu) | 0x800000u;
    let wide = m << select(23u, 24u, odd);
    let f = bitcast<f32>((u & 0x7fffffu) | 0x3f800000u) * select(1.0, 2.0, odd);
    var s = u32(sqrt(f) * skew * 8388608.0);
    s += u32(i32(floor(f32(i32(wide - s * s)) / f32(2u * s))));
    var r = i32(wide - s * s);
    if r < 0 {
        s -= 1u;
        r += i32(2u * s + 1u);
    } else if r > i32(2u * s) {
        r -= i32(2u * s + 1u);
        s += 1u;
    }
    s += select(0u, 1u, r > i32(s));
    let e = ((i32(u >> 23u) - 127) >> 1u) + 127;
    return bitcast<f32>(((u32(e) << 23u) + (s - 0x800000u)) | c_zero);
}

// Exact 2^k for -126 <= k <= 127.
fn c_pow2(k: i32) -> f32 {
    return c_bits(u32(k + 127) << 23u);
}

// Beyond +-70 the last product flushes or saturates.
fn c_exp(a: f32) -> f32 {
    let x = c_min(c_max(a, -70.0), 70.0);
    let n = c_floor(c_add(c_mul(x, 1.44269504), 0.5));
    let r = c_sub(c_sub(x, c_mul(n, 0.693359375)), c_mul(n, -2.12194440e-4));
    var p = c_add(c_mul(1.9875691500e-4, r), 1.3981999507e-3);
    p = c_add(c_mul(p, r), 8.3334519073e-3);
    p = c_add(c_mul(p, r), 4.1665795894e-2);
    p = c_add(c_mul(p, r), 1.6666665459e-1);
    p = c_add(c_mul(p, r), 5.0000001201e-1);
    let y = c_add(c_add(c_mul(p, c_mul(r, r)), r), 1.0);
    return c_mul(y, c_pow2(i32(n)));
}

fn c_log(x: f32) -> f32 {
    if x <= 0.0 {
        return c_bits(0x80000000u | C_HUGE);
    }
    let u = bitcast<u32>(x);
    var k = i32(u >> 23u) - 126;
    var m = c_bits((u & 0x7fffffu) | 0x3f000000u);
    if m < 0.70710678 {
        k -= 1;
        m = c_sub(c_add(m, m), 1.0);
    } else {
        m = c_sub(m, 1.0);
    }
    let n = f32(k);
    let z = c_mul(m, m);
    var p = c_add(c_mul(7.0376836292e-2, m), -1.1514610310e-1);
    p = c_add(c_mul(p, m), 1.1676998740e-1);
    p = c_add(c_mul(p, m), -1.2420140846e-1);
    p = c_add(c_mul(p, m), 1.4249322787e-1);
    p = c_add(c_mul(p, m), -1.6668057665e-1);
    p = c_add(c_mul(p, m), 2.0000714765e-1);
    p = c_add(c_mul(p, m), -2.4999993993e-1);
    p = c_add(c_mul(p, m), 3.3333331174e-1);
    var y = c_add(c_mul(c_mul(p, m), z), c_mul(n, -2.12194440e-4));
    y = c_sub(y, c_mul(0.5, z));
    return c_add(c_add(m, y), c_mul(n, 0.693359375));
}

// sin and cos of the quadrant-reduced r, |r| <= pi/4.
fn c_sin_poly(r: f32) -> f32 {
    let z = c_mul(r, r);
    var p = c_add(c_mul(-1.9515295891e-4, z), 8.3321608736e-3);
    p = c_add(c_mul(p, z), -1.6666654611e-1);
    return c_add(r, c_mul(c_mul(p, z), r));
}

fn c_cos_poly(r: f32) -> f32 {
    let z = c_mul(r, r);
    var p = c_add(c_mul(2.4433157118e-5, z), -1.3887316255e-3);
    p = c_add(c_mul(p, z), 4.1666645683e-2);
    return c_add(c_sub(1.0, c_mul(0.5, z)), c_mul(c_mul(p, z), z));
}

// sin(x + quarter * pi/2).
fn c_circle(x: f32, quarter: u32) -> f32 {
    if c_abs(x) > 65536.0 {
        return f32(quarter & 1u);
    }
    let n = c_floor(c_add(c_mul(x, 0.636619772), 0.5));
    var r = c_sub(x, c_mul(n, 1.5703125));
    r = c_sub(r, c_mul(n, 4.83751297e-4));
    r = c_sub(r, c_mul(n, 7.54978995e-8));
    let q = u32(i32(n)) + quarter;
    var y: f32;
    if (q & 1u) == 0u {
        y = c_sin_poly(r);
    } else {
        y = c_cos_poly(r);
    }
    if (q & 2u) != 0u {
        y = c_neg(y);
    }
    return y;
}

fn c_sin(x: f32) -> f32 { return c_circle(x, 0u); }
fn c_cos(x: f32) -> f32 { return c_circle(x, 1u); }

// Sum of 32 values as a fixed tree: halves 16, 8, 4, 2, 1 apart.
fn c_sum32(values: array<f32, 32>) -> f32 {
    var v = values;
    for (var step = 16u; step > 0u; step >>= 1u) {
        for (var i = 0u; i < step; i++) {
            v[i] = c_add(v[i], v[i + step]);
        }
    }
    return v[0];
}

fn c3_barrier(v: vec3<f32>) -> vec3<f32> {
    return bitcast<vec3<f32>>(bitcast<vec3<u32>>(v) | vec3(c_zero));
}

fn c3_flush(v: vec3<f32>) -> vec3<f32> {
    let u = bitcast<vec3<u32>>(v) | vec3(c_zero);
    let m = u & vec3(0x7fffffffu);
    let kept = (u & vec3(0x80000000u)) | min(m, vec3(C_HUGE));
    return bitcast<vec3<f32>>(select(vec3(0u), kept, m - vec3(C_TINY) <= vec3(0x7f800000u - C_TINY)));
}

fn c3_load(u: vec3<u32>) -> vec3<f32> { return c3_flush(bitcast<vec3<f32>>(u | vec3(c_zero))); }
fn c3_store(v: vec3<f32>) -> vec3<u32> { return vec3(c_store(v.x), c_store(v.y), c_store(v.z)); }
fn c3_add(a: vec3<f32>, b: vec3<f32>) -> vec3<f32> { return c3_barrier(a + b); }
fn c3_sub(a: vec3<f32>, b: vec3<f32>) -> vec3<f32> { return c3_barrier(a - b); }
fn c3_mul(a: vec3<f32>, b: vec3<f32>) -> vec3<f32> { return c3_flush(a * b); }
fn c3_scale(a: vec3<f32>, s: f32) -> vec3<f32> { return c3_flush(a * s); }
fn c3_neg(a: vec3<f32>) -> vec3<f32> { return vec3(c_neg(a.x), c_neg(a.y), c_neg(a.z)); }
fn c3_min(a: vec3<f32>, b: vec3<f32>) -> vec3<f32> { return select(b, a, a < b); }
fn c3_max(a: vec3<f32>, b: vec3<f32>) -> vec3<f32> { return select(b, a, a > b); }

// (x x + y y) + z z
fn c3_dot(a: vec3<f32>, b: vec3<f32>) -> f32 {
    let p = c3_mul(a, b);
    return c_add(c_add(p.x, p.y), p.z);
}

fn c3_cross(a: vec3<f32>, b: vec3<f32>) -> vec3<f32> {
    return c3_sub(c3_mul(a.yzx, b.zxy), c3_mul(a.zxy, b.yzx));
}

fn c3_length(a: vec3<f32>) -> f32 { return c_sqrt(c3_dot(a, a)); }

// a / |a|, by one division and three products; the zero vector stays zero.
fn c3_normalize(a: vec3<f32>) -> vec3<f32> {
    return c3_scale(a, c_div(1.0, c3_length(a)));
}
