//! First half of a case: locks, nonces, seed, seals. Everything that must be fixed before the worker opens.

use super::{Case, Collector, Step};
use crate::adverts::Adverts;
use crate::config;
use crate::context::Context;
use crate::draw;
use crate::evidence::{self, Lock, LockEntry, LockSet, Reveal, Revealed, SealEntry, SealList};
use crate::hash::{Hash, LeaseId, PeerKey};
use crate::message::{AuditCall, Message};
use crate::reason::Reason;
use crate::reputation::Deed;
use crate::round::{Owed, Round};
use crate::rules;
use crate::signed::Signed;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

impl Collector {
    pub(super) fn start_locking(&mut self, ctx: &mut Context, adverts: &Adverts, id: LeaseId) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        case.step = Step::Locking;
        case.ranks = rules::witness_ranks(&case.record, &case.lease.body);
        case.asked = 0;
        self.ask_witnesses(ctx, adverts, id);
    }

    /// How many locks make a full set: min(3, e).
    fn full_set(case: &Case) -> usize {
        config::WITNESSES.min(case.record.eligible(&case.worker()))
    }

    /// Asks as many of the next ranks as locks are missing. With none left, goes on with what there is.
    pub(super) fn ask_witnesses(&mut self, ctx: &mut Context, adverts: &Adverts, id: LeaseId) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        let missing = Self::full_set(case).saturating_sub(case.locks.len());
        let silences = &self.silences;
        let keeps = |w: &PeerKey| !silences.often_in(w, Owed::Reveal, ctx.now);
        let next = case.next_witnesses(missing, &keeps);
        if next.is_empty() {
            self.finish_locking(ctx, adverts, id);
            return;
        }
        let Some(commitment) = case.commitment.clone() else {
            return;
        };
        let request = Message::LockRequest {
            lease: Box::new(case.lease.clone()),
            commitment: Box::new(commitment),
        };
        next.iter().for_each(|w| ctx.send(*w, &request));
        case.round = Round::new(ctx.now, Owed::Lock, next, config::LOCK_WAIT);
        self.rearm(ctx, id);
    }

    pub(crate) fn on_locked(
        &mut self,
        ctx: &mut Context,
        adverts: &Adverts,
        from: PeerKey,
        lock: Signed<Lock>,
    ) {
        let id = lock.body.lease;
        let Some(case) = self.cases.get_mut(&id).filter(|c| c.step == Step::Locking) else {
            return;
        };
        let root = case.commitment.as_ref().map(|c| c.body.root);
        if !case.round.waiting().any(|p| *p == from)
            || root != Some(lock.body.root)
            || !ctx.verify(&lock, &from)
        {
            return;
        }
        case.round.answered(&from);
        self.silences.heard(&from, Owed::Lock);
        ctx.saw(from, &case.record, Deed::Answered);
        case.locks.insert(from, lock);
        if case.round.is_over() {
            self.ask_witnesses(ctx, adverts, id);
        } else {
            self.rearm(ctx, id);
        }
    }

    fn finish_locking(&mut self, ctx: &mut Context, adverts: &Adverts, id: LeaseId) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        let entry = |witness: &PeerKey| {
            let lock = case.locks.get(witness)?;
            let (nonce_digest, signature) = (lock.body.nonce_digest, lock.signature);
            Some(LockEntry {
                witness: case.record.roster.index(witness)?,
                nonce_digest,
                signature,
            })
        };
        let asked = &case.ranks[..case.asked.min(case.ranks.len())];
        let silent = asked.iter().filter(|p| !case.locks.contains_key(p));
        let set = ctx.sign(LockSet {
            lease: id,
            locks: asked.iter().filter_map(entry).collect(),
            skipped: silent.filter_map(|p| case.record.roster.index(p)).collect(),
        });
        let message = Message::LockSet(Box::new(set.clone()));
        case.lock_set = Some(set);
        let witnesses = case.witnesses();
        witnesses.iter().for_each(|p| ctx.send(*p, &message));
        case.step = Step::Revealing;
        case.round = Round::new(ctx.now, Owed::Reveal, witnesses, config::LOCK_WAIT);
        if case.round.is_over() {
            self.finish_revealing(ctx, adverts, id);
        } else {
            self.rearm(ctx, id);
        }
    }

    pub(crate) fn on_reveal(
        &mut self,
        ctx: &mut Context,
        adverts: &Adverts,
        from: PeerKey,
        reveal: &Signed<Reveal>,
    ) {
        let Reveal {
            lease: id,
            lock_set,
            nonce,
        } = reveal.body;
        let Some(case) = self
            .cases
            .get_mut(&id)
            .filter(|c| c.step == Step::Revealing)
        else {
            return;
        };
        let bound = case.locks.get(&from).map(|l| l.body.nonce_digest);
        let shown = case.lock_set.as_ref().map(|s| s.digest(&ctx.swarm));
        if bound != Some(draw::nonce_digest(&nonce))
            || shown != Some(lock_set)
            || !case.round.waiting().any(|p| *p == from)
            || !ctx.verify(reveal, &from)
        {
            return;
        }
        case.round.answered(&from);
        self.silences.heard(&from, Owed::Reveal);
        ctx.saw(from, &case.record, Deed::Answered);
        let signature = reveal.signature;
        case.nonces.insert(from, Revealed { nonce, signature });
        if case.round.is_over() {
            self.finish_revealing(ctx, adverts, id);
        } else {
            self.rearm(ctx, id);
        }
    }

    pub(super) fn finish_revealing(&mut self, ctx: &mut Context, adverts: &Adverts, id: LeaseId) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        let nonces = case.nonce_list();
        if nonces.iter().filter(|n| n.is_none()).count() >= 2 {
            self.end(ctx, id, Reason::WitnessesSilent, false, None);
            return;
        }
        let Some(root) = case.commitment.as_ref().map(|c| c.body.root) else {
            return;
        };
        let shares = evidence::nonces(&nonces);
        case.seed = draw::seed(&id, &root, &shares, &case.steward_nonce);
        case.strength = rules::strength(&case.record, &case.lease.body, &case.seed);
        case.step = Step::Sealing;
        case.ranks = rules::auditor_ranks(&case.record, &case.lease.body, &case.seed);
        case.asked = 0;
        self.start_ringers(ctx, id);
        self.ask_auditors(ctx, adverts, id);
    }

    /// Calls as many of the next ranks as seals are missing. With none left, goes on with what there is.
    pub(super) fn ask_auditors(&mut self, ctx: &mut Context, adverts: &Adverts, id: LeaseId) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        let missing = usize::from(case.strength.k).saturating_sub(case.seals.len());
        let next = case.next_ranks(missing);
        if next.is_empty() {
            self.finish_sealing(ctx, id);
            return;
        }
        let (Some(commitment), Some(lock_set)) = (case.commitment.clone(), case.lock_set.clone())
        else {
            return;
        };
        let call = Message::AuditCall(Box::new(AuditCall {
            lease: case.lease.clone(),
            commitment,
            lock_set,
            nonces: case.nonce_list(),
            steward_nonce: case.steward_nonce,
            context: Vec::new(),
        }));
        next.iter().for_each(|a| ctx.send(*a, &call));
        let patience = Self::seal_patience(case, adverts, &next);
        case.round = Round::new(ctx.now, Owed::Seal, next.iter().copied(), patience);
        self.outcomes.push((id, super::Outcome::Auditing(next)));
        self.rearm(ctx, id);
    }

    /// Four times what the slowest of them claims to need, within bounds.
    fn seal_patience(case: &Case, adverts: &Adverts, auditors: &[PeerKey]) -> Duration {
        let manifest = &case.record.manifest.body;
        let units = u64::from(case.strength.s) * manifest.units_per_tile;
        let slowest = auditors
            .iter()
            .filter_map(|a| adverts.rate(a, &manifest.kernel))
            .min()
            .unwrap_or(1);
        let claimed = Duration::from_millis(units.saturating_mul(1000) / slowest);
        claimed
            .saturating_mul(4)
            .clamp(config::SEAL_WAIT_MIN, config::SEAL_WAIT_MAX)
    }

    pub(crate) fn on_seal(
        &mut self,
        ctx: &mut Context,
        adverts: &Adverts,
        from: PeerKey,
        id: LeaseId,
        digest: Hash,
    ) {
        let Some(case) = self.cases.get_mut(&id).filter(|c| c.step == Step::Sealing) else {
            return;
        };
        if !case.round.answered(&from) {
            return;
        }
        self.silences.heard(&from, Owed::Seal);
        case.seals.insert(from, digest);
        if case.round.is_over() {
            self.ask_auditors(ctx, adverts, id);
        } else {
            self.rearm(ctx, id);
        }
    }

    /// Shows the worker the whole draw: it needs none of the three before it has them all.
    pub(super) fn show_draw(ctx: &mut Context, case: &Case, id: LeaseId) {
        let (Some(set), Some(list)) = (case.lock_set.clone(), case.seal_list.clone()) else {
            return;
        };
        let seed = Message::Seed {
            lease: id,
            nonces: case.nonce_list(),
            steward_nonce: case.steward_nonce,
        };
        let messages = [
            Message::LockSet(Box::new(set)),
            seed,
            Message::SealList(Box::new(list)),
        ];
        messages.iter().for_each(|m| ctx.send(case.worker(), m));
    }

    fn finish_sealing(&mut self, ctx: &mut Context, id: LeaseId) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        let own = case.record.manifest.body.requester == ctx.me;
        if !own && case.seals.len() < case.strength.quorum() {
            // Only a requester may stand in for those who are missing, and no worker opens to fewer.
            self.end(ctx, id, Reason::NoQuorum, false, None);
            return;
        }
        let roster = &case.record.roster;
        let asked = case.ranks[..case.asked.min(case.ranks.len())].to_vec();
        let seal = |auditor: &PeerKey| {
            Some(SealEntry {
                auditor: roster.index(auditor)?,
                digest: *case.seals.get(auditor)?,
            })
        };
        let silent = asked.iter().filter(|p| !case.seals.contains_key(p));
        let list = ctx.sign(SealList {
            lease: id,
            seals: asked.iter().filter_map(seal).collect(),
            skipped: silent.filter_map(|p| roster.index(p)).collect(),
            // The requester can then recompute enough by itself, whatever becomes of the auditors.
            requester_draw: own,
        });
        let message = Message::SealList(Box::new(list.clone()));
        case.seal_list = Some(list);
        // Those who were skipped learn that they need not go on.
        asked.iter().for_each(|p| ctx.send(*p, &message));
        Self::show_draw(ctx, case, id);
        case.round = Round::default();
        case.step = Step::Opening { tries: 1 };
        ctx.timers
            .set(Timer::Case(id), ctx.now.after(config::OPENING_WAIT));
    }
}
