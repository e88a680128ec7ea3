//! Checks of the models against published theory, for anybody to run.
//!
//! Each check has a measured and an expected value and a tolerance. The theory is computed from its formulas, without
//! any code of the model that it judges. A check that misses says so: nothing here is tuned to pass.

pub mod detection;

use crate::engine::{Purpose, Streams};
use crate::kademlia::{Dht, Kademlia, Knobs};
use crate::net::loss::Loss;
use crate::net::{Draw, Hop, Packet, PacketKind, salt};
use crate::run::RunError;
use core::fmt;
use core::time::Duration;
use detection::Helpers;
use rand_core::Rng;
use serde::Serialize;
use starling_protocol::{Hash, Time};

/// Slices of each case of detection.
const SLICES: u32 = 1_200;

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What is compared.
    pub name: String,
    /// What the model does.
    pub measured: f64,
    /// What theory says.
    pub expected: f64,
    /// Theory must lie within this: a tolerance about the measured value, or its joint 95 % interval.
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

impl Check {
    /// That may be off by this share of the expected value.
    #[must_use]
    pub fn within_share(name: String, measured: f64, expected: f64, share: f64) -> Self {
        let tolerance = expected.abs() * share;
        Self {
            name,
            measured,
            expected,
            low: measured - tolerance,
            high: measured + tolerance,
        }
    }

    /// By what share of the expected value the measured one is off.
    #[must_use]
    pub fn error_share(&self) -> f64 {
        (self.measured - self.expected).abs() / self.expected.abs()
    }

    /// Whether the two agree.
    #[must_use]
    pub fn ok(&self) -> bool {
        (self.low..=self.high).contains(&self.expected)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<58} measured {:>8.4}, theory {:>8.4}, off by {:.2} % (allowed {:.4} to {:.4})",
            self.name,
            self.measured,
            self.expected,
            self.error_share() * 100.0,
            self.low,
            self.high
        )
    }
}

/// All checks, in the order of their reading.
///
/// # Errors
/// [`RunError`] when a swarm that is measured cannot be run.
pub fn all(seed: u64) -> Result<Vec<Check>, RunError> {
    let mut checks = Vec::new();
    for n in [1_000, 10_000, 100_000] {
        for k in [1, 8, 20] {
            checks.push(hops_with(n, k, 20_000, seed).check());
        }
    }
    for (fanout, loss) in [(2, 0.0), (3, 0.2), (4, 0.5), (6, 0.1)] {
        checks.push(epidemic(10_000, fanout, loss, seed, 40).check());
    }
    let cases = [
        (0.01, Helpers::None),
        (0.03, Helpers::None),
        (0.1, Helpers::None),
        (1.0, Helpers::None),
        (0.1, Helpers::Lazy(0.3)),
        (0.03, Helpers::Ring(0.3)),
        (0.1, Helpers::Ring(0.3)),
        (0.1, Helpers::Ring(0.5)),
    ];
    for (faked, helpers) in cases {
        let measured = detection::detection(faked, helpers, SLICES, seed)?;
        checks.push(measured.check(cases.len()));
    }
    Ok(checks)
}

/// How many hops Kademlia takes to a peer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HopsCheck {
    /// Peers.
    pub n: u32,
    /// Peers of a bucket.
    pub k: u32,
    /// Mean hops of the model's lookups.
    pub mean: f64,
    /// Mean hops by [`mean_hops`].
    pub theory: f64,
    /// By what share of theory they differ.
    pub error_share: f64,
}

impl HopsCheck {
    /// As a comparison: 2 % are allowed.
    #[must_use]
    pub fn check(&self) -> Check {
        Check::within_share(
            format!(
                "kademlia: mean hops, {} peers, buckets of {}",
                self.n, self.k
            ),
            self.mean,
            self.theory,
            0.02,
        )
    }
}

/// [`hops_with`] the bucket size of libp2p.
#[must_use]
pub fn hops(n: u32, lookups: u32, seed: u64) -> HopsCheck {
    hops_with(n, Knobs::default().bucket_size, lookups, seed)
}

/// Looks random peers up from random peers, one request at a time, answers naming the closest peer alone: the routing
/// that Cai and Devroye analyse. A hop is a peer asked, the target included, on both sides.
#[must_use]
pub fn hops_with(n: u32, k: u32, lookups: u32, seed: u64) -> HopsCheck {
    let streams = Streams::new(seed);
    let mut stream = streams.stream(Purpose::Dht, 1);
    let knobs = Knobs {
        bucket_size: k,
        alpha: 1,
        k_response: 1,
        results: 1,
        ..Knobs::default()
    };
    let mut dht = Kademlia::new(&knobs, &streams);
    let mut ids = Vec::new();
    for peer in 0..n {
        let mut id = Hash::default();
        stream.fill_bytes(&mut id.0);
        dht.join(Time(0), peer, &id);
        ids.push(id);
    }
    let mut hops = 0;
    for _ in 0..lookups {
        let from = (stream.next_u64() % u64::from(n)) as u32;
        let other = 1 + (stream.next_u64() % u64::from(n - 1)) as u32;
        let to = ((u64::from(from) + u64::from(other)) % u64::from(n)) as usize;
        let mut instant = |_: u32, _: u32| Some(Duration::from_micros(1));
        let found = dht.closest(Time(0), from, &ids[to], &mut instant);
        debug_assert_eq!(found.closest, [to as u32]);
        hops += u64::from(found.hops);
    }
    let (mean, theory) = (hops as f64 / f64::from(lookups), mean_hops(n, k));
    HopsCheck {
        n,
        k,
        mean,
        theory,
        error_share: (mean - theory).abs() / theory,
    }
}

/// Mean hops between two of `n` peers with random ids and buckets of `k`, in Cai and Devroye's random id model ("The
/// Analysis of Kademlia for Random IDs", Internet Mathematics 2015), exactly for finite `n`.
///
/// They show that the mean approaches `ln n / c(k)`; for such `n` as ours that limit is far off, but the process in
/// their proof is a Markov chain in one number: `m`, the peers in the bucket that the target falls into, the target
/// among them. If `m <= k` the bucket holds the target: one hop. Otherwise it holds `k` of the `m`, all subsets alike:
/// with probability `k / m` the target, else `k` others, each of which shares `g` or more further bits with the target
/// with probability `2^-g`. The next peer is the one that shares most, `G` of them, so that
/// `P(G <= g) = (1 - 2^-(g+1))^k`. What shares more than `G` with the target cannot be among the `k`: it is the target
/// and `Binomial(m - 1 - k, 2^-(G+1))` of the rest, which is the next `m`.
#[must_use]
pub fn mean_hops(n: u32, k: u32) -> f64 {
    // Largest bucket that matters: half of all peers, and ten standard deviations.
    let most = (f64::from(n) / 2.0 + 5.0 * f64::from(n).sqrt() + 10.0).min(f64::from(n - 1)) as u32;
    // Mean hops from a peer whose bucket for the target has m peers.
    let mut by_m: Vec<f64> = vec![1.0; k.min(most) as usize + 1];
    for m in k + 1..=most {
        let mut next = 0.0;
        for (g, probability) in maxima(k) {
            next += probability * over_binomial(m - 1 - k, g + 1, &by_m);
        }
        let misses = 1.0 - f64::from(k) / f64::from(m);
        by_m.push(1.0 + misses * next);
    }
    // The asking peer shares exactly j bits with the target with probability 2^-(j+1).
    let first =
        (0..64).map(|j| libm::ldexp(1.0, -(j + 1)) * over_binomial(n - 2, j as u32 + 1, &by_m));
    first.sum()
}

/// The largest of `k` geometric variables: `(g, P(G = g))`, where that is more than rounding.
fn maxima(k: u32) -> Vec<(u32, f64)> {
    let at_most = |g: i32| libm::pow(1.0 - libm::ldexp(1.0, -(g + 1)), f64::from(k));
    let of = |g: i32| at_most(g) - if g == 0 { 0.0 } else { at_most(g - 1) };
    let all = (0..60).map(|g| (g as u32, of(g)));
    all.filter(|(_, p)| *p > 1e-12).collect()
}

/// The mean of `f(1 + B)` for `B` from `Binomial(trials, 2^-bits)`; what is over ten deviations away is left out.
fn over_binomial(trials: u32, bits: u32, f: &[f64]) -> f64 {
    let (n, p) = (f64::from(trials), libm::ldexp(1.0, -(bits as i32)));
    let spread = 10.0 * (n * p * (1.0 - p)).sqrt() + 10.0;
    let mode = libm::floor((n + 1.0) * p).min(n);
    let (low, high) = ((mode - spread).max(0.0), (mode + spread).min(n));
    let (low, mode, high) = (low as usize, mode as usize, high as usize);
    let odds = p / (1.0 - p);
    let value = |b: usize| f[(1 + b).min(f.len() - 1)];
    // Weights relative to the mode's, by the ratio of neighbours; the sum sets them right.
    let (mut total, mut mean) = (1.0, value(mode));
    let mut weight = 1.0;
    for b in mode..high {
        weight *= (n - b as f64) / (b as f64 + 1.0) * odds;
        total += weight;
        mean += weight * value(b + 1);
    }
    weight = 1.0;
    for b in (low..mode).rev() {
        weight *= (b as f64 + 1.0) / ((n - b as f64) * odds);
        total += weight;
        mean += weight * value(b);
    }
    mean / total
}

/// How far gossip gets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpidemicCheck {
    /// Peers.
    pub n: u32,
    /// Peers that each infected one tells.
    pub fanout: u32,
    /// Share of messages lost.
    pub loss_share: f64,
    /// Runs in which it did not die out at once.
    pub taken_off: u32,
    /// Mean share of peers reached in those.
    pub final_share: f64,
    /// The solution of [`final_share`].
    pub theory: f64,
}

impl EpidemicCheck {
    /// As a comparison: 1 % is allowed.
    #[must_use]
    pub fn check(&self) -> Check {
        Check::within_share(
            format!(
                "gossip: share reached, {} peers, fanout {}, loss {}",
                self.n, self.fanout, self.loss_share
            ),
            self.final_share,
            self.theory,
            0.01,
        )
    }
}

/// Gossip from one of `n` peers, `runs` times: whoever hears it first tells `fanout` random peers once, through the
/// network's own loss model. Runs that reach less than a tenth died out by chance, which theory counts apart.
#[must_use]
pub fn epidemic(n: u32, fanout: u32, loss_share: f64, seed: u64, runs: u32) -> EpidemicCheck {
    let streams = Streams::new(seed);
    let mut loss = Loss::new(loss_share, &streams);
    let salt = salt(&streams, Purpose::Packet);
    let (mut reached, mut taken_off) = (0.0, 0);
    for run in 0..runs {
        let mut whom = streams.stream(Purpose::Epidemic, run);
        let mut told = vec![false; n as usize];
        let (mut newly, mut count, mut packets) = (vec![0_u32], 1_u32, 0);
        told[0] = true;
        while let Some(from) = newly.pop() {
            for _ in 0..fanout {
                // Anybody but oneself.
                let step = 1 + (whom.next_u64() % u64::from(n - 1)) as u32;
                let to = ((u64::from(from) + u64::from(step)) % u64::from(n)) as u32;
                let packet = Packet {
                    from,
                    to,
                    bytes: 0,
                    kind: PacketKind::Gossip,
                };
                let draw = Draw::new(salt, run, packets);
                packets += 1;
                let arrives = loss.pass(Time(0), &packet, draw, Duration::ZERO).is_some();
                if arrives && !core::mem::replace(&mut told[to as usize], true) {
                    newly.push(to);
                    count += 1;
                }
            }
        }
        let share = f64::from(count) / f64::from(n);
        if share >= 0.1 {
            reached += share;
            taken_off += 1;
        }
    }
    EpidemicCheck {
        n,
        fanout,
        loss_share,
        taken_off,
        final_share: reached / f64::from(taken_off.max(1)),
        theory: final_share(f64::from(fanout) * (1.0 - loss_share)),
    }
}

/// The share of a large population that an epidemic reaches when each case makes `r0` others on average, beyond those
/// who die out at once: the positive solution of `r = 1 - exp(-r0 r)` (Kermack and McKendrick 1927; the same equation
/// gives the giant component of a random graph, Erdos and Renyi 1960). 0 where `r0 <= 1`.
#[must_use]
pub fn final_share(r0: f64) -> f64 {
    if r0 <= 1.0 {
        return 0.0;
    }
    // From above, each step comes closer and none goes past the solution.
    let step = |r: f64, _| 1.0 - libm::exp(-r0 * r);
    (0..10_000).fold(1.0, step)
}
