//! What is written down of a light run, and the report of it.

use super::{Event, Swarm, ms};
use crate::kademlia::Lookup;
use crate::light::report::{Adverts, Histogram, Knowledge, LightReport, Lookups};
use crate::light::shard::Shard;
use crate::net::room;
use core::time::Duration;
use starling_protocol::Time;

/// Counters of a run.
pub(super) struct Counts {
    /// Time that peers have been there, all together.
    pub lived_us: u64,
    /// Adverts handed over.
    pub handed: u64,
    /// Lookups, but for what is worked out at the end.
    pub lookups: Lookups,
    pub latency: Histogram,
    pub forgotten: Histogram,
    pub provide_bytes: u64,
    walked_bytes: u64,
    hops: u64,
    rpcs: u64,
    samples: u32,
    /// Sum and minimum of shares known.
    shares: (f64, f64),
    /// Adverts kept: of peers that are there, and of those that are gone; and by how many peers.
    kept: (u64, u64, u64),
}

impl Counts {
    pub fn new(lifetime: Duration) -> Self {
        Self {
            lived_us: 0,
            handed: 0,
            lookups: Lookups::default(),
            latency: Histogram::new(0.005),
            forgotten: Histogram::new(lifetime.as_secs_f64() / 2_000.0),
            provide_bytes: 0,
            walked_bytes: 0,
            hops: 0,
            rpcs: 0,
            samples: 0,
            shares: (0.0, f64::INFINITY),
            kept: (0, 0, 0),
        }
    }

    /// A walked lookup. Tells how long its peer waits for a provider.
    pub fn walked(&mut self, found: &Lookup) -> Duration {
        let takes = found.first.unwrap_or(found.delay);
        self.lookups.walked += 1;
        self.lookups.failed += u64::from(found.failed);
        self.lookups.empty += u64::from(found.providers.is_empty());
        self.hops += u64::from(found.hops);
        self.rpcs += u64::from(found.rpcs);
        self.walked_bytes += found.bytes;
        self.latency.add(takes.as_secs_f64());
        takes
    }
}

impl Swarm {
    /// A look at what everybody knows.
    pub(super) fn census(&mut self, now: Time) {
        let (mut living, mut gone, mut could, mut here) = (0, 0, 0, 0);
        for shard in &self.shards {
            let (known, left) = shard.census(ms(now));
            let present = shard.present().len() as u64;
            (living, gone) = (living + known, gone + left);
            could += present * present.saturating_sub(1);
            here += present;
        }
        self.note(living.rotate_left(32) ^ gone);
        let counts = &mut self.counts;
        let share = living as f64 / could.max(1) as f64;
        counts.samples += 1;
        counts.shares = (counts.shares.0 + share, counts.shares.1.min(share));
        let kept = counts.kept;
        counts.kept = (kept.0 + living, kept.1 + gone, kept.2 + here);
        self.engine.after(self.interval / 2, Event::Census);
    }

    /// How it went.
    pub fn report(&self, seed: u64) -> LightReport {
        let counts = &self.counts;
        let lived_s = (counts.lived_us as f64 / 1e6).max(1e-6);
        let virtual_s = self.horizon.0 as f64 / 1e6;
        let walked = counts.lookups.walked;
        let per_walk = |n: u64| (walked > 0).then(|| n as f64 / walked as f64);
        let bytes_each = per_walk(counts.walked_bytes).unwrap_or(0.0);
        let lookup_bytes = bytes_each * counts.lookups.all as f64 + counts.provide_bytes as f64;
        let adverts = self.adverts();
        let advert_bytes = u64::from(self.advert_bytes);
        let bytes = self.flood.tally.copies * advert_bytes
            + adverts.control_bytes
            + counts.handed * (advert_bytes + 1);
        let largest = self.shards.iter().map(Shard::members).max();
        LightReport {
            seed,
            trace_hash: format!("{:016x}", self.trace),
            peers: self.peers.len() as u32,
            living: lived_s / virtual_s,
            largest_shard: largest.unwrap_or(0) as u32,
            virtual_s,
            events: self.events,
            adverts,
            bytes_per_peer_s: (bytes as f64 + lookup_bytes) / lived_s,
            lookup_bytes_per_peer_s: lookup_bytes / lived_s,
            knowledge: self.knowledge(),
            forgotten_s: counts.forgotten.times(1.0),
            lookups: Lookups {
                hops: per_walk(counts.hops),
                rpcs: per_walk(counts.rpcs),
                latency_s: counts.latency.times(1.0),
                ..counts.lookups.clone()
            },
            kib_per_peer: self.heap_bytes() as f64 / 1_024.0 / self.peers.len().max(1) as f64,
        }
    }

    fn adverts(&self) -> Adverts {
        let tally = self.flood.tally;
        Adverts {
            bytes: self.advert_bytes,
            published: tally.published,
            delivered: tally.delivered,
            duplicates: tally.copies.saturating_sub(tally.delivered + tally.lost),
            lost: tally.lost,
            copies_per_delivery: tally.copies as f64 / tally.delivered.max(1) as f64,
            recovered: tally.recovered,
            handed: self.counts.handed,
            control_bytes: tally.control_bytes,
            delivery_ms: self.flood.delay.times(1e-3),
        }
    }

    fn knowledge(&self) -> Knowledge {
        let samples = self.counts.samples;
        let (living, gone, by) = self.counts.kept;
        let some = |value: f64| (samples > 0).then_some(value);
        Knowledge {
            samples,
            adverts: some((living + gone) as f64 / by.max(1) as f64),
            known_share: some(self.counts.shares.0 / f64::from(samples.max(1))),
            known_share_min: some(self.counts.shares.1),
            gone_share: some(gone as f64 / (living + gone).max(1) as f64),
        }
    }

    fn heap_bytes(&self) -> usize {
        let shards: usize = self.shards.iter().map(Shard::heap_bytes).sum();
        shards
            + room(&self.shards)
            + room(&self.peers)
            + room(&self.sessions)
            + self.flood.heap_bytes()
            + self.network.heap_bytes()
            + self.dht.heap_bytes()
            + self.engine.heap_bytes()
    }
}
