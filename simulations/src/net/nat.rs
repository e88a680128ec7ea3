//! NATs: which pairs meet directly, which by hole punching, and which only through a relay.
//!
//! A pair with one public end is direct: the other dials out, or is asked to over its relay. Two NATs get through with
//! `punch_share`, drawn once for the pair; two symmetric ones never do, since neither port can be foretold. 70 % of
//! 4.4 million attempts between NATed peers of IPFS succeeded, over TCP and QUIC alike. Relayed packets take a detour
//! over the region of a public peer, fixed for the pair; the detour adds medians only.

use super::{Draw, Hop, Knobs, Nat, Packet, Place, latency, mix, salt, unit};
use crate::engine::{Purpose, Streams};
use core::time::Duration;
use starling_protocol::Time;

/// How one peer's packets get to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// An end is public.
    Direct,
    /// Through both NATs.
    Punched,
    /// Over a third peer.
    Relayed,
    /// Not at all.
    No,
}

/// The model.
pub struct Nats {
    of_peer: Vec<Nat>,
    regions: Vec<u8>,
    /// Regions of public peers, one entry each: those with more of them relay more.
    relays: Vec<u8>,
    medians_ns: Vec<u32>,
    across: usize,
    punch_share: f64,
    salt: u64,
}

impl Nats {
    /// NATs as `places` say.
    #[must_use]
    pub fn new(knobs: &Knobs, places: &[Place], streams: &Streams) -> Self {
        let public = places.iter().filter(|p| p.nat == Nat::Public);
        let relays = public.map(|p| p.region).filter(|_| knobs.relays);
        Self {
            of_peer: places.iter().map(|p| p.nat).collect(),
            regions: places.iter().map(|p| p.region).collect(),
            relays: relays.collect(),
            medians_ns: latency::Latency::new(knobs, &[], streams).medians_ns(),
            across: latency::Table::aws().regions().len(),
            punch_share: knobs.punch_share,
            salt: salt(streams, Purpose::Nat),
        }
    }

    /// Memory of what is kept by peer, bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        super::room(&self.of_peer) + super::room(&self.regions) + super::room(&self.relays)
    }

    fn pair(&self, a: u32, b: u32) -> u64 {
        let pair = (u64::from(a.min(b)) << 32) | u64::from(a.max(b));
        mix(self.salt ^ pair.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// How `a` and `b` get to each other; the same both ways.
    #[must_use]
    pub fn reach(&self, a: u32, b: u32) -> Reach {
        match (self.of_peer[a as usize], self.of_peer[b as usize]) {
            (Nat::Public, _) | (_, Nat::Public) => Reach::Direct,
            (Nat::Symmetric, Nat::Symmetric) => self.relayed(),
            (Nat::Punchable | Nat::Symmetric, Nat::Punchable | Nat::Symmetric) => {
                if unit(self.pair(a, b)) < self.punch_share {
                    Reach::Punched
                } else {
                    self.relayed()
                }
            }
        }
    }

    fn relayed(&self) -> Reach {
        if self.relays.is_empty() {
            Reach::No
        } else {
            Reach::Relayed
        }
    }

    fn median(&self, from: u8, to: u8) -> u64 {
        u64::from(self.medians_ns[usize::from(from) * self.across + usize::from(to)])
    }

    /// How much longer the way over the pair's relay is. Asked only of a pair that is relayed.
    #[must_use]
    pub fn detour(&self, from: u32, to: u32) -> Duration {
        let chosen = mix(self.pair(from, to)) % (self.relays.len() as u64).max(1);
        let Some(&via) = self.relays.get(chosen as usize) else {
            return Duration::ZERO;
        };
        let region = |peer: u32| self.regions[peer as usize];
        let (from, to) = (region(from), region(to));
        let detour = self.median(from, via) + self.median(via, to);
        // Where the table has a detour faster than the direct way, the relay's own work makes up for it.
        Duration::from_nanos(detour.saturating_sub(self.median(from, to)))
    }
}

impl Hop for Nats {
    fn pass(&mut self, _: Time, packet: &Packet, _: Draw, so_far: Duration) -> Option<Duration> {
        let (from, to) = (packet.from, packet.to);
        match self.reach(from, to) {
            Reach::Direct | Reach::Punched => Some(so_far),
            Reach::Relayed => Some(so_far + self.detour(from, to)),
            Reach::No => None,
        }
    }
}
