//! `job watch`: a job's progress until it ends. Leaving changes nothing about the job.

use clap::Args;
use serde_json::json;

use super::{Which, find, word};
use crate::api::client::{Client, Told};
use crate::api::types::JobView;
use crate::cli::Context;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::interrupt::Interrupt;
use crate::cli::run::collect::view;
use crate::cli::run::progress::Progress;
use crate::jobs::{JobState, Side};
use crate::node::Happening;
use crate::product::{Grain, Product};

/// Follow a job until it ends. Ctrl-C leaves it alone.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling job watch last
  starling job watch 3fa9 --json     one object for everything that happens")]
pub(super) struct Watch {
    #[command(flatten)]
    which: Which,
}

impl Watch {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let (job, daemon) = find(context, &self.which.id).await?;
        let job = match daemon {
            Some(session) if job.file.state == JobState::Running => {
                tokio::select! {
                    ended = follow(context, &session.client, job) => ended?,
                    _ = interrupt.signalled() => return Ok(Exit::Interrupted),
                }
            }
            _ => job,
        };
        let out = context.console;
        if out.json {
            out.json(&json!(job));
        } else {
            out.data(format!("{} {}", job.file.job, word(job.file.state)));
        }
        match (job.file.state, job.file.why) {
            (JobState::Done, _) => Ok(Exit::Ok),
            (JobState::Running, _) => Err(Failure::new(
                Exit::NoDaemon,
                "no peer of this home runs: nothing of the job is to be seen",
                "watch it where it was submitted",
            )),
            (_, Some(reason)) => Err(Failure::from(reason).exit(Exit::JobFailed)),
            (_, None) => Err(Failure::of("the job ended early").exit(Exit::JobFailed)),
        }
    }
}

/// Follows a job that runs; its account at the end.
pub(super) async fn follow(
    context: &Context,
    client: &Client,
    mut job: JobView,
) -> Result<JobView, Failure> {
    let id = job.file.job.to_string();
    let mut events = client.events(Some(&id), Some(job.event));
    let mut progress = Progress::new(&context.console, job.file.tiles, grain(&job));
    while job.file.state == JobState::Running {
        progress.show(&view(&job.file));
        match events.next().await? {
            Told::Missed(_) => job = client.job(&id).await?,
            Told::Happening(one) => {
                if let Happening::Core(event) = &one.happening
                    && one.side == Side::Requester
                {
                    if context.console.json {
                        context.console.json(&json!(one));
                    }
                    let ms = (job.file.wall_s * 1000.0) as u64;
                    job.file.note(event, ms);
                }
            }
        }
    }
    progress.finish();
    Ok(client.job(&id).await?)
}

fn grain(job: &JobView) -> Grain {
    let plain = Grain {
        count: 1,
        unit: "tiles",
    };
    Product::of(&job.file).map_or(plain, |product| product.grain)
}
