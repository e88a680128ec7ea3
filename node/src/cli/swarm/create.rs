//! `starling swarm create`: a new swarm, private unless it is told to be open.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use starling_protocol::{Genesis, Scope};

use super::super::Context;
use super::super::exit::{Exit, Failure, Outcome};
use super::super::interrupt::Interrupt;
use super::{choose, furnish, show, then_up};
use crate::genesis;
use crate::home::Home;
use crate::membership::Gate;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reach {
    /// This machine only.
    Local,
    /// One local network.
    Lan,
    /// The internet.
    Public,
}

/// Make a new swarm, of which this machine is the first member.
///
/// It is private: this machine holds the key that signs its members' certificates, in HOME/admission.key. Keep a copy:
/// without it nobody can be invited and nobody be revoked.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling swarm create friends --scope public --up
  starling swarm create lab --open -o lab.toml      whoever has the file can join")]
pub(super) struct Create {
    /// Name for people, 1 to 64 characters.
    name: String,
    /// How far it reaches.
    #[arg(long, value_enum, default_value = "lan")]
    scope: Reach,
    /// Take in whoever has the swarm's file.
    #[arg(long)]
    open: bool,
    /// Only write an open swarm's file; without it, this machine joins the new swarm.
    #[arg(
        short,
        long,
        value_name = "FILE",
        requires = "open",
        conflicts_with = "up"
    )]
    output: Option<PathBuf>,
    /// Target time of one slice on one device, ms (100 to 600000) [default: 20000, local swarms 1000].
    #[arg(long, value_name = "MS")]
    slice_ms: Option<u32>,
    /// Lend this machine to it at once, as `starling up` does.
    #[arg(long)]
    up: bool,
}

impl Create {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let scope = match self.scope {
            Reach::Local => Scope::Local,
            Reach::Lan => Scope::Lan,
            Reach::Public => Scope::Public,
        };
        let genesis = genesis::create(&self.name, scope, self.slice_ms).map_err(|e| {
            Failure::new(
                Exit::Usage,
                e.to_string(),
                "see `starling swarm create --help` for the ranges",
            )
        })?;
        if let Some(file) = &self.output {
            if !genesis::save_new(&genesis, file).map_err(Failure::from)? {
                let what = format!("{} exists", file.display());
                return Err(Failure::new(Exit::Error, what, "name another file with -o"));
            }
            context.console.note(format!(
                "join it on every machine: starling swarm join {}",
                file.display()
            ));
            show(context, &genesis, file);
            return Ok(Exit::Ok);
        }
        self.enter(context, genesis)?;
        then_up(self.up, context, interrupt).await
    }

    fn enter(&self, context: &Context, genesis: Genesis) -> Result<(), Failure> {
        let place = context.place()?;
        let place = place.beside(place.swarms.room_for(&self.name));
        // Held meanwhile, so that no peer runs in it.
        let home = Home::open(&place.root).map_err(Failure::from)?;
        let genesis = if self.open {
            genesis
        } else {
            Gate::found(&place.root, genesis)?
        };
        furnish(&place)?;
        // Last: until then the home belongs to no swarm.
        genesis::save_new(&genesis, &home.genesis()).map_err(Failure::from)?;
        choose(context, &place)?;
        show(context, &genesis, &place.genesis_file());
        if !self.open && !self.up {
            context
                .console
                .note("next: `starling up` here, and `starling swarm invite` beside it");
        }
        Ok(())
    }
}
