//! A collector that died after the seed has an heir: the worker turns to another steward with all that was signed so far,
//! and that one goes on at the step Attesting.
//!
//! Nothing is drawn or sealed anew, so neither a worker nor a steward gains by it: the auditors are those of the list that
//! the first collector signed, and say again what they found. The receipt names the first one as steward of its lease.

use super::{Case, Collector, Step};
use crate::config;
use crate::context::Context;
use crate::hash::{LeaseId, PeerKey};
use crate::manifest::JobRecord;
use crate::message::{Handover, Message};
use crate::round::{Owed, Round};
use crate::rules;
use crate::signed::Fact;
use alloc::boxed::Box;
use alloc::sync::Arc;

impl Collector {
    /// Whether this peer has taken the lease over already, or ended it: then it says so again.
    pub(crate) fn repeats(&self, ctx: &mut Context, worker: &PeerKey, id: &LeaseId) -> bool {
        if self.cases.get(id).is_some_and(|c| c.worker() == *worker) {
            ctx.send(*worker, &Message::OpeningAck { lease: *id });
            return true;
        }
        self.say_again(ctx, worker, id)
    }

    /// Another steward has ended the lease.
    pub(crate) fn is_settled(&mut self, ctx: &mut Context, id: LeaseId) {
        drop(self.remove(ctx, id));
    }

    /// Goes on in the place of the lease's steward. Its id, if all of it holds.
    pub(crate) fn take_over(
        &mut self,
        ctx: &mut Context,
        record: &Arc<JobRecord>,
        handover: Handover,
    ) -> Option<LeaseId> {
        let Handover {
            call,
            seal_list,
            opening,
        } = handover;
        let lease = call.lease.body.clone();
        let id = lease.id(&ctx.swarm);
        let seed = rules::check_call(record, &call, &|_| true, &ctx.swarm, ctx.verifier())?;
        let listed = rules::check_seal_list(record, &lease, id, &seal_list.body, &seed).ok()?;
        let strength = rules::strength(record, &lease, &seed);
        let (n, manifest) = (call.commitment.body.tiles, &record.manifest.body);
        let list = &seal_list.body;
        let due = list.tiles(&seed, &strength, n, manifest, &record.roster)?;
        let digest = list.digest(&ctx.swarm);
        if !opening.body.answers(&call.commitment.body, &digest, &due)
            || !ctx.verify(&seal_list, &lease.steward)
            || !ctx.verify(&opening, &lease.worker)
        {
            return None;
        }
        let mut case = Case::new(record.clone(), call.lease, call.steward_nonce);
        let digests = list.seals.iter().map(|seal| seal.digest);
        case.seals = listed.iter().copied().zip(digests).collect();
        case.commitment = Some(call.commitment);
        case.lock_set = Some(call.lock_set);
        let nonces = case.witnesses().into_iter().zip(call.nonces);
        case.nonces = nonces.filter_map(|(w, nonce)| Some((w, nonce?))).collect();
        (case.seed, case.strength) = (seed, strength);
        ctx.send(lease.worker, &Message::OpeningAck { lease: id });
        // The list may not have reached them; the opening asks for their verdicts.
        let list = Message::SealList(Box::new(seal_list.clone()));
        let shown = Message::Opening(Box::new(opening.clone()));
        for auditor in &listed {
            ctx.send(*auditor, &list);
            ctx.send(*auditor, &shown);
        }
        (case.seal_list, case.opening) = (Some(seal_list), Some(opening));
        case.step = Step::Attesting;
        case.round = Round::new(ctx.now, Owed::Verdict, listed, config::OPENING_WAIT);
        let alone = case.round.is_over();
        self.cases.insert(id, case);
        if alone {
            self.decide(ctx, id);
        } else {
            self.rearm(ctx, id);
        }
        Some(id)
    }
}
