//! Slices that other stewards hand over, on their way here.
//!
//! | state of a slice, here | input | next |
//! |---|---|---|
//! | not here | another steward says that it has it, and the requester does not | asked for |
//! | not here | `Settle` with a valid receipt | arriving: its bytes are fetched |
//! | arriving | bytes that rebuild the receipt's root | here: logged, told; at the requester first: checking |
//! | arriving | none, or others | not here; that steward is believed less |
//! | checking | two tiles, of a weak receipt 32, are the own CPU reference's | here |
//! | checking | one of them is not | not here; its worker is convicted, and everybody told |
//!
//! A receipt shows that those agreed whom its steward called. A steward in league with its worker calls its friends alone
//! and says that nobody else answered: that is what the requester's own look is for, and why it is longer then.
//!
//! Invariant: a slice counts as here only if its receipt and its bytes were checked here.

use super::Steward;
use crate::book::{Book, Prepared};
use crate::collector::Collector;
use crate::config;
use crate::context::{Context, Waiting};
use crate::draw;
use crate::evidence::OpenedTile;
use crate::faults;
use crate::fraud::FraudClaim;
use crate::hash::{BlobId, Hash, JobId, PeerKey};
use crate::io::{Computed, Event, Purpose, Record, TaskId};
use crate::merkle;
use crate::reason::Reason;
use crate::receipt::Receipt;
use crate::reputation::Deed;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A slice on its way here.
pub(super) struct Arrival {
    pub(super) task: TaskId,
    from: PeerKey,
    blob: BlobId,
    secret: Hash,
    receipt: Box<Receipt>,
    /// Its receipt says that fewer stood for it than might have.
    weak: bool,
    /// Digests of its tiles, once they are here, those that are computed again, and those that are after them.
    tiles: Vec<Hash>,
    drawn: Vec<u32>,
    rest: Vec<u32>,
}

impl Arrival {
    /// The first tile that is not what the own CPU reference says, if that has computed all that were drawn.
    fn difference(&self, reference: &[Hash]) -> Result<Option<u32>, Reason> {
        if reference.len() != self.drawn.len() {
            return Err(Reason::DeviceFailed);
        }
        let mut pairs = self.drawn.iter().zip(reference);
        let differs = |tile: &u32, hash: &Hash| self.tiles.get(*tile as usize) != Some(hash);
        Ok(pairs.find(|(t, h)| differs(t, h)).map(|(tile, _)| *tile))
    }

    /// What shows everybody that its worker has committed to a wrong `tile`.
    fn claim(&self, accuser: PeerKey, tile: u32) -> Option<FraudClaim> {
        let leaves = merkle::leaves(&self.secret, &self.tiles);
        Some(FraudClaim {
            accuser,
            lease: self.receipt.lease.clone(),
            commitment: self.receipt.commitment.clone(),
            entry: OpenedTile {
                tile,
                salt: merkle::salt(&self.secret, tile),
                hash: *self.tiles.get(tile as usize)?,
            },
            path: merkle::prove(&leaves, &[tile]),
        })
    }
}

impl Steward {
    /// Another steward hands a slice over.
    pub(crate) fn on_settle(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        receipt: Box<Receipt>,
        blob: BlobId,
        secret: Hash,
    ) {
        let (job, slice) = (receipt.lease.body.job, receipt.lease.body.slice);
        let Some(entry) = self.jobs.get_mut(&job).filter(|e| e.ready) else {
            return;
        };
        let record = entry.record().clone();
        if !record.is_steward(&from) || entry.table.is_broken(&from) {
            return;
        }
        // What was asked for has its place; what is pushed takes none that others need.
        let asked = entry
            .requested
            .get(&slice)
            .is_some_and(|(by, _)| *by == from);
        if asked {
            entry.requested.remove(&slice);
        }
        let full = entry.arriving.len() + entry.requested.len() >= config::SETTLING_MAX;
        if !entry.table.lacks(slice) || entry.arriving.contains_key(&slice) || (full && !asked) {
            return;
        }
        // A quorum may be wrong; what this peer has recomputed itself is not.
        let worker = receipt.lease.body.worker;
        if ctx.reputation.is_convicted(&worker, ctx.unix_s()) {
            entry.table.broke_its_word(&from);
            return;
        }
        let verified = receipt.verify(&record, &ctx.swarm, ctx.verifier());
        let Some(verified) = verified.ok().filter(|v| !v.flags.not_stored) else {
            entry.table.broke_its_word(&from);
            return;
        };
        let manifest = &record.manifest.body;
        let len = manifest.slice_len(slice);
        let task = ctx.fetch(
            Waiting::Steward(job, slice),
            blob,
            len,
            manifest.tile_bytes,
            from,
        );
        let arrival = Arrival {
            task,
            from,
            blob,
            secret,
            receipt,
            weak: verified.flags.weak,
            tiles: Vec::new(),
            drawn: Vec::new(),
            rest: Vec::new(),
        };
        entry.arriving.insert(slice, arrival);
    }

    /// The bytes of a slice that another steward handed over are here, or what is computed of them again; or neither.
    pub(crate) fn on_arrived(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        collector: &mut Collector,
        (job, slice): (JobId, u32),
        result: Result<Computed, Reason>,
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        let Some(mut arrival) = entry.arriving.remove(&slice) else {
            return;
        };
        let from = arrival.from;
        if arrival.drawn.is_empty() {
            let commitment = &arrival.receipt.commitment.body;
            let id = commitment.lease;
            let tiles = result.map(|fetched| fetched.tiles).unwrap_or_default();
            let rebuilt = merkle::root(&id, &merkle::leaves(&arrival.secret, &tiles));
            if rebuilt != Some(commitment.root) {
                entry.table.broke_its_word(&from);
            } else {
                arrival.tiles = tiles;
                if entry.own {
                    self.look_into(ctx, book, collector, (job, slice), arrival);
                } else {
                    self.accept(ctx, book, collector, arrival);
                }
            }
        } else {
            match result.and_then(|computed| arrival.difference(&computed.tiles)) {
                Ok(Some(tile)) => self.refute(ctx, (job, slice), &arrival, tile),
                Ok(None) if !arrival.rest.is_empty() => {
                    arrival.drawn = core::mem::take(&mut arrival.rest);
                    self.compute_drawn(ctx, (job, slice), arrival);
                }
                Ok(None) => self.accept(ctx, book, collector, arrival),
                Err(_) => self.take_on_trust(ctx, book, collector, arrival),
            }
        }
        self.ask_for_missing(ctx, from, job);
    }

    /// Computes some tiles of an own job's slice again, drawn now, so that nobody could know them.
    fn look_into(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        collector: &mut Collector,
        (job, slice): (JobId, u32),
        mut arrival: Arrival,
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        let sources: Vec<_> = entry.colleagues(ctx.me).collect();
        if book.prepare(ctx, &job, &sources) != Prepared::Yes {
            self.take_on_trust(ctx, book, collector, arrival);
            return;
        }
        let count = match arrival.weak {
            true => config::SELF_CHECK_TILES,
            false => config::RINGERS as u32,
        };
        let n = arrival.tiles.len() as u32;
        // Two first: whoever fakes much is found out by them, and costs no more.
        let mut drawn = draw::tiles(&ctx.nonce(), &ctx.me, count, n);
        while arrival.drawn.len() < config::RINGERS && !drawn.is_empty() {
            let pick = ctx.below(drawn.len() as u32) as usize;
            arrival.drawn.push(drawn.swap_remove(pick));
        }
        arrival.rest = drawn;
        self.compute_drawn(ctx, (job, slice), arrival);
    }

    fn compute_drawn(
        &mut self,
        ctx: &mut Context,
        (job, slice): (JobId, u32),
        mut arrival: Arrival,
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        let first = entry.record().manifest.body.tiles_of(slice).start;
        let tiles = arrival.drawn.iter().map(|tile| first + tile).collect();
        arrival.task = ctx.compute(Waiting::Steward(job, slice), job, tiles, Purpose::Judge);
        entry.arriving.insert(slice, arrival);
    }

    /// This peer cannot look for itself: a quorum's word is enough, unless it is weak.
    fn take_on_trust(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        collector: &mut Collector,
        arrival: Arrival,
    ) {
        if !arrival.weak {
            self.accept(ctx, book, collector, arrival);
        } else if let Some(entry) = self.jobs.get_mut(&arrival.receipt.lease.body.job) {
            entry.table.broke_its_word(&arrival.from);
        }
    }

    fn accept(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        collector: &mut Collector,
        arrival: Arrival,
    ) {
        let Arrival {
            blob,
            secret,
            receipt,
            ..
        } = arrival;
        let lease = &receipt.lease.body;
        let (job, slice, worker) = (lease.job, lease.slice, lease.worker);
        let entry = self.jobs.get_mut(&job).filter(|e| e.table.lacks(slice));
        let Some(entry) = entry.filter(|_| !ctx.reputation.is_convicted(&worker, ctx.unix_s()))
        else {
            // Done here, or its worker found out, meanwhile.
            return;
        };
        let id = receipt.commitment.body.lease;
        if entry.leases.remove(&id).is_some() {
            // One of the two took the other for dead: what the other has ended this one need not.
            entry.table.ended(slice, &worker, id, ctx.now);
            collector.is_settled(ctx, id);
        }
        if entry.own {
            ctx.persist(Record::Receipted {
                job,
                receipt: receipt.clone(),
            });
            self.slice_done(ctx, (job, slice), worker, blob, Some(receipt));
            self.finish_if_done(ctx, book, collector, job);
        } else {
            ctx.persist(Record::Kept {
                job,
                blob,
                secret,
                receipt: receipt.clone(),
            });
            self.keep(ctx, &receipt, blob, secret);
        }
    }

    /// A quorum vouched for a tile that is wrong. The steward may have been deceived, too: it hears the proof.
    fn refute(
        &mut self,
        ctx: &mut Context,
        (job, slice): (JobId, u32),
        arrival: &Arrival,
        tile: u32,
    ) {
        if arrival.weak
            && let Some(entry) = self.jobs.get_mut(&job)
        {
            // It might have asked others.
            entry.table.broke_its_word(&arrival.from);
        }
        let Some(entry) = self.jobs.get(&job) else {
            return;
        };
        let worker = arrival.receipt.lease.body.worker;
        let (by, reason) = (Some(ctx.me), Reason::Refuted);
        ctx.saw(worker, entry.record(), Deed::Caught(reason));
        if let Some(claim) = arrival.claim(ctx.me, tile) {
            let proof = ctx.sign(claim);
            faults::tell(ctx, entry.record(), &proof);
        }
        ctx.notify(Event::CheatCaught {
            job,
            slice,
            worker,
            by,
            reason,
        });
        self.revoke(ctx, worker, job);
    }
}
