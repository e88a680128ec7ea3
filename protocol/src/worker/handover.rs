//! Second half of a worker's lease: opening what was drawn, handing the output over, taking the receipt.

use super::{Stage, Work, Worker};
use crate::config;
use crate::context::Context;
use crate::draw;
use crate::evidence::{self, LockSet, OpenedTile, Opening, Revealed, SealList, Stored};
use crate::hash::{Hash, LeaseId, PeerKey};
use crate::io::{Event, Record};
use crate::merkle;
use crate::message::{AuditCall, Handover, Message};
use crate::reason::Reason;
use crate::receipt::Receipt;
use crate::rules;
use crate::signed::{Fact, Signed};
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

impl Work {
    /// Stewards that could go on in the collector's place.
    fn heirs(&self, me: &PeerKey) -> impl Iterator<Item = PeerKey> {
        let not = [*me, self.collector];
        let stewards = self.record.appointment.body.stewards.iter().copied();
        stewards.filter(move |s| !not.contains(s))
    }

    /// Whether nobody could.
    pub(super) fn is_alone(&self, me: &PeerKey) -> bool {
        self.heirs(me).next().is_none()
    }

    /// How long a collector that has the opening may be silent.
    pub(super) fn patience(&self, me: &PeerKey) -> Duration {
        if self.is_alone(me) {
            config::LINGER
        } else {
            config::OPENING_WAIT
        }
    }

    /// All that this worker knows of its audit, once it has opened.
    fn handover(&self) -> Option<Handover> {
        let (nonces, steward_nonce) = self.nonces.clone()?;
        let call = AuditCall {
            lease: self.lease.clone(),
            commitment: self.commitment.clone()?,
            lock_set: self.lock_set.clone()?,
            nonces,
            steward_nonce,
            context: Vec::new(),
        };
        Some(Handover {
            call,
            seal_list: self.list.clone()?,
            opening: self.opening.clone()?,
        })
    }
}

impl Worker {
    pub(crate) fn on_lock_set(&mut self, ctx: &mut Context, from: PeerKey, set: Signed<LockSet>) {
        let id = set.body.lease;
        let Some(work) = self.work_from(from, id) else {
            return;
        };
        if work.lock_set.is_none() {
            work.lock_set = Some(set);
            self.open(ctx, id);
        }
    }

    pub(crate) fn on_seed(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        id: LeaseId,
        nonces: Vec<Option<Revealed>>,
        steward_nonce: Hash,
    ) {
        let Some(work) = self.work_from(from, id) else {
            return;
        };
        if work.nonces.is_none() && nonces.len() <= config::WITNESSES {
            work.nonces = Some((nonces, steward_nonce));
            self.open(ctx, id);
        }
    }

    pub(crate) fn on_seal_list(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        list: Signed<SealList>,
    ) {
        let id = list.body.lease;
        let Some(work) = self.work_from(from, id) else {
            return;
        };
        match &work.opening {
            Some(opening) if work.list.as_ref() == Some(&list) => {
                let opening = Message::Opening(Box::new(opening.clone()));
                ctx.send(from, &opening);
            }
            Some(_) => {}
            None => {
                work.list = Some(list);
                self.open(ctx, id);
            }
        }
    }

    /// Opens once lock set, seed and seal list are here and fit together. Whatever does not fit is dropped: the
    /// collector may still send the right one, and a wrong draw must not be opened.
    fn open(&mut self, ctx: &mut Context, id: LeaseId) {
        let Some(work) = self.works.get_mut(&id).filter(|w| w.opening.is_none()) else {
            return;
        };
        let (Some(commitment), Some(set), Some((nonces, steward_nonce)), Some(list)) =
            (&work.commitment, &work.lock_set, &work.nonces, &work.list)
        else {
            return;
        };
        let lease = &work.lease.body;
        let root = commitment.body.root;
        let seed = draw::seed(&id, &root, &evidence::nonces(nonces), steward_nonce);
        let verifier = ctx.verifier();
        let checked = rules::check_lock_set(&work.record, lease, id, &set.body)
            .and_then(|witnesses| {
                rules::check_locks(&witnesses, &set.body, root, &ctx.swarm, verifier)?;
                rules::check_reveals(&witnesses, &set.body, nonces, &ctx.swarm, verifier)
            })
            .and_then(|()| rules::check_nonces(lease, &set.body, nonces, steward_nonce))
            .and_then(|()| rules::check_seal_list(&work.record, lease, id, &list.body, &seed));
        let signed = ctx.verify(set, &lease.steward) && ctx.verify(list, &lease.steward);
        let manifest = &work.record.manifest.body;
        let n = commitment.body.tiles;
        let strength = rules::strength(&work.record, lease, &seed);
        let tiles = list
            .body
            .tiles(&seed, &strength, n, manifest, &work.record.roster);
        let (Ok(_), true, Some(tiles)) = (checked, signed, tiles) else {
            (work.lock_set, work.nonces, work.list) = (None, None, None);
            return;
        };
        let secret = ctx.prf(merkle::SECRET_CONTEXT, id.as_bytes());
        let opened = |t: &u32| OpenedTile {
            tile: *t,
            salt: merkle::salt(&secret, *t),
            hash: work.tiles[*t as usize],
        };
        let opening = ctx.sign(Opening {
            lease: id,
            root,
            seal_list: list.body.digest(&ctx.swarm),
            tiles: tiles.iter().map(opened).collect(),
            proof: merkle::prove(&merkle::leaves(&secret, &work.tiles), &tiles),
        });
        ctx.send(work.collector, &Message::Opening(Box::new(opening.clone())));
        work.opening = Some(opening);
        work.stage = Stage::Opening { tries: 1 };
        ctx.timers.set(Timer::Work(id), ctx.retry_at(0));
    }

    pub(crate) fn on_opening_ack(&mut self, ctx: &mut Context, from: PeerKey, id: LeaseId) {
        let work = self.work_from(from, id);
        let Some(work) = work.filter(|w| matches!(w.stage, Stage::Opening { .. })) else {
            return;
        };
        work.collector = from;
        work.stage = Stage::Opened;
        ctx.timers
            .set(Timer::Work(id), ctx.now.after(work.patience(&ctx.me)));
    }

    /// The collector has said nothing more since it acknowledged the opening: whether it is still there, the same opening
    /// tells. What it has to compute itself may take long.
    pub(super) fn look_after(&mut self, ctx: &mut Context, id: LeaseId) {
        let Some(work) = self.works.get_mut(&id) else {
            return;
        };
        let over = work.record.manifest.body.deadline_s <= ctx.unix_s();
        let Some(opening) = work.opening.clone().filter(|_| !over) else {
            self.lose(ctx, id, Reason::DeadlinePassed);
            return;
        };
        work.stage = Stage::Opening { tries: 1 };
        ctx.send(work.collector, &Message::Opening(Box::new(opening)));
        ctx.timers.set(Timer::Work(id), ctx.retry_at(0));
    }

    /// The collector has said nothing more since the opening: another steward may go on in its place, if there is one.
    pub(super) fn pass_on(&mut self, ctx: &mut Context, id: LeaseId) {
        let Some(work) = self.works.get_mut(&id) else {
            return;
        };
        let heirs: Vec<_> = work.heirs(&ctx.me).collect();
        let next = heirs.get(work.passed_on % heirs.len().max(1)).copied();
        let handover = work.handover();
        let (Some(heir), Some(handover)) = (
            next.filter(|_| work.passed_on < config::HANDOVER_TRIES),
            handover,
        ) else {
            self.lose(ctx, id, Reason::NotDelivered);
            return;
        };
        work.passed_on += 1;
        let tries = config::RETRY.len() + 1;
        work.stage = Stage::Opening { tries };
        ctx.send(heir, &Message::TakeOver(Box::new(handover)));
        ctx.timers
            .set(Timer::Work(id), ctx.now.after(config::OPENING_WAIT));
    }

    pub(crate) fn on_audited(&mut self, ctx: &mut Context, from: PeerKey, id: LeaseId) {
        let Some(work) = self.work_from(from, id) else {
            return;
        };
        if matches!(
            work.stage,
            Stage::Opening { .. } | Stage::Opened | Stage::Delivering { .. }
        ) {
            work.collector = from;
            work.stage = Stage::Delivering { tries: 1 };
            self.deliver(ctx, id);
        }
    }

    pub(super) fn deliver(&mut self, ctx: &mut Context, id: LeaseId) {
        let Some(work) = self.works.get(&id) else {
            return;
        };
        let Some(blob) = work.blob else { return };
        let secret = ctx.prf(merkle::SECRET_CONTEXT, id.as_bytes());
        ctx.send(
            work.collector,
            &Message::Output {
                lease: id,
                blob,
                secret,
                bytes: work.bytes.clone(),
            },
        );
        ctx.timers
            .set(Timer::Work(id), ctx.now.after(config::STORE_WAIT));
    }

    pub(crate) fn on_stored(&mut self, ctx: &mut Context, from: PeerKey, stored: &Signed<Stored>) {
        let id = stored.body.lease;
        let Some(work) = self.work_from(from, id) else {
            return;
        };
        let root = work.commitment.as_ref().map(|c| c.body.root);
        if root == Some(stored.body.root) && ctx.verify(stored, &from) {
            // The receipt follows at once; if it does not, the collector has died after storing.
            ctx.timers
                .set(Timer::Work(id), ctx.now.after(config::STORE_WAIT));
        }
    }

    pub(crate) fn on_receipt(&mut self, ctx: &mut Context, from: PeerKey, receipt: Box<Receipt>) {
        let id = receipt.id(&ctx.swarm);
        let swarm = ctx.swarm;
        let Some(work) = self.work_from(from, id) else {
            return;
        };
        let Ok(verified) = receipt.verify(&work.record, &swarm, ctx.verifier()) else {
            return;
        };
        let (job, slice) = (work.lease.body.job, work.lease.body.slice);
        self.remove(ctx, id);
        ctx.persist(Record::Receipted {
            job,
            receipt: receipt.clone(),
        });
        ctx.notify(Event::Earned {
            job,
            slice,
            units: verified.units,
            receipt,
        });
        self.ask_soon(ctx);
    }
}
