//! A round of questions to several peers: who has not answered yet, and how long to wait for them.
//!
//! Peers that kept silent twice in a row are still asked, but not waited for: otherwise one sleeping laptop would
//! add seconds to every slice of a small swarm. Any answer clears the record.

use crate::config;
use crate::hash::PeerKey;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

/// Consecutive silences per peer.
#[derive(Debug, Default)]
pub(crate) struct Silences(BTreeMap<PeerKey, u32>);

impl Silences {
    pub(crate) fn heard(&mut self, peer: &PeerKey) {
        self.0.remove(peer);
    }

    /// Rosters bound the map: only peers that were asked enter it.
    pub(crate) fn missed(&mut self, peer: PeerKey) {
        let count = self.0.entry(peer).or_default();
        *count = count.saturating_add(1);
        while self.0.len() > config::ADVERTS_MAX {
            self.0.pop_first();
        }
    }

    fn often(&self, peer: &PeerKey) -> bool {
        self.0.get(peer).is_some_and(|n| *n >= 2)
    }
}

/// One round.
#[derive(Debug, Default)]
pub(crate) struct Round {
    asked_at: Time,
    waiting: BTreeSet<PeerKey>,
    patience: Duration,
}

impl Round {
    pub(crate) fn new(
        now: Time,
        asked: impl IntoIterator<Item = PeerKey>,
        patience: Duration,
    ) -> Self {
        Self {
            asked_at: now,
            waiting: asked.into_iter().collect(),
            patience,
        }
    }

    /// Whether `peer`'s answer was still awaited; it is not any more.
    pub(crate) fn answered(&mut self, peer: &PeerKey) -> bool {
        self.waiting.remove(peer)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &PeerKey> {
        self.waiting.iter()
    }

    /// When those still waited for count as silent.
    pub(crate) fn deadline(&self, silences: &Silences) -> Time {
        let all_silent = self.waiting.iter().all(|p| silences.often(p));
        self.asked_at.after(if all_silent {
            config::SILENT_WAIT.min(self.patience)
        } else {
            self.patience
        })
    }

    /// Gives up on everybody who has not answered.
    pub(crate) fn close(&mut self, silences: &mut Silences) {
        for peer in core::mem::take(&mut self.waiting) {
            silences.missed(peer);
        }
    }
}
