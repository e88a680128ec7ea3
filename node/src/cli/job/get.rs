//! `job get`: a job's result as a file, once it is done.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Which, find, watch};
use crate::cli::Context;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::interrupt::Interrupt;
use crate::cli::run::collect::Collector;
use crate::cli::run::{Outputs, refused};
use crate::jobs::JobState;
use crate::product::Product;

/// Write a job's result to a file, waiting for its end if it still runs.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling job get last
  starling job get 3fa9 -o picture.png --keep")]
pub(super) struct Get {
    #[command(flatten)]
    which: Which,
    /// File to write [default: the one that was named at submission].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep the outputs in the store, to get them again.
    #[arg(long)]
    keep: bool,
}

impl Get {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let (mut job, daemon) = find(context, &self.which.id).await?;
        let Some(session) = daemon else {
            let what = "the outputs lie in the store of this home's peer, and none runs";
            return Err(Failure::new(
                Exit::NoDaemon,
                what,
                "start it with `starling up`",
            ));
        };
        let path = self
            .output
            .or_else(|| job.file.output.clone())
            .ok_or_else(|| {
                let what = "no file was named at submission";
                Failure::new(Exit::Usage, what, "name one with -o FILE")
            })?;
        let product = Product::of(&job.file).map_err(refused)?;
        let outputs = Outputs(vec![(product.formats()[0], path)]);
        outputs.check()?;
        if job.file.state == JobState::Running {
            job = tokio::select! {
                ended = watch::follow(context, &session.client, job) => ended?,
                _ = interrupt.signalled() => return Ok(Exit::Interrupted),
            };
        }
        let mut collector = Collector::new(session.client.clone(), product);
        if job.file.state != JobState::Done {
            let what = "the job is not done";
            let failure = job
                .file
                .why
                .map_or_else(|| Failure::of(what), Failure::from);
            return Err(failure.exit(Exit::JobFailed));
        }
        collector.catch_up(&job.file).await?;
        collector.finish(&outputs)?;
        if !self.keep {
            session.client.collected(&job.file.job.to_string()).await?;
        }
        let out = context.console;
        if out.json {
            out.json(&json!({ "job": job.file.job, "output": outputs.result(), "receipts": job.receipts }));
        } else {
            out.data(outputs.result().display().to_string());
        }
        Ok(Exit::Ok)
    }
}
