//! How fast this machine's devices run each kernel, beside a rival of the same run.

use std::time::{Duration, Instant};

use faer::{Accum, Mat, Par};
use rayon::prelude::*;
use serde::Serialize;
use starling_kernels::canon::{Canon, Real};
use starling_kernels::render::{PathTracer, RenderParams, TILE, TILE_BYTES, scene};
use starling_kernels::runner::{
    AdapterChoice, CpuRunner, GpuProcess, Runner, RunnerCommand, RunnerError,
};
use starling_kernels::{JobSpec, Kernel, Prepared as _, kernels, matmul};

use crate::compute::benchmark;
use crate::reason::Reason;

use super::shaders::ShaderRatio;

/// Opening a device, its shader compiler's first run included.
const DEADLINE: Duration = Duration::from_secs(120);
/// Edge of the matrices.
const EDGE: u32 = 1024;
/// Alternating runs of a ratio.
const RUNS: usize = 5;
/// Alternating rounds of products, and how long each of them lasts at least.
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(200);

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct KernelReport {
    /// Threads of the CPU route.
    pub threads: usize,
    /// Each kernel on each device.
    pub kernels: Vec<KernelSpeed>,
    /// Devices that could not be measured, and why.
    pub failed: Vec<Reason>,
    /// The CPU route's product beside the rival's.
    pub matmul: MatmulRatio,
    /// What canonical floats cost.
    pub canonical: Vec<CanonicalRatio>,
    /// What it costs to run shaders so that they can do no harm.
    pub shaders: Vec<ShaderRatio>,
}

/// One kernel on one device.
#[derive(Clone, Debug, Serialize)]
pub struct KernelSpeed {
    /// The device's name.
    pub device: String,
    /// Its interface.
    pub backend: String,
    /// The kernel's name.
    pub kernel: String,
    /// Tiles per second.
    pub tiles_per_s: f64,
    /// Declared operations per second.
    pub units_per_s: f64,
    /// The figure that the field uses: samples, pixels' iterations or operations per second.
    pub in_own_unit: f64,
    /// That unit.
    pub unit: &'static str,
}

/// i8 products, as peers run them, beside f32 products of the same shape, on the same threads, in alternating rounds that
/// each repeat the product for a while: what else the machine does meets both.
#[derive(Clone, Debug, Serialize)]
pub struct MatmulRatio {
    /// Edge of the square matrices.
    pub edge: u32,
    /// Threads of either side.
    pub threads: usize,
    /// Rounds of either side.
    pub rounds: usize,
    /// 10^9 i8 operations per second, CPU route: the best round.
    pub gop_per_s: f64,
    /// The same, the median round.
    pub gop_per_s_median: f64,
    /// 10^9 f32 operations per second of `faer`: the best round.
    pub faer_f32_gflop_per_s: f64,
    /// The same, the median round.
    pub faer_f32_gflop_per_s_median: f64,
    /// Best over best.
    pub ratio: f64,
    /// The median of the rounds' ratios, each over the rival's round beside it.
    pub ratio_median: f64,
}

/// Canonical over native time of the same code.
#[derive(Clone, Debug, Serialize)]
pub struct CanonicalRatio {
    /// The kernel.
    pub kernel: String,
    /// Median of alternating runs.
    pub time_over_native: f64,
}

/// Measures everything; `seconds` for each kernel on each device. `say` is told what comes next.
///
/// # Errors
/// If this build's own jobs do not load.
pub fn measure(
    command: &RunnerCommand,
    seconds: f64,
    say: &dyn Fn(&str),
) -> Result<KernelReport, RunnerError> {
    let mut report = KernelReport {
        threads: rayon::current_num_threads(),
        kernels: Vec::new(),
        failed: Vec::new(),
        matmul: matmul_ratio(say)?,
        canonical: vec![canonical_render(say)],
        shaders: Vec::new(),
    };
    let mut devices = vec![Ok(Runner::Cpu(CpuRunner::new()))];
    match command.adapters(DEADLINE) {
        Ok(found) => {
            for info in &found {
                let choice = AdapterChoice::Nth(info.index);
                let opened = GpuProcess::spawn(command.clone(), choice, DEADLINE);
                devices.push(opened.map(|gpu| Runner::Gpu(Box::new(gpu))));
                match super::shaders::on(command, info, say) {
                    Ok(ratios) => report.shaders.extend(ratios),
                    Err(error) => report.failed.push(Reason::of("device_failed", error)),
                }
            }
        }
        Err(error) => report.failed.push(Reason::of("device_failed", error)),
    }
    for device in devices {
        let mut device = match device {
            Ok(device) => device,
            Err(error) => {
                report.failed.push(Reason::of("device_failed", error));
                continue;
            }
        };
        for kernel in kernels() {
            say(&format!("{} on {}", kernel.name(), device.describe().name));
            match one(&mut device, *kernel, seconds) {
                Ok(speed) => report.kernels.push(speed),
                Err(error) => {
                    let name = device.describe().name.clone();
                    let reason = Reason::of("device_failed", error).with("device", name);
                    report.failed.push(reason.with("kernel", kernel.name()));
                }
            }
        }
    }
    Ok(report)
}

fn one(device: &mut Runner, kernel: &dyn Kernel, seconds: f64) -> Result<KernelSpeed, RunnerError> {
    let job = match kernel.name() {
        "matmul" => product(),
        _ => benchmark(kernel)?,
    };
    let shape = device.load(&job, DEADLINE)?;
    let tiles: Vec<u32> = (0..shape.tiles).collect();
    // Warm up: shaders are compiled at their first dispatch.
    device.run(&tiles[..1], DEADLINE)?;
    let start = Instant::now();
    let mut rounds = 0_u32;
    while rounds == 0 || start.elapsed().as_secs_f64() < seconds {
        device.run(&tiles, DEADLINE)?;
        rounds += 1;
    }
    let tiles_per_s = f64::from(rounds) * f64::from(shape.tiles) / start.elapsed().as_secs_f64();
    let units_per_s = tiles_per_s * shape.units_per_tile as f64;
    let (in_own_unit, unit) = match kernel.name() {
        "render" => {
            let samples = TILE * TILE * RenderParams::bundled().spp_per_pass;
            (tiles_per_s * f64::from(samples), "samples/s")
        }
        "matmul" => (units_per_s, "operations/s"),
        "fractal" => (tiles_per_s * 256.0, "pixels/s"),
        _ => (tiles_per_s, "tiles/s"),
    };
    let info = device.describe();
    Ok(KernelSpeed {
        device: info.name.clone(),
        backend: info.backend.clone(),
        kernel: kernel.name().into(),
        tiles_per_s,
        units_per_s,
        in_own_unit,
        unit,
    })
}

fn product() -> JobSpec {
    let params = matmul::Params {
        rows: EDGE,
        inner: EDGE,
        columns: EDGE,
    };
    let factor: std::sync::Arc<[u8]> = (0..EDGE * EDGE).map(|i| ((i * 151) >> 3) as u8).collect();
    JobSpec {
        kernel: matmul::Matmul.id(),
        params: params.encode(),
        inputs: vec![factor.clone(), factor],
    }
}

fn matmul_ratio(say: &dyn Fn(&str)) -> Result<MatmulRatio, RunnerError> {
    say("matmul beside faer");
    // What peers run, and no loop of its own.
    let mut runner = CpuRunner::new();
    let shape = runner.load(&product())?;
    let tiles: Vec<u32> = (0..shape.tiles).collect();
    let edge = EDGE as usize;
    let value = |i: usize, j: usize| ((i * 7 + j * 13) % 251) as f32 - 125.0;
    let (a, b) = (
        Mat::from_fn(edge, edge, value),
        Mat::from_fn(edge, edge, value),
    );
    let mut product: Mat<f32> = Mat::zeros(edge, edge);
    let threads = rayon::current_num_threads();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut failed = None;
        let own = per_second(|| failed = runner.run(&tiles, DEADLINE).err());
        if let Some(error) = failed {
            return Err(error);
        }
        let rival = per_second(|| {
            let parallel = Par::rayon(threads);
            faer::linalg::matmul::matmul(&mut product, Accum::Replace, &a, &b, 1.0, parallel);
        });
        rounds.push((own, rival));
    }
    let operations = 2.0 * f64::from(EDGE).powi(3) / 1e9;
    let sorted = |pick: fn(&(f64, f64)) -> f64| {
        let mut picked: Vec<f64> = rounds.iter().map(pick).collect();
        picked.sort_by(f64::total_cmp);
        (picked[ROUNDS / 2], picked[ROUNDS - 1])
    };
    let (own_median, own) = sorted(|r| r.0);
    let (rival_median, rival) = sorted(|r| r.1);
    Ok(MatmulRatio {
        edge: EDGE,
        threads,
        rounds: ROUNDS,
        gop_per_s: own * operations,
        gop_per_s_median: own_median * operations,
        faer_f32_gflop_per_s: rival * operations,
        faer_f32_gflop_per_s_median: rival_median * operations,
        ratio: own / rival,
        ratio_median: sorted(|r| r.0 / r.1).0,
    })
}

/// How often something can be done in a second, by one round of it.
fn per_second(mut once: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut times = 0_u32;
    while start.elapsed() < ROUND {
        once();
        times += 1;
    }
    f64::from(times) / start.elapsed().as_secs_f64()
}

fn canonical_render(say: &dyn Fn(&str)) -> CanonicalRatio {
    say("canonical floats beside native ones");
    let params = RenderParams {
        width: 160,
        height: 96,
        passes: 1,
        ..RenderParams::bundled()
    };
    let mut ratios: Vec<f64> = Vec::new();
    if let Ok(tracer) = PathTracer::new(&params, &scene::bundled()) {
        let tiles = tracer.shape().tiles;
        for _ in 0..RUNS {
            ratios.push(seconds::<Canon>(&tracer, tiles) / seconds::<f32>(&tracer, tiles));
        }
    }
    ratios.sort_by(f64::total_cmp);
    CanonicalRatio {
        kernel: "render".into(),
        time_over_native: ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN),
    }
}

fn seconds<R: Real>(tracer: &PathTracer, tiles: u32) -> f64 {
    let started = Instant::now();
    (0..tiles).into_par_iter().for_each(|tile| {
        let mut out = [0; TILE_BYTES as usize];
        tracer.trace_tile::<R>(tile, &mut out);
        std::hint::black_box(out);
    });
    started.elapsed().as_secs_f64()
}
