// Twin of sampler.rs, which explains it: Owen-scrambled Sobol pairs in integer arithmetic.

struct Sampler {
    key: u32,
    index: u32,
}

fn hash(v: u32) -> u32 {
    var x = (v ^ (v >> 16u)) * 0x7feb352du;
    x = (x ^ (x >> 15u)) * 0x846ca68bu;
    return x ^ (x >> 16u);
}

fn scramble(v: u32, seed: u32) -> u32 {
    var x = v ^ (v * 0x3d20adeau);
    x = (x + seed) * ((seed >> 16u) | 1u);
    x ^= x * 0x05526c56u;
    return x ^ (x * 0x53a22864u);
}

fn sobol2(v: u32) -> u32 {
    var x = v ^ ((v >> 16u) & 0x0000ffffu);
    x ^= (x >> 8u) & 0x00ff00ffu;
    x ^= (x >> 4u) & 0x0f0f0f0fu;
    x ^= (x >> 2u) & 0x33333333u;
    return x ^ ((x >> 1u) & 0x55555555u);
}

fn new_sampler(seed: vec2<u32>, pixel: u32, sample: u32) -> Sampler {
    return Sampler(hash(hash(seed.x ^ hash(seed.y)) ^ hash(pixel)), reverseBits(sample));
}

fn sample_pair(s: Sampler, pair: u32) -> vec2<u32> {
    let seed = hash(s.key ^ (pair * 0x9e3779b9u));
    let shuffled = reverseBits(scramble(s.index, seed));
    let x = scramble(shuffled, hash(seed ^ 0xa511e9b3u));
    let y = scramble(sobol2(shuffled), hash(seed ^ 0x63d83595u));
    return vec2(reverseBits(x), reverseBits(y));
}

fn sample_single(s: Sampler, pair: u32) -> u32 {
    return hash(hash(s.key ^ (pair * 0x85ebca6bu)) ^ s.index);
}
