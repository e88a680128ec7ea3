//! Kademlia as a model: whole lookups are simulated at once, so that the loop schedules one event for each.
//!
//! `table` says whom a peer knows, `lookup` walks, `records` keeps who provides what. Routing follows rust-libp2p
//! (libp2p-kad 0.49: its closest-peers iterator, its time limits, its store); disjoint paths are not modelled. The
//! caller gives latencies through [`Rtt`]. Invariant: a peer that left answers nobody and holds no records, and what
//! a lookup meets depends on seed, time and membership alone.

mod lookup;
mod records;
mod table;

use crate::engine::{Purpose, Streams};
use crate::net::salt;
use core::time::Duration;
use lookup::Walk;
use records::Records;
use serde::{Deserialize, Serialize};
use starling_protocol::{Hash, Time};
use table::Table;

/// Round trips, as the caller's network has them.
pub trait Rtt {
    /// How long a small request of `from` and `to`'s answer take; `None` when one of them gets lost.
    fn rtt(&mut self, from: u32, to: u32) -> Option<Duration>;
}

impl<F: FnMut(u32, u32) -> Option<Duration>> Rtt for F {
    fn rtt(&mut self, from: u32, to: u32) -> Option<Duration> {
        self(from, to)
    }
}

/// Kademlia's knobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Knobs {
    /// Peers of a bucket.
    pub bucket_size: u32,
    /// Requests in flight.
    pub alpha: u32,
    /// Peers that an answer names.
    pub k_response: u32,
    /// Closest peers that must have answered before a lookup ends; so many hold a provider record.
    pub results: u32,
    /// A peer that has not answered by then is given up, s.
    pub timeout_s: f64,
    /// A lookup ends by then, s.
    pub query_timeout_s: f64,
    /// A departed peer is in others' buckets for at most so long, s.
    pub refresh_s: f64,
    /// A provider record is forgotten after, s.
    pub record_ttl_s: f64,
    /// Providers publish themselves again after, s: [`Kademlia::republish_after`].
    pub republish_s: f64,
    /// Providers that a holder keeps for one key, first come.
    pub providers_per_key: u32,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            // K_VALUE, ALPHA_VALUE and the peer timeout of libp2p-kad, and the interval of its periodic bootstrap.
            bucket_size: 20,
            alpha: 3,
            k_response: 20,
            results: 20,
            timeout_s: 10.0,
            refresh_s: 300.0,
            providers_per_key: 20,
            // As Starling's node sets them.
            query_timeout_s: 15.0,
            record_ttl_s: 2_400.0,
            republish_s: 600.0,
        }
    }
}

impl Knobs {
    /// The first knob that is out of its range, and what it should be.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let count = |n: u32| (1..=64).contains(&n);
        let span = |s: f64| (0.001..=1e6).contains(&s);
        const COUNT: &str = "1 to 64";
        const SPAN: &str = "0.001 to 1000000";
        let checks = [
            (count(self.bucket_size), "bucket_size", COUNT),
            (count(self.alpha), "alpha", COUNT),
            (count(self.k_response), "k_response", COUNT),
            (count(self.results), "results", COUNT),
            (span(self.timeout_s), "timeout_s", SPAN),
            (span(self.query_timeout_s), "query_timeout_s", SPAN),
            (
                (0.0..=1e6).contains(&self.refresh_s),
                "refresh_s",
                "0 to 1000000",
            ),
            (span(self.record_ttl_s), "record_ttl_s", SPAN),
            (span(self.republish_s), "republish_s", SPAN),
            (
                (1..=10_000).contains(&self.providers_per_key),
                "providers_per_key",
                "1 to 10000",
            ),
        ];
        let fault = checks.iter().find(|(ok, ..)| !ok);
        fault.map(|(_, field, range)| (*field, *range))
    }
}

/// What a lookup took and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// From its start to its end.
    pub delay: Duration,
    /// From its start to the first provider, where it found one: libp2p tells providers as they come.
    pub first: Option<Duration>,
    /// Steps from the asking peer to the closest peer that answered.
    pub hops: u32,
    /// Requests sent.
    pub rpcs: u32,
    /// Bytes of requests and answers.
    pub bytes: u64,
    /// Peers that provide the key, in the order in which they were heard of.
    pub providers: Vec<u32>,
    /// The closest peers that answered, closest first.
    pub closest: Vec<u32>,
    /// Nobody answered, or it ran out of time before the closest peers had answered and found no provider.
    pub failed: bool,
}

/// A distributed hash table. Peers are numbered by the caller, from 0 without large gaps.
pub trait Dht {
    /// `peer` is there from now on. Its place is `id`, uniformly random and always the same.
    fn join(&mut self, now: Time, peer: u32, id: &Hash);
    /// `peer` is gone, and with it the records that it held.
    fn leave(&mut self, now: Time, peer: u32);
    /// From now on `peer` answers lookups, and denies the records that it was given.
    fn deny(&mut self, peer: u32);
    /// `peer` provides `key`: holders know it once the lookup ends, and forget it unless told again.
    fn provide(&mut self, now: Time, peer: u32, key: &Hash, net: &mut dyn Rtt) -> Lookup;
    /// `peer` provides `key` no more. As in libp2p nobody is told: holders forget it when its records expire.
    fn stop(&mut self, now: Time, peer: u32, key: &Hash);
    /// How long after [`Dht::provide`] a provider should call it again.
    fn republish_after(&self) -> Duration;
    /// Who provides `key`.
    fn find_providers(&mut self, now: Time, peer: u32, key: &Hash, net: &mut dyn Rtt) -> Lookup;
    /// Who is closest to `key`.
    fn closest(&mut self, now: Time, peer: u32, key: &Hash, net: &mut dyn Rtt) -> Lookup;
}

/// The model.
pub struct Kademlia {
    knobs: Knobs,
    table: Table,
    records: Records,
    walk: Walk,
}

/// The first 64 bits of an id: at a million peers, two share them with probability 3e-8.
pub(crate) fn prefix(id: &Hash) -> u64 {
    u64::from_be_bytes(core::array::from_fn(|i| id.0[i]))
}

fn s(s: f64) -> Duration {
    Duration::from_micros((s * 1e6) as u64)
}

impl Kademlia {
    /// With nobody in it. `knobs` are in range ([`Knobs::fault`]).
    #[must_use]
    pub fn new(knobs: &Knobs, streams: &Streams) -> Self {
        let salt = salt(streams, Purpose::Dht);
        Self {
            table: Table::new(knobs.bucket_size as usize, s(knobs.refresh_s), salt),
            records: Records::new(knobs),
            walk: Walk::default(),
            knobs: knobs.clone(),
        }
    }

    /// Memory of tables and records, bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.table.heap_bytes() + self.records.heap_bytes()
    }

    fn walk(
        &mut self,
        now: Time,
        peer: u32,
        key: &Hash,
        wants_providers: bool,
        net: &mut dyn Rtt,
    ) -> Lookup {
        self.table.settle(now);
        let query = lookup::Query {
            now,
            peer,
            target: prefix(key),
            providers_of: wants_providers.then_some(key),
        };
        let model = (&self.knobs, &self.table, &self.records);
        self.walk.run(&query, model, net)
    }
}

impl Dht for Kademlia {
    fn join(&mut self, now: Time, peer: u32, id: &Hash) {
        self.table.join(now, peer, prefix(id));
    }

    fn leave(&mut self, now: Time, peer: u32) {
        self.table.leave(now, peer);
    }

    fn deny(&mut self, peer: u32) {
        self.records.deny(peer);
    }

    fn provide(&mut self, now: Time, peer: u32, key: &Hash, net: &mut dyn Rtt) -> Lookup {
        let mut lookup = self.walk(now, peer, key, false, net);
        let found = now.after(lookup.delay);
        let mut last = Duration::ZERO;
        for holder in &lookup.closest {
            lookup.rpcs += 1;
            lookup.bytes += lookup::REQUEST_BYTES + lookup::PEER_BYTES;
            // Nobody answers to a record, so that one that is lost is not missed.
            if let Some(rtt) = net.rtt(peer, *holder) {
                last = last.max(rtt / 2);
                let at = found.after(rtt / 2);
                self.records.put(&self.table, *holder, key, peer, at);
            }
        }
        lookup.delay += last;
        lookup
    }

    fn stop(&mut self, _: Time, _: u32, _: &Hash) {}

    fn republish_after(&self) -> Duration {
        s(self.knobs.republish_s)
    }

    fn find_providers(&mut self, now: Time, peer: u32, key: &Hash, net: &mut dyn Rtt) -> Lookup {
        self.walk(now, peer, key, true, net)
    }

    fn closest(&mut self, now: Time, peer: u32, key: &Hash, net: &mut dyn Rtt) -> Lookup {
        self.walk(now, peer, key, false, net)
    }
}
