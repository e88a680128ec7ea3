//! `starling swarm join`: by an invitation into a private swarm, by its file into an open one.

use std::path::PathBuf;

use clap::Args;
use starling_protocol::Genesis;
use starling_protocol::admission::Invitation;

use super::super::Context;
use super::super::exit::{Exit, Failure, Outcome};
use super::super::interrupt::Interrupt;
use super::super::place::Place;
use super::{choose, furnish, left, show, then_up};
use crate::genesis;
use crate::home::Home;
use crate::home::config::Value;
use crate::membership;
use crate::net::Multiaddr;
use crate::reason::Reason;

/// What every code begins with.
const CODE: &str = "STARLING1";

/// Join a swarm: with an invitation, or with an open swarm's file.
///
/// The invitation is redeemed where it was made, so a peer must run there and be within reach; later any member will do.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling swarm join STARLING1... --up
  starling swarm join friends.toml --bootstrap /ip4/192.0.2.7/udp/4001/quic-v1")]
pub(super) struct Join {
    /// The invitation, or the swarm's genesis file.
    #[arg(value_name = "CODE|FILE")]
    what: String,
    /// What the other members shall call this machine [default: its host name].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Peers to dial at every start; written to the settings.
    #[arg(long, value_name = "ADDR")]
    bootstrap: Vec<Multiaddr>,
    /// Lend this machine to it at once, as `starling up` does.
    #[arg(long)]
    up: bool,
}

impl Join {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let is_code = self.what.trim_start().get(..CODE.len());
        if is_code.is_some_and(|start| start.eq_ignore_ascii_case(CODE)) {
            tokio::select! {
                joined = self.redeem(context) => joined?,
                _ = interrupt.signalled() => return Ok(Exit::Interrupted),
            }
        } else {
            self.take_file(context)?;
        }
        then_up(self.up, context, interrupt).await
    }

    async fn redeem(&self, context: &Context) -> Result<(), Failure> {
        let invitation = Invitation::parse(&self.what).map_err(Reason::from)?;
        let genesis = &invitation.genesis;
        let (place, made) = room(context, genesis)?;
        let home = Home::open(&place.root).map_err(Failure::from)?;
        let name = self.name.clone().unwrap_or_else(host_name);
        let joined = membership::join(&place.root, &invitation, &name).await;
        let papers = match joined {
            Ok(papers) => papers,
            Err(mut reason) => {
                drop(home);
                if made {
                    // Nothing of the attempt is left.
                    let _ = std::fs::remove_dir_all(&place.root);
                }
                if reason.code == "unreachable" {
                    reason = reason.with("until_s", invitation.until_s);
                }
                return Err(reason.into());
            }
        };
        let entrances = invitation.entrances.iter();
        let mut bootstrap = self.bootstrap.clone();
        bootstrap.extend(entrances.flat_map(|entrance| {
            let key = entrance.peer;
            let addresses = entrance.addresses.iter();
            addresses.filter_map(move |a| {
                let id = crate::net::peer_id(key.as_bytes())?;
                format!("{a}/p2p/{id}").parse().ok()
            })
        }));
        self.settle(context, &place, &home, genesis, &bootstrap)?;
        let certificate = &papers.certificate.body;
        context.console.note(format!(
            "joined as {:?}; the certificate is good for {}",
            certificate.name.as_str(),
            left(certificate.until_s)
        ));
        Ok(())
    }

    fn take_file(&self, context: &Context) -> Result<(), Failure> {
        let genesis = genesis::load(&PathBuf::from(&self.what)).map_err(Failure::from)?;
        let (place, _) = room(context, &genesis)?;
        if genesis.admission.is_some() && !membership::is_member(&place.root) {
            let what = format!("the swarm {:?} is private", genesis.name);
            let fix = "ask a member for an invitation, and `starling swarm join CODE`";
            return Err(Reason::new("no_certificate", what, fix).into());
        }
        let home = Home::open(&place.root).map_err(Failure::from)?;
        self.settle(context, &place, &home, &genesis, &self.bootstrap)
    }

    /// Makes the swarm the home's, and the home the current one.
    fn settle(
        &self,
        context: &Context,
        place: &Place,
        home: &Home,
        genesis: &Genesis,
        bootstrap: &[Multiaddr],
    ) -> Result<(), Failure> {
        furnish(place)?;
        if !bootstrap.is_empty() {
            remember(place, bootstrap)?;
        }
        genesis::save_new(genesis, &home.genesis()).map_err(Failure::from)?;
        choose(context, place)?;
        show(context, genesis, &place.genesis_file());
        Ok(())
    }
}

/// The home for a swarm: the one that is in it already, else a new one; and whether its folder is new.
fn room(context: &Context, genesis: &Genesis) -> Result<(Place, bool), Failure> {
    let place = context.place()?;
    let root = match place.swarms.with_id(&genesis.swarm_id()) {
        Some(known) => known.root,
        None => place.swarms.room_for(&genesis.name),
    };
    let made = !root.exists();
    Ok((place.beside(root), made))
}

/// Adds addresses to the settings.
fn remember(place: &Place, addresses: &[Multiaddr]) -> Result<(), Failure> {
    let mut all = place.config()?.network.bootstrap;
    for address in addresses.iter().map(Multiaddr::to_string) {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    super::super::config::write(place, "network.bootstrap", Some(&Value::List(all)))
}

fn host_name() -> String {
    sysinfo::System::host_name().unwrap_or_else(|| "a friend".into())
}
