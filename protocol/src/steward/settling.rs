//! What a job's stewards do for each other: tell how far they are, and hand finished slices over, until each of them,
//! or the requester, has them all.
//!
//! What is handed over comes in through `arriving`.

use super::{Job, Steward};
use crate::adverts::Adverts;
use crate::bits::Bits;
use crate::book::{Book, Prepared};
use crate::config;
use crate::context::Context;
use crate::hash::{BlobId, Hash, JobId, PeerKey};
use crate::io::{Event, Output, Record};
use crate::manifest::JobRecord;
use crate::message::Message;
use crate::reason::Reason;
use crate::receipt::Receipt;
use crate::table::Kept;
use crate::time::Time;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Steward {
    /// A record may appoint this peer, which lends: then it takes the job up, unless it has enough of them.
    pub(crate) fn appoint(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        job: JobId,
        record: &Arc<JobRecord>,
    ) {
        let requester = record.manifest.body.requester;
        if requester == ctx.me
            || !record.is_steward(&ctx.me)
            || self.jobs.contains_key(&job)
            || !self.has_room(record)
        {
            return;
        }
        ctx.persist(Record::Appointed {
            record: Box::new((**record).clone()),
        });
        self.take_up(ctx, job, record.clone());
        if let Some(entry) = self.jobs.get_mut(&job) {
            entry.table.handed_over(ctx.now);
        }
        ctx.notify(Event::Appointed {
            job,
            requester,
            slices: record.manifest.body.slices(),
        });
        ctx.timers
            .set(Timer::Job(job), ctx.now.after(config::STARVED_WAIT));
        self.get_ready(ctx, book, job);
    }

    /// Whether one more job of somebody else fits.
    fn has_room(&self, record: &JobRecord) -> bool {
        let manifest = &record.manifest.body;
        let others = || {
            let jobs = self.jobs.values().filter(|j| !j.own);
            jobs.map(|j| &j.record().manifest.body)
        };
        let same = || others().filter(|m| m.requester == manifest.requester);
        let slices = others().fold(manifest.slices(), |sum, m| sum.saturating_add(m.slices()));
        let bytes = same().fold(manifest.bytes(), |sum, m| sum.saturating_add(m.bytes()));
        others().count() < config::STEWARDED_MAX
            && same().count() < config::STEWARDED_PER_REQUESTER
            && slices <= config::STEWARDED_SLICES_MAX
            && bytes <= config::STEWARDED_BYTES_PER_REQUESTER
    }

    /// Whoever is appointed offers the job to nobody while its requester is here.
    pub(super) fn take_up(&mut self, ctx: &Context, job: JobId, record: Arc<JobRecord>) {
        let peers = record.roster.peers().iter().filter(|p| **p != ctx.me);
        let peers = peers.take(super::offers::MAX).copied().collect();
        let mut entry = Job::new(record, job, &ctx.me, Vec::new());
        entry.others = peers;
        self.jobs.insert(job, entry);
    }

    /// An own job that was sought goes on here again.
    pub(crate) fn take_back(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        job: JobId,
        record: Arc<JobRecord>,
    ) {
        self.take_up(ctx, job, record);
        self.announce(ctx, book, job);
        ctx.timers
            .set(Timer::Job(job), ctx.now.after(config::STARVED_WAIT));
    }

    pub(super) fn get_ready(&mut self, ctx: &mut Context, book: &mut Book, job: JobId) {
        let Some(entry) = self.jobs.get(&job) else {
            return;
        };
        let sources: Vec<_> = entry.colleagues(ctx.me).collect();
        if book.prepare(ctx, &job, &sources) == Prepared::Yes {
            self.on_prepared(ctx, book, job);
        }
    }

    /// The inputs of an appointed job are here: from now on it goes on without its requester.
    pub(crate) fn on_prepared(&mut self, ctx: &mut Context, book: &mut Book, job: JobId) {
        if let Some(entry) = self.jobs.get_mut(&job).filter(|e| !e.ready) {
            entry.ready = true;
            self.announce(ctx, book, job);
            // Its requester may wait for that, to leave.
            ctx.timers.set(Timer::Tell(job), ctx.now);
        }
    }

    /// A peer cannot be reached: if it leads jobs, others may go on with them.
    pub(crate) fn on_lost(&mut self, peer: &PeerKey) {
        for entry in self.jobs.values_mut() {
            entry.table.lost(peer);
        }
    }

    /// Whether this peer hands the job out.
    pub(crate) fn serves(&self, job: &JobId) -> bool {
        self.jobs.contains_key(job)
    }

    /// The other stewards are told how far this one is, soon.
    pub(super) fn tell_soon(&self, ctx: &mut Context, job: JobId) {
        let told = self.jobs.get(&job).filter(|e| e.ready);
        if told.is_some_and(|e| e.colleagues(ctx.me).next().is_some()) {
            let soon = ctx.now.after(config::TELL_SOON);
            ctx.timers.set_by(Timer::Tell(job), soon);
        }
    }

    /// Hands the record to those whom it appoints.
    pub(super) fn introduce(&self, ctx: &mut Context, job: &JobId) {
        let Some(entry) = self.jobs.get(job) else {
            return;
        };
        let message = Message::Record(Box::new((**entry.record()).clone()));
        for steward in entry.colleagues(ctx.me) {
            if !entry.involved.contains(&steward) {
                ctx.send_again(steward, &message);
            }
        }
    }

    /// The `Tell` timer.
    pub(crate) fn tell(&mut self, ctx: &mut Context, job: JobId) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        // Whoever was asked and has not answered does not have what it said.
        let now = ctx.now;
        let late = |at: &Time| now >= at.after(config::STORE_WAIT);
        let vain = entry.requested.values().filter(|(_, at)| late(at));
        let vain: BTreeSet<PeerKey> = vain.map(|(by, _)| *by).collect();
        vain.iter().for_each(|by| entry.table.broke_its_word(by));
        entry.requested.retain(|_, (_, at)| !late(at));
        let (done, busy) = entry.table.progress_bits();
        // Others rely on it: not before the log has what it says.
        let message = Message::Progress { job, done, busy };
        let colleagues: Vec<_> = entry.colleagues(ctx.me).collect();
        for steward in colleagues {
            ctx.send_again(steward, &message);
            // What one of them did not hand over another one may have.
            self.ask_for_missing(ctx, steward, job);
        }
        ctx.timers
            .set(Timer::Tell(job), ctx.now.after(config::TELL));
    }

    /// Another steward tells how far it is.
    pub(crate) fn on_progress(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        job: JobId,
        (done, busy): (Bits, Bits),
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        let slices = entry.table.progress().0;
        if !entry.record().is_steward(&from) || !done.fits(slices) || !busy.fits(slices) {
            return;
        }
        let first = entry.table.claimed(from, done, busy, ctx.now);
        if first && entry.own {
            let of = entry.colleagues(ctx.me).count();
            let held = entry.colleagues(ctx.me);
            let held = held.filter(|s| entry.table.has_word_of(s)).count();
            let by = from;
            ctx.notify(Event::Held { job, by, held, of });
        }
        if first {
            self.tell_soon(ctx, job);
        }
        self.ask_for_missing(ctx, from, job);
        self.look_whether_complete(ctx, job);
    }

    pub(super) fn ask_for_missing(&mut self, ctx: &mut Context, from: PeerKey, job: JobId) {
        let Some(entry) = self.jobs.get_mut(&job).filter(|e| e.ready) else {
            return;
        };
        let under_way = entry.arriving.len() + entry.requested.len();
        let room = config::SETTLING_MAX.saturating_sub(under_way);
        let new = |slice: &u32| {
            !entry.arriving.contains_key(slice) && !entry.requested.contains_key(slice)
        };
        let wanted = entry.table.wanted_from(&from).into_iter().filter(new);
        let slices: Vec<_> = wanted.take(room.min(config::SETTLE_MAX)).collect();
        if !slices.is_empty() {
            let asked = slices.iter().map(|slice| (*slice, (from, ctx.now)));
            entry.requested.extend(asked);
            ctx.send(from, &Message::SettleRequest { job, slices });
        }
    }

    /// Another steward wants slices that this one keeps: their receipts are in the log.
    pub(crate) fn on_settle_request(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        job: JobId,
        slices: &[u32],
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        if !entry.record().is_steward(&from) {
            return;
        }
        let (since, count) = &mut entry.recalls;
        if ctx.now >= since.after(config::TELL_SOON) {
            (*since, *count) = (ctx.now, 0);
        }
        for slice in slices.iter().take(config::SETTLE_MAX) {
            if *count >= config::RECALLS_PER_S {
                return;
            }
            if let Some(Kept { lease, .. }) = entry.table.kept(*slice) {
                *count += 1;
                let (lease, to) = (*lease, from);
                ctx.out.push(Output::Recall { job, lease, to });
            }
        }
    }

    /// The log had it.
    pub(crate) fn on_recalled(&self, ctx: &mut Context, to: PeerKey, receipt: Box<Receipt>) {
        let lease = &receipt.lease.body;
        let kept = self.jobs.get(&lease.job);
        let kept = kept.and_then(|e| e.table.kept(lease.slice));
        if let Some(kept) = kept.filter(|k| k.lease == lease.id(&ctx.swarm)) {
            let (blob, secret) = (kept.blob, kept.secret);
            let message = Message::Settle {
                receipt,
                blob,
                secret,
            };
            ctx.send(to, &message);
        }
    }

    /// The bytes of a slice of somebody else's job are here, and logged.
    pub(super) fn keep(
        &mut self,
        ctx: &mut Context,
        receipt: &Receipt,
        blob: BlobId,
        secret: Hash,
    ) {
        let lease = &receipt.lease.body;
        let (job, slice, worker) = (lease.job, lease.slice, lease.worker);
        let lease = lease.id(&ctx.swarm);
        let Some(entry) = self.jobs.get_mut(&job).filter(|e| e.table.lacks(slice)) else {
            return;
        };
        let kept = Kept {
            lease,
            blob,
            secret,
        };
        ctx.pin(blob);
        entry.table.keep(slice, worker, kept);
        ctx.notify(Event::Kept { job, slice, worker });
        self.tell_soon(ctx, job);
        self.look_whether_complete(ctx, job);
    }

    /// A slice was collected here: the others that are here may fetch it.
    pub(super) fn hand_round(
        &self,
        ctx: &mut Context,
        adverts: &Adverts,
        receipt: &Receipt,
        blob: BlobId,
        secret: Hash,
    ) {
        let Some(entry) = self.jobs.get(&receipt.lease.body.job) else {
            return;
        };
        let message = Message::Settle {
            receipt: Box::new(receipt.clone()),
            blob,
            secret,
        };
        for steward in entry.colleagues(ctx.me).filter(|s| adverts.is_here(s)) {
            ctx.send_again(steward, &message);
        }
    }

    /// Nothing is left to hand out of somebody else's job, or there is again.
    fn look_whether_complete(&mut self, ctx: &mut Context, job: JobId) {
        let Some(entry) = self.jobs.get_mut(&job).filter(|e| !e.own && e.ready) else {
            return;
        };
        let complete = entry.table.is_complete();
        if complete && !entry.complete {
            Self::tell_the_end(ctx, entry, job, Reason::JobDone);
        }
        entry.complete = complete;
    }

    /// A worker lied in `job`, and this peer has seen it for itself: it gets no more of that, and all that it has done
    /// here is open again, in every job that goes on. What it was not caught at it may have faked, too.
    pub(crate) fn revoke(&mut self, ctx: &mut Context, worker: PeerKey, of: JobId) {
        let jobs: Vec<_> = self.jobs.keys().copied().collect();
        for job in jobs {
            let Some(entry) = self.jobs.get_mut(&job) else {
                continue;
            };
            let slices = entry.table.done_of(&worker);
            if slices.is_empty() && job != of {
                continue;
            }
            if entry.table.exclude(worker) {
                ctx.persist(Record::Excluded { job, worker });
            }
            for slice in slices {
                if let Some(Some(kept)) = entry.table.revoke(slice, &worker) {
                    ctx.unpin(kept.blob);
                }
                ctx.persist(Record::Revoked { job, slice, worker });
                ctx.notify(Event::SliceReopened {
                    job,
                    slice,
                    worker,
                    reason: Reason::Refuted,
                });
            }
            ctx.timers.set_by(Timer::Job(job), ctx.now);
            self.tell_soon(ctx, job);
            self.look_whether_complete(ctx, job);
        }
    }

    /// What was kept for a job that is over.
    pub(super) fn discard(ctx: &mut Context, entry: &Job) {
        for kept in entry.table.all_kept() {
            ctx.unpin(kept.blob);
        }
    }
}
