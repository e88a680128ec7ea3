//! What is run: a TOML file of peers, one job, devices and network. With a seed it determines every event.

use crate::network;
use crate::signer::Scheme;
use serde::{Deserialize, Serialize};
use starling_protocol::config;
use std::path::{Path, PathBuf};

/// A scenario, as its file says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Peers, the requester (peer 0) among them.
    pub peers: u32,
    /// So many of them, counted from peer 1, lie about what they compute.
    #[serde(default)]
    pub cheats: u32,
    /// So many of them, counted from the last, never send a message.
    #[serde(default)]
    pub silent: u32,
    /// How peers sign.
    #[serde(default)]
    pub signatures: Scheme,
    /// The run ends here at the latest, virtual seconds.
    #[serde(default = "default_horizon_s")]
    pub horizon_s: u64,
    /// What the requester submits.
    pub job: Job,
    /// What peers compute and store with.
    #[serde(default)]
    pub devices: Devices,
    /// What lies between them.
    #[serde(default)]
    pub network: network::Knobs,
}

fn default_horizon_s() -> u64 {
    600
}

/// The job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Tiles in all.
    pub tiles: u32,
    /// Output bytes of a tile.
    pub tile_bytes: u32,
    /// Work units of a tile.
    pub units_per_tile: u64,
    /// Tiles of a slice.
    pub slice_tiles: u32,
    /// When it is submitted, virtual ms: adverts need a moment before.
    #[serde(default = "default_submit_at_ms")]
    pub submit_at_ms: u64,
}

fn default_submit_at_ms() -> u64 {
    2_000
}

/// Devices and disks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Devices {
    /// Speed of the slowest device, work units per second.
    pub units_per_s: u64,
    /// The fastest is so many times faster; uniform between. At least 1.
    pub spread: f64,
    /// Speed of the CPU reference, work units per second.
    pub reference_units_per_s: u64,
    /// Fetching a job's inputs aside, how long a kernel takes to get ready, ms.
    pub prepare_ms: u64,
    /// How long an append to the log takes to be durable, ms.
    pub disk_ms: u64,
}

impl Default for Devices {
    fn default() -> Self {
        Self {
            units_per_s: 1_000_000_000,
            spread: 4.0,
            reference_units_per_s: 200_000_000,
            prepare_ms: 50,
            disk_ms: 4,
        }
    }
}

/// What a peer is in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Submits the job; lends nothing.
    Requester,
    /// Lends its device.
    Honest,
    /// Lends a device that lies.
    Cheat,
    /// Lends its device and never sends a message.
    Silent,
}

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No such file, or it cannot be read.
    #[error("cannot read the scenario {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, an unknown field, a missing one, a wrong type; with the line.
    #[error("{path} is not a scenario\n{source}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value out of its range.
    #[error("`{field}` is out of range: it should be {range}")]
    Range {
        /// Which field.
        field: &'static str,
        /// What it should be.
        range: &'static str,
    },
}

impl Scenario {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ScenarioError`], with file and line where there is one.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let read = |source| ScenarioError::Read {
            path: path.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(read)?;
        let parse = |source| ScenarioError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let scenario: Self = toml::from_str(&text).map_err(parse)?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Checks every value's range.
    ///
    /// # Errors
    /// [`ScenarioError::Range`] naming the first one that is out.
    pub fn check(&self) -> Result<(), ScenarioError> {
        let (job, devices) = (&self.job, &self.devices);
        let least = config::SLICE_TILES_MIN.min(job.tiles);
        let faults = [
            (
                (2..=4096).contains(&self.peers),
                "peers",
                "2 to 4096, the requester among them",
            ),
            (
                self.cheats.saturating_add(self.silent) < self.peers,
                "cheats",
                "with `silent` fewer than `peers`",
            ),
            (
                (1..=86_400).contains(&self.horizon_s),
                "horizon_s",
                "1 to 86400",
            ),
            (
                job.submit_at_ms / 1000 < self.horizon_s,
                "job.submit_at_ms",
                "before the horizon",
            ),
            ((1..=1 << 24).contains(&job.tiles), "job.tiles", "1 to 2^24"),
            (
                (1..=config::TILE_MAX).contains(&job.tile_bytes),
                "job.tile_bytes",
                "1 to 65536",
            ),
            (
                (1..1 << 48).contains(&job.units_per_tile),
                "job.units_per_tile",
                "1 to 2^48 - 1",
            ),
            (
                (least..=config::SLICE_TILES_MAX).contains(&job.slice_tiles),
                "job.slice_tiles",
                "64 (or all tiles of a smaller job) to 1024",
            ),
            (
                (1..1 << 60).contains(&devices.units_per_s),
                "devices.units_per_s",
                "1 to 2^60 - 1",
            ),
            (
                (1.0..=1000.0).contains(&devices.spread),
                "devices.spread",
                "1 to 1000",
            ),
            (
                (1..1 << 60).contains(&devices.reference_units_per_s),
                "devices.reference_units_per_s",
                "1 to 2^60 - 1",
            ),
            (
                devices.prepare_ms <= 60_000,
                "devices.prepare_ms",
                "0 to 60000",
            ),
            (devices.disk_ms <= 60_000, "devices.disk_ms", "0 to 60000"),
        ];
        let fault = faults
            .iter()
            .find(|(ok, ..)| !ok)
            .map(|(_, field, range)| (*field, *range));
        match fault.or_else(|| self.network.fault()) {
            Some((field, range)) => Err(ScenarioError::Range { field, range }),
            None => Ok(()),
        }
    }

    /// The same scenario as a file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Integers above i64 are refused by `check`, and nothing else in here can fail.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// What `peer` is.
    #[must_use]
    pub fn role(&self, peer: u32) -> Role {
        match peer {
            0 => Role::Requester,
            p if p <= self.cheats => Role::Cheat,
            p if p >= self.peers - self.silent => Role::Silent,
            _ => Role::Honest,
        }
    }

    /// What people call `peer`.
    #[must_use]
    pub fn name(peer: u32) -> String {
        if peer == 0 {
            "requester".into()
        } else {
            format!("peer-{peer:02}")
        }
    }
}
