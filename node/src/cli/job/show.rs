//! `job show`: what is known of one job.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{Which, find, word};
use crate::api::types::JobView;
use crate::cli::Context;
use crate::cli::exit::{Exit, Outcome};
use crate::cli::text;
use crate::jobs::SliceState;

/// Show a job: its state, slices, workers and receipts.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling job show last
  starling job show 3fa9 --json      the beginning of an id is enough")]
pub(super) struct Show {
    #[command(flatten)]
    which: Which,
}

impl Show {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let (job, _) = find(context, &self.which.id).await?;
        let out = context.console;
        if out.json {
            out.json(&json!(job));
            return Ok(Exit::Ok);
        }
        lines(&job).iter().for_each(|line| out.data(line));
        let folder = context.place()?.jobs().join(job.file.job.to_string());
        let bundle = folder.join("bundle.popw");
        if bundle.exists() {
            out.data(format!("bundle     {}", bundle.display()));
        }
        Ok(Exit::Ok)
    }
}

fn lines(view: &JobView) -> Vec<String> {
    let job = &view.file;
    let why = job
        .why
        .as_ref()
        .map_or(String::new(), |why| format!(": {why}"));
    let state = word(job.state);
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
            text::count(view.receipts, "receipt")
        ),
    ];
    if let Some(output) = &job.output {
        lines.push(format!("output     {}", output.display()));
    }
    for share in &view.workers {
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
