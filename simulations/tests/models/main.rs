//! The models of network, churn and Kademlia: each against its table, its formula or its rule.

mod churn;
mod dht;
mod net;
mod theory;

use starling_protocol::{Hash, Time};
use starling_sim::engine::Streams;
use starling_sim::net::{Disk, Knobs, Nat, Network, Place, Tier};

/// A peer in `us-east-1` with nothing in its way.
const PLAIN: Place = Place {
    region: 29,
    tier: Tier::Ultra,
    nat: Nat::Public,
    skew_ms: 0,
    disk: Disk::Ssd,
};

/// Latency from the table alone.
fn bare() -> Knobs {
    Knobs {
        access_ms: 0.0,
        jitter_ms: 0.0,
        limit_bandwidth: false,
        ..Knobs::default()
    }
}

fn network(knobs: &Knobs, places: &[Place]) -> Network {
    knobs.check().expect("in range");
    Network::new(knobs, places.to_vec(), &Streams::new(1))
}

fn secs(s: u64) -> Time {
    Time(s * 1_000_000)
}

fn id(n: u32) -> Hash {
    Hash::derive("starling-sim 2026-11 test id", &[&n.to_le_bytes()])
}
