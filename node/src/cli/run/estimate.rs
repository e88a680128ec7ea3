//! What a job will take, as ranges: from a probe of its own tiles, and what the peers of the moment advertise.
//!
//! Declared costs are counts of operations, and tiles of one job may differ a hundredfold. Some tiles are therefore
//! computed here, and how they compare with the kernel's benchmark on the same processor scales the peers' speeds.

use std::time::{Duration, Instant};

use serde::Serialize;
use starling_kernels::{JobSpec, Shape};
use starling_protocol::Advert;

use super::How;
use crate::api::client::Client;
use crate::cli::console::Console;
use crate::cli::exit::Failure;
use crate::cli::text;
use crate::compute::{Here, benchmark};
use crate::product::Work;

/// Tiles that are tried, spread over the job.
const PROBES: u32 = 5;
/// Time for all of them, as far as one tile lets it.
const PROBE_TIME: Duration = Duration::from_secs(2);
/// Time for the benchmark.
const MEASURE: Duration = Duration::from_millis(150);
/// What audits, transfer and an uneven end take on top, at most.
const OVERHEAD: f64 = 1.7;

/// The estimate.
#[derive(Debug, Serialize)]
pub(super) struct Estimate {
    /// Peers that would be asked.
    peers: usize,
    /// Tiles of the job.
    tiles: u32,
    /// Declared operations of the job.
    units: u64,
    /// Tiles that were computed here.
    probed: usize,
    /// How much longer than the benchmark's such tiles take for their declared cost, least and most.
    ratio: [f64; 2],
    /// Seconds with these peers, least and most; none without peers.
    seconds: Option<[f64; 2]>,
    /// Seconds on this processor alone.
    local_seconds: [f64; 2],
    /// Price, least and most; none without peers.
    price: Option<[u64; 2]>,
}

/// Probes and asks who is there.
pub(super) async fn of(client: &Client, how: &How, work: &Work) -> Result<Estimate, Failure> {
    let (spec, shape) = (work.spec.clone(), work.product.shape);
    let probe = tokio::task::spawn_blocking(move || probe(&spec, shape));
    let waited = peers(client, how, &work.spec);
    let (probe, peers) = tokio::join!(probe, waited);
    let (ratio, own_speed, probed) = probe
        .map_err(|e| Failure::of(format!("the probe failed: {e}")))?
        .map_err(super::refused)?;
    let peers = peers?;
    let kernel = work.spec.kernel.0.into();
    let offers: Vec<_> = peers.iter().filter_map(|a| a.offer(&kernel)).collect();
    let speed: f64 = offers.iter().map(|o| o.units_per_s as f64).sum();
    let units = u64::from(shape.tiles).saturating_mul(shape.units_per_tile);
    let prices = offers
        .iter()
        .map(|o| u128::from(o.price) * u128::from(units) / 1_000_000_000);
    let prices: Vec<u64> = prices
        .map(|p| u64::try_from(p).unwrap_or(u64::MAX))
        .collect();
    let range = |speed: f64, most: f64| {
        let plain = units as f64 / speed.max(1.0);
        [plain * ratio[0], plain * ratio[1] * most]
    };
    Ok(Estimate {
        peers: offers.len(),
        tiles: shape.tiles,
        units,
        probed,
        ratio,
        seconds: (!offers.is_empty()).then(|| range(speed, OVERHEAD)),
        local_seconds: range(own_speed, 1.1),
        price: prices
            .iter()
            .min()
            .zip(prices.iter().max())
            .map(|(a, b)| [*a, *b]),
    })
}

/// Those who would be asked, once they were waited for as a submission would.
async fn peers(client: &Client, how: &How, spec: &JobSpec) -> Result<Vec<Advert>, Failure> {
    let kernel = spec.kernel.to_string();
    let until = Instant::now() + Duration::from_secs_f64(how.wait);
    loop {
        let all = client.eligible(&kernel, how.max_price).await?.peers;
        if all.len() >= how.peers.unwrap_or(1) as usize || Instant::now() >= until {
            return Ok(all.into_iter().map(|p| p.advert).collect());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How tiles of this job compare with the benchmark, this processor's speed, and how many tiles were tried.
fn probe(
    spec: &JobSpec,
    shape: Shape,
) -> Result<([f64; 2], f64, usize), crate::product::ProductError> {
    let reference = benchmark(spec.kernel()?)?.prepare()?;
    let all: Vec<u32> = (0..reference.shape().tiles).collect();
    let start = Instant::now();
    let mut units = 0.0;
    while start.elapsed() < MEASURE {
        reference.run(&all);
        units += all.len() as f64 * reference.shape().units_per_tile as f64;
    }
    let together = units / start.elapsed().as_secs_f64();
    // One tile runs on one thread: compare it with one thread's share.
    let threads = rayon::current_num_threads() as f64;
    let mut job = Here::load(spec)?;
    let probes = PROBES.min(shape.tiles);
    let (begin, mut ratios) = (Instant::now(), Vec::new());
    for n in 0..probes {
        if begin.elapsed() > PROBE_TIME {
            break;
        }
        let tile =
            (u64::from(shape.tiles) * (2 * u64::from(n) + 1) / (2 * u64::from(probes))) as u32;
        let start = Instant::now();
        job.run(&[tile])?;
        let speed = shape.units_per_tile as f64 / start.elapsed().as_secs_f64().max(1e-7);
        ratios.push(together / threads / speed);
    }
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let mean = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
    // A few tiles say little about the extremes of all: the range is around their mean.
    Ok((
        [(least + mean) / 2.0, (most + mean) / 2.0],
        together,
        ratios.len(),
    ))
}

impl Estimate {
    /// For people, in one line.
    pub(super) fn line(&self) -> String {
        let span = |[low, high]: [f64; 2]| {
            let show = |s: f64| text::duration(Duration::from_secs_f64(s.clamp(0.0, 1e9)));
            format!("{} to {}", show(low), show(high))
        };
        match (self.seconds, self.price) {
            (Some(seconds), Some([low, high])) => format!(
                "estimate: {} with {}, price {low} to {high}",
                span(seconds),
                text::count(self.peers, "peer"),
            ),
            _ => format!(
                "estimate: nobody offers it at the moment; {} here alone",
                span(self.local_seconds)
            ),
        }
    }

    pub(super) fn show(&self, console: &Console) {
        if console.json {
            return console.json(&serde_json::json!({ "estimate": self }));
        }
        console.data(self.line());
        console.note(format!(
            "{}, {} operations; {} computed here",
            text::count(self.tiles as usize, "tile"),
            text::si(self.units as f64),
            text::count(self.probed, "probe tile"),
        ));
    }
}
