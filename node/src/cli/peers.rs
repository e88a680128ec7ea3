//! `starling peers`: who is in the swarm and what they offer, heard by a peer that joins for a moment.
//!
//! It has a throw-away home: looking at a swarm leaves no trace and needs no lock. What this home's own peers have seen of
//! the others is asked of the daemon, if one runs.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use starling_protocol::advert::KernelOffer;
use starling_protocol::io::{ClaimState, Proof};
use starling_protocol::reputation::ReputationView;
use starling_protocol::{Advert, Genesis, PeerKey};

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::interrupt::Interrupt;
use super::node_options::{self, drain, leave};
use super::place::{Place, listen_beside, services};
use super::text;
use crate::api::client::Client;
use crate::compute::DeviceChoice;
use crate::home::Config;
use crate::net::{Multiaddr, Services};
use crate::node::{Node, NodeOptions};

/// List the swarm's peers with their devices and speeds.
///
/// Joins for some seconds and prints the adverts that it hears.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling peers                          beside a running `starling up`
  starling peers --bootstrap /ip4/192.0.2.7/udp/4001/quic-v1 --wait 10 --json")]
pub struct Peers {
    #[command(subcommand)]
    command: Option<Command>,
    /// Seconds to listen.
    #[arg(long, global = true, default_value_t = 3.0, value_name = "SECONDS", value_parser = node_options::seconds)]
    wait: f64,
    /// Peers to dial, beside those in the settings and a running `up`.
    #[arg(long, global = true, value_name = "ADDR")]
    bootstrap: Vec<Multiaddr>,
}

#[derive(Subcommand, Debug)]
enum Command {
    Show(Show),
}

/// Show one peer as its latest advert does, and what this home's peers have seen of it.
///
/// Reputation is each peer's own: it comes from the running `starling up`, and nobody else is asked.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling peers show 3fa9     the beginning of a key is enough
  starling peers show 3fa9 --json")]
struct Show {
    /// Its key, or the beginning of it.
    #[arg(value_name = "KEY")]
    key: String,
}

impl Peers {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let place = context.place()?;
        let genesis = place.genesis()?;
        let config = place.config()?;
        let peers = match genesis.admission {
            Some(_) => known_to_daemon(&place).await?,
            None => match self.heard(&place, genesis, &config, &interrupt).await? {
                Some(peers) => peers,
                None => return Ok(Exit::Interrupted),
            },
        };
        let seen = Seen::of(&place).await?;
        if let Some(Command::Show(show)) = &self.command {
            return show.run(context, &peers, &seen);
        }
        let out = context.console;
        if out.json {
            let all: Vec<_> = peers
                .iter()
                .map(|(advert, age_ms)| seen.json(advert, *age_ms))
                .collect();
            out.json(&json!({ "peers": all }));
        } else if peers.is_empty() {
            out.note(format!("no peer was heard in {} s", self.wait));
        } else {
            peers
                .iter()
                .flat_map(|(advert, age)| {
                    let mut lines = lines(advert, *age, &seen);
                    lines.extend(seen.worst(&advert.peer));
                    lines
                })
                .for_each(|line| out.data(line));
        }
        Ok(Exit::Ok)
    }

    /// What a peer hears that joins for a moment; none if Ctrl-C comes first.
    async fn heard(
        &self,
        place: &Place,
        genesis: Genesis,
        config: &Config,
        interrupt: &Interrupt,
    ) -> Result<Option<Vec<(Advert, u64)>>, Failure> {
        let bootstrap = place.bootstrap(&self.bootstrap, config, &genesis);
        let found = Services::of(genesis.scope.into())
            .and(services(config))
            .mdns;
        if bootstrap.is_empty() && !found {
            return Err(Failure::new(
                Exit::NoDaemon,
                "no peer runs in this home, and no other is known",
                "start one with `starling up`, or name one with --bootstrap ADDR",
            ));
        }
        let home = tempfile::tempdir()
            .map_err(|e| Failure::of(format!("cannot make a temporary folder: {e}")))?;
        let options = NodeOptions {
            home: home.path().to_owned(),
            listen: listen_beside(config, genesis.scope),
            genesis,
            gate: None,
            bootstrap,
            announce: Vec::new(),
            services: services(config),
            device: DeviceChoice::Cpu,
            require_gpu: false,
            lend: false,
            lies: false,
            limits: config.limits,
            terms: config.lend.clone(),
        };
        let start = Node::start(options);
        let (node, happenings) = tokio::select! {
            started = start => started.map_err(Failure::from)?,
            _ = interrupt.signalled() => return Ok(None),
        };
        let happenings = drain(happenings);
        let interrupted = tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(self.wait)) => false,
            _ = interrupt.signalled() => true,
        };
        let me = node.key();
        let mut peers = node.peers().await;
        peers.retain(|(advert, _)| advert.peer != me && !advert.kernels.is_empty());
        leave(&node).await;
        happenings.abort();
        Ok((!interrupted).then_some(peers))
    }
}

/// A private swarm takes in no stranger for a moment: the peer of this home says whom it knows.
async fn known_to_daemon(place: &Place) -> Result<Vec<(Advert, u64)>, Failure> {
    let client = Client::connect(&place.root).await?;
    let me = client.status().await?.peer;
    let all = client.peers().await?.peers.into_iter();
    Ok(all
        .filter(|p| p.advert.peer != me && !p.advert.kernels.is_empty())
        .map(|p| (p.advert, p.age_ms))
        .collect())
}

impl Show {
    fn run(&self, context: &Context, peers: &[(Advert, u64)], seen: &Seen) -> Outcome {
        let mut matching = peers
            .iter()
            .filter(|(advert, _)| advert.peer.to_string().starts_with(&self.key));
        let (advert, age) = match (matching.next(), matching.next()) {
            (Some((advert, age)), None) => (advert, *age),
            (None, _) => {
                let what = format!("no peer was heard whose key begins with {:?}", self.key);
                return Err(Failure::new(
                    Exit::Error,
                    what,
                    "list them with `starling peers`",
                ));
            }
            _ => {
                let what = format!("several peers' keys begin with {:?}", self.key);
                return Err(Failure::new(Exit::Usage, what, "write more of the key"));
            }
        };
        let out = context.console;
        if out.json {
            out.json(&seen.json(advert, age));
            return Ok(Exit::Ok);
        }
        lines(advert, age, seen)
            .iter()
            .for_each(|line| out.data(line));
        if !advert.region.is_empty() {
            out.data(format!(
                "  region     {} (as it says)",
                plain(&advert.region)
            ));
        }
        for offer in advert.kernels.iter().filter(|o| o.price > 0) {
            let class = plain(&offer.class);
            out.data(format!(
                "  {class:<10} asks {} per 10^9 work units",
                offer.price
            ));
        }
        seen.lines(&advert.peer)
            .iter()
            .for_each(|line| out.data(line));
        Ok(Exit::Ok)
    }
}

/// What this home's lending peer and its requester have seen of others.
#[derive(Default)]
struct Seen {
    /// Whether somebody was there to ask.
    asked: bool,
    by: BTreeMap<PeerKey, [(&'static str, Option<ReputationView>); 2]>,
    /// What the requester has measured of their claims.
    proofs: BTreeMap<PeerKey, Vec<Proof>>,
}

impl Seen {
    /// Of the daemon, if one runs.
    async fn of(place: &Place) -> Result<Self, Failure> {
        let client = match Client::connect(&place.root).await {
            Ok(client) => client,
            Err(reason) if reason.code == "no_daemon" || reason.code == "not_found" => {
                return Ok(Self::default());
            }
            Err(reason) => return Err(reason.into()),
        };
        let mut seen = Self {
            asked: true,
            ..Self::default()
        };
        for p in client.peers().await?.peers {
            let views = [("lender", p.lender), ("requester", p.requester)];
            seen.by.insert(p.advert.peer, views);
            seen.proofs.insert(p.advert.peer, p.proofs);
        }
        Ok(seen)
    }

    /// What was measured of a claim, after it.
    fn proven(&self, peer: &PeerKey, offer: &KernelOffer) -> String {
        let proofs = self.proofs.get(peer).into_iter().flatten();
        let Some(proof) = proofs.into_iter().find(|p| p.kernel == offer.kernel) else {
            return String::new();
        };
        let measured = proof.measured.map(|m| text::si(m as f64));
        match (proof.standing, measured) {
            (ClaimState::Proven, _) => ", proven".into(),
            (ClaimState::Struck, Some(measured)) => format!(", struck: measured {measured}"),
            (ClaimState::Unproven, Some(measured)) => format!(", unproven: measured {measured}"),
            (ClaimState::Mute, _) => ", does not answer probes".into(),
            (ClaimState::Unproven | ClaimState::Struck, None) => {
                format!(", {} so far", text::count(proof.probes, "probe"))
            }
        }
    }

    fn views(&self, peer: &PeerKey) -> impl Iterator<Item = (&'static str, &ReputationView)> {
        let of = self.by.get(peer).into_iter().flatten();
        of.filter_map(|(who, view)| Some((*who, view.as_ref()?)))
    }

    fn json(&self, advert: &Advert, age_ms: u64) -> serde_json::Value {
        let mut one = json!(advert);
        one["age_ms"] = json!(age_ms);
        one["proofs"] = json!(self.proofs.get(&advert.peer));
        for (who, view) in self.views(&advert.peer) {
            one[who] = json!(view);
        }
        one
    }

    /// Why a peer is avoided, for the list.
    fn worst(&self, peer: &PeerKey) -> Option<String> {
        let mut marked = self.views(peer).filter(|(_, v)| v.convicted || v.unfit);
        let cause = marked.find_map(|(_, v)| v.causes.first())?;
        Some(format!("  avoided    {}", plain(&cause.to_string())))
    }

    /// All of it.
    fn lines(&self, peer: &PeerKey) -> Vec<String> {
        let mut lines = Vec::new();
        for (who, view) in self.views(peer) {
            for of in &view.classes {
                lines.push(format!(
                    "  {:<10} {} valid in a row, {} audited, {} received, {} blamed (as {who})",
                    plain(&of.class),
                    of.cv,
                    of.audited,
                    of.valid,
                    of.failed
                ));
            }
            let duty = view.auditor;
            lines.push(format!(
                "  auditing   {} answered, {} silent, {} void, {} false accusations (as {who})",
                duty.answered, duty.silent, duty.void, duty.false_accusations
            ));
            let causes = view.causes.iter();
            lines.extend(causes.map(|c| format!("  because    {}", plain(&c.to_string()))));
        }
        if lines.is_empty() {
            let nothing = if self.asked {
                "nothing was seen of it here yet"
            } else {
                "no peer runs in this home that could have seen anything of it"
            };
            lines.push(format!("  reputation {nothing}"));
        }
        lines
    }
}

fn lines(advert: &Advert, age_ms: u64, seen: &Seen) -> Vec<String> {
    let device = advert.devices.first().map_or("no device".into(), |d| {
        format!("{} ({:?})", plain(&d.name), d.kind)
    });
    let mut lines = vec![
        advert.peer.to_string(),
        format!(
            "  {device}, {} free, {}, heard {} ago",
            text::count(advert.free_slots.into(), "slot"),
            plain(&advert.software),
            text::duration(Duration::from_millis(age_ms))
        ),
    ];
    for offer in &advert.kernels {
        let speed = text::si(offer.units_per_s as f64);
        let tier = format!("{:?}", offer.tier).to_lowercase();
        lines.push(format!(
            "  {:<10} {speed} work units/s, {tier}{}",
            plain(&offer.class),
            seen.proven(&advert.peer, offer)
        ));
    }
    lines
}

/// A stranger's text without control characters, which could move the cursor or colour the terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
