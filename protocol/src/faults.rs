//! Fraud proofs that go round. They travel on their signatures and paths alone; whether the tile is wrong each peer finds
//! out for itself, before it next deals with the accused, and until then avoids it without punishing it.
//!
//! | state of a worker, here | input | next |
//! |---|---|---|
//! | clear | a well-founded proof, of a job whose record is here | suspected |
//! | suspected | it asks for a lease, would be in a roster, or the slice is of a job that this peer hands out, and not being audited here | wanted |
//! | wanted | inputs are here, and the last judgement is some seconds ago | judging: the tile on the CPU reference |
//! | judging | another hash than the worker's | convicted: noted; what it did under that lease is revoked |
//! | judging | the worker's hash | clear; the accuser is a false one |
//! | any but judging | an hour, or no inputs, or no reference | clear |
//!
//! Invariant: one tile at a time, and no more often than [`config::JUDGE_SPACING`]; a proof of an accuser that was wrong
//! before is not even kept.

use crate::book::{Book, Prepared};
use crate::codec;
use crate::config;
use crate::context::{Context, Waiting};
use crate::fraud::FraudProof;
use crate::hash::{Hash, JobId, LeaseId, PeerKey};
use crate::io::{Computed, Event, Output, Purpose, Topic, Verdict};
use crate::manifest::JobRecord;
use crate::reason::Reason;
use crate::reputation::Deed;
use crate::rules;
use crate::signed::Fact;
use crate::time::Time;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

/// What a proof that held was about.
pub(crate) struct Proven {
    pub(crate) job: JobId,
    pub(crate) worker: PeerKey,
    pub(crate) lease: LeaseId,
}

#[derive(Default)]
pub(crate) struct Faults {
    suspects: BTreeMap<PeerKey, (Time, Vec<FraudProof>)>,
    seen: VecDeque<Hash>,
    judging: Option<FraudProof>,
    not_before: Time,
}

/// Says to everybody that a worker lied: this peer has seen it on its own CPU reference. Not of code that came with the
/// job.
pub(crate) fn tell(ctx: &mut Context, record: &JobRecord, proof: &FraudProof) {
    if ctx.brings_code(&record.manifest.body.kernel) {
        return;
    }
    ctx.out.push(Output::Publish {
        topic: Topic::Faults,
        data: codec::encode(proof),
    });
}

impl Faults {
    /// Judges what was gossiped, cheap checks first.
    pub(crate) fn on_gossip(
        &mut self,
        ctx: &mut Context,
        book: &Book,
        has_done: &dyn Fn(&JobId, &LeaseId) -> bool,
        data: &[u8],
    ) -> Verdict {
        let Ok(proof) = codec::decode::<FraudProof>(data, config::FRAUD_PROOF_MAX) else {
            return Verdict::Reject;
        };
        let claim = &proof.body;
        let lease = &claim.lease.body;
        let (accuser, worker, job) = (claim.accuser, lease.worker, lease.job);
        if !ctx.is_near(&accuser) || !ctx.is_near(&worker) || accuser == worker {
            return Verdict::Reject;
        }
        let name = claim.digest(&ctx.swarm);
        if accuser == ctx.me
            || self.seen.contains(&name)
            || ctx.reputation.is_unfit(&accuser, ctx.unix_s())
            || self.of_accuser(&accuser) >= config::PROOFS_PER_PEER
        {
            return Verdict::Ignore;
        }
        if !proof.is_well_founded(&ctx.swarm, ctx.verifier()) {
            return Verdict::Reject;
        }
        self.note(name);
        let known = book.get(&job);
        if known.is_some_and(|r| ctx.brings_code(&r.manifest.body.kernel)) {
            return Verdict::Ignore;
        }
        let of_job = known.is_some_and(|record| {
            let n = record.manifest.body.tiles_in(lease.slice);
            rules::check_lease(record, lease, &ctx.swarm).is_ok()
                && claim.commitment.body.tiles == n
        });
        let id = claim.commitment.body.lease;
        if of_job && worker != ctx.me && !ctx.reputation.is_convicted(&worker, ctx.unix_s()) {
            let kept = self.suspect(ctx, worker, proof);
            if kept && has_done(&job, &id) {
                ctx.reputation.wants(worker);
            }
        }
        Verdict::Accept
    }

    /// A collector has this proof from the auditor itself, and judges it with the others.
    pub(crate) fn is_judged_elsewhere(&mut self, ctx: &mut Context, proof: &FraudProof) {
        self.note(proof.body.digest(&ctx.swarm));
        if let Some((_, proofs)) = self.suspects.get_mut(&proof.body.lease.body.worker) {
            proofs.retain(|p| p != proof);
        }
        self.clear_if_empty(ctx);
    }

    fn note(&mut self, name: Hash) {
        if self.seen.len() >= config::PROOFS_SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(name);
    }

    fn of_accuser(&self, accuser: &PeerKey) -> usize {
        let proofs = self.suspects.values().flat_map(|(_, proofs)| proofs);
        proofs.filter(|p| p.body.accuser == *accuser).count()
    }

    /// False if there is no room for it.
    fn suspect(&mut self, ctx: &mut Context, worker: PeerKey, proof: FraudProof) -> bool {
        let known = self.suspects.contains_key(&worker);
        if !known && self.suspects.len() >= config::SUSPECTS_MAX {
            return false;
        }
        let (_, proofs) = self.suspects.entry(worker).or_insert((ctx.now, Vec::new()));
        if proofs.len() < config::PROOFS_PER_PEER {
            proofs.push(proof);
        }
        ctx.reputation.suspect(worker);
        true
    }

    /// Begins with the next of those that somebody here has to deal with, if it is time.
    pub(crate) fn judge(&mut self, ctx: &mut Context, book: &mut Book) {
        if self.judging.is_some() || ctx.now < self.not_before {
            return;
        }
        // One whose inputs are still on their way keeps nobody else waiting.
        for worker in ctx.reputation.wanted() {
            if self.begin(ctx, book, &worker) {
                return;
            }
        }
    }

    /// Whether a proof against `worker` is being judged now.
    fn begin(&mut self, ctx: &mut Context, book: &mut Book, worker: &PeerKey) -> bool {
        let now_s = ctx.unix_s();
        if let Some((_, proofs)) = self.suspects.get_mut(worker) {
            let unfit = |p: &FraudProof| ctx.reputation.is_unfit(&p.body.accuser, now_s);
            proofs.retain(|p| !unfit(p) && book.get(&p.body.lease.body.job).is_some());
        }
        let proof = self.suspects.get(worker).and_then(|(_, p)| p.first());
        let Some(proof) = proof.cloned() else {
            self.clear(ctx, worker);
            return false;
        };
        let lease = &proof.body.lease.body;
        let Some(record) = book.get(&lease.job).cloned() else {
            return false;
        };
        let sources = record.sources(&[proof.body.accuser]);
        if book.prepare(ctx, &lease.job, &sources) != Prepared::Yes {
            return false;
        }
        let first = record.manifest.body.tiles_of(lease.slice).start;
        let tiles = alloc::vec![first + proof.body.entry.tile];
        ctx.compute(Waiting::Faults, lease.job, tiles, Purpose::Judge);
        self.not_before = ctx.now.after(config::JUDGE_SPACING);
        self.judging = Some(proof);
        true
    }

    /// The inputs of `job` cannot be had: what is said of it cannot be looked into.
    pub(crate) fn on_unprepared(&mut self, ctx: &mut Context, job: &JobId) {
        for (_, proofs) in self.suspects.values_mut() {
            proofs.retain(|p| p.body.lease.body.job != *job);
        }
        self.clear_if_empty(ctx);
    }

    /// The CPU reference has spoken.
    pub(crate) fn on_judged(
        &mut self,
        ctx: &mut Context,
        book: &Book,
        result: Result<Computed, Reason>,
    ) -> Option<Proven> {
        let claim = self.judging.take()?.body;
        let lease = &claim.lease.body;
        let (job, slice, worker) = (lease.job, lease.slice, lease.worker);
        let accuser = claim.accuser;
        let record = book.get(&job).cloned()?;
        let reference = result
            .ok()
            .and_then(|computed| computed.tiles.first().copied());
        let Some(reference) = reference else {
            self.clear(ctx, &worker);
            return None;
        };
        if reference != claim.entry.hash {
            self.clear(ctx, &worker);
            // Its collector may have found out at the same time.
            if !ctx.reputation.is_convicted(&worker, ctx.unix_s()) {
                ctx.saw(worker, &record, Deed::Caught(Reason::Refuted));
            }
            ctx.notify(Event::FraudProven {
                job,
                slice,
                worker,
                accuser,
            });
            let lease = claim.commitment.body.lease;
            return Some(Proven { job, worker, lease });
        }
        ctx.saw(accuser, &record, Deed::FalseAccusation);
        ctx.notify(Event::FalseAccusation {
            job,
            slice,
            accuser,
            worker,
        });
        // What else it says of anybody is worth as much.
        for (_, proofs) in self.suspects.values_mut() {
            proofs.retain(|p| p.body.accuser != accuser);
        }
        self.clear_if_empty(ctx);
        None
    }

    fn clear(&mut self, ctx: &mut Context, worker: &PeerKey) {
        self.suspects.remove(worker);
        ctx.reputation.clear(worker);
    }

    fn clear_if_empty(&mut self, ctx: &mut Context) {
        let empty = self.suspects.iter().filter(|(_, (_, p))| p.is_empty());
        let empty: Vec<_> = empty.map(|(worker, _)| *worker).collect();
        empty.iter().for_each(|worker| self.clear(ctx, worker));
    }

    pub(crate) fn sweep(&mut self, ctx: &mut Context) {
        for (since, proofs) in self.suspects.values_mut() {
            if ctx.now >= since.after(config::SUSPECT_KEPT) {
                proofs.clear();
            }
        }
        self.clear_if_empty(ctx);
    }
}
