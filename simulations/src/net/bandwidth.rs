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
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Clone, Copy)]
struct Up {
    ps_per_byte: u64,
    /// When the last byte of all small packets is out, ns.
    small_free: u64,
    /// The same for blobs.
    blob_free: u64,
}

/// Senders' ends.
pub struct Uplink(Vec<Up>);

impl Uplink {
    /// Idle links.
    #[must_use]
    pub fn new(knobs: &Knobs, places: &[Place]) -> Self {
        let up = |place: &Place| Up {
            ps_per_byte: ps_per_byte(rates_mbps(place.tier, knobs).1),
            small_free: 0,
            blob_free: 0,
        };
        Self(places.iter().map(up).collect())
    }
}

impl Hop for Uplink {
    fn pass(&mut self, now: Time, packet: &Packet, _: Draw, so_far: Duration) -> Option<Duration> {
        let link = &mut self.0[packet.from as usize];
        let now = ns(now);
        let takes = takes_ns(packet.bytes, link.ps_per_byte);
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

#[derive(Clone, Copy)]
struct Down {
    ps_per_byte: u64,
    small: Backlog,
    all: Backlog,
}

/// Receivers' ends.
pub struct Downlink {
    links: Vec<Down>,
    up_ps_per_byte: Vec<u32>,
}

impl Downlink {
    /// Idle links.
    #[must_use]
    pub fn new(knobs: &Knobs, places: &[Place]) -> Self {
        let down = |place: &Place| Down {
            ps_per_byte: ps_per_byte(rates_mbps(place.tier, knobs).0),
            small: Backlog::default(),
            all: Backlog::default(),
        };
        let up = |place: &Place| {
            let ps = ps_per_byte(rates_mbps(place.tier, knobs).1);
            u32::try_from(ps).unwrap_or(u32::MAX)
        };
        Self {
            links: places.iter().map(down).collect(),
            up_ps_per_byte: places.iter().map(up).collect(),
        }
    }
}

impl Hop for Downlink {
    fn pass(&mut self, now: Time, packet: &Packet, _: Draw, so_far: Duration) -> Option<Duration> {
        let link = &mut self.links[packet.to as usize];
        let takes = takes_ns(packet.bytes, link.ps_per_byte);
        let up = u64::from(self.up_ps_per_byte[packet.from as usize]);
        let last = ns(now).saturating_add(nanos(so_far));
        let first = last.saturating_sub(takes_ns(packet.bytes, up));
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
