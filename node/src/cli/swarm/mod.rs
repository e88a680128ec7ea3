//! `starling swarm`: swarms, made, joined, chosen among and left.
//!
//! Each swarm of a machine has a home of its own (`home::swarms`), because its log's signatures belong to it.

mod create;
mod homes;
mod join;
mod members;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde_json::json;
use starling_protocol::{Genesis, Limits, Scope};

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::interrupt::Interrupt;
use super::place::Place;
use super::text;
use super::up::Up;
use crate::genesis;
use crate::home::config::Value;

/// Make, join and leave swarms, and choose among this machine's.
///
/// A swarm is the peers that share one genesis. A private one takes in whoever was invited, and nobody else: each member
/// has a certificate that its issuer has signed, and shows it before anything else is said. An open one takes in
/// whoever has its file.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling swarm create friends --up                 a private swarm; this machine lends to it
  starling swarm invite                              prints a code: send it to a friend
  starling swarm join STARLING1... --up              on the friend's machine
  starling swarm members
  starling swarm switch home                         commands go to another swarm of this machine")]
pub struct Swarm {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Create(create::Create),
    Invite(members::Invite),
    Join(join::Join),
    Members(members::Members),
    Revoke(members::Revoke),
    /// List this machine's swarms; commands go to the one with the star.
    Ls,
    Switch(homes::Switch),
    Leave(homes::Leave),
    /// Show the current swarm.
    Show,
}

impl Swarm {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        match self.command {
            Command::Create(create) => create.run(context, interrupt).await,
            Command::Invite(invite) => invite.run(context).await,
            Command::Join(join) => join.run(context, interrupt).await,
            Command::Members(members) => members.run(context).await,
            Command::Revoke(revoke) => revoke.run(context).await,
            Command::Ls => homes::list(context),
            Command::Switch(switch) => switch.run(context),
            Command::Leave(leave) => leave.run(context),
            Command::Show => {
                let place = context.place()?;
                let genesis = genesis::load(&place.genesis_file()).map_err(Failure::from)?;
                show(context, &genesis, &place.genesis_file());
                Ok(Exit::Ok)
            }
        }
    }
}

/// Makes a home the current one, and says so if there are others.
fn choose(context: &Context, place: &Place) -> Result<(), Failure> {
    let before = place.swarms.current();
    place.swarms.choose(&place.root).map_err(Failure::from)?;
    let all = place.swarms.list();
    let former = all.iter().find(|known| known.root == before);
    if let Some(former) = former.filter(|_| before != place.root) {
        context.console.note(format!(
            "this machine is in {} now; commands go to this one (back: starling swarm switch {})",
            text::count(all.len(), "swarm"),
            former.name
        ));
    }
    Ok(())
}

/// Gives a new home the owner's settings, but for those that belong to the other swarm.
fn furnish(place: &Place) -> Result<(), Failure> {
    let base = place.beside(place.swarms.base().to_owned());
    if base.root != place.root && base.config_file().exists() && !place.config_file().exists() {
        let text = std::fs::read(base.config_file())
            .map_err(|e| crate::home::DiskError::new("read", &base.config_file(), e))?;
        super::place::write_atomically(&place.config_file(), &text)?;
        let none = Value::List(Vec::new());
        for key in ["network.bootstrap", "network.announce"] {
            super::config::write(place, key, Some(&none))?;
        }
    }
    place.config().map(drop)
}

/// Goes on as `starling up`, if that was asked for.
async fn then_up(up: bool, context: &Context, interrupt: Interrupt) -> Outcome {
    if up {
        Up::default().run(context, interrupt).await
    } else {
        Ok(Exit::Ok)
    }
}

/// The time until then, as people say it.
fn left(until_s: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_secs(until_s);
    match at.duration_since(SystemTime::now()) {
        // To the next minute, so that what was asked for as a week is one.
        Ok(left) => text::duration(Duration::from_secs(left.as_secs().div_ceil(60) * 60)),
        Err(_) => "none".into(),
    }
}

fn show(context: &Context, genesis: &Genesis, file: &Path) {
    let out = context.console;
    if out.json {
        let mut all = json!(genesis);
        all["swarm"] = json!(genesis.swarm_id());
        all["file"] = json!(file);
        return out.json(&all);
    }
    let reach = match genesis.scope {
        Scope::Local => "this machine",
        Scope::Lan => "the local network",
        Scope::Public => "the internet",
    };
    out.data(format!("swarm    {}", genesis.swarm_id()));
    out.data(format!("name     {}", genesis.name));
    out.data(format!("reaches  {reach}"));
    out.data(match genesis.admission {
        Some(_) => "members  who was invited: starling swarm members",
        None => "members  whoever has its file",
    });
    out.data(format!(
        "slices   about {} ms on one device",
        genesis.slice_ms
    ));
    out.data(format!(
        "adverts  every {} ms, shards: {}",
        genesis.advert_ms, genesis.shards
    ));
    let Limits {
        roster,
        input_mib,
        deadline_s,
    } = genesis.limits;
    let hours = deadline_s / 3600;
    out.data(format!(
        "limits   {roster} peers in a roster, {input_mib} MiB an input, {hours} h to a deadline"
    ));
    out.data(format!("file     {}", file.display()));
}
