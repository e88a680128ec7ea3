//! Strategies that change what the core hears: of its own device, of the time, of other peers.

use super::{advert, message};
use crate::means::{Identity, Means};
use crate::wrap::{Hand, Trick};
use starling_protocol::io::{Capacity, Input, Output, Topic, Verdict};
use starling_protocol::{Message, PeerKey};
use std::collections::BTreeSet;

/// The device is said to be so many times as fast.
pub(super) struct Boast {
    factor: f64,
    /// As the shell measured it, while the boasting has not begun.
    honest: Option<Capacity>,
}

impl Boast {
    pub(super) fn new(factor: f64) -> Self {
        Self {
            factor,
            honest: None,
        }
    }

    fn exaggerate(&self, mut capacity: Capacity) -> Input {
        for kernel in &mut capacity.kernels {
            // Saturates: a claim beyond all bounds is the greatest there is.
            kernel.units_per_s = ((kernel.units_per_s as f64 * self.factor) as u64).max(1);
        }
        Input::Capacity(capacity)
    }
}

impl Trick for Boast {
    fn on_input(&mut self, _: &mut Hand<'_>, input: Input) -> Option<Input> {
        Some(if let Input::Capacity(capacity) = input {
            self.exaggerate(capacity)
        } else {
            input
        })
    }

    fn asleep(&mut self, input: &Input) {
        if let Input::Capacity(capacity) = input {
            self.honest = Some(capacity.clone());
        }
    }

    fn on_wake(&mut self, hand: &mut Hand<'_>) {
        if let Some(capacity) = self.honest.take() {
            hand.back.push(self.exaggerate(capacity));
        }
    }
}

/// The wall clock is off by so many seconds.
pub(super) struct Skew(pub(super) i64);

impl Trick for Skew {
    fn on_input(&mut self, _: &mut Hand<'_>, mut input: Input) -> Option<Input> {
        if let Input::Started { unix_s, .. } | Input::Tick { unix_s } = &mut input {
            *unix_s = unix_s.saturating_add_signed(self.0);
        }
        Some(input)
    }
}

/// Adverts of strangers never reach the core.
pub(super) struct Clique {
    friends: BTreeSet<PeerKey>,
    me: PeerKey,
}

impl Clique {
    pub(super) fn new(means: &Means) -> Self {
        Self {
            friends: means.friends.clone(),
            me: Identity::new(means).me,
        }
    }

    fn is_one_of_us(&self, peer: &PeerKey) -> bool {
        *peer == self.me || self.friends.contains(peer)
    }
}

impl Trick for Clique {
    fn on_input(&mut self, hand: &mut Hand<'_>, input: Input) -> Option<Input> {
        if let Input::Gossip {
            id,
            topic: Topic::Capacity,
            data,
        } = &input
        {
            if advert(data).is_none_or(|a| self.is_one_of_us(&a.body.peer)) {
                return Some(input);
            }
            // Somebody has to answer the shell. To forward what it has not judged might cost it its own score.
            hand.out.push(Output::Verdict {
                id: *id,
                verdict: Verdict::Ignore,
            });
            return None;
        }
        match message(&input) {
            Some(Message::Advert(a)) if !self.is_one_of_us(&a.body.peer) => None,
            Some(_) | None => Some(input),
        }
    }
}
