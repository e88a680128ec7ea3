//! What a steward does with the jobs of a former life: they go on where the log ends.
//!
//! Done slices stay done. Leases are void, because their nonces died with that life: who had committed is told so, and
//! does not get that slice again, since witnesses reveal only once for a slice and a worker. Nobody is blamed.

use super::{Job, Steward, offers};
use crate::book::Book;
use crate::collector::Collector;
use crate::config;
use crate::context::Context;
use crate::io::{Event, Record};
use crate::reason::Reason;
use crate::table::Kept;
use crate::timers::Timer;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Steward {
    /// Takes back what the log holds of jobs that this peer hands out; [`Steward::resume`] makes them go on.
    pub(crate) fn restore(&mut self, ctx: &mut Context, book: &mut Book, record: &Record) {
        match record {
            Record::Submitted { record } => {
                let job = record.id(&ctx.swarm);
                let record = Arc::new((**record).clone());
                // The book refuses what is over; `resume` ends it.
                book.learn(ctx, (*record).clone());
                let others = record.roster.peers().iter().filter(|p| **p != ctx.me);
                let peers = others.take(offers::MAX).copied().collect();
                let entry = Job::new(record, job, &ctx.me, peers);
                self.jobs.insert(job, entry);
            }
            Record::Appointed { record } => {
                let job = record.id(&ctx.swarm);
                book.learn(ctx, (**record).clone());
                self.take_up(ctx, job, Arc::new((**record).clone()));
            }
            Record::Kept {
                job,
                blob,
                secret,
                receipt,
            } => {
                let lease = &receipt.lease.body;
                let slice = lease.slice;
                let kept = Kept {
                    lease: lease.id(&ctx.swarm),
                    blob: *blob,
                    secret: *secret,
                };
                let entry = self.jobs.get_mut(job);
                if let Some(entry) = entry.filter(|e| e.table.lacks(slice)) {
                    entry.table.keep(slice, lease.worker, kept);
                    ctx.pin(*blob);
                }
            }
            Record::Bound {
                job,
                slice,
                worker,
                lease,
            } => {
                if let Some(entry) = self.jobs.get_mut(job) {
                    entry.table.bar(*slice, *worker);
                    entry.void.push((*lease, *worker));
                }
            }
            Record::Excluded { job, worker } => {
                if let Some(entry) = self.jobs.get_mut(job) {
                    entry.table.exclude(*worker);
                }
            }
            Record::SliceDone {
                job, slice, worker, ..
            } => {
                if let Some(entry) = self.jobs.get_mut(job) {
                    entry.table.finish(*slice, *worker);
                }
            }
            Record::Revoked { job, slice, worker } => {
                let entry = self.jobs.get_mut(job);
                if let Some(Some(kept)) = entry.and_then(|e| e.table.revoke(*slice, worker)) {
                    ctx.unpin(kept.blob);
                }
            }
            Record::Ended { job, .. } => {
                if let Some(entry) = self.jobs.remove(job) {
                    Self::discard(ctx, &entry);
                }
                book.end(ctx, job);
            }
            Record::Committed { .. }
            | Record::Locked { .. }
            | Record::Revealed { .. }
            | Record::Receipted { .. }
            | Record::Standing { .. } => {}
        }
    }

    /// Goes on with the restored jobs.
    pub(crate) fn resume(&mut self, ctx: &mut Context, book: &mut Book, collector: &mut Collector) {
        let jobs: Vec<_> = self.jobs.keys().copied().collect();
        for job in jobs {
            let Some(entry) = self.jobs.get_mut(&job) else {
                continue;
            };
            entry.table.handed_over(ctx.now);
            let (slices, done) = entry.table.progress();
            let own = entry.own;
            if own {
                ctx.notify(Event::Resumed { job, slices, done });
            }
            if own && entry.table.is_done() {
                self.end(ctx, book, collector, job, Reason::JobDone);
            } else if book.get(&job).is_none() {
                self.end(ctx, book, collector, job, Reason::DeadlinePassed);
            } else {
                if own {
                    self.announce(ctx, book, job);
                } else {
                    self.get_ready(ctx, book, job);
                }
                // Peers have to be met first.
                ctx.timers
                    .set(Timer::Job(job), ctx.now.after(config::RESUME_WAIT));
            }
        }
    }
}
