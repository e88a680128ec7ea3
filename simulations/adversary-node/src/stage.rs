//! A swarm of processes on loopback, in a temporary folder: honest peers are `starling up`, adversaries are this
//! program, and everybody is asked the same way.
//!
//! Invariant: all processes end with the [`Stage`]; those of a stage that was killed leave when their stdin ends.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use starling::api::client::Client;
use starling::cli::exit::{Exit, Failure};
use starling::genesis;
use starling::stage::{Child, Line};
use starling_protocol::{PeerKey, Scope};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::peer::identity;

/// A peer may take this long to listen, while all others start.
const START: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// Peers that were told to leave may take this long.
const LEAVE: Duration = Duration::from_secs(5);
/// Target time of a slice: short, so that there are many.
const SLICE_MS: u32 = 500;

/// What all experiments are told.
#[derive(Args, Clone, Debug)]
pub struct StageArgs {
    /// The program of the honest peers [default: the same code, linked into this program].
    #[arg(long, value_name = "FILE")]
    pub starling: Option<PathBuf>,
    /// Fixes misdeeds and jobs; not when a packet comes.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Keep the peers' homes and logs, in this folder.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

impl StageArgs {
    /// Those of one of several stages: what is kept lies in a folder of its own.
    #[must_use]
    pub fn numbered(&self, number: usize) -> Self {
        let keep = self.keep.as_ref().map(|keep| keep.join(number.to_string()));
        Self {
            keep,
            ..self.clone()
        }
    }
}

/// What is known of one process.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// Its latest identity.
    peer: Option<PeerKey>,
    address: Option<String>,
    /// Identities so far.
    lives: usize,
    ended: bool,
}

/// One process.
struct Actor {
    name: String,
    home: PathBuf,
    child: Child,
    honest: bool,
    /// It was told to leave.
    dismissed: bool,
}

/// A swarm of processes.
pub struct Stage {
    args: StageArgs,
    folder: PathBuf,
    genesis: PathBuf,
    actors: Vec<Actor>,
    seen: Arc<Mutex<Vec<Seen>>>,
    lines: mpsc::Sender<Line>,
    /// Removes the folder, unless it is kept: after the processes that live there, so that it is dropped last.
    _temporary: Option<TempDir>,
}

/// How an adversary behaves.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Its strategies, as a command line has them.
    pub strategy: String,
    /// Members of its ring or clique, itself perhaps among them.
    pub friends: Vec<PeerKey>,
    /// Jobs that it submits itself.
    pub jobs: u32,
}

impl Stage {
    /// An empty stage with a swarm's file.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn new(args: &StageArgs) -> Result<Self, Failure> {
        starling::bench::process::allow_files();
        let disk = |e: std::io::Error| Failure::of(format!("cannot make a folder: {e}"));
        let (folder, temporary) = match &args.keep {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(disk)?;
                (std::path::absolute(folder).map_err(disk)?, None)
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("starling-").tempdir();
                let temporary = temporary.map_err(disk)?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let path = folder.join("genesis.toml");
        let swarm =
            genesis::create("adversaries", Scope::Local, Some(SLICE_MS)).map_err(Failure::from)?;
        if !genesis::save_new(&swarm, &path).map_err(Failure::from)? {
            let what = format!("{} holds another experiment", folder.display());
            return Err(Failure::new(Exit::Usage, what, "choose a new folder"));
        }
        let (lines, mut received) = mpsc::channel(1024);
        let seen = Arc::new(Mutex::new(Vec::<Seen>::new()));
        let shared = seen.clone();
        // Always read: a process whose words nobody takes would wait.
        tokio::spawn(async move {
            while let Some(line) = received.recv().await {
                hear(&mut lock(&shared), &line);
            }
        });
        Ok(Self {
            args: args.clone(),
            folder,
            genesis: path,
            actors: Vec::new(),
            seen,
            lines,
            _temporary: temporary,
        })
    }

    /// Starts an honest peer; answers its index.
    ///
    /// # Errors
    /// That it cannot be started.
    pub fn honest(&mut self, lends: bool) -> Result<usize, Failure> {
        let name = format!("honest-{}", self.actors.len());
        let home = self.folder.join(&name);
        drop(identity(&home)?);
        let copied = std::fs::copy(&self.genesis, home.join("genesis.toml"));
        copied.map_err(|e| Failure::of(format!("cannot write the swarm's file: {e}")))?;
        let mut command = match &self.args.starling {
            Some(program) => Command::new(program),
            None => {
                let mut command = this_program()?;
                // As the real program has it: two heaps.
                command.arg("starling").env("MALLOC_ARENA_MAX", "2");
                command
            }
        };
        // One thread each: there are more peers than cores.
        command.args(["up", "--events", "--exit-on-stdin-close", "--device", "cpu"]);
        command.args(["--set", "limits.threads=1"]);
        if !lends {
            command.arg("--no-lend");
        }
        self.start(name, home, command, true)
    }

    /// Makes the home and so the name of an adversary that is to come: friends know each other before they start.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn cast(&self, name: &str) -> Result<(PathBuf, PeerKey), Failure> {
        let home = self.folder.join(name);
        let (_, key) = identity(&home)?;
        Ok((home, key))
    }

    /// Starts an adversary in a home that was [`Stage::cast`].
    ///
    /// # Errors
    /// That it cannot be started.
    pub fn adversary(&mut self, home: PathBuf, part: &Part) -> Result<usize, Failure> {
        let name = home.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let mut command = this_program()?;
        command.env("MALLOC_ARENA_MAX", "2");
        command.args(["up", "--exit-on-stdin-close", "--strategy", &part.strategy]);
        command.arg("--genesis").arg(&self.genesis);
        command.args(["--seed", &self.args.seed.to_string()]);
        command.args(["--jobs", &part.jobs.to_string()]);
        if !part.friends.is_empty() {
            let friends: Vec<String> = part.friends.iter().map(PeerKey::to_string).collect();
            command.args(["--friends", &friends.join(",")]);
        }
        self.start(name, home, command, false)
    }

    fn start(
        &mut self,
        name: String,
        home: PathBuf,
        mut command: Command,
        honest: bool,
    ) -> Result<usize, Failure> {
        let index = self.actors.len();
        for address in self.bootstrap() {
            command.args(["--bootstrap", &address]);
        }
        lock(&self.seen).push(Seen::default());
        let child = Child::spawn(index, &home, command, self.lines.clone());
        let child = child.map_err(|e| Failure::of(format!("cannot start {name}: {e}")))?;
        self.actors.push(Actor {
            name,
            home,
            child,
            honest,
            dismissed: false,
        });
        Ok(index)
    }

    /// Whom the next peer dials: the first honest one, and one in the middle, who is not everybody's.
    fn bootstrap(&self) -> Vec<String> {
        let seen = lock(&self.seen);
        let honest = self.actors.iter().zip(seen.iter());
        let known: Vec<&String> = honest
            .filter(|(actor, _)| actor.honest)
            .filter_map(|(_, seen)| seen.address.as_ref())
            .collect();
        let chosen = [known.first(), known.get(known.len() / 2)];
        let chosen: BTreeSet<&String> = chosen.into_iter().flatten().copied().collect();
        chosen.into_iter().cloned().collect()
    }

    /// Waits until a process can be dialled; answers its key.
    ///
    /// # Errors
    /// That it ended, or took too long.
    pub async fn listening(&self, index: usize) -> Result<PeerKey, Failure> {
        self.lives(index, 1).await
    }

    /// Waits until a process is in its `n`th life.
    ///
    /// # Errors
    /// That it ended, or took too long.
    async fn lives(&self, index: usize, n: usize) -> Result<PeerKey, Failure> {
        let until = Instant::now() + START;
        loop {
            let seen = lock(&self.seen)[index].clone();
            match seen.peer {
                Some(peer) if seen.address.is_some() && seen.lives >= n => return Ok(peer),
                _ if seen.ended => return Err(self.died(index, "stopped at once")),
                _ if Instant::now() > until => return Err(self.died(index, "is too slow")),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Tells adversaries to come back as somebody new; answers their new keys.
    ///
    /// # Errors
    /// That one does not come back.
    pub async fn reborn(&mut self, who: &[usize]) -> Result<Vec<PeerKey>, Failure> {
        let lives: Vec<usize> = who.iter().map(|i| lock(&self.seen)[*i].lives).collect();
        for index in who {
            let told = self.actors[*index].child.tell("reborn").await;
            told.map_err(|_| self.died(*index, "does not listen"))?;
        }
        let mut keys = Vec::new();
        for (index, lives) in who.iter().zip(lives) {
            keys.push(self.lives(*index, lives + 1).await?);
        }
        Ok(keys)
    }

    /// The local API of an honest process.
    ///
    /// # Errors
    /// That it does not answer in time.
    pub async fn client(&self, index: usize) -> Result<Client, Failure> {
        let until = Instant::now() + START;
        loop {
            match Client::connect(&self.actors[index].home).await {
                Ok(client) => return Ok(client),
                Err(reason) if Instant::now() > until => return Err(reason.into()),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// A process' resident bytes.
    pub fn resident(&self, index: usize) -> Option<f64> {
        let id = self.actors[index].child.id()?;
        starling::bench::process::resident(&id.to_string())
    }

    /// Honest peers that have ended although nobody told them to.
    pub fn fallen(&self) -> Vec<String> {
        let seen = lock(&self.seen);
        let actors = self.actors.iter().zip(seen.iter());
        let fallen = actors.filter(|(a, seen)| a.honest && !a.dismissed && seen.ended);
        fallen.map(|(actor, _)| actor.name.clone()).collect()
    }

    fn died(&self, index: usize, what: &str) -> Failure {
        let actor = &self.actors[index];
        let log = std::fs::read_to_string(&actor.child.log).unwrap_or_default();
        let last = log.lines().last().unwrap_or("it said nothing").to_owned();
        let fix = "repeat it with --keep DIR, and read the logs there";
        Failure::new(Exit::Error, format!("{} {what}: {last}", actor.name), fix)
    }

    /// Tells some to leave, and ends those who do not.
    pub async fn dismiss(&mut self, who: &[usize]) {
        for index in who {
            self.actors[*index].dismissed = true;
            self.actors[*index].child.ask_to_leave();
        }
        let until = Instant::now() + LEAVE;
        while Instant::now() < until && who.iter().any(|i| !lock(&self.seen)[*i].ended) {
            tokio::time::sleep(LOOK).await;
        }
        for index in who {
            self.actors[*index].child.end().await;
        }
    }

    /// Ends everybody.
    pub async fn end(mut self) {
        let all: Vec<usize> = (0..self.actors.len())
            .filter(|i| !self.actors[*i].dismissed)
            .collect();
        self.dismiss(&all).await;
    }
}

fn hear(seen: &mut [Seen], line: &Line) {
    match line {
        Line::End { child } => {
            if let Some(seen) = seen.get_mut(*child) {
                seen.ended = true;
            }
        }
        Line::Json { child, value } => {
            let Some(seen) = seen.get_mut(*child) else {
                return;
            };
            let text = |field: &str| value.get(field).and_then(Value::as_str);
            if let Some(peer) = text("peer").and_then(|p| p.parse().ok())
                && matches!(text("happening"), Some("started" | "listening"))
                && seen.peer.replace(peer) != Some(peer)
            {
                seen.lives += 1;
                seen.address = None;
            }
            if text("happening") == Some("listening")
                && let Some(address) = text("address").filter(|a| a.contains("/tcp/"))
            {
                seen.address.get_or_insert_with(|| address.to_owned());
            }
        }
    }
}

fn this_program() -> Result<Command, Failure> {
    let exe = std::env::current_exe();
    exe.map(Command::new)
        .map_err(|e| Failure::of(format!("cannot tell where this program is: {e}")))
}

/// A panic elsewhere leaves a list that is as good as before.
fn lock(seen: &Mutex<Vec<Seen>>) -> MutexGuard<'_, Vec<Seen>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
