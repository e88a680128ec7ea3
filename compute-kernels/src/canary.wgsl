// The canonical operations, one per invocation: pair of canary.rs.

// Triples (operation, a, b) of words.
@group(0) @binding(2) var<storage, read> table: array<u32>;

fn apply(op: u32, ua: u32, ub: u32) -> u32 {
    let a = c_load(ua);
    let b = c_load(ub);
    switch op {
        case 0u: { return c_store(a); }
        case 1u: { return c_store(c_add(a, b)); }
        case 2u: { return c_store(c_sub(a, b)); }
        case 3u: { return c_store(c_mul(a, b)); }
        case 4u: { return c_store(c_div(a, b)); }
        case 5u: { return c_store(c_sqrt(a)); }
        case 6u: { return c_store(c_exp(a)); }
        case 7u: { return c_store(c_log(a)); }
        case 8u: { return c_store(c_sin(a)); }
        case 9u: { return c_store(c_cos(a)); }
        case 10u: { return c_store(c_min(a, b)); }
        case 11u: { return c_store(c_max(a, b)); }
        case 12u: { return c_store(c_floor(a)); }
        case 13u: { return c_store(c_neg(c_abs(a))); }
        case 14u: { return c_store(c_from_u32(ua)); }
        case 15u: { return c_to_u32(a); }
        case 16u: { return c_store(vector(a, b)); }
        case 17u: { return c_store(sum(a, b)); }
        case 18u: { return c_store(chain(a, b)); }
        case 19u: { return c_store(c_div_skewed(c_add(a, b), c_sub(a, b), skew(ua ^ ub))); }
        default: { return c_store(c_sqrt_skewed(c_add(a, b), skew(ua ^ ub))); }
    }
}

// 1 +- up to 15 units of 2^-23.
fn skew(u: u32) -> f32 {
    return 1.0 + (f32(u & 31u) - 16.0) / 8388608.0;
}

// Every vector function once.
fn vector(a: f32, b: f32) -> f32 {
    let p = vec3(a, b, 1.0);
    let q = c3_normalize(c3_sub(c3_load(c3_store(vec3(b, a, 0.5))), c3_neg(p)));
    let r = c3_max(c3_min(c3_cross(p, q), c3_scale(p, b)), c3_mul(c3_add(p, q), q));
    return c_add(c3_dot(r, q), c3_length(r));
}

// The tree over a, a + b, a + 2 b, ...
fn sum(a: f32, b: f32) -> f32 {
    var values: array<f32, 32>;
    for (var i = 0u; i < 32u; i++) {
        values[i] = c_add(a, c_mul(c_from_u32(i), b));
    }
    return c_sum32(values);
}

// A dependent chain of multiply-adds: what a contracting compiler changes.
fn chain(a: f32, b: f32) -> f32 {
    var s = a;
    for (var i = 0u; i < 16u; i++) {
        s = c_add(c_mul(s, b), a);
        s = c_mul(c_add(c_mul(s, s), c_mul(a, b)), 0.37);
        if c_abs(s) > 1000.0 {
            s = c_add(c_mul(s, 1e-4), b);
        }
    }
    return s;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    c_zero = dispatch.zero;
    let slot = group.y * 64u + local;
    let at = (dispatch_tile(group) * 256u + slot) * 3u;
    output[dispatch_offset(group) + slot] = apply(table[at], table[at + 1u], table[at + 2u]);
}
