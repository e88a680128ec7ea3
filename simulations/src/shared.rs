//! What all peers of a run share: clock and queue, network, gossip, Kademlia, and who writes everything down.

use crate::engine::Engine;
use crate::event::{ANY_LIFE, Event, What};
use crate::gossip::{Copy, Gossip};
use crate::kademlia::{Dht, Lookup};
use crate::net::Network;
use crate::observe::Observer;
use core::time::Duration;
use starling_protocol::PeerKey;
use starling_protocol::io::Output;
use std::collections::HashMap;

/// Finds a peer by its key. Keys are random, so their first bytes are as good a hash as any; nothing iterates.
pub type Keys = HashMap<PeerKey, u32, core::hash::BuildHasherDefault<FirstBytes>>;

/// The first eight bytes that it is given.
#[derive(Default)]
pub struct FirstBytes(u64);

impl core::hash::Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

/// What Kademlia has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LookupTally {
    /// Lookups and stores.
    pub lookups: u64,
    /// Of these, without an answer.
    pub failed: u64,
    /// Requests.
    pub rpcs: u64,
    /// Their bytes, answers included.
    pub bytes: u64,
}

impl LookupTally {
    /// One more.
    pub fn count(&mut self, lookup: &Lookup) {
        self.lookups += 1;
        self.failed += u64::from(lookup.failed);
        self.rpcs += u64::from(lookup.rpcs);
        self.bytes += lookup.bytes;
    }
}

/// What all hosts share while one of them acts.
pub struct Shared {
    /// The clock and the queue.
    pub engine: Engine<Event>,
    /// Delays.
    pub network: Network,
    /// The mesh.
    pub gossip: Box<dyn Gossip>,
    /// Who finds whom.
    pub dht: Box<dyn Dht>,
    /// What the lookups have cost.
    pub lookups: LookupTally,
    /// Who writes everything down.
    pub observer: Observer,
    /// Indices of keys.
    pub keys: Keys,
    /// Keys by index.
    pub names: Vec<PeerKey>,
    /// Room for copies of gossip.
    pub copies: Vec<Copy>,
    /// Room for what a core answers.
    pub outputs: Vec<Output>,
}

impl Shared {
    /// Schedules what comes from outside.
    pub fn reach(&mut self, delay: Duration, peer: u32, what: What) {
        self.engine.after(
            delay,
            Event::Peer {
                peer,
                life: ANY_LIFE,
                what,
            },
        );
    }

    /// A core asks for something.
    pub fn asked(&mut self, peer: u32, output: &Output) {
        let name = || self.names[peer as usize];
        self.observer.asked(peer, name, self.engine.now(), output);
    }

    /// A peer notices that it cannot reach another.
    pub fn unreachable(&mut self, peer: u32, other: PeerKey) {
        let by = self.names[peer as usize];
        self.observer.history.order.unreachable(by, other);
    }

    /// Schedules the copies that gossip has just sent.
    pub fn deliver_copies(&mut self) {
        let mut copies = core::mem::take(&mut self.copies);
        for copy in copies.drain(..) {
            self.reach(copy.delay, copy.to, What::Gossip(copy.flood));
        }
        self.copies = copies;
    }
}
