//! What a swarm adds to the computing itself: latency, overhead, and how fast it learns who is there.

use serde::Serialize;

use super::blobs::{self, BlobReport};
use super::dht::{self, DhtReport};
use super::local::LocalSwarm;
use super::overhead::{self, Overhead};
use super::{Spread, daemon, process};
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
    /// A job of more than 10 s among the peers and alone, and what its audits took.
    #[serde(flatten)]
    pub overhead: Overhead,
    /// Kademlia, among as many network layers without peers above them; none with a single one.
    pub dht: Option<DhtReport>,
    /// A large blob between two network layers, beside the same bytes over bare TCP.
    pub blob: BlobReport,
    /// Memory of one more peer of this swarm, as a process of its own that idled for a minute, MB; none where it cannot
    /// be told.
    pub rss_mb_per_peer: Option<f64>,
    /// This process' memory with all peers over their number, MB; none where it cannot be told.
    pub process_rss_mb_over_peers: Option<f64>,
}

/// Measures a swarm of `peers` lenders in this process.
///
/// # Errors
/// Why a peer does not start or a job does not end.
pub async fn measure(peers: usize, say: &dyn Fn(&str)) -> Result<SwarmReport, Reason> {
    let mut swarm = LocalSwarm::start(peers, 1000, say).await?;
    let process = process::resident("self").map(|bytes| bytes / 1e6 / (peers as f64 + 1.0));
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
    let overhead = overhead::measure(&swarm, say).await?;
    say("a crash: some 30 s");
    let forgotten = swarm.crash_one().await?;
    let idle = daemon::resident(&swarm.genesis, &swarm.bootstrap, say).await?;
    let converged = swarm.converged;
    swarm.end().await;
    let dht = match peers {
        1 => None,
        _ => Some(dht::measure(peers, say).await?),
    };
    let blob = blobs::measure(say).await?;
    Ok(SwarmReport {
        peers,
        submit_to_first_slice_ms: Spread::of(first),
        advert_convergence_s: converged.as_secs_f64(),
        departed_forgotten_s: forgotten.map(|t| t.as_secs_f64()),
        job_10000_noop_tiles_s: timing.whole.as_secs_f64(),
        job_10000_noop_slices: noop.slices.len(),
        single_tile_slices_per_s: small.slices.len() as f64 / small_timing.whole.as_secs_f64(),
        overhead,
        dht,
        blob,
        rss_mb_per_peer: idle.map(|bytes| bytes / 1e6),
        process_rss_mb_over_peers: process,
    })
}
