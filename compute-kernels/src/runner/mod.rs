//! Runners: load a job, compute tiles of it. One interface over the CPU and over a GPU in a process of its own.
//!
//! A runner computes what it is told, one job at a time; queues, slices and retries are the node's business.
//! Invariant: whatever a driver does (hang, crash, lose its device) comes back as a [`RunnerError`], never as a
//! panic or an endless wait in the caller's process.

pub mod admission;
pub mod child;
mod cpu;
pub mod frame;
mod gpu;
mod guest;
mod patience;
mod process;
pub mod sandbox;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use cpu::CpuRunner;
pub use guest::GuestRunner;
pub use patience::Patience;
pub use process::{GpuProcess, RunnerCommand};

use crate::kernel::{JobSpec, KernelError, Shape};

/// Most output bytes of one `run` call. Callers cut larger work into several calls.
pub const MAX_RUN_BYTES: u64 = 256 << 20;

/// Longest that a process takes to start, open its device and compile a job's shader.
pub const START: Duration = Duration::from_secs(60);
/// Operations a second that the slowest device does which is of use to anybody.
const SLOWEST: u64 = 1 << 28;

/// Longest that a job's tiles may take, the first ones too, by what each declares to cost. A process that has not
/// answered by then never will.
pub fn time_for(tiles: usize, units_per_tile: u64) -> Duration {
    let units = (tiles as u64).saturating_mul(units_per_tile);
    START + Duration::from_secs(units / SLOWEST)
}

/// What computes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Marketing name, as the driver or the system tells it.
    pub name: String,
    /// Vendor's name, or its PCI number in hexadecimal.
    pub vendor: String,
    /// `vulkan`, `metal`, `dx12`, or `native` for the CPU runner.
    pub backend: String,
    /// What sort of device.
    pub kind: DeviceKind,
    /// Driver and its version; empty where unknown.
    pub driver: String,
    /// Place in the enumeration, for [`AdapterChoice::Nth`].
    pub index: u32,
    /// Largest buffer that a kernel may bind, in bytes.
    pub max_binding_bytes: u64,
}

/// What sort of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A GPU with its own memory.
    DiscreteGpu,
    /// A GPU that shares the CPU's memory.
    IntegratedGpu,
    /// A GPU lent by a hypervisor.
    VirtualGpu,
    /// A software implementation of a GPU interface, or the CPU runner itself.
    Cpu,
    /// The driver does not say.
    Other,
}

/// Which adapter a runner opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterChoice {
    /// The best real GPU. Never a software adapter: there, the CPU runner is faster.
    Hardware,
    /// The first software adapter, for tests and on request.
    Software,
    /// This one of the enumeration.
    Nth(u32),
}

/// What a device process computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// A GPU, or what passes for one.
    Adapter(AdapterChoice),
    /// The CPU references, and the interpreter of shaders.
    Cpu,
}

/// Why a runner did not deliver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum RunnerError {
    /// The job is not computable by anyone.
    #[error(transparent)]
    Job(#[from] KernelError),
    /// `run` before a successful `load`.
    #[error("no job is loaded")]
    NotLoaded,
    /// One call asked for too much output.
    #[error("one call returns at most {MAX_RUN_BYTES} bytes, {bytes} were asked for")]
    TooMuchOutput {
        /// Output bytes of the tiles asked for.
        bytes: u64,
    },
    /// There is no such adapter on this machine.
    #[error("no {wanted} found{hint}")]
    NoAdapter {
        /// What was looked for.
        wanted: String,
        /// What the user may do, or nothing.
        hint: String,
    },
    /// The job is too big for this device.
    #[error(
        "the job needs {} MiB in one {what}, this device allows {} MiB: use a smaller input or another device",
        needs.div_ceil(1 << 20),
        allows >> 20
    )]
    DeviceLimit {
        /// Which resource.
        what: String,
        /// Bytes.
        needs: u64,
        /// Bytes.
        allows: u64,
    },
    /// The job's loops may be longer than this device lets them be.
    #[error(
        "the shader's fuel lets its loops take {needs} turns, this device ends them after {allows}: use a GPU or the CPU"
    )]
    LoopTurns {
        /// Turns that the fuel is enough for.
        needs: u32,
        /// Turns.
        allows: u32,
    },
    /// The device or its driver refused something; it still answers.
    #[error("device error: {0}")]
    Device(String),
    /// The device is lost, or its process died. The next call starts a new one.
    #[error("the device was lost: {0}")]
    Lost(String),
    /// The call took too long.
    #[error("the device did not finish within {limit_ms} ms")]
    Deadline {
        /// The deadline that was given, in milliseconds.
        limit_ms: u64,
    },
    /// Whoever asked does not want it any more: see [`Patience::unless`].
    #[error("nobody waits for it any more")]
    Aborted,
    /// The process that holds the device could not be started.
    #[error("cannot start the device process {exe}: {reason}")]
    Spawn {
        /// The executable.
        exe: String,
        /// The system's reason.
        reason: String,
    },
}

/// The CPU, or one GPU.
pub enum Runner {
    /// In this process, on all cores.
    Cpu(CpuRunner),
    /// In a child process.
    Gpu(Box<GpuProcess>),
}

impl Runner {
    /// Makes `job` the current one. Fails without side effects on the process if the job or the device is bad.
    pub fn load<'a>(
        &mut self,
        job: &JobSpec,
        patience: impl Into<Patience<'a>>,
    ) -> Result<Shape, RunnerError> {
        match self {
            Runner::Cpu(cpu) => cpu.load(job),
            Runner::Gpu(gpu) => gpu.load(job, patience),
        }
    }

    /// Computes tiles of the current job: their bytes one after the other, in the order asked.
    pub fn run<'a>(
        &mut self,
        tiles: &[u32],
        patience: impl Into<Patience<'a>>,
    ) -> Result<Vec<u8>, RunnerError> {
        match self {
            Runner::Cpu(cpu) => cpu.run(tiles, patience),
            Runner::Gpu(gpu) => gpu.run(tiles, patience),
        }
    }

    /// The same for the first of `tiles`: one at least, and then as many as a CPU begins within `span`. How long it takes
    /// beyond that is a single tile's time. A GPU computes all of them: what it is given at once is the caller's choice.
    pub fn run_for<'a>(
        &mut self,
        tiles: &[u32],
        span: Duration,
        patience: impl Into<Patience<'a>>,
    ) -> Result<Vec<u8>, RunnerError> {
        match self {
            Runner::Cpu(cpu) => cpu.run_for(tiles, span, patience),
            Runner::Gpu(gpu) => gpu.run_for(tiles, span, patience),
        }
    }

    /// The same device, for another process to hold.
    pub fn engine(&self) -> Engine {
        match self {
            Runner::Cpu(_) => Engine::Cpu,
            Runner::Gpu(gpu) => Engine::Adapter(AdapterChoice::Nth(gpu.describe().index)),
        }
    }

    /// The device behind it.
    pub fn describe(&self) -> &DeviceInfo {
        match self {
            Runner::Cpu(cpu) => cpu.describe(),
            Runner::Gpu(gpu) => gpu.describe(),
        }
    }
}

/// Checks a request for tiles against the loaded job.
fn check_run(shape: &Shape, tiles: &[u32]) -> Result<(), RunnerError> {
    let bytes = tiles.len() as u64 * u64::from(shape.tile_bytes);
    if bytes > MAX_RUN_BYTES {
        return Err(RunnerError::TooMuchOutput { bytes });
    }
    Ok(shape.check(tiles)?)
}
