//! Provider records: who holds jobs of a class in a shard.

use crate::engine::{Purpose, Stream, Streams};
use core::time::Duration;
use starling_protocol::Hash;
use std::collections::{BTreeMap, BTreeSet};

/// Kademlia as a promise: every operation takes about as long as the knob says, and none fails.
pub struct Boards {
    ms: f64,
    streams: Vec<Stream>,
    providers: BTreeMap<Hash, BTreeSet<u32>>,
}

impl Boards {
    /// Empty boards.
    #[must_use]
    pub fn new(ms: f64, peers: u32, streams: &Streams) -> Self {
        let streams = (0..peers)
            .map(|p| streams.stream(Purpose::Pair, p))
            .collect();
        Self {
            ms,
            streams,
            providers: BTreeMap::new(),
        }
    }

    /// How long an operation of `peer` takes.
    pub fn delay(&mut self, peer: u32) -> Duration {
        let factor = 0.5 + self.streams[peer as usize].unit();
        Duration::from_secs_f64(factor * self.ms / 1000.0)
    }

    /// Adds or removes a provider.
    pub fn provide(&mut self, board: Hash, peer: u32, provides: bool) {
        let providers = self.providers.entry(board).or_default();
        if provides {
            providers.insert(peer);
        } else {
            providers.remove(&peer);
        }
    }

    /// Who provides.
    #[must_use]
    pub fn providers(&self, board: &Hash) -> Vec<u32> {
        self.providers
            .get(board)
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }
}
