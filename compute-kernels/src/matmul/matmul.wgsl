// C = A B, i8 x i8 -> i32, sums modulo 2^32: pair of matmul/mod.rs. Integers only (exact tier).
//
// Both factors come packed along the common dimension, four i8 a word and four words a vector, B transposed, and zeros
// up to a whole vector. No workgroup memory: caches serve the reuse, and software drivers pay dearly for barriers.

struct Params {
    rows: u32,
    inner: u32,
    columns: u32,
    // Edge of a tile: a power of two up to 64.
    edge: u32,
    // Vectors of a packed row.
    vectors: u32,
}

@group(0) @binding(2) var<storage, read> params: Params;
@group(0) @binding(3) var<storage, read> a: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> b: array<vec4<u32>>;

// Rows and columns of one invocation's block.
const BLOCK: u32 = 4u;

fn dots(x: vec4<u32>, y: vec4<u32>) -> i32 {
    return (dot4I8Packed(x.x, y.x) + dot4I8Packed(x.y, y.y)) + (dot4I8Packed(x.z, y.z) + dot4I8Packed(x.w, y.w));
}

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    c_zero = dispatch.zero;
    let tile = dispatch_tile(group);
    let tiles_across = (params.columns + params.edge - 1u) / params.edge;
    let at = vec2(local.x, local.y) * BLOCK;
    if at.x >= params.edge || at.y >= params.edge {
        return;
    }
    let column = (tile % tiles_across) * params.edge + at.x;
    let row = (tile / tiles_across) * params.edge + at.y;
    // Beyond the matrix the last row or column is read again, and its products are not written.
    let last = vec2(params.columns, params.rows) - 1u;
    var columns = min(vec4(column) + vec4(0u, 1u, 2u, 3u), vec4(last.x)) * params.vectors;
    var rows = min(vec4(row) + vec4(0u, 1u, 2u, 3u), vec4(last.y)) * params.vectors;
    var sum = array<vec4<i32>, 4>();
    for (var v = 0u; v < params.vectors; v += 1u) {
        let b0 = b[columns.x + v];
        let b1 = b[columns.y + v];
        let b2 = b[columns.z + v];
        let b3 = b[columns.w + v];
        let a0 = a[rows.x + v];
        sum[0] += vec4(dots(a0, b0), dots(a0, b1), dots(a0, b2), dots(a0, b3));
        let a1 = a[rows.y + v];
        sum[1] += vec4(dots(a1, b0), dots(a1, b1), dots(a1, b2), dots(a1, b3));
        let a2 = a[rows.z + v];
        sum[2] += vec4(dots(a2, b0), dots(a2, b1), dots(a2, b2), dots(a2, b3));
        let a3 = a[rows.w + v];
        sum[3] += vec4(dots(a3, b0), dots(a3, b1), dots(a3, b2), dots(a3, b3));
    }
    for (var y = 0u; y < BLOCK; y += 1u) {
        for (var x = 0u; x < BLOCK; x += 1u) {
            let within = at.y + y < params.edge && at.x + x < params.edge;
            if within && row + y <= last.y && column + x <= last.x {
                output[dispatch_offset(group) + (at.y + y) * params.edge + at.x + x] = bitcast<u32>(sum[y][x]);
            }
        }
    }
}
