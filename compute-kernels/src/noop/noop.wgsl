// Tiles that cost next to nothing: pair of noop/mod.rs. Integers only (exact tier).

struct Params {
    tiles: u32,
    words: u32,
    seed: u32,
}

@group(0) @binding(2) var<storage, read> params: Params;

// Every bit of x reaches every bit of the result.
fn mixed(value: u32) -> u32 {
    var x = value;
    x = (x ^ (x >> 16u)) * 0x7feb352du;
    x = (x ^ (x >> 15u)) * 0x846ca68bu;
    return x ^ (x >> 16u);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    c_zero = dispatch.zero;
    let tile = mixed(dispatch_tile(group) ^ mixed(params.seed));
    for (var word = local.x; word < params.words; word += 64u) {
        output[dispatch_offset(group) + word] = mixed(tile + word);
    }
}
