//! Loss of packets: independent, and in bursts (Gilbert 1960, Elliott 1963).
//!
//! Control messages and gossip are gone. Kademlia's requests are sent again after a probe timeout, and blobs at the cost
//! of bandwidth, see [`super::Network::transfer`]. A burst belongs to a peer's link and strikes what it sends and what it
//! receives; when bursts come depends on the peer and the time alone, not on traffic.

use super::{Draw, Hop, Knobs, Packet, PacketKind, mix, salt};
use crate::engine::{Purpose, Streams};
use core::time::Duration;
use starling_protocol::Time;

/// QUIC's first probe timeout, three times its initial round trip of 333 ms (RFC 9002, 6.2.2): a lookup mostly talks to
/// peers that it has no connection to.
const PROBE: Duration = Duration::from_millis(999);

/// What becomes of a packet that the link drops.
fn dropped(kind: PacketKind, so_far: Duration) -> Option<Duration> {
    match kind {
        PacketKind::Control | PacketKind::Gossip => None,
        PacketKind::Rpc => Some(so_far + PROBE),
        PacketKind::Blob => Some(so_far),
    }
}

/// Independent loss.
pub struct Loss {
    share: f64,
    salt: u64,
}

impl Loss {
    /// Loses `share` of all packets, 0 to 1.
    #[must_use]
    pub fn new(share: f64, streams: &Streams) -> Self {
        Self {
            share,
            salt: salt(streams, Purpose::Loss),
        }
    }
}

impl Hop for Loss {
    fn pass(&mut self, _: Time, packet: &Packet, draw: Draw, so_far: Duration) -> Option<Duration> {
        if draw.unit(self.salt) < self.share {
            return dropped(packet.kind, so_far);
        }
        Some(so_far)
    }
}

/// One link's state.
#[derive(Clone, Copy, Default)]
struct Link {
    /// The state holds until then.
    until: Time,
    /// How many spans have begun, this one included. They are good and bad in turn, so this one is bad if even.
    spans: u32,
}

/// Loss in bursts: each link is good and bad in turn, for exponentially distributed times.
pub struct Bursts {
    links: Vec<Link>,
    share: f64,
    good_us: f64,
    bad_us: f64,
    salt: u64,
}

impl Bursts {
    /// Nothing where knobs have no bursts.
    #[must_use]
    pub fn new(knobs: &Knobs, peers: usize, streams: &Streams) -> Option<Self> {
        (knobs.burst_loss_share > 0.0).then(|| Self {
            links: vec![Link::default(); peers],
            share: knobs.burst_loss_share,
            good_us: knobs.burst_every_s * 1e6,
            bad_us: knobs.burst_s * 1e6,
            salt: salt(streams, Purpose::Burst),
        })
    }

    /// Memory of what is kept by peer, bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        super::room(&self.links)
    }

    /// Whether `peer`'s link is in a burst at `now`, which never goes back for a peer.
    fn bad(&mut self, now: Time, peer: u32) -> bool {
        let link = &mut self.links[peer as usize];
        while link.until <= now {
            // The first span, number 0, begins with the run and is good.
            let bad = link.spans % 2 == 1;
            let mean = if bad { self.bad_us } else { self.good_us };
            let draw = Draw::new(mix(self.salt), peer, link.spans);
            let span = -libm::log(1.0 - draw.unit(0)) * mean;
            link.until = Time(link.until.0.saturating_add((span as u64).max(1)));
            link.spans = link.spans.wrapping_add(1);
        }
        link.spans.is_multiple_of(2)
    }
}

impl Hop for Bursts {
    fn pass(
        &mut self,
        now: Time,
        packet: &Packet,
        draw: Draw,
        so_far: Duration,
    ) -> Option<Duration> {
        let bad = self.bad(now, packet.from) | self.bad(now, packet.to);
        if bad && draw.unit(self.salt) < self.share {
            return dropped(packet.kind, so_far);
        }
        Some(so_far)
    }
}
