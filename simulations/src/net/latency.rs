//! Latency between regions, from measured round trips.
//!
//! One way takes half a round trip, quantile by quantile, and follows a shifted exponential distribution
//! `s - t ln(u)`: the two parameters that meet median and 90th percentile are `t = (p90 - p50) / ln 5` and
//! `s = p50 - t ln 2`, and `s` is positive for every pair of the table. A round trip of two packets has nearly that
//! median and a narrower spread. The table's spread is that of a year, sampled every six hours; here every packet
//! draws anew, so that reordering is overdone rather than missing.

use super::{Draw, Hop, Knobs, Packet, Place, salt};
use crate::engine::{Purpose, Streams};
use core::time::Duration;
use starling_protocol::Time;

/// Round trips between AWS regions; `simulations/data/NOTICE.md` says where they come from.
const AWS: &str = include_str!("../../data/aws_latency.csv");

/// Median and 90th percentile of a round trip, ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quantiles {
    /// Median, ms.
    pub p50_ms: f64,
    /// 90th percentile, ms.
    pub p90_ms: f64,
}

/// Round trips between regions.
#[derive(Clone, Debug)]
pub struct Table {
    regions: Vec<&'static str>,
    pairs: Vec<Quantiles>,
}

impl Table {
    /// The table that comes with the simulator.
    ///
    /// # Panics
    /// If the file that was compiled in is damaged; a test reads it.
    #[must_use]
    pub fn aws() -> Self {
        let rows = AWS.lines().skip(1).map(|line| {
            let mut cells = line.split(',');
            let mut next = || cells.next().expect("four columns");
            let (from, to) = (next(), next());
            let mut number = || next().parse().expect("a number");
            let (p50_ms, p90_ms) = (number(), number());
            (from, to, Quantiles { p50_ms, p90_ms })
        });
        let rows: Vec<_> = rows.collect();
        let mut regions: Vec<_> = rows.iter().map(|row| row.0).collect();
        regions.dedup();
        // Rows are sorted by both ends, so they are the matrix, row by row.
        let pairs: Vec<_> = rows.iter().map(|row| row.2).collect();
        assert_eq!(pairs.len(), regions.len() * regions.len());
        Self { regions, pairs }
    }

    /// Names of the regions, in order.
    #[must_use]
    pub fn regions(&self) -> &[&'static str] {
        &self.regions
    }

    /// The index of the region called `name`.
    #[must_use]
    pub fn region(&self, name: &str) -> Option<u8> {
        let at = self.regions.iter().position(|region| *region == name)?;
        u8::try_from(at).ok()
    }

    /// Round trip from region `from` to region `to`.
    #[must_use]
    pub fn round_trip(&self, from: u8, to: u8) -> Quantiles {
        self.pairs[usize::from(from) * self.regions.len() + usize::from(to)]
    }
}

/// A shifted exponential distribution, ns.
#[derive(Clone, Copy, Debug)]
struct Shifted {
    shift_ns: f64,
    scale_ns: f64,
}

impl Shifted {
    fn one_way(round_trip: Quantiles) -> Self {
        let Quantiles { p50_ms, p90_ms } = round_trip;
        let scale_ms = (p90_ms - p50_ms) / 2.0 / libm::log(5.0);
        let shift_ms = (p50_ms / 2.0 - scale_ms * core::f64::consts::LN_2).max(0.0);
        Self {
            shift_ns: shift_ms * 1e6,
            scale_ns: scale_ms * 1e6,
        }
    }
}

/// `-ln(1 - u)` from a table: linear between 1,024 points, which is exact to 1e-3 up to the 99th percentile, and exact
/// beyond the last but one. Several times faster than the function, and drawn for every packet.
struct Exponential(Vec<f64>);

const CELLS: usize = 1024;

impl Exponential {
    fn new() -> Self {
        let point = |i: usize| -libm::log(1.0 - i as f64 / CELLS as f64);
        Self((0..CELLS).map(point).collect())
    }

    fn at(&self, u: f64) -> f64 {
        let scaled = u * CELLS as f64;
        let cell = scaled as usize;
        match self.0.get(cell..cell + 2) {
            Some(&[low, high]) => low + (high - low) * (scaled - cell as f64),
            _ => -libm::log(1.0 - u),
        }
    }
}

/// The model.
pub struct Latency {
    tail: Exponential,
    regions: usize,
    of_peer: Vec<u8>,
    pairs: Vec<Shifted>,
    salt: u64,
}

impl Latency {
    /// The table's latencies, or one for all pairs where knobs fix it.
    #[must_use]
    pub fn new(knobs: &Knobs, places: &[Place], streams: &Streams) -> Self {
        let table = Table::aws();
        let pairs = table.pairs.iter().map(|quantiles| match knobs.one_way_ms {
            Some(ms) => Shifted {
                shift_ns: ms * 1e6,
                scale_ns: 0.0,
            },
            None => Shifted::one_way(*quantiles),
        });
        Self {
            tail: Exponential::new(),
            regions: table.regions.len(),
            of_peer: places.iter().map(|place| place.region).collect(),
            pairs: pairs.collect(),
            salt: salt(streams, Purpose::Latency),
        }
    }

    fn pair(&self, from: u8, to: u8) -> Shifted {
        self.pairs[usize::from(from) * self.regions + usize::from(to)]
    }

    /// One way from peer to peer: what it takes at the least, and the mean of the exponential rest, ns.
    #[must_use]
    pub fn shift_and_scale_ns(&self, from: u32, to: u32) -> (f64, f64) {
        let region = |peer: u32| self.of_peer[peer as usize];
        let pair = self.pair(region(from), region(to));
        (pair.shift_ns, pair.scale_ns)
    }

    /// Memory of what is kept by peer, bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        super::room(&self.of_peer)
    }

    /// Median one-way latencies of all pairs of regions, row by row, ns.
    #[must_use]
    pub fn medians_ns(&self) -> Vec<u32> {
        let median = |p: &Shifted| (p.shift_ns + p.scale_ns * core::f64::consts::LN_2) as u32;
        self.pairs.iter().map(median).collect()
    }
}

impl Hop for Latency {
    fn pass(&mut self, _: Time, packet: &Packet, draw: Draw, so_far: Duration) -> Option<Duration> {
        let region = |peer: u32| self.of_peer[peer as usize];
        let pair = self.pair(region(packet.from), region(packet.to));
        let takes = pair.shift_ns + pair.scale_ns * self.tail.at(draw.unit(self.salt));
        Some(so_far + Duration::from_nanos(takes as u64))
    }
}
