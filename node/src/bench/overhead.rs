//! What the swarm adds to a job's computing: the same job alone and among the peers, and the share of its audits.
//!
//! Both runs have all cores of this machine. The job is made long enough for it, from a measured rate.

use std::time::{Duration, Instant};

use serde::Serialize;
use starling_kernels::{JobSpec, Kernel as _, Prepared, fractal};
use starling_protocol::manifest::Intensity;

use super::local::LocalSwarm;
use super::process;
use crate::compute::Usage;
use crate::jobs::JobFile;
use crate::reason::Reason;

/// How long the job is to take alone; with what the estimate errs by, it is never below 10.
const ALONE_S: f64 = 13.0;
/// Edge of the picture, where iterations suffice to fill the time: 9,216 tiles.
const EDGE: u32 = 1536;
/// Iterations of the probe.
const PROBE: u32 = 20_000;
/// Every so manieth tile is probed.
const STRIDE: usize = 61;
/// Tiles that are computed at once, here alone.
const PORTION: usize = 256;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Overhead {
    /// Time in the swarm over time alone, less the audits' own computing: tiles recomputed over tiles of the job.
    pub wall_over_local: f64,
    /// Without taking anything off.
    pub wall_over_local_raw: f64,
    /// Computing time of the whole process in the swarm over that alone: audits, signatures, network and all, and
    /// whatever else the machine does counts for neither. None where the system does not tell.
    pub cpu_over_local: Option<f64>,
    /// The job alone, s.
    pub local_s: f64,
    /// Its tiles.
    pub tiles: u32,
    /// Its slices.
    pub slices: usize,
    /// The audits.
    pub audit_share: AuditShare,
}

/// Audits, as shares of the computing that the job itself takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AuditShare {
    /// Device time of audits and checks, loading the job included, over that of the slices: as the peers' device
    /// threads count it. Where peers share cores both include waiting for them, and what is short waits relatively
    /// longer: among many peers in one process this is too high, and the tiles are what to look at.
    pub measured: f64,
    /// Tiles recomputed over tiles of the slices, self-checks included.
    pub measured_tiles: f64,
    /// k*s/N: auditors times tiles of each, over tiles of a slice.
    pub predicted: f64,
}

/// Measures.
///
/// # Errors
/// If the job does not run to its end.
pub async fn measure(swarm: &LocalSwarm, say: &dyn Fn(&str)) -> Result<Overhead, Reason> {
    say(&format!("a job of {ALONE_S} s, here alone"));
    let alone = tokio::task::spawn_blocking(|| {
        let spec = sized()?;
        let prepared = spec.prepare()?;
        let tiles: Vec<u32> = (0..prepared.shape().tiles).collect();
        let before = process::cpu_s();
        let took = run(prepared.as_ref(), &tiles);
        Ok::<_, Reason>((spec, tiles.len() as u32, took, spent_since(before)))
    });
    let (spec, tiles, local, local_cpu_s) = alone.await.map_err(|e| Reason::of("error", e))??;
    say(&format!(
        "the same among the peers: some {:.0} s",
        local.as_secs_f64()
    ));
    let before = swarm.usage().await;
    let cpu = process::cpu_s();
    let (file, timing) = swarm.run_job(&spec, None).await?;
    let cpu_s = spent_since(cpu);
    let used = since(before, swarm.usage().await);
    let raw = timing.whole.as_secs_f64() / local.as_secs_f64();
    let share = |audits: u64, work: u64| audits as f64 / work.max(1) as f64;
    Ok(Overhead {
        wall_over_local: raw - share(used.audit_tiles, u64::from(tiles)),
        wall_over_local_raw: raw,
        cpu_over_local: cpu_s.zip(local_cpu_s).map(|(swarm, local)| swarm / local),
        local_s: local.as_secs_f64(),
        tiles,
        slices: file.slices.len(),
        audit_share: AuditShare {
            measured: share(used.audit_us, used.work_us + used.own_us),
            measured_tiles: share(used.audit_tiles, used.work_tiles),
            predicted: predicted(&file, swarm.lenders.len()),
        },
    })
}

/// A picture that takes [`ALONE_S`] on this machine.
fn sized() -> Result<JobSpec, Reason> {
    let spec = |edge: u32, iterations: u32| JobSpec {
        kernel: fractal::Fractal.id(),
        params: fractal::Params::mandelbrot(edge, edge, iterations).encode(),
        inputs: Vec::new(),
    };
    let probe = spec(EDGE, PROBE).prepare()?;
    let tiles: Vec<u32> = (0..probe.shape().tiles).step_by(STRIDE).collect();
    let took = run(probe.as_ref(), &tiles).as_secs_f64() * STRIDE as f64;
    // Nearly all time goes into the set itself, whose pixels take all iterations.
    let wanted = f64::from(PROBE) * ALONE_S / took.max(1e-6);
    let most = f64::from(fractal::MAX_ITERATIONS);
    let larger = (wanted / most).max(1.0).sqrt();
    let edge = (f64::from(EDGE) * larger).min(f64::from(fractal::MAX_EDGE)) as u32;
    Ok(spec(edge, wanted.min(most).max(1.0) as u32))
}

fn run(job: &dyn Prepared, tiles: &[u32]) -> Duration {
    let start = Instant::now();
    for some in tiles.chunks(PORTION) {
        std::hint::black_box(job.run(some));
    }
    start.elapsed()
}

fn spent_since(before: Option<f64>) -> Option<f64> {
    process::cpu_s()
        .zip(before)
        .map(|(now, before)| now - before)
}

fn since(before: Usage, after: Usage) -> Usage {
    Usage {
        work_us: after.work_us - before.work_us,
        audit_us: after.audit_us - before.audit_us,
        own_us: after.own_us - before.own_us,
        work_tiles: after.work_tiles - before.work_tiles,
        audit_tiles: after.audit_tiles - before.audit_tiles,
        probe_us: after.probe_us - before.probe_us,
        probe_tiles: after.probe_tiles - before.probe_tiles,
        lost: after.lost - before.lost,
    }
}

/// What the protocol's rule asks for when all of `lenders` are in the roster.
fn predicted(file: &JobFile, lenders: usize) -> f64 {
    let Intensity { k, s, .. } = Intensity::newcomer(lenders.saturating_sub(1));
    let audited = |n: u32| u32::from(k) * u32::from(s).min(n);
    let all: u32 = file.slices.iter().map(|slice| audited(slice.tiles)).sum();
    f64::from(all) / f64::from(file.tiles.max(1))
}
