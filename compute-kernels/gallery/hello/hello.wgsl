// The squares of some numbers: the smallest job there is, and a beginning for one of your own.
//
// `main` runs once for each number. One such run is an invocation; 64 of them make a workgroup, and a job is as many
// workgroups as it takes. They run on the machines of others, and every machine has to come to the same bytes. So:
//
// - What is only read is `var<storage, read>`. Every invocation can read all of it; beyond the end is the last element.
// - What is written is `var<storage, read_write>`, and an array. Every invocation has one slot of it, here one number.
//   Whatever it writes ends up in that slot, and it does not see the slots of others.
// - What the invocations of one workgroup have to tell each other goes through `var<workgroup>` and
//   `workgroupBarrier()`. Workgroups tell each other nothing.
// - Loops end when they have used up the `fuel` that job.toml gives to each invocation. Here are no loops.
//
// The rest is WGSL (https://www.w3.org/TR/WGSL/).

// job.toml knows these two by their names.
@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> squares: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    // The last workgroup may be larger than what is left to do.
    if id.x >= arrayLength(&numbers) {
        return;
    }
    squares[id.x] = numbers[id.x] * numbers[id.x];
}
