//! A steward goes on with a lease of another one that has died: see `collector::heir`.

use super::Steward;
use crate::adverts::Adverts;
use crate::collector::Collector;
use crate::context::Context;
use crate::hash::PeerKey;
use crate::io::{Event, Record};
use crate::message::Handover;

impl Steward {
    /// A worker has opened, and its collector has fallen silent.
    pub(crate) fn on_take_over(
        &mut self,
        ctx: &mut Context,
        adverts: &Adverts,
        collector: &mut Collector,
        from: PeerKey,
        handover: Handover,
    ) {
        let lease = handover.call.lease.body.clone();
        let (job, slice) = (lease.job, lease.slice);
        let Some(entry) = self.jobs.get_mut(&job).filter(|e| e.ready) else {
            return;
        };
        let here = |peer: &PeerKey| adverts.is_here(peer);
        if from != lease.worker
            || collector.repeats(ctx, &from, &lease.id(&ctx.swarm))
            || lease.steward == ctx.me
            || entry.table.is_at_work(&lease.steward, &here, ctx.now)
            || !entry.table.may_take_over(slice, &from)
            || ctx.reputation.is_convicted(&from, ctx.unix_s())
        {
            return;
        }
        let record = entry.record().clone();
        let Some(id) = collector.take_over(ctx, &record, handover) else {
            return;
        };
        let worker = from;
        entry.table.taken_over(slice, worker, id);
        entry.leases.insert(id, (slice, worker));
        ctx.persist(Record::Bound {
            job,
            slice,
            worker,
            lease: id,
        });
        ctx.notify(Event::TakenOver {
            job,
            slice,
            worker,
            from: lease.steward,
        });
        self.tell_soon(ctx, job);
    }
}
