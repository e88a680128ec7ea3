//! Capacity proofs: readiness, not work. Whoever hands out jobs measures those whose adverts it chooses by.
//!
//! | prober | input | next |
//! |---|---|---|
//! | - | its pace, and a claim that is due | asked |
//! | asked | the other's nonce | started: shows its own, and the clock runs |
//! | started | the same nonce again | knows the round trip |
//! | started | the tiles | checking two of them on the own CPU reference |
//! | checking | equal, or not | measured, or measured as nothing |
//! | asked, started | busy; nothing in time | asked again later |
//!
//! | probed | input | next |
//! |---|---|---|
//! | - | a probe that asks no more than was claimed, while nothing is computed | warming: one tile of another job |
//! | warming | that tile | ready: tells its nonce |
//! | ready | the prober's nonce | computing: tells its own again, at once |
//! | computing | the tiles | - , tiles sent |
//! | any but - | work, an audit, silence | - , said to be busy |
//!
//! The job is made by both shells from the seed of both nonces: nothing is sent, nothing can be computed before.
//! Invariants: one probe under way on either side; work goes first; a peer gives probes less than a hundredth of its time.

use crate::adverts::Adverts;
use crate::config;
use crate::context::{Context, Waiting};
use crate::draw;
use crate::hash::{Hash, KernelId, PeerKey};
use crate::io::{Computed, Event, Purpose, TaskId};
use crate::message::Message;
use crate::reason::Reason;
use crate::time::Time;
use crate::timers::Timer;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

/// The most that a probe may ask of whoever claims so many units per second.
fn units_for(claim: u64) -> u64 {
    let ms = u64::from(config::PROBE_MS);
    let units = u128::from(claim) * u128::from(ms) / 1_000;
    u64::try_from(units)
        .unwrap_or(u64::MAX)
        .clamp(1, config::PROBE_UNITS_MAX)
}

enum Step {
    Asked,
    Started {
        at: Time,
        round_trip: Option<Duration>,
        theirs: Hash,
    },
    Checking {
        took_us: u128,
        told: Vec<Hash>,
        task: TaskId,
    },
}

struct Asking {
    /// Whom, about what, and what it claimed when the probe began.
    claim: (PeerKey, KernelId, u64),
    units: u64,
    nonce: Hash,
    began: Time,
    step: Step,
}

impl Asking {
    fn id(&self) -> Hash {
        draw::nonce_digest(&self.nonce)
    }
}

/// The side that measures.
#[derive(Default)]
pub(crate) struct Prober {
    /// Kernels that this peer has jobs of, and when it last had a new one.
    uses: BTreeMap<KernelId, Time>,
    asking: Option<Asking>,
}

impl Prober {
    /// This peer hands out a job of this kernel: its adverts are worth a look, for a while.
    pub(crate) fn uses(&mut self, ctx: &mut Context, kernel: KernelId) {
        self.uses.insert(kernel, ctx.now);
        if self.uses.len() > config::PROBE_KERNELS_MAX {
            let oldest = self.uses.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(kernel, _)| *kernel) {
                self.uses.remove(&oldest);
            }
        }
        if self.asking.is_none() {
            let soon = ctx.now.after(config::PROBE_SPACING);
            ctx.timers.set_by(Timer::Probe, soon);
        }
    }

    /// The `Probe` timer: the pace, or the end of patience.
    pub(crate) fn on_timer(&mut self, ctx: &mut Context, adverts: &mut Adverts) {
        if let Some(asking) = self.asking.take() {
            match asking.step {
                Step::Asked | Step::Started { .. } => {
                    adverts.proofs.unanswered(asking.claim, ctx.now);
                }
                Step::Checking { task, .. } => {
                    ctx.abort(Some(task));
                    adverts.proofs.failed(asking.claim, ctx.now);
                }
            }
        }
        let now = ctx.now;
        self.uses
            .retain(|_, at| now.since(*at) < config::PROBE_WHILE);
        if self.uses.is_empty() {
            return;
        }
        let Some(claim) = self.choose(ctx, adverts) else {
            ctx.timers
                .set(Timer::Probe, now.after(config::PROBE_SPACING));
            return;
        };
        let asking = Asking {
            claim,
            units: units_for(claim.2),
            nonce: ctx.nonce(),
            began: now,
            step: Step::Asked,
        };
        ctx.send(
            claim.0,
            &Message::Probe {
                version: config::PROBE_VERSION,
                kernel: claim.1,
                units: asking.units,
                probe: asking.id(),
            },
        );
        ctx.timers.set(Timer::Probe, now.after(config::PROBE_WAIT));
        self.asking = Some(asking);
    }

    /// One of those that were measured least often, by chance.
    fn choose(&self, ctx: &mut Context, adverts: &mut Adverts) -> Option<(PeerKey, KernelId, u64)> {
        if adverts.proofs.is_full() {
            adverts.forget_proofs();
        }
        let (mut least, mut found) = (usize::MAX, Vec::new());
        let lending = adverts.here().filter(|(a, _)| a.free_slots > 0);
        for (advert, _) in lending {
            let used = |kernel| self.uses.contains_key(kernel);
            for offer in advert.kernels.iter().filter(|o| used(&o.kernel)) {
                let due = adverts.proofs.due(&advert.peer, &offer.kernel, ctx.now);
                let Some(times) = due.filter(|times| *times <= least) else {
                    continue;
                };
                if times < least {
                    least = times;
                    found.clear();
                }
                found.push((advert.peer, offer.kernel, offer.units_per_s.max(1)));
            }
        }
        if found.is_empty() {
            return None;
        }
        let at = ctx.below(found.len() as u32) as usize;
        Some(found.swap_remove(at))
    }

    /// The probe is over; the next one keeps the pace.
    fn finish(&mut self, ctx: &mut Context) {
        if let Some(asking) = self.asking.take() {
            let next = asking.began.after(config::PROBE_SPACING);
            ctx.timers.set(Timer::Probe, next.max(ctx.now));
        }
    }

    fn asked(&mut self, from: &PeerKey, probe: &Hash) -> Option<&mut Asking> {
        let mine = |a: &&mut Asking| a.claim.0 == *from && a.id() == *probe;
        self.asking.as_mut().filter(mine)
    }

    pub(crate) fn on_reply(
        &mut self,
        ctx: &mut Context,
        adverts: &mut Adverts,
        from: PeerKey,
        probe: Hash,
        theirs: Option<Hash>,
    ) {
        let now = ctx.now;
        let Some(asking) = self.asked(&from, &probe) else {
            return;
        };
        match (&mut asking.step, theirs) {
            (Step::Checking { .. }, _) => {}
            (Step::Asked | Step::Started { .. }, None) => {
                adverts.proofs.busy(asking.claim, now);
                self.finish(ctx);
            }
            (Step::Asked, Some(theirs)) => {
                asking.step = Step::Started {
                    at: now,
                    round_trip: None,
                    theirs,
                };
                let nonce = asking.nonce;
                ctx.send(from, &Message::ProbeStart { probe, nonce });
                ctx.timers.set(Timer::Probe, now.after(config::PROBE_WAIT));
            }
            (
                Step::Started {
                    at,
                    round_trip,
                    theirs,
                },
                Some(again),
            ) => {
                if *theirs == again {
                    round_trip.get_or_insert(now.since(*at));
                }
            }
        }
    }

    pub(crate) fn on_done(
        &mut self,
        ctx: &mut Context,
        adverts: &mut Adverts,
        from: PeerKey,
        probe: Hash,
        tiles: &[Hash],
    ) {
        let now = ctx.now;
        let Some(asking) = self.asked(&from, &probe) else {
            return;
        };
        let Step::Started {
            at,
            round_trip,
            theirs,
        } = asking.step
        else {
            return;
        };
        if tiles.len() != config::PROBE_TILES as usize {
            self.measure(ctx, adverts, 0);
            return;
        }
        // Whoever delays its first word gains so much at most.
        let round_trip = round_trip.unwrap_or_default().min(config::PROBE_TRIP_MAX);
        let took = now.since(at).saturating_sub(round_trip);
        let took_us = took.as_micros().max(1);
        let seed = draw::probe_seed(&asking.nonce, &theirs);
        let first = ctx.below(config::PROBE_TILES);
        let second = (first + 1 + ctx.below(config::PROBE_TILES - 1)) % config::PROBE_TILES;
        let checked = alloc::vec![first, second];
        let told = checked.iter().map(|t| tiles[*t as usize]).collect();
        let (kernel, units) = (asking.claim.1, asking.units);
        let task = ctx.probe(
            Waiting::Prober,
            (kernel, seed, units),
            checked,
            Purpose::Judge,
        );
        asking.step = Step::Checking {
            took_us,
            told,
            task,
        };
        ctx.timers
            .set(Timer::Probe, now.after(config::PROBE_CHECK_WAIT));
    }

    /// The own CPU reference has computed the sample.
    pub(crate) fn on_checked(
        &mut self,
        ctx: &mut Context,
        adverts: &mut Adverts,
        result: Result<Computed, Reason>,
    ) {
        let Some(asking) = &self.asking else { return };
        let Step::Checking { took_us, told, .. } = &asking.step else {
            return;
        };
        match result {
            Ok(own) if own.tiles != *told => self.measure(ctx, adverts, 0),
            // Made of the same seed, so it is what the other one had to do.
            Ok(own) if own.units > asking.units / config::PROBE_SHORTEST => {
                let units_per_s = u128::from(own.units) * 1_000_000 / took_us;
                let units_per_s = u64::try_from(units_per_s).unwrap_or(u64::MAX);
                self.measure(ctx, adverts, units_per_s);
            }
            // Also if the kernel cannot be asked for enough: what lies around it would be measured.
            Ok(_) | Err(_) => {
                adverts.proofs.failed(asking.claim, ctx.now);
                self.finish(ctx);
            }
        }
    }

    fn measure(&mut self, ctx: &mut Context, adverts: &mut Adverts, units_per_s: u64) {
        if let Some(asking) = &self.asking {
            let (peer, kernel, claimed) = asking.claim;
            let struck = adverts.proofs.measured(asking.claim, units_per_s, ctx.now);
            if let Some(measured) = struck {
                ctx.notify(Event::ClaimStruck {
                    peer,
                    kernel,
                    claimed,
                    measured,
                });
            }
        }
        self.finish(ctx);
    }
}

enum Stage {
    Warming,
    Ready,
    Computing,
}

struct Answering {
    to: PeerKey,
    probe: Hash,
    kernel: KernelId,
    units: u64,
    nonce: Hash,
    stage: Stage,
    task: Option<TaskId>,
}

/// The side that is measured.
#[derive(Default)]
pub(crate) struct Probed {
    answering: Option<Answering>,
    /// When what has been answered will have been earned back.
    earned: Time,
}

impl Probed {
    /// `claim` is what this peer says of itself now; none if it does not offer that kernel.
    pub(crate) fn on_probe(
        &mut self,
        ctx: &mut Context,
        from: PeerKey,
        claim: Option<u64>,
        (version, kernel, units, probe): (u16, KernelId, u64, Hash),
    ) {
        if !ctx.is_near(&from) {
            return;
        }
        let burst = config::PROBE_EARNED * (config::PROBES_AT_FIRST - 1);
        let fits = |claim| units <= units_for(claim) && units > 0;
        let takes = version == config::PROBE_VERSION
            && claim.is_some_and(fits)
            && self.answering.is_none()
            && ctx.computes_nothing()
            && self.earned <= ctx.now.after(burst);
        if !takes {
            // Also of a probe that is under way: a repeated one is nobody's first.
            if self.answering.as_ref().is_none_or(|a| a.probe != probe) {
                let nonce = None;
                ctx.send(from, &Message::ProbeReply { probe, nonce });
            }
            return;
        }
        self.earned = self.earned.max(ctx.now).after(config::PROBE_EARNED);
        let nonce = ctx.nonce();
        // Another seed: a device gets ready, and learns nothing of the job.
        let job = (kernel, nonce, units);
        let task = ctx.probe(Waiting::Probed, job, alloc::vec![0], Purpose::Audit);
        self.answering = Some(Answering {
            to: from,
            probe,
            kernel,
            units,
            nonce,
            stage: Stage::Warming,
            task: Some(task),
        });
        ctx.timers
            .set(Timer::Probed, ctx.now.after(config::PROBE_WAIT));
    }

    pub(crate) fn on_start(&mut self, ctx: &mut Context, from: PeerKey, probe: Hash, nonce: Hash) {
        let ready = |a: &&mut Answering| {
            a.to == from
                && a.probe == probe
                && matches!(a.stage, Stage::Ready)
                && draw::nonce_digest(&nonce) == probe
        };
        let Some(answering) = self.answering.as_mut().filter(ready) else {
            return;
        };
        if !ctx.computes_nothing() {
            self.give_up(ctx);
            return;
        }
        let own = Some(answering.nonce);
        ctx.send(from, &Message::ProbeReply { probe, nonce: own });
        let seed = draw::probe_seed(&nonce, &answering.nonce);
        let tiles = (0..config::PROBE_TILES).collect();
        let job = (answering.kernel, seed, answering.units);
        answering.task = Some(ctx.probe(Waiting::Probed, job, tiles, Purpose::Audit));
        answering.stage = Stage::Computing;
        ctx.timers
            .set(Timer::Probed, ctx.now.after(config::PROBE_WAIT));
    }

    pub(crate) fn on_computed(&mut self, ctx: &mut Context, result: Result<Computed, Reason>) {
        let Some(answering) = &mut self.answering else {
            return;
        };
        let (to, probe) = (answering.to, answering.probe);
        answering.task = None;
        match (&answering.stage, result) {
            (Stage::Warming, Ok(_)) => {
                answering.stage = Stage::Ready;
                let nonce = Some(answering.nonce);
                ctx.send(to, &Message::ProbeReply { probe, nonce });
                ctx.timers
                    .set(Timer::Probed, ctx.now.after(config::PROBE_WAIT));
            }
            (Stage::Computing, Ok(computed)) => {
                let tiles = computed.tiles;
                ctx.send(to, &Message::ProbeDone { probe, tiles });
                self.answering = None;
                ctx.timers.clear(Timer::Probed);
            }
            (Stage::Ready, Ok(_)) => {}
            (Stage::Warming | Stage::Ready | Stage::Computing, Err(_)) => self.give_up(ctx),
        }
    }

    /// Work came meanwhile: the device is its, and what it takes now says nothing.
    pub(crate) fn yields(&mut self, ctx: &mut Context) {
        let task = self.answering.as_ref().and_then(|a| a.task);
        if task.is_some_and(|task| !ctx.is_last_task(task)) {
            self.give_up(ctx);
        }
    }

    /// Busy, or out of patience.
    pub(crate) fn give_up(&mut self, ctx: &mut Context) {
        if let Some(answering) = self.answering.take() {
            ctx.abort(answering.task);
            let (to, probe, nonce) = (answering.to, answering.probe, None);
            ctx.send(to, &Message::ProbeReply { probe, nonce });
        }
        ctx.timers.clear(Timer::Probed);
    }
}
