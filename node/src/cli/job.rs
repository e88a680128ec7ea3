//! `starling job show`: what is known of a job that was submitted from this home.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use super::exit::{Exit, Outcome};
use super::job_file::{JobFile, JobState, SliceState};
use super::text;

/// Look at jobs of this home.
#[derive(Args, Debug)]
pub struct Job {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Show(Show),
}

/// Show a job: its state, slices, workers and receipts.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling job show last
  starling job show 3fa9 --json      the beginning of an id is enough")]
struct Show {
    /// The job's id, the beginning of it, or `last`.
    #[arg(value_name = "ID")]
    id: String,
}

impl Job {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let Command::Show(Show { id }) = self.command;
        let jobs = context.place()?.jobs();
        let job = JobFile::find(&jobs, &id)?;
        let out = context.console;
        if out.json {
            let mut all = json!(job);
            all["workers"] = json!(job.shares());
            all["receipts"] = json!(job.receipts());
            out.json(&all);
            return Ok(Exit::Ok);
        }
        let bundle = jobs.join(job.job.to_string()).join("bundle.popw");
        lines(&job).iter().for_each(|line| out.data(line));
        if bundle.exists() {
            out.data(format!("bundle     {}", bundle.display()));
        }
        Ok(Exit::Ok)
    }
}

fn lines(job: &JobFile) -> Vec<String> {
    let state = match job.state {
        JobState::Running => "running, or its requester was killed",
        JobState::Done => "done",
        JobState::Cancelled => "cancelled",
        JobState::Failed => "failed",
    };
    let why = job
        .why
        .as_ref()
        .map_or(String::new(), |why| format!(": {why}"));
    let mut lines = vec![
        format!("job        {}", job.job),
        format!("state      {state}{why}"),
        format!("kernel     {}", job.kernel),
        format!(
            "time       {}",
            text::duration(Duration::from_secs_f64(job.wall_s.max(0.0)))
        ),
        format!("tiles      {} of {}", job.tiles_done(), job.tiles),
        format!(
            "slices     {} of {} done, {}",
            job.done().count(),
            job.slices.len(),
            text::count(job.receipts(), "receipt")
        ),
        format!("output     {}", job.output.display()),
    ];
    for share in job.shares() {
        let who = if share.peer == job.requester {
            " (the requester)"
        } else {
            ""
        };
        lines.push(format!(
            "worker     {}{who}: {}, {}, {}",
            share.peer.short(),
            text::count(share.slices as usize, "slice"),
            text::count(share.tiles as usize, "tile"),
            text::count(share.audits as usize, "audit"),
        ));
    }
    for cheat in &job.cheats {
        let by = cheat
            .by
            .map_or(String::new(), |by| format!(", caught by {}", by.short()));
        lines.push(format!(
            "cheat      {} in slice {}: {}{by}",
            cheat.worker.short(),
            cheat.slice,
            cheat.how
        ));
    }
    for (n, slice) in job.slices.iter().enumerate() {
        let unfinished = slice.state != SliceState::Done;
        if unfinished || !slice.flags.is_empty() || slice.reopened > 0 || slice.receipt.is_none() {
            let mut notes = slice.flags.clone();
            if slice.state == SliceState::Done && slice.receipt.is_none() {
                notes.push("no receipt".into());
            }
            if slice.reopened > 0 {
                notes.push(format!("leased again {} times", slice.reopened));
            }
            lines.push(
                format!("slice {n:<5}{:?}: {}", slice.state, notes.join(", "))
                    .trim_end_matches(": ")
                    .to_owned(),
            );
        }
    }
    lines
}
