//! A swarm of processes, a part of which misbehaves: do honest jobs end, with the right bytes, and is nobody honest
//! blamed?
//!
//! Honest peers stay for all cases; each case brings adversaries of its own, with fresh identities. What an adversary's
//! own jobs do to those who work for it is its affair, and not counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;
use starling::cli::console::Console;
use starling::cli::exit::{Exit, Failure, Outcome};
use starling_adversaries::{Strategy, forfeits};
use starling_protocol::PeerKey;
use tokio::time::Instant;

use crate::catalogue::{self, CATALOGUE};
use crate::job::Work;
use crate::requester::Requester;
use crate::stage::{Part, Stage, StageArgs};

/// Adversaries need not be found by anybody: a wrong clock hides one.
const ADVERSARIES: Duration = Duration::from_secs(5);
/// A job that takes longer is worth a note.
const SLOW: Duration = Duration::from_secs(10);
/// Jobs that an adversary submits itself, where requesters misbehave.
const OWN_JOBS: u32 = 3;
/// Tiles of a no-op slice: twice what is drawn of it.
const SLICE_TILES: u32 = 64;
/// Slices of a job: more than lenders, so that adversaries get theirs.
const SLICES: u32 = 24;

/// Which cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cases {
    /// Every strategy of the catalogue by itself.
    Each,
    /// All of them together: as many adversaries as strategies, such as those of 81 processes, have each of them.
    All,
    /// First each, then all.
    Both,
}

/// Start a swarm of processes with adversaries in it, and have jobs computed.
///
/// Ends with 0 only if every job was complete and equal to a local run, and no honest peer was blamed or fell.
#[derive(Args, Debug)]
pub struct Swarm {
    /// Processes, the requester's daemon and the adversaries among them. Each takes up to 65 MB and a second of one core
    /// to start, and little while it idles; 20 fill the rosters of the newcomer rule (16 auditors), and two cores carry
    /// them without an audit coming late.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(3..=200))]
    processes: u32,
    /// Adversaries among them [default: a third].
    #[arg(long, value_name = "N")]
    adversaries: Option<u32>,
    /// Jobs of each case, every other one a picture.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    jobs: u32,
    /// Which cases.
    #[arg(long, value_enum, default_value_t = Cases::Both)]
    cases: Cases,
    /// Only this case, as `up --strategy` takes it; again for more.
    #[arg(long, value_name = "STRATEGIES", conflicts_with = "cases")]
    strategy: Vec<String>,
    /// Begin no case after so many seconds.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    limit: u64,
    #[command(flatten)]
    stage: StageArgs,
}

/// What one case came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Its strategies.
    pub case: String,
    /// Of all together, those for which there was no adversary.
    pub left_out: Vec<String>,
    /// Adversaries, and those that the requester found.
    pub adversaries: usize,
    /// See above.
    pub found: usize,
    /// Submitted.
    pub jobs: u32,
    /// Those that ended with all slices.
    pub complete: u32,
    /// Those whose bytes were those of a local run.
    pub equal: u32,
    /// Leases that adversaries got, and calls to audit.
    pub leases: usize,
    /// See above.
    pub audits: usize,
    /// Adversaries that were caught at something.
    pub cheats_caught: usize,
    /// Slices of adversaries that passed, right or wrong.
    pub passed_by_adversaries: u32,
    /// Slices that the requester computed itself.
    pub own: u32,
    /// Peers blamed for what they had not done: all honest ones, and adversaries that are merely faulty.
    pub wronged: usize,
    /// Honest processes that ended.
    pub fallen: usize,
    /// Leases that ended early, by reason.
    pub reopened: BTreeMap<String, u32>,
    /// From the first submission to the last end, s.
    pub wall_s: f64,
    /// From the end of the last adversary until the requester counted on none of them any more, s.
    pub forgotten_s: f64,
    /// What did not go well.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether honest peers stood it.
    pub fn stood(&self) -> bool {
        self.equal == self.jobs && self.wronged == 0 && self.fallen == 0
    }
}

/// One case: what each of the adversaries does.
struct Case {
    title: String,
    parts: Vec<(String, Vec<Strategy>)>,
    left_out: Vec<String>,
}

impl Swarm {
    fn cast(&self) -> Result<(usize, usize), Failure> {
        let adversaries = self.adversaries.unwrap_or(self.processes / 3);
        // The requester, and two to compute and to audit.
        match self.processes.checked_sub(adversaries) {
            Some(honest) if honest >= 3 => Ok((honest as usize - 1, adversaries as usize)),
            _ => Err(Failure::new(
                Exit::Usage,
                format!("{adversaries} adversaries leave too few honest peers"),
                "ask for fewer --adversaries, or more --processes",
            )),
        }
    }

    fn cases(&self, adversaries: usize) -> Result<Vec<Case>, Failure> {
        let alone = |text: &str| -> Result<Case, Failure> {
            let strategies = catalogue::parse(text)?;
            Ok(Case {
                title: catalogue::title(&strategies),
                parts: vec![(text.to_owned(), strategies); adversaries],
                left_out: Vec::new(),
            })
        };
        if !self.strategy.is_empty() {
            return self.strategy.iter().map(|text| alone(text)).collect();
        }
        let mut cases = Vec::new();
        if self.cases != Cases::All {
            for (text, _) in CATALOGUE {
                cases.push(alone(text)?);
            }
        }
        if self.cases != Cases::Each {
            let parsed = |(text, _): &(&str, _)| -> Result<_, Failure> {
                Ok(((*text).to_owned(), catalogue::parse(text)?))
            };
            let parts = CATALOGUE.iter().cycle().take(adversaries).map(parsed);
            let left_out = CATALOGUE.iter().skip(adversaries).map(parsed);
            let left_out = left_out.map(|one| Ok(catalogue::title(&one?.1)));
            cases.push(Case {
                title: "all together".into(),
                parts: parts.collect::<Result<_, Failure>>()?,
                left_out: left_out.collect::<Result<_, Failure>>()?,
            });
        }
        Ok(cases)
    }

    /// Runs all cases.
    ///
    /// # Errors
    /// That the swarm cannot be staged.
    pub async fn run(self, console: &Console) -> Outcome {
        let (honest, adversaries) = self.cast()?;
        let cases = self.cases(adversaries)?;
        let start = Instant::now();
        let mut stage = Stage::new(&self.stage)?;
        let outcome = self.play(&mut stage, honest, cases, console, start).await;
        stage.end().await;
        let reports = outcome?;
        let stood = reports.iter().all(Report::stood);
        if console.json {
            console.json(&json!({
                "processes": self.processes, "seed": self.stage.seed, "cases": reports, "stood": stood,
                "wall_s": start.elapsed().as_secs_f64(),
            }));
        }
        Ok(if stood { Exit::Ok } else { Exit::Error })
    }

    async fn play(
        &self,
        stage: &mut Stage,
        honest: usize,
        cases: Vec<Case>,
        console: &Console,
        start: Instant,
    ) -> Result<Vec<Report>, Failure> {
        let (mut requester, lenders) = honest_peers(stage, honest).await?;
        console.note(format!(
            "{} honest processes met after {:.1} s",
            honest + 1,
            start.elapsed().as_secs_f64()
        ));
        if !console.json {
            console.data(header());
        }
        let mut reports = Vec::new();
        for (number, case) in (0_u32..).zip(cases) {
            if start.elapsed() > Duration::from_secs(self.limit) {
                console.note(format!("--limit: no more cases after {number}"));
                break;
            }
            let report = self
                .case(stage, &mut requester, &lenders, number, &case)
                .await?;
            if !console.json {
                console.data(line(&report));
                if !report.reopened.is_empty() {
                    console.note(format!(
                        "    leases that ended early: {:?}",
                        report.reopened
                    ));
                }
                report.notes.iter().for_each(|note| console.note(note));
            }
            reports.push(report);
        }
        Ok(reports)
    }

    async fn case(
        &self,
        stage: &mut Stage,
        requester: &mut Requester,
        lenders: &BTreeSet<PeerKey>,
        number: u32,
        case: &Case,
    ) -> Result<Report, Failure> {
        let mut report = Report {
            case: case.title.clone(),
            adversaries: case.parts.len(),
            left_out: case.left_out.clone(),
            ..Report::default()
        };
        if !case.left_out.is_empty() {
            let without = case.left_out.join(", ");
            let all = CATALOGUE.len();
            let note =
                format!("too few for all {all} strategies (--adversaries), without {without}");
            report.notes.push(note);
        }
        let mut cast = Vec::new();
        for at in 0..case.parts.len() {
            cast.push(stage.cast(&format!("adversary-{number}-{at}"))?);
        }
        let friends: Vec<PeerKey> = cast.iter().map(|(_, key)| *key).collect();
        let mut who = Vec::new();
        for ((home, _), (text, strategies)) in cast.into_iter().zip(&case.parts) {
            let part = Part {
                strategy: text.clone(),
                friends: friends.clone(),
                jobs: OWN_JOBS * u32::from(forfeits(strategies).own_jobs),
            };
            who.push(stage.adversary(home, &part)?);
        }
        for index in &who {
            stage.listening(*index).await?;
        }
        requester.meets_all(lenders).await?;
        let adversaries: BTreeSet<PeerKey> = friends.iter().copied().collect();
        report.found = requester.meets(&adversaries, ADVERSARIES).await?;
        let start = Instant::now();
        let (mut caught, mut wronged) = (BTreeSet::new(), BTreeSet::new());
        let given_up = |peer: &PeerKey| {
            let at = friends.iter().position(|f| f == peer);
            at.map(|at| forfeits(&case.parts[at].1)).unwrap_or_default()
        };
        for job in 0..self.jobs {
            let ended = requester
                .run(&self.work(number, job), lenders.len())
                .await?;
            report.jobs += 1;
            if ended.took > SLOW {
                report.notes.push(format!(
                    "job {job} took {:.1} s: submitted after {:.1}, its latest slice after {:.1}, roster {}",
                    ended.took.as_secs_f64(),
                    ended.submitted.as_secs_f64(),
                    ended.latest.as_secs_f64(),
                    ended.roster,
                ));
            }
            report.complete += u32::from(ended.complete);
            report.equal += u32::from(ended.complete && ended.equal);
            report.own += ended.own;
            let theirs = |who: &[PeerKey]| who.iter().filter(|p| adversaries.contains(p)).count();
            report.leases += theirs(&ended.leased);
            report.audits += theirs(&ended.audited);
            for (reason, count) in ended.reopened {
                *report.reopened.entry(reason).or_default() += count;
            }
            report.passed_by_adversaries += ended
                .passed
                .iter()
                .filter(|p| adversaries.contains(&p.worker))
                .count() as u32;
            for one in &ended.caught {
                if given_up(&one.worker).blamable() {
                    caught.insert(one.worker);
                } else {
                    wronged.insert(one.worker);
                    let note = format!("blamed without guilt: {one:?}");
                    report.notes.push(note);
                }
            }
            for accuser in &ended.accusers {
                if given_up(accuser).accuses {
                    caught.insert(*accuser);
                } else {
                    wronged.insert(*accuser);
                    report
                        .notes
                        .push(format!("called a false accuser without guilt: {accuser}"));
                }
            }
            if !(ended.complete && ended.equal) {
                let why = ended.why.unwrap_or_else(|| "its bytes differ".into());
                report.notes.push(format!("job {job}: {why}"));
            }
        }
        report.wall_s = start.elapsed().as_secs_f64();
        report.cheats_caught = caught.len();
        report.wronged = wronged.len();
        let fallen = stage.fallen();
        report.fallen = fallen.len();
        report.notes.extend(fallen);
        stage.dismiss(&who).await;
        // The next case is not to be theirs: whoever is still counted on delays its audits.
        let left = Instant::now();
        if let Err(failure) = requester.meets_only(lenders).await {
            report
                .notes
                .push(format!("not forgotten: {}", failure.what));
        }
        report.forgotten_s = left.elapsed().as_secs_f64();
        Ok(report)
    }

    fn work(&self, case: u32, job: u32) -> Work {
        let seed = (self.stage.seed as u32).wrapping_add(case * 1000 + job);
        if job % 2 == 1 {
            Work::fractal(seed)
        } else {
            Work::noop(SLICES * SLICE_TILES, seed).cut(SLICE_TILES)
        }
    }
}

/// Starts the honest peers and the requester's daemon, and has them meet.
///
/// # Errors
/// That they do not.
pub async fn honest_peers(
    stage: &mut Stage,
    honest: usize,
) -> Result<(Requester, BTreeSet<PeerKey>), Failure> {
    let first = stage.honest(true)?;
    let mut keys = BTreeSet::from([stage.listening(first).await?]);
    let mut rest = Vec::new();
    for _ in 1..honest {
        rest.push(stage.honest(true)?);
    }
    let daemon = stage.honest(false)?;
    for index in rest {
        keys.insert(stage.listening(index).await?);
    }
    stage.listening(daemon).await?;
    let requester = Requester::new(stage.client(daemon).await?).await?;
    requester.meets_all(&keys).await?;
    Ok((requester, keys))
}

fn header() -> String {
    format!(
        "{:<44} {:>5} {:>8} {:>5} {:>6} {:>6} {:>6} {:>6} {:>7} {:>6} {:>7} {:>11}",
        "adversaries",
        "jobs",
        "complete",
        "equal",
        "leases",
        "audits",
        "caught",
        "passed",
        "wronged",
        "fallen",
        "wall_s",
        "forgotten_s"
    )
}

fn line(report: &Report) -> String {
    format!(
        "{:<44} {:>5} {:>8} {:>5} {:>6} {:>6} {:>6} {:>6} {:>7} {:>6} {:>7.1} {:>11.1}",
        format!("{} x {}", report.adversaries, report.case),
        report.jobs,
        report.complete,
        report.equal,
        report.leases,
        report.audits,
        report.cheats_caught,
        report.passed_by_adversaries,
        report.wronged,
        report.fallen,
        report.wall_s,
        report.forgotten_s,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::collections::BTreeSet;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        swarm: Swarm,
    }

    fn together(processes: &str) -> Case {
        let line = ["swarm", "--cases", "all", "--processes", processes];
        let swarm = Line::parse_from(line).swarm;
        let (_, adversaries) = swarm.cast().expect("enough are honest");
        swarm.cases(adversaries).expect("cases").remove(0)
    }

    #[test]
    fn all_together_are_all_or_it_says_who_is_not() {
        let all = together("81");
        let played: BTreeSet<&String> = all.parts.iter().map(|(text, _)| text).collect();
        assert_eq!((played.len(), all.left_out.len()), (CATALOGUE.len(), 0));
        let few = together("20");
        assert_eq!(few.parts.len() + few.left_out.len(), CATALOGUE.len());
    }
}
