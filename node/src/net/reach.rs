//! How others reach this peer, and what it does about it: decisions only, no sockets.
//!
//! | how | becomes known by |
//! |---|---|
//! | `listener` | the scope: on one machine or site every address that is listened on counts |
//! | `announced` | the owner's word |
//! | `inbound` | a stranger that was not asked to opened a connection to a public address of this machine |
//! | `autonat` | another peer was asked to dial it, and did |
//! | `upnp` | the router forwards the port |
//! | `relay` | a relay holds a reservation |
//!
//! Without a direct address, some time after the start, up to [`RESERVATIONS`] relays are asked; with one, relays are
//! given up and this peer is one. Invariant: what strangers announce fills at most [`RELAYS`] entries, and an address
//! that nobody has confirmed in two rounds of questions is not told any more.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, PeerId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::NetLimits;

/// Relays that hold a reservation at once: one may leave without warning.
pub(super) const RESERVATIONS: usize = 2;
/// Relays remembered.
const RELAYS: usize = 32;
/// First and longest wait before a relay that refused or left is asked again.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15 * 60));
/// A reservation that was asked for and neither granted nor refused.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time for the questions of a round to be asked and answered.
const ROUND: Duration = Duration::from_secs(60);

/// How an address is known to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The scope makes it so.
    Listener,
    /// The owner says so.
    Announced,
    /// A stranger came in by it.
    Inbound,
    /// Another peer was asked to dial it.
    Autonat,
    /// The router forwards it.
    Upnp,
    /// A relay forwards it.
    Relay,
}

impl How {
    /// Whether it holds until somebody says otherwise.
    fn lasts(self) -> bool {
        !matches!(self, How::Inbound | How::Autonat)
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask this relay for a reservation.
    Reserve(PeerId, Multiaddr),
    /// Give this relay's reservation up.
    Release(PeerId),
    /// Tell nobody of this address any more.
    Forget(Multiaddr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    No { not_before: Instant },
    Asked(Instant),
    Yes,
}

#[derive(Debug)]
struct Relay {
    address: Multiaddr,
    held: Held,
    failures: u32,
}

/// The state.
#[derive(Debug)]
pub(super) struct Reach {
    /// Whether relays are used.
    relays_wanted: bool,
    /// When relays may be asked.
    relays_from: Instant,
    /// How long a stranger's word holds.
    doubt: Duration,
    addresses: BTreeMap<Multiaddr, (How, Instant)>,
    relays: BTreeMap<PeerId, Relay>,
    /// In which order equal relays are asked; nobody can place itself first.
    order: RandomState,
}

impl Reach {
    pub(super) fn new(relays_wanted: bool, limits: &NetLimits, now: Instant) -> Self {
        Reach {
            relays_wanted,
            relays_from: now + limits.relay_after,
            doubt: limits.retest * 2 + ROUND,
            addresses: BTreeMap::new(),
            relays: BTreeMap::new(),
            order: RandomState::new(),
        }
    }

    /// An address works.
    pub(super) fn confirmed(&mut self, address: Multiaddr, how: How, now: Instant) {
        let entry = self.addresses.entry(address).or_insert((how, now));
        // What lasts is not made doubtful by a second witness.
        if !entry.0.lasts() {
            *entry = (how, now);
        }
    }

    /// An address works no more.
    pub(super) fn expired(&mut self, address: &Multiaddr) {
        self.addresses.remove(address);
    }

    /// Addresses that work.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (&Multiaddr, How)> {
        self.addresses
            .iter()
            .map(|(address, (how, _))| (address, *how))
    }

    /// Whether others reach this peer without a relay.
    pub(super) fn is_direct(&self) -> bool {
        self.addresses().any(|(_, how)| how != How::Relay)
    }

    /// Relays that hold a reservation.
    pub(super) fn reserved(&self) -> impl Iterator<Item = (&PeerId, &Multiaddr)> {
        let held = self.relays.iter().filter(|(_, r)| r.held == Held::Yes);
        held.map(|(peer, relay)| (peer, &relay.address))
    }

    /// A peer offers to relay.
    pub(super) fn offered(&mut self, peer: PeerId, address: Multiaddr, now: Instant) {
        if !self.relays_wanted {
            return;
        }
        if let Some(relay) = self.relays.get_mut(&peer) {
            relay.address = address;
            return;
        }
        if self.relays.len() >= RELAYS {
            // One that has failed makes room.
            let worst = self.relays.iter().max_by_key(|(_, r)| r.failures);
            let worst = worst.filter(|(_, r)| r.failures > 0 && matches!(r.held, Held::No { .. }));
            if let Some(worst) = worst.map(|(peer, _)| *peer) {
                self.relays.remove(&worst);
            }
        }
        if self.relays.len() < RELAYS {
            let fresh = Relay {
                address,
                held: Held::No { not_before: now },
                failures: 0,
            };
            self.relays.insert(peer, fresh);
        }
    }

    /// A peer does not relay (any more).
    pub(super) fn withdrawn(&mut self, peer: &PeerId) {
        let unused = |relay: &Relay| matches!(relay.held, Held::No { .. });
        if self.relays.get(peer).is_some_and(unused) {
            self.relays.remove(peer);
        }
    }

    /// A relay granted or renewed a reservation.
    pub(super) fn granted(&mut self, peer: &PeerId) {
        if let Some(relay) = self.relays.get_mut(peer) {
            (relay.held, relay.failures) = (Held::Yes, 0);
        }
    }

    /// A relay refused, or a reservation ended: libp2p does not ask again by itself.
    pub(super) fn ended(&mut self, peer: &PeerId, now: Instant) {
        if let Some(relay) = self.relays.get_mut(peer) {
            relay.failures += 1;
            let doubled = BACKOFF.0.saturating_mul(1 << relay.failures.min(8));
            let not_before = now + doubled.min(BACKOFF.1);
            relay.held = Held::No { not_before };
        }
    }

    /// What to do now.
    pub(super) fn step(&mut self, now: Instant) -> Vec<Step> {
        let mut steps = Vec::new();
        self.addresses.retain(|address, (how, confirmed)| {
            let holds = how.lasts() || now.saturating_duration_since(*confirmed) < self.doubt;
            if !holds {
                steps.push(Step::Forget(address.clone()));
            }
            holds
        });
        if self.is_direct() {
            for (peer, relay) in &mut self.relays {
                if !matches!(relay.held, Held::No { .. }) {
                    relay.held = Held::No { not_before: now };
                    steps.push(Step::Release(*peer));
                }
            }
            return steps;
        }
        let mut busy = 0;
        for (peer, relay) in &mut self.relays {
            match relay.held {
                Held::Asked(since) if now.saturating_duration_since(since) > PATIENCE => {
                    relay.failures += 1;
                    relay.held = Held::No {
                        not_before: now + BACKOFF.1,
                    };
                    steps.push(Step::Release(*peer));
                }
                Held::Asked(_) | Held::Yes => busy += 1,
                Held::No { .. } => {}
            }
        }
        if now < self.relays_from {
            return steps;
        }
        // Those that failed least first.
        let mut free: Vec<_> = self.relays.iter_mut().collect();
        free.retain(|(_, r)| matches!(r.held, Held::No { not_before } if not_before <= now));
        free.sort_by_key(|(peer, relay)| (relay.failures, self.order.hash_one(peer)));
        for (peer, relay) in free.into_iter().take(RESERVATIONS.saturating_sub(busy)) {
            relay.held = Held::Asked(now);
            steps.push(Step::Reserve(*peer, relay.address.clone()));
        }
        steps
    }
}

#[cfg(test)]
mod tests;
