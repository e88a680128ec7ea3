//! The requester: submits jobs, grants their leases as their only steward, and sees every slice to its end.
//!
//! | state of a job | input | next |
//! |---|---|---|
//! | - | Submit, with eligible peers | running: record signed, board provided, peers offered it |
//! | running | nobody computes for a while | offered again; the third time a slice is computed here |
//! | running | last slice done | done |
//! | running | this peer dies and comes back | running: done slices stay, leases are void, nobody is blamed |
//! | running | cancelled, deadline passed, own device failed | failed |

mod offers;
mod resume;

use crate::adverts::Adverts;
use crate::book::Book;
use crate::collector::{Collector, Outcome};
use crate::config;
use crate::context::{Context, Waiting};
use crate::draw;
use crate::evidence::Lease;
use crate::hash::{JobId, LeaseId, PeerKey};
use crate::io::{Computed, Event, Output, Purpose, Record, Submission};
use crate::manifest::{Appointment, ContextRule, Intensity, JobRecord, Manifest, Roster};
use crate::message::Message;
use crate::reason::Reason;
use crate::signed::Fact;
use crate::steward::{Grant, Table};
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

struct Job {
    table: Table,
    /// Peers that may wait for word of the job's end.
    involved: Vec<PeerKey>,
    /// Peers that get it offered when those do not take it.
    others: Vec<PeerKey>,
    starved: u32,
    own_failures: u32,
    leases: BTreeMap<LeaseId, (u32, PeerKey)>,
    /// Leases of a former life whose workers may wait for a receipt.
    void: Vec<(LeaseId, PeerKey)>,
}

impl Job {
    /// `peers` are offered it in this order.
    fn new(table: Table, peers: Vec<PeerKey>) -> Self {
        let (involved, others) = offers::first(table.progress().0, peers);
        Self {
            table,
            involved,
            others,
            starved: 0,
            own_failures: 0,
            leases: BTreeMap::new(),
            void: Vec::new(),
        }
    }
}

#[derive(Default)]
pub(crate) struct Requester {
    jobs: BTreeMap<JobId, Job>,
}

impl Requester {
    pub(crate) fn submit(
        &mut self,
        ctx: &mut Context,
        adverts: &Adverts,
        book: &mut Book,
        submission: Submission,
    ) {
        if self.jobs.len() >= config::OWN_JOBS_MAX {
            ctx.notify(Event::SubmitRefused {
                reason: Reason::Busy,
            });
            return;
        }
        let most = submission.max_price.unwrap_or(u64::MAX);
        let mut able: Vec<(u64, PeerKey, u64)> = adverts
            .here()
            .filter(|(a, _)| a.free_slots > 0)
            .filter_map(|(a, _)| Some((a.offer(&submission.kernel)?, a.peer)))
            .filter(|(offer, _)| offer.price <= most)
            .map(|(offer, peer)| (offer.units_per_s, peer, offer.price))
            .collect();
        // Fastest first: they get the offer, and their median speed sizes the slices.
        able.sort_unstable_by(|a, b| b.cmp(a));
        offers::leave_out(ctx, &mut able);
        able.truncate(usize::from(ctx.genesis.limits.roster));
        if able.is_empty() {
            ctx.notify(Event::SubmitRefused {
                reason: Reason::NoEligiblePeer,
            });
            return;
        }
        let median = able[able.len() / 2].0;
        let bid = able.iter().map(|(.., price)| *price).max().unwrap_or(0);
        let record = self.draw_up(
            ctx,
            submission,
            able.iter().map(|(_, peer, _)| *peer).collect(),
            median,
            bid,
        );
        let (slices, tiles) = (record.manifest.body.slices(), record.manifest.body.tiles);
        let (roster, class) = (
            record.roster.peers().len(),
            record.manifest.body.class.clone(),
        );
        let Some(job) = book.learn(ctx, record.clone()) else {
            ctx.notify(Event::SubmitRefused {
                reason: Reason::BadJob,
            });
            return;
        };
        let record = Arc::new(record);
        let table = Table::new(record.clone(), job, &ctx.me);
        let peers = offers::order(ctx, &class, able.iter().map(|(_, peer, _)| *peer));
        self.jobs.insert(job, Job::new(table, peers));
        ctx.persist(Record::Submitted {
            record: Box::new((*record).clone()),
        });
        ctx.notify(Event::Submitted {
            job,
            slices,
            tiles,
            roster,
        });
        self.announce(ctx, book, job, &class);
        self.offer(ctx, &job);
        ctx.timers
            .set(Timer::Job(job), ctx.now.after(config::STARVED_WAIT));
    }

    fn announce(&self, ctx: &mut Context, book: &mut Book, job: JobId, class: &str) {
        ctx.out.push(Output::Provide {
            board: ctx.board(class),
        });
        book.prepare(ctx, &job, &[]);
    }

    fn draw_up(
        &self,
        ctx: &mut Context,
        submission: Submission,
        peers: Vec<PeerKey>,
        rate: u64,
        bid: u64,
    ) -> JobRecord {
        let shape = submission.shape;
        let roster = Roster::new(peers);
        let per_slice = u64::from(ctx.genesis.slice_ms).saturating_mul(rate)
            / 1000
            / shape.units_per_tile.max(1);
        let (wanted, least) = match submission.slice_tiles {
            Some(tiles) => (u64::from(tiles), 1),
            None => (per_slice, config::SLICE_TILES_MIN.min(shape.tiles)),
        };
        let slice_tiles = wanted.clamp(u64::from(least), u64::from(config::SLICE_TILES_MAX)) as u32;
        let salt = ctx.nonce();
        let deadline_s = ctx.unix_s().saturating_add(submission.deadline_in_s);
        let manifest = ctx.sign(Manifest {
            version: config::RULES_VERSION,
            requester: ctx.me,
            kernel: submission.kernel,
            class: submission.class,
            params: submission.params,
            inputs: submission.inputs,
            tier: shape.tier,
            context: ContextRule::None,
            tiles: shape.tiles,
            tile_bytes: shape.tile_bytes,
            units_per_tile: shape.units_per_tile,
            slice_tiles: slice_tiles.min(shape.tiles),
            bid,
            floor: if submission.full_audits {
                Intensity::newcomer(roster.peers().len() - 1)
            } else {
                Intensity::least(roster.peers().len() - 1)
            },
            roster: roster.digest(),
            deadline_s,
            recipient: None,
            salt,
        });
        let job = manifest.body.id(&ctx.swarm);
        let appointment = ctx.sign(Appointment {
            job,
            stewards: alloc::vec![ctx.me],
            until_s: deadline_s,
            number: 0,
        });
        JobRecord {
            manifest,
            appointment,
            roster,
        }
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
        let Some(entry) = self.jobs.get_mut(&job) else {
            refuse(ctx, Reason::JobDone, 0);
            return;
        };
        if !adverts.is_here(&from) {
            // Its advert may still be on its way.
            refuse(ctx, Reason::Busy, config::LEASE_RETRY.as_millis() as u32);
            return;
        }
        entry.involve(from);
        entry.void.retain(|(_, worker)| *worker != from);
        let class = &entry.table.record.manifest.body.class;
        let newcomer = ctx.reputation.is_newcomer(&from, class, ctx.unix_s());
        match entry.table.ask(&from, newcomer, ctx.now) {
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
                let e = record.roster.eligible(&from);
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
            }
        }
    }

    /// What the collector has found out.
    pub(crate) fn on_outcome(
        &mut self,
        ctx: &mut Context,
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
                ctx.notify(Event::Committed { job, slice, worker });
            }
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
            Outcome::Done { blob, receipt } => {
                entry.leases.remove(&id);
                entry.table.ended(slice, &worker, id, true);
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
                    receipt: Some(receipt),
                });
                self.finish_if_done(ctx, book, collector, job);
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
        entry.table.ended(slice, &worker, id, false);
        ctx.notify(Event::SliceReopened {
            job,
            slice,
            worker,
            reason,
        });
        // Whoever found nothing open before need not find out by asking; the fastest that were offered it first.
        let waiting = entry.table.waiting_for(slice, &entry.involved);
        if !entry.involved.iter().any(|p| entry.table.accepts(p)) {
            // Nobody is left to wait for but those who were not asked yet.
            if entry.others.is_empty() {
                entry.starved = config::STARVED_MAX;
            }
            ctx.timers.set_by(Timer::Job(job), ctx.now);
        }
        let message = Message::Record(Box::new((*entry.table.record).clone()));
        waiting.iter().for_each(|p| ctx.send(*p, &message));
    }

    /// The `Job` timer: is anybody computing?
    pub(crate) fn on_timer(
        &mut self,
        ctx: &mut Context,
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
        if !entry.table.is_starved() {
            return;
        }
        entry.starved = entry.starved.saturating_add(1);
        entry.involve_others();
        if entry.starved >= config::STARVED_MAX {
            self.compute_own(ctx, job);
        } else {
            self.offer(ctx, &job);
        }
    }

    /// Nobody else does it.
    fn compute_own(&mut self, ctx: &mut Context, job: JobId) {
        let Some(entry) = self.jobs.get_mut(&job) else {
            return;
        };
        let Some(slice) = entry.table.next_open() else {
            return;
        };
        let tiles = entry.table.record.manifest.body.tiles_of(slice).collect();
        let task = ctx.compute(Waiting::Requester(job, slice), job, tiles, Purpose::Own);
        entry.table.own(slice, task);
    }

    pub(crate) fn on_computed(
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
        match result {
            Ok(Computed {
                blob: Some(blob), ..
            }) => {
                let worker = ctx.me;
                entry.table.finish(slice);
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
                    receipt: None,
                });
                if entry.table.is_starved() {
                    self.compute_own(ctx, job);
                }
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

    pub(crate) fn cancel(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        collector: &mut Collector,
        job: JobId,
    ) {
        self.end(ctx, book, collector, job, Reason::Cancelled);
    }

    fn end(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        collector: &mut Collector,
        job: JobId,
        reason: Reason,
    ) {
        let Some(entry) = self.jobs.remove(&job) else {
            return;
        };
        ctx.timers.clear(Timer::Job(job));
        collector.cancel(ctx, &job, reason);
        entry
            .table
            .own_tasks()
            .into_iter()
            .for_each(|task| ctx.abort(Some(task)));
        for peer in &entry.involved {
            ctx.send(*peer, &Message::JobEnded { job, reason });
        }
        let class = &entry.table.record.manifest.body.class;
        if !self
            .jobs
            .values()
            .any(|j| j.table.record.manifest.body.class == *class)
        {
            ctx.out.push(Output::StopProviding {
                board: ctx.board(class),
            });
        }
        book.end(ctx, &job);
        book.release(ctx, &job);
        ctx.persist(Record::Ended { job, reason });
        ctx.notify(if reason == Reason::JobDone {
            Event::JobDone { job }
        } else {
            Event::JobFailed { job, reason }
        });
    }
}
