//! The owner's settings: `config.toml`, written with comments on the first run, below variables and flags.
//!
//! `table` is all that can be set, as `keys` has it; `layers` reads file, environment and flags into it, `edit` changes
//! one value of a file. Unknown keys and values out of range are errors that name the place and the fix, because a
//! misspelt limit that is silently ignored lends out more than its owner meant to.
//! Invariant: the default file parses to [`Config::default`].

pub mod edit;
pub mod keys;
mod layers;
mod table;

use std::path::{Path, PathBuf};

use starling_protocol::lending::Rules;

use super::disk::DiskError;

pub use keys::{Key, Kind, Value};
pub use layers::{Origin, Overrides, Settings};
pub use table::KEYS;

/// What a first run writes.
const DEFAULT_FILE: &str = include_str!("default_config.toml");
/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file says something that cannot be used.
    #[error("{}:{line}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A variable or a flag says something that cannot be used.
    #[error("{origin}: {problem}")]
    Override {
        /// Which one.
        origin: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// The file is too long to be settings.
    #[error("{} has {bytes} bytes, settings have at most {MAX_FILE}; move it away and a default one is written", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Addresses and peers.
    pub network: Network,
    /// What computes.
    pub device: Device,
    /// How much is logged.
    pub log: LogLevel,
    /// What the owner lends at most.
    pub limits: Limits,
    /// On what terms.
    pub lend: Lend,
    /// How programs of this machine reach the peer.
    pub api: Api,
}

/// Addresses, as multiaddresses in text form, and ways to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Where to listen.
    pub listen: Vec<String>,
    /// Whom to dial at start.
    pub bootstrap: Vec<String>,
    /// Where others reach this peer, as only its owner knows.
    pub announce: Vec<String>,
    /// Whether peers of the local network are found by mDNS, where the swarm's scope has it.
    pub mdns: Switch,
    /// Whether routers are asked to open a port.
    pub upnp: Switch,
    /// Whether others are asked if they can dial this peer.
    pub autonat: Switch,
    /// Whether connections go over relays where they must, and over this peer where it can.
    pub relay: Switch,
}

impl Default for Network {
    fn default() -> Self {
        let listen = ["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"];
        Self {
            listen: listen.map(str::to_owned).to_vec(),
            bootstrap: Vec::new(),
            announce: Vec::new(),
            mdns: Switch::Auto,
            upnp: Switch::Auto,
            autonat: Switch::Auto,
            relay: Switch::Auto,
        }
    }
}

/// Whether a service of the network is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Switch {
    /// Where the swarm's scope calls for it.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// What computes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Device {
    /// The best GPU that passes the canary, else the CPU.
    #[default]
    Auto,
    /// The CPU only.
    Cpu,
    /// The adapter whose name contains this text.
    Adapter(String),
}

/// How much is logged to stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it, and they are tracing's")]
pub enum LogLevel {
    Error,
    #[default]
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    const ALL: [Self; 5] = [
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// The name that tracing's filters use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// What the owner lends at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Established connections, 4 to 4096.
    pub connections: u32,
    /// Disk for inputs and outputs, in GiB, 1 to 65536.
    pub blobs_gib: u32,
    /// CPU threads for computing, up to 1024; 0 means all.
    pub threads: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            blobs_gib: 10,
            threads: 0,
        }
    }
}

/// On what terms the owner lends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lend {
    /// Asked price per 10^9 work units.
    pub price: u64,
    /// Self-declared coarse region, at most 16 bytes; empty if untold.
    pub region: String,
    /// On what conditions, and how much of the machine.
    pub rules: Rules,
}

impl Default for Lend {
    fn default() -> Self {
        Self {
            price: 0,
            region: String::new(),
            rules: Rules {
                full_screen: true,
                battery: true,
                temperature_c: Some(90),
                memory_pct: Some(95),
                ..Rules::default()
            },
        }
    }
}

/// How programs of this machine reach the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Api {
    /// Port on loopback; 0 lets the system choose.
    pub port: u16,
}

/// Says what is wrong with an address, or nothing.
pub type AddressCheck<'a> = &'a dyn Fn(&str) -> Result<(), String>;

impl Config {
    /// Reads `path`, or writes the default file there on the first run. `address` judges each listed
    /// address (the transport knows the grammar, this file does not).
    pub fn load_or_create(path: &Path, address: AddressCheck<'_>) -> Result<Self, ConfigError> {
        Ok(Settings::load_or_create(path, &Overrides::default(), address)?.config)
    }

    /// Parses the text of a settings file; `path` is for messages only.
    pub fn parse(text: &str, path: &Path, address: AddressCheck<'_>) -> Result<Self, ConfigError> {
        Ok(Settings::parse(text, path, &Overrides::default(), address)?.config)
    }
}
