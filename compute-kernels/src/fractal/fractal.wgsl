// Escape-time fractal in Q4.28 fixed point: pair of fractal/mod.rs. Integers only (exact tier).

struct Params {
    width: u32,
    height: u32,
    centre_x: i32,
    centre_y: i32,
    step: i32,
    max_iterations: u32,
    // 0 Mandelbrot, 1 Julia
    kind: u32,
    julia_x: i32,
    julia_y: i32,
}

@group(0) @binding(2) var<storage, read> params: Params;

const TWO: u32 = 0x20000000u;
const FOUR: u32 = 0x40000000u;

// (a b) >> 28 for a, b <= 2 (30 bits), from 15-bit limbs: no partial sum exceeds 32 bits.
fn product(a: u32, b: u32) -> u32 {
    let ah = a >> 15u;
    let al = a & 0x7fffu;
    let bh = b >> 15u;
    let bl = b & 0x7fffu;
    return 4u * (ah * bh) + ((ah * bl + al * bh + ((al * bl) >> 15u)) >> 13u);
}

// Steps until |z| > 2, or max_iterations.
fn escape(z: vec2<i32>, c: vec2<i32>) -> u32 {
    var x = z.x;
    var y = z.y;
    var n = 0u;
    loop {
        if n >= params.max_iterations {
            break;
        }
        let ax = u32(abs(x));
        let ay = u32(abs(y));
        if ax > TWO || ay > TWO {
            break;
        }
        let xx = product(ax, ax);
        let yy = product(ay, ay);
        if xx + yy > FOUR {
            break;
        }
        let xy = i32(2u * product(ax, ay));
        y = select(xy, -xy, (x ^ y) < 0) + c.y;
        x = i32(xx) - i32(yy) + c.x;
        n += 1u;
    }
    return n;
}

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    c_zero = dispatch.zero;
    let columns = (params.width + 15u) / 16u;
    let tile = dispatch_tile(group);
    let px = (tile % columns) * 16u + local.x;
    let py = (tile / columns) * 16u + local.y;
    var n = 0u;
    if px < params.width && py < params.height {
        let point = vec2(
            params.centre_x + (i32(px) - i32(params.width / 2u)) * params.step,
            params.centre_y + (i32(py) - i32(params.height / 2u)) * params.step,
        );
        n = escape(point, select(point, vec2(params.julia_x, params.julia_y), params.kind == 1u));
    }
    output[dispatch_offset(group) + local.y * 16u + local.x] = n;
}
