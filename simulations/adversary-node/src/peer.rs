//! One adversary as a process: the real node, with the strategies around its core and a liar for its device.
//!
//! Says one JSON object a line: `listening` with address and key once it can be dialled, again for every identity that
//! it takes. A line `reborn` on its stdin makes it leave and come back as somebody new, in a home beside the first.
//! Invariant: the node, its core and its shell are those of `starling`; only what goes in and comes out differs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use starling::cli::console::Console;
use starling::cli::exit::{Exit, Failure, Outcome};
use starling::cli::interrupt::{Interrupt, Signal};
use starling::compute::Teller;
use starling::driver::{Driven, Happening};
use starling::home::Home;
use starling::home::config::Limits;
use starling::key::Seed;
use starling::net::Multiaddr;
use starling::node::{Node, NodeError, NodeOptions};
use starling_adversaries::{Adversary, Means, Strategy};
use starling_protocol::crypto::{Ed25519Signer, Signer as _};
use starling_protocol::time::Deadline;
use starling_protocol::{Core, Event, Hash, Input, Output, Outputs, Peer, PeerKey, Time};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::catalogue;
use crate::device::Liar;
use crate::job::Work;

/// How long an adversary may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);
/// Between two jobs of its own.
const BETWEEN_JOBS: Duration = Duration::from_secs(1);

/// Run one adversary until Ctrl-C.
#[derive(Args, Debug)]
pub struct Up {
    /// Folder of its key, log and blobs; for each rebirth one beside it.
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// The swarm's file.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "/ip4/127.0.0.1/tcp/0")]
    listen: Vec<Multiaddr>,
    /// Peers to dial.
    #[arg(long, value_name = "ADDR")]
    bootstrap: Vec<Multiaddr>,
    /// What it does: a file, or what would stand in its list, such as '{ fake_share = 0.1 }, "audit_lazily"'.
    #[arg(long, value_name = "STRATEGIES")]
    strategy: String,
    /// Keys of its ring, clique or accomplices, with commas between.
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    friends: Vec<PeerKey>,
    /// Makes its lies and all that it draws.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Jobs that it submits itself, one after another: what a requester does wrong needs one.
    #[arg(long, default_value_t = 0, value_name = "N")]
    jobs: u32,
    /// Leave when stdin ends.
    #[arg(long, hide = true)]
    exit_on_stdin_close: bool,
}

/// What the driver drives: the adversary around the real peer, and its device.
struct Wrapped {
    adversary: Adversary<Peer>,
    liar: Arc<Liar>,
    outputs: Vec<Output>,
}

impl Core for Wrapped {
    fn handle(&mut self, now: Time, mut input: Input) -> Outputs<'_> {
        self.liar.on_input(&mut input);
        self.outputs.extend(self.adversary.handle(now, input));
        self.outputs.iter().for_each(|o| self.liar.on_output(o));
        Outputs::from(&mut self.outputs)
    }

    fn next_deadline(&self) -> Option<Deadline> {
        self.adversary.next_deadline()
    }
}

impl Driven for Wrapped {
    fn peer(&self) -> &Peer {
        self.adversary.inner()
    }
}

/// What ends a life.
enum End {
    Reborn,
    Over(Exit),
}

/// The identity of a home, made if there is none.
///
/// # Errors
/// Those of folder and key.
pub fn identity(home: &Path) -> Result<(Seed, PeerKey), Failure> {
    let home = Home::open(home).map_err(Failure::from)?;
    let (seed, _) = Seed::load_or_create(&home.identity()).map_err(Failure::from)?;
    let key = Ed25519Signer::from_seed(seed.as_bytes()).key();
    Ok((seed, key))
}

impl Up {
    /// Runs it.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn run(self, interrupt: Interrupt, console: Console) -> Outcome {
        let strategies = catalogue::parse(&self.strategy)?;
        let mut words = words(self.exit_on_stdin_close);
        for life in 0_u32.. {
            match self
                .live(life, &strategies, &interrupt, &console, &mut words)
                .await?
            {
                End::Reborn => {}
                End::Over(exit) => return Ok(exit),
            }
        }
        Ok(Exit::Ok)
    }

    async fn live(
        &self,
        life: u32,
        strategies: &[Strategy],
        interrupt: &Interrupt,
        console: &Console,
        words: &mut mpsc::Receiver<String>,
    ) -> Result<End, Failure> {
        let home = match life {
            0 => self.home.clone(),
            n => self.home.with_extension(format!("life-{n}")),
        };
        let genesis = starling::genesis::load(&self.genesis).map_err(Failure::from)?;
        let (seed, key) = identity(&home)?;
        let means = self.means(&seed, key, genesis.swarm_id());
        let liar = Arc::new(Liar::new(strategies, &means));
        let options = NodeOptions {
            listen: self.listen.clone(),
            // One thread: an experiment has many of these on few cores.
            limits: Limits {
                threads: 1,
                ..Limits::default()
            },
            ..NodeOptions::on_loopback(home, &genesis, &self.bootstrap, true)
        };
        let teller: Arc<dyn Teller> = liar.clone();
        let started = Node::start_with(options, Some(teller), |peer| Wrapped {
            adversary: Adversary::new(peer, strategies, &means)
                .expect("the list was checked when it was read"),
            liar,
            outputs: Vec::new(),
        });
        let (node, happenings) = tokio::select! {
            started = started => started.map_err(|e: NodeError| Failure::of(e))?,
            signal = interrupt.signalled() => return Ok(End::Over(exit_of(signal))),
        };
        let life = Life {
            key,
            happenings,
            jobs: self.jobs,
            job_runs: false,
            next_job: Instant::now() + BETWEEN_JOBS,
            listens: false,
        };
        let end = life.follow(&node, interrupt, console, words).await;
        // Happenings are let go, so that nothing waits for a reader.
        let _ = tokio::time::timeout(GOODBYE, node.leave()).await;
        end
    }

    fn means(&self, seed: &Seed, key: PeerKey, swarm: starling_protocol::SwarmId) -> Means {
        let secret = *seed.as_bytes();
        let signer = Arc::new(move || {
            let signer = Ed25519Signer::from_seed(&secret);
            Box::new(signer) as starling_protocol::crypto::BoxedSigner
        });
        let own = Hash::derive(
            "starling-adversary 2026-11 seed v1",
            &[&self.seed.to_le_bytes(), key.as_bytes()],
        );
        let friends: BTreeSet<PeerKey> = self.friends.iter().copied().chain([key]).collect();
        let ring: Vec<u8> = friends.iter().flat_map(|f| *f.as_bytes()).collect();
        let ring = Hash::derive(
            "starling-adversary 2026-11 ring v1",
            &[&self.seed.to_le_bytes(), &ring],
        );
        let friends = friends.into_iter().filter(|f| *f != key);
        Means::new(signer, swarm, own).among(friends, ring)
    }
}

/// One identity's time.
struct Life {
    key: PeerKey,
    happenings: mpsc::Receiver<Happening>,
    /// Own jobs that are left.
    jobs: u32,
    job_runs: bool,
    /// When the next one is due, whatever happens until then.
    next_job: Instant,
    listens: bool,
}

impl Life {
    async fn follow(
        mut self,
        node: &Node,
        interrupt: &Interrupt,
        console: &Console,
        words: &mut mpsc::Receiver<String>,
    ) -> Result<End, Failure> {
        loop {
            tokio::select! {
                happening = self.happenings.recv() => match happening {
                    Some(happening) => self.on(&happening, console)?,
                    None => return Err(Failure::of("the peer stopped by itself")),
                },
                () = tokio::time::sleep_until(self.next_job), if self.jobs > 0 && !self.job_runs => {
                    let work = Work::noop(512, self.jobs);
                    self.jobs -= 1;
                    self.job_runs = true;
                    node.submit(work.submission()?).await;
                }
                word = words.recv() => match word.as_deref() {
                    Some("reborn") => return Ok(End::Reborn),
                    Some(_) => {}
                    None => return Ok(End::Over(Exit::Ok)),
                },
                signal = interrupt.signalled() => return Ok(End::Over(exit_of(signal))),
            }
        }
    }

    fn on(&mut self, happening: &Happening, console: &Console) -> Result<(), Failure> {
        match happening {
            Happening::Listening { address } if !self.listens => {
                self.listens = true;
                console.json(&json!({
                    "happening": "listening", "address": address, "peer": self.key,
                    "pid": std::process::id(),
                }));
            }
            Happening::Core(
                Event::SubmitRefused { .. } | Event::JobDone { .. } | Event::JobFailed { .. },
            ) => {
                self.job_runs = false;
                self.next_job = Instant::now() + BETWEEN_JOBS;
            }
            Happening::Failed { why, .. } => return Err(Failure::from(why.clone())),
            Happening::Listening { .. }
            | Happening::Core(_)
            | Happening::DialFailed { .. }
            | Happening::Lending { .. } => {}
        }
        Ok(())
    }
}

fn exit_of(signal: Signal) -> Exit {
    match signal {
        Signal::Interrupt => Exit::Interrupted,
        Signal::Terminate => Exit::Ok,
    }
}

/// Lines of stdin. Its end ends the channel if that was asked for, and is not noticed otherwise. A thread of its own,
/// because a read cannot be given up.
fn words(until_it_ends: bool) -> mpsc::Receiver<String> {
    let (word, words) = mpsc::channel(4);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if word.blocking_send(line).is_err() {
                return;
            }
        }
        if until_it_ends {
            return;
        }
        loop {
            std::thread::park();
        }
    });
    words
}
