//! When a worker asks for a lease, and of whom.
//!
//! It asks when a slot is free, and with the commitment that frees one: a slice that is committed to needs its device
//! no more. It asks the requester while that is here, else the next of the job's stewards that is.
//!
//! Invariant: one question a job at a time, and never more leases than slots, or more slices without a receipt than it
//! leaves to one requester.

use super::{Engagement, Work, Worker};
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
    /// Not before something of its own ends, or is answered: then it is asked for.
    Busy,
    /// Worth another look in a while.
    Later,
    /// The job's time is over.
    Never,
}

impl Engagement {
    /// Stewards that may still have something for `me`, the requester first.
    fn open(&self, me: &PeerKey) -> impl Iterator<Item = PeerKey> {
        let stewards = self.record.appointment.body.stewards.iter().copied();
        stewards.filter(move |s| s != me && !self.closed.contains(s))
    }

    /// `steward` is there, whatever it said before.
    pub(super) fn hear(&mut self, steward: &PeerKey) {
        if self.record.is_steward(steward) {
            self.heard.insert(*steward);
            self.mute.remove(steward);
            self.closed.remove(steward);
        }
    }

    /// Whether what `steward` says may answer what was asked: another one's word does not.
    fn answers(&self, steward: &PeerKey) -> bool {
        self.asked.is_none_or(|asked| asked == *steward)
    }
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
            Room::Busy => {
                if let Some(engagement) = self.jobs.get_mut(&job) {
                    engagement.waits = true;
                }
            }
            Room::Later => ctx
                .timers
                .set(Timer::Ask(job), ctx.now.after(config::LEASE_RETRY)),
            Room::Yes => match self.asks(ctx, &job, knows) {
                Some(steward) => ctx.send(steward, &Message::LeaseRequest { job }),
                None => {
                    let mute = self.jobs.get(&job).map(|e| e.mute.values());
                    let next = mute.into_iter().flatten().map(|(_, until)| *until).min();
                    let next = next
                        .unwrap_or(ctx.now)
                        .max(ctx.now.after(config::LOCK_WAIT));
                    ctx.timers.set(Timer::Ask(job), next);
                }
            },
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
        if engagement.asked.is_some()
            || unreceipted >= config::UNRECEIPTED_MAX
            || known * 3 < roster.len() * 2
        {
            return Room::Later;
        }
        let open = self
            .works
            .iter()
            .filter(|(id, w)| w.before_commitment() && Some(**id) != finished);
        let asked = self.jobs.values().filter(|j| j.asked.is_some());
        if open.count() + asked.count() < usize::from(capacity.slots) {
            Room::Yes
        } else {
            Room::Busy
        }
    }

    /// A lease of `job` is being asked for: of whom.
    pub(super) fn asks(
        &mut self,
        ctx: &mut Context,
        job: &JobId,
        knows: &dyn Fn(&PeerKey) -> bool,
    ) -> Option<PeerKey> {
        let steward = self.steward_of(ctx, job, knows)?;
        let engagement = self.jobs.get_mut(job)?;
        engagement.asked = Some(steward);
        engagement.waits = false;
        // An answer that never comes must not hold the slot for ever.
        ctx.timers
            .set(Timer::Ask(*job), ctx.now.after(config::LOCK_WAIT));
        Some(steward)
    }

    /// Whom to ask for a lease of `job`: of those that have not sent this peer away the first one that seems to be here.
    pub(super) fn steward_of(
        &self,
        ctx: &Context,
        job: &JobId,
        knows: &dyn Fn(&PeerKey) -> bool,
    ) -> Option<PeerKey> {
        let engagement = self.jobs.get(job)?;
        let open = || engagement.open(&ctx.me);
        let mute = |s: &PeerKey| engagement.mute.get(s);
        let answers = |s: &PeerKey| mute(s).is_none_or(|(_, until)| *until <= ctx.now);
        let here = |s: &PeerKey| answers(s) && (knows(s) || engagement.heard.contains(s));
        open().find(here).or_else(|| open().find(answers))
    }

    /// The `Ask` timer: what was asked before went unanswered, so another steward is asked next.
    pub(crate) fn stop_asking(&mut self, ctx: &mut Context, job: &JobId) {
        let Some(engagement) = self.jobs.get_mut(job) else {
            return;
        };
        if let Some(silent) = engagement.asked.take() {
            engagement.heard.remove(&silent);
            let (times, until) = engagement.mute.entry(silent).or_default();
            let doubled = (*times).min(config::MUTE_DOUBLINGS);
            *until = ctx.now.after(config::MUTE_WAIT * (1 << doubled));
            *times = times.saturating_add(1);
            self.ask_waiting(ctx);
        }
    }

    /// What was asked of `steward` with a commitment will not be answered. `silent`: it said nothing at all.
    pub(super) fn unask(
        &mut self,
        ctx: &mut Context,
        job: &JobId,
        steward: &PeerKey,
        silent: bool,
    ) {
        let engagement = self.jobs.get_mut(job);
        let Some(engagement) = engagement.filter(|e| e.asked == Some(*steward)) else {
            return;
        };
        if silent {
            self.stop_asking(ctx, job);
        } else {
            engagement.asked = None;
            self.ask_waiting(ctx);
        }
    }

    /// A question was answered, or given up on: the slot that it held is for those who found none.
    fn ask_waiting(&mut self, ctx: &mut Context) {
        for (job, engagement) in &mut self.jobs {
            let free = engagement.asked.is_none();
            if core::mem::take(&mut engagement.waits) && free {
                ctx.timers.set_by(Timer::Ask(*job), ctx.now);
            }
        }
    }

    /// A steward has nothing more of `job` for this peer. Without another one to ask, the job is over for it.
    pub(crate) fn close(&mut self, ctx: &mut Context, from: &PeerKey, job: &JobId) {
        let Some(engagement) = self.jobs.get_mut(job) else {
            return;
        };
        engagement.closed.insert(*from);
        let answers = engagement.answers(from);
        if engagement.open(&ctx.me).next().is_none() {
            self.end_job(ctx, job);
        } else if answers {
            engagement.asked = None;
            ctx.timers.set_by(Timer::Ask(*job), ctx.now);
        }
    }

    /// A slot or a receipt is free: every job may ask again.
    pub(crate) fn ask_soon(&self, ctx: &mut Context) {
        for job in self
            .jobs
            .iter()
            .filter(|(_, e)| e.asked.is_none())
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
        engagement.hear(&from);
        let answers = engagement.answers(&from);
        if retry_ms == 0 {
            self.close(ctx, &from, &job);
        } else if answers {
            engagement.asked = None;
            let wait = Duration::from_millis(u64::from(retry_ms.min(60_000)));
            ctx.timers.set(Timer::Ask(job), ctx.now.after(wait));
        }
        if answers {
            self.ask_waiting(ctx);
        }
    }
}
