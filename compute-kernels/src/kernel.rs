//! What a kernel is: a pair of WGSL and Rust with random access to tiles and a declared cost.
//!
//! A kernel owns the meaning of its parameters and inputs, which come from strangers: `shape` validates them
//! completely, and nothing here panics on any bytes. It is not a runner: it neither holds a device nor picks threads.
//! Invariant: for the exact and canonical tiers both sides give the same bytes for the same (job, tile).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::canon;
use crate::shader;

/// Largest tile, in bytes.
pub const MAX_TILE_BYTES: u32 = 64 * 1024;
/// Largest parameter block, in bytes.
pub const MAX_PARAMS_BYTES: usize = 16 * 1024;
/// Largest number of input blobs of a job.
pub const MAX_INPUTS: usize = 16;
/// Largest input blob, in bytes.
pub const MAX_INPUT_BYTES: usize = 2 << 30;
/// Largest number of tiles of a job.
pub const MAX_TILES: u32 = 1 << 24;

/// Version of the tile and dispatch rules of this file and `dispatch.wgsl`; part of every kernel id.
const RULES_VERSION: u32 = 1;

/// BLAKE3 over name, shader sources, the kernel's revision, canonical-library and rules version: version skew never
/// looks like a lie.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KernelId(pub [u8; 32]);

impl fmt::Display for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for KernelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KernelId({self})")
    }
}

/// A computation: what runs, and on what. The bytes are a stranger's.
#[derive(Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// Which kernel.
    pub kernel: KernelId,
    /// The kernel's own fixed-width little-endian parameter block.
    pub params: Vec<u8>,
    /// Input blobs in the order the kernel defines.
    pub inputs: Vec<Arc<[u8]>>,
}

impl fmt::Debug for JobSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs: Vec<usize> = self.inputs.iter().map(|i| i.len()).collect();
        f.debug_struct("JobSpec")
            .field("kernel", &self.kernel)
            .field("params_bytes", &self.params.len())
            .field("inputs_bytes", &inputs)
            .finish()
    }
}

impl JobSpec {
    /// The kernel, after a look at the sizes of what it will be given.
    pub fn kernel(&self) -> Result<&'static dyn Kernel, KernelError> {
        self.check_sizes()?;
        crate::kernel(self.kernel)
    }

    /// The kernel of a job that may be computed in any process. Every way to a computation outside of a confined one
    /// starts here.
    pub fn trusted(&self) -> Result<&'static dyn Kernel, KernelError> {
        let kernel = self.kernel()?;
        if self.is_guest() {
            return Err(KernelError::Guest);
        }
        Ok(kernel)
    }

    /// Whether it brings code of a stranger, which is looked at and run in confined processes only.
    pub fn is_guest(&self) -> bool {
        crate::brings_code(self.kernel)
            && self.inputs.first().map(|shader| &**shader) != Some(shader::ours::SHADER.as_bytes())
    }

    fn check_sizes(&self) -> Result<(), KernelError> {
        if self.params.len() > MAX_PARAMS_BYTES {
            return Err(KernelError::Params(format!(
                "more than {MAX_PARAMS_BYTES} bytes"
            )));
        }
        let too_large = |i: &Arc<[u8]>| i.len() > MAX_INPUT_BYTES;
        if let Some(index) = self.inputs.iter().position(too_large) {
            let reason = format!("more than {MAX_INPUT_BYTES} bytes");
            return Err(KernelError::Input { index, reason });
        }
        if self.inputs.len() > MAX_INPUTS {
            let (index, reason) = (MAX_INPUTS, format!("more than {MAX_INPUTS} inputs"));
            return Err(KernelError::Input { index, reason });
        }
        Ok(())
    }

    /// Validates the job, completely unless it brings code, and cuts it into tiles.
    pub fn shape(&self) -> Result<Shape, KernelError> {
        self.kernel()?.shape(&self.params, &self.inputs)
    }

    /// The CPU reference for this job, unless it brings code of a stranger.
    pub fn prepare(&self) -> Result<Box<dyn Prepared>, KernelError> {
        self.trusted()?.prepare(&self.params, &self.inputs)
    }
}

/// How results of a kernel compare between devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Integer arithmetic only: byte for byte.
    Exact,
    /// Canonical floats: byte for byte on devices that passed the canary.
    Canonical,
    /// Native floats: within the kernel's error bound.
    Tolerance,
}

/// A job cut into tiles. Tiles are numbered `0..tiles` and each can be computed alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Number of tiles, 1 to [`MAX_TILES`].
    pub tiles: u32,
    /// Output bytes of every tile: a multiple of 4, at most [`MAX_TILE_BYTES`].
    pub tile_bytes: u32,
    /// Declared cost of a tile in operations. Never measured.
    pub units_per_tile: u64,
    /// How results compare.
    pub tier: Tier,
}

/// Why a job is not computable. The text names what is wrong with the parameters or inputs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum KernelError {
    /// The kernel id is not one of this build's.
    #[error("unknown kernel {0}: the job was made by another version")]
    UnknownKernel(KernelId),
    /// The parameter block does not decode or is out of range.
    #[error("bad parameters: {0}")]
    Params(String),
    /// An input blob is missing, malformed or too large.
    #[error("bad input {index}: {reason}")]
    Input {
        /// Which blob.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It brings code of a stranger.
    #[error("the job brings its own code, which runs in confined processes only")]
    Guest,
    /// Its own code has no result: see `shader::interp::Fault`.
    #[error("the shader is at fault in tile {tile}: {why}")]
    Fault {
        /// Where it was found out.
        tile: u32,
        /// What it did.
        why: String,
    },
    /// A requested tile does not exist.
    #[error("tile {tile} requested, but the job has {tiles}")]
    NoSuchTile {
        /// The requested index.
        tile: u32,
        /// How many there are.
        tiles: u32,
    },
}

/// A WGSL + Rust pair.
pub trait Kernel: Send + Sync {
    /// Unique name, also its class in adverts and boards.
    fn name(&self) -> &'static str;

    /// The kernel's own WGSL. [`source`](Kernel::source) prepends `dispatch.wgsl` and `canon.wgsl`.
    /// The entry point is `main`, a compute shader that starts with `c_zero = dispatch.zero;`.
    fn wgsl(&self) -> &'static str;

    /// Validates a job completely (bounded time and memory, no panic) and cuts it into tiles.
    fn shape(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Shape, KernelError>;

    /// The CPU reference, ready to compute tiles of this job.
    fn prepare(
        &self,
        params: &[u8],
        inputs: &[Arc<[u8]>],
    ) -> Result<Box<dyn Prepared>, KernelError>;

    /// What a GPU binds to compute tiles of this job.
    fn plan(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Plan, KernelError>;

    /// Raised when other bytes come out although the WGSL stayed the same: part of the id.
    fn revision(&self) -> u32 {
        1
    }

    /// See [`KernelId`].
    fn id(&self) -> KernelId {
        let mut hasher = blake3::Hasher::new_derive_key("starling 2026-11 kernel id v1");
        for part in [self.name(), self.wgsl(), DISPATCH_WGSL, canon::WGSL] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        for version in [self.revision(), canon::VERSION, RULES_VERSION] {
            hasher.update(&version.to_le_bytes());
        }
        KernelId(*hasher.finalize().as_bytes())
    }

    /// The complete shader.
    fn source(&self) -> String {
        [DISPATCH_WGSL, canon::WGSL, self.wgsl()].join("\n")
    }
}

const DISPATCH_WGSL: &str = include_str!("dispatch.wgsl");

/// What one thread computes tile after tile with.
pub type Worker<'a> = Box<dyn FnMut(u32, &mut [u8]) + 'a>;

/// A job prepared for the CPU.
pub trait Prepared: Send + Sync {
    /// What `Kernel::shape` said.
    fn shape(&self) -> Shape;

    /// Computes one tile, `tile < shape().tiles`, into `out`, which is `shape().tile_bytes` zeros.
    fn tile(&self, tile: u32, out: &mut [u8]);

    /// Why a tile has stayed empty: the job's own code has no result for it. The kernels of this crate always have one.
    fn fault(&self) -> Option<KernelError> {
        None
    }

    /// The most that the loops of one invocation have cost so far, where the job's own code has fuel for them.
    fn burnt(&self) -> Option<u32> {
        None
    }

    /// As [`Prepared::tile`], for one thread that computes many: what it needs each time is made once.
    fn worker(&self) -> Worker<'_> {
        Box::new(|tile, out| self.tile(tile, out))
    }

    /// Computes tiles on all cores: their bytes one after the other in the order asked. What peers run is
    /// [`crate::runner::CpuRunner`], which can also end in the middle.
    fn run(&self, tiles: &[u32]) -> Vec<u8> {
        let tile_bytes = self.shape().tile_bytes as usize;
        let mut out = vec![0; tile_bytes * tiles.len()];
        out.par_chunks_mut(tile_bytes)
            .zip(tiles)
            .for_each_init(|| self.worker(), |work, (out, &tile)| work(tile, out));
        out
    }
}

/// A job prepared for a GPU. Buffer `i` is bound read-only at `@binding(2 + i)`.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Workgroups that compute one tile together: `workgroup_id.y` runs below this.
    pub groups_per_tile: u32,
    /// Contents of the storage buffers, each not empty and a multiple of 4 bytes.
    pub buffers: Vec<Cow<'static, [u8]>>,
    /// Turns that all loops of one invocation can make together, where that is not the kernel's own affair; else 0.
    pub turns: u32,
    /// The shader, where it comes with the job and not from [`Kernel::source`].
    pub module: Option<Box<naga::Module>>,
}

impl Shape {
    /// Whether `tiles` may be computed: every index exists.
    pub fn check(&self, tiles: &[u32]) -> Result<(), KernelError> {
        match tiles.iter().find(|&&t| t >= self.tiles) {
            Some(&tile) => Err(KernelError::NoSuchTile {
                tile,
                tiles: self.tiles,
            }),
            None => Ok(()),
        }
    }
}
