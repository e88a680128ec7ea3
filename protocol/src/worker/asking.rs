//! When a worker asks for a lease, and of whom.
//!
//! It asks when a slot is free, and with the commitment that frees one: a slice that is committed to needs its device
//! no more. Invariant: one question a job at a time, and never more leases than slots, or more slices without a receipt
//! than it leaves to one requester.

use super::{Work, Worker};
use crate::config;
use crate::context::Context;
use crate::hash::{JobId, LeaseId, PeerKey};
use crate::io::Capacity;
use crate::message::Message;
use crate::timers::Timer;
use core::time::Duration;

/// Whether there is room for one more lease.
pub(super) enum Room {
    Yes,
    /// Not before something of its own ends, which then asks.
    Busy,
    /// Worth another look in a while.
    Later,
    /// The job's time is over.
    Never,
}

impl Worker {
    /// Asks for a lease of `job`, if there is room for one. `knows` tells whether a roster member is known.
    pub(crate) fn ask(
        &mut self,
        ctx: &mut Context,
        job: JobId,
        capacity: &Capacity,
        knows: &dyn Fn(&PeerKey) -> bool,
    ) {
        match self.room(ctx, &job, None, capacity, knows) {
            Room::Never => drop(self.jobs.remove(&job)),
            Room::Busy => {}
            Room::Later => ctx
                .timers
                .set(Timer::Ask(job), ctx.now.after(config::LEASE_RETRY)),
            Room::Yes => {
                if let Some(steward) = self.asks(ctx, &job) {
                    ctx.send(steward, &Message::LeaseRequest { job });
                }
            }
        }
    }

    /// Whether this peer may take one more lease of `job`; `finished` is about to leave its slot.
    pub(super) fn room(
        &self,
        ctx: &Context,
        job: &JobId,
        finished: Option<LeaseId>,
        capacity: &Capacity,
        knows: &dyn Fn(&PeerKey) -> bool,
    ) -> Room {
        let Some(engagement) = self.jobs.get(job).filter(|e| e.prepared) else {
            return Room::Busy;
        };
        let record = &engagement.record;
        let manifest = &record.manifest.body;
        let of_requester = |w: &&Work| w.record.manifest.body.requester == manifest.requester;
        let unreceipted = self.works.values().filter(of_requester).count();
        let roster = record.roster.peers();
        let known = roster.iter().filter(|p| **p == ctx.me || knows(p)).count();
        if manifest.deadline_s <= ctx.unix_s() {
            return Room::Never;
        }
        // Whoever offers a roster of strangers could have made them up; whoever is busy asks when it is not.
        if engagement.asking
            || unreceipted >= config::UNRECEIPTED_MAX
            || known * 3 < roster.len() * 2
        {
            return Room::Later;
        }
        let open = self
            .works
            .iter()
            .filter(|(id, w)| w.before_commitment() && Some(**id) != finished);
        let asked = self.jobs.values().filter(|j| j.asking);
        if open.count() + asked.count() < usize::from(capacity.slots) {
            Room::Yes
        } else {
            Room::Busy
        }
    }

    /// A lease of `job` is being asked for: of whom.
    pub(super) fn asks(&mut self, ctx: &mut Context, job: &JobId) -> Option<PeerKey> {
        let engagement = self.jobs.get_mut(job)?;
        engagement.asking = true;
        // An answer that never comes must not hold the slot for ever.
        ctx.timers
            .set(Timer::Ask(*job), ctx.now.after(config::LOCK_WAIT));
        Some(engagement.record.appointment.body.stewards[0])
    }

    /// The `Ask` timer: what was asked before went unanswered.
    pub(crate) fn stop_asking(&mut self, job: &JobId) {
        if let Some(engagement) = self.jobs.get_mut(job) {
            engagement.asking = false;
        }
    }

    /// A slot or a receipt is free: every job may ask again.
    pub(super) fn ask_soon(&self, ctx: &mut Context) {
        for job in self
            .jobs
            .iter()
            .filter(|(_, e)| !e.asking)
            .map(|(job, _)| *job)
        {
            ctx.timers.set_by(Timer::Ask(job), ctx.now);
        }
    }

    pub(crate) fn on_refusal(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        job: JobId,
        retry_ms: u32,
    ) {
        let Some(engagement) = self
            .jobs
            .get_mut(&job)
            .filter(|e| e.record.is_steward(&from))
        else {
            return;
        };
        engagement.asking = false;
        if retry_ms == 0 {
            self.end_job(ctx, &job);
        } else {
            let wait = Duration::from_millis(u64::from(retry_ms.min(60_000)));
            ctx.timers.set(Timer::Ask(job), ctx.now.after(wait));
        }
    }
}
