//! The desk: submits this home's jobs, keeps their accounts, receipts and outputs, and says why one is not done.
//!
//! It is a peer of its own (the requester of this home), apart from the one that lends, so that a lender's device also
//! works for its owner and leaves receipts. Both the daemon and an ephemeral `run` have one; see `api`.
//! Invariant: whatever ends a job, its account and the receipts so far are on disk. A job ends when it is done, when
//! its owner cancels it or when its deadline passes; its requester's death only holds it up.

pub mod account;
mod feed;
mod open;
mod sought;
mod submit;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use starling_protocol::{BlobId, Bundle, Event, JobId, Reason as Refusal, config};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

use crate::driver::Happening;
use crate::node::Node;
use crate::reason::Reason;

pub use account::{Cheat, JobFile, JobState, Said, Share, Slice, SliceState, WorkFile};
pub use feed::{Feed, Numbered, Reading, Side};
use open::Open;
pub(crate) use open::bundles;
use sought::Sought;
pub use submit::Order;

/// Longer than the core looks for a job.
const SEEKING: Duration = config::SEEK
    .saturating_mul(config::SEEK_TRIES)
    .saturating_add(Duration::from_secs(30));

/// The desk; clones are one.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    node: Node,
    jobs: PathBuf,
    state: Mutex<State>,
    /// One submission at a time: the core answers without saying which.
    submitting: AsyncMutex<()>,
    follower: AsyncMutex<Option<tokio::task::JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    open: BTreeMap<JobId, Open>,
    answer: Option<oneshot::Sender<Result<JobId, Refusal>>>,
    next_said: Said,
    sought: Sought,
    /// Why no peer may be eligible, until one is.
    clocks: Option<Reason>,
}

impl Desk {
    /// Takes over a peer's happenings and passes them on to `feed`. `jobs` is the folder of accounts.
    ///
    /// # Errors
    /// `disk_failed` if the folder cannot be made or read.
    pub fn start(
        node: Node,
        happenings: mpsc::Receiver<Happening>,
        jobs: PathBuf,
        feed: Feed,
    ) -> Result<Self, Reason> {
        crate::home::disk::create_private_dir(&jobs)?;
        settle(&node, &jobs);
        let inner = Arc::new(Inner {
            node,
            jobs,
            state: Mutex::default(),
            submitting: AsyncMutex::default(),
            follower: AsyncMutex::default(),
        });
        let desk = Self { inner };
        let follower = tokio::spawn(desk.clone().follow(happenings, feed));
        // Nobody else has it yet.
        if let Ok(mut slot) = desk.inner.follower.try_lock() {
            *slot = Some(follower);
        }
        Ok(desk)
    }

    /// The requester's peer.
    pub fn node(&self) -> &Node {
        &self.inner.node
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(self, mut happenings: mpsc::Receiver<Happening>, feed: Feed) {
        while let Some(happening) = happenings.recv().await {
            if let Happening::Core(event) = &happening {
                self.on(event).await;
            }
            feed.push(Side::Requester, happening);
        }
        // The peer is gone: what was open stays as it stands.
        for open in std::mem::take(&mut self.state().open).into_values() {
            open.save(&self.inner.jobs, true);
        }
    }

    async fn on(&self, event: &Event) {
        match event {
            Event::Submitted { job, .. } => {
                if let Some(bundle) = self.inner.node.bundle(*job).await {
                    let said = std::mem::take(&mut self.state().next_said);
                    let open = Open::new(*job, said, bundle);
                    open.save(&self.inner.jobs, true);
                    self.state().open.insert(*job, open);
                }
                self.answer(Ok(*job));
            }
            Event::Found { job } => {
                let known = self.state().open.contains_key(job);
                let own = known || self.take_up(job).await;
                self.state().sought.ends(job, own);
            }
            Event::NotFound { job } => self.state().sought.ends(job, false),
            Event::Resumed { job, .. } => {
                self.take_up(job).await;
            }
            Event::SubmitRefused { reason } => self.answer(Err(*reason)),
            Event::ClocksDiffer { peers, of, ahead_s } => {
                self.state().clocks = Some(Reason::clocks_differ(*peers, *of, *ahead_s));
            }
            event => {
                if let Some(revoked) = self.note(event) {
                    let removed = self.remove(vec![revoked]).await;
                    if let Err(reason) = removed {
                        tracing::warn!(%reason, "a false output was not removed");
                    }
                }
            }
        }
    }

    /// Into the account. The bytes of a slice that was done and is open again: they are false.
    fn note(&self, event: &Event) -> Option<BlobId> {
        let mut state = self.state();
        let job = open::job_of(event)?;
        let open = state.open.get_mut(&job)?;
        let revoked = match event {
            Event::SliceReopened { slice, .. } => open.file.slices.get(*slice as usize)?.blob,
            _ => None,
        };
        let ended = open.note(event);
        open.save_now_and_then(&self.inner.jobs, ended);
        if ended {
            state.open.remove(&job);
        }
        revoked
    }

    /// A job of a former life, or one that was found in the swarm. Whether it is this requester's.
    async fn take_up(&self, job: &JobId) -> bool {
        let node = &self.inner.node;
        let own = |b: &Bundle| b.record.manifest.body.requester == node.key();
        let Some(bundle) = node.bundle(*job).await.filter(own) else {
            return false;
        };
        let file = JobFile::load(&self.inner.jobs, &job.to_string());
        let mut open = Open::resume(*job, file.ok(), bundle, &node.slices(job));
        let ending = node.ending(job);
        if let Some(reason) = ending {
            open.file.end(reason);
        }
        open.save(&self.inner.jobs, true);
        if ending.is_none() {
            self.state().open.insert(*job, open);
        }
        true
    }

    fn answer(&self, answer: Result<JobId, Refusal>) {
        if let Some(waiting) = self.state().answer.take() {
            // Whoever asked may be gone.
            let _ = waiting.send(answer);
        }
    }

    /// Jobs of this home, the newest first.
    pub fn list(&self) -> Vec<JobFile> {
        let mut all: BTreeMap<JobId, JobFile> = account::all(&self.inner.jobs)
            .into_iter()
            .map(|file| (file.job, file))
            .collect();
        let state = self.state();
        all.extend(
            state
                .open
                .iter()
                .map(|(job, open)| (*job, open.file.clone())),
        );
        let mut all: Vec<_> = all.into_values().collect();
        all.sort_by_key(|file| (std::cmp::Reverse(file.started_s), file.job));
        all
    }

    /// The job that `name` means: an id, the beginning of one, or `last`.
    ///
    /// # Errors
    /// `unknown_job`, `ambiguous_job`, `bad_request`, `disk_failed`.
    pub fn find(&self, name: &str) -> Result<JobFile, Reason> {
        let id = account::resolve(&self.inner.jobs, name)?;
        let open = id
            .parse()
            .ok()
            .and_then(|job: JobId| self.state().open.get(&job).map(|open| open.file.clone()));
        open.map_or_else(|| JobFile::load(&self.inner.jobs, &id), Ok)
    }

    /// A job of this home; one that it, or its log, does not know is looked for among the stewards that it may have in
    /// the swarm.
    ///
    /// # Errors
    /// Those of [`Desk::find`]; `unknown_job` if nobody has it; `too_many` that wait.
    pub async fn collect(&self, name: &str) -> Result<JobFile, Reason> {
        let job: JobId = match self.find(name) {
            Err(reason) if reason.code == "unknown_job" => name.parse().map_err(|_| reason)?,
            Ok(file) if file.is_lost() && file.requester == self.inner.node.key() => file.job,
            found => return found,
        };
        let answer = self.state().sought.wait(job).ok_or_else(|| {
            let what = "too many jobs are looked for";
            Reason::new("too_many", what, "wait until one is found")
        })?;
        self.inner.node.collect(job).await;
        // The core answers; a peer that stops does not.
        if let Ok(Ok(true)) = tokio::time::timeout(SEEKING, answer).await {
            return self.find(&job.to_string());
        }
        let what =
            "no peer that can be reached is a steward of a job with this id for this identity";
        let fix = "jobs are collected by the identity that submitted them, before their deadline: \
                   copy requester/identity.key of that home here, and wait for its stewards to be up";
        Err(Reason::new("unknown_job", what, fix).with("job", name))
    }

    /// Cancels a job if it still runs.
    ///
    /// # Errors
    /// Those of [`Desk::find`].
    pub async fn cancel(&self, name: &str) -> Result<JobFile, Reason> {
        let file = self.find(name)?;
        if file.state == JobState::Running {
            self.inner.node.cancel(file.job).await;
            let mut state = self.state();
            if let Some(mut open) = state.open.remove(&file.job) {
                open.end(JobState::Cancelled, Some(Refusal::Cancelled.into()));
                open.save(&self.inner.jobs, true);
                return Ok(open.file);
            }
        }
        self.find(name)
    }

    /// The bytes of a finished slice.
    ///
    /// # Errors
    /// Those of [`Desk::find`]; `slice_not_done`, `output_collected`, `not_found`.
    pub async fn output(&self, name: &str, slice: u32) -> Result<Vec<u8>, Reason> {
        let file = self.find(name)?;
        let fix = "see `starling job show`";
        let entry = file.slices.get(slice as usize).ok_or_else(|| {
            let what = format!("the job has {} slices", file.slices.len());
            Reason::new("not_found", what, "number them from 0")
        })?;
        if file.collected {
            let what = "the job's outputs were collected and removed";
            return Err(Reason::new("output_collected", what, "submit it again"));
        }
        let not_done = || Reason::new("slice_not_done", format!("slice {slice} is not done"), fix);
        let blob = entry.blob.ok_or_else(not_done)?;
        let blobs = self.inner.node.blobs().clone();
        let read = tokio::task::spawn_blocking(move || blobs.get(blob.as_bytes()));
        let bytes = read.await.map_err(|e| Reason::of("error", e))??;
        match bytes {
            Some(bytes) => Ok(bytes),
            // It has turned out to be false meanwhile.
            None if self.find(name)?.slices[slice as usize].blob != Some(blob) => Err(not_done()),
            None => Err(Reason::new(
                "not_found",
                "the output is gone from the store",
                fix,
            )),
        }
    }

    /// The job's receipt bundle, `n`th file of it.
    ///
    /// # Errors
    /// Those of [`Desk::find`]; `not_found`.
    pub fn bundle(&self, name: &str, n: usize) -> Result<Vec<u8>, Reason> {
        let file = self.find(name)?;
        let folder = self.inner.jobs.join(file.job.to_string());
        if let Some(open) = self.state().open.get(&file.job) {
            return open.bundle(n).ok_or_else(no_bundle);
        }
        std::fs::read(folder.join(open::bundle_name(n))).map_err(|_| no_bundle())
    }

    /// Removes the outputs and inputs of a job that has ended; its account and receipts stay.
    ///
    /// # Errors
    /// Those of [`Desk::find`]; `job_running`.
    pub async fn collected(&self, name: &str) -> Result<JobFile, Reason> {
        let mut file = self.find(name)?;
        if file.state == JobState::Running {
            let what = "the job still runs";
            return Err(Reason::new("job_running", what, "cancel it first"));
        }
        file.collected = true;
        file.save(&self.inner.jobs)?;
        self.remove(blobs_of(&file).collect()).await?;
        Ok(file)
    }

    /// Removes those blobs that no job needs.
    async fn remove(&self, mut gone: Vec<BlobId>) -> Result<(), Reason> {
        let list = self.list();
        let needed: BTreeSet<BlobId> = list
            .iter()
            .filter(|file| !file.collected)
            .flat_map(blobs_of)
            .collect();
        gone.retain(|blob| !needed.contains(blob));
        let blobs = self.inner.node.blobs().clone();
        let sweep = tokio::task::spawn_blocking(move || {
            gone.iter()
                .try_for_each(|b| blobs.remove(b.as_bytes()).map(drop))
        });
        sweep.await.map_err(|e| Reason::of("error", e))??;
        Ok(())
    }

    /// Forgets a job that has ended: outputs, account and receipts.
    ///
    /// # Errors
    /// Those of [`Desk::collected`].
    pub async fn forget(&self, name: &str) -> Result<(), Reason> {
        let file = self.collected(name).await?;
        let folder = self.inner.jobs.join(file.job.to_string());
        let gone = std::fs::remove_dir_all(&folder);
        gone.map_err(|e| crate::home::DiskError::new("remove", &folder, e).into())
    }

    /// Why a job is not done.
    ///
    /// # Errors
    /// Those of [`Desk::find`].
    pub async fn why(&self, name: &str) -> Result<Vec<Reason>, Reason> {
        let file = self.find(name)?;
        let kernel = starling_kernels::kernel_named(&file.kernel).map(|k| k.id().0.into());
        let eligible = match kernel {
            Some(kernel) => self.eligible(&kernel, None).await.len(),
            None => 0,
        };
        let clocks = self.state().clocks.clone();
        let mut all = why::why(&file, eligible);
        if eligible == 0 && !all.is_empty() {
            all.splice(0..0, clocks);
        }
        Ok(all)
    }

    /// Says goodbye to the swarm and writes the accounts down. What runs goes on when this home's requester is back.
    pub async fn leave(&self) {
        self.inner.node.leave().await;
        if let Some(follower) = self.inner.follower.lock().await.take() {
            // It ends with the peer.
            let _ = follower.await;
        }
    }
}

fn no_bundle() -> Reason {
    Reason::new(
        "not_found",
        "there is no such bundle",
        "bundles are numbered from 0",
    )
}

/// Blobs that a job's outputs and inputs need.
fn blobs_of(file: &JobFile) -> impl Iterator<Item = BlobId> {
    let outputs = file.slices.iter().filter_map(|s| s.blob);
    outputs
        .chain(file.work.inputs.iter().copied())
        .collect::<Vec<_>>()
        .into_iter()
}

/// Accounts that a former life left open although their job is over get their end.
fn settle(node: &Node, jobs: &std::path::Path) {
    let open = account::all(jobs)
        .into_iter()
        .filter(|f| f.state == JobState::Running);
    for mut file in open.filter(|f| !node.unfinished().contains(&f.job)) {
        file.restart(&node.slices(&file.job));
        match node.ending(&file.job) {
            Some(reason) => file.end(reason),
            None => {
                file.state = JobState::Failed;
                let what = "the log of this home's requester does not know the job";
                let fix =
                    "`starling job get` looks for its stewards in the swarm; else submit it again";
                file.why = Some(Reason::new("interrupted", what, fix));
            }
        }
        if let Err(reason) = file.save(jobs) {
            tracing::warn!(%reason, "an account was not updated");
        }
    }
}
