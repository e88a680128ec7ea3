//! `starling swarm create | join | show`: genesis files, made, taken over and shown.
//!
//! A home belongs to one swarm, because its log's signatures do. Invariant: a genesis that a log belongs to is never
//! overwritten; with `--force` it moves aside together with its log.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use starling_protocol::{Genesis, Limits, Scope};

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::place::Place;
use crate::genesis;
use crate::home::Home;
use crate::home::config::Value;
use crate::home::disk::DiskError;
use crate::net::Multiaddr;

/// Make, join and show swarms.
///
/// A swarm is the peers that share one genesis file. Its name in the protocol is the digest of that file's values, so
/// two swarms can never mix.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling swarm create friends --scope public -o friends.toml    on one machine
  starling swarm join friends.toml                                on every machine, the first one too
  starling swarm show")]
pub struct Swarm {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a new swarm's genesis file.
    Create(Create),
    /// Make this home a member of the swarm that a genesis file describes.
    Join(Join),
    /// Show this home's swarm.
    Show,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reach {
    /// This machine only.
    Local,
    /// One local network.
    Lan,
    /// The internet.
    Public,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling swarm create friends --scope public -o friends.toml
  starling swarm create lab --scope lan                           join it here at once")]
struct Create {
    /// Name for people, 1 to 64 characters.
    name: String,
    /// How far it reaches.
    #[arg(long, value_enum, default_value = "lan")]
    scope: Reach,
    /// File to write; without it, this home joins the new swarm.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Target time of one slice on one device, ms (100 to 600000) [default: 20000, local swarms 1000].
    #[arg(long, value_name = "MS")]
    slice_ms: Option<u32>,
    /// Leave the swarm that this home belongs to; its log moves aside.
    #[arg(long)]
    force: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling swarm join friends.toml
  starling swarm join friends.toml --bootstrap /ip4/192.0.2.7/udp/4001/quic-v1")]
struct Join {
    /// The swarm's genesis file.
    file: PathBuf,
    /// Peers to dial at every start; written to this home's settings.
    #[arg(long, value_name = "ADDR")]
    bootstrap: Vec<Multiaddr>,
    /// Leave the swarm that this home belongs to; its log moves aside.
    #[arg(long)]
    force: bool,
}

impl Swarm {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self.command {
            Command::Create(create) => create.run(context),
            Command::Join(join) => join.run(context),
            Command::Show => {
                let place = context.place()?;
                let genesis = genesis::load(&place.genesis_file()).map_err(Failure::from)?;
                show(context, &genesis, &place.genesis_file());
                Ok(Exit::Ok)
            }
        }
    }
}

impl Create {
    fn run(self, context: &Context) -> Outcome {
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
        let file = match self.output {
            Some(file) => {
                if !genesis::save_new(&genesis, &file).map_err(Failure::from)? {
                    let what = format!("{} exists", file.display());
                    return Err(Failure::new(Exit::Error, what, "name another file with -o"));
                }
                context.console.note(format!(
                    "join it on every machine: starling swarm join {}",
                    file.display()
                ));
                file
            }
            None => {
                let place = context.place()?;
                enter(context, &place, &genesis, self.force)?;
                place.genesis_file()
            }
        };
        show(context, &genesis, &file);
        Ok(Exit::Ok)
    }
}

impl Join {
    fn run(self, context: &Context) -> Outcome {
        let genesis = genesis::load(&self.file).map_err(Failure::from)?;
        let place = context.place()?;
        enter(context, &place, &genesis, self.force)?;
        if !self.bootstrap.is_empty() {
            remember(&place, &self.bootstrap)?;
        }
        show(context, &genesis, &place.genesis_file());
        Ok(Exit::Ok)
    }
}

/// Makes `genesis` this home's. The home is held meanwhile, so that no peer runs in it.
fn enter(context: &Context, place: &Place, genesis: &Genesis, force: bool) -> Result<(), Failure> {
    let home = Home::open(&place.root).map_err(Failure::from)?;
    let file = home.genesis();
    if genesis::save_new(genesis, &file).map_err(Failure::from)? {
        return Ok(());
    }
    let present = genesis::load(&file);
    if present
        .as_ref()
        .is_ok_and(|p| p.swarm_id() == genesis.swarm_id())
    {
        return Ok(());
    }
    if !force {
        let whose = present.map_or_else(
            |e| format!("{} cannot be read ({e})", file.display()),
            |p| {
                format!(
                    "{} belongs to swarm {:?} ({})",
                    place.root.display(),
                    p.name,
                    p.swarm_id()
                )
            },
        );
        return Err(Failure::new(
            Exit::Error,
            format!("{whose}, and so does its log of signed facts"),
            "choose another folder with --home DIR, or leave that swarm with --force (its log moves aside)",
        ));
    }
    let aside = set_aside(&home)?;
    context.console.note(format!(
        "the former swarm's genesis and log lie in {}",
        aside.display()
    ));
    genesis::save_new(genesis, &file)
        .map(|_| ())
        .map_err(Failure::from)
}

/// Moves all that belongs to the former swarm into the first free folder `former-N`.
fn set_aside(home: &Home) -> Result<PathBuf, Failure> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |e| Failure::from(DiskError::new("move aside", &path, e))
    };
    let mut number = 1_u32;
    let aside = loop {
        let aside = home.root().join(format!("former-{number}"));
        match std::fs::create_dir(&aside) {
            Ok(()) => break aside,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && number < 10_000 => {
                number += 1
            }
            Err(e) => return Err(fail(&aside)(e)),
        }
    };
    // The genesis goes last: until then the command can be repeated.
    for name in ["log", "index", "requester", "genesis.toml"] {
        let from = home.root().join(name);
        if from.exists() {
            std::fs::rename(&from, aside.join(name)).map_err(fail(&from))?;
        }
    }
    Ok(aside)
}

/// Adds addresses to the settings.
fn remember(place: &Place, addresses: &[Multiaddr]) -> Result<(), Failure> {
    let mut all = place.config()?.network.bootstrap;
    for address in addresses.iter().map(Multiaddr::to_string) {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    super::config::write(place, "network.bootstrap", Some(&Value::List(all)))
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
