//! How often a slice with faked tiles is refuted, by unmodified peers, against the formula of the design.
//!
//! The design's P = 1 - [f + (1 - f)(1 - q)^s]^k (1 - q)^k0 says f for auditors that a cheat need not fear, and k0 for the
//! ringers: tiles that the requester computes itself, whoever audits. Three things are made exact here: auditors draw from
//! one slice, so a tile may be drawn twice; among a finite number of peers the bad ones are drawn without replacement;
//! and who they are matters. A ring's auditors vouch for its lies. Lazy ones do not help
//! a cheat they do not know: what they seal fits nothing, and once a quorum is missing the requester recomputes.
//!
//! Every job has a swarm of its own: no requester has seen anybody before.

use super::Check;
use crate::experiment::Study;
use crate::results::binomial_interval;
use crate::run::{RunError, run};
use std::path::Path;

/// Tiles of a slice.
const TILES: u32 = 512;
/// Peers that lend, and so audit each other.
const LENDING: u32 = 40;
/// The rule for newcomers among 40: 16 auditors, two tiles each, of whom 11 must agree.
const AUDITORS: u32 = 16;
const EACH: u32 = 2;
const QUORUM: u32 = 11;
/// What a requester draws for itself, in case that it must check.
const OWN_DRAW: u32 = 32;
/// Of these, those that it always computes: as many as one auditor, and drawn as it draws.
const RINGERS: u32 = 2;

/// Who the cheats are, and who helps them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Helpers {
    /// Everybody that lends fakes, and audits honestly.
    None,
    /// Everybody that lends fakes, and this share of them audits without computing.
    Lazy(f64),
    /// This share of those that lend fakes, and vouches for each other; the others are honest.
    Ring(f64),
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Share of faked tiles.
    pub faked: f64,
    /// Who helps.
    pub helpers: Helpers,
    /// Slices with a faked tile that were refuted.
    pub refuted: u32,
    /// Those that got a receipt.
    pub passed: u32,
}

/// Measures it in about so many slices, each a job of its own, in a swarm of its own, that is leased until one passes.
///
/// # Errors
/// [`RunError`].
pub fn detection(
    faked: f64,
    helpers: Helpers,
    slices: u32,
    seed: u64,
) -> Result<Detection, RunError> {
    let expected = probability(faked, helpers);
    // A slice is tried until it passes, or all cheats are excluded; in a ring's swarm also until an honest peer takes it.
    let (groups, tries) = match helpers {
        Helpers::None => (
            vec![(LENDING, format!("{{ fake_share = {faked:?} }}"))],
            1.0 - expected,
        ),
        Helpers::Lazy(share) => {
            let lazy = of_lending(share);
            let cheat = format!("{{ fake_share = {faked:?} }}");
            let groups = vec![
                (lazy, format!("{cheat}, \"audit_lazily\"")),
                (LENDING - lazy, cheat),
            ];
            (groups, 1.0 - expected)
        }
        Helpers::Ring(share) => {
            let ring = format!("{{ ring = {{ fake_share = {faked:?} }} }}");
            (
                vec![(of_lending(share), ring)],
                (1.0 - expected * share) / share,
            )
        }
    };
    let jobs = f64::from(slices) * tries.clamp(1.0 / f64::from(LENDING), 10.0);
    let jobs = jobs.ceil().max(20.0) as u32;
    let mut text = format!(
        "run = {{ horizon_s = 1000, until_jobs_end = true }}\n\
         [population]\npeers = {}\n\
         [network]\none_way_ms = 20.0\nlimit_bandwidth = false\n\
         [[workload]]\n\
         [workload.job]\ntiles = {TILES}\nslice_tiles = {TILES}\ntile_bytes = 64\nunits_per_tile = 1000000\nstewards = 0\n",
        LENDING + 1
    );
    for (count, strategies) in groups.iter().filter(|(count, _)| *count > 0) {
        text += &format!("[[adversaries]]\ncount = {count}\nstrategies = [{strategies}]\n");
    }
    let mut study = Study::parse(&text, Path::new("(detection)"))?;
    let experiment = study.cells.remove(0).experiment;
    let mut counted = Detection {
        faked,
        helpers,
        refuted: 0,
        passed: 0,
    };
    for job in 0..u64::from(jobs) {
        let report = run(&experiment, seed.wrapping_add(job << 32), false)?.report;
        counted.refuted += report.cheat_slices_refuted;
        counted.passed += report.slices_wrong;
    }
    Ok(counted)
}

fn of_lending(share: f64) -> u32 {
    (f64::from(LENDING) * share).round() as u32
}

impl Detection {
    /// Against the formula, as one of `shares` that are checked together: one run in 20 misses by chance, not one check.
    #[must_use]
    pub fn check(&self, shares: usize) -> Check {
        let trials = self.refuted + self.passed;
        let (low, high) = binomial_interval(u64::from(self.refuted), u64::from(trials), shares);
        let helpers = match self.helpers {
            Helpers::None => "honest auditors".into(),
            Helpers::Lazy(share) => format!("{:.0} % audit lazily", share * 100.0),
            Helpers::Ring(share) => format!("a ring of {:.0} %", share * 100.0),
        };
        Check {
            name: format!(
                "detection: {:.0} % faked, {helpers}, {trials} slices",
                self.faked * 100.0
            ),
            measured: f64::from(self.refuted) / f64::from(trials.max(1)),
            expected: probability(self.faked, self.helpers),
            low,
            high,
        }
    }
}

/// That a slice with at least one faked tile is refuted.
#[must_use]
pub fn probability(faked: f64, helpers: Helpers) -> f64 {
    let others = f64::from(LENDING - 1);
    // Bad ones among the others. Whether the worker is itself lazy makes no odds; in a ring it is one of them.
    let bad = match helpers {
        Helpers::None => 0.0,
        Helpers::Lazy(share) => f64::from(of_lending(share)) * others / f64::from(LENDING),
        Helpers::Ring(share) => f64::from(of_lending(share)) - 1.0,
    };
    let missed: f64 = (0..=AUDITORS)
        .map(|honest| {
            let drawn = hypergeometric(others, others - bad, AUDITORS, honest);
            let seen_by = match helpers {
                // The requester opens all draws and its own, and recomputes them: the ringers are among those.
                Helpers::Lazy(_) if honest < QUORUM => AUDITORS + OWN_DRAW / EACH,
                Helpers::None | Helpers::Lazy(_) | Helpers::Ring(_) => honest + RINGERS / EACH,
            };
            drawn * all_miss(seen_by, faked)
        })
        .sum();
    let none_faked = libm::pow(1.0 - faked, f64::from(TILES));
    (1.0 - missed) / (1.0 - none_faked)
}

/// That `honest` auditors of two distinct tiles each see none of the faked ones: the mean of (1 - q)^(distinct tiles
/// drawn), by the distribution of their number, auditor by auditor.
fn all_miss(honest: u32, faked: f64) -> f64 {
    let n = f64::from(TILES);
    // of[u]: the probability that u distinct tiles were drawn so far.
    let mut of = vec![1.0];
    for _ in 0..honest {
        let mut next = vec![0.0; of.len() + EACH as usize];
        for (seen, p) in of.iter().enumerate() {
            let (old, new) = (seen as f64, n - seen as f64);
            let pairs = n * (n - 1.0);
            next[seen] += p * old * (old - 1.0).max(0.0) / pairs;
            next[seen + 1] += p * 2.0 * old * new / pairs;
            next[seen + 2] += p * new * (new - 1.0) / pairs;
        }
        of = next;
    }
    let miss = |(distinct, p): (usize, &f64)| p * libm::pow(1.0 - faked, distinct as f64);
    of.iter().enumerate().map(miss).sum()
}

/// That of `drawn` out of `all`, `marked` of which are marked, just `hits` are. `all` and `marked` need not be whole.
fn hypergeometric(all: f64, marked: f64, drawn: u32, hits: u32) -> f64 {
    let choose = |n: f64, k: f64| {
        if k < 0.0 || k > n {
            return f64::NEG_INFINITY;
        }
        libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0)
    };
    let (drawn, hits) = (f64::from(drawn), f64::from(hits));
    let log = choose(marked, hits) + choose(all - marked, drawn - hits) - choose(all, drawn);
    libm::exp(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_honest_auditors_the_formula_is_nearly_the_designs() {
        for faked in [0.01, 0.1, 0.5] {
            let simple = 1.0 - libm::pow(1.0 - faked, 32.0 + f64::from(RINGERS));
            let none = libm::pow(1.0 - faked, f64::from(TILES));
            let off = probability(faked, Helpers::None) - simple / (1.0 - none);
            assert!((-0.01..=0.0).contains(&off), "{faked}: {off}");
        }
    }

    #[test]
    fn a_ring_helps_its_cheats_and_lazy_ones_do_not() {
        let alone = probability(0.1, Helpers::None);
        assert!(probability(0.1, Helpers::Ring(0.5)) < alone - 0.05);
        assert!(probability(0.1, Helpers::Lazy(0.5)) > alone);
        assert!(probability(1.0, Helpers::Ring(0.5)) > 0.999);
    }
}
