//! The job records that this peer knows.
//!
//! | state of a job | input | next |
//! |---|---|---|
//! | unknown | a record that holds | running |
//! | running | its requester says that it is over, or another steward whom nobody here gainsays; or this peer ends it | ended |
//! | running | the deadline passes | unknown |
//! | ended | its record again | ended |
//! | ended | a while, or room is needed | forgotten, but for its id |
//! | forgotten | its record again | forgotten, while the id is among the latest |
//!
//! Only records that name this peer in their roster, or that it signed itself, are kept: a stranger fills nothing
//! else.

use crate::config;
use crate::context::Context;
use crate::hash::{JobId, PeerKey};
use crate::io::{Output, Shape};
use crate::manifest::JobRecord;
use crate::reason::Reason;
use crate::time::Time;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Whether the shell has inputs and kernel ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prepared {
    No,
    Asked,
    Yes,
    Failed,
}

struct Entry {
    record: Arc<JobRecord>,
    prepared: Prepared,
    /// Since when it is over, as far as this peer is concerned: it may make room for others.
    ended: Option<Time>,
}

#[derive(Default)]
pub(crate) struct Book {
    jobs: BTreeMap<JobId, Entry>,
    /// Ended jobs whose records are gone, the oldest first: whoever repeats such a record would have it prepared again.
    forgotten: VecDeque<JobId>,
}

impl Book {
    pub(crate) fn get(&self, job: &JobId) -> Option<&Arc<JobRecord>> {
        self.jobs.get(job).map(|e| &e.record)
    }

    /// Checks and keeps a record. Returns its id if the job is new here.
    pub(crate) fn learn(&mut self, ctx: &Context, record: JobRecord) -> Option<JobId> {
        let manifest = &record.manifest.body;
        let concerns_me = manifest.requester == ctx.me || record.roster.index(&ctx.me).is_some();
        let ahead_s = manifest.deadline_s.saturating_sub(ctx.unix_s());
        let job = record.id(&ctx.swarm);
        if !concerns_me
            || !ctx.genesis.limits.admit(manifest, &record.roster, ahead_s)
            || record.appointment.body.until_s <= ctx.unix_s()
            || self.jobs.contains_key(&job)
            || self.forgotten.contains(&job)
            || !self.has_room(&manifest.requester)
            || record.check(&ctx.swarm, ctx.verifier()).is_err()
        {
            return None;
        }
        self.make_room(&manifest.requester);
        self.jobs.insert(
            job,
            Entry {
                record: Arc::new(record),
                prepared: Prepared::No,
                ended: None,
            },
        );
        Some(job)
    }

    /// Whether a job of `requester` fits, if need be in the place of one that has ended.
    fn has_room(&self, requester: &PeerKey) -> bool {
        let running = self.jobs.values().filter(|e| e.ended.is_none());
        let of_requester = running
            .clone()
            .filter(|e| e.record.manifest.body.requester == *requester);
        running.count() < config::BOOK_JOBS_MAX && of_requester.count() < config::OWN_JOBS_MAX
    }

    /// Forgets ended jobs while the caps are reached: first those of the same requester.
    fn make_room(&mut self, requester: &PeerKey) {
        let of_requester = |e: &&Entry| e.record.manifest.body.requester == *requester;
        while self.jobs.len() >= config::BOOK_JOBS_MAX
            || self.jobs.values().filter(of_requester).count() >= config::OWN_JOBS_MAX
        {
            let ended = || self.jobs.iter().filter(|(_, e)| e.ended.is_some());
            let oldest = |entry: &(&JobId, &Entry)| entry.1.record.manifest.body.deadline_s;
            let own = ended().filter(|(_, e)| of_requester(e)).min_by_key(oldest);
            let Some(job) = own
                .or_else(|| ended().min_by_key(oldest))
                .map(|(job, _)| *job)
            else {
                return;
            };
            self.forget(job);
        }
    }

    fn forget(&mut self, job: JobId) {
        self.jobs.remove(&job);
        if self.forgotten.len() >= config::BOOK_JOBS_MAX {
            self.forgotten.pop_front();
        }
        self.forgotten.push_back(job);
    }

    /// Makes the shell fetch the inputs and look at the job, once. Tells how far that is.
    pub(crate) fn prepare(
        &mut self,
        ctx: &mut Context,
        job: &JobId,
        sources: &[PeerKey],
    ) -> Prepared {
        let Some(entry) = self.jobs.get_mut(job) else {
            return Prepared::Failed;
        };
        if entry.prepared == Prepared::No {
            entry.prepared = Prepared::Asked;
            let (record, sources) = (entry.record.clone(), sources.to_vec());
            ctx.out.push(Output::Prepare {
                job: *job,
                record,
                sources,
            });
        }
        entry.prepared
    }

    /// The shell's answer: good only if the kernel sees the shape that the manifest states.
    pub(crate) fn set_prepared(&mut self, job: &JobId, shape: Result<Shape, Reason>) -> Prepared {
        let Some(entry) = self.jobs.get_mut(job) else {
            return Prepared::Failed;
        };
        let m = &entry.record.manifest.body;
        let stated = Shape {
            tiles: m.tiles,
            tile_bytes: m.tile_bytes,
            units_per_tile: m.units_per_tile,
            tier: m.tier,
        };
        entry.prepared = if shape == Ok(stated) {
            Prepared::Yes
        } else {
            Prepared::Failed
        };
        entry.prepared
    }

    /// A failed fetch may be tried again with the next message that needs it.
    pub(crate) fn forget_failure(&mut self, job: &JobId) {
        if let Some(entry) = self
            .jobs
            .get_mut(job)
            .filter(|e| e.prepared == Prepared::Failed)
        {
            entry.prepared = Prepared::No;
        }
    }

    /// The job is over. The record stays a while for those who still ask.
    pub(crate) fn end(&mut self, ctx: &Context, job: &JobId) {
        if let Some(entry) = self.jobs.get_mut(job) {
            entry.ended.get_or_insert(ctx.now);
        }
    }

    pub(crate) fn is_ended(&self, job: &JobId) -> bool {
        let known = self.jobs.get(job);
        known.is_some_and(|e| e.ended.is_some()) || self.forgotten.contains(job)
    }

    /// Jobs that are over and that the shell still holds in memory.
    pub(crate) fn ended(&self) -> Vec<JobId> {
        self.jobs
            .iter()
            .filter(|(_, e)| e.ended.is_some() && e.prepared != Prepared::No)
            .map(|(job, _)| *job)
            .collect()
    }

    /// Nothing more is computed for the job: the shell's memory of it may go.
    pub(crate) fn release(&mut self, ctx: &mut Context, job: &JobId) {
        if let Some(entry) = self
            .jobs
            .get_mut(job)
            .filter(|e| e.prepared != Prepared::No)
        {
            entry.prepared = Prepared::No;
            ctx.out.push(Output::Release { job: *job });
        }
    }

    /// `in_use` tells of work for a job that goes on, whoever said that it is over.
    pub(crate) fn sweep(&mut self, ctx: &mut Context, in_use: &dyn Fn(&JobId) -> bool) {
        let waits = |ended: Time| ctx.now < ended.after(config::LINGER);
        let dead: Vec<_> = self
            .jobs
            .iter()
            .filter(|(job, e)| e.ended.is_some_and(|at| !waits(at)) && !in_use(job))
            .map(|(job, _)| *job)
            .collect();
        for job in dead {
            self.release(ctx, &job);
            self.forget(job);
        }
        let now_s = ctx.unix_s();
        let over: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, e)| {
                e.record
                    .manifest
                    .body
                    .deadline_s
                    .saturating_add(config::CLOCK_SKEW_S)
                    < now_s
            })
            .map(|(job, _)| *job)
            .collect();
        for job in over {
            self.release(ctx, &job);
            self.jobs.remove(&job);
        }
    }
}
