//! How a run of light peers went. Virtual figures only: the same run gives the same bytes.

use serde::Serialize;

/// How a run of light peers went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LightReport {
    /// The seed.
    pub seed: u64,
    /// A hash over every event in order and what came of it, in hexadecimal.
    pub trace_hash: String,
    /// Peers, those that are away included.
    pub peers: u32,
    /// Peers that are there, on average over the run.
    pub living: f64,
    /// Members of the largest shard.
    pub largest_shard: u32,
    /// Virtual seconds.
    pub virtual_s: f64,
    /// Events; a whole flood is one.
    pub events: u64,
    /// Adverts and what they have cost.
    pub adverts: Adverts,
    /// Bytes that a living peer sends a second: copies, lazy gossip, adverts handed over, lookups.
    pub bytes_per_peer_s: f64,
    /// Of those, lookups and the upkeep of board records.
    pub lookup_bytes_per_peer_s: f64,
    /// What living peers know of each other.
    pub knowledge: Knowledge,
    /// From a leave without goodbye until a living peer of the shard forgets, s.
    pub forgotten_s: Times,
    /// Lookups of boards.
    pub lookups: Lookups,
    /// Memory of peers, shards, network, Kademlia and queue at the end of the run, by the capacities of their
    /// buffers, KiB for each peer.
    pub kib_per_peer: f64,
}

/// Adverts and what they have cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Adverts {
    /// Bytes of one.
    pub bytes: u32,
    /// Published, goodbyes included.
    pub published: u64,
    /// First copies that arrived.
    pub delivered: u64,
    /// Copies that arrived at somebody who had the advert or would have it sooner.
    pub duplicates: u64,
    /// Copies that got lost, or went to a peer that cannot be reached.
    pub lost: u64,
    /// Copies for each delivery, lost and superfluous ones included.
    pub copies_per_delivery: f64,
    /// Copies that only lazy gossip brought.
    pub recovered: u64,
    /// Adverts that peers handed to new neighbours.
    pub handed: u64,
    /// Bytes of lazy offers and requests.
    pub control_bytes: u64,
    /// From publication to delivery, ms.
    pub delivery_ms: Times,
}

/// What living peers know, at moments half an advert's interval apart; none before three intervals have passed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Knowledge {
    /// Moments.
    pub samples: u32,
    /// Adverts that a living peer keeps, those of absent peers included.
    pub adverts: Option<f64>,
    /// The share of the living peers of its shard that it knows, on average over peers and moments.
    pub known_share: Option<f64>,
    /// The same at the worst moment.
    pub known_share_min: Option<f64>,
    /// The share of those that it knows that are gone already.
    pub gone_share: Option<f64>,
}

/// Lookups of boards.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Lookups {
    /// Of all idle peers.
    pub all: u64,
    /// Of these, walked; they stand for the rest.
    pub walked: u64,
    /// Of the walked ones, without an answer.
    pub failed: u64,
    /// Of the walked ones, without a provider.
    pub empty: u64,
    /// Mean steps from the asking peer to the closest one.
    pub hops: Option<f64>,
    /// Mean requests.
    pub rpcs: Option<f64>,
    /// To the first provider, or to the end where there is none, s.
    pub latency_s: Times,
    /// Times that a provider published itself.
    pub provided: u64,
}

/// How a time spreads; nothing where there is no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    /// Values.
    pub n: u64,
    /// Their mean.
    pub mean: Option<f64>,
    /// Their median, to a bin of the histogram.
    pub p50: Option<f64>,
    /// Their 95th percentile, to a bin of the histogram.
    pub p95: Option<f64>,
}

const BINS: usize = 4_096;

/// Values counted in bins of one width, for runs that have too many to keep.
pub(super) struct Histogram {
    width: f64,
    bins: Vec<u64>,
    n: u64,
    sum: f64,
}

impl Histogram {
    pub fn new(width: f64) -> Self {
        Self {
            width,
            bins: vec![0; BINS],
            n: 0,
            sum: 0.0,
        }
    }

    /// Whatever lies beyond the last bin is counted there.
    pub fn add(&mut self, value: f64) {
        let bin = ((value / self.width) as usize).min(BINS - 1);
        self.bins[bin] += 1;
        self.n += 1;
        self.sum += value;
    }

    /// Nearest ranks, in the middle of their bins, and the exact mean, all times `unit`.
    pub fn times(&self, unit: f64) -> Times {
        let rank = |p: f64| {
            let mut left = (self.n as f64 * p).ceil() as u64;
            let bin = self.bins.iter().position(|count| {
                let here = left <= *count;
                left = left.saturating_sub(*count);
                here
            });
            bin.map(|bin| (bin as f64 + 0.5) * self.width * unit)
        };
        let some = self.n > 0;
        Times {
            n: self.n,
            mean: some.then(|| self.sum / self.n as f64 * unit),
            p50: some.then(|| rank(0.5)).flatten(),
            p95: some.then(|| rank(0.95)).flatten(),
        }
    }
}
