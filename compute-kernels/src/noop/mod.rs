//! The no-op: tiles that cost next to nothing to compute and cannot be guessed without computing them.
//!
//! Pair of `noop.wgsl`. It measures what everything around a kernel costs: leases, transfer, audits, receipts. Peers
//! offer it like any other kernel, so that a swarm's own overhead can be measured from anywhere in it.
//! Invariant: word `i` of tile `t` depends on seed, t and i alone.

use std::borrow::Cow;
use std::sync::Arc;

use crate::kernel::{Kernel, KernelError, MAX_TILE_BYTES, MAX_TILES, Plan, Prepared, Shape, Tier};

/// Integer operations of one output word, counted in the shader.
const OPS_PER_WORD: u64 = 12;
const ENCODED_LEN: usize = 12;

/// The kernel.
pub struct Noop;

/// How many tiles of what size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// 1 to [`MAX_TILES`].
    pub tiles: u32,
    /// Output words (u32) of a tile, 1 to a quarter of [`MAX_TILE_BYTES`].
    pub words: u32,
    /// Makes jobs differ.
    pub seed: u32,
}

impl Params {
    /// The parameter block: three little-endian words.
    pub fn encode(&self) -> Vec<u8> {
        let words = [self.tiles, self.words, self.seed];
        words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// Decodes and validates a parameter block.
    ///
    /// # Errors
    /// [`KernelError::Params`] for another length or a count out of range.
    pub fn decode(bytes: &[u8]) -> Result<Self, KernelError> {
        let bad = |why: String| Err(KernelError::Params(why));
        let &[a, b, c, d, e, f, g, h, i, j, k, l] = bytes else {
            let got = bytes.len();
            return bad(format!("noop takes {ENCODED_LEN} bytes, got {got}"));
        };
        let params = Params {
            tiles: u32::from_le_bytes([a, b, c, d]),
            words: u32::from_le_bytes([e, f, g, h]),
            seed: u32::from_le_bytes([i, j, k, l]),
        };
        if !(1..=MAX_TILES).contains(&params.tiles) {
            return bad(format!("tiles are 1 to {MAX_TILES}"));
        }
        if !(1..=MAX_TILE_BYTES / 4).contains(&params.words) {
            return bad(format!("words of a tile are 1 to {}", MAX_TILE_BYTES / 4));
        }
        Ok(params)
    }
}

/// Every bit of the argument reaches every bit of the result. Constants: C. Wellons, "Prospecting for Hash
/// Functions" (2018), the 32-bit permutation of lowest known bias with two multiplications.
fn mixed(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

impl Kernel for Noop {
    fn name(&self) -> &'static str {
        "noop"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("noop.wgsl")
    }

    fn shape(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Shape, KernelError> {
        admit(params, inputs).map(|p| p.shape())
    }

    fn prepare(
        &self,
        params: &[u8],
        inputs: &[Arc<[u8]>],
    ) -> Result<Box<dyn Prepared>, KernelError> {
        Ok(Box::new(admit(params, inputs)?))
    }

    fn plan(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Plan, KernelError> {
        admit(params, inputs)?;
        Ok(Plan {
            groups_per_tile: 1,
            buffers: vec![Cow::Owned(params.to_vec())],
            turns: 0,
            module: None,
        })
    }
}

fn admit(params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Params, KernelError> {
    if !inputs.is_empty() {
        return Err(KernelError::Input {
            index: 0,
            reason: "noop takes no inputs".into(),
        });
    }
    Params::decode(params)
}

impl Prepared for Params {
    fn shape(&self) -> Shape {
        Shape {
            tiles: self.tiles,
            tile_bytes: self.words * 4,
            units_per_tile: u64::from(self.words) * OPS_PER_WORD,
            tier: Tier::Exact,
        }
    }

    fn tile(&self, tile: u32, out: &mut [u8]) {
        let tile = mixed(tile ^ mixed(self.seed));
        for (word, bytes) in (0..).zip(out.chunks_exact_mut(4)) {
            bytes.copy_from_slice(&mixed(tile.wrapping_add(word)).to_le_bytes());
        }
    }
}
