//! What lies between peers: latency, loss and bandwidth of links, the gossip mesh, Kademlia's boards.
//!
//! A model, with libp2p's promises and no more: control messages may be lost in silence and overtake each other;
//! gossip floods a mesh, hop by hop, and goes no further than peers accept it; boards are late. It holds no events:
//! `world` asks it for delays.

use crate::engine::{Purpose, Stream, Streams, streams::unit};
use core::time::Duration;
use starling_protocol::Time;

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

/// What a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// A control message.
    Control,
    /// A gossiped message.
    Gossip,
    /// A request or an answer of Kademlia.
    Rpc,
    /// Part of a blob.
    Blob,
}

/// Bytes on their way.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Who sends.
    pub from: u32,
    /// Who is to receive.
    pub to: u32,
    /// How many bytes.
    pub bytes: u32,
    /// What they belong to.
    pub kind: PacketKind,
}

/// The network of one run.
pub struct Network {
    knobs: Knobs,
    streams: Streams,
    links: Vec<Stream>,
}

fn ms(ms: f64) -> Duration {
    Duration::from_secs_f64(ms.max(0.0) / 1000.0)
}

impl Network {
    /// A network of `peers` peers.
    #[must_use]
    pub fn new(knobs: Knobs, peers: u32, streams: &Streams) -> Self {
        let links = (0..peers)
            .map(|p| streams.stream(Purpose::Link, p))
            .collect();
        Self {
            knobs,
            streams: streams.clone(),
            links,
        }
    }

    /// How long a packet takes; `None` when it is lost.
    pub fn send(&mut self, _: Time, packet: &Packet) -> Option<Duration> {
        let pair =
            unit(self.streams.of_pair(Purpose::Pair, packet.from, packet.to)) * self.knobs.pair_ms;
        let link = &mut self.links[packet.from as usize];
        let jitter = link.unit() * self.knobs.jitter_ms;
        let lost = packet.kind == PacketKind::Control && link.unit() < self.knobs.loss;
        (!lost).then_some(ms(self.knobs.base_ms + pair + jitter))
    }

    /// How long `bytes` of a blob take.
    pub fn transfer(&mut self, now: Time, from: u32, to: u32, bytes: u64) -> Option<Duration> {
        let bits = bytes as f64 * 8.0;
        let packet = Packet {
            from,
            to,
            bytes: 0,
            kind: PacketKind::Blob,
        };
        Some(self.send(now, &packet)? + ms(bits / (self.knobs.bandwidth_mbps * 1000.0)))
    }

    /// `peer`'s wall clock, Unix seconds.
    #[must_use]
    pub fn unix_s(&self, _: u32, now: Time, epoch_s: u64) -> u64 {
        epoch_s + now.0 / 1_000_000
    }

    /// How long an append to `peer`'s log takes to be durable.
    pub fn disk_delay(&mut self, _: u32) -> Duration {
        Duration::from_millis(4)
    }
}
