//! What floods cost a real honest peer: its memory over time, and whether honest work goes on.
//!
//! One honest lender, one flooder that has dialled it, and a requester's daemon whose jobs the lender computes
//! meanwhile. Memory is the kernel's figure for the lender's process, every second.
//! Invariant: a flood ends after its seconds, and so do all processes.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use starling::cli::console::Console;
use starling::cli::exit::{Exit, Failure, Outcome};
use starling_protocol::PeerKey;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::catalogue;
use crate::job::Work;
use crate::requester::Requester;
use crate::stage::{Part, Stage, StageArgs};
use crate::swarm::honest_peers;

/// Most that a flooded peer may take.
const RSS_MAX_MB: f64 = 200.0;
/// Most that it may grow after the first minute.
const GROWTH_MAX: f64 = 1.1;
/// After which it should have all that it is going to have.
const SETTLED: Duration = Duration::from_secs(60);
/// Between two jobs.
const BETWEEN_JOBS: Duration = Duration::from_secs(5);

/// Flood one honest peer, and watch its memory and its work.
///
/// Ends with 0 only if its memory stays below 200 MB and, from the first minute on, within a tenth of what it was then, and every job
/// submitted meanwhile is complete and right.
#[derive(Args, Debug)]
pub struct Flood {
    /// Floods, as `up --strategy` takes them; again for more [default: noise, repetitions, both].
    #[arg(long, value_name = "STRATEGIES")]
    strategy: Vec<String>,
    /// How long each.
    #[arg(long, default_value_t = 120, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(2..=86_400))]
    seconds: u64,
    /// Messages per second of the default floods.
    #[arg(long, default_value_t = 2000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    #[command(flatten)]
    stage: StageArgs,
}

/// What one flood did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Flooded {
    /// Its strategies.
    pub flood: String,
    /// Resident memory before it, MB.
    pub before_mb: f64,
    /// The most.
    pub max_mb: f64,
    /// After 60 s; of a shorter flood nothing is known, and growth is not judged.
    pub settled_mb: Option<f64>,
    /// The most from then on.
    pub settled_max_mb: Option<f64>,
    /// At the end.
    pub end_mb: f64,
    /// Jobs submitted during the flood.
    pub jobs: u32,
    /// Those that were complete and right.
    pub equal: u32,
    /// The longest of them, s.
    pub slowest_job_s: f64,
    /// Honest processes that ended.
    pub fallen: usize,
    /// Why a job failed.
    pub notes: Vec<String>,
}

impl Flooded {
    /// Notes the lender's memory, MB at times since the flood began.
    fn remember(&mut self, samples: &[(Duration, f64)]) {
        let mb = || samples.iter().map(|(_, mb)| *mb);
        let settled = || samples.iter().filter(|(at, _)| *at >= SETTLED);
        self.max_mb = mb().fold(0.0, f64::max);
        self.settled_mb = settled().next().map(|(_, mb)| *mb);
        self.settled_max_mb = settled().map(|(_, mb)| *mb).reduce(f64::max);
        self.end_mb = mb().next_back().unwrap_or_default();
    }

    fn stood(&self) -> bool {
        self.max_mb > 0.0
            && self.max_mb < RSS_MAX_MB
            && self
                .settled_mb
                .zip(self.settled_max_mb)
                .is_none_or(|(settled, most)| most <= settled * GROWTH_MAX)
            && self.jobs > 0
            && self.equal == self.jobs
            && self.fallen == 0
    }
}

impl Flood {
    /// Runs it.
    ///
    /// # Errors
    /// That the swarm cannot be staged.
    pub async fn run(self, console: &Console) -> Outcome {
        let rate = self.rate;
        let noise = format!("{{ flood = {{ messages_per_s = {rate} }} }}");
        let again = format!("{{ replay = {{ messages_per_s = {rate} }} }}");
        let floods = if self.strategy.is_empty() {
            // Of two, the later one is heard over the first.
            vec![noise.clone(), again.clone(), format!("{noise}, {again}")]
        } else {
            self.strategy.clone()
        };
        if !console.json {
            console.data(header());
        }
        let mut all = Vec::new();
        for (number, flood) in floods.iter().enumerate() {
            let title = catalogue::title(&catalogue::parse(flood)?);
            let mut stage = Stage::new(&self.stage.numbered(number))?;
            let flooded = self.flood(&mut stage, flood, title).await;
            stage.end().await;
            let flooded = flooded?;
            if !console.json {
                console.data(line(&flooded));
                flooded.notes.iter().for_each(|note| console.note(note));
            }
            all.push(flooded);
        }
        let stood = all.iter().all(Flooded::stood);
        if console.json {
            console.json(
                &json!({ "floods": all, "seconds": self.seconds, "rate": rate, "stood": stood }),
            );
        }
        Ok(if stood { Exit::Ok } else { Exit::Error })
    }

    async fn flood(
        &self,
        stage: &mut Stage,
        flood: &str,
        title: String,
    ) -> Result<Flooded, Failure> {
        // The lender is the first process.
        let (mut requester, lenders) = honest_peers(stage, 1).await?;
        let before = stage.resident(0);
        let (home, _) = stage.cast("flooder")?;
        let part = Part {
            strategy: flood.to_owned(),
            ..Part::default()
        };
        let flooder = stage.adversary(home, &part)?;
        stage.listening(flooder).await?;
        let mut flooded = Flooded {
            flood: title,
            before_mb: before.unwrap_or_default() / 1e6,
            ..Flooded::default()
        };
        let span = Duration::from_secs(self.seconds);
        let mut samples: Vec<(Duration, f64)> = Vec::new();
        let start = Instant::now();
        let jobs = work(
            &mut requester,
            &lenders,
            start + span,
            self.stage.seed as u32,
        );
        let mut jobs = std::pin::pin!(jobs);
        let mut worked = None;
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while start.elapsed() < span || worked.is_none() {
            tokio::select! {
                done = &mut jobs, if worked.is_none() => worked = Some(done?),
                _ = second.tick() => {
                    let bytes = stage.resident(0).filter(|_| start.elapsed() < span);
                    samples.extend(bytes.map(|b| (start.elapsed(), b / 1e6)));
                }
            }
        }
        flooded.remember(&samples);
        if let Some(worked) = worked {
            flooded.jobs = worked.jobs;
            flooded.equal = worked.equal;
            flooded.slowest_job_s = worked.slowest.as_secs_f64();
            flooded.notes = worked.notes;
        }
        let fallen = stage.fallen();
        flooded.fallen = fallen.len();
        flooded.notes.extend(fallen);
        Ok(flooded)
    }
}

#[derive(Default)]
struct Worked {
    jobs: u32,
    equal: u32,
    slowest: Duration,
    notes: Vec<String>,
}

/// Jobs until then, at least one.
async fn work(
    requester: &mut Requester,
    lenders: &BTreeSet<PeerKey>,
    until: Instant,
    seed: u32,
) -> Result<Worked, Failure> {
    let mut worked = Worked::default();
    while worked.jobs == 0 || Instant::now() < until {
        let job = worked.jobs;
        let work = Work::noop(512, seed.wrapping_add(job)).cut(128);
        let ended = requester.run(&work, lenders.len()).await?;
        worked.jobs += 1;
        worked.equal += u32::from(ended.complete && ended.equal);
        worked.slowest = worked.slowest.max(ended.took);
        if !(ended.complete && ended.equal) {
            let why = ended.why.unwrap_or_else(|| "its bytes differ".into());
            worked.notes.push(format!("job {job}: {why}"));
        }
        let next = Instant::now() + BETWEEN_JOBS;
        tokio::time::sleep_until(next.min(until)).await;
    }
    Ok(worked)
}

fn header() -> String {
    format!(
        "{:<20} {:>9} {:>7} {:>10} {:>14} {:>7} {:>5} {:>6} {:>13} {:>7}",
        "flood",
        "before_mb",
        "max_mb",
        "settled_mb",
        "settled_max_mb",
        "end_mb",
        "jobs",
        "equal",
        "slowest_job_s",
        "stood"
    )
}

fn line(f: &Flooded) -> String {
    let known = |mb: Option<f64>| mb.map_or("-".into(), |mb| format!("{mb:.1}"));
    format!(
        "{:<20} {:>9.1} {:>7.1} {:>10} {:>14} {:>7.1} {:>5} {:>6} {:>13.1} {:>7}",
        f.flood,
        f.before_mb,
        f.max_mb,
        known(f.settled_mb),
        known(f.settled_max_mb),
        f.end_mb,
        f.jobs,
        f.equal,
        f.slowest_job_s,
        f.stood()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flooded(samples: &[(u64, f64)]) -> Flooded {
        let mut flooded = Flooded {
            jobs: 1,
            equal: 1,
            ..Flooded::default()
        };
        let timed = samples.iter().map(|(s, mb)| (Duration::from_secs(*s), *mb));
        flooded.remember(&timed.collect::<Vec<_>>());
        flooded
    }

    #[test]
    fn growth_is_judged_by_the_most_after_a_minute() {
        // A second without a figure moves nothing.
        let calm = flooded(&[(0, 30.0), (58, 80.0), (61, 60.0), (90, 65.0), (119, 61.0)]);
        assert_eq!(
            (calm.settled_mb, calm.settled_max_mb),
            (Some(60.0), Some(65.0))
        );
        assert!(calm.stood());
        let back = flooded(&[(0, 30.0), (60, 60.0), (90, 70.0), (119, 60.0)]);
        assert!(!back.stood(), "it had grown, though not at the end");
        assert!(!flooded(&[(0, 30.0), (10, 201.0), (60, 60.0)]).stood());
        assert!(
            flooded(&[(0, 30.0), (10, 100.0)]).stood(),
            "too short to judge"
        );
    }
}
