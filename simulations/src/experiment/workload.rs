//! What is submitted: single jobs at set times, or streams of them from the whole population.

use super::{Experiment, ExperimentError, first_fault};
use serde::{Deserialize, Serialize};
use starling_protocol::io::{Shape, Submission};
use starling_protocol::manifest::BlobRef;
use starling_protocol::{BlobId, Hash, KernelId, Tier, config};

/// The class of all simulated jobs.
pub const CLASS: &str = "sim";

/// One source of jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Single jobs: when the first is submitted, virtual s. Adverts need a moment before.
    #[serde(default = "default_at_s")]
    pub at_s: f64,
    /// Single jobs: how many, one after the other.
    #[serde(default = "one")]
    pub jobs: u32,
    /// Single jobs: from one to the next, s.
    #[serde(default)]
    pub every_s: f64,
    /// Single jobs: the peer that submits them.
    #[serde(default)]
    pub requester: u32,
    /// A stream instead: each peer submits so many an hour, at random times (Poisson), from `at_s` on.
    #[serde(default)]
    pub per_peer_hour: f64,
    /// What every one of them is.
    pub job: Job,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Tiles in all.
    pub tiles: u32,
    /// Output bytes of a tile.
    pub tile_bytes: u32,
    /// Work units of a tile.
    pub units_per_tile: u64,
    /// Tiles of a slice; by default the swarm's slice time at the median speed.
    #[serde(default)]
    pub slice_tiles: Option<u32>,
    /// Bytes of its input.
    #[serde(default)]
    pub input_bytes: u64,
    /// When it is given up, s after its submission.
    #[serde(default = "default_deadline_s")]
    pub deadline_s: u64,
    /// At most so many stewards besides its requester; by default the protocol's number.
    #[serde(default)]
    pub stewards: Option<u16>,
}

fn default_at_s() -> f64 {
    2.0
}

fn default_deadline_s() -> u64 {
    86_400
}

fn one() -> u32 {
    1
}

/// The kernel of all simulated jobs.
#[must_use]
pub fn kernel() -> KernelId {
    KernelId(Hash::of(b"starling-sim kernel"))
}

impl Job {
    /// As a person submits it.
    #[must_use]
    pub fn submission(&self) -> Submission {
        let input = BlobRef {
            id: BlobId(Hash::of(&self.input_bytes.to_le_bytes())),
            len: self.input_bytes,
        };
        Submission {
            kernel: kernel(),
            class: CLASS.into(),
            params: Vec::new(),
            inputs: (self.input_bytes > 0)
                .then_some(input)
                .into_iter()
                .collect(),
            shape: Shape {
                tiles: self.tiles,
                tile_bytes: self.tile_bytes,
                units_per_tile: self.units_per_tile,
                tier: Tier::Exact,
            },
            slice_tiles: self.slice_tiles,
            max_price: None,
            deadline_in_s: self.deadline_s,
            stewards: self.stewards,
            full_audits: false,
        }
    }
}

impl Source {
    /// Whether it is a stream from everybody.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.per_peer_hour > 0.0
    }

    pub(super) fn check(&self, name: &str, whole: &Experiment) -> Result<(), ExperimentError> {
        let job = &self.job;
        let peers = whole.population.peers;
        let horizon_s = whole.run.horizon_s;
        let rules = [
            (
                (0.0..horizon_s).contains(&self.at_s),
                "at_s",
                "before run.horizon_s",
            ),
            ((1..=100_000).contains(&self.jobs), "jobs", "1 to 100000"),
            (
                (0.0..=horizon_s).contains(&self.every_s),
                "every_s",
                "0 to run.horizon_s",
            ),
            (
                self.requester < peers,
                "requester",
                "below population.peers",
            ),
            (
                (0.0..=3600.0).contains(&self.per_peer_hour),
                "per_peer_hour",
                "0 to 3600",
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
                job.slice_tiles
                    .is_none_or(|t| (1..=config::SLICE_TILES_MAX).contains(&t)),
                "job.slice_tiles",
                "1 to 1024",
            ),
            (
                job.input_bytes <= config::INPUT_LEN_MAX,
                "job.input_bytes",
                "0 to 2^31",
            ),
            (
                (1..=u64::from(config::DEADLINE_MAX_S)).contains(&job.deadline_s),
                "job.deadline_s",
                "1 to 2592000",
            ),
        ];
        first_fault(name, &rules)
    }
}
