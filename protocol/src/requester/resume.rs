//! What a requester does with the jobs of a former life: they go on where the log ends.
//!
//! Done slices stay done. Leases are void, because their nonces died with that life: who had committed is told so, and
//! does not get that slice again, since witnesses reveal only once for a slice and a worker. Nobody is blamed.

use super::{Job, Requester, offers};
use crate::book::Book;
use crate::collector::Collector;
use crate::config;
use crate::context::Context;
use crate::io::{Event, Record};
use crate::reason::Reason;
use crate::steward::Table;
use crate::timers::Timer;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Requester {
    /// Takes back what the log holds of own jobs; [`Requester::resume`] makes them go on.
    pub(crate) fn restore(&mut self, ctx: &mut Context, book: &mut Book, record: &Record) {
        match record {
            Record::Submitted { record } => {
                let job = record.id(&ctx.swarm);
                let record = Arc::new((**record).clone());
                // The book refuses what is over; `resume` ends it.
                book.learn(ctx, (*record).clone());
                let table = Table::new(record.clone(), job, &ctx.me);
                let others = record.roster.peers().iter().filter(|p| **p != ctx.me);
                let peers = others.take(offers::MAX).copied().collect();
                self.jobs.insert(job, Job::new(table, peers));
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
            Record::SliceDone { job, slice, .. } => {
                if let Some(entry) = self.jobs.get_mut(job) {
                    entry.table.finish(*slice);
                }
            }
            Record::Ended { job, .. } => {
                self.jobs.remove(job);
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
            let Some(entry) = self.jobs.get(&job) else {
                continue;
            };
            let (slices, done) = entry.table.progress();
            let class = entry.table.record.manifest.body.class.clone();
            ctx.notify(Event::Resumed { job, slices, done });
            if entry.table.is_done() {
                self.end(ctx, book, collector, job, Reason::JobDone);
            } else if book.get(&job).is_none() {
                self.end(ctx, book, collector, job, Reason::DeadlinePassed);
            } else {
                self.announce(ctx, book, job, &class);
                // Peers have to be met first.
                ctx.timers
                    .set(Timer::Job(job), ctx.now.after(config::RESUME_WAIT));
            }
        }
    }
}
