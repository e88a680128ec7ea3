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
use crate::home::{Config, Home, HomeError, disk};
use crate::net::{Multiaddr, Services, any_port};

/// Longest `up.json` that is believed, in bytes.
const RUNNING_MAX: u64 = 64 * 1024;

/// A home folder by its path.
#[derive(Debug, Clone)]
pub struct Place {
    /// The folder.
    pub root: PathBuf,
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
    /// The folder that `--home`, the environment or the system names. Creates nothing.
    pub fn locate(chosen: Option<&Path>, overrides: Overrides) -> Result<Self, Failure> {
        Home::locate(chosen)
            .map(|root| Self { root, overrides })
            .map_err(Failure::from)
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

    /// Whom to dial: what the command names, the settings, and the peer that runs in this home.
    pub fn bootstrap(
        &self,
        named: &[Multiaddr],
        config: &Config,
        swarm: &SwarmId,
    ) -> Vec<Multiaddr> {
        let mut all = named.to_vec();
        all.extend(
            config
                .network
                .bootstrap
                .iter()
                .filter_map(|a| a.parse::<Multiaddr>().ok()),
        );
        all.extend(
            self.running()
                .filter(|r| r.swarm == *swarm)
                .into_iter()
                .flat_map(|r| r.addrs),
        );
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|a| seen.insert(a.to_string()));
        all
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
