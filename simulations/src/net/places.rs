//! A population: where peers are, how they are connected, what their clocks and disks are like.
//!
//! Drawn peer by peer, each from its own stream and always five numbers, so that peer 7 is the same in a swarm of ten
//! and of ten thousand. The five are independent of each other, which real ones are not: fast peers are public.

use super::{Disk, Mix, Nat, Place, Tier, latency::Table, unit};
use crate::engine::{Purpose, Streams};
use rand_core::Rng;

/// The one of `shares` that `u` in 0..1 falls upon; they need not add up to 1.
fn choose<T: Copy>(shares: &[(T, f64)], u: f64) -> Option<T> {
    let total: f64 = shares.iter().map(|s| s.1).sum();
    let mut left = u * total;
    for (value, share) in shares.iter().filter(|s| s.1 > 0.0) {
        if left < *share {
            return Some(*value);
        }
        left -= share;
    }
    // Rounding may leave a hair's breadth after the last one.
    shares.iter().rfind(|s| s.1 > 0.0).map(|s| s.0)
}

/// Where `peers` peers are. `mix` is in range ([`super::Knobs::check`]).
#[must_use]
pub fn places(mix: &Mix, peers: u32, streams: &Streams) -> Vec<Place> {
    let table = Table::aws();
    let named = |(name, share): (&String, &f64)| table.region(name).map(|r| (r, *share));
    let mut regions: Vec<_> = mix.regions.iter().filter_map(named).collect();
    if regions.is_empty() {
        regions.extend((0..).take(table.regions().len()).map(|r| (r, 1.0)));
    }
    let t = &mix.tiers;
    let tiers = [
        (Tier::Home, t.home),
        (Tier::Low, t.low),
        (Tier::Medium, t.medium),
        (Tier::High, t.high),
        (Tier::Ultra, t.ultra),
    ];
    let n = &mix.nats;
    let nats = [
        (Nat::Public, n.public),
        (Nat::Punchable, n.punchable),
        (Nat::Symmetric, n.symmetric),
    ];
    let place = |peer| {
        let mut stream = streams.stream(Purpose::Place, peer);
        let mut draw = || unit(stream.next_u64());
        Place {
            region: choose(&regions, draw()).unwrap_or(0),
            tier: choose(&tiers, draw()).unwrap_or(Tier::Low),
            nat: choose(&nats, draw()).unwrap_or(Nat::Public),
            skew_ms: libm::round((2.0 * draw() - 1.0) * mix.skew_ms) as i32,
            disk: if draw() < mix.slow_disk_share {
                Disk::Slow
            } else {
                Disk::Ssd
            },
        }
    };
    (0..peers).map(place).collect()
}
