//! The start-up test that admits a device to the canonical tier, and the kernel it runs.
//!
//! [`Canary`] is a kernel like any other (pair of `canary.wgsl`): every canonical operation on a table of operands,
//! one word out per entry. It is not offered to the swarm. [`canary`] runs it and a small picture by each
//! kernel that is offered on a device, and compares BLAKE3 hashes with the CPU reference of this process.
//! Invariant: a device that fails here never computes canonical work.

use std::borrow::Cow;
use std::sync::Arc;

use crate::canon::{Canon, Real, Vec3, sum32};
use crate::kernel::{JobSpec, Kernel, KernelError, MAX_TILES, Plan, Prepared, Shape, Tier};
use crate::runner::{CpuRunner, Runner, RunnerError, START};
use crate::{fractal, matmul, noop, render};

/// Operations of the table, by their number.
pub const OPERATIONS: [&str; 21] = [
    "load",
    "add",
    "sub",
    "mul",
    "div",
    "sqrt",
    "exp",
    "log",
    "sin",
    "cos",
    "min",
    "max",
    "floor",
    "neg-abs",
    "from-u32",
    "to-u32",
    "vector",
    "sum32",
    "chain",
    "div-skewed",
    "sqrt-skewed",
];

/// Table entries of one tile.
pub const TILE_ENTRIES: usize = 256;
const ENTRY_BYTES: usize = 12;
/// Operands whose pairs meet every rule: zeros, subnormals, values around the flush and saturation limits, ties,
/// integers around 2^24, reduction limits of exp and sin, infinities, NaNs.
#[rustfmt::skip]
pub const EDGES: [u32; 40] = [
    0x0000_0000, 0x8000_0000, 0x0000_0001, 0x807f_ffff, 0x0080_0000, 0x0d7f_ffff, 0x0d80_0000, 0x8d80_0000,
    0x0d80_0001, 0x8d80_0001, 0x0e00_0000, 0x2680_0000, 0x3380_0000, 0x3400_0000, 0x3f00_0000, 0x3f7f_ffff,
    0x3f80_0000, 0xbf80_0000, 0x3f80_0001, 0x3fc0_0000, 0x4000_0000, 0x4040_0000, 0x40c9_0fdb, 0x3fc9_0fdb,
    0x4b7f_ffff, 0x4b80_0000, 0x4b80_0001, 0x428a_a123, 0x428c_0000, 0xc28c_0001, 0x4780_0000, 0x4780_0001,
    0x4f80_0000, 0x5880_0000, 0x717f_ffff, 0x7180_0000, 0xf180_0001, 0x7f7f_ffff, 0xff80_0000, 0x7fc0_0001,
];

/// Why a device was not admitted.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// The device computed other bytes than the CPU reference.
    #[error(
        "{device} computes {job} differently from the CPU reference (hash {got}, expected {expected}): not admitted to verified work"
    )]
    Differs {
        /// The device's name.
        device: String,
        /// Which of the canary's jobs.
        job: &'static str,
        /// Hash of the device's bytes.
        got: blake3::Hash,
        /// Hash of the reference's bytes.
        expected: blake3::Hash,
    },
    /// It did not finish.
    #[error("{device} failed the start-up test: {error}")]
    Failed {
        /// The device's name.
        device: String,
        /// What happened.
        error: RunnerError,
    },
}

/// Runs the canary on a device. Leaves the canary's last job loaded.
pub fn canary(runner: &mut Runner) -> Result<(), CanaryError> {
    let device = runner.describe().name.clone();
    for (name, job) in jobs() {
        let compute = |runner: &mut Runner| {
            let shape = runner.load(&job, START)?;
            let tiles: Vec<u32> = (0..shape.tiles).collect();
            runner.run(&tiles, START).map(|bytes| blake3::hash(&bytes))
        };
        let failed = |error| CanaryError::Failed {
            device: device.clone(),
            error,
        };
        let expected = compute(&mut Runner::Cpu(CpuRunner::new())).map_err(failed)?;
        let got = compute(runner).map_err(failed)?;
        if got != expected {
            return Err(CanaryError::Differs {
                device,
                job: name,
                got,
                expected,
            });
        }
    }
    Ok(())
}

/// What the canary computes: every operation on all edge pairs and on fixed ordinary operands, then a small
/// job of every kernel that is offered.
fn jobs() -> Vec<(&'static str, JobSpec)> {
    let mut entries = Vec::new();
    for op in 0..OPERATIONS.len() as u32 {
        for a in EDGES {
            entries.extend(EDGES.iter().map(|&b| [op, a, b]));
        }
        let mut state = 0x9e37_79b9u32;
        let mut next = || {
            state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
            // Magnitudes 2^-8 to 2^8, both signs.
            let exponent = 119 + (state >> 8) % 16;
            (state & 0x8000_0000) | (exponent << 23) | (state.rotate_left(11) & 0x7f_ffff)
        };
        entries.extend((0..2048).map(|_| [op, next(), next()]));
    }
    let mandelbrot = JobSpec {
        kernel: fractal::Fractal.id(),
        params: fractal::Params::mandelbrot(32, 32, 512).encode(),
        inputs: Vec::new(),
    };
    let picture = render::RenderParams {
        width: 48,
        height: 32,
        passes: 1,
        spp_per_pass: 2,
        ..render::RenderParams::bundled()
    };
    let bundled = JobSpec {
        kernel: render::Render.id(),
        params: picture.to_bytes(),
        inputs: vec![render::scene::bundled().to_bytes().into()],
    };
    let bytes = |len: usize| {
        (0..len)
            .map(|i| (i * 151 + i / 7) as u8)
            .collect::<Arc<[u8]>>()
    };
    let product = matmul::Params {
        rows: 70,
        inner: 300,
        columns: 67,
    };
    let product = JobSpec {
        kernel: matmul::Matmul.id(),
        params: product.encode(),
        inputs: vec![bytes(70 * 300), bytes(300 * 67)],
    };
    let words = noop::Params {
        tiles: 16,
        words: 100,
        seed: 7,
    };
    let words = JobSpec {
        kernel: noop::Noop.id(),
        params: words.encode(),
        inputs: Vec::new(),
    };
    vec![
        ("canonical operations", job(&entries)),
        ("fractal", mandelbrot),
        ("render", bundled),
        ("matmul", product),
        ("noop", words),
    ]
}

/// A job that applies `[operation, a, b]` triples: word `i` of the output is the result of entry `i`.
/// The last tile is filled up with zero entries.
pub fn job(entries: &[[u32; 3]]) -> JobSpec {
    let mut table: Vec<u8> = entries
        .iter()
        .flatten()
        .flat_map(|w| w.to_le_bytes())
        .collect();
    table.resize(table.len().next_multiple_of(TILE_ENTRIES * ENTRY_BYTES), 0);
    JobSpec {
        kernel: Canary.id(),
        params: Vec::new(),
        inputs: vec![table.into()],
    }
}

/// The kernel.
pub struct Canary;

impl Kernel for Canary {
    fn name(&self) -> &'static str {
        "canary"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("canary.wgsl")
    }

    fn shape(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Shape, KernelError> {
        admit(params, inputs).map(|table| table.shape())
    }

    fn prepare(
        &self,
        params: &[u8],
        inputs: &[Arc<[u8]>],
    ) -> Result<Box<dyn Prepared>, KernelError> {
        Ok(Box::new(admit(params, inputs)?))
    }

    fn plan(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Plan, KernelError> {
        let table = admit(params, inputs)?;
        Ok(Plan {
            groups_per_tile: 4,
            buffers: vec![Cow::Owned(table.0.to_vec())],
            turns: 0,
            module: None,
        })
    }
}

struct Table(Arc<[u8]>);

fn admit(params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Table, KernelError> {
    if !params.is_empty() {
        return Err(KernelError::Params("the canary takes none".into()));
    }
    let bytes = TILE_ENTRIES * ENTRY_BYTES;
    match inputs {
        [table]
            if !table.is_empty()
                && table.len().is_multiple_of(bytes)
                && table.len() / bytes <= MAX_TILES as usize =>
        {
            Ok(Table(table.clone()))
        }
        _ => Err(KernelError::Input {
            index: 0,
            reason: format!("the canary takes one table of whole tiles ({bytes} bytes)"),
        }),
    }
}

impl Prepared for Table {
    fn shape(&self) -> Shape {
        Shape {
            tiles: (self.0.len() / (TILE_ENTRIES * ENTRY_BYTES)) as u32,
            tile_bytes: TILE_ENTRIES as u32 * 4,
            units_per_tile: TILE_ENTRIES as u64 * 100,
            tier: Tier::Canonical,
        }
    }

    fn tile(&self, tile: u32, out: &mut [u8]) {
        let bytes = TILE_ENTRIES * ENTRY_BYTES;
        let entries = self.0[tile as usize * bytes..][..bytes].chunks_exact(ENTRY_BYTES);
        for (entry, word) in entries.zip(out.chunks_exact_mut(4)) {
            let w =
                |i: usize| u32::from_le_bytes([entry[i], entry[i + 1], entry[i + 2], entry[i + 3]]);
            word.copy_from_slice(&apply(w(0), w(4), w(8)).to_le_bytes());
        }
    }
}

/// The result of one entry, as bits.
pub fn apply(op: u32, ua: u32, ub: u32) -> u32 {
    let a = Canon::new(f32::from_bits(ua));
    let b = Canon::new(f32::from_bits(ub));
    let value = match op {
        0 => a,
        1 => a + b,
        2 => a - b,
        3 => a * b,
        4 => a / b,
        5 => a.sqrt(),
        6 => a.exp(),
        7 => a.ln(),
        8 => a.sin(),
        9 => a.cos(),
        10 => a.min(b),
        11 => a.max(b),
        12 => a.floor(),
        13 => -a.abs(),
        14 => Canon::from_u32(ua),
        15 => return a.to_u32(),
        16 => vector(a, b),
        17 => sum32(std::array::from_fn(|i| a + Canon::from_u32(i as u32) * b)),
        18 => chain(a, b),
        // Of sums, which reach farther than products; and the device starts from a spoilt proposal.
        19 => (a + b) / (a - b),
        _ => (a + b).sqrt(),
    };
    value.to_bits()
}

/// Every vector function once.
fn vector(a: Canon, b: Canon) -> Canon {
    let p = Vec3::new(a, b, Canon::ONE);
    let q = (Vec3::new(b, a, Canon::new(0.5)) - -p).normalize();
    let r = p.cross(q).min(p.scale(b)).max((p + q) * q);
    r.dot(q) + r.length()
}

/// A dependent chain of multiply-adds: what a contracting compiler changes.
pub fn chain<R: Real>(a: R, b: R) -> R {
    let mut s = a;
    for _ in 0..16 {
        s = s * b + a;
        s = (s * s + a * b) * R::from_f32(0.37);
        if s.abs() > R::from_f32(1000.0) {
            s = s * R::from_f32(1e-4) + b;
        }
    }
    s
}
