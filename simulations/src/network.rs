//! What lies between peers: latency, loss and bandwidth of links, the gossip mesh, Kademlia's boards.
//!
//! A model, with libp2p's promises and no more: control messages may be lost in silence and overtake each other;
//! gossip floods a mesh, hop by hop, and goes no further than peers accept it; boards are late. It holds no events:
//! `world` asks it for delays.

use crate::engine::Stream;
use crate::engine::{Purpose, Streams};
use core::cell::RefCell;
use core::time::Duration;
use rand_core::Rng;
use starling_protocol::{Hash, PeerKey};
use std::collections::{BTreeMap, BTreeSet};

/// All knobs of the network.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Knobs {
    /// One-way latency that every pair has, ms.
    pub base_ms: f64,
    /// At most so much more, fixed for each pair, ms.
    pub pair_ms: f64,
    /// At most so much more, anew for each message, ms.
    pub jitter_ms: f64,
    /// Share of control messages that are lost in silence, 0 to 1.
    pub loss: f64,
    /// Speed of blob transfers, Mbit/s.
    pub bandwidth_mbps: f64,
    /// Neighbours in the gossip mesh that a peer chooses; others choose it too.
    pub mesh_degree: u32,
    /// One Kademlia operation, ms.
    pub kademlia_ms: f64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            base_ms: 5.0,
            pair_ms: 60.0,
            jitter_ms: 5.0,
            loss: 0.0,
            bandwidth_mbps: 100.0,
            mesh_degree: 4,
            kademlia_ms: 150.0,
        }
    }
}

impl Knobs {
    /// The first knob that is out of its range, and what it should be.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let time = |ms: f64| (0.0..=60_000.0).contains(&ms);
        let faults = [
            (time(self.base_ms), "network.base_ms", "0 to 60000"),
            (time(self.pair_ms), "network.pair_ms", "0 to 60000"),
            (time(self.jitter_ms), "network.jitter_ms", "0 to 60000"),
            (time(self.kademlia_ms), "network.kademlia_ms", "0 to 60000"),
            (
                (0.0..=1.0).contains(&self.loss),
                "network.loss",
                "a share from 0 to 1",
            ),
            (
                (0.001..=1e6).contains(&self.bandwidth_mbps),
                "network.bandwidth_mbps",
                "0.001 to 1000000",
            ),
            (
                (1..=64).contains(&self.mesh_degree),
                "network.mesh_degree",
                "1 to 64",
            ),
        ];
        faults
            .iter()
            .find(|(ok, ..)| !ok)
            .map(|(_, field, range)| (*field, *range))
    }
}

/// One gossiped message on its way through the mesh.
#[derive(Debug)]
pub struct Flood {
    /// The message.
    pub data: Vec<u8>,
    reached: RefCell<BTreeSet<u32>>,
}

impl Flood {
    /// A message that `origin` publishes.
    #[must_use]
    pub fn new(origin: u32, data: Vec<u8>) -> Self {
        Self {
            data,
            reached: RefCell::new(BTreeSet::from([origin])),
        }
    }

    /// Whether `peer` meets it for the first time; later copies are duplicates.
    pub fn reaches(&self, peer: u32) -> bool {
        self.reached.borrow_mut().insert(peer)
    }
}

/// The network of one run.
pub struct Network {
    knobs: Knobs,
    streams: Streams,
    links: Vec<Stream>,
    mesh: Vec<BTreeSet<u32>>,
    boards: BTreeMap<Hash, BTreeSet<PeerKey>>,
}

fn ms(ms: f64) -> Duration {
    Duration::from_secs_f64(ms.max(0.0) / 1000.0)
}

/// A number in 0..1 from 64 random bits: 53 of them, so that every value is exact on every machine.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

impl Network {
    /// A network of `peers` peers.
    #[must_use]
    pub fn new(knobs: Knobs, peers: u32, streams: &Streams) -> Self {
        let mesh = mesh(peers, knobs.mesh_degree, streams);
        let links = (0..peers)
            .map(|p| streams.stream(Purpose::Link, p))
            .collect();
        Self {
            knobs,
            streams: streams.clone(),
            links,
            mesh,
            boards: BTreeMap::new(),
        }
    }

    /// How long one message takes from `from` to `to`.
    pub fn latency(&mut self, from: u32, to: u32) -> Duration {
        let pair = unit(self.streams.of_pair(Purpose::Pair, from, to)) * self.knobs.pair_ms;
        let jitter = unit(self.links[from as usize].next_u64()) * self.knobs.jitter_ms;
        ms(self.knobs.base_ms + pair + jitter)
    }

    /// As [`Network::latency`], for a control message; `None` when it is lost.
    pub fn control(&mut self, from: u32, to: u32) -> Option<Duration> {
        let latency = self.latency(from, to);
        // Drawn in any case: a scenario without loss sees the same latencies.
        let lost = unit(self.links[from as usize].next_u64()) < self.knobs.loss;
        (!lost).then_some(latency)
    }

    /// How long `to` takes to fetch `len` bytes from `from`: a round trip, and the bytes.
    pub fn transfer(&mut self, from: u32, to: u32, len: u64) -> Duration {
        let bits = len as f64 * 8.0;
        self.latency(to, from)
            + self.latency(from, to)
            + ms(bits / (self.knobs.bandwidth_mbps * 1000.0))
    }

    /// How long a Kademlia operation of `peer` takes: between half and one and a half of the knob.
    pub fn kademlia(&mut self, peer: u32) -> Duration {
        ms((0.5 + unit(self.links[peer as usize].next_u64())) * self.knobs.kademlia_ms)
    }

    /// Adds or removes a provider.
    pub fn provide(&mut self, board: Hash, peer: PeerKey, provides: bool) {
        let providers = self.boards.entry(board).or_default();
        if provides {
            providers.insert(peer);
        } else {
            providers.remove(&peer);
        }
    }

    /// Who provides `board`.
    #[must_use]
    pub fn providers(&self, board: &Hash) -> Vec<PeerKey> {
        self.boards
            .get(board)
            .into_iter()
            .flatten()
            .copied()
            .collect()
    }

    /// Whom `peer` exchanges gossip with.
    #[must_use]
    pub fn neighbours(&self, peer: u32) -> &BTreeSet<u32> {
        &self.mesh[peer as usize]
    }
}

/// A ring, so that nobody is cut off, and random chords, so that it is few hops wide.
fn mesh(peers: u32, degree: u32, streams: &Streams) -> Vec<BTreeSet<u32>> {
    let mut mesh = vec![BTreeSet::new(); peers as usize];
    let mut link = |a: u32, b: u32| {
        if a != b {
            mesh[a as usize].insert(b);
            mesh[b as usize].insert(a);
        }
    };
    for peer in 0..peers {
        link(peer, (peer + 1) % peers);
        let mut stream = streams.stream(Purpose::Mesh, peer);
        (1..degree).for_each(|_| link(peer, stream.next_u32() % peers));
    }
    mesh
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_stay_in_their_bounds_and_pairs_differ() {
        let knobs = Knobs {
            base_ms: 10.0,
            pair_ms: 20.0,
            jitter_ms: 1.0,
            ..Knobs::default()
        };
        let mut network = Network::new(knobs, 20, &Streams::new(3));
        let bounds = ms(10.0)..=ms(31.0);
        let all: Vec<_> = (1..20).map(|to| network.latency(0, to)).collect();
        assert!(all.iter().all(|l| bounds.contains(l)), "{all:?}");
        let near = (1..20)
            .filter(|to| network.latency(0, *to) < ms(20.0))
            .count();
        assert!((1..19).contains(&near), "{near} of 19 pairs are near");
        assert!(
            network.latency(0, 1).abs_diff(network.latency(1, 0)) < ms(1.0),
            "a pair has one distance"
        );
    }

    #[test]
    fn losses_come_at_their_rate() {
        let mut network = Network::new(
            Knobs {
                loss: 0.25,
                ..Knobs::default()
            },
            2,
            &Streams::new(9),
        );
        let lost = (0..4000)
            .filter(|_| network.control(0, 1).is_none())
            .count();
        assert!((900..1100).contains(&lost), "{lost} of 4000");
    }

    #[test]
    fn the_mesh_reaches_everybody() {
        for peers in [1, 2, 3, 50] {
            let mesh = mesh(peers, 4, &Streams::new(1));
            let (mut reached, mut edge) = (BTreeSet::from([0]), vec![0]);
            while let Some(peer) = edge.pop() {
                edge.extend(
                    mesh[peer as usize]
                        .iter()
                        .copied()
                        .filter(|p| reached.insert(*p)),
                );
            }
            assert_eq!(reached.len(), peers as usize);
        }
    }
}
