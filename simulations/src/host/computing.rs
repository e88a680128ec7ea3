//! What a host's devices compute: tiles of prepared jobs, and of those that probes make up.

use super::Host;
use crate::event::What;
use crate::shared::Shared;
use starling_protocol::config;
use starling_protocol::io::{Computed, Input, Purpose, TaskId};
use starling_protocol::manifest::{ContextRule, Intensity, JobRecord};
use starling_protocol::{BlobId, Hash, JobId, KernelId, Manifest, PeerKey, Tier};
use std::sync::Arc;

/// What tiles are of.
pub(super) enum Of {
    /// A prepared job.
    Job(JobId, Arc<JobRecord>),
    /// What a probe makes up.
    Probe(Box<Manifest>),
}

impl Of {
    fn manifest(&self) -> &Manifest {
        match self {
            Self::Job(_, record) => &record.manifest.body,
            Self::Probe(manifest) => manifest,
        }
    }
}

pub(super) struct Task {
    of: Of,
    tiles: Vec<u32>,
    purpose: Purpose,
}

impl Host {
    pub(super) fn compute(
        &mut self,
        around: &mut Shared,
        task: TaskId,
        job: JobId,
        tiles: Vec<u32>,
        purpose: Purpose,
    ) {
        let now = around.engine.now();
        let Some(record) = self.prepared.get(&job).cloned() else {
            let key = around.names[self.index as usize];
            around.observer.unprepared(key, purpose);
            around.engine.at(now, self.mine(What::Failed(task)));
            return;
        };
        self.work(around, task, Of::Job(job, record), tiles, purpose);
    }

    pub(super) fn work(
        &mut self,
        around: &mut Shared,
        task: TaskId,
        of: Of,
        tiles: Vec<u32>,
        purpose: Purpose,
    ) {
        let now = around.engine.now();
        let manifest = of.manifest();
        let units = manifest.units_per_tile.saturating_mul(tiles.len() as u64);
        // Made up in no time.
        let made_up = |t: &u32| !self.backend.works(manifest, *t, purpose);
        let units = if tiles.iter().all(made_up) { 0 } else { units };
        let work = Task { of, tiles, purpose };
        self.devices.push(now, task, purpose, units, work);
        self.await_devices(around);
    }

    /// Schedules a look at the devices for when the first of them finishes.
    pub(super) fn await_devices(&mut self, around: &mut Shared) {
        if let Some(due) = self.devices.next_look() {
            around.engine.at(due, self.mine(What::Device));
        }
    }

    pub(super) fn computed(&mut self, around: &mut Shared, id: TaskId, task: Task) {
        let Task { of, tiles, purpose } = task;
        let manifest = of.manifest();
        let hashes: Vec<_> = tiles
            .iter()
            .map(|t| self.backend.tile(manifest, *t, purpose))
            .collect();
        let key = around.names[self.index as usize];
        if purpose == Purpose::Work {
            let real = |t: &&u32| self.backend.works(manifest, **t, purpose);
            let real = tiles.iter().filter(real).count();
            around.observer.worked(self.index, real);
        }
        match &of {
            Of::Job(job, _) => around.observer.computed(key, *job, purpose, &tiles),
            Of::Probe(_) => around.observer.probed(tiles.len()),
        }
        let units = match &of {
            Of::Job(..) => 0,
            Of::Probe(m) => m.units_per_tile.saturating_mul(m.tiles.into()),
        };
        let blob = matches!(purpose, Purpose::Work | Purpose::Own).then(|| {
            let bytes: Vec<u8> = hashes.iter().flat_map(|h| h.0).collect();
            let blob = BlobId(Hash::derive("starling-sim 2026-11 blob v1", &[&bytes]));
            self.disk.blobs.insert(blob, hashes.clone());
            blob
        });
        self.tell(
            around,
            Input::Computed {
                task: id,
                result: Ok(Computed {
                    blob,
                    units,
                    ..Computed::tiles(hashes)
                }),
            },
        );
    }
}

/// The job that all shells make of the same seed: its tiles differ by it, and have no inputs.
pub(super) fn made_up(kernel: KernelId, seed: Hash, units: u64) -> Manifest {
    let tiles = config::PROBE_TILES;
    Manifest {
        version: config::RULES_VERSION,
        requester: PeerKey::default(),
        kernel,
        class: String::new(),
        params: Vec::new(),
        inputs: Vec::new(),
        tier: Tier::Exact,
        context: ContextRule::None,
        tiles,
        tile_bytes: 4,
        units_per_tile: units / u64::from(tiles),
        slice_tiles: tiles,
        bid: 0,
        floor: Intensity::newcomer(0),
        roster: Hash::default(),
        deadline_s: 0,
        recipient: None,
        salt: seed,
    }
}
