// Heat that spreads in a plate whose edges let none out, up to 12 steps at once.
//
// One step of the simplest scheme for du/dt = k (d2u/dx2 + d2u/dy2): each cell moves towards the mean of its four
// neighbours. Every step looks one cell farther. So each workgroup loads its 16 x 16 cells with a margin of 12
// all around and goes on alone: it knows one cell less at each side with every step, and at last exactly its own.

override STEPS: u32 = 12u;
// k dt / dx^2. Above 0.25 the scheme overshoots, and errors grow instead of dying out.
override RATE: f32 = 0.2;

const MARGIN = 12u;
const SIDE = 16u + 2u * MARGIN;
const CELLS = SIDE * SIDE;

// `scale` is how many cells one number of the beginning fills along each axis.
struct Settings { width: u32, height: u32, scale: u32 }

@group(0) @binding(0) var<storage, read> settings: Settings;
@group(0) @binding(1) var<storage, read> plate: array<f32>;
@group(0) @binding(2) var<storage, read_write> later: array<f32>;

// The window twice: one step is read while the next is written. 12,800 of the 16,384 bytes that there are.
var<workgroup> cells: array<f32, 2u * CELLS>;

// An edge that lets nothing through is a mirror: heat comes back from there as if from a plate on the other side.
fn mirrored(at: i32, size: i32) -> u32 {
    let inside = select(at, -1 - at, at < 0);
    return u32(select(inside, 2 * size - 1 - inside, inside >= size));
}

@compute @workgroup_size(16, 16)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    let corner = vec2<i32>(group.xy * 16u) - i32(MARGIN);
    let across = settings.width / settings.scale;
    for (var i = lane; i < CELLS; i += 256u) {
        let x = mirrored(corner.x + i32(i % SIDE), i32(settings.width));
        let y = mirrored(corner.y + i32(i / SIDE), i32(settings.height));
        cells[i] = plate[y / settings.scale * across + x / settings.scale];
    }
    workgroupBarrier();

    var now = 0u;
    for (var step = 1u; step <= min(STEPS, MARGIN); step++) {
        let next = CELLS - now;
        // What can be known of the window: it begins `step` cells further in.
        let known = SIDE - 2u * step;
        for (var i = lane; i < known * known; i += 256u) {
            let at = (i / known + step) * SIDE + i % known + step;
            let c = now + at;
            // In pairs, so that a mirrored plate gives the mirrored bits: a + b is b + a, but in sums of three the
            // order tells.
            let around = (cells[c - SIDE] + cells[c + SIDE]) + (cells[c - 1u] + cells[c + 1u]);
            cells[next + at] = cells[c] + RATE * (around - 4.0 * cells[c]);
        }
        workgroupBarrier();
        now = next;
    }

    later[id.y * settings.width + id.x] = cells[now + (local.y + MARGIN) * SIDE + local.x + MARGIN];
}
