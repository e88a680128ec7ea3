//! What of the log the core gets back at start.
//!
//! All that this peer is bound to, and of its own jobs and those that it is a steward of the ones that are not over,
//! without the slices whose bytes are gone; of what it thinks of others the latest, of as many as the core remembers. Not
//! a decoder: damaged records were dropped before. Invariant: a job that has ended is never given back.

use std::collections::{BTreeMap, BTreeSet};

use starling_protocol::io::Record;
use starling_protocol::reputation::{self, Standing};
use starling_protocol::{BlobId, JobId, PeerKey, SwarmId};

/// Records on their way from the log to the core.
pub(crate) struct Restored {
    swarm: SwarmId,
    now_s: u64,
    bound: Vec<Record>,
    jobs: BTreeMap<JobId, Vec<Record>>,
    standings: BTreeMap<PeerKey, Standing>,
    /// Inputs of others' jobs that this peer was ever a steward of.
    inputs: BTreeSet<BlobId>,
}

impl Restored {
    /// `now_s` is in Unix seconds.
    pub(crate) fn new(swarm: SwarmId, now_s: u64) -> Self {
        Self {
            swarm,
            now_s,
            bound: Vec::new(),
            jobs: BTreeMap::new(),
            standings: BTreeMap::new(),
            inputs: BTreeSet::new(),
        }
    }

    /// Takes the log's next record.
    pub(crate) fn take(&mut self, record: Record) {
        match record {
            Record::Committed { .. } | Record::Locked { .. } | Record::Revealed { .. } => {
                self.bound.push(record);
            }
            Record::Submitted { record: ref of } | Record::Appointed { record: ref of } => {
                if matches!(record, Record::Appointed { .. }) {
                    let inputs = of.manifest.body.inputs.iter();
                    self.inputs.extend(inputs.map(|i| i.id));
                }
                self.jobs.insert(of.id(&self.swarm), vec![record]);
            }
            Record::Ended { job, .. } => drop(self.jobs.remove(&job)),
            Record::Bound { job, .. }
            | Record::Excluded { job, .. }
            | Record::SliceDone { job, .. }
            | Record::Revoked { job, .. }
            | Record::Kept { job, .. } => {
                if let Some(records) = self.jobs.get_mut(&job) {
                    records.push(record);
                }
            }
            Record::Standing { peer, standing } => {
                reputation::keep(&mut self.standings, peer, *standing, self.now_s);
            }
            // For the index.
            Record::Receipted { .. } => {}
        }
    }

    /// Own jobs that are not over.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        let own = |records: &[Record]| matches!(records.first(), Some(Record::Submitted { .. }));
        let jobs = self.jobs.iter().filter(|(_, records)| own(records));
        jobs.map(|(job, _)| *job).collect()
    }

    /// Those of the stewarded jobs' inputs that are here and nothing else: no slice kept for anybody, and none of the
    /// `own` outputs and inputs.
    pub(crate) fn inputs(
        &mut self,
        has: impl Fn(&BlobId) -> bool,
        own: impl FnOnce() -> Option<BTreeSet<BlobId>>,
    ) -> Vec<BlobId> {
        let mut inputs = std::mem::take(&mut self.inputs);
        inputs.retain(has);
        if inputs.is_empty() {
            return Vec::new();
        }
        let Some(own) = own() else {
            return Vec::new();
        };
        for record in self.jobs.values().flatten() {
            if let Record::Kept { blob, .. } = record {
                inputs.remove(blob);
            }
        }
        inputs.into_iter().filter(|b| !own.contains(b)).collect()
    }

    /// The records in an order that the core understands. `has` tells which bytes are still here.
    pub(crate) fn into_records(self, has: impl Fn(&BlobId) -> bool) -> Vec<Record> {
        let here = |record: &Record| match record {
            Record::SliceDone { blob, .. } | Record::Kept { blob, .. } => has(blob),
            _ => true,
        };
        let jobs = self.jobs.into_values().flatten().filter(here);
        let standings = self.standings.into_iter().map(|(peer, standing)| {
            let standing = Box::new(standing);
            Record::Standing { peer, standing }
        });
        self.bound
            .into_iter()
            .chain(jobs)
            .chain(standings)
            .collect()
    }
}

#[cfg(test)]
mod tests;
