// What an option is worth, by trying: the mean payoff over many random courses of a share's price.
//
// Two options at once, on the same courses. A European call pays what the price at the end is above the strike; what
// it is worth is known (Black and Scholes 1973), which tells whether to believe the rest. An Asian call pays what the
// price's mean over the months is above the strike; no formula is known for that one.

// Courses for each invocation, and months (an even number) of each.
override PATHS: u32 = 64u;
override MONTHS: u32 = 12u;
// Another seed, other courses.
override SEED: u32 = 1u;

struct Market { spot: f32, strike: f32, rate: f32, volatility: f32, years: f32 }

@group(0) @binding(0) var<storage, read> market: Market;
// Four numbers each: sum and sum of squares of what the European call paid, and the same for the Asian one.
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

// Random bits without a state: a scrambled counter (pcg3d of Jarzynski and Olano, Hash Functions for GPU Rendering,
// JCGT 2020). Nothing is handed on from course to course, so it does not matter who computes which.
fn random(at: vec3<u32>) -> vec3<u32> {
    var v = at * 1664525u + 1013904223u;
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v ^= v >> vec3(16u);
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    return v;
}

// Two independent normal numbers (Box and Muller 1958).
fn normals(bits: vec2<u32>) -> vec2<f32> {
    // 24 bits are what an f32 holds exactly. Never 0, whose logarithm there is not.
    let u = f32((bits.x >> 8u) + 1u) * 0x1p-24f;
    let angle = f32(bits.y >> 8u) * (6.2831853 * 0x1p-24f);
    return sqrt(-2.0 * log(u)) * vec2(cos(angle), sin(angle));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let month = market.years / f32(MONTHS);
    // Of the price's logarithm, each month. The drift is what makes the share itself worth no more than cash.
    let drift = (market.rate - 0.5 * market.volatility * market.volatility) * month;
    let spread = market.volatility * sqrt(month);
    // Money at the end is worth less now.
    let discount = exp(-market.rate * market.years);
    var totals = vec4<f32>();
    for (var path = 0u; path < PATHS; path++) {
        var price = market.spot;
        var sum = 0.0;
        for (var m = 0u; m < MONTHS; m += 2u) {
            let normal = normals(random(vec3(id.x * PATHS + path, m, SEED)).xy);
            let growth = vec2(exp(drift + spread * normal.x), exp(drift + spread * normal.y));
            price *= growth.x;
            sum += price;
            price *= growth.y;
            sum += price;
        }
        let above = vec2(price, sum / f32(MONTHS)) - market.strike;
        let paid = discount * max(above, vec2(0.0));
        totals += vec4(paid.x, paid.x * paid.x, paid.y, paid.y * paid.y);
    }
    for (var i = 0u; i < 4u; i++) {
        sums[4u * id.x + i] = totals[i];
    }
}
