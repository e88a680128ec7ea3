//! The auditor: recomputes the tiles that the seed draws for it, seals what it found before the worker opens
//! anything, then compares and attests.
//!
//! | state | input | next |
//! |---|---|---|
//! | none | AuditCall with a seed that draws this peer | preparing or computing |
//! | computing | own tiles computed | sealed: Seal sent |
//! | sealed | SealList that holds the own digest | listed |
//! | any | SealList without it | forgotten |
//! | listed | Opening that answers the list | equal: attested; different: judging on the CPU reference |
//! | judging | reference differs from the worker too | attested as dissent, with a fraud proof |
//! | judging | reference agrees with the worker | forgotten: the own device is broken |
//! | preparing, computing | its owner wants the device | declined |
//!
//! After its verdict an audit is forgotten, and so is every state after a while: somebody else's silence costs an
//! auditor nothing. The verdict itself is kept at hand: the collector may die, and another steward go on in its place.

use crate::config;
use crate::context::{Context, Waiting};
use crate::draw;
use crate::evidence::{Attestation, OpenedTile, Opening, SealList, seal_digest};
use crate::faults;
use crate::fraud::FraudClaim;
use crate::hash::{Hash, LeaseId, PeerKey};
use crate::io::{Computed, Purpose};
use crate::manifest::JobRecord;
use crate::message::{AuditCall, Message};
use crate::reason::Reason;
use crate::reputation::Deed;
use crate::rules;
use crate::signed::{Fact, Signed};
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

struct Audit {
    call: AuditCall,
    record: Arc<JobRecord>,
    seed: Hash,
    /// Counted within the slice, ascending.
    tiles: Vec<u32>,
    nonce: Hash,
    results: Option<Vec<Hash>>,
    list: Option<Signed<SealList>>,
    opening: Option<Signed<Opening>>,
    task: Option<crate::io::TaskId>,
    /// Another steward, which goes on in the collector's place.
    heir: Option<PeerKey>,
}

/// A verdict that was sent.
struct Given {
    record: Arc<JobRecord>,
    attestation: Box<Signed<Attestation>>,
    proof: Option<Box<Signed<FraudClaim>>>,
}

impl Audit {
    /// The first tile whose opened hash is not the own one.
    fn first_difference(&self) -> Option<u32> {
        let opened = self.opening.as_ref()?.body.hashes(&self.tiles)?;
        let mut pairs = self.results.as_ref()?.iter().zip(&opened);
        let place = pairs.position(|(mine, theirs)| mine != theirs)?;
        self.tiles.get(place).copied()
    }
}

#[derive(Default)]
pub(crate) struct Auditor {
    audits: BTreeMap<LeaseId, Audit>,
    /// The latest ones, the oldest first.
    given: VecDeque<Given>,
}

impl Auditor {
    /// Checks a call and remembers it, if this peer lends its device. True if the job should now be prepared and
    /// [`Auditor::compute`] called.
    pub(crate) fn on_call(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        record: &Arc<JobRecord>,
        call: AuditCall,
        lends: bool,
    ) -> bool {
        let lease = &call.lease.body;
        let id = lease.id(&ctx.swarm);
        if let Some(audit) = self.audits.get(&id) {
            if from == audit.call.lease.body.steward && audit.results.is_some() {
                Self::send_seal(ctx, id, audit);
            }
            return false;
        }
        if from != lease.steward || !record.is_steward(&from) {
            return false;
        }
        if !lends {
            Self::decline(ctx, from, id);
            return false;
        }
        let of_collector = self
            .audits
            .values()
            .filter(|a| a.call.lease.body.steward == from)
            .count();
        if self.audits.len() >= config::AUDITS_MAX || of_collector >= config::AUDITS_PER_COLLECTOR {
            return false;
        }
        let Some(seed) = Self::check(ctx, record, &call) else {
            return false;
        };
        let n = call.commitment.body.tiles;
        let strength = rules::strength(record, lease, &seed);
        let tiles = draw::tiles(&seed, &ctx.me, u32::from(strength.s), n);
        let nonce = ctx.nonce();
        let audit = Audit {
            record: record.clone(),
            seed,
            tiles,
            nonce,
            results: None,
            list: None,
            opening: None,
            task: None,
            heir: None,
            call,
        };
        self.audits.insert(id, audit);
        ctx.timers
            .set(Timer::Audit(id), ctx.now.after(config::LINGER));
        true
    }

    /// The seed, if it draws this peer and everything before it holds.
    fn check(ctx: &Context, record: &JobRecord, call: &AuditCall) -> Option<Hash> {
        let lease = &call.lease.body;
        let drawn = |seed: &Hash| rules::auditor_ranks(record, lease, seed).contains(&ctx.me);
        rules::check_call(record, call, &drawn, &ctx.swarm, ctx.verifier())
    }

    /// The job is prepared: recompute.
    pub(crate) fn compute(&mut self, ctx: &mut Context, id: LeaseId) {
        let Some(audit) = self
            .audits
            .get_mut(&id)
            .filter(|a| a.task.is_none() && a.results.is_none())
        else {
            return;
        };
        let lease = &audit.call.lease.body;
        let first = audit.record.manifest.body.tiles_of(lease.slice).start;
        let tiles = audit.tiles.iter().map(|t| first + t).collect();
        audit.task = Some(ctx.compute(Waiting::Auditor(id), lease.job, tiles, Purpose::Audit));
    }

    /// The audits that wait for a job to be prepared.
    pub(crate) fn of_job(&self, job: &crate::JobId) -> Vec<LeaseId> {
        self.audits
            .iter()
            .filter(|(_, a)| a.call.lease.body.job == *job)
            .map(|(id, _)| *id)
            .collect()
    }

    pub(crate) fn on_computed(
        &mut self,
        ctx: &mut Context,
        id: LeaseId,
        result: Result<Computed, Reason>,
    ) {
        let Some(audit) = self.audits.get_mut(&id) else {
            return;
        };
        audit.task = None;
        let Ok(computed) = result else {
            self.forget(ctx, id);
            return;
        };
        if audit.results.is_none() {
            if computed.tiles.len() == audit.tiles.len() {
                audit.results = Some(computed.tiles);
                Self::send_seal(ctx, id, audit);
                self.compare(ctx, id);
            }
        } else {
            self.on_judged(ctx, id, computed.tiles.first().copied());
        }
    }

    fn send_seal(ctx: &mut Context, id: LeaseId, audit: &Audit) {
        let Some(results) = &audit.results else {
            return;
        };
        let digest = seal_digest(&ctx.me, &audit.nonce, &audit.seed, results);
        ctx.send(
            audit.call.lease.body.steward,
            &Message::Seal { lease: id, digest },
        );
    }

    pub(crate) fn on_seal_list(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        list: &Signed<SealList>,
    ) {
        let id = list.body.lease;
        let Some(audit) = self.audits.get_mut(&id).filter(|a| a.list.is_none()) else {
            return;
        };
        let lease = &audit.call.lease.body;
        let valid = audit.record.is_steward(&from)
            && rules::check_seal_list(&audit.record, lease, id, &list.body, &audit.seed).is_ok()
            && ctx.verify(list, &lease.steward);
        if !valid {
            return;
        }
        let mine = audit
            .results
            .as_ref()
            .map(|r| seal_digest(&ctx.me, &audit.nonce, &audit.seed, r));
        let index = audit.record.roster.index(&ctx.me);
        if list
            .body
            .seals
            .iter()
            .any(|s| Some(s.auditor) == index && Some(s.digest) == mine)
        {
            audit.list = Some(list.clone());
            self.compare(ctx, id);
        } else {
            // The list is closed without this peer: too late, or its seal got lost.
            self.forget(ctx, id);
        }
    }

    /// From the collector, from the worker itself when the collector does not answer it, or from the steward that goes on
    /// in the collector's place.
    pub(crate) fn on_opening(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        opening: &Signed<Opening>,
    ) {
        let id = opening.body.lease;
        let Some(audit) = self.audits.get_mut(&id) else {
            self.repeat(ctx, from, opening);
            return;
        };
        let lease = &audit.call.lease.body;
        let of_steward = audit.record.is_steward(&from);
        if !of_steward && from != lease.worker {
            return;
        }
        if of_steward && from != lease.steward {
            audit.heir = Some(from);
        }
        if audit.opening.is_none() && ctx.verify(opening, &lease.worker) {
            audit.opening = Some(opening.clone());
            self.compare(ctx, id);
        }
    }

    /// Says again what this peer found in `opening`, to a steward that has not heard it.
    fn repeat(&self, ctx: &mut Context, from: PeerKey, opening: &Signed<Opening>) {
        let id = opening.body.lease;
        let of_lease = |g: &&Given| g.attestation.body.lease == id && g.record.is_steward(&from);
        let given = self.given.iter().find(of_lease);
        let digest = || opening.body.digest(&ctx.swarm);
        if let Some(given) = given.filter(|g| g.attestation.body.opening == digest()) {
            let verdict = Message::Attest {
                attestation: given.attestation.clone(),
                proof: given.proof.clone(),
            };
            ctx.send(from, &verdict);
        }
    }

    /// The collector has not got the opening: maybe the worker sent it here.
    pub(crate) fn on_opening_request(&mut self, ctx: &mut Context, from: PeerKey, id: LeaseId) {
        let Some(audit) = self.audits.get(&id) else {
            return;
        };
        if let Some(opening) = audit
            .opening
            .as_ref()
            .filter(|_| from == audit.call.lease.body.steward)
        {
            ctx.send(from, &Message::Opening(Box::new(opening.clone())));
        }
    }

    fn compare(&mut self, ctx: &mut Context, id: LeaseId) {
        let Some(audit) = self.audits.get_mut(&id).filter(|a| a.task.is_none()) else {
            return;
        };
        let (Some(results), Some(list), Some(opening)) =
            (&audit.results, &audit.list, &audit.opening)
        else {
            return;
        };
        let (lease, manifest) = (&audit.call.lease.body, &audit.record.manifest.body);
        let commitment = &audit.call.commitment.body;
        let due = list.body.tiles(
            &audit.seed,
            &rules::strength(&audit.record, lease, &audit.seed),
            commitment.tiles,
            manifest,
            &audit.record.roster,
        );
        if !due.is_some_and(|due| {
            opening
                .body
                .answers(commitment, &list.digest(&ctx.swarm), &due)
        }) {
            // Not an answer to this list: the worker may still send the right one.
            audit.opening = None;
            return;
        }
        let opened = opening.body.hashes(&audit.tiles).unwrap_or_default();
        if opened == *results {
            self.attest(ctx, id, None);
        } else {
            let Some(tile) = audit.first_difference() else {
                return;
            };
            let tile = manifest.tiles_of(lease.slice).start + tile;
            audit.task = Some(ctx.compute(
                Waiting::Auditor(id),
                lease.job,
                alloc::vec![tile],
                Purpose::Judge,
            ));
        }
    }

    /// The CPU reference has recomputed the first tile that differed.
    fn on_judged(&mut self, ctx: &mut Context, id: LeaseId, reference: Option<Hash>) {
        let Some(audit) = self.audits.get(&id) else {
            return;
        };
        let (Some(opening), Some(tile)) = (&audit.opening, audit.first_difference()) else {
            return;
        };
        match opening.body.tile(tile) {
            Some(entry) if reference.is_some_and(|r| r != entry.hash) => {
                let entry = entry.clone();
                self.attest(ctx, id, Some(entry));
            }
            Some(_) | None => self.forget(ctx, id),
        }
    }

    /// Agrees, or dissents over `wrong`.
    fn attest(&mut self, ctx: &mut Context, id: LeaseId, wrong: Option<OpenedTile>) {
        let Some(audit) = self.audits.get(&id) else {
            return;
        };
        let Some(opening) = &audit.opening else {
            return;
        };
        let deed = match &wrong {
            None => Deed::Audited,
            Some(_) => Deed::Caught(Reason::Refuted),
        };
        ctx.saw(audit.call.lease.body.worker, &audit.record, deed);
        let attestation = ctx.sign(Attestation {
            lease: id,
            seed: audit.seed,
            opening: opening.body.digest(&ctx.swarm),
            agree: wrong.is_none(),
            tiles: audit.tiles.len() as u16,
            nonce: audit.nonce,
        });
        let proof = wrong.and_then(|entry| {
            let AuditCall {
                lease, commitment, ..
            } = &audit.call;
            let claim = FraudClaim::of(ctx.me, lease, commitment, &opening.body, entry.tile)?;
            Some(Box::new(ctx.sign(claim)))
        });
        if let Some(proof) = &proof {
            faults::tell(ctx, &audit.record, proof);
        }
        let given = Given {
            record: audit.record.clone(),
            attestation: Box::new(attestation),
            proof,
        };
        let verdict = Message::Attest {
            attestation: given.attestation.clone(),
            proof: given.proof.clone(),
        };
        let collector = audit.call.lease.body.steward;
        let to = audit.heir.into_iter().chain([collector]);
        to.for_each(|steward| ctx.send(steward, &verdict));
        if self.given.len() >= config::CONCLUDED_MAX {
            self.given.pop_front();
        }
        self.given.push_back(given);
        self.forget(ctx, id);
    }

    pub(crate) fn forget(&mut self, ctx: &mut Context, id: LeaseId) {
        if let Some(audit) = self.audits.remove(&id) {
            ctx.abort(audit.task);
            ctx.timers.clear(Timer::Audit(id));
        }
    }

    /// Its owner wants the device. Whoever waits for its seals need not.
    pub(crate) fn stop_lending(&mut self, ctx: &mut Context) {
        let unsealed = self.audits.iter().filter(|(_, a)| a.results.is_none());
        for id in unsealed.map(|(id, _)| *id).collect::<Vec<_>>() {
            if let Some(audit) = self.audits.get(&id) {
                Self::decline(ctx, audit.call.lease.body.steward, id);
            }
            self.forget(ctx, id);
        }
    }

    /// Says that this peer will not recompute anything of a lease.
    fn decline(ctx: &mut Context, collector: PeerKey, lease: LeaseId) {
        let reason = Reason::NotLending;
        ctx.send(collector, &Message::LeaseEnded { lease, reason });
    }

    /// The collector ends a lease without a verdict.
    pub(crate) fn on_lease_ended(&mut self, ctx: &mut Context, from: PeerKey, id: LeaseId) {
        if self
            .audits
            .get(&id)
            .is_some_and(|a| a.call.lease.body.steward == from)
        {
            self.forget(ctx, id);
        }
    }
}
