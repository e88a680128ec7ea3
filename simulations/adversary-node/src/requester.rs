//! An honest requester among adversaries: it submits through the local API of a real daemon, hears what its protocol
//! says of everybody, fetches the output and compares it with a run here alone.
//!
//! Invariant: every job ends here, done, failed or cancelled; what is counted about a peer is what this requester saw.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use starling::api::client::{Client, Events, Told};
use starling::api::types::JobView;
use starling::cli::exit::Failure;
use starling::driver::Happening;
use starling::jobs::{JobState, Side};
use starling_protocol::receipt::Quorum;
use starling_protocol::{Event, JobId, PeerKey, Reason};
use tokio::time::Instant;

use crate::job::{DEADLINE_S, Work};

/// Peers are waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// A job may take this long: its deadline, and time to say so.
const JOB: Duration = Duration::from_secs(DEADLINE_S + 15);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// A slice that somebody handed in.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// Which.
    pub slice: u32,
    /// By whom.
    pub worker: PeerKey,
    /// Whether auditors agreed; else the requester recomputed what was opened.
    pub quorum: bool,
    /// Whether its bytes are right; not known if they were not fetched.
    pub right: Option<bool>,
}

/// A worker that was caught.
#[derive(Clone, Copy, Debug)]
pub struct Caught {
    /// Who.
    pub worker: PeerKey,
    /// Whose recomputation showed it, if any did.
    pub by: Option<PeerKey>,
    /// How.
    pub reason: Reason,
}

/// What became of a job.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// Peers in its roster.
    pub roster: usize,
    /// All slices came.
    pub complete: bool,
    /// All their bytes are right.
    pub equal: bool,
    /// Why it did not end well.
    pub why: Option<String>,
    /// Who was given a slice, each time.
    pub leased: Vec<PeerKey>,
    /// Who was called to audit, each time.
    pub audited: Vec<PeerKey>,
    /// Slices of others.
    pub passed: Vec<Passed>,
    /// Slices that the requester had to compute itself.
    pub own: u32,
    /// In their order.
    pub caught: Vec<Caught>,
    /// Auditors that accused an honest worker.
    pub accusers: Vec<PeerKey>,
    /// Leases that ended early, by reason.
    pub reopened: BTreeMap<String, u32>,
    /// Until it was submitted: peers were found, the roster drawn up.
    pub submitted: Duration,
    /// Until its latest slice was done.
    pub latest: Duration,
    /// From the order to the end.
    pub took: Duration,
}

/// The requester of one daemon.
pub struct Requester {
    client: Client,
    events: Events,
    /// Its own key, once it has submitted something.
    me: Option<PeerKey>,
}

impl Requester {
    /// Through a daemon's local API.
    ///
    /// # Errors
    /// That it does not answer.
    pub async fn new(client: Client) -> Result<Self, Failure> {
        let mut events = client.events(None, None);
        events.open().await.map_err(Failure::from)?;
        Ok(Self {
            client,
            events,
            me: None,
        })
    }

    /// Those who would work for this requester now.
    async fn eligible(&self) -> Result<BTreeSet<PeerKey>, Failure> {
        let kernel = Work::noop(1, 0).kernel();
        let eligible = self.client.eligible(&kernel, None).await;
        let eligible = eligible.map_err(Failure::from)?.peers;
        Ok(eligible.into_iter().map(|p| p.advert.peer).collect())
    }

    /// Waits until those who would work for this requester are as wanted; answers who would after `patience`.
    async fn until(
        &self,
        patience: Duration,
        fits: impl Fn(&BTreeSet<PeerKey>) -> bool,
    ) -> Result<BTreeSet<PeerKey>, Failure> {
        let until = Instant::now() + patience;
        loop {
            let here = self.eligible().await?;
            if fits(&here) || Instant::now() > until {
                return Ok(here);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until all of `wanted` would work for this requester; answers how many would after `patience`.
    ///
    /// # Errors
    /// That the daemon does not answer.
    pub async fn meets(
        &self,
        wanted: &BTreeSet<PeerKey>,
        patience: Duration,
    ) -> Result<usize, Failure> {
        let here = self
            .until(patience, |here| here.is_superset(wanted))
            .await?;
        Ok(here.intersection(wanted).count())
    }

    /// As [`Requester::meets`], and one that does not come is a failure.
    ///
    /// # Errors
    /// Also that somebody did not come.
    pub async fn meets_all(&self, wanted: &BTreeSet<PeerKey>) -> Result<(), Failure> {
        let here = self.meets(wanted, PATIENCE).await?;
        if here == wanted.len() {
            return Ok(());
        }
        Err(missed(format!(
            "{here} of {} peers were found",
            wanted.len()
        )))
    }

    /// Waits until just these would work for this requester: whoever has left is forgotten too.
    ///
    /// # Errors
    /// That it takes too long.
    pub async fn meets_only(&self, wanted: &BTreeSet<PeerKey>) -> Result<(), Failure> {
        let here = self.until(PATIENCE, |here| here == wanted).await?;
        if here == *wanted {
            return Ok(());
        }
        let (found, others) = (
            here.intersection(wanted).count(),
            here.difference(wanted).count(),
        );
        Err(missed(format!(
            "{found} of {} peers were found, and {others} that have left",
            wanted.len()
        )))
    }

    /// Runs a job to its end.
    ///
    /// # Errors
    /// That the daemon does not answer; that a job fails is no error.
    pub async fn run(&mut self, work: &Work, peers: usize) -> Result<Ended, Failure> {
        let start = Instant::now();
        let mut ended = Ended::default();
        let order = work.order(u32::try_from(peers).unwrap_or(u32::MAX).max(1));
        let view = match self.client.submit(&order).await {
            Ok(view) => view,
            Err(reason) => {
                ended.why = Some(reason.to_string());
                return Ok(ended);
            }
        };
        let id = view.file.job;
        self.me = Some(view.file.requester);
        ended.submitted = start.elapsed();
        let followed = tokio::time::timeout(JOB, self.follow(id, start, &mut ended)).await;
        if followed.is_err() {
            ended.why = Some("it did not end in time".into());
        }
        ended.took = start.elapsed();
        let name = id.to_string();
        if !ended.complete {
            // It may have ended just now.
            let _ = self.client.cancel(&name).await;
        }
        if ended.complete {
            self.compare(&name, work, &mut ended).await?;
        }
        // What was compared is not needed any more.
        let _ = self.client.collected(&name).await;
        let _ = self.client.forget(&name).await;
        Ok(ended)
    }

    async fn follow(&mut self, job: JobId, start: Instant, ended: &mut Ended) {
        loop {
            match self.events.next().await {
                Ok(Told::Happening(one)) if one.side == Side::Requester => {
                    if let Happening::Core(event) = &one.happening
                        && one.job() == Some(job)
                    {
                        if matches!(event, Event::SliceDone { .. }) {
                            ended.latest = start.elapsed();
                        }
                        if self.note(event, ended) {
                            return;
                        }
                    }
                }
                Ok(Told::Happening(_)) => {}
                // Only the account knows whether the end was among them.
                Ok(Told::Missed(n)) => {
                    ended.why = Some(format!("{n} events were missed"));
                    if let Ok(JobView { file, .. }) = self.client.job(&job.to_string()).await
                        && file.state != JobState::Running
                    {
                        ended.complete = file.state == JobState::Done;
                        return;
                    }
                }
                Err(reason) => {
                    ended.why = Some(reason.to_string());
                    return;
                }
            }
        }
    }

    /// Whether it was the job's last.
    fn note(&self, event: &Event, ended: &mut Ended) -> bool {
        match event {
            Event::Submitted { roster, .. } => ended.roster = *roster,
            Event::SliceDone { worker, .. } if Some(*worker) == self.me => ended.own += 1,
            Event::SliceDone {
                slice,
                worker,
                receipt,
                ..
            } => ended.passed.push(Passed {
                slice: *slice,
                worker: *worker,
                quorum: receipt
                    .as_ref()
                    .is_some_and(|r| matches!(r.quorum, Quorum::Auditors(_))),
                right: None,
            }),
            Event::Leased { worker, .. } => ended.leased.push(*worker),
            Event::Auditing { auditors, .. } => ended.audited.extend(auditors),
            Event::SliceReopened { reason, .. } => {
                *ended.reopened.entry(format!("{reason:?}")).or_default() += 1;
            }
            Event::CheatCaught {
                worker, by, reason, ..
            } => ended.caught.push(Caught {
                worker: *worker,
                by: *by,
                reason: *reason,
            }),
            Event::FalseAccusation { accuser, .. } => ended.accusers.push(*accuser),
            Event::JobDone { .. } => {
                ended.complete = true;
                return true;
            }
            Event::JobFailed { reason, .. } => {
                ended.why = Some(reason.to_string());
                return true;
            }
            _ => {}
        }
        false
    }

    /// Fetches the output, and looks which slices are right.
    async fn compare(&self, name: &str, work: &Work, ended: &mut Ended) -> Result<(), Failure> {
        let work = work.clone();
        let truth = tokio::task::spawn_blocking(move || work.truth()).await;
        let truth = truth.map_err(|e| Failure::of(format!("computing failed: {e}")))??;
        ended.equal = true;
        for (slice, truth) in (0_u32..).zip(&truth) {
            let output = self.client.output(name, slice).await;
            let right = match output {
                Ok(bytes) => Some(bytes == *truth),
                Err(reason) => {
                    ended.why = Some(reason.to_string());
                    None
                }
            };
            ended.equal &= right == Some(true);
            for passed in ended.passed.iter_mut().filter(|p| p.slice == slice) {
                passed.right = right;
            }
        }
        Ok(())
    }

    /// Its own key, once it has submitted something.
    pub fn me(&self) -> Option<PeerKey> {
        self.me
    }
}

fn missed(what: String) -> Failure {
    let seconds = PATIENCE.as_secs();
    Failure::of(format!(
        "{what} after {seconds} s; ask for fewer, or close other programs"
    ))
}
