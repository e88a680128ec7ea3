//! What the core and its shell say to each other about computations: which, for what, and what came of them.

use crate::hash::{BlobId, Hash};
use crate::manifest::Tier;
use alloc::vec::Vec;

/// Names one computation that the core asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId(pub u64);

/// What a job's kernel makes of its parameters and inputs; told by the kernel, compared with the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Tiles of the whole job.
    pub tiles: u32,
    /// Output bytes of every tile.
    pub tile_bytes: u32,
    /// Declared cost of a tile.
    pub units_per_tile: u64,
    /// How results compare.
    pub tier: Tier,
}

/// Which device a computation may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A leased slice.
    Work,
    /// An auditor's tiles.
    Audit,
    /// A worker's look at one of its own tiles before it commits; on the CPU reference.
    SelfCheck,
    /// A disputed or opened tile; on the CPU reference.
    Judge,
    /// A slice that the requester computes itself because nobody else does.
    Own,
}

/// A finished computation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computed {
    /// BLAKE3 of every tile, in the order asked.
    pub tiles: Vec<Hash>,
    /// The name of all bytes together; only for `Work` and `Own`. The shell keeps them, unless it hands them over.
    pub blob: Option<BlobId>,
    /// Those bytes, if `Work` gave at most [`crate::config::INLINE_MAX`]; else none.
    pub bytes: Vec<u8>,
    /// Declared cost of all tiles of the job that was made up for a probe; else 0.
    pub units: u64,
}

impl Computed {
    /// Hashes alone: nothing that is kept.
    #[must_use]
    pub fn tiles(tiles: Vec<Hash>) -> Self {
        Self {
            tiles,
            blob: None,
            bytes: Vec::new(),
            units: 0,
        }
    }
}
