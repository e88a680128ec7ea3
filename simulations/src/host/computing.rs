//! What a simulated peer's devices compute, and how long that takes.

use super::Host;
use crate::event::What;
use crate::shared::Shared;
use starling_protocol::io::{Computed, Input, Purpose, TaskId};
use starling_protocol::manifest::JobRecord;
use starling_protocol::{BlobId, Hash, JobId};
use std::sync::Arc;

pub(super) struct Task {
    job: JobId,
    record: Arc<JobRecord>,
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
        let units = record
            .manifest
            .body
            .units_per_tile
            .saturating_mul(tiles.len() as u64);
        // Made up in no time.
        let made_up = |t: &u32| !self.backend.works(&record.manifest.body, *t, purpose);
        let units = if tiles.iter().all(made_up) { 0 } else { units };
        let work = Task {
            job,
            record,
            tiles,
            purpose,
        };
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
        let Task {
            job,
            record,
            tiles,
            purpose,
        } = task;
        let manifest = &record.manifest.body;
        let hashes: Vec<_> = tiles
            .iter()
            .map(|t| self.backend.tile(manifest, *t, purpose))
            .collect();
        let key = around.names[self.index as usize];
        around.observer.computed(key, job, purpose, &tiles);
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
                    ..Computed::tiles(hashes)
                }),
            },
        );
    }
}
