//! How a job ends here, and who hears of it.

use super::{Job, Steward};
use crate::board;
use crate::book::Book;
use crate::collector::Collector;
use crate::context::Context;
use crate::hash::{JobId, PeerKey};
use crate::io::{Event, Output, Record};
use crate::message::Message;
use crate::reason::Reason;
use crate::timers::Timer;
use alloc::vec::Vec;

impl Steward {
    /// Its requester cancels; stewards cannot.
    pub(crate) fn cancel(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        collector: &mut Collector,
        job: JobId,
    ) {
        if self.jobs.get(&job).is_some_and(|e| e.own) {
            self.end(ctx, book, collector, job, Reason::Cancelled);
        }
    }

    /// A job's requester says that it is over.
    pub(crate) fn on_job_ended(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        collector: &mut Collector,
        from: PeerKey,
        (job, reason): (JobId, Reason),
    ) {
        let by_requester = |e: &Job| !e.own && e.record().manifest.body.requester == from;
        if self.jobs.get(&job).is_some_and(by_requester) {
            self.end(ctx, book, collector, job, reason);
        }
    }

    pub(super) fn end(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        collector: &mut Collector,
        job: JobId,
        reason: Reason,
    ) {
        let Some(mut entry) = self.jobs.remove(&job) else {
            return;
        };
        ctx.timers.clear(Timer::Job(job));
        ctx.timers.clear(Timer::Tell(job));
        collector.cancel(ctx, &job, reason);
        entry
            .table
            .own_tasks()
            .into_iter()
            .chain(entry.arriving.values().map(|a| a.task))
            .for_each(|task| ctx.abort(Some(task)));
        if entry.own {
            let me = ctx.me;
            let colleagues: Vec<_> = entry.colleagues(me).collect();
            colleagues.into_iter().for_each(|s| entry.involve(s));
        }
        ctx.persist(Record::Ended { job, reason });
        Self::tell_the_end(ctx, &entry, job, reason);
        self.stop_providing(ctx, &entry, job);
        book.end(ctx, &job);
        book.release(ctx, &job);
        if !entry.own {
            Self::discard(ctx, &entry);
            ctx.notify(Event::Relieved { job, reason });
        } else if reason == Reason::JobDone {
            ctx.notify(Event::JobDone { job });
        } else {
            ctx.notify(Event::JobFailed { job, reason });
        }
    }

    /// Whoever hears it lets go of what it keeps: so not before the log has it.
    pub(super) fn tell_the_end(ctx: &mut Context, entry: &Job, job: JobId, reason: Reason) {
        for peer in &entry.involved {
            ctx.send_again(*peer, &Message::JobEnded { job, reason });
        }
    }

    /// A job that was removed is on no board any more.
    fn stop_providing(&self, ctx: &mut Context, entry: &Job, job: JobId) {
        let class = &entry.record().manifest.body.class;
        let same_class = |j: &Job| j.record().manifest.body.class == *class;
        if !self.jobs.values().any(same_class) {
            let board = ctx.board(class);
            ctx.out.push(Output::StopProviding { board });
        }
        if entry.record().appointment.body.stewards.len() > 1 {
            let board = board::job(&ctx.swarm, &job);
            ctx.out.push(Output::StopProviding { board });
        }
    }
}
