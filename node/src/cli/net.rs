//! `starling net check`: whether this peer finds others and others find it, and what to do where they do not.
//!
//! It asks the peer that runs in this home, or joins for some seconds with nothing but a network: no identity of this
//! home is used then, and nothing is written.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Context;
use super::checks::{Check, Checks};
use super::exit::{Exit, Failure, Outcome};
use super::interrupt::Interrupt;
use super::node_options;
use super::place::{Place, announced, listen_beside, services};
use crate::api::client::Client;
use crate::blobs::{BlobStore, line::Lines};
use crate::home::Config;
use crate::net::{
    Gateway, How, Multiaddr, NetConfig, NetHandle, NetLimits, NetStatus, Scope, Services,
};
use crate::node::NodeError;
use crate::reason::Reason;

/// Wait between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Look at the network from this peer's place in it.
#[derive(Args, Debug)]
pub struct Net {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Check(NetCheck),
}

/// Check whether this peer finds others, and whether they can reach it.
///
/// Asks the peer that runs in this home. Without one it joins the swarm for some seconds.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling net check
  starling net check --bootstrap /ip4/192.0.2.7/udp/4001/quic-v1 --json

Exits 8 if there are findings.")]
struct NetCheck {
    /// Seconds to wait for answers, without a running peer [default: 3; in a swarm of scope public 25, for others are
    /// asked to dial back].
    #[arg(long, value_name = "SECONDS", value_parser = node_options::seconds)]
    wait: Option<f64>,
    /// Peers to dial, beside those in the settings.
    #[arg(long, value_name = "ADDR")]
    bootstrap: Vec<Multiaddr>,
}

impl Net {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let What::Check(check) = self.what;
        let place = context.place()?;
        let status = match Client::connect(&place.root).await {
            Ok(client) => client.net().await?.net,
            Err(reason) if reason.code == "no_daemon" => {
                let joined = check.join(context, &place);
                let joined = tokio::select! {
                    joined = joined => joined?,
                    _ = interrupt.signalled() => return Ok(Exit::Interrupted),
                };
                match joined {
                    Some(status) => status,
                    None => return Ok(Exit::Interrupted),
                }
            }
            Err(reason) => return Err(reason.into()),
        };
        let mut checks = Checks::new(context.console);
        judge(&status)
            .into_iter()
            .for_each(|check| checks.tell(check));
        Ok(checks.end(Some(("net", json!(status)))))
    }
}

impl NetCheck {
    /// Joins the swarm under a name that is used once, and looks around.
    async fn join(&self, context: &Context, place: &Place) -> Result<Option<NetStatus>, Failure> {
        let genesis = place.genesis()?;
        if genesis.admission.is_some() {
            let what = "no peer runs in this home, and a private swarm takes in nobody for a look";
            return Err(Failure::new(
                Exit::NoDaemon,
                what,
                "start one with `starling up`",
            ));
        }
        let config = place.config()?;
        let scope = Scope::from(genesis.scope);
        let default = if scope == Scope::Public { 25.0 } else { 3.0 };
        let wait = Duration::from_secs_f64(self.wait.unwrap_or(default));
        let folder = tempfile::tempdir().map_err(Failure::of)?;
        let blobs = BlobStore::open(folder.path().join("blobs"), 0).map_err(Failure::of)?;
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(Failure::of)?;
        let swarm = genesis.swarm_id();
        let net = NetConfig {
            keypair_secret: secret,
            swarm_id: *swarm.as_bytes(),
            scope,
            listen: listen_beside(&config, genesis.scope),
            bootstrap: place.bootstrap(&self.bootstrap, &config, &genesis),
            announce: Vec::new(),
            services: Services::of(scope).and(services(&config)),
            topics: Vec::new(),
            limits: NetLimits::default(),
            lines: Lines::default(),
            admission: None,
            agent: concat!("starling/", env!("CARGO_PKG_VERSION"), " check").into(),
        };
        note_announced(context, &config);
        let (handle, mut events) =
            crate::net::start(net, blobs).map_err(|e| Reason::from(NodeError::from(e)))?;
        let drained = tokio::spawn(async move { while events.recv().await.is_some() {} });
        let most = wait.as_secs_f64();
        context
            .console
            .note(format!("joining the swarm for a look, {most:.0} s at most"));
        let status = look(&handle, wait).await;
        handle.shutdown().await;
        drained.abort();
        Ok(status)
    }
}

/// The last state within `wait`; the first in which nothing is left to wait for.
async fn look(handle: &NetHandle, wait: Duration) -> Option<NetStatus> {
    let until = Instant::now() + wait;
    loop {
        let status = handle.status().await.ok()?;
        if Instant::now() >= until || is_settled(&status) {
            return Some(status);
        }
        sleep(LOOK).await;
    }
}

fn is_settled(status: &NetStatus) -> bool {
    let reached = !status.reachable.is_empty() && !status.listening.is_empty();
    let dialled = status
        .bootstrap
        .iter()
        .all(|b| b.answered || b.problem.is_some());
    reached && dialled && status.peers > 0
}

fn note_announced(context: &Context, config: &Config) {
    if !announced(config).is_empty() {
        context.console.note(
            "network.announce is tried only while the peer of this home runs: it is about its port",
        );
    }
}

/// What the state means.
fn judge(status: &NetStatus) -> Vec<Check> {
    let mut checks = vec![listening(status)];
    checks.extend(status.bootstrap.iter().map(|b| match &b.problem {
        _ if b.answered => Check::ok("bootstrap", format!("{} answers", b.address)),
        Some(problem) => Check::finding(
            "bootstrap",
            failure(
                format!("{} does not answer: {problem}", b.address),
                "check that a peer of the same swarm runs there, and that a firewall lets it through",
            ),
        ),
        None => Check::note(
            "bootstrap",
            format!("{} has not answered yet", b.address),
            "wait, and check again",
        ),
    }));
    checks.push(peers(status));
    checks.push(reachable(status));
    checks.extend(status.asked.iter().filter_map(|asked| {
        let problem = asked.problem.as_ref()?;
        Some(Check::note(
            "dialled",
            format!("another peer could not dial {}: {problem}", asked.address),
            "forward that port in the router, or let UPnP do it",
        ))
    }));
    checks.extend(status.gateway.map(gateway));
    if status.services.relay {
        checks.push(match status.relaying {
            true => Check::ok(
                "relaying",
                "lends its address to peers that nobody can dial",
            ),
            false => Check::ok("relaying", "does not relay for others: nobody can dial it"),
        });
    }
    checks.push(match status.serves_kademlia {
        true => Check::ok(
            "kademlia",
            "answers questions, so that others find this peer",
        ),
        false => Check::note(
            "kademlia",
            "asks only: others do not find this peer by its name",
            "it answers once it can be reached",
        ),
    });
    checks
}

fn listening(status: &NetStatus) -> Check {
    if status.listening.is_empty() {
        let what = "listens nowhere";
        let fix = "name an address with `starling config set network.listen`";
        return Check::finding("listening", failure(what, fix));
    }
    Check::ok("listening", list(status.listening.iter()))
}

fn peers(status: &NetStatus) -> Check {
    let (peers, relayed) = (status.peers, status.relayed_peers);
    match peers {
        0 => {
            let what = format!(
                "no peer of this swarm is connected (scope {})",
                status.scope
            );
            let fix = match status.services.mdns {
                true => "start one on this network, or name one with --bootstrap ADDR",
                false => {
                    "name one that runs with --bootstrap ADDR or `starling config set network.bootstrap`"
                }
            };
            let none = Failure::from(Reason::new("no_peer", what, fix));
            Check::finding("peers", none)
        }
        _ => Check::ok(
            "peers",
            format!("{peers} connected, {relayed} of them over a relay"),
        ),
    }
}

fn reachable(status: &NetStatus) -> Check {
    let direct = status.reachable.iter().filter(|r| r.how != How::Relay);
    let direct: Vec<_> = direct.collect();
    let forward = "forward a port of the router to this machine, and say so with `starling config set network.announce`";
    match (direct.is_empty(), status.reachable.is_empty()) {
        (false, _) => {
            let shown = direct.iter().map(|r| {
                let how = match r.how {
                    How::Listener => "by the swarm's scope",
                    How::Announced => "as its owner says",
                    How::Inbound => "a stranger came in by it",
                    How::Autonat => "another peer dialled it",
                    How::Upnp => "the router forwards it",
                    How::Relay => "over a relay",
                };
                format!("{} ({how})", r.address)
            });
            Check::ok("reachable", shown.collect::<Vec<_>>().join(", "))
        }
        (true, false) => Check::note(
            "reachable",
            format!(
                "only over {} of another peer",
                if status.relays.len() == 1 {
                    "a relay"
                } else {
                    "relays"
                }
            ),
            forward,
        ),
        (true, true) => Check::finding(
            "reachable",
            failure("no way is known by which others reach this peer", forward),
        ),
    }
}

fn gateway(gateway: Gateway) -> Check {
    match gateway {
        Gateway::Forwards => Check::ok("router", "forwards a port to this machine (UPnP)"),
        Gateway::None => Check::note(
            "router",
            "no router answers to UPnP",
            "switch UPnP on in the router, or forward a port by hand",
        ),
        Gateway::NotRoutable => Check::note(
            "router",
            "the router has no public address itself",
            "ask the provider for one, use IPv6, or rely on relays",
        ),
    }
}

fn failure(what: impl Into<String>, fix: &str) -> Failure {
    Failure::from(Reason::new("unreachable", what, fix))
}

fn list<'a>(addresses: impl Iterator<Item = &'a Multiaddr>) -> String {
    addresses
        .map(Multiaddr::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> NetStatus {
        NetStatus {
            scope: "public".into(),
            services: Services::of(Scope::Public),
            listening: vec!["/ip4/192.0.2.1/tcp/1".parse().unwrap()],
            reachable: Vec::new(),
            asked: Vec::new(),
            relays: Vec::new(),
            relaying: false,
            gateway: None,
            peers: 1,
            connections: Vec::new(),
            relayed_peers: 0,
            punched: 0,
            serves_kademlia: false,
            bootstrap: Vec::new(),
        }
    }

    fn findings(status: &NetStatus) -> usize {
        let checks = json!(judge(status));
        let checks = checks.as_array().unwrap();
        checks.iter().filter(|c| c["status"] == "finding").count()
    }

    #[test]
    fn every_finding_has_a_code_and_a_fix() {
        let lost = NetStatus {
            listening: Vec::new(),
            peers: 0,
            ..status()
        };
        assert_eq!(findings(&lost), 3);
        for check in json!(judge(&lost)).as_array().unwrap() {
            if check["status"] == "finding" {
                let code = check["code"].as_str().unwrap();
                assert!(crate::reason::CODES.iter().any(|(known, _)| *known == code));
                assert!(check["fix"].is_string());
            }
        }
    }

    #[test]
    fn a_relay_is_no_fault_and_no_way_at_all_is_one() {
        assert_eq!(findings(&status()), 1);
        let relayed = NetStatus {
            reachable: vec![crate::net::Reachable {
                address: "/ip4/192.0.2.1/tcp/1".parse().unwrap(),
                how: How::Relay,
            }],
            ..status()
        };
        assert_eq!(findings(&relayed), 0);
    }
}
