// Conway's game of life on a torus, up to 12 generations at once.
//
// Workgroups cannot wait for each other, so none can ask its neighbours how they went on. But after one generation a
// cell depends on nothing farther than one cell away, and after 12 on nothing farther than 12. So each workgroup loads
// its 16 x 16 cells with a margin of 12 all around, and plays alone: with every generation it knows one cell less
// at each side, and after the last one exactly its own.

override GENERATIONS: u32 = 12u;

const MARGIN = 12u;
const SIDE = 16u + 2u * MARGIN;
const CELLS = SIDE * SIDE;

struct Settings { width: u32, height: u32 }

@group(0) @binding(0) var<storage, read> settings: Settings;
@group(0) @binding(1) var<storage, read> board: array<u32>;
@group(0) @binding(2) var<storage, read_write> later: array<u32>;

// The window twice: one generation is read while the next is written. 12,800 of the 16,384 bytes that there are.
var<workgroup> cells: array<u32, 2u * CELLS>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    let size = vec2(settings.width, settings.height);
    // The window's first cell. A torus has no edge: one whole size more is the same place, and not below zero.
    let corner = group.xy * 16u + size - MARGIN;
    for (var i = lane; i < CELLS; i += 256u) {
        let at = (corner + vec2(i % SIDE, i / SIDE)) % size;
        // Bright pixels live: the highest bit of red.
        cells[i] = (board[at.y * size.x + at.x] >> 7u) & 1u;
    }
    workgroupBarrier();

    var now = 0u;
    for (var g = 1u; g <= min(GENERATIONS, MARGIN); g++) {
        let next = CELLS - now;
        // What can be known of the window: it begins g cells further in.
        let known = SIDE - 2u * g;
        for (var i = lane; i < known * known; i += 256u) {
            let at = (i / known + g) * SIDE + i % known + g;
            let c = now + at;
            let around = cells[c - SIDE - 1u] + cells[c - SIDE] + cells[c - SIDE + 1u]
                + cells[c - 1u] + cells[c + 1u]
                + cells[c + SIDE - 1u] + cells[c + SIDE] + cells[c + SIDE + 1u];
            // With three neighbours a cell lives, with two it stays as it is. 2 | 1 is 3 as well, and nothing else is.
            cells[next + at] = u32((around | cells[c]) == 3u);
        }
        workgroupBarrier();
        now = next;
    }

    let alive = cells[now + (local.y + MARGIN) * SIDE + local.x + MARGIN];
    // White or black, opaque: a board again.
    later[id.y * size.x + id.x] = 0xff000000u | (alive * 0xffffffu);
}
