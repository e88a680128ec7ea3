//! `starling swarm ls | switch | leave`: the swarms of this machine.

use clap::Args;
use serde_json::json;

use super::super::Context;
use super::super::exit::{Exit, Failure, Outcome};
use super::super::place::{Place, known};
use crate::home::swarms::Known;
use crate::home::{DiskError, Home};
use crate::membership;
use crate::neighbours::NEIGHBOURS_FILE;

/// Send commands to another swarm of this machine.
///
/// Peers that run go on running: each swarm has its own. `--swarm NAME` does it for one command.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling swarm switch friends
  starling --swarm lab peers")]
pub(super) struct Switch {
    /// Its name, or the beginning of its id.
    name: String,
}

/// Leave a swarm: its home moves aside, with its key, its log and its receipts.
///
/// Whoever was invited needs a new invitation to come back. An issuer that leaves takes the admission key along.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling swarm leave
  starling swarm leave friends")]
pub(super) struct Leave {
    /// Which one [default: the current one].
    name: Option<String>,
}

pub(super) fn list(context: &Context) -> Outcome {
    let place = context.place()?;
    let out = context.console;
    let all = place.swarms.list();
    let line = |known: &Known| {
        let here = place.beside(known.root.clone());
        (
            known.root == place.root,
            known.genesis.admission.is_some(),
            here.running().is_some(),
        )
    };
    if out.json {
        let all: Vec<_> = all
            .iter()
            .map(|known| {
                let (current, closed, runs) = line(known);
                json!({
                    "name": known.name, "swarm": known.genesis.swarm_id(), "home": known.root,
                    "current": current, "closed": closed, "runs": runs,
                })
            })
            .collect();
        out.json(&json!({ "swarms": all }));
        return Ok(Exit::Ok);
    }
    if all.is_empty() {
        out.note("this machine is in no swarm yet: `starling up` makes one, `starling swarm join CODE` joins one");
    }
    for known in &all {
        let (current, closed, runs) = line(known);
        let star = if current { '*' } else { ' ' };
        let kind = if closed { "private" } else { "open" };
        let runs = if runs { ", up" } else { "" };
        let id = known.genesis.swarm_id();
        out.data(format!(
            "{star} {:<24} {:.8}  {kind}{runs}",
            known.name,
            id.to_string()
        ));
    }
    Ok(Exit::Ok)
}

impl Switch {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let place = context.place()?;
        let known = known(&place.swarms, &self.name)?;
        place.swarms.choose(&known.root).map_err(Failure::from)?;
        context
            .console
            .note(format!("commands go to {} now", known.name));
        Ok(Exit::Ok)
    }
}

impl Leave {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let mut place = context.place()?;
        if let Some(name) = &self.name {
            place = place.beside(known(&place.swarms, name)?.root);
        }
        if !place.genesis_file().exists() {
            let what = format!("{} belongs to no swarm", place.root.display());
            return Err(Failure::new(Exit::Error, what, "nothing is left to leave"));
        }
        // Held meanwhile, so that no peer runs in it.
        let home = Home::open(&place.root).map_err(Failure::from)?;
        let aside = place.swarms.former().map_err(Failure::from)?;
        let moved = move_aside(&place, &aside);
        drop(home);
        moved.map_err(Failure::from)?;
        let out = context.console;
        if out.json {
            out.json(&json!({ "former": aside }));
        }
        out.note(format!("all of that swarm lies in {}", aside.display()));
        Ok(Exit::Ok)
    }
}

/// What of the base belongs to its swarm, beside its membership. Settings and the API's token are the owner's.
const OF_A_SWARM: [&str; 8] = [
    "identity.key",
    "log",
    "index",
    "blobs",
    "jobs",
    "requester",
    "lending.json",
    NEIGHBOURS_FILE,
];

fn move_aside(place: &Place, aside: &std::path::Path) -> Result<(), DiskError> {
    let base = place.swarms.base() == place.root;
    let rename = |from: &std::path::Path, to: &std::path::Path| {
        std::fs::rename(from, to).map_err(|e| DiskError::new("move aside", from, e))
    };
    if !base {
        // The new folder is empty, so the home takes its place.
        return rename(&place.root, aside);
    }
    // The genesis goes last: until then the command can be repeated.
    for name in OF_A_SWARM
        .into_iter()
        .chain(membership::FILES)
        .chain(["genesis.toml"])
    {
        let from = place.root.join(name);
        if from.exists() {
            rename(&from, &aside.join(name))?;
        }
    }
    Ok(())
}
