//! Runs an experiment with a seed and reports. The report holds virtual figures only: the same run gives the same
//! bytes.

use crate::check::{self, Audits, Flags};
use crate::experiment::{Experiment, ExperimentError};
use crate::gossip::GossipTally;
use crate::metrics;
use crate::net;
use crate::observe::{JobStats, PeerStats, Tally};
use crate::results::Samples;
use crate::shared::LookupTally;
use crate::world::{Stuck, World};
use serde::Serialize;
use starling_protocol::{PeerKey, Reason, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

/// How a run went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// A hash over every event in order, in hexadecimal.
    pub trace_hash: String,
    /// Virtual seconds.
    pub virtual_s: f64,
    /// Peers.
    pub peers: u32,
    /// Jobs submitted and not refused at once.
    pub jobs: u32,
    /// Jobs that came to their end.
    pub jobs_done: u32,
    /// Jobs that were refused or failed, by reason.
    pub jobs_failed: BTreeMap<&'static str, u32>,
    /// Jobs that the horizon cut off.
    pub jobs_open: u32,
    /// From submission to the job's end, s, of those done.
    pub job_s: Spread,
    /// From submission to the first worker's start, ms.
    pub placement_ms: Spread,
    /// Slices of all jobs.
    pub slices: u32,
    /// Slices done.
    pub slices_done: u32,
    /// Receipts that requesters hold; all of them were verified offline.
    pub receipts: u32,
    /// Receipts that reached their workers; all of them were verified offline.
    pub earned: u32,
    /// Of the requesters' receipts, those with a weakness.
    pub flags: Flags,
    /// Adversaries.
    pub adversaries: u32,
    /// Of these, blamed.
    pub adversaries_caught: u32,
    /// Peers in a group of adversaries, those that only have faults or do nothing wrong among them.
    pub grouped: u32,
    /// Tiles that those are paid for.
    pub grouped_paid: u64,
    /// Tiles of leases that their devices computed.
    pub grouped_worked: u64,
    /// Honest workers blamed, and wrong accusations.
    pub false_accusations: u32,
    /// Adversaries whose claim of their speed somebody struck.
    pub claims_struck: u32,
    /// Others to whom that happened.
    pub claims_struck_wrongly: u32,
    /// Slices with wrong tiles that were committed to and refuted.
    pub cheat_slices_refuted: u32,
    /// Slices that their requester took for right and that are not: missed by the samples.
    pub slices_wrong: u32,
    /// Tiles computed for slices that had to be done again or were cut off by the horizon, of all tiles of work.
    pub wasted_share: f64,
    /// Of the peers that lend, those that earned at least one receipt.
    pub earning_share: f64,
    /// The same of the slowest third of them.
    pub earning_share_slowest: f64,
    /// Share of the swarm's capacity that was earned for.
    pub utilisation: f64,
    /// The same of the slowest third.
    pub utilisation_slowest: f64,
    /// Leases that ended without a receipt, by reason.
    pub re_leases: BTreeMap<&'static str, u32>,
    /// Tiles computed, by purpose.
    pub tiles: BTreeMap<&'static str, u64>,
    /// Tiles recomputed by auditors per tile of work.
    pub audit_share: f64,
    /// The same of slices with receipts, newcomers' and trusted workers' apart.
    pub audits: Audits,
    /// Control messages by kind.
    pub messages: BTreeMap<&'static str, Tally>,
    /// Control messages per slice.
    pub messages_per_slice: f64,
    /// Bytes of control messages per slice.
    pub bytes_per_slice: f64,
    /// Control messages that got lost.
    pub messages_lost: u64,
    /// Adverts on their way.
    pub gossip: GossipTally,
    /// Lookups of boards.
    pub lookups: LookupTally,
    /// What became of packets.
    pub packets: net::Counters,
    /// Bytes that a peer sends a second: control messages, gossip and lookups, blobs aside.
    pub traffic_bytes_per_s: f64,
    /// Events in all.
    pub events: u64,
    /// What must never happen and did.
    pub violations: Vec<String>,
}

/// How a figure spreads; nothing where there is no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Values.
    pub n: u32,
    /// Their mean.
    pub mean: Option<f64>,
    /// Their median.
    pub p50: Option<f64>,
    /// Their 95th percentile.
    pub p95: Option<f64>,
}

impl Spread {
    /// Of these values. Percentiles are the nearest ranks.
    #[must_use]
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let n = values.len();
        let rank = |p: f64| {
            values
                .get(((n as f64 * p).ceil() as usize).saturating_sub(1))
                .copied()
        };
        Self {
            n: n as u32,
            mean: (n > 0).then(|| values.iter().sum::<f64>() / n as f64),
            p50: rank(0.5),
            p95: rank(0.95),
        }
    }
}

impl Report {
    /// Whether every job is done, or still had time, and nothing happened that must not.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.jobs_failed.is_empty() && self.violations.is_empty()
    }
}

/// A finished run.
pub struct Run {
    /// Its figures.
    pub report: Report,
    /// Its jobs and peers, one line each.
    pub samples: Vec<Samples>,
    /// Its messages, as text, if they were asked for.
    pub trace: Option<String>,
}

/// Runs `experiment`, which must have passed its check, with `seed`.
///
/// # Errors
/// [`RunError`].
pub fn run(experiment: &Experiment, seed: u64, tracing: bool) -> Result<Run, RunError> {
    run_until(experiment, seed, tracing, &AtomicBool::new(false))
}

/// As [`run`], until `stop` is set.
///
/// # Errors
/// [`RunError`].
pub fn run_until(
    experiment: &Experiment,
    seed: u64,
    tracing: bool,
    stop: &AtomicBool,
) -> Result<Run, RunError> {
    if experiment.population.light {
        return Err(RunError::Light);
    }
    let mut world = World::new(experiment, seed, tracing)?;
    if !world.run(stop)? {
        return Err(RunError::Interrupted);
    }
    let trace = world.shared.observer.trace.as_ref().map(|t| t.render());
    let report = report(experiment, seed, &world);
    let counters = &world.shared.observer.counters;
    let lending = (0..)
        .zip(&counters.peers)
        .skip(experiment.population.clients as usize);
    let samples = vec![
        metrics::jobs(counters.jobs.values()),
        metrics::peers(lending, report.virtual_s),
    ];
    Ok(Run {
        report,
        samples,
        trace,
    })
}

/// Why a run has no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Virtual time stands still.
    #[error(transparent)]
    Stuck(#[from] Stuck),
    /// Somebody asked it to stop.
    #[error("interrupted")]
    Interrupted,
    /// Light peers have a report of their own.
    #[error("light peers cannot be swept: `starling-sim run` shows what they do")]
    Light,
    /// The experiment cannot be run after all.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
}

fn ms(from: Time, to: Time) -> f64 {
    to.since(from).as_micros() as f64 / 1000.0
}

fn report(experiment: &Experiment, seed: u64, world: &World) -> Report {
    let observer = &world.shared.observer;
    let (history, counters) = (&observer.history, &observer.counters);
    let verifier = experiment.population.signatures.verifier();
    let found = check::check(history, verifier);
    let mut violations: Vec<_> = found.violations.iter().map(ToString::to_string).collect();
    let requester = |job| history.records.get(job).map(|r| r.manifest.body.requester);
    let (collected, earned): (Vec<_>, Vec<_>) = history
        .receipts
        .iter()
        .partition(|held| requester(&held.job) == Some(held.by));
    let jobs: Vec<&JobStats> = counters.jobs.values().collect();
    let slices = jobs.iter().map(|j| j.slices).sum::<u32>();
    let per_slice = |n: u64| n as f64 / f64::from(slices.max(1));
    let tiles = |purpose| counters.tiles.get(purpose).copied().unwrap_or_default();
    let caught: BTreeSet<_> = history.blamed.iter().map(|b| b.of).collect();
    let honest = |peer: &PeerKey| !history.dishonest.contains_key(peer);
    let innocent = history.blamed.iter().filter(|b| {
        honest(&b.by)
            && !history.forfeits(&b.of).blamable()
            && !history.was_cut_off(&b.of, b.since, b.at)
    });
    let accusers = history
        .false_accusers
        .iter()
        .filter(|(by, of)| honest(by) && honest(of));
    let struck: BTreeSet<_> = history.struck.iter().map(|(_, of)| of).collect();
    let misbehaves = |peer: &PeerKey| world.misbehaves(peer);
    let mut jobs_failed = counters.refused.clone();
    for (_, reason) in jobs.iter().filter_map(|j| j.ended) {
        if let Some(reason) = reason {
            *jobs_failed.entry(reason.code()).or_default() += 1;
        }
    }
    let jobs_open = jobs.iter().filter(|j| j.ended.is_none()).count() as u32;
    if experiment.run.until_jobs_end && jobs_open > 0 {
        violations.push(format!("{jobs_open} jobs had not ended by the horizon"));
    }
    let done = |j: &&&JobStats| matches!(j.ended, Some((_, None)));
    let job_s = jobs
        .iter()
        .filter(done)
        .filter_map(|j| j.ended.map(|(at, _)| ms(j.submitted, at) / 1000.0));
    let placement = jobs
        .iter()
        .filter_map(|j| j.first_work.map(|at| ms(j.submitted, at)));
    let gossip = world.shared.gossip.tally();
    let control_bytes: u64 = counters.messages.values().map(|t| t.bytes).sum();
    let peers = experiment.population.peers;
    let virtual_s = world.shared.engine.now().0 as f64 / 1e6;
    let lookups = world.shared.lookups;
    let refuted = counters
        .reopened
        .get(Reason::Refuted.code())
        .copied()
        .unwrap_or(0);
    let worked = tiles("work") + tiles("own");
    let done_tiles: usize = history.done.iter().map(|d| d.output.len()).sum();
    let lends = experiment.population.clients as usize;
    let mut lending: Vec<&PeerStats> = counters.peers.iter().skip(lends).collect();
    // A peer that never came up has no speed.
    lending.retain(|p| p.units_per_s > 0.0);
    lending.sort_by(|a, b| a.units_per_s.total_cmp(&b.units_per_s));
    let slowest = &lending[..lending.len() / 3];
    let earning = |peers: &[&PeerStats]| {
        peers.iter().filter(|p| p.earned > 0).count() as f64 / peers.len().max(1) as f64
    };
    let utilisation = |peers: &[&PeerStats]| {
        let capacity = peers.iter().map(|p| p.units_per_s).sum::<f64>() * virtual_s;
        peers.iter().map(|p| p.earned_units as f64).sum::<f64>() / capacity.max(1.0)
    };
    let paid = history.paid_tiles(verifier);
    let names = world.shared.names.iter().zip(&counters.peers);
    let grouped: Vec<_> = names.filter(|(key, _)| misbehaves(key)).collect();
    let paid_to = |key: &PeerKey| paid.get(key).copied().unwrap_or(0);
    let bytes = control_bytes + gossip.bytes + gossip.control_bytes + lookups.bytes;
    Report {
        seed,
        trace_hash: format!("{:016x}", world.trace_hash()),
        virtual_s,
        peers,
        jobs: jobs.len() as u32,
        jobs_done: history.complete.len() as u32,
        jobs_failed,
        jobs_open,
        job_s: Spread::of(job_s.collect()),
        placement_ms: Spread::of(placement.collect()),
        slices,
        slices_done: history.done.len() as u32,
        receipts: collected.len() as u32,
        earned: earned.len() as u32,
        flags: found.flags,
        adversaries: history.dishonest.len() as u32,
        grouped: grouped.len() as u32,
        grouped_paid: grouped.iter().map(|(key, _)| paid_to(key)).sum(),
        grouped_worked: grouped.iter().map(|(_, peer)| peer.worked_tiles).sum(),
        claims_struck: struck.iter().filter(|p| misbehaves(p)).count() as u32,
        claims_struck_wrongly: struck.iter().filter(|p| !misbehaves(p)).count() as u32,
        cheat_slices_refuted: refuted,
        slices_wrong: found.wrong,
        wasted_share: 1.0 - (done_tiles as f64 / worked.max(1) as f64).min(1.0),
        earning_share: earning(&lending),
        earning_share_slowest: earning(slowest),
        utilisation: utilisation(&lending),
        utilisation_slowest: utilisation(slowest),
        adversaries_caught: caught.iter().filter(|p| !honest(p)).count() as u32,
        false_accusations: (innocent.count() + accusers.count()) as u32,
        re_leases: counters.reopened.clone(),
        audit_share: tiles("audit") as f64 / tiles("work").max(1) as f64,
        audits: found.audits,
        tiles: counters.tiles.clone(),
        messages_per_slice: per_slice(counters.messages.values().map(|t| t.count).sum()),
        bytes_per_slice: per_slice(control_bytes),
        messages: counters.messages.clone(),
        messages_lost: counters.lost,
        gossip,
        lookups,
        packets: world.shared.network.counters(),
        traffic_bytes_per_s: bytes as f64 / f64::from(peers) / virtual_s.max(1e-6),
        events: world.events(),
        violations,
    }
}
