//! What a job's stewards say to each other: soft, and believed only as far as it saves work.
//!
//! Whoever lies about what it has is asked for it, and not believed after some vain tries; whoever claims to be at work
//! on a slice for ever is not believed after a while; nobody who is not here is believed, but for the requester: what it
//! says to have, it has. While the requester is here it alone leases.

use super::{Claim, Kept, SliceState, Table};
use crate::bits::Bits;
use crate::config;
use crate::hash::PeerKey;
use crate::time::Time;
use alloc::vec::Vec;
use core::time::Duration;

impl Claim {
    /// Whether the steward has said something lately.
    fn is_fresh(&self, now: Time) -> bool {
        let recent = |at: Time| now < at.after(config::TELL * 3);
        self.heard.is_some_and(recent)
    }
}

impl Table {
    fn bits(&self, members: impl IntoIterator<Item = u32>) -> Bits {
        Bits::of(self.slices.len() as u32, members)
    }

    /// What this steward says of itself: the slices whose bytes it has, and those that it has leased.
    pub(crate) fn progress_bits(&self) -> (Bits, Bits) {
        let in_state = |wanted: fn(&SliceState) -> bool| {
            let slices = (0..).zip(&self.slices);
            self.bits(slices.filter(|(_, s)| wanted(s)).map(|(slice, _)| slice))
        };
        let busy = |s: &SliceState| !matches!(s, SliceState::Open | SliceState::Done);
        (in_state(|s| *s == SliceState::Done), in_state(busy))
    }

    /// Another steward says how far it is. True if this is the first time.
    pub(crate) fn claimed(&mut self, by: PeerKey, done: Bits, busy: Bits, now: Time) -> bool {
        let claim = self.claims.entry(by).or_default();
        let first = !core::mem::replace(&mut claim.told, true);
        // Since it first said so, whatever it said in between: or it could hold a slice for ever by dropping and taking it.
        claim.since.retain(|slice, _| {
            let state = self.slices.get(*slice as usize);
            state.is_some_and(|s| *s != SliceState::Done)
        });
        for slice in busy.iter() {
            if claim.since.len() < config::BUSY_MAX {
                claim.since.entry(slice).or_insert(now);
            }
        }
        claim.busy = busy;
        claim.done = done;
        (claim.heard, claim.lost) = (Some(now), false);
        first
    }

    /// The job was handed over, or taken up again: its requester leads if it is here, though it has not said how far it is.
    pub(crate) fn handed_over(&mut self, now: Time) {
        let requester = self.record.manifest.body.requester;
        let claim = self.claims.entry(requester).or_default();
        (claim.heard, claim.lost) = (Some(now), false);
    }

    /// `by` cannot be reached.
    pub(crate) fn lost(&mut self, by: &PeerKey) {
        if let Some(claim) = self.claims.get_mut(by) {
            claim.lost = true;
        }
    }

    /// Whether the requester, another peer, is here and sees to its job itself: then nobody else leases.
    pub(crate) fn is_led(&self, here: &dyn Fn(&PeerKey) -> bool, now: Time) -> bool {
        self.is_at_work(&self.record.manifest.body.requester, here, now)
    }

    /// Whether `by`, another steward, is here and sees to the job.
    pub(crate) fn is_at_work(
        &self,
        by: &PeerKey,
        here: &dyn Fn(&PeerKey) -> bool,
        now: Time,
    ) -> bool {
        let claim = self.claims.get(by).filter(|claim| !claim.lost);
        claim.is_some_and(|claim| claim.is_fresh(now)) && here(by)
    }

    /// `by`, a steward, did not hand over what it said to have.
    pub(crate) fn broke_its_word(&mut self, by: &PeerKey) {
        let claim = self.claims.entry(*by).or_default();
        claim.broken = claim.broken.saturating_add(1);
    }

    /// Whether `by` did not keep its word too often to be listened to.
    pub(crate) fn is_broken(&self, by: &PeerKey) -> bool {
        let claim = self.claims.get(by);
        claim.is_some_and(|claim| claim.broken >= config::BROKEN_MAX)
    }

    /// Whether `by` has said that it is a steward of this job.
    pub(crate) fn has_word_of(&self, by: &PeerKey) -> bool {
        self.claims.get(by).is_some_and(|claim| claim.told)
    }

    /// Slices that other stewards have, or work on; `here` tells who is, `wait` how long they may say to be at one.
    pub(crate) fn others(
        &self,
        here: &dyn Fn(&PeerKey) -> bool,
        wait: Duration,
        now: Time,
    ) -> Bits {
        let mut seen_to: Vec<u32> = Vec::new();
        for (by, claim) in &self.claims {
            let requester = self.record.manifest.body.requester == *by;
            if !requester && claim.broken >= config::BROKEN_MAX {
                continue;
            }
            let present = here(by);
            if requester || present {
                seen_to.extend(claim.done.iter());
            }
            // Of one that has just died the workers may hand over what they have opened.
            if present || claim.is_fresh(now) {
                let held =
                    |slice: &u32, since: &Time| claim.busy.has(*slice) && now < since.after(wait);
                let busy = claim.since.iter().filter(|(slice, at)| held(slice, at));
                seen_to.extend(busy.map(|(slice, _)| *slice));
            }
        }
        self.bits(seen_to)
    }

    /// Slices that `by` says to have, that are not here, and that need to be: not if the requester has them.
    pub(crate) fn wanted_from(&self, by: &PeerKey) -> Vec<u32> {
        let requester = &self.record.manifest.body.requester;
        let Some(claim) = self.claims.get(by).filter(|_| by != requester) else {
            return Vec::new();
        };
        if claim.broken >= config::BROKEN_MAX {
            return Vec::new();
        }
        let collected = self.claims.get(requester).map(|c| &c.done);
        let wanted = |slice: &u32| {
            self.slices.get(*slice as usize) != Some(&SliceState::Done)
                && !collected.is_some_and(|done| done.has(*slice))
        };
        claim.done.iter().filter(wanted).collect()
    }

    /// Whether every slice is here, or with the requester.
    pub(crate) fn is_complete(&self) -> bool {
        let requester = &self.record.manifest.body.requester;
        let collected = self.claims.get(requester).map(|c| &c.done);
        let here_or_there = |(slice, state): (u32, &SliceState)| {
            *state == SliceState::Done || collected.is_some_and(|done| done.has(slice))
        };
        (0..).zip(&self.slices).all(here_or_there)
    }

    /// Keeps a slice for the requester.
    pub(crate) fn keep(&mut self, slice: u32, by: PeerKey, kept: Kept) {
        self.finish(slice, by);
        self.kept.insert(slice, kept);
    }

    pub(crate) fn kept(&self, slice: u32) -> Option<&Kept> {
        self.kept.get(&slice)
    }

    /// All that is kept, ascending by slice.
    pub(crate) fn all_kept(&self) -> impl Iterator<Item = &Kept> {
        self.kept.values()
    }
}
