//! A device that lies: the simulator's [`Lies`] told in bytes.
//!
//! A lie there is the hash that a tile is said to have. Here it seeds the bytes of the tile, so that what a liar hands
//! over fits what it committed to, and a lie that no sample hits becomes an output that only a comparison with the
//! truth shows. Who copies has no bytes, only the hashes that others have shown: its commitment names those, and what
//! it hands over cannot fit. Invariant: as in the simulator, a lie depends on secret, job and tile alone.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use starling::compute::Teller;
use starling_adversaries::{Lies, Means, Strategy};
use starling_protocol::io::{Purpose, TaskId};
use starling_protocol::{Hash, Input, JobId, Manifest, Output};

/// Jobs whose manifests are kept: a lie is about a job.
const JOBS_MAX: usize = 256;
/// Computations that are remembered until they end.
const TASKS_MAX: usize = 1024;

/// Answers for the device of a peer.
pub struct Liar {
    lies: Lies,
    /// Whether its lies are hashes without bytes.
    copies: bool,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    /// The oldest first.
    jobs: VecDeque<(JobId, Manifest)>,
    /// Of a copier: what it had computed, the oldest first.
    tasks: VecDeque<Task>,
}

struct Task {
    id: TaskId,
    job: JobId,
    tiles: Vec<u32>,
    purpose: Purpose,
}

impl Liar {
    /// What these strategies tell.
    pub fn new(strategies: &[Strategy], means: &Means) -> Self {
        Self {
            lies: Lies::new(strategies, means),
            copies: copies(strategies),
            tables: Mutex::default(),
        }
    }

    /// A panic elsewhere leaves tables that are as good as before.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn about(&self, job: &JobId, tile: u32, purpose: Purpose) -> Option<Hash> {
        let tables = self.tables();
        let (_, manifest) = tables.jobs.iter().rev().find(|(id, _)| id == job)?;
        self.lies.about(manifest, tile, purpose)
    }

    /// Sees what the core asks of its device.
    pub fn on_output(&self, output: &Output) {
        match output {
            Output::Prepare { job, record, .. } => {
                let mut tables = self.tables();
                if tables.jobs.len() >= JOBS_MAX {
                    tables.jobs.pop_front();
                }
                tables.jobs.push_back((*job, record.manifest.body.clone()));
            }
            Output::Release { job } => self.tables().jobs.retain(|(id, _)| id != job),
            Output::Compute {
                task,
                job,
                tiles,
                purpose,
            } if self.copies => {
                let mut tables = self.tables();
                if tables.tasks.len() >= TASKS_MAX {
                    tables.tasks.pop_front();
                }
                tables.tasks.push_back(Task {
                    id: *task,
                    job: *job,
                    tiles: tiles.clone(),
                    purpose: *purpose,
                });
            }
            _ => {}
        }
    }

    /// Puts copied hashes into what the device found.
    pub fn on_input(&self, input: &mut Input) {
        let Input::Computed { task, result } = input else {
            return;
        };
        if !self.copies {
            return;
        }
        let mut tables = self.tables();
        let place = tables.tasks.iter().position(|t| t.id == *task);
        let Some(of) = place.and_then(|place| tables.tasks.remove(place)) else {
            return;
        };
        drop(tables);
        if let Ok(computed) = result {
            for (tile, hash) in of.tiles.iter().zip(&mut computed.tiles) {
                if let Some(copied) = self.about(&of.job, *tile, of.purpose) {
                    *hash = copied;
                }
            }
        }
    }
}

impl Teller for Liar {
    fn tell(&self, job: &JobId, tile: u32, purpose: Purpose, bytes: &mut [u8]) -> bool {
        let Some(lie) = self.about(job, tile, purpose) else {
            return false;
        };
        blake3::Hasher::new_derive_key("starling-adversary 2026-11 faked tile v1")
            .update(&lie.0)
            .finalize_xof()
            .fill(bytes);
        true
    }
}

fn copies(strategies: &[Strategy]) -> bool {
    strategies.iter().any(|strategy| match strategy {
        Strategy::Copy => true,
        Strategy::BehaveUntil { then, .. } => copies(then),
        _ => false,
    })
}
