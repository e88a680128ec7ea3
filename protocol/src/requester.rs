//! The requester: draws a job up and hands it to its stewards, itself among them; looks for a job of its own that it
//! knows nothing of any more.
//!
//! | state of a job | input | next |
//! |---|---|---|
//! | - | Submit, with eligible peers | running at its stewards, this peer among them |
//! | - | Collect | sought: its board is looked up, whoever provides it is asked for the record |
//! | sought | the record, signed by this identity | running here again; its slices come from the other stewards |
//! | sought | nobody has it, for a while | given up |
//!
//! What becomes of a running job is decided in `steward`.

use crate::adverts::Adverts;
use crate::board;
use crate::book::Book;
use crate::config;
use crate::context::Context;
use crate::hash::{Hash, JobId, PeerKey};
use crate::io::{Event, Output, Record, Submission};
use crate::manifest::{Appointment, ContextRule, Intensity, JobRecord, Manifest, Roster};
use crate::message::Message;
use crate::reason::Reason;
use crate::steward::{Steward, offers};
use crate::time::Time;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Own jobs that are looked for, and how often each was.
#[derive(Default)]
pub(crate) struct Requester {
    sought: BTreeMap<JobId, u32>,
}

impl Requester {
    pub(crate) fn submit(
        &self,
        ctx: &mut Context,
        adverts: &Adverts,
        book: &mut Book,
        steward: &mut Steward,
        submission: Submission,
    ) {
        let refuse = |ctx: &mut Context, reason| ctx.notify(Event::SubmitRefused { reason });
        if steward.own_jobs() >= config::OWN_JOBS_MAX {
            return refuse(ctx, Reason::Busy);
        }
        let dearest = submission.max_price.unwrap_or(u64::MAX);
        let mut able: Vec<(u64, PeerKey, u64)> = adverts
            .here()
            .filter(|(a, _)| a.free_slots > 0)
            .filter_map(|(a, _)| Some((a.offer(&submission.kernel)?, a.peer)))
            .filter(|(offer, _)| offer.price <= dearest)
            .map(|(offer, peer)| {
                let claim = offer.units_per_s;
                let speed = adverts.rate(&peer, &submission.kernel).unwrap_or(claim);
                (speed.min(claim), peer, offer.price)
            })
            .collect();
        // Fastest first: they get the offer, and their median speed sizes the slices.
        able.sort_unstable_by(|a, b| b.cmp(a));
        let kernel = submission.kernel;
        let struck = |peer: &PeerKey| adverts.is_struck(peer, &kernel);
        offers::leave_out(ctx, &struck, &mut able);
        able.truncate(usize::from(ctx.genesis.limits.roster));
        if able.is_empty() {
            return refuse(ctx, Reason::NoEligiblePeer);
        }
        let median = able[able.len() / 2].0;
        let bid = able.iter().map(|(.., price)| *price).max().unwrap_or(0);
        let peers: Vec<_> = able.into_iter().map(|(_, peer, _)| peer).collect();
        let most = submission.stewards.map_or(config::STEWARDS, usize::from);
        let stewards = choose_stewards(ctx, adverts, &peers, most);
        let record = draw_up(ctx, submission, peers.clone(), stewards, median, bid);
        let manifest = &record.manifest.body;
        let (slices, tiles, roster) = (manifest.slices(), manifest.tiles, peers.len());
        let Some(job) = book.learn(ctx, record.clone()) else {
            return refuse(ctx, Reason::BadJob);
        };
        ctx.persist(Record::Submitted {
            record: Box::new(record.clone()),
        });
        ctx.notify(Event::Submitted {
            job,
            slices,
            tiles,
            roster,
        });
        let class = record.manifest.body.class.clone();
        let peers = offers::order(ctx, &class, &struck, peers.into_iter());
        steward.begin(ctx, book, record, peers);
    }

    /// A job of this identity is to come back.
    pub(crate) fn collect(&mut self, ctx: &mut Context, book: &Book, job: JobId) {
        if let Some(record) = book.get(&job) {
            let own = record.manifest.body.requester == ctx.me;
            ctx.notify(if own && !book.is_ended(&job) {
                Event::Found { job }
            } else {
                Event::NotFound { job }
            });
        } else if self.sought.len() < config::SEEKING_MAX || self.sought.contains_key(&job) {
            self.sought.insert(job, 0);
            ctx.timers.set(Timer::Seek(job), ctx.now);
        } else {
            ctx.notify(Event::NotFound { job });
        }
    }

    /// The `Seek` timer.
    pub(crate) fn seek(&mut self, ctx: &mut Context, job: JobId) {
        let Some(tries) = self.sought.get_mut(&job) else {
            return;
        };
        *tries += 1;
        if *tries > config::SEEK_TRIES {
            self.sought.remove(&job);
            ctx.notify(Event::NotFound { job });
            return;
        }
        let board = board::job(&ctx.swarm, &job);
        ctx.out.push(Output::FindProviders { board });
        ctx.timers
            .set(Timer::Seek(job), ctx.now.after(config::SEEK));
    }

    /// Asks the providers of a sought job's board for its record. False if it is not the board of one.
    pub(crate) fn on_providers(&self, ctx: &mut Context, board: &Hash, peers: &[PeerKey]) -> bool {
        let mut sought = self.sought.keys();
        let Some(job) = sought.find(|job| board::job(&ctx.swarm, job) == *board) else {
            return false;
        };
        let me = ctx.me;
        let others = peers.iter().filter(|p| **p != me);
        for peer in others.take(config::STEWARDS_MAX) {
            ctx.send(*peer, &Message::RecordRequest { job: *job });
        }
        true
    }

    /// Whether this peer looks for `job`.
    pub(crate) fn seeks(&self, job: &JobId) -> bool {
        self.sought.contains_key(job)
    }

    /// The record of a job that was sought has come.
    pub(crate) fn found(
        &mut self,
        ctx: &mut Context,
        book: &mut Book,
        steward: &mut Steward,
        job: JobId,
        record: &Arc<JobRecord>,
    ) {
        ctx.timers.clear(Timer::Seek(job));
        self.sought.remove(&job);
        ctx.persist(Record::Submitted {
            record: Box::new((**record).clone()),
        });
        ctx.notify(Event::Found { job });
        steward.take_back(ctx, book, job, record.clone());
    }
}

/// Who hands the job out beside this peer: by chance among the half of them that has been here longest, and only so
/// many that enough are left to judge a worker.
fn choose_stewards(
    ctx: &mut Context,
    adverts: &Adverts,
    peers: &[PeerKey],
    most: usize,
) -> Vec<PeerKey> {
    let spare = peers.len().saturating_sub(config::JUDGES_MIN);
    let wanted = most.min(config::STEWARDS_MAX - 1).min(spare);
    let mut oldest: Vec<(Time, PeerKey)> = peers
        .iter()
        .filter_map(|p| Some((adverts.since(p)?, *p)))
        .collect();
    oldest.sort_unstable();
    oldest.truncate((oldest.len() / 2).max(wanted));
    let mut chosen = alloc::vec![ctx.me];
    while chosen.len() <= wanted && !oldest.is_empty() {
        let pick = ctx.below(oldest.len() as u32) as usize;
        chosen.push(oldest.swap_remove(pick).1);
    }
    chosen
}

/// Manifest, roster and appointment, signed.
fn draw_up(
    ctx: &mut Context,
    submission: Submission,
    peers: Vec<PeerKey>,
    stewards: Vec<PeerKey>,
    rate: u64,
    bid: u64,
) -> JobRecord {
    let shape = submission.shape;
    let roster = Roster::new(peers);
    // As many as can judge a worker that is no steward; this peer is not in the roster.
    let judges = (roster.peers().len() + 1).saturating_sub(stewards.len());
    let per_slice =
        u64::from(ctx.genesis.slice_ms).saturating_mul(rate) / 1000 / shape.units_per_tile.max(1);
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
            Intensity::newcomer(judges.saturating_sub(1))
        } else {
            Intensity::least(judges.saturating_sub(1))
        },
        roster: roster.digest(),
        deadline_s,
        recipient: None,
        salt,
    });
    let job = manifest.body.id(&ctx.swarm);
    let appointment = ctx.sign(Appointment {
        job,
        stewards,
        until_s: deadline_s,
        number: 0,
    });
    JobRecord {
        manifest,
        appointment,
        roster,
    }
}
