//! `starling dev`: for those who build on Starling.

mod reference;
mod swarm;

use clap::{Args, Subcommand};

use super::Context;
use super::exit::Outcome;
use super::interrupt::Interrupt;

/// For those who build on Starling: swarms to try things on, and the reference.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling dev swarm 5
  starling dev reference docs/reference")]
pub struct Dev {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Swarm(swarm::DevSwarm),
    Reference(reference::Reference),
}

impl Dev {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        match self.command {
            Command::Swarm(swarm) => swarm.run(context, interrupt).await,
            Command::Reference(reference) => reference.run(context),
        }
    }
}
