//! Ringers: a few of its own draw's tiles that a requester computes itself while the auditors seal, and compares with
//! what the worker opens. No auditor has to be honest for that, and none can tell which tiles they are.
//!
//! | state | input | next |
//! |---|---|---|
//! | - | the seed is known, inputs are prepared, few are under way | computing |
//! | computing | computed | known |
//! | computing, and a quorum agrees | a while | none: the reference is too slow to wait for |
//! | known, and all verdicts are in | what was opened is equal | nothing |
//! | known, and all verdicts are in | it is different | refuted by this peer |
//!
//! Invariant: they never hold a lease up for longer than `RINGER_WAIT`, and without a reference there is no blame.

use super::{Case, Collector, Step};
use crate::config;
use crate::context::{Context, Waiting};
use crate::draw;
use crate::hash::{Hash, JobId, LeaseId};
use crate::io::{Computed, Purpose, TaskId};
use crate::reason::Reason;
use crate::timers::Timer;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Of one lease.
#[derive(Default)]
pub(super) struct Ringers {
    /// Counted within the slice.
    tiles: Vec<u32>,
    task: Option<TaskId>,
    known: BTreeMap<u32, Hash>,
    /// A quorum has waited for them.
    waited: bool,
}

impl Ringers {
    /// Whether the opening shows another hash than the reference.
    fn differ(&self, case: &Case) -> bool {
        let opened = case.opening.as_ref().map(|o| &o.body);
        opened.is_some_and(|opening| {
            let mut known = self.known.iter();
            known.any(|(tile, hash)| opening.tile(*tile).is_some_and(|t| t.hash != *hash))
        })
    }
}

impl Collector {
    /// The shell has an own job's inputs, or not.
    pub(crate) fn set_prepared(&mut self, job: JobId, prepared: bool) {
        if prepared {
            self.prepared.insert(job);
        } else {
            self.prepared.remove(&job);
        }
    }

    /// Draws tiles from this peer's own draw, and asks for them.
    pub(super) fn start_ringers(&mut self, ctx: &mut Context, id: LeaseId) {
        let under_way = |c: &&Case| c.ringers.task.is_some();
        let busy = self.cases.values().filter(under_way).count() >= config::RINGERS_UNDER_WAY;
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        let (lease, manifest) = (&case.lease.body, &case.record.manifest.body);
        // Without auditors this peer recomputes all that is opened anyway.
        let of_use = manifest.requester == ctx.me && case.strength.k > 0;
        if busy || !of_use || !self.prepared.contains(&lease.job) {
            return;
        }
        let own = config::SELF_CHECK_TILES;
        let mut drawn = draw::tiles(&case.seed, &ctx.me, own, case.tiles());
        let mut tiles = Vec::new();
        // Whatever the seed draws all can know; which of it are computed here is nobody else's business.
        let secret = ctx.prf("starling 2026-11 ringers v1", &case.seed.0);
        for two in secret.0.chunks_exact(2).take(config::RINGERS) {
            let pick = usize::from(two[0]) + 256 * usize::from(two[1]);
            if !drawn.is_empty() {
                tiles.push(drawn.swap_remove(pick % drawn.len()));
            }
        }
        let first = manifest.tiles_of(lease.slice).start;
        let of_job = tiles.iter().map(|t| first + t).collect();
        case.ringers = Ringers {
            task: Some(ctx.compute(Waiting::Ringers(id), lease.job, of_job, Purpose::Judge)),
            tiles,
            ..Ringers::default()
        };
    }

    /// The own CPU reference has computed them, or failed to.
    pub(crate) fn on_ringers(
        &mut self,
        ctx: &mut Context,
        id: LeaseId,
        result: Result<Computed, Reason>,
    ) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        case.ringers.task = None;
        if let Ok(computed) = result {
            let tiles = case.ringers.tiles.iter().copied();
            case.ringers.known = tiles.zip(computed.tiles).collect();
        }
        // Auditors whose verdicts are awaited may see for themselves who lies.
        if case.step == Step::Attesting && case.round.is_over() {
            self.decide(ctx, id);
        }
    }

    /// Ends the lease with blame if what was opened is not what this peer has computed. Whether it has.
    pub(super) fn refuted_by_ringers(&mut self, ctx: &mut Context, id: LeaseId) -> bool {
        let refuted = self.cases.get(&id).is_some_and(|c| c.ringers.differ(c));
        if refuted {
            self.end(ctx, id, Reason::Refuted, true, Some(ctx.me));
        }
        refuted
    }

    /// A quorum agrees; whether it has to wait for the ringers still. It does so once.
    pub(super) fn awaits_ringers(ctx: &mut Context, id: LeaseId, case: &mut Case) -> bool {
        if case.ringers.task.is_none() {
            return false;
        }
        if case.ringers.waited {
            ctx.abort(case.ringers.task.take());
            return false;
        }
        case.ringers.waited = true;
        let at = ctx.now.after(config::RINGER_WAIT);
        ctx.timers.set(Timer::Case(id), at);
        true
    }

    /// The lease is over.
    pub(super) fn drop_ringers(ctx: &mut Context, case: &mut Case) {
        ctx.abort(case.ringers.task.take());
    }
}
