//! The jobs that this peer hands out: its own, and those of others that it was appointed to. It grants their leases,
//! and sees every slice to its end.
//!
//! | state of a job | input | next |
//! |---|---|---|
//! | - | submitted here | running: board provided, peers offered it, the other stewards told |
//! | - | a record that appoints this peer | preparing: record logged, inputs fetched |
//! | preparing | inputs are here | running: boards provided, the other stewards told |
//! | running, own | nobody computes for a while | offered again; the third time a slice is computed here |
//! | running, another's | nobody computes for a while, and its requester is gone | offered |
//! | running, own | last slice done | done |
//! | running, another's | every slice is here or with its requester | complete: kept until its requester has it, or the deadline |
//! | running | this peer dies and comes back | running: done slices stay, leases are void, nobody is blamed |
//! | any | its requester ends it, deadline passed, own device failed | over |
//!
//! Workers ask the requester while it is here, so two stewards seldom lease at one time; what they tell each other
//! (`settling`) is soft and only saves work. What proves itself is the receipt.

mod arriving;
mod ending;
mod heir;
pub(crate) mod offers;
mod resume;
mod settling;

use crate::adverts::Adverts;
use crate::bits::Bits;
use crate::board;
use crate::book::Book;
use crate::collector::{Collector, Outcome};
use crate::config;
use crate::context::{Context, Waiting};
use crate::draw;
use crate::evidence::Lease;
use crate::hash::{BlobId, JobId, LeaseId, PeerKey};
use crate::io::{Computed, Event, Output, Purpose, Record};
use crate::manifest::JobRecord;
use crate::message::Message;
use crate::reason::Reason;
use crate::receipt::Receipt;
use crate::signed::Fact;
use crate::table::{Grant, Table};
use crate::time::Time;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use arriving::Arrival;
use core::time::Duration;

struct Job {
    table: Table,
    /// This peer is its requester.
    own: bool,
    /// Record and inputs are here: it may be leased.
    ready: bool,
    /// Every slice is here or with the requester, and the workers were told.
    complete: bool,
    /// Peers that may wait for word of the job's end.
    involved: Vec<PeerKey>,
    /// Peers that get it offered when those do not take it.
    others: Vec<PeerKey>,
    starved: u32,
    own_failures: u32,
    leases: BTreeMap<LeaseId, (u32, PeerKey)>,
    /// Leases of a former life whose workers may wait for a receipt.
    void: Vec<(LeaseId, PeerKey)>,
    /// Slices that are on their way from other stewards.
    arriving: BTreeMap<u32, Arrival>,
    /// Slices that another steward was asked for, and when.
    requested: BTreeMap<u32, (PeerKey, Time)>,
    /// Slices handed over since this instant, within a second.
    recalls: (Time, u32),
}

impl Job {
    /// `peers` are offered it in this order.
    fn new(record: Arc<JobRecord>, job: JobId, me: &PeerKey, peers: Vec<PeerKey>) -> Self {
        let own = record.manifest.body.requester == *me;
        let table = Table::new(record, job, me);
        let (involved, others) = offers::first(table.progress().0, peers);
        Self {
            table,
            own,
            ready: own,
            complete: false,
            involved,
            others,
            starved: 0,
            own_failures: 0,
            leases: BTreeMap::new(),
            void: Vec::new(),
            arriving: BTreeMap::new(),
            requested: BTreeMap::new(),
            recalls: (Time::default(), 0),
        }
    }

    fn record(&self) -> &Arc<JobRecord> {
        &self.table.record
    }

    /// The slices that other stewards see to.
    fn elsewhere(&self, adverts: &Adverts, ctx: &Context) -> Bits {
        // While the requester is here nobody else leases: what was leased before ends soon.
        let believed = if self.own {
            config::BUSY_WAIT_LED
        } else {
            config::BUSY_WAIT
        };
        let here = |peer: &PeerKey| adverts.is_here(peer);
        self.table.others(&here, believed, ctx.now)
    }

    /// The other stewards.
    fn colleagues(&self, me: PeerKey) -> impl Iterator<Item = PeerKey> + '_ {
        let stewards = self.record().appointment.body.stewards.iter().copied();
        stewards.filter(move |s| *s != me)
    }
}

#[derive(Default)]
pub(crate) struct Steward {
    jobs: BTreeMap<JobId, Job>,
}

impl Steward {
    /// How many own jobs are running.
    pub(crate) fn own_jobs(&self) -> usize {
        self.jobs.values().filter(|j| j.own).count()
    }

    /// Whether it is a running job of this peer's own.
    pub(crate) fn owns(&self, job: &JobId) -> bool {
        self.jobs.get(job).is_some_and(|entry| entry.own)
    }

    /// A job that this peer has drawn up. `peers` are offered it in this order.
    pub(crate) fn begin(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        record: JobRecord,
        peers: Vec<PeerKey>,
    ) {
        let job = record.id(&ctx.swarm);
        let mut peers = peers;
        peers.truncate(offers::MAX);
        let entry = Job::new(Arc::new(record), job, &ctx.me, peers);
        self.jobs.insert(job, entry);
        self.announce(ctx, book, job);
        self.offer(ctx, &job);
        self.introduce(ctx, &job);
        ctx.timers
            .set(Timer::Job(job), ctx.now.after(config::STARVED_WAIT));
    }

    /// Provides the job's boards, and gets its inputs ready.
    fn announce(&self, ctx: &mut Context, book: &mut Book, job: JobId) {
        let Some(entry) = self.jobs.get(&job) else {
            return;
        };
        let mut boards = alloc::vec![ctx.board(&entry.record().manifest.body.class)];
        if entry.record().appointment.body.stewards.len() > 1 {
            boards.push(board::job(&ctx.swarm, &job));
        }
        for board in boards {
            ctx.out.push(Output::Provide { board });
        }
        let me = ctx.me;
        let sources: Vec<_> = entry.colleagues(me).collect();
        book.prepare(ctx, &job, &sources);
        self.tell_soon(ctx, job);
    }

    pub(crate) fn on_lease_request(
        &mut self,
        ctx: &mut Context,
        adverts: &Adverts,
        collector: &mut Collector,
        from: PeerKey,
        job: JobId,
    ) {
        let refuse = |ctx: &mut Context, reason, retry_ms| {
            ctx.send(
                from,
                &Message::LeaseRefusal {
                    job,
                    reason,
                    retry_ms,
                },
            );
        };
        let Some(entry) = self.jobs.get_mut(&job).filter(|e| !e.complete) else {
            refuse(ctx, Reason::JobDone, 0);
            return;
        };
        if entry.record().roster.index(&from).is_none() {
            refuse(ctx, Reason::NotInRoster, 0);
            return;
        }
        if !adverts.is_here(&from) || !entry.ready || ctx.reputation.avoids(&from) {
            // Its advert, or the job's inputs, may still be on their way; or it stands accused, and that is looked into.
            refuse(ctx, Reason::Busy, config::LEASE_RETRY.as_millis() as u32);
            return;
        }
        let here = |peer: &PeerKey| adverts.is_here(peer);
        if entry.table.is_led(&here, ctx.now) {
            let retry = config::LEASE_RETRY * (1 << config::LEASE_RETRY_DOUBLINGS);
            refuse(ctx, Reason::NothingOpen, retry.as_millis() as u32);
            return;
        }
        let elsewhere = entry.elsewhere(adverts, ctx);
        entry.involve(from);
        entry.void.retain(|(_, worker)| *worker != from);
        let class = &entry.record().manifest.body.class;
        let newcomer = ctx.reputation.is_newcomer(&from, class, ctx.unix_s());
        match entry.table.ask(&from, newcomer, &elsewhere, ctx.now) {
            Grant::Refused(reason, retry_ms) => refuse(ctx, reason, retry_ms),
            Grant::Again(id) => {
                if let Some(lease) = collector.uncommitted(&id) {
                    ctx.send(from, &Message::LeaseGrant(Box::new(lease.clone())));
                }
            }
            Grant::Slice(slice) => {
                let record = entry.table.record.clone();
                let manifest = &record.manifest.body;
                let units =
                    u64::from(manifest.tiles_in(slice)).saturating_mul(manifest.units_per_tile);
                let rate = adverts.rate(&from, &manifest.kernel).unwrap_or(1);
                // Four times what it claims to need, and its queue before that.
                let claimed = Duration::from_millis(units.saturating_mul(4_000) / rate);
                let ttl = claimed
                    .saturating_add(config::LEASE_TTL_MIN)
                    .min(config::LEASE_TTL_MAX);
                let nonce = ctx.nonce();
                let e = record.committee();
                let intensity = ctx.reputation.intensity(&from, manifest, e, ctx.unix_s());
                let lease = ctx.sign(Lease {
                    job,
                    slice,
                    worker: from,
                    steward: ctx.me,
                    ttl_ms: ttl.as_millis() as u32,
                    intensity,
                    nonce_digest: draw::nonce_digest(&nonce),
                    appointment: record.appointment.body.digest(&ctx.swarm),
                });
                let id = lease.body.id(&ctx.swarm);
                entry.table.leased(slice, from, id);
                entry.leases.insert(id, (slice, from));
                entry.starved = 0;
                ctx.send(from, &Message::LeaseGrant(Box::new(lease.clone())));
                ctx.notify(Event::Leased {
                    job,
                    slice,
                    worker: from,
                });
                collector.begin(ctx, &record, lease, nonce);
                self.tell_soon(ctx, job);
            }
        }
    }

    /// A slice of an own job is here.
    fn slice_done(
        &mut self,
        ctx: &mut Context,
        (job, slice): (JobId, u32),
        worker: PeerKey,
        blob: BlobId,
        receipt: Option<Box<Receipt>>,
    ) {
        let Some(entry) = self.jobs.get_mut(&job).filter(|e| e.table.lacks(slice)) else {
            return;
        };
        entry.table.finish(slice, worker);
        ctx.persist(Record::SliceDone {
            job,
            slice,
            worker,
            blob,
        });
        ctx.notify(Event::SliceDone {
            job,
            slice,
            worker,
            blob,
            receipt,
        });
        self.tell_soon(ctx, job);
    }

    /// What the collector has found out.
    pub(crate) fn on_outcome(
        &mut self,
        ctx: &mut Context,
        adverts: &Adverts,
        book: &mut Book,
        collector: &mut Collector,
        id: LeaseId,
        outcome: Outcome,
    ) {
        let found = self
            .jobs
            .iter_mut()
            .find_map(|(job, e)| e.leases.get(&id).copied().map(|l| (*job, e, l)));
        let Some((job, entry, (slice, worker))) = found else {
            return;
        };
        match outcome {
            Outcome::Committed => {
                entry.table.committed(slice, &worker, id);
                ctx.persist(Record::Bound {
                    job,
                    slice,
                    worker,
                    lease: id,
                });
                if entry.table.lacks(slice) {
                    ctx.notify(Event::Committed { job, slice, worker });
                }
            }
            // Another lease has brought it meanwhile.
            Outcome::Auditing(_) if !entry.table.lacks(slice) => {}
            Outcome::Auditing(auditors) => ctx.notify(Event::Auditing {
                job,
                slice,
                auditors,
            }),
            Outcome::FalseAccusation { accuser } => {
                ctx.notify(Event::FalseAccusation {
                    job,
                    slice,
                    accuser,
                    worker,
                });
            }
            Outcome::Done { blob, receipt, .. } if entry.own => {
                entry.leases.remove(&id);
                entry.table.ended(slice, &worker, id, ctx.now);
                // What stood against it while it was audited is looked into now.
                ctx.reputation.avoids(&worker);
                self.slice_done(ctx, (job, slice), worker, blob, Some(receipt));
                self.finish_if_done(ctx, book, collector, job);
            }
            Outcome::Done {
                blob,
                secret,
                receipt,
            } => {
                entry.leases.remove(&id);
                entry.table.ended(slice, &worker, id, ctx.now);
                ctx.reputation.avoids(&worker);
                self.keep(ctx, &receipt, blob, secret);
                self.hand_round(ctx, adverts, &receipt, blob, secret);
            }
            Outcome::NotStored => self.reopen(ctx, job, id, slice, worker, Reason::NotDelivered),
            Outcome::Ended { reason, blame, by } => {
                if blame {
                    entry.table.exclude(worker);
                    ctx.persist(Record::Excluded { job, worker });
                    ctx.notify(Event::CheatCaught {
                        job,
                        slice,
                        worker,
                        by,
                        reason,
                    });
                }
                self.reopen(ctx, job, id, slice, worker, reason);
                if blame && ctx.reputation.is_convicted(&worker, ctx.unix_s()) {
                    self.revoke(ctx, worker, job);
                }
            }
        }
    }

    fn reopen(
        &mut self,
        ctx: &mut Context,
        job: JobId,
        id: LeaseId,
        slice: u32,
        worker: PeerKey,
        reason: Reason,
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        entry.leases.remove(&id);
        entry.table.ended(slice, &worker, id, ctx.now);
        if !entry.table.lacks(slice) {
            // Another steward has handed it over meanwhile.
            return;
        }
        ctx.notify(Event::SliceReopened {
            job,
            slice,
            worker,
            reason,
        });
        // Whoever found nothing open before need not find out by asking; the fastest that were offered it first.
        let waiting = entry.table.waiting_for(slice, &entry.involved, ctx.now);
        if entry.own && !entry.involved.iter().any(|p| entry.table.accepts(p)) {
            // Nobody is left to wait for but those who were not asked yet.
            if entry.others.is_empty() {
                entry.starved = config::STARVED_MAX;
            }
            ctx.timers.set_by(Timer::Job(job), ctx.now);
        }
        let message = Message::Record(Box::new((*entry.table.record).clone()));
        waiting.iter().for_each(|p| ctx.send_again(*p, &message));
        self.tell_soon(ctx, job);
    }

    /// The `Job` timer: is anybody computing?
    pub(crate) fn on_timer(
        &mut self,
        ctx: &mut Context,
        adverts: &Adverts,
        book: &mut Book,
        collector: &mut Collector,
        job: JobId,
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        if entry.table.record.manifest.body.deadline_s <= ctx.unix_s() {
            self.end(ctx, book, collector, job, Reason::DeadlinePassed);
            return;
        }
        ctx.timers
            .set(Timer::Job(job), ctx.now.after(config::STARVED_WAIT));
        // What could not be fetched may be there now: without it nothing is judged here either.
        let sources: Vec<_> = entry.colleagues(ctx.me).collect();
        book.prepare(ctx, &job, &sources);
        if !entry.ready {
            return;
        }
        let here = |peer: &PeerKey| adverts.is_here(peer);
        let elsewhere = entry.elsewhere(adverts, ctx);
        if !entry.table.is_starved(&elsewhere) || entry.table.is_led(&here, ctx.now) {
            return;
        }
        entry.starved = entry.starved.saturating_add(1);
        entry.involve_others();
        if entry.own && entry.starved >= config::STARVED_MAX {
            self.compute_own(ctx, adverts, job);
        } else {
            self.offer(ctx, &job);
        }
    }

    /// Nobody else does it.
    fn compute_own(&mut self, ctx: &mut Context, adverts: &Adverts, job: JobId) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        let elsewhere = entry.elsewhere(adverts, ctx);
        let Some(slice) = entry.table.next_open(&elsewhere) else {
            return;
        };
        let tiles = entry.table.record.manifest.body.tiles_of(slice).collect();
        let task = ctx.compute(Waiting::Requester(job, slice), job, tiles, Purpose::Own);
        entry.table.own(slice, task);
    }

    pub(crate) fn on_computed(
        &mut self,
        ctx: &mut Context,
        adverts: &Adverts,
        book: &mut Book,
        collector: &mut Collector,
        (job, slice): (JobId, u32),
        result: Result<Computed, Reason>,
    ) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        match result {
            Ok(Computed {
                blob: Some(blob), ..
            }) => {
                self.slice_done(ctx, (job, slice), ctx.me, blob, None);
                self.go_on_alone(ctx, adverts, job);
                self.finish_if_done(ctx, book, collector, job);
            }
            Ok(Computed { blob: None, .. }) | Err(_) => {
                entry.table.reopen(slice);
                entry.own_failures += 1;
                if entry.own_failures >= config::STARVED_MAX {
                    self.end(ctx, book, collector, job, Reason::DeviceFailed);
                }
            }
        }
    }

    /// One own computation has followed another while nobody else does any.
    fn go_on_alone(&mut self, ctx: &mut Context, adverts: &Adverts, job: JobId) {
        let entry = self.jobs.get(&job);
        if entry.is_some_and(|e| e.table.is_starved(&e.elsewhere(adverts, ctx))) {
            self.compute_own(ctx, adverts, job);
        }
    }

    fn finish_if_done(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        collector: &mut Collector,
        job: JobId,
    ) {
        if self.jobs.get(&job).is_some_and(|e| e.table.is_done()) {
            self.end(ctx, book, collector, job, Reason::JobDone);
        }
    }
}
