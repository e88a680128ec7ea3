//! What lies between peers: a chain of small models, each of which delays or drops a packet.
//!
//! `partition` -> `loss` -> uplink -> `latency` -> `access` -> `nat` -> downlink; [`Network`] holds one of each. It is
//! a model of paths, not of TCP or QUIC: no congestion control, no handshakes, and packets overtake each other. It
//! holds no events: the loop asks it for delays. Invariant: what a packet meets depends on the seed, its sender, how
//! many packets that sender sent before, and the queues; each model draws by its own salt, so that switching one off
//! leaves the others' numbers alone. All times are virtual.

pub mod access;
pub mod bandwidth;
pub mod knobs;
pub mod latency;
pub mod loss;
pub mod nat;
pub mod partition;
pub mod places;

pub use knobs::{Knobs, Mix};
pub use nat::Reach;
pub use places::places;

use crate::engine::{Purpose, Streams};
use crate::kademlia::Rtt;
use core::time::Duration;
use rand_core::Rng;
use starling_protocol::Time;

/// What a packet carries, as far as the models care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// A message of the protocol: may be lost in silence.
    Control,
    /// One hop of a gossiped message.
    Gossip,
    /// A Kademlia request or reply: its transport sends it again when it is lost.
    Rpc,
    /// Part of a blob: reliable, and behind everything else in the queues of its link.
    Blob,
}

/// Something that one peer sends to another in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The sender.
    pub from: u32,
    /// The receiver.
    pub to: u32,
    /// Bytes on the wire.
    pub bytes: u32,
    /// What it carries.
    pub kind: PacketKind,
}

/// How fast a peer is connected: io.net's four tiers, at the minimum that each demands, and one below them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Below every tier: 50/10 Mbit/s unless knobs say otherwise (an assumption: a common cable or DSL contract).
    Home,
    /// 100/75 Mbit/s.
    Low,
    /// 400/300 Mbit/s.
    Medium,
    /// 800/600 Mbit/s.
    High,
    /// 1600/1200 Mbit/s.
    Ultra,
}

/// What stands between a peer and the Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// Nothing: everybody can dial it.
    Public,
    /// A NAT whose ports can be foretold, so that hole punching may work.
    Punchable,
    /// A NAT with a new port for every destination.
    Symmetric,
}

/// What a peer's log lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Durable after a few milliseconds.
    Ssd,
    /// Now and then durable only after a fraction of a second.
    Slow,
}

/// Where a peer is, and what with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into [`latency::Table::regions`].
    pub region: u8,
    /// Its connection.
    pub tier: Tier,
    /// Its NAT.
    pub nat: Nat,
    /// How far its clock is ahead, ms.
    pub skew_ms: i32,
    /// Its disk.
    pub disk: Disk,
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): 64 bits in, 64 well mixed bits out.
#[must_use]
pub(crate) fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number in 0..1 from 64 random bits: 53 of them, so that every value is exact on every machine.
#[must_use]
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// The salt of `purpose`: all that a counter-based model keeps of the run's randomness.
#[must_use]
pub(crate) fn salt(streams: &Streams, purpose: Purpose) -> u64 {
    streams.stream(purpose, 0).next_u64()
}

/// The random numbers of one decision: any number of them, each under its own salt, none used up by another.
#[derive(Clone, Copy, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Those of decision number `count` of `peer`.
    #[must_use]
    pub fn new(salt: u64, peer: u32, count: u32) -> Self {
        let number = (u64::from(peer) << 32) | u64::from(count);
        Self(mix(salt ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// The number in 0..1 under `salt`.
    #[must_use]
    pub fn unit(self, salt: u64) -> f64 {
        unit(mix(self.0 ^ salt))
    }
}

/// What every packet from one peer to another takes, queues and losses aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// At the least, us.
    pub least_us: u32,
    /// The mean of what comes on top and is exponentially distributed, us.
    pub spread_us: u32,
}

/// Memory that a vector holds, bytes.
pub(crate) fn room<T>(of: &Vec<T>) -> usize {
    of.capacity() * size_of::<T>()
}

/// One model on a packet's way.
///
/// Models that hold queues count them from `now + so_far`.
pub trait Hop {
    /// `so_far` plus what this model adds to the time since `now`, when `packet` was sent; `None` when it goes no further.
    fn pass(
        &mut self,
        now: Time,
        packet: &Packet,
        draw: Draw,
        so_far: Duration,
    ) -> Option<Duration>;
}

/// What became of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Packets and transfers asked for.
    pub sent: u64,
    /// Lost, independently or in a burst.
    pub lost: u64,
    /// Went through a relay.
    pub relayed: u64,
    /// Stopped by a partition.
    pub partitioned: u64,
    /// Between two NATs, with no relay.
    pub unreachable: u64,
}

/// The network of one run.
pub struct Network {
    places: Vec<Place>,
    salt: u64,
    /// How many packets each peer has sent: they number its draws.
    sent: Vec<u32>,
    partition: partition::Partitions,
    loss: loss::Loss,
    bursts: Option<loss::Bursts>,
    uplink: Option<bandwidth::Uplink>,
    latency: latency::Latency,
    access: access::Access,
    nat: nat::Nats,
    downlink: Option<bandwidth::Downlink>,
    relay_ns_per_byte: f64,
    loss_share: f64,
    disk: Disks,
    counters: Counters,
}

struct Disks {
    ssd: Duration,
    slow_ms: (f64, f64),
    salt: u64,
    flushes: Vec<u32>,
}

pub(crate) fn ms(ms: f64) -> Duration {
    Duration::from_nanos((ms.max(0.0) * 1e6) as u64)
}

/// Largest part of a blob that is queued at once, so that it fits a [`Packet`].
const PART: u32 = 1 << 30;

impl Network {
    /// The network between `places`, peer by peer. `knobs` are in range ([`Knobs::check`]).
    #[must_use]
    pub fn new(knobs: &Knobs, places: Vec<Place>, streams: &Streams) -> Self {
        let peers = places.len();
        let limited = knobs.limit_bandwidth;
        Self {
            salt: salt(streams, Purpose::Packet),
            sent: vec![0; peers],
            partition: partition::Partitions::new(knobs, &places, streams),
            loss: loss::Loss::new(knobs.loss_share, streams),
            bursts: loss::Bursts::new(knobs, peers, streams),
            uplink: limited.then(|| bandwidth::Uplink::new(knobs, &places)),
            latency: latency::Latency::new(knobs, &places, streams),
            access: access::Access::new(knobs, streams),
            nat: nat::Nats::new(knobs, &places, streams),
            downlink: limited.then(|| bandwidth::Downlink::new(knobs, &places)),
            relay_ns_per_byte: 8_000.0 / knobs.relay_mbps,
            loss_share: knobs.loss_share,
            disk: Disks {
                ssd: ms(knobs.ssd_ms),
                slow_ms: (knobs.slow_disk_min_ms, knobs.slow_disk_max_ms),
                salt: salt(streams, Purpose::Disk),
                flushes: vec![0; peers],
            },
            counters: Counters::default(),
            places,
        }
    }

    /// How long `packet`, sent now, is on its way; `None` when it never arrives.
    pub fn send(&mut self, now: Time, packet: &Packet) -> Option<Duration> {
        self.path(now, packet, true)
    }

    fn path(&mut self, now: Time, packet: &Packet, queued: bool) -> Option<Duration> {
        let draw = self.draw(packet.from);
        self.counters.sent += 1;
        let so_far = Duration::ZERO;
        if self.partition.pass(now, packet, draw, so_far).is_none() {
            self.counters.partitioned += 1;
            return None;
        }
        let mut left = self.loss.pass(now, packet, draw, so_far);
        if let (Some(bursts), Some(so_far)) = (&mut self.bursts, left) {
            left = bursts.pass(now, packet, draw, so_far);
        }
        // What gets lost on the way has left its uplink all the same.
        if let Some(uplink) = self.uplink.as_mut().filter(|_| queued) {
            let out = uplink.pass(now, packet, draw, left.unwrap_or_default());
            left = left.and(out);
        }
        let Some(mut so_far) = left else {
            self.counters.lost += 1;
            return None;
        };
        so_far = self.latency.pass(now, packet, draw, so_far)?;
        so_far = self.access.pass(now, packet, draw, so_far)?;
        match self.nat.reach(packet.from, packet.to) {
            Reach::Direct | Reach::Punched => {}
            Reach::Relayed => {
                self.counters.relayed += 1;
                so_far += self.nat.detour(packet.from, packet.to);
            }
            Reach::No => {
                self.counters.unreachable += 1;
                return None;
            }
        }
        match self.downlink.as_mut().filter(|_| queued) {
            Some(downlink) => downlink.pass(now, packet, draw, so_far),
            None => Some(so_far),
        }
    }

    /// The way from `from` to `to`, for callers that draw by themselves; `None` where there is none. [`Self::send`]
    /// takes so long, up to [`Self::jitter_us`] more, [`Self::leaves_us`] for each packet in the sender's queue, and
    /// what waits at the receiver.
    #[must_use]
    pub fn way(&self, from: u32, to: u32) -> Option<Way> {
        let detour = match self.nat.reach(from, to) {
            Reach::Direct | Reach::Punched => Duration::ZERO,
            Reach::Relayed => self.nat.detour(from, to),
            Reach::No => return None,
        };
        let (shift_ns, scale_ns) = self.latency.shift_and_scale_ns(from, to);
        let least_us = (shift_ns + self.access.base_ns()) / 1e3 + detour.as_micros() as f64;
        Some(Way {
            least_us: least_us as u32,
            spread_us: (scale_ns / 1e3) as u32,
        })
    }

    /// Up to so much more than its [`Way`] a packet takes, evenly, us.
    #[must_use]
    pub fn jitter_us(&self) -> u32 {
        (self.access.jitter_ns() / 1e3) as u32
    }

    /// How long `bytes` take to leave `from`, us.
    #[must_use]
    pub fn leaves_us(&self, from: u32, bytes: u32) -> u32 {
        let uplink = self.uplink.as_ref();
        let ns = uplink.map_or(0, |link| link.takes_ns(from, bytes));
        u32::try_from(ns / 1_000).unwrap_or(u32::MAX)
    }

    /// Memory of all that is kept by peer, bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        room(&self.places)
            + room(&self.sent)
            + room(&self.disk.flushes)
            + self.partition.heap_bytes()
            + self.bursts.as_ref().map_or(0, loss::Bursts::heap_bytes)
            + self
                .uplink
                .as_ref()
                .map_or(0, bandwidth::Uplink::heap_bytes)
            + self.latency.heap_bytes()
            + self.nat.heap_bytes()
            + self
                .downlink
                .as_ref()
                .map_or(0, bandwidth::Downlink::heap_bytes)
    }

    /// How long `to` takes to fetch `bytes` from `from`: a request, and the bytes behind other blobs of the two links.
    /// `None` when the pair cannot reach each other now. Lost parts are sent again, which takes its share of bandwidth.
    pub fn transfer(&mut self, now: Time, from: u32, to: u32, bytes: u64) -> Option<Duration> {
        let part = |from, to, bytes| Packet {
            from,
            to,
            bytes,
            kind: PacketKind::Blob,
        };
        let ask = Packet {
            kind: PacketKind::Rpc,
            ..part(to, from, 0)
        };
        let request = self.send(now, &ask)?;
        let mut left = (bytes as f64 / (1.0 - self.loss_share).max(0.01)) as u64;
        let mut takes = Duration::ZERO;
        if self.nat.reach(from, to) == Reach::Relayed {
            takes = Duration::from_nanos((left as f64 * self.relay_ns_per_byte) as u64);
        }
        loop {
            let bytes = u32::try_from(left).unwrap_or(PART).min(PART);
            // Queued as if it left now: a queue that is told of the future makes the present wait for it.
            takes = takes.max(self.send(now, &part(from, to, bytes))?);
            left -= u64::from(bytes);
            if left == 0 {
                break;
            }
        }
        Some(request + takes)
    }

    /// How long a small request and its answer take, outside all queues; `None` when one of them is lost or stopped.
    pub fn rtt(&mut self, now: Time, from: u32, to: u32) -> Option<Duration> {
        let small = |from, to| Packet {
            from,
            to,
            bytes: 0,
            kind: PacketKind::Rpc,
        };
        let there = self.path(now, &small(from, to), false)?;
        Some(there + self.path(now, &small(to, from), false)?)
    }

    /// Round trips as they are at `now`, for [`crate::kademlia::Dht`].
    pub fn at(&mut self, now: Time) -> Probe<'_> {
        Probe { network: self, now }
    }

    /// How `a`'s packets get to `b` at `now`.
    pub fn reaches(&mut self, now: Time, a: u32, b: u32) -> Reach {
        if self.partition.stops(now, a, b) {
            return Reach::No;
        }
        self.nat.reach(a, b)
    }

    /// What `peer`'s clock says at `now` of a run that began at `epoch_s`, Unix seconds.
    #[must_use]
    pub fn unix_s(&self, peer: u32, now: Time, epoch_s: u64) -> u64 {
        let micros = i128::from(now.0) + i128::from(self.places[peer as usize].skew_ms) * 1_000;
        let unix_s = i128::from(epoch_s) + micros.div_euclid(1_000_000);
        u64::try_from(unix_s).unwrap_or(0)
    }

    /// How long `peer`'s next append to its log takes to be durable.
    pub fn disk_delay(&mut self, peer: u32) -> Duration {
        let at = peer as usize;
        match self.places[at].disk {
            Disk::Ssd => self.disk.ssd,
            Disk::Slow => {
                let draw = Draw::new(self.disk.salt, peer, self.disk.flushes[at]);
                self.disk.flushes[at] = self.disk.flushes[at].wrapping_add(1);
                let (least, most) = self.disk.slow_ms;
                ms(least + (most - least) * draw.unit(0))
            }
        }
    }

    /// Where `peer` is.
    #[must_use]
    pub fn place(&self, peer: u32) -> &Place {
        &self.places[peer as usize]
    }

    /// What became of packets so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn draw(&mut self, from: u32) -> Draw {
        let count = &mut self.sent[from as usize];
        let draw = Draw::new(self.salt, from, *count);
        *count = count.wrapping_add(1);
        draw
    }
}

/// Round trips at one instant.
pub struct Probe<'a> {
    network: &'a mut Network,
    now: Time,
}

impl Rtt for Probe<'_> {
    fn rtt(&mut self, from: u32, to: u32) -> Option<Duration> {
        self.network.rtt(self.now, from, to)
    }
}
