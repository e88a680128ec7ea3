//! Runs a scenario with a seed and reports. The report holds virtual figures only: the same run gives the same bytes.

use crate::check;
use crate::observe::Tally;
use crate::scenario::Scenario;
use crate::world::{Stuck, World};
use serde::Serialize;
use starling_protocol::{Hash, Reason, Time};
use std::collections::{BTreeMap, BTreeSet};

/// How a run went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// BLAKE3 over every event in order.
    pub trace_hash: Hash,
    /// Whether the job came to its end.
    pub job_done: bool,
    /// Why not, if it said so.
    pub job_failed: Option<Reason>,
    /// From submission to the job's end, virtual ms.
    pub job_ms: Option<f64>,
    /// From submission to the first worker's start, virtual ms.
    pub first_work_ms: Option<f64>,
    /// Slices of the job.
    pub slices: u32,
    /// Slices done.
    pub slices_done: u32,
    /// Receipts that the requester holds; all of them were verified offline.
    pub receipts: u32,
    /// Receipts that reached their workers; all of them were verified offline.
    pub earned: u32,
    /// Of the requester's receipts, those with a weakness.
    pub flags: Flags,
    /// Cheats in the scenario.
    pub cheats: u32,
    /// Of these, caught.
    pub cheats_caught: u32,
    /// Honest workers blamed, and wrong accusations.
    pub false_accusations: u32,
    /// Leases that ended without a receipt, by reason.
    pub re_leases: BTreeMap<&'static str, u32>,
    /// Tiles computed, by purpose.
    pub tiles: BTreeMap<&'static str, u64>,
    /// Tiles recomputed by auditors per tile of work.
    pub audit_share: f64,
    /// Control messages by kind.
    pub messages: BTreeMap<&'static str, Tally>,
    /// Control messages per slice.
    pub messages_per_slice: f64,
    /// Bytes of control messages per slice.
    pub bytes_per_slice: f64,
    /// Control messages that got lost.
    pub messages_lost: u64,
    /// Hops of gossiped adverts.
    pub gossip: Tally,
    /// Events in all.
    pub events: u64,
    /// What must never happen and did.
    pub violations: Vec<String>,
}

/// Weak receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flags {
    /// Too few witnesses, or too many silent auditors.
    pub weak: u32,
    /// A witness withheld its nonce.
    pub missing_nonce: u32,
    /// The requester recomputed, because no quorum formed.
    pub self_checked: u32,
    /// Nobody stores the output.
    pub not_stored: u32,
}

impl Report {
    /// Whether the job is done and nothing happened that must not.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.job_done && self.violations.is_empty()
    }
}

/// A finished run.
pub struct Run {
    /// Its figures.
    pub report: Report,
    /// Its messages, as text, if they were asked for.
    pub trace: Option<String>,
}

/// Runs `scenario`, which must have passed its check, with `seed`.
///
/// # Errors
/// [`Stuck`] when virtual time stands still.
pub fn run(scenario: &Scenario, seed: u64, tracing: bool) -> Result<Run, Stuck> {
    let mut world = World::new(scenario, seed, tracing);
    world.run()?;
    let trace = world.observer.trace.as_ref().map(|t| t.render());
    Ok(Run {
        report: report(scenario, seed, &world),
        trace,
    })
}

fn report(scenario: &Scenario, seed: u64, world: &World) -> Report {
    let (history, counters) = (&world.observer.history, &world.observer.counters);
    let verifier = scenario.signatures.verifier();
    let violations = check::check(history, verifier);
    let requester = |job| history.records.get(job).map(|r| r.manifest.body.requester);
    let (collected, earned): (Vec<_>, Vec<_>) = history
        .receipts
        .iter()
        .partition(|held| requester(&held.job) == Some(held.by));
    let mut flags = Flags::default();
    for held in &collected {
        let record = history.records.get(&held.job);
        let verified = record.and_then(|r| held.receipt.verify(r, &history.swarm, verifier).ok());
        let found = verified.map(|v| v.flags).unwrap_or_default();
        flags.weak += u32::from(found.weak);
        flags.missing_nonce += u32::from(found.missing_nonce);
        flags.self_checked += u32::from(found.self_checked);
        flags.not_stored += u32::from(found.not_stored);
    }
    let slices = history
        .records
        .values()
        .map(|r| r.manifest.body.slices())
        .sum::<u32>();
    let per_slice = |n: u64| n as f64 / f64::from(slices.max(1));
    let tiles = |purpose| counters.tiles.get(purpose).copied().unwrap_or_default();
    let since_submit = |t| {
        counters
            .submitted
            .map(|s| Time::since(t, s).as_micros() as f64 / 1000.0)
    };
    let caught: BTreeSet<_> = history.blamed.iter().map(|(worker, _)| *worker).collect();
    let blamed_honest = history
        .blamed
        .iter()
        .filter(|(worker, _)| !history.dishonest.contains(worker))
        .count();
    Report {
        seed,
        trace_hash: world.trace_hash(),
        job_done: !history.complete.is_empty(),
        job_failed: counters.ended.and_then(|(_, reason)| reason),
        job_ms: counters.ended.and_then(|(at, _)| since_submit(at)),
        first_work_ms: counters.first_work.and_then(since_submit),
        slices,
        slices_done: history.done.len() as u32,
        receipts: collected.len() as u32,
        earned: earned.len() as u32,
        flags,
        cheats: scenario.cheats,
        cheats_caught: caught.intersection(&history.dishonest).count() as u32,
        false_accusations: (blamed_honest + history.false_accusers.len()) as u32,
        re_leases: counters.reopened.clone(),
        audit_share: tiles("audit") as f64 / tiles("work").max(1) as f64,
        tiles: counters.tiles.clone(),
        messages_per_slice: per_slice(counters.messages.values().map(|t| t.count).sum()),
        bytes_per_slice: per_slice(counters.messages.values().map(|t| t.bytes).sum()),
        messages: counters.messages.clone(),
        messages_lost: counters.lost,
        gossip: counters.gossip,
        events: world.events(),
        violations: violations.iter().map(ToString::to_string).collect(),
    }
}
