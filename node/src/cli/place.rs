//! What commands find in a home without holding it: genesis, settings, and the peer that runs there.
//!
//! `up` and the requester hold a home through [`Home`]; everything here only reads, so that any command works beside
//! a running peer. First use makes the folder, the settings and a private swarm, and never asks a question.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use starling_protocol::{Genesis, PeerKey, Scope, SwarmId};

use super::exit::{Exit, Failure};
use crate::genesis;
use crate::home::config::{ConfigError, Overrides, Settings, Switch};
use crate::home::swarms::{Known, Swarms};
use crate::home::{Config, Home, HomeError, disk};
use crate::neighbours;
use crate::net::{Multiaddr, Services, any_port};

/// Longest `up.json` that is believed, in bytes.
const RUNNING_MAX: u64 = 64 * 1024;

/// A home folder by its path.
#[derive(Debug, Clone)]
pub struct Place {
    /// The folder.
    pub root: PathBuf,
    /// All homes of this machine's owner, of which it is one.
    pub swarms: Swarms,
    /// What stands above its settings.
    overrides: Overrides,
}

/// A running `up`, as it describes itself in `up.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// Its key.
    pub peer: PeerKey,
    /// Its swarm.
    pub swarm: SwarmId,
    /// Where it listens.
    pub addrs: Vec<Multiaddr>,
}

impl Place {
    /// The home of the swarm that `--swarm` names, else of the current one, in the folder that `--home`, the environment
    /// or the system names. Creates nothing.
    pub fn locate(
        chosen: Option<&Path>,
        swarm: Option<&str>,
        overrides: Overrides,
    ) -> Result<Self, Failure> {
        let swarms = Swarms::of(&Home::locate(chosen).map_err(Failure::from)?);
        let root = match swarm {
            Some(name) => known(&swarms, name)?.root,
            None => swarms.current(),
        };
        Ok(Self {
            root,
            swarms,
            overrides,
        })
    }

    /// Another home of the same owner.
    #[must_use]
    pub fn beside(&self, root: PathBuf) -> Self {
        Self {
            root,
            ..self.clone()
        }
    }

    /// The folder, created if it is missing.
    pub fn create(&self) -> Result<(), Failure> {
        match std::fs::metadata(&self.root) {
            Ok(about) if about.is_dir() => Ok(()),
            Ok(_) => Err(Failure::from(HomeError::NotAFolder {
                path: self.root.clone(),
            })),
            Err(_) => disk::create_private_dir(&self.root).map_err(Failure::from),
        }
    }

    /// The genesis file.
    pub fn genesis_file(&self) -> PathBuf {
        self.root.join("genesis.toml")
    }

    /// The swarm of this home; on first use a private one.
    pub fn genesis(&self) -> Result<Genesis, Failure> {
        self.create()?;
        genesis::load_or_create(&self.genesis_file()).map_err(Failure::from)
    }

    /// The settings file.
    pub fn config_file(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The settings; the first use writes the default ones down.
    pub fn config(&self) -> Result<Config, Failure> {
        self.create()?;
        let read = Settings::load_or_create(&self.config_file(), &self.overrides, &address);
        read.map(|settings| settings.config).map_err(unsettled)
    }

    /// The settings, with who said what; makes nothing.
    pub fn settings(&self) -> Result<Settings, Failure> {
        Settings::load(&self.config_file(), &self.overrides, &address).map_err(unsettled)
    }

    /// The requester's own home: an identity apart from the peer that lends.
    pub fn requester(&self) -> PathBuf {
        self.root.join("requester")
    }

    /// The folder of collected jobs.
    pub fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// Where a running `up` describes itself.
    pub fn running_file(&self) -> PathBuf {
        self.root.join("up.json")
    }

    /// The `up` that runs in this home, if one does.
    pub fn running(&self) -> Option<Running> {
        let path = self.running_file();
        let small = std::fs::metadata(&path)
            .ok()
            .filter(|a| a.is_file() && a.len() <= RUNNING_MAX);
        let running: Running =
            serde_json::from_slice(&std::fs::read(small.map(|_| path)?).ok()?).ok()?;
        alive(running.pid).then_some(running)
    }

    /// Whom to dial: what the command names, the settings, the peer that runs in this home, and whom that knew last.
    pub fn bootstrap(
        &self,
        named: &[Multiaddr],
        config: &Config,
        genesis: &Genesis,
    ) -> Vec<Multiaddr> {
        let mut all = named.to_vec();
        all.extend(
            config
                .network
                .bootstrap
                .iter()
                .filter_map(|a| a.parse::<Multiaddr>().ok()),
        );
        let running = self.running();
        let running = running.filter(|r| r.swarm == genesis.swarm_id());
        let mut found = running.map(|r| r.addrs).unwrap_or_default();
        found.extend(neighbours::load(&self.root));
        // A peer listens on all of a machine's addresses; nobody named these, so those out of scope are no mistake.
        let scope = crate::net::Scope::from(genesis.scope);
        all.extend(found.into_iter().filter(|a| scope.may_dial(a)));
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|a| seen.insert(a.to_string()));
        all
    }
}

/// The one swarm that a name means.
pub fn known(swarms: &Swarms, name: &str) -> Result<Known, Failure> {
    let mut found = swarms.find(name);
    match (found.pop(), found.pop()) {
        (Some(known), None) => Ok(known),
        (None, _) => Err(Failure::new(
            Exit::Usage,
            format!("this machine is in no swarm {name:?}"),
            "`starling swarm ls` lists them",
        )),
        _ => Err(Failure::new(
            Exit::Usage,
            format!("several swarms are called {name:?}"),
            "use the name that `starling swarm ls` shows first, or the beginning of the id",
        )),
    }
}

/// Where a peer of this scope listens unless it is told otherwise: in a local swarm on loopback only.
pub fn listen(named: &[Multiaddr], config: &Config, scope: Scope) -> Vec<Multiaddr> {
    if !named.is_empty() {
        return named.to_vec();
    }
    let loopback = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"].map(str::to_owned);
    let texts = if scope == Scope::Local {
        &loopback[..]
    } else {
        &config.network.listen[..]
    };
    texts.iter().filter_map(|a| a.parse().ok()).collect()
}

/// As [`listen`], with ports that the system chooses: a home's second peer cannot have the first one's.
pub fn listen_beside(config: &Config, scope: Scope) -> Vec<Multiaddr> {
    let addresses = listen(&[], config, scope);
    addresses.iter().map(any_port).collect()
}

/// The services that the owner has not switched off.
pub fn services(config: &Config) -> Services {
    let network = &config.network;
    let on = |switch| switch == Switch::Auto;
    Services {
        mdns: on(network.mdns),
        upnp: on(network.upnp),
        autonat: on(network.autonat),
        relay: on(network.relay),
    }
}

/// Where the owner says that others reach the peer.
pub fn announced(config: &Config) -> Vec<Multiaddr> {
    let announce = config.network.announce.iter();
    announce.filter_map(|a| a.parse().ok()).collect()
}

/// Settings that make no sense, as an exit.
fn unsettled(error: ConfigError) -> Failure {
    let exit = match &error {
        ConfigError::Override { .. } => Exit::Usage,
        _ => Exit::Error,
    };
    Failure::from(error).exit(exit)
}

/// The settings' judge of addresses.
pub fn address(text: &str) -> Result<(), String> {
    text.parse::<Multiaddr>()
        .map(|_| ())
        .map_err(|e| e.to_string())
}

/// Writes a file beside its place and renames it in, so that readers see the old bytes or the new ones.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = disk::write_atomically(path, bytes);
    written.map_err(|e| Failure::of(e).or_fix("check that the folder exists and has space"))
}

/// As [`write_atomically`], for what need not be in memory.
pub fn write_with(
    path: &Path,
    write: impl FnOnce(&mut dyn std::io::Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let fail = |e| {
        let failure = Failure::from(disk::DiskError::new("write", path, e));
        failure.or_fix("check that the folder exists and has space")
    };
    let mut draft = disk::draft(path).map_err(fail)?;
    write(&mut draft)?;
    draft.persist(path).map(drop).map_err(|e| fail(e.error))
}

/// Whether a process of this number runs.
pub fn alive(pid: u32) -> bool {
    #[cfg(unix)]
    {
        let pid = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| {
            !matches!(
                rustix::process::test_kill_process(pid),
                Err(rustix::io::Errno::SRCH)
            )
        })
    }
    #[cfg(not(unix))]
    {
        pid != 0
    }
}
