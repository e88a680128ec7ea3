//! Light peers: a swarm whose peers have no protocol machine, only what discovery needs, up to a million in one run.
//!
//! A peer has its shard by its key, publishes an advert every interval from 200 ms after its start, keeps when it
//! forgets each advert of its shard (4 bytes an entry, three intervals after it was heard), and provides its board or
//! looks it up as one does that finds no job: after 15 s, then less and less often, down to once a minute. Times and
//! rules are the protocol's; `swarm` is the loop, `shard` has mesh and tables, `flood` an advert's way, `report` the
//! figures. A flood is one event: nothing reacts to an advert before the tables are read, so that its arrivals are
//! written at once.
//!
//! Left out: jobs, devices, queries to stewards, disks; who comes or goes while an advert is under way (a newcomer
//! counts as known a delivery too early, and what is still offered to it comes at its next heartbeat); gossip queues
//! behind other floods; the rule against adverts that come too soon. Peers of the first moment are in Kademlia from
//! the start. Beyond [`Knobs::watched`] peers lookups are a sample: they change nothing, so the rest need not be
//! walked. Invariant: a run depends on experiment and seed alone.

mod flood;
mod report;
mod shard;
mod swarm;

pub use report::{Adverts, Knowledge, LightReport, Lookups, Times};

use crate::experiment::{Experiment, ExperimentError};
use serde::{Deserialize, Serialize};

/// What light peers do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Knobs {
    /// Share of peers that provide their shard's board, 0 to 1; the others look it up. Assumption: one in fifty has
    /// jobs of its own.
    pub provider_share: f64,
    /// Share of departures that a goodbye goes before, 0 to 1. Assumption: none, as full peers are killed.
    pub goodbye_share: f64,
    /// About so many peers, drawn by the seed, walk their lookups; those of the others are counted.
    pub watched: u32,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            provider_share: 0.02,
            goodbye_share: 0.0,
            watched: 2_000,
        }
    }
}

/// Peers of an average shard: a table of so many, and of those by which the largest shard exceeds it, is under 4 KiB.
const SHARD_PEERS: u32 = 800;

impl Knobs {
    /// The first knob that is out of its range, and what it should be.
    #[must_use]
    pub fn fault(&self, experiment: &Experiment) -> Option<(&'static str, &'static str)> {
        let share = |share: f64| (0.0..=1.0).contains(&share);
        const SHARE: &str = "a share from 0 to 1";
        let population = &experiment.population;
        let room = population.peers / u32::from(experiment.shards()) <= SHARD_PEERS;
        let alone = experiment.workload.is_empty() && experiment.adversaries.is_empty();
        let checks = [
            (share(self.provider_share), "provider_share", SHARE),
            (share(self.goodbye_share), "goodbye_share", SHARE),
            (
                room || !population.light,
                "peers",
                "at most 800 for each of `swarm.shards`",
            ),
            (
                alone || !population.light,
                "peers",
                "without workload and adversaries",
            ),
        ];
        let fault = checks.iter().find(|(ok, ..)| !ok);
        fault.map(|(_, field, range)| (*field, *range))
    }
}

/// Runs `experiment`, which must have passed its check, with `seed` to its horizon.
///
/// # Errors
/// [`ExperimentError::Trace`] when the churn's trace cannot be used any more.
pub fn run(experiment: &Experiment, seed: u64) -> Result<LightReport, ExperimentError> {
    let mut swarm = swarm::Swarm::new(experiment, seed)?;
    swarm.run();
    Ok(swarm.report(seed))
}
