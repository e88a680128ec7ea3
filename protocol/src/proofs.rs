//! What this peer's own probes have shown of others' claims, kept beside their adverts. Nothing here is told to others.
//!
//! | own measurements of a claim | standing |
//! |---|---|
//! | fewer than three | unproven |
//! | median at 90 % of the claim or more | proven |
//! | between | unproven, with its speed |
//! | median below 80 % | struck |
//! | three probes in a row unanswered | mute: not chosen, until one is answered |
//!
//! A claim that is lowered by more than a tenth is measured anew; so is one that is raised, unless it was struck: else
//! whoever was caught would only have to boast more. Invariant: the table is bounded, and room is made by those that
//! are gone.

use crate::config;
use crate::hash::{KernelId, PeerKey};
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How a claim stands with whoever probed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimState {
    /// Not measured often enough, or neither proven nor struck.
    Unproven,
    /// The device does what its advert says.
    Proven,
    /// It does much less: chosen last, and left out where there are enough others.
    Struck,
    /// It does not answer probes: chosen as if struck.
    Mute,
}

/// One claim as this peer has measured it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Which kernel.
    pub kernel: KernelId,
    /// What comes of it.
    pub standing: ClaimState,
    /// Median of at least three measurements, work units per second; none with fewer.
    pub measured: Option<u64>,
    /// Measurements that it is the median of.
    pub probes: usize,
}

#[derive(Default)]
struct Entry {
    /// What the measurements are of, work units per second.
    claim: u64,
    /// The latest ones, oldest first.
    measured: Vec<u64>,
    /// Probes without an answer, and refused ones, in a row.
    unanswered: u32,
    busy: u32,
    /// Not probed before.
    due: Time,
}

impl Entry {
    fn median(&self) -> Option<u64> {
        let mut sorted = self.measured.clone();
        sorted.sort_unstable();
        let enough = sorted.len() >= config::PROBES_ENOUGH;
        enough.then(|| sorted[sorted.len() / 2])
    }

    fn standing(&self, claim: u64) -> ClaimState {
        let claim = u128::from(claim);
        match self.median().map(u128::from) {
            Some(median) if median * 10 < claim * 8 => ClaimState::Struck,
            _ if self.unanswered >= config::PROBES_UNANSWERED => ClaimState::Mute,
            Some(median) if median * 10 >= claim * 9 => ClaimState::Proven,
            Some(_) | None => ClaimState::Unproven,
        }
    }

    /// The advert now says `claim`.
    fn claims(&mut self, claim: u64, now: Time) {
        let (old, new) = (u128::from(self.claim), u128::from(claim));
        let (lowered, raised) = (new * 10 < old * 9, new * 10 > old * 11);
        if lowered || raised {
            if lowered || self.standing(self.claim) != ClaimState::Struck {
                *self = Self {
                    due: now,
                    ..Self::default()
                };
            }
            self.claim = claim;
        }
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Proofs {
    table: BTreeMap<(PeerKey, KernelId), Entry>,
}

impl Proofs {
    /// A peer's advert says this of a kernel.
    pub(crate) fn claims(&mut self, peer: &PeerKey, kernel: &KernelId, claim: u64, now: Time) {
        if let Some(entry) = self.table.get_mut(&(*peer, *kernel)) {
            entry.claims(claim, now);
        }
    }

    /// Whether a claim may be probed now, and how often it was measured. A full table takes up nobody new.
    pub(crate) fn due(&self, peer: &PeerKey, kernel: &KernelId, now: Time) -> Option<usize> {
        match self.table.get(&(*peer, *kernel)) {
            Some(entry) => (entry.due <= now).then_some(entry.measured.len()),
            None => (self.table.len() < config::PROOFS_MAX).then_some(0),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.table.len() >= config::PROOFS_MAX
    }

    /// Makes room: those that are not here any more go.
    pub(crate) fn keep(&mut self, is_here: impl Fn(&PeerKey) -> bool) {
        self.table.retain(|(peer, _), _| is_here(peer));
    }

    fn entry(&mut self, peer: PeerKey, kernel: KernelId, claim: u64) -> &mut Entry {
        self.table.entry((peer, kernel)).or_insert_with(|| Entry {
            claim,
            ..Entry::default()
        })
    }

    /// A probe of `claim` gave so many units per second. The measured speed, if that has struck the claim just now.
    pub(crate) fn measured(
        &mut self,
        (peer, kernel, claim): (PeerKey, KernelId, u64),
        units_per_s: u64,
        now: Time,
    ) -> Option<u64> {
        let entry = self.entry(peer, kernel, claim);
        entry.busy = 0;
        entry.unanswered = 0;
        // The claim has changed since the probe began: that one is not measured by it.
        if entry.claim.abs_diff(claim) > entry.claim / 10 {
            return None;
        }
        let before = entry.standing(claim);
        if entry.measured.len() >= config::PROBES_KEPT {
            entry.measured.remove(0);
        }
        entry.measured.push(units_per_s);
        let after = entry.standing(claim);
        entry.due = now.after(match after {
            _ if entry.measured.len() < config::PROBES_ENOUGH => Duration::ZERO,
            // Whoever was struck may have had a bad hour.
            ClaimState::Struck => config::PROBE_AGAIN / 3,
            ClaimState::Unproven | ClaimState::Proven | ClaimState::Mute => config::PROBE_AGAIN,
        });
        let struck = after == ClaimState::Struck && before != ClaimState::Struck;
        entry.median().filter(|_| struck)
    }

    /// It works for somebody: asked again after twice as long each time, six times, then much later.
    pub(crate) fn busy(&mut self, (peer, kernel, claim): (PeerKey, KernelId, u64), now: Time) {
        let entry = self.entry(peer, kernel, claim);
        entry.unanswered = 0;
        entry.due = now.after(if entry.busy < config::PROBES_BUSY {
            config::PROBE_RETRY * (1 << entry.busy)
        } else {
            config::PROBE_AGAIN
        });
        entry.busy = (entry.busy + 1) % (config::PROBES_BUSY + 1);
    }

    /// It said nothing in time.
    pub(crate) fn unanswered(
        &mut self,
        (peer, kernel, claim): (PeerKey, KernelId, u64),
        now: Time,
    ) {
        let entry = self.entry(peer, kernel, claim);
        entry.unanswered = (entry.unanswered + 1).min(config::PROBES_UNANSWERED);
        entry.due = now.after(if entry.unanswered < config::PROBES_UNANSWERED {
            config::PROBE_RETRY * entry.unanswered
        } else {
            config::PROBE_AGAIN
        });
    }

    /// It could not be measured, for reasons of this peer's own.
    pub(crate) fn failed(&mut self, (peer, kernel, claim): (PeerKey, KernelId, u64), now: Time) {
        self.entry(peer, kernel, claim).due = now.after(config::PROBE_AGAIN);
    }

    /// What counts as a peer's speed: what was measured if it is less than claimed.
    pub(crate) fn speed(&self, peer: &PeerKey, kernel: &KernelId, claim: u64) -> u64 {
        let entry = self.table.get(&(*peer, *kernel));
        let median = entry.and_then(Entry::median);
        median.map_or(claim, |median| median.min(claim)).max(1)
    }

    /// Not to be chosen while there are others.
    pub(crate) fn is_struck(&self, peer: &PeerKey, kernel: &KernelId, claim: u64) -> bool {
        let entry = self.table.get(&(*peer, *kernel));
        let standing = entry.map_or(ClaimState::Unproven, |e| e.standing(claim));
        matches!(standing, ClaimState::Struck | ClaimState::Mute)
    }

    /// As people are shown it; none of a claim that was never probed.
    pub(crate) fn view(&self, peer: &PeerKey, kernel: &KernelId, claim: u64) -> Option<Proof> {
        let entry = self.table.get(&(*peer, *kernel))?;
        Some(Proof {
            kernel: *kernel,
            standing: entry.standing(claim),
            measured: entry.median(),
            probes: entry.measured.len(),
        })
    }
}
