// What this build measures itself by: integers in a loop, a few values each, as shaders of real work have them.
@group(0) @binding(0) var<storage, read> task: array<u32>;
@group(0) @binding(1) var<storage, read_write> mixed: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let seed = task[0];
    let rounds = task[1];
    var x = id.x ^ seed;
    var y = id.x * 747796405u + 2891336453u;
    for (var i = 0u; i < rounds; i++) {
        x ^= x << 13u;
        x ^= x >> 17u;
        x ^= x << 5u;
        y = y * 1664525u + x;
    }
    mixed[id.x] = x ^ y;
}
