//! How often real auditors refute slices of which a share is faked, against the formula.
//!
//! Everybody that lends fakes that share, and audits honestly; a requester's daemon sees who is caught. Jobs of one
//! slice run one after another, so that no verdict hides another, and whoever was caught comes back as somebody new
//! before the next: every trial is a newcomer's. A slice that passes is compared with the truth: one that has no faked
//! tile is no trial. Invariant: refuted and passed are what the requester saw, not what a faker says.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use starling::cli::console::Console;
use starling::cli::exit::{Exit, Failure, Outcome};
use starling_protocol::manifest::Intensity;
use starling_protocol::{PeerKey, Reason};
use tokio::time::Instant;

use crate::formula::{Rules, wilson};
use crate::job::Work;
use crate::requester::{Ended, Requester};
use crate::stage::{Part, Stage, StageArgs};

/// Tiles of a slice, as in the simulator's study.
const TILES: u32 = 512;
/// Fakers that are reborn at once.
const WAVE: usize = 3;
/// Before a job that was refused is asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two words about how far it is.
const SAY: u32 = 50;

/// Count how often faked slices are refuted, and compare it with the formula.
///
/// Ends with 0 only if the formula is within the 95 % interval of every count; one in twenty is outside by chance.
#[derive(Args, Debug)]
pub struct Detect {
    /// Shares of faked tiles, 0 to 1.
    #[arg(
        long,
        value_name = "SHARES",
        value_delimiter = ',',
        default_value = "0.01,0.1,0.5,1"
    )]
    q: Vec<f64>,
    /// Slices with faked tiles for each share.
    #[arg(long, default_value_t = 400, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    slices: u32,
    /// Fakers, who audit each other: 17 make the newcomer rule's 16 auditors, of two tiles each.
    #[arg(long, default_value_t = 17, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=200))]
    lenders: u32,
    /// Give up a share after so many seconds.
    #[arg(long, default_value_t = 1800, value_name = "SECONDS")]
    limit: u64,
    #[command(flatten)]
    stage: StageArgs,
}

/// What was counted for one share.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counted {
    /// Share of faked tiles.
    pub q: f64,
    /// Slices that were refuted.
    pub refuted: u32,
    /// Slices with a faked tile that got a receipt.
    pub passed: u32,
    /// Of those refuted, by what the requester computed itself.
    pub by_requester: u32,
    /// Of those passed, without a quorum of auditors: the requester's own draw counts too.
    pub without_quorum: u32,
    /// Slices of fakers in which the draw of their tiles faked none.
    pub honest: u32,
    /// Leases that ended otherwise, by reason.
    pub otherwise: BTreeMap<String, u32>,
    /// Auditors, and tiles of each.
    pub k: u8,
    /// See above.
    pub s: u16,
    /// The share refuted.
    pub measured: f64,
    /// Its 95 % interval.
    pub low: f64,
    /// See above.
    pub high: f64,
    /// What the formula says.
    pub formula: f64,
    /// Jobs.
    pub jobs: u32,
    /// Identities that were used up.
    pub identities: usize,
    /// In jobs, and until those who were caught had come back, s.
    pub jobs_s: f64,
    /// See above.
    pub rebirth_s: f64,
    /// Altogether, s.
    pub wall_s: f64,
    /// The formula is in the interval, and there were as many slices as asked for.
    pub holds: bool,
    /// Sum of the trials' probabilities.
    #[serde(skip)]
    expected: f64,
}

impl Detect {
    /// Runs it.
    ///
    /// # Errors
    /// That the swarm cannot be staged.
    pub async fn run(self, console: &Console) -> Outcome {
        if self
            .q
            .iter()
            .any(|q| !(q.is_finite() && *q > 0.0 && *q <= 1.0))
        {
            let fix = "write them as 0.01,0.5";
            return Err(Failure::new(
                Exit::Usage,
                "--q takes shares above 0, up to 1",
                fix,
            ));
        }
        if !console.json {
            console.data(header());
        }
        let mut all = Vec::new();
        for (number, q) in self.q.iter().enumerate() {
            let counted = self.share(number, *q, console).await?;
            if !console.json {
                console.data(line(&counted));
            }
            all.push(counted);
        }
        let holds = all.iter().all(|c| c.holds);
        if console.json {
            console.json(&json!({ "shares": all, "holds": holds, "seed": self.stage.seed }));
        }
        Ok(if holds { Exit::Ok } else { Exit::Error })
    }

    async fn share(&self, number: usize, q: f64, console: &Console) -> Result<Counted, Failure> {
        let mut stage = Stage::new(&self.stage.numbered(number))?;
        let counted = self.count(&mut stage, q, console).await;
        stage.end().await;
        counted
    }

    async fn count(
        &self,
        stage: &mut Stage,
        q: f64,
        console: &Console,
    ) -> Result<Counted, Failure> {
        let start = Instant::now();
        let daemon = stage.honest(false)?;
        stage.listening(daemon).await?;
        let part = Part {
            strategy: format!("{{ fake_share = {q:?} }}"),
            ..Part::default()
        };
        let mut fakers = BTreeMap::new();
        let mut started = Vec::new();
        for at in 0..self.lenders {
            let (home, key) = stage.cast(&format!("faker-{at}"))?;
            started.push((stage.adversary(home, &part)?, key));
        }
        for (index, key) in started {
            stage.listening(index).await?;
            fakers.insert(key, index);
        }
        let mut requester = Requester::new(stage.client(daemon).await?).await?;
        requester
            .meets_only(&fakers.keys().copied().collect())
            .await?;
        let mut counted = Counted {
            q,
            identities: fakers.len(),
            ..Counted::default()
        };
        let limit = Duration::from_secs(self.limit);
        let mut said = SAY;
        while counted.trials() < self.slices && start.elapsed() < limit {
            let seed = (self.stage.seed as u32).wrapping_mul(65_537);
            let work = Work::noop(TILES, seed.wrapping_add(counted.jobs)).held_alone();
            let ended = requester.run(&work, fakers.len()).await?;
            counted.jobs_s += ended.took.as_secs_f64();
            counted.note(&ended, requester.me(), self.slices);
            if ended.roster == 0 {
                // Refused, perhaps at once: asking again at once would ask for ever.
                tokio::time::sleep(AGAIN).await;
            }
            let caught: Vec<PeerKey> = ended.caught.iter().map(|c| c.worker).collect();
            let who: Vec<usize> = caught.iter().filter_map(|key| fakers.remove(key)).collect();
            if !who.is_empty() {
                let began = Instant::now();
                // A few at a time: when many leave at once, nobody is left to pass their goodbyes on.
                for who in who.chunks(WAVE) {
                    let keys = stage.reborn(who).await?;
                    counted.identities += keys.len();
                    fakers.extend(keys.into_iter().zip(who.iter().copied()));
                }
                requester
                    .meets_only(&fakers.keys().copied().collect())
                    .await?;
                counted.rebirth_s += began.elapsed().as_secs_f64();
            }
            if counted.trials() >= said {
                console.note(format!(
                    "q {q}: {} of {} slices, {} refuted, {:.0} s",
                    counted.trials(),
                    self.slices,
                    counted.refuted,
                    start.elapsed().as_secs_f64()
                ));
                said = counted.trials() + SAY;
            }
        }
        let fallen = stage.fallen();
        if !fallen.is_empty() {
            return Err(Failure::of(format!(
                "the requester's daemon ended: {fallen:?}"
            )));
        }
        counted.conclude(self.slices, start.elapsed());
        Ok(counted)
    }
}

impl Counted {
    fn trials(&self) -> u32 {
        self.refuted + self.passed
    }

    /// One job: the leases of its only slice, each to a faker that nobody has caught before. Trials beyond what was
    /// asked for would make the number depend on the outcome.
    fn note(&mut self, ended: &Ended, me: Option<PeerKey>, most: u32) {
        self.jobs += 1;
        // No lender is a steward, so that all but the worker may audit.
        let rules = Intensity::newcomer(ended.roster.saturating_sub(1));
        (self.k, self.s) = (rules.k, rules.s);
        let detected = |own| {
            let rules = Rules {
                tiles: TILES,
                k: u32::from(rules.k),
                s: u32::from(rules.s),
                own,
            };
            rules.detected(self.q)
        };
        let (quorum, own) = (detected(false), detected(true));
        for caught in &ended.caught {
            // Other reasons are among those for which leases ended early, below.
            if caught.reason == Reason::Refuted && self.trials() < most {
                // By its ringers, as a rule, which stand beside every quorum. That it had to draw for itself is not
                // told, and taking that for granted would choose the formula by the outcome.
                self.by_requester += u32::from(caught.by.is_some() && caught.by == me);
                self.refuted += 1;
                self.expected += quorum;
            }
        }
        for (reason, count) in &ended.reopened {
            if *reason != format!("{:?}", Reason::Refuted) {
                *self.otherwise.entry(reason.clone()).or_default() += count;
            }
        }
        for passed in &ended.passed {
            match passed.right {
                Some(true) => self.honest += 1,
                Some(false) if self.trials() < most => {
                    self.passed += 1;
                    self.without_quorum += u32::from(!passed.quorum);
                    self.expected += if passed.quorum { quorum } else { own };
                }
                // What cannot be compared is no trial.
                Some(false) | None => {}
            }
        }
    }

    fn conclude(&mut self, asked: u32, took: Duration) {
        let trials = self.trials();
        self.measured = f64::from(self.refuted) / f64::from(trials.max(1));
        self.formula = self.expected / f64::from(trials.max(1));
        (self.low, self.high) = wilson(self.refuted, trials);
        self.wall_s = took.as_secs_f64();
        // A certainty is the interval's end, and rounding may leave it outside.
        let within = (self.low - 1e-9..=self.high + 1e-9).contains(&self.formula);
        self.holds = within && trials >= asked;
    }
}

fn header() -> String {
    format!(
        "{:>5} {:>7} {:>7} {:>9} {:>15} {:>8} {:>6} {:>10} {:>7}",
        "q", "slices", "refuted", "measured", "95 %", "formula", "holds", "no quorum", "wall_s"
    )
}

fn line(c: &Counted) -> String {
    format!(
        "{:>5} {:>7} {:>7} {:>9.4} {:>15} {:>8.4} {:>6} {:>10} {:>7.0}   k {}, s {}, {} jobs in {:.0} s, {} identities in {:.0} s, {} without a fake, otherwise {:?}",
        c.q,
        c.trials(),
        c.refuted,
        c.measured,
        format!("{:.4} {:.4}", c.low, c.high),
        c.formula,
        c.holds,
        c.without_quorum,
        c.wall_s,
        c.k,
        c.s,
        c.jobs,
        c.jobs_s,
        c.identities,
        c.rebirth_s,
        c.honest,
        c.otherwise,
    )
}
