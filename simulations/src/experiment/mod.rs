//! What is run: one TOML file of population, workload, network, adversaries and parameters. With a seed it determines
//! every event of a run.
//!
//! Every number carries its unit in its name, every section refuses keys that it does not know, and every value is
//! checked before anything runs.

mod population;
pub mod sweep;
mod workload;

pub use population::{DeviceKind, Drawn, Population};
pub use sweep::{Cell, Seeds, Study, Swept};
pub use workload::{CLASS, Job, Source, kernel};

use crate::churn::{Churn, TraceError};
use crate::gossip::MeshKnobs;
use crate::{kademlia, light, net};
use serde::{Deserialize, Serialize};
use starling_adversaries::Strategy;
use starling_protocol::{Genesis, Hash, Scope};
use std::path::{Path, PathBuf};

/// An experiment, as its file says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What the experiment asks, in a sentence; for the report.
    #[serde(default)]
    pub about: String,
    /// When a run ends.
    #[serde(default)]
    pub run: Run,
    /// Who there is.
    pub population: Population,
    /// What is submitted; light peers compute nothing.
    #[serde(default)]
    pub workload: Vec<Source>,
    /// The swarm's parameters.
    #[serde(default)]
    pub swarm: Swarm,
    /// What lies between peers.
    #[serde(default)]
    pub network: net::Knobs,
    /// How adverts spread.
    #[serde(default)]
    pub gossip: MeshKnobs,
    /// How boards are found.
    #[serde(default)]
    pub kademlia: kademlia::Knobs,
    /// What light peers do, where the population is of those.
    #[serde(default)]
    pub light: light::Knobs,
    /// How peers come and go.
    #[serde(default)]
    pub churn: Churn,
    /// Who misbehaves.
    #[serde(default)]
    pub adversaries: Vec<Adversaries>,
    /// Which seeds to run with.
    #[serde(default)]
    pub seeds: Seeds,
    /// What takes several values: one cell for each combination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sweep: Vec<Swept>,
}

/// When a run ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// At the latest, virtual seconds.
    pub horizon_s: f64,
    /// Also when every job has ended, a few seconds later; else always at the horizon.
    pub until_jobs_end: bool,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            horizon_s: 600.0,
            until_jobs_end: true,
        }
    }
}

/// What all peers share: the genesis' parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Swarm {
    /// Refresh interval of adverts, s.
    pub advert_s: f64,
    /// Target time of a slice, s, for jobs that do not say how many tiles theirs have.
    pub slice_s: f64,
    /// Shards of adverts and boards.
    pub shards: u16,
    /// ... or as many as make shards of about so many peers; 0 leaves it to `shards`.
    pub peers_per_shard: u32,
}

impl Default for Swarm {
    fn default() -> Self {
        Self {
            advert_s: 10.0,
            slice_s: 20.0,
            shards: 1,
            peers_per_shard: 0,
        }
    }
}

/// Peers that misbehave alike, and know each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adversaries {
    /// So many of them.
    #[serde(default)]
    pub count: u32,
    /// ... or this share of the population. Who, the seed draws from all peers but the clients.
    #[serde(default)]
    pub share: f64,
    /// Peer 0, the first client, is one of them too.
    #[serde(default)]
    pub requester: bool,
    /// They stand around the board of shard 0 and deny its records: each identity is the nearest of so many tries.
    #[serde(default)]
    pub eclipse_tries: u32,
    /// What they do, all of it together; the first is closest to the core.
    pub strategies: Vec<Strategy>,
}

/// Why an experiment cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// No such file, or it cannot be read.
    #[error("cannot read the experiment {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, an unknown field, a missing one, a wrong type; with the line.
    #[error("{path} is not an experiment\n{source}")]
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
        field: String,
        /// What it should be.
        range: String,
    },
    /// A strategy that means nothing, or that does not go with another.
    #[error("`{section}.strategies`: {error}")]
    Strategy {
        /// Of which group.
        section: String,
        /// Why.
        error: starling_adversaries::StrategyError,
    },
    /// A swept key leads nowhere.
    #[error("`sweep`: there is no place `{0}` in the file")]
    UnknownKey(String),
    /// A sweep without values.
    #[error("`sweep`: `{0}` has no values: give at least one, or leave it out")]
    EmptySweep(String),
    /// More combinations than anybody waits for.
    #[error("`sweep` makes more than {0} cells: sweep fewer values at once")]
    TooManyCells(usize),
    /// One combination of swept values cannot be run.
    #[error("cell {number} ({values}): {error}")]
    Cell {
        /// Its number.
        number: u32,
        /// Its values.
        values: String,
        /// Why not.
        error: String,
    },
    /// One run was wanted of what is many.
    #[error("the experiment sweeps over {0} cells: run it with `starling-sim sweep`")]
    Sweeps(usize),
    /// The churn's trace cannot be used.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// One thing to check: whether it holds, the field, what it should be.
pub(crate) type Rule<'a> = (bool, &'a str, &'a str);

/// The first rule that does not hold, as an error about `section`.
pub(crate) fn first_fault(section: &str, rules: &[Rule<'_>]) -> Result<(), ExperimentError> {
    match rules.iter().find(|(ok, ..)| !ok) {
        None => Ok(()),
        Some((_, field, range)) => Err(ExperimentError::Range {
            field: format!("{section}.{field}"),
            range: (*range).into(),
        }),
    }
}

impl Experiment {
    /// Shards of its adverts and boards.
    #[must_use]
    pub fn shards(&self) -> u16 {
        let by_size = self
            .population
            .peers
            .checked_div(self.swarm.peers_per_shard);
        by_size.map_or(self.swarm.shards, |n| n.clamp(1, 4096) as u16)
    }

    /// The genesis of its swarm.
    #[must_use]
    pub fn genesis(&self, salt: Hash) -> Genesis {
        let mut genesis = Genesis::new("simulation", Scope::Public, salt);
        genesis.advert_ms = (self.swarm.advert_s * 1000.0) as u32;
        genesis.slice_ms = (self.swarm.slice_s * 1000.0) as u32;
        genesis.shards = self.shards();
        genesis
    }

    /// Reads and checks a file that sweeps nothing.
    ///
    /// # Errors
    /// [`ExperimentError`], with file and line where there is one.
    pub fn load(path: &Path) -> Result<Self, ExperimentError> {
        let study = Study::load(path)?;
        match <[Cell; 1]>::try_from(study.cells) {
            Ok([cell]) => Ok(cell.experiment),
            Err(cells) => Err(ExperimentError::Sweeps(cells.len())),
        }
    }

    /// Checks every value's range.
    ///
    /// # Errors
    /// [`ExperimentError::Range`] naming the first one that is out.
    pub fn check(&self) -> Result<(), ExperimentError> {
        self.population.check()?;
        let seconds = 1.0..=86_400.0 * 30.0;
        first_fault(
            "run",
            &[(
                seconds.contains(&self.run.horizon_s),
                "horizon_s",
                "1 to 2592000 (30 days)",
            )],
        )?;
        let swarm = &self.swarm;
        first_fault(
            "swarm",
            &[
                (
                    (1.0..=600.0).contains(&swarm.advert_s),
                    "advert_s",
                    "1 to 600",
                ),
                (
                    (0.1..=600.0).contains(&swarm.slice_s),
                    "slice_s",
                    "0.1 to 600",
                ),
                ((1..=4096).contains(&swarm.shards), "shards", "1 to 4096"),
                (
                    swarm.peers_per_shard == 0 || swarm.shards == 1,
                    "shards",
                    "left out where there is peers_per_shard",
                ),
            ],
        )?;
        if self.workload.is_empty() && !self.population.light {
            return first_fault("workload", &[(false, "0", "at least one [[workload]]")]);
        }
        for (i, source) in self.workload.iter().enumerate() {
            source.check(&format!("workload.{i}"), self)?;
        }
        let mut bad = 0.0;
        let most = 1.0 - f64::from(self.population.clients) / f64::from(self.population.peers);
        for (i, group) in self.adversaries.iter().enumerate() {
            let share = group.share + f64::from(group.count) / f64::from(self.population.peers);
            bad += share;
            let section = format!("adversaries.{i}");
            let rules = [
                (
                    (0.0..=1.0).contains(&group.share),
                    "share",
                    "a share from 0 to 1",
                ),
                (
                    group.count == 0 || group.share == 0.0,
                    "count",
                    "left out where there is a share",
                ),
                (
                    // Counts become shares, and those are rounded.
                    bad <= most + 1e-9,
                    "share",
                    "with the others at most all peers but the clients",
                ),
                (
                    group.eclipse_tries <= 1_000_000,
                    "eclipse_tries",
                    "0 to 1000000",
                ),
                (
                    self.adversaries.len() <= 64,
                    "share",
                    "one of at most 64 groups",
                ),
            ];
            first_fault(&section, &rules)?;
            if let Err(error) = starling_adversaries::strategy::check(&group.strategies) {
                return Err(ExperimentError::Strategy { section, error });
            }
        }
        self.gossip.check()?;
        let faults = [
            ("light", self.light.fault(self)),
            ("churn", self.churn.fault()),
            ("network", self.network.fault()),
            ("kademlia", self.kademlia.fault()),
        ];
        for (section, fault) in faults {
            if let Some((field, range)) = fault {
                return first_fault(section, &[(false, field, range)]);
            }
        }
        Ok(())
    }

    /// The same experiment as a file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Integers above i64 are refused by `check`, and nothing else in here can fail.
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

/// What people call `peer`.
#[must_use]
pub fn peer_name(peer: u32) -> String {
    if peer == 0 {
        "requester".into()
    } else {
        format!("peer-{peer:02}")
    }
}
