//! `job get`: a job's result as a file, once it is done.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Which, watch};
use crate::cli::Context;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::interrupt::Interrupt;
use crate::cli::node_options::DeviceArgs;
use crate::cli::run::collect::Collector;
use crate::cli::run::{Outputs, refused};
use crate::cli::session::Session;
use crate::jobs::JobState;
use crate::jobs::account::resolve;
use crate::net::Multiaddr;
use crate::product::Product;

/// Write a job's result to a file, waiting for its end if it still runs.
///
/// A job that this home does not know is looked for in the swarm, by its whole id: its stewards hand it to the identity
/// that submitted it (requester/identity.key in the home).
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling job get last
  starling job get 3fa9 -o picture.png --keep
  starling job get $(cat job.id) -o picture.png --bootstrap /ip4/192.0.2.7/udp/4001/quic-v1/p2p/12D3...")]
pub(super) struct Get {
    #[command(flatten)]
    which: Which,
    /// File to write [default: the one that was named at submission].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep the outputs in the store, to get them again.
    #[arg(long)]
    keep: bool,
    /// Peers to dial first, if no peer of this home runs.
    #[arg(long, value_name = "MULTIADDR")]
    bootstrap: Vec<Multiaddr>,
    #[command(flatten)]
    device: DeviceArgs,
}

fn unnamed() -> Failure {
    let what = "no file was named at submission";
    Failure::new(Exit::Usage, what, "name one with -o FILE")
}

/// Whether `id` is a whole one.
fn whole(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

impl Get {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let place = context.place()?;
        let id = match resolve(&place.jobs(), &self.which.id) {
            // By its whole id a job may be found in the swarm.
            Err(reason) if reason.code == "unknown_job" && whole(&self.which.id) => None,
            known => Some(known?),
        };
        if id.is_none() && self.output.is_none() {
            return Err(unnamed());
        }
        let opened =
            Session::open(context, &place, &self.bootstrap, &self.device, &interrupt).await?;
        let Some(session) = opened else {
            return Ok(Exit::Interrupted);
        };
        let outcome = self.collect(context, &session, id, interrupt).await;
        session.close().await;
        outcome
    }

    async fn collect(
        self,
        context: &Context,
        session: &Session,
        id: Option<String>,
        interrupt: Interrupt,
    ) -> Outcome {
        let known = match &id {
            Some(id) => Some(session.client.job(id).await?),
            None => None,
        };
        let mut job = match known.filter(|job| !job.file.is_lost()) {
            Some(job) => job,
            None => {
                let out = context.console;
                out.note("this home does not know the job: looking for its stewards in the swarm");
                tokio::select! {
                    found = session.client.collect(id.as_ref().unwrap_or(&self.which.id)) => found?,
                    _ = interrupt.signalled() => return Ok(Exit::Interrupted),
                }
            }
        };
        let named = self.output.or_else(|| job.file.output.clone());
        let path = named.ok_or_else(unnamed)?;
        let product = Product::of(&job.file).map_err(refused)?;
        let outputs = Outputs(product.targets(path));
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
