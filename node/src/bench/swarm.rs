//! What a swarm adds to the computing itself: latency, overhead, and how fast it learns who is there.

use serde::Serialize;
use starling_kernels::{JobSpec, Kernel as _, fractal};
use tokio::time::Instant;

use super::Spread;
use super::local::LocalSwarm;
use crate::reason::Reason;

/// Jobs for the latency.
const PROBES: u32 = 20;
/// Tiles of the large no-op job.
const NOOP_TILES: u32 = 10_000;
/// Tiles of the job that has a slice for each.
const SINGLE_TILES: u32 = 400;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct SwarmReport {
    /// Lending peers, all in one process.
    pub peers: usize,
    /// From a submission to its first slice with a receipt, ms.
    pub submit_to_first_slice_ms: Option<Spread>,
    /// From the first peer's start until every peer knew every other, s; the starts are within it.
    pub advert_convergence_s: f64,
    /// From a peer's crash until nobody counted on it, s; none in a swarm of one.
    pub departed_forgotten_s: Option<f64>,
    /// A job of 10,000 tiles that cost nothing, s, with the default slices.
    pub job_10000_noop_tiles_s: f64,
    /// Its slices.
    pub job_10000_noop_slices: usize,
    /// Slices with receipts per second where each is one tile that costs nothing.
    pub single_tile_slices_per_s: f64,
    /// A job of some seconds among the peers over the same job on all cores of this process.
    pub wall_over_local: f64,
    /// This process' memory with all peers over their number, MB; none where it cannot be told.
    pub rss_mb_per_peer: Option<f64>,
}

/// Measures a swarm of `peers` lenders in this process.
///
/// # Errors
/// Why a peer does not start or a job does not end.
pub async fn measure(peers: usize, say: &dyn Fn(&str)) -> Result<SwarmReport, Reason> {
    let mut swarm = LocalSwarm::start(peers, 1000, say).await?;
    let rss_mb_per_peer = rss_bytes().map(|bytes| bytes / 1e6 / (peers as f64 + 1.0));
    say("first slices");
    let mut first = Vec::new();
    for _ in 0..PROBES {
        let (_, timing) = swarm.run(64, None).await?;
        first.push(timing.first_slice.as_secs_f64() * 1e3);
    }
    say("10,000 tiles that cost nothing");
    let (noop, timing) = swarm.run(NOOP_TILES, None).await?;
    say("slices of one tile");
    let (small, small_timing) = swarm.run(SINGLE_TILES, Some(1)).await?;
    let wall_over_local = wall_over_local(&swarm, say).await?;
    say("a crash");
    let forgotten = swarm.crash_one().await?;
    let report = SwarmReport {
        peers,
        submit_to_first_slice_ms: Spread::of(first),
        advert_convergence_s: swarm.converged.as_secs_f64(),
        departed_forgotten_s: forgotten.map(|t| t.as_secs_f64()),
        job_10000_noop_tiles_s: timing.whole.as_secs_f64(),
        job_10000_noop_slices: noop.slices.len(),
        single_tile_slices_per_s: small.slices.len() as f64 / small_timing.whole.as_secs_f64(),
        wall_over_local,
        rss_mb_per_peer,
    };
    swarm.end().await;
    Ok(report)
}

/// The same fractal by the swarm and by one process, both on this machine's cores.
async fn wall_over_local(swarm: &LocalSwarm, say: &dyn Fn(&str)) -> Result<f64, Reason> {
    say("a job of some seconds, here alone");
    let params = fractal::Params::mandelbrot(1536, 1536, 20_000);
    let spec = JobSpec {
        kernel: fractal::Fractal.id(),
        params: params.encode(),
        inputs: Vec::new(),
    };
    let job = spec.clone();
    let local = tokio::task::spawn_blocking(move || {
        let prepared = job.prepare()?;
        let start = Instant::now();
        let tiles: Vec<u32> = (0..prepared.shape().tiles).collect();
        for some in tiles.chunks(256) {
            std::hint::black_box(prepared.run(some));
        }
        Ok::<_, Reason>(start.elapsed())
    });
    let local = local.await.map_err(|e| Reason::of("error", e))??;
    say("the same among the peers");
    let (_, timing) = swarm.run_job(&spec, None).await?;
    Ok(timing.whole.as_secs_f64() / local.as_secs_f64())
}

/// Resident memory of this process.
fn rss_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0)
}
