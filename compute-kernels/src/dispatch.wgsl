// The part of a kernel's interface that the runner fills in, prepended to every kernel.
// One workgroup column (x) per requested tile, `Plan::groups_per_tile` workgroups (y) in it.

struct Dispatch {
    // Always 0, and only the runner knows: the contraction barrier of canonical floats.
    zero: u32,
    // Output words (u32) per tile.
    words_per_tile: u32,
    // The tiles of this dispatch, in output order.
    tiles: array<u32>,
}

@group(0) @binding(0) var<storage, read> dispatch: Dispatch;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

// The tile that this workgroup computes.
fn dispatch_tile(group: vec3<u32>) -> u32 {
    return dispatch.tiles[group.x];
}

// Word of the output where that tile begins.
fn dispatch_offset(group: vec3<u32>) -> u32 {
    return group.x * dispatch.words_per_tile;
}
