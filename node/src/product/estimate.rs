//! What a job will take, as ranges: from a probe of its own tiles, and what the peers of the moment advertise.
//!
//! Declared costs are counts of operations, and tiles of one job may differ a hundredfold. Some tiles are therefore
//! computed here, and how they compare with the kernel's benchmark on the same processor scales the peers' speeds.

use std::time::{Duration, Instant};

use serde::Serialize;
use starling_kernels::{JobSpec, KernelId, Shape};
use starling_protocol::Advert;

use super::ProductError;
use crate::compute::{Here, benchmark};

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
pub struct Estimate {
    /// Peers that would be asked.
    pub peers: usize,
    /// Tiles of the job.
    pub tiles: u32,
    /// Declared operations of the job.
    pub units: u64,
    /// Tiles that were computed here.
    pub probed: usize,
    /// How much longer than the benchmark's such tiles take for their declared cost, least and most.
    pub ratio: [f64; 2],
    /// Seconds with these peers, least and most; none without peers.
    pub seconds: Option<[f64; 2]>,
    /// Seconds on this processor alone.
    pub local_seconds: [f64; 2],
    /// Price, least and most; none without peers.
    pub price: Option<[u64; 2]>,
}

/// How tiles of a job compare with those of its kernel's benchmark, here.
#[derive(Clone, Copy, Debug)]
pub struct Probed {
    /// How much longer they take for their declared cost, least and most.
    pub ratio: [f64; 2],
    /// Work units a second of the benchmark on this processor.
    pub own_speed: f64,
    /// Tiles that were tried.
    pub tiles: usize,
}

impl Estimate {
    /// With these peers, as far as they offer the kernel.
    pub fn new(probed: &Probed, kernel: KernelId, shape: Shape, peers: &[Advert]) -> Self {
        let Probed {
            ratio,
            own_speed,
            tiles,
        } = *probed;
        let kernel = kernel.0.into();
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
        Self {
            peers: offers.len(),
            tiles: shape.tiles,
            units,
            probed: tiles,
            ratio,
            seconds: (!offers.is_empty()).then(|| range(speed, OVERHEAD)),
            local_seconds: range(own_speed, 1.1),
            price: prices
                .iter()
                .min()
                .zip(prices.iter().max())
                .map(|(a, b)| [*a, *b]),
        }
    }
}

/// Tries some tiles. Blocks for up to some seconds, and one tile's time.
///
/// # Errors
/// Those of the job, and of the process that one needs which brings its own code.
pub fn probe(spec: &JobSpec, shape: Shape) -> Result<Probed, ProductError> {
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
    Ok(Probed {
        ratio: [(least + mean) / 2.0, (most + mean) / 2.0],
        own_speed: together,
        tiles: ratios.len(),
    })
}
