// Blurs a picture, in integers: there is no rounding that devices could do in different ways.
//
// Each pixel becomes the mean of those in a disc around it. Near ones count more: at distance d, with r = RADIUS + 1,
// the weight is (r^2 - d^2)^2. That is close to a Gaussian, but it is zero at the rim, so nothing has to be cut off.

// At most 14: with more, the sum of all weights times 255 would not fit 32 bits.
override RADIUS: i32 = 8;

struct Settings { width: u32, height: u32 }

@group(0) @binding(0) var<storage, read> settings: Settings;
@group(0) @binding(1) var<storage, read> picture: array<u32>;
@group(0) @binding(2) var<storage, read_write> blurred: array<u32>;

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let here = vec2<i32>(id.xy);
    let width = i32(settings.width);
    let last = vec2(width, i32(settings.height)) - 1;
    let reach = (RADIUS + 1) * (RADIUS + 1);
    var sum = vec4<u32>();
    var total = 0u;
    for (var dy = -RADIUS; dy <= RADIUS; dy++) {
        // Outside of the picture is what is at its edge; black would darken the edge.
        let row = clamp(here.y + dy, 0, last.y) * width;
        for (var dx = -RADIUS; dx <= RADIUS; dx++) {
            // The corners of the square are outside of the disc, and weigh nothing.
            let inside = max(reach - dx * dx - dy * dy, 0);
            let weight = u32(inside * inside);
            let pixel = picture[row + clamp(here.x + dx, 0, last.x)];
            // Red, green, blue and alpha, from the lowest byte up.
            sum += weight * ((vec4(pixel) >> vec4(0u, 8u, 16u, 24u)) & vec4(255u));
            total += weight;
        }
    }
    // Half of the divisor first: to the nearest, not down.
    let mean = (sum + total / 2u) / total;
    blurred[id.y * settings.width + id.x] = mean.r | (mean.g << 8u) | (mean.b << 16u) | (mean.a << 24u);
}
