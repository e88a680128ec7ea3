//! Random numbers of a path: Owen-scrambled Sobol pairs, pure functions of (seed, pixel, sample, dimension).
//!
//! Integer arithmetic only; twin of `sampler.wgsl`. Consecutive samples of a pixel are well spread in every pair
//! of dimensions, and pairs are decorrelated by shuffling (Burley, "Practical Hash-based Owen Scrambling", 2020).

/// Where a path is in its sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampler {
    /// Hash of job seed and pixel.
    key: u32,
    /// Bit-reversed number of the sample.
    index: u32,
}

/// A bijective 32-bit hash ("lowbias32", C. Wellons).
#[inline(always)]
pub(super) fn hash(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// Owen scrambling of a bit-reversed number (Laine and Karras 2011, constants by N. Vegdahl).
#[inline(always)]
fn scramble(mut x: u32, seed: u32) -> u32 {
    x ^= x.wrapping_mul(0x3d20_adea);
    x = x.wrapping_add(seed);
    x = x.wrapping_mul((seed >> 16) | 1);
    x ^= x.wrapping_mul(0x0552_6c56);
    x ^ x.wrapping_mul(0x53a2_2864)
}

/// Second Sobol dimension, bit-reversed, of an index: Pascal's triangle modulo 2.
#[inline(always)]
pub(super) fn sobol2(mut x: u32) -> u32 {
    x ^= (x >> 16) & 0x0000_ffff;
    x ^= (x >> 8) & 0x00ff_00ff;
    x ^= (x >> 4) & 0x0f0f_0f0f;
    x ^= (x >> 2) & 0x3333_3333;
    x ^ (x >> 1) & 0x5555_5555
}

impl Sampler {
    /// The sequence of one sample of one pixel.
    #[inline(always)]
    pub fn new(seed: u64, pixel: u32, sample: u32) -> Self {
        let key = hash(hash(seed as u32 ^ hash((seed >> 32) as u32)) ^ hash(pixel));
        Self {
            key,
            index: sample.reverse_bits(),
        }
    }

    /// Two numbers, uniform over all u32, for this pair of dimensions.
    #[inline(always)]
    pub fn pair(&self, pair: u32) -> [u32; 2] {
        let seed = hash(self.key ^ pair.wrapping_mul(0x9e37_79b9));
        let shuffled = scramble(self.index, seed).reverse_bits();
        let x = scramble(shuffled, hash(seed ^ 0xa511_e9b3));
        let y = scramble(sobol2(shuffled), hash(seed ^ 0x63d8_3595));
        [x.reverse_bits(), y.reverse_bits()]
    }

    /// One plain hash, for choices that need no even spread.
    #[inline(always)]
    pub fn single(&self, pair: u32) -> u32 {
        hash(hash(self.key ^ pair.wrapping_mul(0x85eb_ca6b)) ^ self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every 2^m samples put exactly one point into each elementary interval.
    #[test]
    fn pairs_are_stratified() {
        for m in [2u32, 4, 6, 8] {
            let points: Vec<[u32; 2]> = (0..1u32 << m)
                .map(|i| Sampler::new(7, 3, i).pair(5))
                .collect();
            for bits in 0..=m {
                let mut cells: Vec<u32> = points
                    .iter()
                    .map(|&[x, y]| {
                        let top = |v: u32, n: u32| if n == 0 { 0 } else { v >> (32 - n) };
                        top(x, bits) << (m - bits) | top(y, m - bits)
                    })
                    .collect();
                cells.sort_unstable();
                cells.dedup();
                assert_eq!(cells.len(), points.len(), "2^{m} points, {bits} bits of x");
            }
        }
    }
}
