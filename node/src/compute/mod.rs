//! The compute service: prepared jobs, and one or two threads that run their tiles.
//!
//! A device thread holds the chosen device. A second one, only beside a GPU, holds the CPU reference that self-checks
//! and judgements need. Urgent work (audits, checks, judgements) goes before leased slices at every portion of some
//! 50 ms, so that a long slice never makes an auditor late. What is aborted ends within such a portion too: a CPU has a
//! single tile's own time to end, or that of preparing a job; a process is killed.
//! No policy: what to compute is the core's business.

mod backend;
mod device;
mod duty;
mod here;
mod lane;
pub mod probe;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use starling_kernels::JobSpec;
use starling_kernels::runner::RunnerError;
use starling_protocol::io::{Purpose, TaskId};
use starling_protocol::{JobId, Reason};
use tokio::sync::mpsc;

pub(crate) use backend::Cheat;
pub use backend::{Backend, Teller};
pub use device::{
    Capability, DeviceChoice, DeviceError, benchmark, confinement, device_process, open, tier,
};
pub use duty::Duty;
pub use here::Here;
pub use lane::Usage;

use lane::{Lane, Task};
use probe::Probe;

/// The end of one task: all its bytes in the order asked, or why there are none.
pub struct Finished {
    /// Which.
    pub task: TaskId,
    /// What for.
    pub purpose: Purpose,
    /// Bytes of one tile.
    pub tile_bytes: usize,
    /// Work units of the whole job, if it was made up for a probe; else 0.
    pub units: u64,
    /// All tiles, or why there are none.
    pub result: Result<Vec<u8>, Failed>,
}

/// Why a computation gave nothing.
#[derive(Debug)]
pub struct Failed {
    /// Whether the job is to blame, or the device.
    pub reason: Reason,
    /// What it says.
    pub why: String,
}

impl From<RunnerError> for Failed {
    fn from(error: RunnerError) -> Self {
        let reason = match error {
            RunnerError::Job(_) => Reason::BadJob,
            _ => Reason::DeviceFailed,
        };
        Self {
            reason,
            why: error.to_string(),
        }
    }
}

/// Results that may wait for the driver.
const RESULTS: usize = 64;

/// Jobs whose inputs are here; shared with the device threads.
type Jobs = Arc<Mutex<HashMap<JobId, Arc<JobSpec>>>>;

/// Handle of the service. Dropping it ends the threads after their current portion.
pub struct Compute {
    jobs: Jobs,
    device: Lane,
    reference: Option<Lane>,
}

impl Compute {
    /// Starts the threads, the device's resting as `duty` says. Results arrive in the receiver; while nobody takes them,
    /// the threads wait.
    pub fn start(backend: Backend, duty: Duty) -> (Self, mpsc::Receiver<Finished>) {
        let (results, finished) = mpsc::channel(RESULTS);
        let jobs = Jobs::default();
        let reference = (!backend.is_cpu()).then(|| {
            Lane::start(
                "reference",
                backend.reference(),
                &Duty::default(),
                &jobs,
                &results,
            )
        });
        let device = Lane::start("device", backend, &duty, &jobs, &results);
        (
            Self {
                jobs,
                device,
                reference,
            },
            finished,
        )
    }

    /// A job's inputs are complete.
    pub fn prepare(&self, job: JobId, spec: Arc<JobSpec>) {
        lock(&self.jobs).insert(job, spec);
    }

    /// Forgets a job and what was loaded for it.
    pub fn release(&self, job: &JobId) {
        lock(&self.jobs).remove(job);
    }

    /// Queues a task; the core bounds how many there are.
    pub fn compute(&self, task: TaskId, job: JobId, tiles: Vec<u32>, purpose: Purpose) {
        self.lane(purpose)
            .push(Task::new(task, job, tiles, purpose));
    }

    /// Queues a task of a job that is made up for it, by the thread that computes it.
    pub fn probe(&self, task: TaskId, probe: Probe, tiles: Vec<u32>, purpose: Purpose) {
        self.lane(purpose)
            .push(Task::of_probe(task, probe, tiles, purpose));
    }

    /// Drops a task that nobody waits for any more.
    pub fn abort(&self, task: TaskId) {
        self.device.abort(task);
        if let Some(reference) = &self.reference {
            reference.abort(task);
        }
    }

    /// What the device has done so far.
    pub fn usage(&self) -> Usage {
        let reference = self.reference.as_ref().map(Lane::usage).unwrap_or_default();
        self.device.usage() + reference
    }

    fn lane(&self, purpose: Purpose) -> &Lane {
        match purpose {
            Purpose::SelfCheck | Purpose::Judge => self.reference.as_ref().unwrap_or(&self.device),
            Purpose::Work | Purpose::Audit | Purpose::Own => &self.device,
        }
    }
}

/// The data is a plain map or queue: a thread that panicked while it held the lock has left it whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
