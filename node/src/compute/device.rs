//! Choosing a device: opened, admitted by the canary, and measured on every kernel.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use starling_kernels::canary::{CanaryError, canary};
use starling_kernels::render::{RenderParams, scene};
use starling_kernels::runner::{
    AdapterChoice, CpuRunner, DeviceInfo, DeviceKind as RunnerKind, GpuProcess, Runner,
    RunnerCommand, RunnerError, START,
};
use starling_kernels::shader::ours;
use starling_kernels::{JobSpec, Kernel, KernelError, brings_code, fractal, kernels, matmul, noop};
use starling_protocol::Tier;
use starling_protocol::advert::{DeviceKind, DeviceProfile, KernelOffer};
use starling_protocol::text::cut;

use super::Backend;

/// How long a kernel is measured.
const MEASURE: Duration = Duration::from_millis(150);

/// What the owner wants to compute with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The best GPU that passes the canary, else the CPU.
    Auto,
    /// The native CPU route.
    Cpu,
    /// A software driver: for tests.
    Software,
    /// The adapter whose name contains this text.
    Adapter(String),
}

/// Why the wanted device does not compute.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// It could not be opened.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// It computes wrongly.
    #[error(transparent)]
    Canary(#[from] CanaryError),
    /// No adapter has that name.
    #[error("no adapter's name contains {wanted:?}; `starling doctor` lists: {found}")]
    NoSuchAdapter {
        /// What was asked for.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// A kernel's own benchmark job does not load: a bug of this build.
    #[error("benchmark job: {0}")]
    Benchmark(#[from] KernelError),
}

/// What a device offers to a swarm.
#[derive(Clone, Debug)]
pub struct Capability {
    /// The device as advertised.
    pub profile: DeviceProfile,
    /// Every kernel with its measured speed.
    pub kernels: Vec<KernelOffer>,
    /// Why a GPU is not used although there was hope for one.
    pub note: Option<String>,
}

/// Opens, admits and measures a device. Blocks for up to some seconds.
pub fn open(
    choice: &DeviceChoice,
    require_gpu: bool,
    runner: &RunnerCommand,
) -> Result<(Backend, Capability), DeviceError> {
    let (mut device, note) = chosen(choice, require_gpu, runner)?;
    let profile = profile(device.describe());
    let mut offers = match &mut device {
        Runner::Cpu(_) => cpu_offers()?,
        gpu => offers(gpu)?,
    };
    // Code of strangers only where it can do no harm.
    if let Err(error) = confinement(runner) {
        tracing::info!(%error, "jobs that bring their own code are not offered");
        offers.retain(|o| !brings_code(starling_kernels::KernelId(*o.kernel.as_bytes())));
    }
    Ok((
        Backend::new(device, runner),
        Capability {
            profile,
            kernels: offers,
            note,
        },
    ))
}

/// The device, admitted; and why it is no GPU although there was hope for one.
pub(super) fn chosen(
    choice: &DeviceChoice,
    require_gpu: bool,
    runner: &RunnerCommand,
) -> Result<(Runner, Option<String>), DeviceError> {
    let cpu = || Runner::Cpu(CpuRunner::new());
    Ok(match choice {
        DeviceChoice::Cpu => (cpu(), None),
        DeviceChoice::Software => (admitted(runner, AdapterChoice::Software)?, None),
        DeviceChoice::Adapter(name) => (admitted(runner, named(runner, name)?)?, None),
        DeviceChoice::Auto => match admitted(runner, AdapterChoice::Hardware) {
            Ok(gpu) => (gpu, None),
            Err(error) if require_gpu => return Err(error),
            Err(error) => (cpu(), Some(error.to_string())),
        },
    })
}

/// How to start a device process: this program again.
///
/// # Errors
/// The system does not tell where this program lies.
pub fn device_process() -> std::io::Result<RunnerCommand> {
    Ok(RunnerCommand {
        exe: std::env::current_exe()?,
        args: vec!["__runner".into()],
    })
}

/// Whether a process of this program can be confined.
///
/// # Errors
/// Why not.
pub fn confinement(command: &RunnerCommand) -> Result<(), RunnerError> {
    let surveyed = command.survey(ours::SHADER, None, &[], START)?;
    debug_assert!(surveyed.is_ok(), "this build's own shader: {surveyed:?}");
    Ok(())
}

fn admitted(command: &RunnerCommand, choice: AdapterChoice) -> Result<Runner, DeviceError> {
    let mut runner = Runner::Gpu(Box::new(GpuProcess::spawn(command.clone(), choice, START)?));
    canary(&mut runner)?;
    Ok(runner)
}

fn named(command: &RunnerCommand, wanted: &str) -> Result<AdapterChoice, DeviceError> {
    let adapters = command.adapters(START)?;
    let matches = |d: &&DeviceInfo| d.name.to_lowercase().contains(&wanted.to_lowercase());
    match adapters.iter().find(matches) {
        Some(device) => Ok(AdapterChoice::Nth(device.index)),
        None => {
            let found: Vec<_> = adapters.iter().map(|d| d.name.as_str()).collect();
            let found = if found.is_empty() {
                "none".into()
            } else {
                found.join(", ")
            };
            Err(DeviceError::NoSuchAdapter {
                wanted: wanted.to_owned(),
                found,
            })
        }
    }
}

fn profile(device: &DeviceInfo) -> DeviceProfile {
    let kind = match device.kind {
        RunnerKind::DiscreteGpu | RunnerKind::VirtualGpu => DeviceKind::Discrete,
        RunnerKind::IntegratedGpu => DeviceKind::Integrated,
        RunnerKind::Cpu if device.backend == "native" => DeviceKind::Cpu,
        RunnerKind::Cpu => DeviceKind::Software,
        RunnerKind::Other => DeviceKind::Other,
    };
    DeviceProfile {
        kind,
        name: cut(&device.name),
    }
}

fn offers(device: &mut Runner) -> Result<Vec<KernelOffer>, DeviceError> {
    kernels()
        .iter()
        .map(|kernel| measure(device, *kernel))
        .collect()
}

/// Measured once: other peers of this process have the same processor.
fn cpu_offers() -> Result<Vec<KernelOffer>, DeviceError> {
    static KNOWN: Mutex<Option<Vec<KernelOffer>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(offers) = &*known {
        return Ok(offers.clone());
    }
    let offers = offers(&mut Runner::Cpu(CpuRunner::new()))?;
    *known = Some(offers.clone());
    Ok(offers)
}

/// Work units per second on a small job of the kernel's kind.
fn measure(device: &mut Runner, kernel: &dyn Kernel) -> Result<KernelOffer, DeviceError> {
    let job = benchmark(kernel)?;
    let shape = device.load(&job, START)?;
    let tiles: Vec<u32> = (0..shape.tiles).collect();
    // Warm up: shaders are compiled at their first dispatch.
    device.run(&tiles[..1], START)?;
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed() < MEASURE {
        device.run(&tiles, START)?;
        done += u64::from(shape.tiles);
    }
    let units = done as f64 * shape.units_per_tile as f64;
    Ok(KernelOffer {
        kernel: kernel.id().0.into(),
        class: cut(kernel.name()),
        tier: tier(shape.tier),
        units_per_s: ((units / start.elapsed().as_secs_f64()) as u64).max(1),
        price: 0,
    })
}

/// The protocol's word for a kernel's tier.
pub fn tier(tier: starling_kernels::Tier) -> Tier {
    match tier {
        starling_kernels::Tier::Exact => Tier::Exact,
        starling_kernels::Tier::Canonical => Tier::Canonical,
        starling_kernels::Tier::Tolerance => Tier::Tolerance,
    }
}

/// A small job of the kernel's kind.
///
/// # Errors
/// None, or a bug of this build.
pub fn benchmark(kernel: &dyn Kernel) -> Result<JobSpec, KernelError> {
    let (params, inputs) = match kernel.name() {
        "render" => {
            let params = RenderParams {
                width: 64,
                height: 64,
                passes: 1,
                ..RenderParams::bundled()
            };
            (params.to_bytes(), vec![scene::bundled().to_bytes().into()])
        }
        "matmul" => {
            let edge = 256;
            let params = matmul::Params {
                rows: edge,
                inner: edge,
                columns: edge,
            };
            let factor: Arc<[u8]> = (0..edge * edge).map(|i| ((i * 151) >> 3) as u8).collect();
            (params.encode(), vec![factor.clone(), factor])
        }
        "noop" => {
            let params = noop::Params {
                tiles: 1024,
                words: 64,
                seed: 0,
            };
            (params.encode(), Vec::new())
        }
        "wgsl" => return ours::job(64, 1 << 20, 0),
        _ => {
            let params = fractal::Params::mandelbrot(128, 128, 1_000);
            (params.encode(), Vec::new())
        }
    };
    Ok(JobSpec {
        kernel: kernel.id(),
        params,
        inputs,
    })
}
