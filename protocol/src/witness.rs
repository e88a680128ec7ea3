//! The witness: signs that it saw a root before anybody could know the seed, and holds a share of that seed.
//!
//! | state of a (job, slice, worker) | input | next |
//! |---|---|---|
//! | nothing for this lease | LockRequest | locked: persisted, then signed |
//! | locked | LockRequest, same root | the stored lock again |
//! | locked | LockRequest, other root | refused: nothing said |
//! | locked | LockSet with its lock | revealed: persisted, then said |
//! | revealed | another LockSet, of this lease or another | refused: a steward cannot re-roll the seed |
//!
//! Invariant: at most one root per lease and one reveal per (job, slice, worker), against one lock set, over any crash.

use crate::config;
use crate::context::Context;
use crate::draw;
use crate::evidence::{Commitment, Lease, Lock, LockSet, Reveal};
use crate::hash::{Hash, JobId, LeaseId, PeerKey};
use crate::io::Record;
use crate::manifest::JobRecord;
use crate::message::Message;
use crate::rules;
use crate::signed::{Fact, Signed};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

type SliceKey = (JobId, u32, PeerKey);

struct LockState {
    slice: SliceKey,
    collector: PeerKey,
    root: Hash,
    nonce: Hash,
    /// Unix second of the job's end plus a day; then the lock is of no use to anybody.
    until_s: u64,
}

#[derive(Default)]
pub(crate) struct Witness {
    locks: BTreeMap<LeaseId, LockState>,
    revealed: BTreeMap<SliceKey, (LeaseId, Hash)>,
}

const DAY_S: u64 = 24 * 60 * 60;

impl Witness {
    /// Takes back what the log holds.
    pub(crate) fn restore(&mut self, record: &Record) {
        match record {
            Record::Locked {
                job,
                slice,
                worker,
                collector,
                lease,
                root,
                nonce,
                until_s,
            } => {
                let slice = (*job, *slice, *worker);
                let (collector, until_s) = (*collector, *until_s);
                let state = LockState {
                    slice,
                    collector,
                    root: *root,
                    nonce: *nonce,
                    until_s,
                };
                self.locks.insert(*lease, state);
            }
            Record::Revealed { lease, lock_set } => {
                if let Some(state) = self.locks.get(lease) {
                    self.revealed.insert(state.slice, (*lease, *lock_set));
                }
            }
            Record::Committed { .. }
            | Record::Submitted { .. }
            | Record::Bound { .. }
            | Record::Excluded { .. }
            | Record::SliceDone { .. }
            | Record::Ended { .. }
            | Record::Appointed { .. }
            | Record::Kept { .. }
            | Record::Receipted { .. }
            | Record::Revoked { .. }
            | Record::Standing { .. } => {}
        }
    }

    pub(crate) fn on_lock_request(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        record: &JobRecord,
        lease: &Signed<Lease>,
        commitment: &Signed<Commitment>,
    ) {
        let id = lease.body.id(&ctx.swarm);
        if from != lease.body.steward || !record.is_steward(&from) || commitment.body.lease != id {
            return;
        }
        if let Some(state) = self.locks.get(&id) {
            if state.root == commitment.body.root {
                let lock = Self::lock(ctx, id, state.root, &state.nonce);
                ctx.send_again(from, &Message::Locked(lock));
            }
            return;
        }
        let of_collector = self.locks.values().filter(|s| s.collector == from).count();
        if self.locks.len() >= config::LOCKS_MAX
            || of_collector >= config::LOCKS_PER_COLLECTOR
            || rules::check_lease(record, &lease.body, &ctx.swarm).is_err()
            || !rules::witness_ranks(record, &lease.body).contains(&ctx.me)
            || !ctx.verify(lease, &lease.body.steward)
            || !ctx.verify(commitment, &lease.body.worker)
        {
            return;
        }
        let (job, slice, worker) = (lease.body.job, lease.body.slice, lease.body.worker);
        let (root, nonce) = (commitment.body.root, ctx.nonce());
        let until_s = record.manifest.body.deadline_s.saturating_add(DAY_S);
        self.locks.insert(
            id,
            LockState {
                slice: (job, slice, worker),
                collector: from,
                root,
                nonce,
                until_s,
            },
        );
        let collector = from;
        let seq = ctx.persist(Record::Locked {
            job,
            slice,
            worker,
            collector,
            lease: id,
            root,
            nonce,
            until_s,
        });
        let lock = Self::lock(ctx, id, root, &nonce);
        ctx.send_after(seq, from, &Message::Locked(lock));
    }

    fn lock(ctx: &Context, lease: LeaseId, root: Hash, nonce: &Hash) -> Signed<Lock> {
        ctx.sign(Lock {
            lease,
            root,
            nonce_digest: draw::nonce_digest(nonce),
        })
    }

    pub(crate) fn on_lock_set(&mut self, ctx: &mut Context, from: PeerKey, set: &Signed<LockSet>) {
        let lease = set.body.lease;
        let Some(state) = self.locks.get(&lease) else {
            return;
        };
        let mine = draw::nonce_digest(&state.nonce);
        if from != state.collector
            || set.body.locks.len() > config::WITNESSES
            || !set.body.locks.iter().any(|l| l.nonce_digest == mine)
            || !ctx.verify(set, &state.collector)
        {
            return;
        }
        // Against a second set of locks a steward could learn nonces one by one, and choose among seeds.
        let this = (lease, set.body.digest(&ctx.swarm));
        let nonce = state.nonce;
        let reveal = Message::Reveal(ctx.sign(Reveal {
            lease,
            lock_set: this.1,
            nonce,
        }));
        match self.revealed.get(&state.slice) {
            Some(other) if *other != this => {}
            Some(_) => ctx.send_again(from, &reveal),
            None => {
                self.revealed.insert(state.slice, this);
                let seq = ctx.persist(Record::Revealed {
                    lease,
                    lock_set: this.1,
                });
                ctx.send_after(seq, from, &reveal);
            }
        }
    }

    pub(crate) fn sweep(&mut self, now_s: u64) {
        let over: Vec<_> = self
            .locks
            .iter()
            .filter(|(_, s)| s.until_s < now_s)
            .map(|(l, s)| (*l, s.slice))
            .collect();
        for (lease, slice) in over {
            self.locks.remove(&lease);
            self.revealed.remove(&slice);
        }
    }
}
