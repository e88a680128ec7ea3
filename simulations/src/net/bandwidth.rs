//! Bandwidth: bytes leave through the sender's uplink and enter through the receiver's downlink, one after another.
//!
//! Two lanes a link, because real transports share: blobs wait for blobs and for everything smaller, which waits only
//! for its like. Both links work at once on what passes: the slower one decides. Asked in order of sending, a downlink
//! sees arrivals out of order; it therefore keeps a backlog that drains with time, not the instant at which it is free.
//! A delay once told is not taken back when something smaller overtakes.

use super::{Draw, Hop, Knobs, Packet, PacketKind, Place, Tier};
use core::time::Duration;
use starling_protocol::Time;

/// Down and up, Mbit/s.
#[must_use]
pub fn rates_mbps(tier: Tier, knobs: &Knobs) -> (f64, f64) {
    match tier {
        Tier::Home => (knobs.home_down_mbps, knobs.home_up_mbps),
        // io.net's tiers: both minima are required, and nobody has more than them here.
        Tier::Low => (100.0, 75.0),
        Tier::Medium => (400.0, 300.0),
        Tier::High => (800.0, 600.0),
        Tier::Ultra => (1600.0, 1200.0),
    }
}

/// ps per byte: whole numbers, and exact enough for 10 Gbit/s.
fn ps_per_byte(mbps: f64) -> u64 {
    (8e6 / mbps) as u64
}

fn takes_ns(bytes: u32, ps_per_byte: u64) -> u64 {
    u64::from(bytes).saturating_mul(ps_per_byte) / 1_000
}

fn ns(time: Time) -> u64 {
    time.0.saturating_mul(1_000)
}

fn nanos(span: Duration) -> u64 {
    let subsec = u64::from(span.subsec_nanos());
    span.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(subsec)
}

/// All that a link needs of a peer's tier: one byte a peer, and a small table.
struct Rates {
    of_peer: Vec<Tier>,
    ps_per_byte: [(u64, u64); 5],
}

impl Rates {
    fn new(knobs: &Knobs, places: &[Place]) -> Self {
        let tiers = [Tier::Home, Tier::Low, Tier::Medium, Tier::High, Tier::Ultra];
        let both = |tier| {
            let (down, up) = rates_mbps(tier, knobs);
            (ps_per_byte(down), ps_per_byte(up))
        };
        Self {
            of_peer: places.iter().map(|place| place.tier).collect(),
            ps_per_byte: tiers.map(both),
        }
    }

    fn down(&self, peer: u32) -> u64 {
        self.ps_per_byte[self.of_peer[peer as usize] as usize].0
    }

    fn up(&self, peer: u32) -> u64 {
        self.ps_per_byte[self.of_peer[peer as usize] as usize].1
    }

    fn heap_bytes(&self) -> usize {
        super::room(&self.of_peer)
    }
}

#[derive(Clone, Copy, Default)]
struct Up {
    /// When the last byte of all small packets is out, ns.
    small_free: u64,
    /// The same for blobs.
    blob_free: u64,
}

/// Senders' ends.
pub struct Uplink {
    links: Vec<Up>,
    rates: Rates,
}

impl Uplink {
    /// Idle links.
    #[must_use]
    pub fn new(knobs: &Knobs, places: &[Place]) -> Self {
        Self {
            links: vec![Up::default(); places.len()],
            rates: Rates::new(knobs, places),
        }
    }

    /// How long `bytes` take to leave an idle link, ns.
    #[must_use]
    pub fn takes_ns(&self, peer: u32, bytes: u32) -> u64 {
        takes_ns(bytes, self.rates.up(peer))
    }

    /// Memory of what is kept by peer, bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        super::room(&self.links) + self.rates.heap_bytes()
    }
}

impl Hop for Uplink {
    fn pass(&mut self, now: Time, packet: &Packet, _: Draw, so_far: Duration) -> Option<Duration> {
        let takes = takes_ns(packet.bytes, self.rates.up(packet.from));
        let link = &mut self.links[packet.from as usize];
        let now = ns(now).saturating_add(nanos(so_far));
        let ready = now.max(link.small_free);
        let out = if packet.kind == PacketKind::Blob {
            link.blob_free = ready.max(link.blob_free).saturating_add(takes);
            link.blob_free
        } else {
            link.small_free = ready.saturating_add(takes);
            if link.blob_free > ready {
                link.blob_free = link.blob_free.saturating_add(takes);
            }
            link.small_free
        };
        Some(so_far + Duration::from_nanos(out - now))
    }
}

/// Work that waits, and when it was last looked at.
#[derive(Clone, Copy, Default)]
struct Backlog {
    at: u64,
    ns: u64,
}

impl Backlog {
    /// What waits at `arrival`; arrivals before the latest one find the queue as that one left it.
    fn at(&mut self, arrival: u64) -> u64 {
        self.ns = self.ns.saturating_sub(arrival.saturating_sub(self.at));
        self.at = self.at.max(arrival);
        self.ns
    }
}

#[derive(Clone, Copy, Default)]
struct Down {
    small: Backlog,
    all: Backlog,
}

/// Receivers' ends.
pub struct Downlink {
    links: Vec<Down>,
    rates: Rates,
}

impl Downlink {
    /// Idle links.
    #[must_use]
    pub fn new(knobs: &Knobs, places: &[Place]) -> Self {
        Self {
            links: vec![Down::default(); places.len()],
            rates: Rates::new(knobs, places),
        }
    }

    /// Memory of what is kept by peer, bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        super::room(&self.links) + self.rates.heap_bytes()
    }
}

impl Hop for Downlink {
    fn pass(&mut self, now: Time, packet: &Packet, _: Draw, so_far: Duration) -> Option<Duration> {
        let takes = takes_ns(packet.bytes, self.rates.down(packet.to));
        let leaves = takes_ns(packet.bytes, self.rates.up(packet.from));
        let link = &mut self.links[packet.to as usize];
        let last = ns(now).saturating_add(nanos(so_far));
        let first = last.saturating_sub(leaves);
        let (small, all) = (link.small.at(first), link.all.at(first));
        let waits = if packet.kind == PacketKind::Blob {
            all
        } else {
            link.small.ns = small.saturating_add(takes);
            small
        };
        link.all.ns = all.saturating_add(takes);
        let done = first.saturating_add(waits).saturating_add(takes).max(last);
        Some(so_far + Duration::from_nanos(done - last))
    }
}
