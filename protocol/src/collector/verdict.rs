//! Second half of a case: opening, attestations, judgement, output, receipt.

use super::{Collector, Outcome, Step};
use crate::config;
use crate::context::{Context, Waiting};
use crate::draw;
use crate::evidence::{Attestation, Opening, Stored, seal_digest};
use crate::fraud::FraudProof;
use crate::hash::{BlobId, Hash, LeaseId, PeerKey};
use crate::io::{Computed, PersistSeq, Purpose, Record};
use crate::merkle;
use crate::message::Message;
use crate::reason::Reason;
use crate::receipt::{Agreement, Quorum, Receipt, Storer};
use crate::reputation::Deed;
use crate::round::{Owed, Round};
use crate::signed::{Fact, Signed};
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Collector {
    /// From the worker, or carried by an auditor: the signature tells whose it is.
    pub(crate) fn on_opening(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        opening: Signed<Opening>,
    ) {
        let id = opening.body.lease;
        let Some(case) = self.cases.get_mut(&id) else {
            // Its worker asks whether this peer is still there.
            self.say_again(ctx, &from, &id);
            return;
        };
        let worker = case.worker();
        if case.opening.as_ref() == Some(&opening) {
            ctx.send(worker, &Message::OpeningAck { lease: id });
            return;
        }
        let (Step::Opening { .. }, Some(commitment), Some(list)) =
            (&case.step, &case.commitment, &case.seal_list)
        else {
            return;
        };
        let manifest = &case.record.manifest.body;
        let due = list.body.tiles(
            &case.seed,
            &case.strength,
            case.tiles(),
            manifest,
            &case.record.roster,
        );
        let digest = list.digest(&ctx.swarm);
        let answers = due.is_some_and(|due| {
            let (opening, commitment) = (&opening.body, &commitment.body);
            opening.answers(commitment, &digest, &due)
        });
        // One that its worker means, and that leads nowhere, is as good as none: no other one is waited for.
        let meant = opening.body.root == commitment.body.root && opening.body.seal_list == digest;
        if !(answers || meant && from == worker) || !ctx.verify(&opening, &worker) {
            return;
        }
        if !answers {
            self.end(ctx, id, Reason::NoOpening, true, None);
            return;
        }
        ctx.send(worker, &Message::OpeningAck { lease: id });
        let listed = case.listed();
        let message = Message::Opening(Box::new(opening.clone()));
        listed.iter().for_each(|a| ctx.send(*a, &message));
        case.opening = Some(opening);
        case.round = Round::new(ctx.now, Owed::Verdict, listed, config::OPENING_WAIT);
        case.step = Step::Attesting;
        if case.round.is_over() {
            self.decide(ctx, id);
        } else {
            self.rearm(ctx, id);
        }
    }

    pub(super) fn retry_opening(&mut self, ctx: &mut Context, id: LeaseId, tries: u32) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        if tries > config::OPENING_TRIES {
            self.end(ctx, id, Reason::NoOpening, true, None);
            return;
        }
        if tries == config::OPENING_TRIES {
            let request = Message::OpeningRequest { lease: id };
            case.listed().iter().for_each(|a| ctx.send(*a, &request));
        }
        // Any of the three may be what the worker is missing, and it would take the blame.
        Self::show_draw(ctx, case, id);
        case.step = Step::Opening { tries: tries + 1 };
        ctx.timers
            .set(Timer::Case(id), ctx.now.after(config::OPENING_WAIT));
    }

    /// Whether it counts.
    pub(crate) fn on_attest(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        attestation: &Signed<Attestation>,
        proof: Option<Box<FraudProof>>,
    ) -> bool {
        let id = attestation.body.lease;
        let Some(case) = self
            .cases
            .get_mut(&id)
            .filter(|c| c.step == Step::Attesting)
        else {
            return false;
        };
        let Some(opening) = &case.opening else {
            return false;
        };
        let fits = attestation.body.seed == case.seed
            && attestation.body.opening == opening.body.digest(&ctx.swarm);
        if !case.round.waiting().any(|p| *p == from) || !fits || !ctx.verify(attestation, &from) {
            return false;
        }
        case.round.answered(&from);
        let mut counts = false;
        let drawn = draw::tiles(&case.seed, &from, u32::from(case.strength.s), case.tiles());
        if attestation.body.agree {
            // An agreement counts only if the auditor had sealed those very hashes before they were opened.
            let nonce = attestation.body.nonce;
            let sealed = opening
                .body
                .hashes(&drawn)
                .map(|h| seal_digest(&from, &nonce, &case.seed, &h));
            let index = case.record.roster.index(&from);
            if let Some(auditor) =
                index.filter(|_| sealed.is_some() && sealed.as_ref() == case.seals.get(&from))
            {
                let (tiles, signature) = (drawn.len() as u16, attestation.signature);
                if attestation.body.tiles == tiles {
                    counts = true;
                    case.agreements.insert(
                        from,
                        Agreement {
                            auditor,
                            tiles,
                            nonce,
                            signature,
                        },
                    );
                }
            }
        } else if self.discredited.contains(&(case.lease.body.job, from)) {
            // It has cost a recomputation for nothing already.
        } else if let Some(claim) = proof.filter(|p| p.is_well_founded(&ctx.swarm, ctx.verifier()))
        {
            let claim = claim.body;
            let about_this = claim.accuser == from
                && claim.lease == case.lease
                && Some(&claim.commitment) == case.commitment.as_ref()
                && opening.body.tile(claim.entry.tile) == Some(&claim.entry)
                && drawn.binary_search(&claim.entry.tile).is_ok();
            if about_this {
                counts = true;
                case.charges.push((from, claim.entry.tile));
            }
        }
        let deed = if counts {
            self.silences.heard(&from, Owed::Verdict);
            Deed::Answered
        } else {
            self.silences.void(from, Owed::Verdict, ctx.now);
            if attestation.body.agree {
                Deed::Void
            } else {
                Deed::Silent
            }
        };
        ctx.saw(from, &case.record, deed);
        if case.round.is_over() {
            self.decide(ctx, id);
        } else {
            self.rearm(ctx, id);
        }
        counts
    }

    /// Everybody listed has answered or was given up on: what this peer has computed already, then charges, then the
    /// quorum, then the own recomputation.
    pub(super) fn decide(&mut self, ctx: &mut Context, id: LeaseId) {
        if self.refuted_by_ringers(ctx, id) {
            return;
        }
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        let Some(opening) = &case.opening else { return };
        let lease = &case.lease.body;
        let first = case.record.manifest.body.tiles_of(lease.slice).start;
        let need = case.strength.quorum();
        // Another steward's list leaves a requester that goes on in its place nothing to rest a receipt on.
        let own_draw = case.record.manifest.body.requester == ctx.me
            && case
                .seal_list
                .as_ref()
                .is_some_and(|l| l.body.requester_draw);
        case.charges
            .retain(|(accuser, _)| !self.discredited.contains(&(lease.job, *accuser)));
        if let Some((accuser, tile)) = case.charges.pop() {
            case.step = Step::Judging {
                accuser: Some(accuser),
            };
            case.charges.push((accuser, tile));
            let tiles = alloc::vec![first + tile];
            case.task = Some(ctx.compute(Waiting::Collector(id), lease.job, tiles, Purpose::Judge));
        } else if need > 0 && case.agreements.len() >= need {
            if Self::awaits_ringers(ctx, id, case) {
                return;
            }
            let listed = case.listed();
            let agreed = listed
                .iter()
                .filter_map(|a| case.agreements.get(a).cloned());
            case.quorum = Some(Quorum::Auditors(agreed.take(need).collect()));
            self.ask_output(ctx, id, 1);
        } else if own_draw {
            case.step = Step::Judging { accuser: None };
            let tiles = opening.body.tiles.iter().map(|t| first + t.tile).collect();
            case.task = Some(ctx.compute(Waiting::Collector(id), lease.job, tiles, Purpose::Judge));
        } else {
            self.end(ctx, id, Reason::NoQuorum, false, None);
        }
    }

    /// The own CPU reference has spoken.
    pub(super) fn on_judged(
        &mut self,
        ctx: &mut Context,
        id: LeaseId,
        accuser: Option<PeerKey>,
        result: Result<Computed, Reason>,
    ) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        let Some(opening) = &case.opening else { return };
        let Ok(Computed {
            tiles: reference, ..
        }) = result
        else {
            // Without a reference there is no verdict, and so no blame.
            self.end(ctx, id, Reason::DeviceFailed, false, None);
            return;
        };
        if let Some(accuser) = accuser {
            let charged = case
                .charges
                .pop()
                .and_then(|(_, tile)| opening.body.tile(tile));
            if charged.is_some_and(|entry| Some(&entry.hash) != reference.first()) {
                self.end(ctx, id, Reason::Refuted, true, Some(accuser));
            } else {
                self.outcomes
                    .push((id, Outcome::FalseAccusation { accuser }));
                ctx.saw(accuser, &case.record, Deed::FalseAccusation);
                case.step = Step::Attesting;
                if self.discredited.len() >= config::DISCREDITED_MAX {
                    self.discredited.pop_front();
                }
                self.discredited.push_back((case.lease.body.job, accuser));
                self.decide(ctx, id);
            }
        } else if opening
            .body
            .tiles
            .iter()
            .map(|t| t.hash)
            .eq(reference.iter().copied())
        {
            let (tiles, opening) = (reference.len() as u16, opening.body.digest(&ctx.swarm));
            let (seed, nonce) = (case.seed, Hash::default());
            let attestation = ctx.sign(Attestation {
                lease: id,
                seed,
                opening,
                agree: true,
                tiles,
                nonce,
            });
            case.quorum = Some(Quorum::SelfChecked {
                tiles,
                signature: attestation.signature,
            });
            self.ask_output(ctx, id, 1);
        } else {
            self.end(ctx, id, Reason::Refuted, true, Some(ctx.me));
        }
    }

    fn ask_output(&mut self, ctx: &mut Context, id: LeaseId, tries: u32) {
        let Some(case) = self.cases.get_mut(&id) else {
            return;
        };
        case.step = Step::Delivering { tries };
        ctx.send(case.worker(), &Message::Audited { lease: id });
        ctx.timers
            .set(Timer::Case(id), ctx.retry_at(tries as usize - 1));
    }

    pub(super) fn retry_delivery(&mut self, ctx: &mut Context, id: LeaseId, tries: u32) {
        if let Some(case) = self.cases.get_mut(&id) {
            ctx.abort(case.task.take());
        }
        if tries < config::DELIVERY_TRIES {
            self.ask_output(ctx, id, tries + 1);
        } else {
            self.conclude(ctx, id, None);
        }
    }

    pub(crate) fn on_output(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        id: LeaseId,
        blob: BlobId,
        secret: Hash,
        bytes: Vec<u8>,
    ) {
        if self.say_again(ctx, &from, &id) {
            return;
        }
        let Some(case) = self.cases.get_mut(&id).filter(|c| c.worker() == from) else {
            return;
        };
        let Step::Delivering { tries } = case.step else {
            return;
        };
        let manifest = &case.record.manifest.body;
        let len = manifest.slice_len(case.lease.body.slice);
        // Bytes that are not what they are called are as good as none: the worker is asked again.
        let inline = !bytes.is_empty();
        let fits = bytes.len() <= config::INLINE_MAX && bytes.len() as u64 == len;
        if inline && !(fits && Hash::of(&bytes) == blob.0) {
            return;
        }
        case.step = Step::Fetching {
            tries,
            blob,
            secret,
        };
        let waiting = Waiting::Collector(id);
        case.task = Some(if inline {
            ctx.store(waiting, bytes, manifest.tile_bytes)
        } else {
            ctx.fetch(waiting, blob, len, manifest.tile_bytes, from)
        });
        ctx.timers
            .set(Timer::Case(id), ctx.now.after(config::STORE_WAIT));
    }

    /// The bytes are here, or not. They count only if they rebuild the committed root.
    pub(super) fn on_fetched(
        &mut self,
        ctx: &mut Context,
        id: LeaseId,
        tries: u32,
        blob: BlobId,
        secret: Hash,
        result: Result<Computed, Reason>,
    ) {
        let Ok(fetched) = result else {
            self.retry_delivery(ctx, id, tries);
            return;
        };
        let Some(case) = self.cases.get(&id) else {
            return;
        };
        let rebuilt = merkle::root(&id, &merkle::leaves(&secret, &fetched.tiles));
        if rebuilt.is_some() && rebuilt == case.commitment.as_ref().map(|c| c.body.root) {
            self.conclude(ctx, id, Some((blob, secret)));
        } else {
            self.end(ctx, id, Reason::WrongOutput, true, None);
        }
    }

    /// Makes the receipt, and says Stored if the bytes are here: then with the secret of their salts.
    fn conclude(&mut self, ctx: &mut Context, id: LeaseId, stored: Option<(BlobId, Hash)>) {
        let Some(case) = self.remove(ctx, id) else {
            return;
        };
        if stored.is_some() {
            ctx.saw(case.worker(), &case.record, Deed::Valid);
        }
        let nonces = case.nonce_list();
        let own = case.record.manifest.body.requester == ctx.me;
        let (Some(commitment), Some(lock_set), Some(seal_list), Some(opening), Some(quorum)) = (
            case.commitment,
            case.lock_set,
            case.seal_list,
            case.opening,
            case.quorum,
        ) else {
            return;
        };
        let kept = stored;
        let stored = kept.map(|_| {
            ctx.sign(Stored {
                lease: id,
                root: commitment.body.root,
            })
        });
        let receipt = Box::new(Receipt {
            opening: opening.body.digest(&ctx.swarm),
            commitment,
            lock_set,
            nonces,
            steward_nonce: case.steward_nonce,
            seal_list,
            quorum,
            stored: stored.as_ref().map(|s| Storer {
                peer: ctx.me,
                signature: s.signature,
            }),
            lease: case.lease,
        });
        let job = receipt.lease.body.job;
        let record = match kept {
            // Of somebody else's job the bytes are kept, too.
            Some((blob, secret)) if !own => Record::Kept {
                job,
                blob,
                secret,
                receipt: receipt.clone(),
            },
            Some(_) | None => Record::Receipted {
                job,
                receipt: receipt.clone(),
            },
        };
        let seq = ctx.persist(record);
        Self::send_receipt(ctx, &receipt, seq);
        if self.concluded.len() >= config::CONCLUDED_MAX {
            self.concluded.pop_front();
        }
        self.concluded.push_back((id, seq, receipt.clone()));
        let outcome = match kept {
            Some((blob, secret)) => Outcome::Done {
                blob,
                secret,
                receipt,
            },
            None => Outcome::NotStored,
        };
        self.outcomes.push((id, outcome));
    }

    /// The receipt of a lease that was concluded lately, to its worker. Whether it was.
    pub(super) fn say_again(&self, ctx: &mut Context, to: &PeerKey, id: &LeaseId) -> bool {
        let concluded = self.concluded.iter().find(|(lease, ..)| lease == id);
        if let Some((_, seq, receipt)) = concluded
            && receipt.lease.body.worker == *to
        {
            Self::send_receipt(ctx, receipt, *seq);
        }
        concluded.is_some()
    }

    /// Tells the worker that its output is kept, and hands it its proof.
    fn send_receipt(ctx: &mut Context, receipt: &Receipt, after: PersistSeq) {
        let worker = receipt.lease.body.worker;
        let (lease, root) = (receipt.commitment.body.lease, receipt.commitment.body.root);
        if let Some(storer) = &receipt.stored {
            let body = Stored { lease, root };
            let signature = storer.signature;
            let stored = Message::Stored(Box::new(Signed { body, signature }));
            ctx.send_after(after, worker, &stored);
        }
        ctx.send_after(after, worker, &Message::Receipt(Box::new(receipt.clone())));
    }
}
