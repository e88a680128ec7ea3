//! `starling dev swarm N`: a swarm of real peers on this machine, for a classroom, a harness, or to try things out.
//!
//! Every peer is `starling up` with a home of its own on loopback; nothing is simulated. Invariant: no process outlives
//! the command, however it ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use starling_protocol::admission::Invitation;
use starling_protocol::{Genesis, Scope};
use tokio::process::Command as Program;
use tokio::time::Instant;

use super::super::Context;
use super::super::exit::{Exit, Failure, Outcome};
use super::super::interrupt::Interrupt;
use super::super::text;
use crate::api::client::Client;
use crate::api::members::InvitationOrder;
use crate::genesis;
use crate::home::disk;
use crate::membership::{self, Gate};
use crate::stage::{Line, Troupe};

/// A peer may take this long to open its device and its addresses.
const START: Duration = Duration::from_secs(60);
/// Certificates of a swarm that ends with the command.
const MEMBER_S: u64 = 30 * 86_400;

/// Run a swarm of N peers on this machine, each with a dashboard, until Ctrl-C.
///
/// With --json, one line says where everything is once all peers are up; the swarm then runs until Ctrl-C, SIGTERM, or
/// the end of stdin where that is a pipe.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling dev swarm 5
  starling dev swarm 3 --private --dir /tmp/lab
  starling dev swarm 8 --for 10m --json")]
pub(super) struct DevSwarm {
    /// How many peers.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    peers: u32,
    /// A private swarm: the first peer invites the others.
    #[arg(long)]
    private: bool,
    /// Where the peers' homes go, and stay; they are removed at the end if it is not said.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// What computes: each peer takes the same.
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: String,
    /// Target time of one slice on one device, ms.
    #[arg(long, default_value_t = 1_000, value_name = "MS")]
    slice_ms: u32,
    /// End by itself after so long.
    #[arg(long = "for", value_name = "TIME", value_parser = text::parse_duration)]
    duration: Option<Duration>,
}

impl DevSwarm {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let swarm = self;
        let own = swarm.dir.is_none().then(tempfile::tempdir).transpose();
        let own = own.map_err(|e| Failure::of(format!("cannot make a temporary folder: {e}")))?;
        let dir = match (&swarm.dir, &own) {
            (Some(dir), _) => dir.clone(),
            (None, Some(own)) => own.path().to_owned(),
            (None, None) => return Err(Failure::of("no folder for the peers")),
        };
        let dir = std::path::absolute(dir).map_err(|e| Failure::of(format!("--dir: {e}")))?;
        let mut stage = Stage {
            swarm,
            dir,
            troupe: Troupe::default(),
        };
        let outcome = tokio::select! {
            outcome = stage.play(context) => outcome,
            _ = interrupt.signalled() => Ok(Exit::Interrupted),
        };
        stage.troupe.send_home(|_| {}).await;
        outcome
    }
}

struct Stage {
    swarm: DevSwarm,
    dir: PathBuf,
    troupe: Troupe,
}

impl Stage {
    async fn play(&mut self, context: &Context) -> Outcome {
        let started = Instant::now();
        let open = genesis::create("dev", Scope::Local, Some(self.swarm.slice_ms))
            .map_err(Failure::from)?;
        let mut peers: Vec<Value> = Vec::new();
        let mut genesis = open;
        for n in 1..=self.swarm.peers {
            let name = format!("peer-{n}");
            let home = self.dir.join(&name);
            disk::create_private_dir(&home).map_err(Failure::from)?;
            if self.swarm.private && n == 1 {
                genesis = Gate::found(&home, genesis)?;
            } else if self.swarm.private {
                self.invite(&name, &home).await?;
            }
            genesis::save_new(&genesis, &home.join("genesis.toml")).map_err(Failure::from)?;
            let bootstrap = peers.first().and_then(|first| first["address"].as_str());
            let peer = self
                .start(&name, &home, bootstrap.map(str::to_owned))
                .await?;
            if !context.console.json {
                tell(context, &genesis, &peer, n == 1);
            }
            peers.push(peer);
        }
        let took = started.elapsed().as_secs_f64();
        let out = context.console;
        if out.json {
            out.json(&json!({
                "swarm": genesis.swarm_id(), "private": self.swarm.private, "dir": self.dir,
                "peers": peers, "seconds": took,
            }));
        } else {
            let all = text::count(peers.len(), "peer");
            out.note(format!("{all} up after {took:.1} s; Ctrl-C ends them"));
        }
        let until = self.swarm.duration.map(|time| Instant::now() + time);
        loop {
            let line = match until {
                Some(until) => match tokio::time::timeout_at(until, self.troupe.next()).await {
                    Ok(line) => line,
                    Err(_) => return Ok(Exit::Ok),
                },
                None => self.troupe.next().await,
            };
            if let Line::End { child } = line {
                return Err(self.died(child, "stopped"));
            }
        }
    }

    /// Has the first peer invite another one, which joins as anybody would.
    async fn invite(&self, name: &str, home: &Path) -> Result<(), Failure> {
        let issuer = Client::connect(&self.dir.join("peer-1")).await?;
        let order = InvitationOrder {
            uses: 1,
            expires_s: START.as_secs(),
            member_s: MEMBER_S,
        };
        let code = issuer.invite(&order).await?.code;
        let invitation = Invitation::parse(&code).map_err(crate::reason::Reason::from)?;
        membership::join(home, &invitation, name).await?;
        Ok(())
    }

    async fn start(
        &mut self,
        name: &str,
        home: &Path,
        bootstrap: Option<String>,
    ) -> Result<Value, Failure> {
        let cannot = |e| Failure::of(format!("cannot start {name}: {e}"));
        let mut program = Program::new(std::env::current_exe().map_err(cannot)?);
        program.args(["up", "--events", "--exit-on-stdin-close", "--device"]);
        program.arg(&self.swarm.device);
        program.args(bootstrap.iter().flat_map(|b| ["--bootstrap", b]));
        let index = self.troupe.spawn(home, program).map_err(cannot)?;
        self.introduced(index, name, home).await
    }

    /// Waits until a peer can be dialled; says who it is.
    async fn introduced(
        &mut self,
        index: usize,
        name: &str,
        home: &Path,
    ) -> Result<Value, Failure> {
        let until = Instant::now() + START;
        let mut peer = json!({ "name": name, "home": home });
        loop {
            let line = tokio::time::timeout_at(until, self.troupe.next()).await;
            match line.map_err(|_| self.died(index, "did not start in time"))? {
                Line::Json { child, value } if child == index => {
                    if value["happening"] == "started" {
                        peer["peer"] = value["peer"].clone();
                        peer["api"] = value["api"].clone();
                    }
                    let address = value["address"].as_str().filter(|a| a.contains("/tcp/"));
                    if let Some(address) = address.filter(|_| value["happening"] == "listening") {
                        peer["address"] = address.into();
                        return Ok(peer);
                    }
                }
                Line::End { child } => return Err(self.died(child, "stopped at once")),
                Line::Json { .. } => {}
            }
        }
    }

    fn died(&self, index: usize, what: &str) -> Failure {
        let log = self.troupe.log(index).display();
        let who = format!("peer-{} {what}", index + 1);
        Failure::new(Exit::Error, who, format!("its log tells why: {log}"))
    }
}

fn tell(context: &Context, genesis: &Genesis, peer: &Value, first: bool) {
    let out = context.console;
    let word = |key: &str| peer[key].as_str().unwrap_or_default().to_owned();
    if first {
        out.data(format!("swarm   {}", genesis.swarm_id()));
    }
    out.data(format!(
        "{:<8} {:.8}  dashboard: starling dash --home {}",
        word("name"),
        word("peer"),
        word("home")
    ));
}
