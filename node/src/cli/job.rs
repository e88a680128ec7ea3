//! `starling job`: the jobs of this home, while they run and afterwards.
//!
//! What is on disk is shown without a peer; what needs one (cancel, outputs, news) asks the peer of this home.

mod get;
mod show;
mod watch;

use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::interrupt::Interrupt;
use super::place::Place;
use super::session::Session;
use super::text;
use crate::api::types::{JobLine, JobView};
use crate::home::Home;
use crate::jobs::account::{self, resolve};
use crate::jobs::{JobFile, JobState};

/// Look at jobs of this home, and end them.
#[derive(Args, Debug)]
pub struct Job {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Ls(Ls),
    Show(show::Show),
    Watch(watch::Watch),
    Get(get::Get),
    Why(Why),
    Cancel(Cancel),
    Forget(Forget),
}

/// List jobs, the newest first.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling job ls
  starling job ls --json")]
struct Ls {}

/// Say why a job is not done.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling job why last")]
struct Why {
    #[command(flatten)]
    which: Which,
}

/// End a job; what is done stays.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling job cancel 3fa9")]
struct Cancel {
    #[command(flatten)]
    which: Which,
}

/// Remove a job that has ended: outputs, account and receipts.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling job forget 3fa9")]
struct Forget {
    #[command(flatten)]
    which: Which,
}

/// Which job.
#[derive(Args, Debug)]
struct Which {
    /// The job's id, the beginning of it, or `last`.
    #[arg(value_name = "ID")]
    id: String,
}

impl Job {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        match self.command {
            Command::Ls(Ls {}) => ls(context).await,
            Command::Show(args) => args.run(context).await,
            Command::Watch(args) => args.run(context, interrupt).await,
            Command::Get(args) => args.run(context, interrupt).await,
            Command::Why(args) => args.run(context).await,
            Command::Cancel(args) => args.run(context).await,
            Command::Forget(args) => args.run(context).await,
        }
    }
}

/// The peer of this home, if one runs.
async fn daemon(context: &Context) -> Result<Option<Session>, Failure> {
    match Session::daemon(&context.place()?).await {
        Ok(session) => Ok(Some(session)),
        Err(failure) if failure.exit == Exit::NoDaemon => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A job as the peer of this home knows it, else as it is on disk.
async fn find(context: &Context, id: &str) -> Result<(JobView, Option<Session>), Failure> {
    let daemon = daemon(context).await?;
    let place = context.place()?;
    let jobs = place.jobs();
    // Names are made out here: a job that is not on disk is nobody's.
    let id = resolve(&jobs, id)?;
    let view = match &daemon {
        Some(session) => session.client.job(&id).await?,
        None => JobView::of(seen(&place, JobFile::load(&jobs, &id)?), 0),
    };
    Ok((view, daemon))
}

/// An account read from disk: another command may run the job, or nobody.
fn seen(place: &Place, file: JobFile) -> JobFile {
    if Home::is_open(&place.requester()) {
        file
    } else {
        file.idle()
    }
}

async fn ls(context: &Context) -> Outcome {
    let jobs = match daemon(context).await? {
        Some(session) => session.client.jobs().await?.jobs,
        None => {
            let place = context.place()?;
            let all = account::all(&place.jobs()).into_iter();
            let mut files: Vec<_> = all.map(|file| seen(&place, file)).collect();
            files.sort_by_key(|file| (std::cmp::Reverse(file.started_s), file.job));
            files.iter().map(JobLine::from).collect()
        }
    };
    let out = context.console;
    if out.json {
        out.json(&json!({ "jobs": jobs }));
    } else if jobs.is_empty() {
        out.note("no job was submitted from this home; submit one with `starling run`");
    } else {
        jobs.iter().for_each(|job| out.data(line(job)));
    }
    Ok(Exit::Ok)
}

fn line(job: &JobLine) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now
        .unwrap_or_default()
        .saturating_sub(std::time::Duration::from_secs(job.started_s));
    format!(
        "{}  {:<11} {:<8} {:>6}/{:<6} slices  {} ago{}",
        &job.job[..12],
        word(job.state),
        job.kernel,
        job.done,
        job.slices,
        text::duration(age),
        if job.collected { ", collected" } else { "" },
    )
}

/// A state in a word.
fn word(state: JobState) -> &'static str {
    match state {
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Cancelled => "cancelled",
        JobState::Failed => "failed",
        JobState::Interrupted => "interrupted",
    }
}

impl Why {
    async fn run(self, context: &Context) -> Outcome {
        let (job, daemon) = find(context, &self.which.id).await?;
        let reasons = match &daemon {
            Some(session) => session.client.why(&job.file.job.to_string()).await?.reasons,
            None => job.file.why.iter().cloned().collect(),
        };
        let out = context.console;
        if out.json {
            out.json(&json!({ "job": job.file.job, "state": job.file.state, "reasons": reasons }));
            return Ok(Exit::Ok);
        }
        out.data(format!(
            "{}: {}",
            &job.file.job.to_string()[..12],
            word(job.file.state)
        ));
        for reason in &reasons {
            let times = reason
                .params
                .get("times")
                .map_or(String::new(), |n| format!(" ({n} times)"));
            out.data(format!("  {}{times}  [{}]", reason.what, reason.code));
            if let Some(fix) = &reason.fix {
                out.data(format!("    fix: {fix}"));
            }
        }
        Ok(Exit::Ok)
    }
}

impl Cancel {
    async fn run(self, context: &Context) -> Outcome {
        let (job, daemon) = find(context, &self.which.id).await?;
        let id = job.file.job.to_string();
        let job = match (&daemon, job.file.state) {
            (Some(session), _) => session.client.cancel(&id).await?,
            (None, JobState::Running) => {
                let what =
                    "no peer of this home runs: the job goes on only while its own command does";
                return Err(Failure::new(
                    Exit::NoDaemon,
                    what,
                    "press Ctrl-C where it was submitted",
                ));
            }
            (None, JobState::Interrupted) => {
                let what = "only the peer of this home can end a job";
                return Err(Failure::new(
                    Exit::NoDaemon,
                    what,
                    "start it with `starling up`",
                ));
            }
            (None, _) => job,
        };
        let out = context.console;
        if out.json {
            out.json(&json!(job));
        } else {
            out.data(format!("{} {}", &id[..12], word(job.file.state)));
        }
        Ok(Exit::Ok)
    }
}

impl Forget {
    async fn run(self, context: &Context) -> Outcome {
        let (job, daemon) = find(context, &self.which.id).await?;
        let id = job.file.job.to_string();
        match daemon {
            Some(session) => session.client.forget(&id).await?,
            None => {
                let what = "only the peer of this home can remove a job's outputs";
                return Err(Failure::new(
                    Exit::NoDaemon,
                    what,
                    "start it with `starling up`",
                ));
            }
        }
        context.console.note(format!("{} is forgotten", &id[..12]));
        if context.console.json {
            context.console.json(&json!({ "forgotten": id }));
        }
        Ok(Exit::Ok)
    }
}
