//! The collector: takes one lease from its commitment to its receipt.
//!
//! | step | waits for | then | on timeout |
//! |---|---|---|---|
//! | Computing | Commitment | CommitAck; asks min(3, e) witnesses | lapsed: Expired, no blame |
//! | Locking | their locks | signs the lock set | next ranks, up to rank 9; then fewer locks ("weak") |
//! | Revealing | their nonces | seed; calls k auditors | one missing: zeros; two: lapsed, no blame |
//! | Sealing | k seals | signs the seal list | next ranks, up to min(2k, e); then fewer seals |
//! | Opening | the worker's opening | forwards it | three tries, then by way of the auditors; then Failed |
//! | Attesting | all listed verdicts | quorum, or own recomputation | the silent ones do not count |
//! | Judging | the own CPU reference | refuted, or the accuser was wrong: its dissent counts as silence from now on | - |
//! | Delivering | output and salt secret | fetches | eight tries; then a receipt that says "not stored" |
//! | Fetching | the bytes | rebuilds the root, signs Stored, receipt | as Delivering |
//!
//! A collector that falls silent after the worker has opened is replaced by another steward: see `heir`.
//! While auditors seal and attest, a requester computes two tiles itself: see `ringers`.
//! A second root that the worker signed for the lease ends any step with blame.
//!
//! Invariants: one lock set and one seal list per lease; the seed is known to nobody before every lock is in.
//! What a lease's end means for its slice is decided in `steward`.

mod draw;
mod heir;
mod ringers;
mod verdict;

use crate::adverts::Adverts;
use crate::config;
use crate::context::Context;
use crate::evidence::{Commitment, Lease, Lock, LockSet, Opening, Revealed, SealList};
use crate::hash::{BlobId, Hash, JobId, LeaseId, PeerKey};
use crate::io::{Computed, PersistSeq, TaskId};
use crate::manifest::{Intensity, JobRecord};
use crate::message::Message;
use crate::reason::Reason;
use crate::receipt::{Agreement, Quorum, Receipt};
use crate::reputation::Deed;
use crate::round::{Round, Silences};
use crate::signed::Signed;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use ringers::Ringers;

/// What the steward has to know.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The worker is bound: the lease will not lapse any more.
    Committed,
    /// Auditors were drawn.
    Auditing(Vec<PeerKey>),
    /// Receipt complete, bytes stored.
    Done {
        blob: BlobId,
        /// Of the salts: who keeps the bytes hands it on.
        secret: Hash,
        receipt: Box<Receipt>,
    },
    /// Receipt complete, but the bytes never came.
    NotStored,
    /// Over without a receipt. `blame` excludes the worker from the job.
    Ended {
        reason: Reason,
        blame: bool,
        by: Option<PeerKey>,
    },
    /// An accuser was wrong; the lease goes on.
    FalseAccusation { accuser: PeerKey },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Computing,
    Locking,
    Revealing,
    Sealing,
    Opening {
        tries: u32,
    },
    Attesting,
    /// On the own CPU reference: an accuser's tile, or all opened tiles.
    Judging {
        accuser: Option<PeerKey>,
    },
    Delivering {
        tries: u32,
    },
    Fetching {
        tries: u32,
        blob: BlobId,
        secret: Hash,
    },
}

struct Case {
    record: Arc<JobRecord>,
    lease: Signed<Lease>,
    steward_nonce: Hash,
    step: Step,
    round: Round,
    task: Option<TaskId>,
    commitment: Option<Signed<Commitment>>,
    /// Ranks of the current draw (witnesses, then auditors), and how many of them were asked.
    ranks: Vec<PeerKey>,
    asked: usize,
    locks: BTreeMap<PeerKey, Signed<Lock>>,
    lock_set: Option<Signed<LockSet>>,
    nonces: BTreeMap<PeerKey, Revealed>,
    seed: Hash,
    /// What the lease's intensity has come to under the seed.
    strength: Intensity,
    seals: BTreeMap<PeerKey, Hash>,
    seal_list: Option<Signed<SealList>>,
    opening: Option<Signed<Opening>>,
    agreements: BTreeMap<PeerKey, Agreement>,
    /// Accusers whose tile is still to be judged.
    charges: Vec<(PeerKey, u32)>,
    quorum: Option<Quorum>,
    ringers: Ringers,
}

impl Case {
    fn new(record: Arc<JobRecord>, lease: Signed<Lease>, steward_nonce: Hash) -> Self {
        Self {
            record,
            lease,
            steward_nonce,
            step: Step::Computing,
            round: Round::default(),
            task: None,
            commitment: None,
            ranks: Vec::new(),
            asked: 0,
            locks: BTreeMap::new(),
            lock_set: None,
            nonces: BTreeMap::new(),
            seed: Hash::default(),
            strength: Intensity::default(),
            seals: BTreeMap::new(),
            seal_list: None,
            opening: None,
            agreements: BTreeMap::new(),
            charges: Vec::new(),
            quorum: None,
            ringers: Ringers::default(),
        }
    }

    fn worker(&self) -> PeerKey {
        self.lease.body.worker
    }

    /// N.
    fn tiles(&self) -> u32 {
        self.record.manifest.body.tiles_in(self.lease.body.slice)
    }

    /// Takes up to `count` of the ranks that were not asked yet, and counts them as asked.
    fn next_ranks(&mut self, count: usize) -> Vec<PeerKey> {
        let ranks = self.ranks.iter().skip(self.asked).take(count);
        let next: Vec<_> = ranks.copied().collect();
        self.asked += next.len();
        next
    }

    /// The same of witnesses, passing over those that would lock and not reveal, while enough are left without them:
    /// two of those in one set cost the lease.
    fn next_witnesses(&mut self, count: usize, reveals: &dyn Fn(&PeerKey) -> bool) -> Vec<PeerKey> {
        let left = self.ranks.iter().skip(self.asked);
        let spare = left.filter(|w| reveals(w)).count() >= count;
        let mut next = Vec::new();
        while next.len() < count {
            let Some(witness) = self.ranks.get(self.asked) else {
                break;
            };
            self.asked += 1;
            if !spare || reveals(witness) {
                next.push(*witness);
            }
        }
        next
    }

    /// Witnesses of the lock set in its order: rank order.
    fn witnesses(&self) -> Vec<PeerKey> {
        let set = self.lock_set.iter().flat_map(|s| &s.body.locks);
        set.filter_map(|l| self.record.roster.peer(l.witness))
            .collect()
    }

    /// Auditors of the seal list in its order: rank order.
    fn listed(&self) -> Vec<PeerKey> {
        let list = self.seal_list.iter().flat_map(|l| &l.body.seals);
        list.filter_map(|s| self.record.roster.peer(s.auditor))
            .collect()
    }

    fn nonce_list(&self) -> Vec<Option<Revealed>> {
        self.witnesses()
            .iter()
            .map(|w| self.nonces.get(w).copied())
            .collect()
    }
}

#[derive(Default)]
pub(crate) struct Collector {
    cases: BTreeMap<LeaseId, Case>,
    silences: Silences,
    outcomes: Vec<(LeaseId, Outcome)>,
    /// Own jobs whose inputs the shell has: those whose tiles can be computed here.
    prepared: BTreeSet<JobId>,
    /// Who accused falsely in which job, the oldest first: recomputing for it again would be its gain.
    discredited: VecDeque<(JobId, PeerKey)>,
    /// Receipts made lately, the oldest first: their messages may have been lost.
    concluded: VecDeque<(LeaseId, PersistSeq, Box<Receipt>)>,
}

impl Collector {
    /// Takes a granted lease on.
    pub(crate) fn begin(
        &mut self,
        ctx: &mut Context,
        record: &Arc<JobRecord>,
        lease: Signed<Lease>,
        steward_nonce: Hash,
    ) {
        let id = lease.body.id(&ctx.swarm);
        // The message travels too; without slack an exact TTL would always be a little short.
        let ttl = Duration::from_millis(u64::from(lease.body.ttl_ms)) + config::LOCK_WAIT;
        ctx.timers.set(Timer::Case(id), ctx.now.after(ttl));
        let case = Case::new(record.clone(), lease, steward_nonce);
        self.cases.insert(id, case);
    }

    /// A granted lease that its worker has not committed to yet.
    pub(crate) fn uncommitted(&self, id: &LeaseId) -> Option<&Signed<Lease>> {
        self.cases
            .get(id)
            .filter(|c| c.step == Step::Computing)
            .map(|c| &c.lease)
    }

    /// Whether this peer gathers the lease's audit.
    pub(crate) fn is_at(&self, id: &LeaseId) -> bool {
        self.cases.contains_key(id)
    }

    pub(crate) fn take_outcomes(&mut self) -> Vec<(LeaseId, Outcome)> {
        core::mem::take(&mut self.outcomes)
    }

    /// The lease's job, if this binds its worker. A repetition does not: what came with it was answered then.
    pub(crate) fn on_commit(
        &mut self,
        ctx: &mut Context,
        adverts: &Adverts,
        from: PeerKey,
        commitment: Signed<Commitment>,
    ) -> Option<JobId> {
        let id = commitment.body.lease;
        let Some(case) = self.cases.get_mut(&id).filter(|c| c.worker() == from) else {
            // It lapsed, or was granted in a former life; of what was concluded, the receipt tells.
            if !self.concluded.iter().any(|(lease, ..)| *lease == id) {
                let (lease, reason) = (id, Reason::LeaseExpired);
                ctx.send(from, &Message::LeaseEnded { lease, reason });
            }
            return None;
        };
        if let Some(first) = &case.commitment {
            // The first root stands. Its repetition means that the acknowledgement got lost; another one that is signed
            // is proof enough, for the log keeps whoever is honest from a second one over any crash.
            if first.body == commitment.body {
                ctx.send(from, &Message::CommitAck { lease: id });
            } else if first.body.root != commitment.body.root && ctx.verify(&commitment, &from) {
                self.end(ctx, id, Reason::TwoRoots, true, None);
            }
            return None;
        }
        let device_named = commitment.body.device.name.len() <= 64;
        if commitment.body.tiles != case.tiles() || !device_named || !ctx.verify(&commitment, &from)
        {
            return None;
        }
        let job = case.lease.body.job;
        case.commitment = Some(commitment);
        ctx.send(from, &Message::CommitAck { lease: id });
        self.outcomes.push((id, Outcome::Committed));
        self.start_locking(ctx, adverts, id);
        Some(job)
    }

    pub(crate) fn on_timer(&mut self, ctx: &mut Context, adverts: &Adverts, id: LeaseId) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        for silent in case.round.waiting() {
            ctx.saw(*silent, &case.record, Deed::Silent);
        }
        let learnt = case.round.close(&mut self.silences, ctx.now);
        match case.step.clone() {
            Step::Computing => self.end(ctx, id, Reason::LeaseExpired, false, None),
            Step::Locking => self.ask_witnesses(ctx, adverts, id),
            Step::Revealing => self.finish_revealing(ctx, adverts, id),
            Step::Sealing => self.ask_auditors(ctx, adverts, id),
            Step::Opening { tries } => self.retry_opening(ctx, id, tries),
            Step::Attesting => self.decide(ctx, id),
            // The shell always answers a computation.
            Step::Judging { .. } => {}
            Step::Delivering { tries } | Step::Fetching { tries, .. } => {
                self.retry_delivery(ctx, id, tries)
            }
        }
        if learnt {
            self.hurry(ctx);
        }
    }

    /// Somebody is not worth a full wait any more: nor is it where it is waited for already.
    fn hurry(&self, ctx: &mut Context) {
        for (id, case) in self.cases.iter().filter(|(_, c)| !c.round.is_over()) {
            let at = case.round.deadline(&self.silences).max(ctx.now);
            ctx.timers.set_by(Timer::Case(*id), at);
        }
    }

    /// A message to `peer` could not be delivered: whoever waits for it need not.
    pub(crate) fn on_undelivered(&mut self, ctx: &mut Context, peer: &PeerKey) {
        let waiting: Vec<_> = self
            .cases
            .iter()
            .filter(|(_, c)| c.round.waiting().any(|p| p == peer))
            .collect();
        let alone: Vec<_> = waiting
            .iter()
            .filter(|(_, c)| c.round.waiting().count() == 1)
            .map(|(id, _)| **id)
            .collect();
        self.silences.missed(*peer);
        for id in alone {
            ctx.timers.set_by(Timer::Case(id), ctx.now);
        }
    }

    /// Waits for the rest of the current round.
    fn rearm(&mut self, ctx: &mut Context, id: LeaseId) {
        if let Some(case) = self.cases.get(&id) {
            ctx.timers.set(
                Timer::Case(id),
                case.round.deadline(&self.silences).max(ctx.now),
            );
        }
    }

    /// The worker gives its lease back before it has committed, or an auditor will not recompute anything of it.
    pub(crate) fn on_give_up(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        id: LeaseId,
        reason: Reason,
    ) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        if case.worker() == from && case.step == Step::Computing {
            self.end(ctx, id, reason, false, None);
        } else if case.step == Step::Sealing && case.round.answered(&from) && case.round.is_over() {
            // The next ranks are asked, as if it had been silent.
            ctx.timers.set(Timer::Case(id), ctx.now);
        }
    }

    /// A proof that went round held: nothing more is to be audited. Its worker was blamed with that.
    pub(crate) fn on_refuted(&mut self, ctx: &mut Context, id: LeaseId) {
        self.end(ctx, id, Reason::Refuted, false, None);
    }

    /// The job is over for other reasons.
    pub(crate) fn cancel(&mut self, ctx: &mut Context, job: &JobId, reason: Reason) {
        let of_job: Vec<_> = self
            .cases
            .iter()
            .filter(|(_, c)| c.lease.body.job == *job)
            .map(|(id, _)| *id)
            .collect();
        for &id in &of_job {
            self.end(ctx, id, reason, false, None);
        }
        self.outcomes.retain(|(id, _)| !of_job.contains(id));
        self.discredited.retain(|(of, _)| of != job);
        self.prepared.remove(job);
    }

    /// Ends a lease without a receipt and tells those who wait.
    fn end(
        &mut self,
        ctx: &mut Context,
        id: LeaseId,
        reason: Reason,
        blame: bool,
        by: Option<PeerKey>,
    ) {
        let Some(case) = self.remove(ctx, id) else {
            return;
        };
        if blame {
            ctx.saw(case.worker(), &case.record, Deed::Caught(reason));
        }
        let mut told = case.listed();
        told.extend(case.round.waiting());
        told.push(case.worker());
        told.sort_unstable();
        told.dedup();
        for peer in told {
            ctx.send(peer, &Message::LeaseEnded { lease: id, reason });
        }
        self.outcomes
            .push((id, Outcome::Ended { reason, blame, by }));
    }

    fn remove(&mut self, ctx: &mut Context, id: LeaseId) -> Option<Case> {
        let mut case = self.cases.remove(&id)?;
        ctx.timers.clear(Timer::Case(id));
        ctx.abort(case.task);
        Self::drop_ringers(ctx, &mut case);
        Some(case)
    }

    /// A computation or a fetch that this collector asked for.
    pub(crate) fn on_result(
        &mut self,
        ctx: &mut Context,
        id: LeaseId,
        result: Result<Computed, Reason>,
    ) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        case.task = None;
        match case.step.clone() {
            Step::Judging { accuser } => self.on_judged(ctx, id, accuser, result),
            Step::Fetching {
                tries,
                blob,
                secret,
            } => self.on_fetched(ctx, id, tries, blob, secret, result),
            Step::Computing
            | Step::Locking
            | Step::Revealing
            | Step::Sealing
            | Step::Opening { .. }
            | Step::Attesting
            | Step::Delivering { .. } => {}
        }
    }
}
