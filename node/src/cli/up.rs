//! `starling up`: a peer in the foreground, lending its device until Ctrl-C.
//!
//! The first run makes folder, key, settings and, without a genesis, a private swarm of this machine; it never asks.
//! While it runs, `HOME/up.json` tells other peers of this machine whom to dial, and `HOME/api.json` tells commands
//! where its local API is.

use std::sync::Arc;

use clap::Args;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use starling_protocol::{Event, Genesis, Scope};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OnceCell, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Context;
use super::console::Console;
use super::exit::{Exit, Failure, Outcome};
use super::interrupt::{Interrupt, Signal};
use super::node_options::{DeviceArgs, drain, event_line, leave, not_started, stamped, usage_line};
use super::place::{Place, Running, announced, listen, services, write_atomically};
use super::session::{open_desk, requester};
use super::text;
use crate::api::client::{API_FILE, ApiFile, TOKEN_FILE};
use crate::api::owner::Owner;
use crate::api::{Hosted, Token, serve};
use crate::compute::DeviceChoice;
use crate::home::Config;
use crate::jobs::{Desk, Feed, JobState, Side, account};
use crate::lend::sensors::Machine;
use crate::lend::{Keeper, Ledger, Reread, Terms};
use crate::membership::Gate;
use crate::neighbours;
use crate::net::Multiaddr;
use crate::node::{Happening, Node, NodeOptions};
use crate::reason::Reason;

/// Most addresses that are told to other commands.
const ADDRS_MAX: usize = 64;
/// How often the system gets back what the heap does not need.
const TIDY: std::time::Duration = std::time::Duration::from_secs(60);
/// A command of this home may have its jobs in hand when the peer starts: they are looked for again.
const DESK_AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Lend this machine: run a peer until Ctrl-C.
///
/// The first run makes this peer's key and settings, and a private swarm of this machine unless `starling swarm join`
/// chose another one.
#[derive(Args, Debug, Default)]
#[command(after_help = "Examples:
  starling up
  starling up --home /tmp/second --bootstrap /ip4/127.0.0.1/tcp/4001     a second peer (same genesis!)
  starling up --device cpu --listen /ip4/0.0.0.0/udp/4001/quic-v1")]
pub struct Up {
    /// Where to listen, as a multiaddress; again for more [default: the settings; in a local swarm, loopback].
    #[arg(long, value_name = "ADDR")]
    listen: Vec<Multiaddr>,
    /// Peers to dial, beside those in the settings.
    #[arg(long, value_name = "ADDR")]
    bootstrap: Vec<Multiaddr>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Take part without computing for others.
    #[arg(long)]
    no_lend: bool,
    /// One JSON object a line for everything that happens.
    #[arg(long, hide = true)]
    events: bool,
    /// Leave when stdin ends: how a parent takes its peers along.
    #[arg(long, hide = true)]
    exit_on_stdin_close: bool,
    /// Fake every tile that is paid for, to be caught in a demonstration.
    #[arg(long, hide = true)]
    lies: bool,
}

impl Up {
    pub(super) async fn run(self, context: &Context, interrupt: Interrupt) -> Outcome {
        let start = Instant::now();
        let place = context.place()?;
        let genesis = place.genesis()?;
        let config = place.config()?;
        Gate::renew(&place.root, &genesis)?;
        let gate = Gate::open(&place.root, &genesis)?;
        let keeper = Keeper::new(&place.root, &config.lend, self.no_lend);
        let options = NodeOptions {
            home: place.root.clone(),
            listen: listen(&self.listen, &config, genesis.scope),
            bootstrap: place.bootstrap(&self.bootstrap, &config, &genesis),
            announce: announced(&config),
            services: services(&config),
            device: self.device.choice(&config.device)?,
            require_gpu: self.device.require_gpu,
            lend: keeper.terms().borrow().lends(),
            lies: self.lies,
            limits: config.limits,
            terms: config.lend.clone(),
            genesis: genesis.clone(),
            gate: gate.clone(),
        };
        let (node, happenings) = tokio::select! {
            started = Node::start(options) => started.map_err(not_started)?,
            signal = interrupt.signalled() => return Ok(ended(signal)),
        };
        let node = Arc::new(node);
        let machine = Machine::new(&node.capability().profile.name);
        let hosted = self.hosted(
            &place,
            &config,
            &genesis,
            gate,
            node.clone(),
            keeper.clone(),
        );
        let hosted = Arc::new(hosted?);
        keeper.watch(machine, reread(&place), hosted.ledger.clone());
        let token = Token::load_or_create(&place.root.join(TOKEN_FILE))?;
        let server = match serve(hosted.clone(), config.api.port, token).await {
            Ok(server) => server,
            Err(reason) => {
                leave(&node).await;
                return Err(reason.into());
            }
        };
        let api = ApiFile {
            pid: std::process::id(),
            url: server.url(),
            swarm: node.swarm(),
        };
        let jobs = account::all(&hosted.jobs);
        // Ends with the peer.
        let mut again = tokio::task::JoinSet::new();
        if jobs.iter().any(|file| file.state == JobState::Running)
            && let Err(reason) = hosted.desk().await
        {
            context
                .console
                .note(format!("this home's jobs do not go on yet: {reason}"));
            let hosted = hosted.clone();
            again.spawn(async move {
                while hosted.desk().await.is_err() {
                    tokio::time::sleep(DESK_AGAIN).await;
                }
            });
        }
        again.spawn(neighbours::remember(node.clone(), place.root.clone()));
        api.write(&place.root)?;
        // Whom it knew last may be gone: that is no news.
        let former = neighbours::load(&place.root);
        let unreachable = former.iter().map(Multiaddr::to_string).collect();
        let mut peer = Peer {
            terms: keeper.terms(),
            ledger: hosted.ledger.clone(),
            node,
            place,
            start,
            feed: hosted.feed.clone(),
            events: self.events,
            console: context.console,
            addrs: Vec::new(),
            unreachable,
        };
        peer.introduce(&genesis, &api.url)?;
        let (outcome, rest) = peer
            .follow(happenings, &interrupt, self.exit_on_stdin_close)
            .await;
        // Whom nobody can reach any more must not be found.
        let _ = std::fs::remove_file(peer.place.root.join(API_FILE));
        let _ = std::fs::remove_file(peer.place.running_file());
        keeper.stop();
        server.stop().await;
        if let Some(desk) = hosted.desk.get() {
            desk.leave().await;
        }
        peer.part().await;
        rest.abort();
        outcome
    }
}

impl Up {
    /// What the local API serves: this peer, and a requester of this home once somebody submits something.
    fn hosted(
        &self,
        place: &Place,
        config: &Config,
        genesis: &Genesis,
        gate: Option<Arc<Gate>>,
        node: Arc<Node>,
        lending: Keeper,
    ) -> Result<Hosted, Failure> {
        let feed = Feed::default();
        let jobs = place.jobs();
        crate::home::disk::create_private_dir(&jobs).map_err(Failure::from)?;
        let owner: Arc<dyn Owner> = Arc::new(place.clone());
        let home = place.root.clone();
        let (place, config, genesis) = (place.clone(), config.clone(), genesis.clone());
        let (named, shared, folder) = (self.bootstrap.clone(), feed.clone(), jobs.clone());
        let swarm_name = genesis.name.clone();
        // On the CPU: the device is the lender's, which works for this requester too.
        let door = gate.clone();
        let open = move || -> BoxFuture<'static, Result<Desk, Reason>> {
            let cpu = DeviceChoice::Cpu;
            let options = requester(&place, &config, &genesis, door.clone(), &named, cpu);
            Box::pin(open_desk(options, folder.clone(), shared.clone()))
        };
        Ok(Hosted {
            lender: Some(node),
            lending: Some(lending),
            owner: Some(owner),
            home,
            ledger: Default::default(),
            pictures: Default::default(),
            sessions: Default::default(),
            streams: Default::default(),
            gate,
            swarm_name,
            feed,
            desk: OnceCell::new(),
            open: Box::new(open),
            jobs,
        })
    }
}

/// Reads the owner's terms whenever the settings have changed. A mistake in them changes nothing.
fn reread(place: &Place) -> Reread {
    let (place, file) = (place.clone(), place.config_file());
    let stamp = move || {
        std::fs::metadata(&file)
            .and_then(|about| about.modified())
            .ok()
    };
    let mut seen = stamp();
    Box::new(move || {
        let now = stamp();
        if now == seen {
            return None;
        }
        seen = now;
        match place.config() {
            Ok(config) => Some(config.lend),
            Err(error) => {
                tracing::warn!(%error, "the settings were changed, and cannot be used");
                None
            }
        }
    })
}

fn ended(signal: Signal) -> Exit {
    match signal {
        Signal::Interrupt => Exit::Interrupted,
        Signal::Terminate => Exit::Ok,
    }
}

/// A running peer and its audience.
struct Peer {
    terms: watch::Receiver<Terms>,
    ledger: Arc<Ledger>,
    node: Arc<Node>,
    place: Place,
    start: Instant,
    feed: Feed,
    events: bool,
    console: Console,
    addrs: Vec<Multiaddr>,
    /// Bootstrap addresses that did not answer.
    unreachable: Vec<String>,
}

impl Peer {
    fn line(&self, text: impl AsRef<str>) {
        if !self.events && !self.console.json {
            self.console.data(text);
        }
    }

    fn event(&self, line: &Value) {
        if self.events || self.console.json {
            self.console.json(line);
        }
    }

    fn introduce(&self, genesis: &Genesis, api: &str) -> Result<(), Failure> {
        let capability = self.node.capability();
        let swarm = self.node.swarm();
        self.write_down()?;
        self.event(&stamped(
            json!({
                "happening": "started", "peer": self.node.key(), "swarm": swarm, "name": genesis.name,
                "device": capability.profile, "kernels": capability.kernels, "pid": std::process::id(),
                "api": api,
            }),
            self.start,
        ));
        let scope = match genesis.scope {
            Scope::Local => "this machine",
            Scope::Lan => "the local network",
            Scope::Public => "the internet",
        };
        self.line(format!("peer    {}", self.node.key()));
        self.line(format!("swarm   {:?}, {scope}, {swarm}", genesis.name));
        self.line(format!("device  {}", capability.profile.name));
        for offer in &capability.kernels {
            self.line(format!(
                "speed   {:<8} {} work units/s",
                offer.class,
                text::si(offer.units_per_s as f64)
            ));
        }
        self.line(format!("api     {api}"));
        if let Some(note) = &capability.note {
            self.console.note(note);
        }
        Ok(())
    }

    /// Shows what happens until something ends it; what happens afterwards is thrown away.
    async fn follow(
        &mut self,
        mut happenings: mpsc::Receiver<Happening>,
        interrupt: &Interrupt,
        with_stdin: bool,
    ) -> (Outcome, JoinHandle<()>) {
        let mut stdin = std::pin::pin!(stdin_closed(with_stdin));
        let mut failed = std::pin::pin!(requester_failed(self.feed.clone()));
        if let Err(failure) = self.on_terms().await {
            return (Err(failure), drain(happenings));
        }
        let mut tidy = tokio::time::interval(TIDY);
        let outcome = loop {
            tokio::select! {
                _ = tidy.tick() => crate::heap::give_back(),
                // The keeper outlives this loop.
                _ = self.terms.changed() => if let Err(failure) = self.on_terms().await {
                    break Err(failure);
                },
                why = &mut failed => {
                    let reason = why.what.clone();
                    let happening = Happening::Failed { reason, why };
                    break self.on(&happening).map(|()| Exit::Error);
                }
                happening = happenings.recv() => match happening {
                    Some(happening) => {
                        let shown = self.on(&happening);
                        self.feed.push(Side::Lender, happening);
                        if let Err(failure) = shown {
                            break Err(failure);
                        }
                    }
                    None => break Err(Failure::of("the peer stopped by itself").or_fix("run `starling doctor`")),
                },
                signal = interrupt.signalled() => break Ok(ended(signal)),
                () = &mut stdin => break Ok(Exit::Ok),
            }
        };
        (outcome, drain(happenings))
    }

    /// Says goodbye and what was done.
    async fn part(self) {
        let usage = leave(&self.node).await;
        if self.events || self.console.json {
            self.console.json(&usage_line(usage, self.start));
        } else if let Some(usage) = usage {
            let (work, audits) = (
                text::count(usage.work_tiles as usize, "tile"),
                text::count(usage.audit_tiles as usize, "tile"),
            );
            self.console
                .note(format!("left; computed {work}, recomputed {audits}"));
        }
    }

    /// The owner, a rule or a sensor has changed on what terms it lends.
    async fn on_terms(&mut self) -> Result<(), Failure> {
        let terms = self.terms.borrow_and_update().clone();
        self.node.lend(terms.lends(), terms.shares).await;
        let happening = Happening::Lending {
            lends: terms.lends(),
            why: terms.against.as_ref().map(Reason::from),
        };
        self.on(&happening)?;
        self.feed.push(Side::Lender, happening);
        Ok(())
    }

    fn on(&mut self, happening: &Happening) -> Result<(), Failure> {
        self.event(&event_line(happening, self.start));
        match happening {
            Happening::Core(event) => {
                self.ledger.take(event);
                if let Event::ClocksDiffer { peers, of, ahead_s } = event {
                    let reason = Reason::clocks_differ(*peers, *of, *ahead_s);
                    self.console.note(&reason.what);
                    self.console.note(reason.fix.as_deref().unwrap_or_default());
                }
                if let Some(line) = told(event) {
                    self.line(line);
                }
            }
            Happening::Lending { why, .. } => self.line(match why {
                None => "lending".into(),
                Some(why) => format!("not lending: {}", why.what),
            }),
            Happening::Listening { address } => {
                if let Ok(parsed) = address.parse()
                    && self.addrs.len() < ADDRS_MAX
                    && !self.addrs.contains(&parsed)
                {
                    self.addrs.push(parsed);
                    self.write_down()?;
                }
                self.line(format!("listen  {address}"));
            }
            Happening::DialFailed { address, reason } => {
                // It is dialled again and again; a person is told once.
                if !self.unreachable.contains(address) && self.unreachable.len() < ADDRS_MAX {
                    self.console
                        .note(format!("cannot reach {address}: {reason}"));
                    self.unreachable.push(address.clone());
                }
            }
            Happening::Failed { why, .. } => {
                return Err(Failure::from(why.clone()).or_fix("run `starling doctor`"));
            }
        }
        Ok(())
    }

    /// Tells other commands of this home whom to dial.
    fn write_down(&self) -> Result<(), Failure> {
        let running = Running {
            pid: std::process::id(),
            peer: self.node.key(),
            swarm: self.node.swarm(),
            addrs: self.addrs.clone(),
        };
        let text = serde_json::to_vec(&running)
            .map_err(|e| Failure::of(format!("cannot write up.json: {e}")))?;
        write_atomically(&self.place.running_file(), &text)
    }
}

/// Ends when this home's requester has failed: a daemon without it would take jobs' events for silence.
async fn requester_failed(feed: Feed) -> Reason {
    let mut live = feed.read(None).live;
    loop {
        match live.recv().await {
            Ok(one) if one.side == Side::Requester => {
                if let Happening::Failed { why, .. } = &one.happening {
                    return why.clone();
                }
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            // The feed outlives this command.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Ends when stdin does, if that was asked for. A thread of its own, because a read cannot be given up.
async fn stdin_closed(asked: bool) {
    let (ended, seen) = oneshot::channel::<()>();
    if asked {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            drop(ended);
        });
        // Closed is what we wait for.
        let _ = seen.await;
    } else {
        std::future::pending().await
    }
}

/// What is worth a person's attention.
fn told(event: &Event) -> Option<String> {
    Some(match event {
        Event::PeerSeen { peer } => format!("joined  {}", peer.short()),
        Event::PeerGone { peer } => format!("left    {}", peer.short()),
        Event::Working { job, slice } => format!("working on slice {slice} of {:?}", job.0),
        Event::Earned { job, slice, .. } => {
            format!("earned  a receipt for slice {slice} of {:?}", job.0)
        }
        Event::Lost { job, slice, reason } => {
            format!("lost    slice {slice} of {:?}: {reason}", job.0)
        }
        Event::CheatCaught {
            worker,
            slice,
            reason,
            ..
        } => {
            format!("caught  {} in slice {slice}: {reason}", worker.short())
        }
        Event::FalseAccusation {
            accuser, worker, ..
        } => {
            format!(
                "caught  {} accusing {} falsely",
                accuser.short(),
                worker.short()
            )
        }
        Event::FraudProven {
            worker,
            slice,
            accuser,
            ..
        } => {
            let by = accuser.short();
            format!("caught  {} in slice {slice}, as {by} says", worker.short())
        }
        Event::ClaimStruck {
            peer,
            claimed,
            measured,
            ..
        } => {
            format!(
                "struck  {} claims {} work units/s and does {}",
                peer.short(),
                text::si(*claimed as f64),
                text::si(*measured as f64)
            )
        }
        Event::Appointed {
            job,
            requester,
            slices,
        } => {
            let whose = requester.short();
            format!("steward of {:?} for {whose}: {slices} slices", job.0)
        }
        Event::TakenOver {
            job, slice, from, ..
        } => {
            let whose = from.short();
            format!("ends    slice {slice} of {:?} for {whose}", job.0)
        }
        Event::Kept { job, slice, .. } => format!("keeps   slice {slice} of {:?}", job.0),
        Event::Relieved { job, reason } => format!("steward of {:?} no longer: {reason}", job.0),
        // A requester's own story; `run` tells it.
        Event::Held { .. } | Event::Found { .. } | Event::NotFound { .. } => return None,
        // A warning of its own.
        Event::ClocksDiffer { .. } => return None,
        Event::Submitted { .. }
        | Event::Resumed { .. }
        | Event::SubmitRefused { .. }
        | Event::Leased { .. }
        | Event::Committed { .. }
        | Event::Auditing { .. }
        | Event::SliceDone { .. }
        | Event::SliceReopened { .. }
        | Event::JobDone { .. }
        | Event::JobFailed { .. } => return None,
    })
}
