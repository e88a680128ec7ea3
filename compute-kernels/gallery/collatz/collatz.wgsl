// The longest Collatz chain of every 4096 numbers: halve what is even, make 3 n + 1 of what is odd, and count the steps
// until 1.
//
// It shows how a workgroup comes to one result: each invocation finds the longest chain of its own numbers, and then
// half of them compare theirs with the other half's, until one is left.

// Numbers that each invocation tries.
override EACH: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> longest: array<u32>;

// By invocation: where the longest chain so far begins, and its steps.
var<workgroup> found: array<vec2<u32>, 64>;

// In 64 bits, the lower half first: chains that begin below 2^20 climb to 90 billion.
fn steps(start: u32) -> u32 {
    var n = vec2(start, 0u);
    var count = 0u;
    while any(n != vec2(1u, 0u)) {
        if (n.x & 1u) == 1u {
            // n + (2 n + 1). If the sum of the lower halves is less than one of them, it has wrapped: carry.
            let double = vec2((n.x << 1u) | 1u, (n.y << 1u) | (n.x >> 31u));
            let low = n.x + double.x;
            n = vec2(low, n.y + double.y + u32(low < double.x));
            count++;
        }
        // Even by now, in any case.
        n = vec2((n.x >> 1u) | (n.y << 31u), n.y >> 1u);
        count++;
    }
    return count;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var best = vec2(1u, 0u);
    for (var i = 0u; i < EACH; i++) {
        // Neighbours take neighbouring numbers, whose chains are often alike: a GPU runs them in step. From 0 no chain
        // leads to 1, so 1 stands in for it.
        let start = max((group.x * EACH + i) * 64u + lane, 1u);
        let count = steps(start);
        if count > best.y {
            best = vec2(start, count);
        }
    }
    found[lane] = best;
    workgroupBarrier();
    for (var apart = 32u; apart > 0u; apart >>= 1u) {
        if lane < apart {
            let other = found[lane + apart];
            let mine = found[lane];
            // Of equally long chains the one that begins lowest: otherwise the order of comparisons would show.
            if other.y > mine.y || (other.y == mine.y && other.x < mine.x) {
                found[lane] = other;
            }
        }
        // Outside of the `if`: all of a workgroup have to come by.
        workgroupBarrier();
    }
    // `per = "group"`: one slot for the whole workgroup, and its first invocation writes it.
    if lane == 0u {
        longest[2u * group.x] = found[0].x;
        longest[2u * group.x + 1u] = found[0].y;
    }
}
