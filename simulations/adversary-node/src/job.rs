//! Short jobs with a known end: what honest requesters ask for while adversaries are about, and what is true of it.

use starling::api::types::JobOrder;
use starling::cli::exit::Failure;
use starling::compute::tier;
use starling::jobs::account::hex;
use starling_kernels::{JobSpec, Kernel as _, fractal, noop};
use starling_protocol::io::{Shape, Submission};

/// Words of a no-op's tile: 512 tiles are a slice that is handed over in one message.
const WORDS: u32 = 8;
/// Seconds until nothing of a job is computed any more.
pub const DEADLINE_S: u64 = 90;

/// A job, and how it is cut.
#[derive(Clone, Debug)]
pub struct Work {
    spec: JobSpec,
    /// Tiles of a slice.
    pub slice_tiles: u32,
    /// Other peers that hold the job at most; the daemon's own number if none is said.
    stewards: Option<u16>,
}

impl Work {
    /// One slice of tiles that cost nothing; `seed` makes jobs differ.
    pub fn noop(tiles: u32, seed: u32) -> Self {
        let params = noop::Params {
            tiles,
            words: WORDS,
            seed,
        };
        Self {
            spec: JobSpec {
                kernel: noop::Noop.id(),
                params: params.encode(),
                inputs: Vec::new(),
            },
            slice_tiles: tiles,
            stewards: None,
        }
    }

    /// The same, held by its requester alone: nobody of the roster is a steward, and anybody may audit.
    #[must_use]
    pub fn held_alone(self) -> Self {
        Self {
            stewards: Some(0),
            ..self
        }
    }

    /// The same tiles in slices of so many.
    #[must_use]
    pub fn cut(self, slice_tiles: u32) -> Self {
        Self {
            slice_tiles,
            ..self
        }
    }

    /// A small picture of the Mandelbrot set, 256 tiles of 1 KiB in 8 slices: outputs that are fetched as blobs.
    pub fn fractal(seed: u32) -> Self {
        let iterations = 200 + seed % 1000;
        Self {
            spec: JobSpec {
                kernel: fractal::Fractal.id(),
                params: fractal::Params::mandelbrot(256, 256, iterations).encode(),
                inputs: Vec::new(),
            },
            slice_tiles: 32,
            stewards: None,
        }
    }

    fn shape(&self) -> Result<starling_kernels::Shape, Failure> {
        self.spec.shape().map_err(Failure::of)
    }

    /// Its kernel's id.
    pub fn kernel(&self) -> String {
        self.spec.kernel.to_string()
    }

    /// The order for a daemon's local API, which waits for so many peers.
    pub fn order(&self, peers: u32) -> JobOrder {
        JobOrder {
            kernel: self.kernel(),
            params: hex(&self.spec.params),
            inputs: Vec::new(),
            slice_tiles: Some(self.slice_tiles),
            deadline_s: Some(DEADLINE_S),
            max_price: None,
            stewards: self.stewards,
            // The strength that the formula is about, whatever the workers have proven.
            full_audits: true,
            peers: Some(peers),
            wait_s: Some(30.0),
            output: None,
            cli: None,
        }
    }

    /// The submission for a node of this process.
    ///
    /// # Errors
    /// What its kernel says.
    pub fn submission(&self) -> Result<Submission, Failure> {
        let shape = self.shape()?;
        Ok(Submission {
            kernel: self.spec.kernel.0.into(),
            class: self.spec.kernel().map_err(Failure::of)?.name().to_owned(),
            params: self.spec.params.clone(),
            inputs: Vec::new(),
            shape: Shape {
                tiles: shape.tiles,
                tile_bytes: shape.tile_bytes,
                units_per_tile: shape.units_per_tile,
                tier: tier(shape.tier),
            },
            slice_tiles: Some(self.slice_tiles),
            max_price: None,
            stewards: None,
            full_audits: false,
            deadline_in_s: DEADLINE_S,
        })
    }

    /// What a run here alone gives, slice by slice.
    ///
    /// # Errors
    /// What its kernel says.
    pub fn truth(&self) -> Result<Vec<Vec<u8>>, Failure> {
        let tiles: Vec<u32> = (0..self.shape()?.tiles).collect();
        let prepared = self.spec.prepare().map_err(Failure::of)?;
        let slices = tiles.chunks(self.slice_tiles.max(1) as usize);
        Ok(slices.map(|tiles| prepared.run(tiles)).collect())
    }
}
