//! The requester: an ephemeral peer that submits one job, follows it, and collects its slices and receipts.
//!
//! It has a home of its own below the owner's (`HOME/requester`), so that it works beside a running `up`, under one
//! lasting identity. Invariant: whatever ends the job (success, failure, Ctrl-C), the account and the receipts so far
//! are on disk and the swarm is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use starling_protocol::io::{Shape, Submission};
use starling_protocol::manifest::BlobRef;
use starling_protocol::{Advert, BlobId, Event, Genesis, JobId, KernelId, Reason};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::account::Account;
use super::progress::Progress;
use super::{How, Outputs};
use crate::blobs::BlobStore;
use crate::cli::Context;
use crate::cli::console::Console;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::interrupt::Interrupt;
use crate::cli::job_file::JobFile;
use crate::cli::node_options::{drain, event_line, leave, not_started, stamped, usage_line};
use crate::cli::place::{Place, listen};
use crate::cli::text;
use crate::compute::tier;
use crate::node::{Happening, Node, NodeOptions};
use crate::product::{Product, Work};
use starling_kernels::JobSpec;

/// How long newcomers are waited for after the first peer, unless a number is asked for.
const SETTLE: Duration = Duration::from_secs(1);
/// Looks at clock, peers and progress.
const TICK: Duration = Duration::from_millis(100);
/// Addresses that do not answer and are remembered.
const UNREACHABLE_MAX: usize = 64;
/// A job without `--timeout` ends after a day.
const DEADLINE_S: u64 = 24 * 3600;

pub(super) async fn run(
    context: &Context,
    how: &How,
    work: Work,
    outputs: Outputs,
    interrupt: Interrupt,
) -> Outcome {
    let start = Instant::now();
    let place = context.place()?;
    let genesis = place.genesis()?;
    let config = place.config()?;
    if let Some(dir) = &how.receipts {
        let fail = |e| Failure::of(crate::home::DiskError::new("create", dir, e));
        std::fs::create_dir_all(dir).map_err(fail)?;
    }
    let options = NodeOptions {
        home: place.requester(),
        listen: listen(&[], &config, genesis.scope),
        bootstrap: place.bootstrap(&how.bootstrap, &config, &genesis.swarm_id()),
        device: how.device.choice(&config.device)?,
        require_gpu: how.device.require_gpu,
        lend: false,
        lies: false,
        limits: config.limits,
        genesis: genesis.clone(),
    };
    let (node, happenings) = tokio::select! {
        started = Node::start(options) => started.map_err(not_started)?,
        _ = interrupt.signalled() => return Ok(Exit::Interrupted),
    };
    // A run that was killed may have left some.
    sweep(node.blobs()).await;
    if how.events {
        let line = json!({ "happening": "started", "peer": node.key(), "swarm": node.swarm(), "pid": std::process::id() });
        context.console.json(&stamped(line, start));
    }
    let mut requester = Requester {
        console: context.console,
        progress: None,
        events: how.events,
        start,
        node,
        happenings,
        interrupt,
        place,
        genesis,
        deadline: how.timeout.map(|s| start + Duration::from_secs_f64(s)),
        receipts: how.receipts.clone(),
        spec: work.spec,
        product: work.product,
        outputs,
        unreachable: Vec::new(),
        job: None,
    };
    let outcome = requester.fetch(how).await;
    requester.end(outcome).await
}

struct Requester {
    console: Console,
    progress: Option<Progress>,
    events: bool,
    start: Instant,
    node: Node,
    happenings: mpsc::Receiver<Happening>,
    interrupt: Interrupt,
    place: Place,
    genesis: Genesis,
    deadline: Option<Instant>,
    receipts: Option<PathBuf>,
    spec: JobSpec,
    product: Product,
    outputs: Outputs,
    /// Bootstrap addresses that did not answer.
    unreachable: Vec<String>,
    job: Option<Account>,
}

/// What one wait brought.
enum Next {
    Event(Event),
    Tick,
}

impl Requester {
    async fn fetch(&mut self, how: &How) -> Outcome {
        match self.wait_for_peers(how).await? {
            Exit::Ok => {}
            early => return Ok(early),
        }
        let swarm = self.genesis.name.clone();
        self.console.note(format!(
            "the job's inputs and parameters are visible to the peers of swarm {swarm:?}"
        ));
        self.submit().await?;
        self.follow().await
    }

    /// The next event or tick, or why to stop.
    async fn next(&mut self) -> Result<Result<Next, Exit>, Failure> {
        let until = self.deadline;
        let timeout = async move {
            match until {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let happening = tokio::select! {
            happening = self.happenings.recv() => happening,
            _ = self.interrupt.signalled() => return Ok(Err(Exit::Interrupted)),
            () = timeout => {
                let what = format!("not finished after {}", text::duration(self.start.elapsed()));
                return Err(Failure::new(Exit::Timeout, what, "allow more with --timeout, or ask for less"));
            }
            () = tokio::time::sleep(TICK) => return Ok(Ok(Next::Tick)),
        };
        let Some(happening) = happening else {
            return Err(Failure::of("this peer stopped by itself").or_fix("run `starling doctor`"));
        };
        if self.events {
            self.console.json(&event_line(&happening, self.start));
        }
        match happening {
            Happening::Core(event) => Ok(Ok(Next::Event(event))),
            Happening::DialFailed { address, reason } => {
                // It is dialled again and again; a person is told once.
                if !self.unreachable.contains(&address) && self.unreachable.len() < UNREACHABLE_MAX
                {
                    self.console
                        .note(format!("cannot reach {address}: {reason}"));
                    self.unreachable.push(address);
                }
                Ok(Ok(Next::Tick))
            }
            Happening::Failed { reason } => {
                Err(Failure::of(reason).or_fix("run `starling doctor`"))
            }
            Happening::Listening { .. } => Ok(Ok(Next::Tick)),
        }
    }

    /// Waits until enough peers offer the kernel; `Exit::Interrupted` if Ctrl-C comes first.
    async fn wait_for_peers(&mut self, how: &How) -> Outcome {
        let least = how.peers.unwrap_or(1) as usize;
        let until = Instant::now() + Duration::from_secs_f64(how.wait);
        let kernel: KernelId = self.spec.kernel.0.into();
        let began = Instant::now();
        let (mut known, mut changed) = (0, began);
        let mut told = false;
        loop {
            if let Err(exit) = self.next().await? {
                return Ok(exit);
            }
            let me = self.node.key();
            let peers = self.node.peers().await;
            let lends = |a: &Advert| a.peer != me && a.free_slots > 0 && a.offer(&kernel).is_some();
            let offering = peers.iter().filter(|(a, _)| lends(a)).count();
            if offering != known {
                (known, changed) = (offering, Instant::now());
            }
            let settled =
                how.peers.is_some() || changed.elapsed() >= SETTLE || Instant::now() >= until;
            if known >= least && settled {
                self.console.note(format!(
                    "{} offered by {}",
                    self.product.class,
                    text::count(known, "peer")
                ));
                return Ok(Exit::Ok);
            }
            if Instant::now() >= until {
                let mut failure = Failure::because(Exit::NoEligiblePeer, Reason::NoEligiblePeer);
                failure.what = match known {
                    0 => format!("no reachable peer offers `{}`", self.product.class),
                    n => format!("only {n} of {least} peers offer `{}`", self.product.class),
                };
                failure.what += &format!(" (waited {} s)", how.wait);
                if let Some(address) = self.unreachable.first() {
                    failure.what += &format!("; {address} does not answer");
                }
                return Err(failure);
            }
            if !told && began.elapsed() > SETTLE * 2 {
                told = true;
                self.console
                    .note(format!("waiting for {}", text::count(least, "peer")));
            }
        }
    }

    /// Stores the inputs and submits the job.
    async fn submit(&mut self) -> Result<(), Failure> {
        let mut inputs = Vec::new();
        for input in &self.spec.inputs {
            let (blobs, bytes) = (self.node.blobs().clone(), input.clone());
            let put = tokio::task::spawn_blocking(move || blobs.put(&bytes)).await;
            let id = put
                .map_err(|e| Failure::of(format!("storing failed: {e}")))?
                .map_err(Failure::of)?;
            inputs.push(BlobRef {
                id: id.into(),
                len: input.len() as u64,
            });
        }
        let shape = self.product.shape;
        let deadline = self
            .deadline
            .map(|at| at.saturating_duration_since(Instant::now()).as_secs() + 1);
        let submission = Submission {
            kernel: self.spec.kernel.0.into(),
            class: self.product.class.to_owned(),
            params: self.spec.params.clone(),
            inputs,
            shape: Shape {
                tiles: shape.tiles,
                tile_bytes: shape.tile_bytes,
                units_per_tile: shape.units_per_tile,
                tier: tier(shape.tier),
            },
            slice_tiles: None,
            bid: 0,
            deadline_in_s: deadline.unwrap_or(DEADLINE_S),
        };
        self.node.submit(submission).await;
        Ok(())
    }

    /// Follows the job to its end.
    async fn follow(&mut self) -> Outcome {
        let submitted = Instant::now();
        let mut drawn = submitted;
        loop {
            match self.next().await? {
                Err(exit) => return Ok(exit),
                Ok(Next::Tick) => {}
                Ok(Next::Event(event)) => {
                    if let Some(exit) = self.on(event, submitted).await? {
                        return Ok(exit);
                    }
                }
            }
            // Not at every event: a busy job has thousands a second.
            if drawn.elapsed() >= TICK
                && let (Some(job), Some(progress)) = (&mut self.job, &mut self.progress)
            {
                drawn = Instant::now();
                progress.show(&job.view());
                job.save_now_and_then()?;
            }
        }
    }

    async fn on(&mut self, event: Event, submitted: Instant) -> Result<Option<Exit>, Failure> {
        match event {
            Event::SubmitRefused { reason } => return Err(ended(reason)),
            Event::Submitted { job, .. } => self.begin(job, submitted).await?,
            Event::SliceDone {
                slice,
                blob,
                ref receipt,
                ..
            } => {
                self.note(&event).await?;
                self.add(slice, blob).await?;
                if let (Some(job), Some(receipt)) = (&mut self.job, receipt) {
                    job.keep(slice, receipt)?;
                }
            }
            Event::JobDone { .. } => {
                self.note(&event).await?;
                return self.finish().map(Some);
            }
            Event::JobFailed { reason, .. } => {
                self.note(&event).await?;
                return Err(ended(reason));
            }
            Event::CheatCaught {
                worker,
                slice,
                by,
                reason,
                ..
            } => {
                let by = by.map_or(String::new(), |by| format!(", found by {}", by.short()));
                self.say(format!(
                    "cheat caught: {} in slice {slice}: {reason}{by}",
                    worker.short()
                ));
                self.note(&event).await?;
            }
            Event::SliceReopened {
                slice,
                worker,
                reason,
                ..
            } => {
                self.say(format!(
                    "slice {slice} is open again: {} ({reason})",
                    worker.short()
                ));
                self.note(&event).await?;
            }
            Event::Leased { .. }
            | Event::Committed { .. }
            | Event::Auditing { .. }
            | Event::FalseAccusation { .. } => {
                self.note(&event).await?;
            }
            // Peers come and go; and this peer works for nobody.
            Event::PeerSeen { .. }
            | Event::PeerGone { .. }
            | Event::Working { .. }
            | Event::Earned { .. }
            | Event::Lost { .. } => {}
        }
        Ok(None)
    }

    async fn begin(&mut self, id: JobId, submitted: Instant) -> Result<(), Failure> {
        let bundle = self
            .node
            .bundle(id)
            .await
            .ok_or_else(|| ended(Reason::UnknownJob))?;
        let file = JobFile::new(
            id,
            self.product.class,
            self.outputs.result(),
            &bundle.record.manifest.body,
        );
        let (jobs, each_in) = (self.place.jobs(), self.receipts.clone());
        let account = Account::open(file, bundle.record, &self.genesis, jobs, each_in, submitted)?;
        self.console.note(account.title());
        self.progress = Some(Progress::new(
            &self.console,
            account.file.tiles,
            self.product.grain,
        ));
        self.job = Some(account);
        Ok(())
    }

    /// Takes note of an event; starts the product afresh if a slice in it turned out to be false.
    async fn note(&mut self, event: &Event) -> Result<(), Failure> {
        let Some(job) = &mut self.job else {
            return Ok(());
        };
        if job.note(event) {
            let sound = job.blobs.clone();
            self.product.clear();
            for (slice, blob) in sound {
                self.add(slice, blob).await?;
            }
        }
        Ok(())
    }

    fn say(&self, line: String) {
        match &self.progress {
            Some(progress) => progress.say(line),
            None => self.console.note(line),
        }
    }

    /// A finished slice's tiles go into the product.
    async fn add(&mut self, slice: u32, blob: BlobId) -> Result<(), Failure> {
        let Some(job) = &self.job else { return Ok(()) };
        let first = job.record.manifest.body.tiles_of(slice).start;
        let blobs = self.node.blobs().clone();
        let read = tokio::task::spawn_blocking(move || blobs.get(blob.as_bytes())).await;
        let bytes = read
            .map_err(|e| Failure::of(format!("reading failed: {e}")))?
            .map_err(Failure::of)?;
        let bytes =
            bytes.ok_or_else(|| Failure::of(format!("slice {slice} is not in the blob store")))?;
        self.product
            .add_tiles(first, &bytes)
            .map_err(super::refused)
    }

    /// All slices are here.
    fn finish(&mut self) -> Outcome {
        if !self.product.is_complete() {
            return Err(Failure::of("the job ended with tiles missing").exit(Exit::JobFailed));
        }
        self.outputs.write(&self.product)?;
        Ok(Exit::Ok)
    }

    /// Takes leave of the swarm and writes the account down, however it ended.
    async fn end(mut self, outcome: Outcome) -> Outcome {
        if let Some(progress) = &mut self.progress {
            progress.finish();
        }
        let saved = self.job.as_mut().map_or(Ok(()), |job| job.close(&outcome));
        if let Some(job) = &self.job
            && !matches!(outcome, Ok(Exit::Ok))
        {
            self.node.cancel(job.id()).await;
        }
        let rest = drain(self.happenings);
        sweep(self.node.blobs()).await;
        let usage = leave(self.node).await;
        rest.abort();
        match (&self.job, &outcome) {
            (Some(job), Ok(Exit::Ok)) => report(
                &self.console,
                self.events,
                self.start,
                job,
                self.outputs.result(),
            ),
            (Some(job), _) => self.console.note(job.partly()),
            (None, Ok(Exit::Interrupted)) => self
                .console
                .note("interrupted before anything was submitted"),
            (None, _) => {}
        }
        if self.events {
            self.console.json(&usage_line(usage, self.start));
        }
        outcome.and_then(|exit| saved.map(|()| exit))
    }
}

/// Empties the requester's store: outputs are in the file, and no job outlives its `run`.
async fn sweep(blobs: &BlobStore) {
    let blobs = blobs.clone();
    let removed = tokio::task::spawn_blocking(move || {
        blobs
            .list()
            .iter()
            .try_for_each(|(hash, _)| blobs.remove(hash).map(drop))
    });
    if let Ok(Err(error)) = removed.await {
        tracing::warn!(%error, "old outputs could not be removed");
    }
}

/// How a job's early end shows in the exit code.
fn ended(reason: Reason) -> Failure {
    let exit = match reason {
        Reason::NoEligiblePeer => Exit::NoEligiblePeer,
        Reason::DeadlinePassed => Exit::Timeout,
        Reason::Cancelled => Exit::Interrupted,
        _ => Exit::JobFailed,
    };
    Failure::because(exit, reason)
}

/// What a finished job leaves on the two streams.
fn report(console: &Console, events: bool, start: Instant, job: &Account, output: &Path) {
    let result = job.result(output);
    if events {
        let mut line = result;
        line["happening"] = json!("result");
        console.json(&stamped(line, start));
    } else if console.json {
        console.json(&result);
    } else {
        job.summary().iter().for_each(|line| console.note(line));
        console.data(output.display().to_string());
    }
}
