//! The worker: finds jobs, asks for leases, computes, commits, opens what was drawn, hands the output over.
//!
//! | state of a lease | input | next |
//! |---|---|---|
//! | none | LeaseGrant that was asked for | computing |
//! | computing | all tiles computed | checking one tile on the CPU reference |
//! | checking | equal | committing: root logged, then sent, three tries |
//! | committing | CommitAck, or three tries without | committed; the next lease is asked for |
//! | committed | LockSet, Seed, SealList that fit together | opening: three tries, then by way of the auditors |
//! | opening | OpeningAck | opened |
//! | opened, delivering | nothing more from the collector | opening: whoever is there acknowledges it again |
//! | opening | no OpeningAck | opening; another steward is asked to go on |
//! | opening, opened | Audited | delivering: output and salt secret |
//! | delivering | Stored, Receipt | earned |
//! | any | LeaseEnded, time over, device failure | lost |
//! | none, computing, checking | its owner wants the device | given back |
//!
//! Invariants: one root per lease, over any crash (a lease in the log is never taken up again); output and salt
//! secret leave only after the auditors agreed; one opening per lease.

mod asking;
mod handover;

use crate::advert::KernelOffer;
use crate::config;
use crate::context::{Context, Waiting};
use crate::evidence::{Commitment, Lease, LockSet, Opening, Revealed, SealList};
use crate::hash::{BlobId, Hash, JobId, LeaseId, PeerKey};
use crate::io::{Capacity, Computed, Event, Purpose, Record, TaskId};
use crate::manifest::{Intensity, JobRecord};
use crate::merkle;
use crate::message::Message;
use crate::reason::Reason;
use crate::rules;
use crate::signed::Signed;
use crate::time::Time;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use asking::Room;
use core::time::Duration;

/// A job that this peer may work for.
struct Engagement {
    record: Arc<JobRecord>,
    prepared: bool,
    /// Who was asked for a lease and has not answered.
    asked: Option<PeerKey>,
    /// It would ask, but what was asked for other jobs holds the slots.
    waits: bool,
    /// Leases that the own device could not fulfil.
    failures: u32,
    /// Stewards that have said something of it.
    heard: BTreeSet<PeerKey>,
    /// Stewards that were asked in vain: how often in a row, and until when they are passed over.
    mute: BTreeMap<PeerKey, (u32, Time)>,
    /// Stewards that have nothing more for this peer.
    closed: BTreeSet<PeerKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Computing,
    Checking {
        tile: u32,
    },
    Committing {
        tries: usize,
    },
    Committed,
    Opening {
        tries: usize,
    },
    /// The collector has the opening.
    Opened,
    Delivering {
        tries: usize,
    },
}

struct Work {
    lease: Signed<Lease>,
    /// Who gathers its audit: the lease's steward, or whoever goes on in its place.
    collector: PeerKey,
    /// How often another steward was turned to.
    passed_on: usize,
    record: Arc<JobRecord>,
    stage: Stage,
    task: Option<TaskId>,
    tiles: Vec<Hash>,
    blob: Option<BlobId>,
    /// The output itself, if it is short; the shell keeps a longer one.
    bytes: Vec<u8>,
    commitment: Option<Signed<Commitment>>,
    lock_set: Option<Signed<LockSet>>,
    nonces: Option<(Vec<Option<Revealed>>, Hash)>,
    list: Option<Signed<SealList>>,
    opening: Option<Signed<Opening>>,
}

impl Work {
    fn hears(&self, peer: &PeerKey) -> bool {
        self.collector == *peer || (self.passed_on > 0 && self.record.is_steward(peer))
    }

    /// No commitment is signed yet.
    fn unfinished(&self) -> bool {
        matches!(self.stage, Stage::Computing | Stage::Checking { .. })
    }

    /// No commitment has reached the steward, as far as is known.
    fn before_commitment(&self) -> bool {
        self.unfinished() || matches!(self.stage, Stage::Committing { .. })
    }
}

#[derive(Default)]
pub(crate) struct Worker {
    jobs: BTreeMap<JobId, Engagement>,
    works: BTreeMap<LeaseId, Work>,
    /// Jobs that the own device has failed at, the latest of them.
    left: VecDeque<JobId>,
    /// Leases that the log binds to a root.
    bound: BTreeSet<LeaseId>,
}

impl Worker {
    pub(crate) fn restore(&mut self, record: &Record) {
        if let Record::Committed { lease, .. } = record {
            self.bound.insert(*lease);
        }
    }

    pub(crate) fn idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// A job's record came. True if this peer wants to work for it.
    pub(crate) fn consider(
        &mut self,
        ctx: &Context,
        from: &PeerKey,
        job: JobId,
        record: &Arc<JobRecord>,
        capacity: &Capacity,
    ) -> bool {
        let manifest = &record.manifest.body;
        // Its price may have risen since the requester heard it.
        let worth = |k: &KernelOffer| k.kernel == manifest.kernel && k.price <= manifest.bid;
        let requester = manifest.requester;
        let of_requester = |e: &&Engagement| e.record.manifest.body.requester == requester;
        let able = capacity.kernels.iter().any(worth);
        let wanted = able
            && record.roster.index(&ctx.me).is_some()
            && self.jobs.len() < config::WORKER_JOBS_MAX
            && self.jobs.values().filter(of_requester).count() < config::WORKER_JOBS_PER_REQUESTER
            && !self.jobs.contains_key(&job)
            && !self.left.contains(&job);
        if wanted {
            self.jobs.insert(
                job,
                Engagement {
                    record: record.clone(),
                    prepared: false,
                    asked: None,
                    waits: false,
                    failures: 0,
                    heard: BTreeSet::from([*from]),
                    mute: BTreeMap::new(),
                    closed: BTreeSet::new(),
                },
            );
        }
        wanted
    }

    /// A steward offers again a job that is known already: ask at once, unless an answer is awaited.
    pub(crate) fn reconsider(&mut self, ctx: &mut Context, from: &PeerKey, job: &JobId) {
        let Some(engagement) = self.jobs.get_mut(job) else {
            return;
        };
        engagement.hear(from);
        if engagement.asked.is_none() {
            ctx.timers.set(Timer::Ask(*job), ctx.now);
        }
    }

    pub(crate) fn on_prepared(&mut self, ctx: &mut Context, job: &JobId, ok: bool) {
        if let Some(engagement) = self.jobs.get_mut(job) {
            engagement.prepared = ok;
            if ok {
                ctx.timers.set(Timer::Ask(*job), ctx.now);
            } else {
                self.jobs.remove(job);
            }
        }
    }

    /// `lends` while its owner leaves it the device.
    pub(crate) fn on_grant(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        lease: Signed<Lease>,
        lends: bool,
    ) {
        let body = &lease.body;
        let id = body.id(&ctx.swarm);
        let Some(engagement) = self.jobs.get_mut(&body.job).filter(|e| e.asked.is_some()) else {
            return;
        };
        let record = engagement.record.clone();
        let least = Intensity::least(record.committee());
        let good = body.worker == ctx.me
            && body.steward == from
            && !self.works.contains_key(&id)
            && !self.bound.contains(&id)
            && body.intensity.meets(&least, record.eligible(&ctx.me))
            && body.intensity.tiles_at_most(record.committee()) <= config::AUDITED_TILES_MAX
            && rules::check_lease(&record, body, &ctx.swarm).is_ok()
            && ctx.verify(&lease, &from);
        if !good {
            return;
        }
        engagement.asked = None;
        engagement.hear(&from);
        ctx.timers.clear(Timer::Ask(body.job));
        if !lends {
            // It was asked for before.
            let reason = Reason::NotLending;
            ctx.send(from, &Message::LeaseEnded { lease: id, reason });
            return;
        }
        let (job, slice) = (body.job, body.slice);
        let tiles = record.manifest.body.tiles_of(slice).collect();
        let task = Some(ctx.compute(Waiting::Worker(id), job, tiles, Purpose::Work));
        ctx.timers.set(
            Timer::Work(id),
            ctx.now.after(Duration::from_millis(u64::from(body.ttl_ms))),
        );
        ctx.notify(Event::Working { job, slice });
        let work = Work {
            lease,
            collector: from,
            passed_on: 0,
            record,
            stage: Stage::Computing,
            task,
            tiles: Vec::new(),
            blob: None,
            bytes: Vec::new(),
            commitment: None,
            lock_set: None,
            nonces: None,
            list: None,
            opening: None,
        };
        self.works.insert(id, work);
        self.ask_soon(ctx);
    }

    pub(crate) fn on_computed(
        &mut self,
        ctx: &mut Context,
        id: LeaseId,
        result: Result<Computed, Reason>,
        capacity: &Capacity,
        knows: &dyn Fn(&PeerKey) -> bool,
    ) {
        let Some(work) = self.works.get_mut(&id) else {
            return;
        };
        work.task = None;
        let lease = &work.lease.body;
        let manifest = &work.record.manifest.body;
        match (work.stage, result) {
            (Stage::Computing, Ok(computed))
                if computed.tiles.len() == manifest.tiles_in(lease.slice) as usize =>
            {
                let tile = ctx.below(computed.tiles.len() as u32);
                work.tiles = computed.tiles;
                work.blob = computed.blob;
                work.bytes = computed.bytes;
                work.stage = Stage::Checking { tile };
                let tile = manifest.tiles_of(lease.slice).start + tile;
                let tiles = alloc::vec![tile];
                work.task =
                    Some(ctx.compute(Waiting::Worker(id), lease.job, tiles, Purpose::SelfCheck));
            }
            (Stage::Checking { tile }, Ok(computed))
                if computed.tiles.first() == work.tiles.get(tile as usize) =>
            {
                self.commit(ctx, id, capacity, knows);
            }
            (Stage::Checking { .. }, Ok(_)) => self.give_up(ctx, id, Reason::SelfCheckFailed),
            (_, Ok(_)) => self.give_up(ctx, id, Reason::DeviceFailed),
            (_, Err(reason)) => self.give_up(ctx, id, reason),
        }
    }

    /// Logs the root and sends it. The device is free: the next lease is asked for with it, which saves a slot the
    /// two round trips between its slices.
    fn commit(
        &mut self,
        ctx: &mut Context,
        id: LeaseId,
        capacity: &Capacity,
        knows: &dyn Fn(&PeerKey) -> bool,
    ) {
        let Some(work) = self.works.get_mut(&id) else {
            return;
        };
        let secret = ctx.prf(merkle::SECRET_CONTEXT, id.as_bytes());
        let Some(root) = merkle::root(&id, &merkle::leaves(&secret, &work.tiles)) else {
            return;
        };
        let Some(device) = capacity.devices.first().cloned() else {
            return;
        };
        let commitment = ctx.sign(Commitment {
            lease: id,
            root,
            tiles: work.tiles.len() as u32,
            device,
        });
        let seq = ctx.persist(Record::Committed { lease: id, root });
        self.bound.insert(id);
        work.commitment = Some(commitment.clone());
        work.stage = Stage::Committing { tries: 1 };
        let (job, steward) = (work.lease.body.job, work.collector);
        let next = self.steward_of(ctx, &job, knows) == Some(steward)
            && matches!(self.room(ctx, &job, Some(id), capacity, knows), Room::Yes);
        if next {
            self.asks(ctx, &job, knows);
        }
        let commitment = Box::new(commitment);
        ctx.send_after(seq, steward, &Message::Commit { commitment, next });
        ctx.timers.set(Timer::Work(id), ctx.retry_at(0));
    }

    /// The steward need not wait for the lease to lapse. Whose it was.
    fn hand_back(&mut self, ctx: &mut Context, id: LeaseId, reason: Reason) -> Option<JobId> {
        let work = self.works.get(&id)?;
        let job = work.lease.body.job;
        ctx.send(work.collector, &Message::LeaseEnded { lease: id, reason });
        self.lose(ctx, id, reason);
        Some(job)
    }

    /// The lease cannot be fulfilled. A device that fails again and again leaves the job to others.
    fn give_up(&mut self, ctx: &mut Context, id: LeaseId, reason: Reason) {
        let Some(job) = self.hand_back(ctx, id, reason) else {
            return;
        };
        if let Some(engagement) = self.jobs.get_mut(&job) {
            engagement.failures += 1;
            if engagement.failures >= config::FAILURES_MAX {
                self.end_job(ctx, &job);
                if self.left.len() >= config::BOOK_JOBS_MAX {
                    self.left.pop_front();
                }
                self.left.push_back(job);
            }
        }
    }

    fn lose(&mut self, ctx: &mut Context, id: LeaseId, reason: Reason) {
        if let Some(work) = self.remove(ctx, id) {
            ctx.notify(Event::Lost {
                job: work.lease.body.job,
                slice: work.lease.body.slice,
                reason,
            });
            self.ask_soon(ctx);
        }
    }

    fn remove(&mut self, ctx: &mut Context, id: LeaseId) -> Option<Work> {
        let work = self.works.remove(&id)?;
        ctx.timers.clear(Timer::Work(id));
        ctx.abort(work.task);
        // Two slices may have equal bytes, and so one blob.
        let shared = |blob: &BlobId| self.works.values().any(|w| w.blob.as_ref() == Some(blob));
        let kept = work.blob.filter(|_| work.bytes.is_empty());
        if let Some(blob) = kept.filter(|b| !shared(b)) {
            ctx.discard(blob);
        }
        Some(work)
    }

    /// The lease's work, if `from` may speak about it.
    fn work_from(&mut self, from: PeerKey, id: LeaseId) -> Option<&mut Work> {
        self.works.get_mut(&id).filter(|w| w.hears(&from))
    }

    pub(crate) fn on_commit_ack(&mut self, ctx: &mut Context, from: PeerKey, id: LeaseId) {
        let Some(work) = self.work_from(from, id) else {
            return;
        };
        if matches!(work.stage, Stage::Committing { .. }) {
            work.stage = Stage::Committed;
            // The collector ends what fails; this only bounds how long a dead collector is remembered.
            ctx.timers
                .set(Timer::Work(id), ctx.now.after(config::LINGER));
            self.ask_soon(ctx);
        }
    }

    pub(crate) fn on_lease_ended(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        id: LeaseId,
        reason: Reason,
    ) {
        let work = self.work_from(from, id);
        let Some(work) = work.filter(|w| w.collector == from) else {
            return;
        };
        if matches!(work.stage, Stage::Committing { .. }) {
            // What its commitment asked for will not come either.
            let job = work.lease.body.job;
            self.unask(ctx, &job, &from, false);
        }
        self.lose(ctx, id, reason);
    }

    pub(crate) fn on_timer(&mut self, ctx: &mut Context, id: LeaseId) {
        let Some(work) = self.works.get_mut(&id) else {
            return;
        };
        let (steward, me) = (work.collector, ctx.me);
        match work.stage {
            Stage::Committing { tries } if tries < config::RETRY.len() => {
                work.stage = Stage::Committing { tries: tries + 1 };
                let Some(commitment) = work.commitment.clone() else {
                    return;
                };
                let engagement = self.jobs.get(&work.lease.body.job);
                let commit = Message::Commit {
                    commitment: Box::new(commitment),
                    next: engagement.is_some_and(|e| e.asked == Some(steward)),
                };
                ctx.send_again(steward, &commit);
                ctx.timers.set(Timer::Work(id), ctx.retry_at(tries));
            }
            Stage::Opening { tries } if tries <= config::RETRY.len() => {
                work.stage = Stage::Opening { tries: tries + 1 };
                let Some(opening) = work.opening.clone() else {
                    return;
                };
                let mut to = alloc::vec![steward];
                if tries == config::RETRY.len() {
                    // The collector does not acknowledge: the auditors carry the opening to it.
                    let seals = work.list.iter().flat_map(|l| &l.body.seals);
                    to.extend(seals.filter_map(|s| work.record.roster.peer(s.auditor)));
                    ctx.timers
                        .set(Timer::Work(id), ctx.now.after(work.patience(&me)));
                } else {
                    ctx.timers.set(Timer::Work(id), ctx.retry_at(tries));
                }
                let message = Message::Opening(Box::new(opening));
                to.into_iter().for_each(|peer| ctx.send(peer, &message));
            }
            Stage::Delivering { tries } if tries < config::RETRY.len() && work.is_alone(&me) => {
                work.stage = Stage::Delivering { tries: tries + 1 };
                self.deliver(ctx, id);
            }
            Stage::Computing | Stage::Checking { .. } => {
                self.give_up(ctx, id, Reason::LeaseExpired)
            }
            Stage::Committing { .. } => {
                // Only the acknowledgements may have been lost: then it is audited, and would be blamed for its silence.
                work.stage = Stage::Committed;
                ctx.timers
                    .set(Timer::Work(id), ctx.now.after(config::LINGER));
                let job = work.lease.body.job;
                self.unask(ctx, &job, &steward, true);
                self.ask_soon(ctx);
            }
            Stage::Opened | Stage::Delivering { .. } => self.look_after(ctx, id),
            Stage::Opening { .. } => self.pass_on(ctx, id),
            Stage::Committed => self.lose(ctx, id, Reason::LeaseExpired),
        }
    }

    /// Nothing more is computed for the job. What is being audited goes on, and a commitment may be so already:
    /// without its worker, that would end in blame.
    pub(crate) fn end_job(&mut self, ctx: &mut Context, job: &JobId) {
        self.jobs.remove(job);
        ctx.timers.clear(Timer::Ask(*job));
        let of_job: Vec<_> = self
            .works
            .iter()
            .filter(|(_, w)| w.lease.body.job == *job && w.unfinished())
            .map(|(id, _)| *id)
            .collect();
        for id in of_job {
            self.lose(ctx, id, Reason::JobDone);
        }
    }

    /// This peer leaves: nobody needs to wait for what it has not finished.
    pub(crate) fn leave(&mut self, ctx: &mut Context) {
        self.jobs.clear();
        self.give_back(ctx, Reason::WorkerLeft, Work::before_commitment);
    }

    /// Its owner wants the device. Its jobs stay known: it asks again when it lends again.
    pub(crate) fn stop_lending(&mut self, ctx: &mut Context) {
        self.give_back(ctx, Reason::NotLending, Work::unfinished);
    }

    /// Hands leases back, so that others need not wait for them to lapse.
    fn give_back(&mut self, ctx: &mut Context, reason: Reason, which: fn(&Work) -> bool) {
        let works = self.works.iter().filter(|(_, w)| which(w));
        for id in works.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.hand_back(ctx, id, reason);
        }
    }

    /// Whether it still asks for leases of the job.
    pub(crate) fn considers(&self, job: &JobId) -> bool {
        self.jobs.contains_key(job)
    }

    pub(crate) fn serves(&self, job: &JobId) -> bool {
        self.jobs.contains_key(job) || self.works.values().any(|w| w.lease.body.job == *job)
    }
}
