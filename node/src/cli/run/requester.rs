//! A job computed by the swarm: submitted through a session, followed, its slices put together as they come.
//!
//! Invariant: whatever ends this command (success, failure, Ctrl-C), the job is cancelled unless it was detached, and
//! its account and the receipts so far are kept.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::json;
use starling_kernels::JobSpec;
use starling_protocol::{Bundle, Event};
use tokio::time::Instant;

use super::collect::{Collector, partly, result, summary, title, view};
use super::progress::Progress;
use super::{How, Outputs, estimate, handover};
use crate::api::client::{Client, Events, Told};
use crate::api::types::{JobOrder, JobView};
use crate::cli::Context;
use crate::cli::console::Console;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::interrupt::Interrupt;
use crate::cli::node_options::{event_line, stamped};
use crate::cli::place::write_atomically;
use crate::cli::session::Session;
use crate::cli::text;
use crate::compute::Here;
use crate::jobs::account::hex;
use crate::jobs::{JobState, Numbered, Side};
use crate::node::Happening;
use crate::product::{Work, files};
use crate::reason::Reason;

/// Looks at clock and progress.
const TICK: Duration = Duration::from_millis(100);
/// How long a job's name may take when its submission was seen.
const LATE: Duration = Duration::from_secs(5);
/// How long `--detach` waits for stewards to fetch a job's record and inputs.
const HAND_OVER: Duration = Duration::from_secs(60);
/// Addresses that do not answer and are remembered.
const UNREACHABLE_MAX: usize = 64;

pub(super) async fn run(
    context: &Context,
    how: &How,
    work: Work,
    outputs: Outputs,
    interrupt: Interrupt,
) -> Outcome {
    let start = Instant::now();
    let place = context.place()?;
    if let Some(dir) = &how.receipts {
        let fail = |e| Failure::from(crate::home::DiskError::new("create", dir, e));
        std::fs::create_dir_all(dir).map_err(fail)?;
    }
    let session = Session::open(context, &place, &how.bootstrap, &how.device, &interrupt).await?;
    let Some(session) = session else {
        return Ok(Exit::Interrupted);
    };
    let mut run = Run {
        console: context.console,
        events: how.events,
        start,
        lasting: session.lasts(),
        deadline: how.timeout.map(|s| start + Duration::from_secs_f64(s)),
        client: session.client.clone(),
        interrupt,
        progress: None,
        unreachable: Vec::new(),
        job: None,
        early: VecDeque::new(),
    };
    if how.events {
        let status = run.client.status().await?;
        let line = json!({ "happening": "started", "peer": status.peer, "swarm": status.swarm, "pid": std::process::id() });
        context.console.json(&stamped(line, start));
    }
    let outcome = run.whole(how, work, &outputs).await;
    let outcome = run.end(how, &outputs, outcome).await;
    session.close().await;
    outcome
}

struct Run {
    console: Console,
    events: bool,
    start: Instant,
    /// The peer that submits outlives this command.
    lasting: bool,
    deadline: Option<Instant>,
    client: Client,
    interrupt: Interrupt,
    progress: Option<Progress>,
    /// Bootstrap addresses that did not answer.
    unreachable: Vec<String>,
    job: Option<JobView>,
    /// What happened before the job's name was known.
    early: VecDeque<Told>,
}

/// See [`Here::try_out`].
async fn tried(spec: JobSpec) -> Result<(), Failure> {
    let tried = tokio::task::spawn_blocking(move || Here::try_out(&spec));
    let tried = tried
        .await
        .map_err(|e| Failure::of(format!("the trial failed: {e}")))?;
    tried.map_err(|e| super::refused(e.into()))
}

/// What one wait brought.
enum Next {
    Happening(Box<Numbered>),
    Missed,
    Tick,
}

impl From<Told> for Next {
    fn from(told: Told) -> Self {
        match told {
            Told::Happening(one) => Self::Happening(one),
            Told::Missed(_) => Self::Missed,
        }
    }
}

impl Run {
    async fn whole(&mut self, how: &How, work: Work, outputs: &Outputs) -> Outcome {
        if how.dry_run || (self.console.terminal && !self.console.quiet) {
            let estimate = estimate::of(&self.client, how, &work).await?;
            if how.dry_run {
                estimate::show(&estimate, &self.console);
                return Ok(Exit::Ok);
            }
            self.console.note(estimate::line(&estimate));
        }
        if work.spec.is_guest() {
            tried(work.spec.clone()).await?;
        }
        let mut events = self.client.events(None, None);
        events.open().await?;
        let Work { spec, product } = work;
        let mut inputs = Vec::new();
        for input in &spec.inputs {
            let put = self.client.put_blob(Bytes::from_owner(input.clone()));
            let blob = tokio::select! {
                put = put => put?,
                _ = self.interrupt.signalled() => return Ok(Exit::Interrupted),
            };
            inputs.push(blob.id);
        }
        let status = self.client.status().await?;
        self.console.note(format!(
            "the job's inputs and parameters are visible to the peers of swarm {:?}",
            status.swarm_name
        ));
        let path = std::path::absolute(outputs.result()).ok();
        let order = JobOrder {
            kernel: spec.kernel.to_string(),
            params: hex(&spec.params),
            inputs,
            slice_tiles: None,
            deadline_s: how.timeout.map(|s| s.ceil() as u64 + 1),
            max_price: how.max_price,
            stewards: how.stewards,
            full_audits: how.full_audits,
            peers: how.peers,
            wait_s: Some(how.wait),
            output: path,
            cli: Some(files::command_line(std::env::args_os().skip(1))),
        };
        let exit = self.submit(&order, &mut events).await?;
        if exit == Exit::Ok && how.detach {
            return self.hand_over().await;
        }
        if exit != Exit::Ok {
            return Ok(exit);
        }
        let mut collector = Collector::new(self.client.clone(), product);
        let exit = self.follow(&mut events, &mut collector).await?;
        if exit == Exit::Ok {
            collector.finish(outputs)?;
        }
        Ok(exit)
    }

    /// Submits, while telling what happens meanwhile.
    async fn submit(&mut self, order: &JobOrder, events: &mut Events) -> Outcome {
        let client = self.client.clone();
        let submitted = client.submit(order);
        let mut submitted = std::pin::pin!(submitted);
        let began = Instant::now();
        let mut told = false;
        let job = loop {
            tokio::select! {
                job = &mut submitted => {
                    let mut failure = match job {
                        Ok(job) => break job,
                        Err(reason) => Failure::from(reason),
                    };
                    if let Some(address) = self.unreachable.first() {
                        failure.what += &format!("; {address} does not answer");
                    }
                    return Err(failure);
                }
                told = events.next() => self.keep(told?),
                () = tokio::time::sleep(TICK) => {}
                () = timeout(self.deadline) => {
                    self.job = self.late(submitted).await;
                    return Err(self.timed_out());
                }
                _ = self.interrupt.signalled() => {
                    self.job = self.late(submitted).await;
                    return Ok(Exit::Interrupted);
                }
            }
            if !told && began.elapsed() > Duration::from_secs(2) {
                told = true;
                let least = order.peers.unwrap_or(1) as usize;
                self.console
                    .note(format!("waiting for {}", text::count(least, "peer")));
            }
        };
        self.console.note(title(&job));
        self.job = Some(job);
        Ok(Exit::Ok)
    }

    /// The job, if it was submitted although nobody waits for it any more: it has to be cancelled.
    async fn late(
        &self,
        submitted: impl Future<Output = Result<JobView, Reason>>,
    ) -> Option<JobView> {
        let is_submitted = |told: &Told| match told {
            Told::Happening(one) => {
                matches!(one.happening, Happening::Core(Event::Submitted { .. }))
                    && one.side == Side::Requester
            }
            Told::Missed(_) => false,
        };
        if !self.early.iter().any(is_submitted) {
            return None;
        }
        tokio::time::timeout(LATE, submitted).await.ok()?.ok()
    }

    /// Keeps what happens before the job's name is known.
    fn keep(&mut self, told: Told) {
        if let Told::Happening(one) = &told {
            self.pass_on(one);
        }
        self.early.push_back(told);
    }

    /// Prints events for programs, and for people whom nobody reaches.
    fn pass_on(&mut self, one: &Numbered) {
        if self.events && one.side == Side::Requester {
            self.console.json(&event_line(&one.happening, self.start));
        }
        if let Happening::DialFailed { address, reason } = &one.happening
            && !self.unreachable.contains(address)
            && self.unreachable.len() < UNREACHABLE_MAX
        {
            // It is dialled again and again; a person is told once.
            self.say(format!("cannot reach {address}: {reason}"));
            self.unreachable.push(address.clone());
        }
    }

    /// The next happening or tick, or why to stop.
    async fn next(&mut self, events: &mut Events) -> Result<Result<Next, Exit>, Failure> {
        if let Some(told) = self.early.pop_front() {
            return Ok(Ok(told.into()));
        }
        tokio::select! {
            biased;
            _ = self.interrupt.signalled() => Ok(Err(Exit::Interrupted)),
            told = events.next() => {
                let told = told?;
                if let Told::Happening(one) = &told {
                    self.pass_on(one);
                }
                Ok(Ok(told.into()))
            }
            () = timeout(self.deadline) => Err(self.timed_out()),
            () = tokio::time::sleep(TICK) => Ok(Ok(Next::Tick)),
        }
    }

    /// Follows the job to its end.
    async fn follow(&mut self, events: &mut Events, collector: &mut Collector) -> Outcome {
        let Some(mut job) = self.job.clone() else {
            return Err(Failure::of("nothing was submitted"));
        };
        let submitted = Instant::now();
        self.progress = Some(Progress::new(
            &self.console,
            job.file.tiles,
            collector.grain(),
        ));
        let mut drawn = submitted;
        let exit = loop {
            let next = self.next(events).await?;
            match next {
                Err(exit) => break exit,
                Ok(Next::Tick) => {}
                Ok(Next::Missed) => {
                    job = self.client.job(&job.file.job.to_string()).await?;
                    collector.catch_up(&job.file).await?;
                }
                Ok(Next::Happening(one)) => {
                    if let Happening::Failed { why, .. } = &one.happening
                        && one.side == Side::Requester
                    {
                        return Err(Failure::from(why.clone()).or_fix("run `starling doctor`"));
                    }
                    if one.job() == Some(job.file.job)
                        && one.side == Side::Requester
                        && let Happening::Core(event) = &one.happening
                    {
                        job.file.note(event, submitted.elapsed().as_millis() as u64);
                        self.tell(event);
                        collector.note(&job.file, event).await?;
                    }
                }
            }
            self.job = Some(job.clone());
            match job.file.state {
                JobState::Running => {}
                JobState::Done => break Exit::Ok,
                _ => return Err(ended(&job)),
            }
            // Not at every event: a busy job has thousands a second.
            if drawn.elapsed() >= TICK
                && let Some(progress) = &mut self.progress
            {
                drawn = Instant::now();
                progress.show(&view(&job.file));
            }
        };
        Ok(exit)
    }

    fn timed_out(&self) -> Failure {
        let what = format!(
            "not finished after {}",
            text::duration(self.start.elapsed())
        );
        let fix = "allow more with --timeout, or ask for less";
        Failure::new(Exit::Timeout, what, fix)
    }

    fn tell(&self, event: &Event) {
        match event {
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
            }
            Event::FraudProven {
                worker,
                slice,
                accuser,
                ..
            } => self.say(format!(
                "cheat proven: {} in slice {slice}, found by {}",
                worker.short(),
                accuser.short()
            )),
            Event::SliceReopened {
                slice,
                worker,
                reason,
                ..
            } => self.say(format!(
                "slice {slice} is open again: {} ({reason})",
                worker.short()
            )),
            _ => {}
        }
    }

    fn say(&self, line: String) {
        match &self.progress {
            Some(progress) => progress.say(line),
            None => self.console.note(line),
        }
    }

    /// Cancels what does not go on, fetches the receipts, and says how it ended.
    async fn end(mut self, how: &How, outputs: &Outputs, outcome: Outcome) -> Outcome {
        if let Some(progress) = &mut self.progress {
            progress.finish();
        }
        let Some(job) = self.job.take() else {
            if matches!(outcome, Ok(Exit::Interrupted)) {
                self.console
                    .note("interrupted before anything was submitted");
            }
            return outcome;
        };
        let id = job.file.job.to_string();
        if how.detach && matches!(outcome, Ok(Exit::Ok)) {
            self.detached(&job);
            return outcome;
        }
        if !matches!(outcome, Ok(Exit::Ok)) {
            // It may have ended, or its peer may be gone.
            let _ = self.client.cancel(&id).await;
        }
        let closed = match self.client.collected(&id).await {
            Ok(job) => job,
            Err(_) => job,
        };
        let saved = match &how.receipts {
            Some(dir) => self.receipts(&id, dir).await,
            None => Ok(()),
        };
        if matches!(outcome, Ok(Exit::Ok)) {
            self.report(&closed, outputs.result());
        } else {
            self.console.note(partly(&closed.file));
        }
        outcome.and_then(|exit| saved.map(|()| exit))
    }

    /// Waits until other peers hold the job, so that it goes on without this one.
    async fn hand_over(&mut self) -> Outcome {
        let Some(id) = self.job.as_ref().map(|job| job.file.job.to_string()) else {
            return Ok(Exit::Error);
        };
        let until = Instant::now() + HAND_OVER;
        loop {
            let job = self.client.job(&id).await?;
            let outcome = handover::outcome(&job, self.lasting, Instant::now() >= until);
            self.job = Some(job);
            if let Some(outcome) = outcome {
                return outcome;
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = timeout(self.deadline) => return Err(self.timed_out()),
                _ = self.interrupt.signalled() => return Ok(Exit::Interrupted),
            }
        }
    }

    fn detached(&self, job: &JobView) {
        let id = job.file.job.to_string();
        if self.console.json {
            return self.console.json(&json!({
                "job": id, "state": job.file.state, "slices": job.file.slices.len(), "tiles": job.file.tiles,
                "stewards": job.file.stewards, "held_by": job.file.held_by,
            }));
        }
        self.console.note(handover::line(job));
        self.console.note(format!(
            "starling job watch {0}; starling job get {0}",
            &id[..8]
        ));
        self.console.data(id);
    }

    /// One file for each receipt.
    async fn receipts(&self, id: &str, dir: &Path) -> Result<(), Failure> {
        for part in 0.. {
            let bytes = match self.client.bundle(id, part).await {
                Ok(bytes) => bytes,
                Err(reason) if reason.code == "not_found" => break,
                Err(reason) => return Err(reason.into()),
            };
            let bundle = Bundle::from_bytes(&bytes).map_err(Failure::of)?;
            for receipt in &bundle.receipts {
                let one = Bundle {
                    receipts: vec![receipt.clone()],
                    genesis: bundle.genesis.clone(),
                    record: bundle.record.clone(),
                };
                let name = format!("{}.popw", receipt.lease.body.slice);
                write_atomically(&dir.join(name), &one.to_bytes())?;
            }
        }
        Ok(())
    }

    /// What a finished job leaves on the two streams.
    fn report(&self, job: &JobView, output: &Path) {
        let result = result(job, output);
        if self.events {
            let mut line = result;
            line["happening"] = json!("result");
            self.console.json(&stamped(line, self.start));
        } else if self.console.json {
            self.console.json(&result);
        } else {
            summary(job).iter().for_each(|line| self.console.note(line));
            self.console.data(output.display().to_string());
        }
    }
}

/// Ends at `deadline`, or never.
async fn timeout(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// How a job's early end shows in the exit code.
pub(super) fn ended(job: &JobView) -> Failure {
    let Some(reason) = job.file.why.clone() else {
        return Failure::of("the job ended early").exit(Exit::JobFailed);
    };
    let failure = Failure::from(reason);
    match failure.exit {
        Exit::Error | Exit::Usage => failure.exit(Exit::JobFailed),
        _ => failure,
    }
}
