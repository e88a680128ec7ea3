//! One device thread with its two queues, and the count of what it did.

use std::collections::{HashMap, VecDeque};
use std::ops::Add;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use starling_kernels::runner::RunnerError;
use starling_protocol::config::PROBE_TILES;
use starling_protocol::io::{Purpose, TaskId};
use starling_protocol::{JobId, Reason};
use tokio::sync::mpsc::Sender;

use super::backend::Turn;
use super::probe::Probe;
use super::{Backend, Duty, Failed, Finished, Jobs, lock};

/// A portion of a task should take about this long: then more urgent work gets its turn. On a CPU it does, but for a
/// single tile's own time; on a GPU it is a guess by what the portions before took.
const PORTION: Duration = Duration::from_millis(50);
/// Tiles of a task's first portion, before its speed is known.
const FIRST_TILES: usize = 4;

/// Device time and tiles by purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Leased slices, microseconds of the device.
    pub work_us: u64,
    /// Audits, self-checks and judgements, with loading their jobs.
    pub audit_us: u64,
    /// Slices that this requester computed itself.
    pub own_us: u64,
    /// Tiles of leased slices.
    pub work_tiles: u64,
    /// Tiles recomputed.
    pub audit_tiles: u64,
    /// Capacity proofs, own and others', with making their jobs.
    pub probe_us: u64,
    /// Tiles of those.
    pub probe_tiles: u64,
    /// Device processes that died or had to be killed.
    pub lost: u64,
}

impl Add for Usage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            work_us: self.work_us + other.work_us,
            audit_us: self.audit_us + other.audit_us,
            own_us: self.own_us + other.own_us,
            work_tiles: self.work_tiles + other.work_tiles,
            audit_tiles: self.audit_tiles + other.audit_tiles,
            probe_us: self.probe_us + other.probe_us,
            probe_tiles: self.probe_tiles + other.probe_tiles,
            lost: self.lost + other.lost,
        }
    }
}

impl Usage {
    fn count(&mut self, task: &Task, tiles: u64, spent: Duration) {
        let us = spent.as_micros() as u64;
        if task.probe.is_some() {
            self.probe_us += us;
            self.probe_tiles += tiles;
            return;
        }
        match task.purpose {
            Purpose::Work => {
                self.work_us += us;
                self.work_tiles += tiles;
            }
            Purpose::Audit | Purpose::SelfCheck | Purpose::Judge => {
                self.audit_us += us;
                self.audit_tiles += tiles;
            }
            Purpose::Own => self.own_us += us,
        }
    }
}

/// A computation on its way.
pub(super) struct Task {
    id: TaskId,
    job: JobId,
    tiles: Vec<u32>,
    purpose: Purpose,
    /// What its job is made of, if it is one of a capacity proof.
    probe: Option<Probe>,
    units: u64,
    /// Tiles done.
    done: usize,
    bytes: Vec<u8>,
    tile_bytes: usize,
}

impl Task {
    pub(super) fn new(id: TaskId, job: JobId, tiles: Vec<u32>, purpose: Purpose) -> Self {
        Self {
            id,
            job,
            tiles,
            purpose,
            probe: None,
            units: 0,
            done: 0,
            bytes: Vec::new(),
            tile_bytes: 1,
        }
    }

    /// A task of a job that is made up for it, in one portion because its time is measured: half a second's work, by
    /// what its peer claims of itself.
    pub(super) fn of_probe(id: TaskId, probe: Probe, tiles: Vec<u32>, purpose: Purpose) -> Self {
        let job = JobId(probe.seed);
        Self {
            probe: Some(probe),
            ..Self::new(id, job, tiles, purpose)
        }
    }

    fn is_urgent(&self) -> bool {
        !matches!(self.purpose, Purpose::Work | Purpose::Own)
    }

    fn finish(self, result: Result<(), Failed>) -> Finished {
        let result = result.map(|()| self.bytes);
        Finished {
            task: self.id,
            purpose: self.purpose,
            tile_bytes: self.tile_bytes,
            units: self.units,
            result,
        }
    }
}

#[derive(Default)]
struct State {
    urgent: VecDeque<Task>,
    bulk: VecDeque<Task>,
    /// The task that a portion of is being computed; set to none when it is aborted.
    running: Option<TaskId>,
    usage: Usage,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether what runs is wanted no more: tells the device, where `running` tells the thread.
    stop: AtomicBool,
}

/// Handle of one device thread.
pub(super) struct Lane(Arc<Shared>);

impl Lane {
    pub(super) fn start(
        name: &str,
        backend: Backend,
        duty: &Duty,
        jobs: &Jobs,
        results: &Sender<Finished>,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let (here, jobs, results) = (shared.clone(), jobs.clone(), results.clone());
        let duty = duty.clone();
        let run = move || run(&here, backend, &duty, &jobs, &results);
        // Without a thread nothing computes: tasks stay queued, leases lapse, and `doctor` says why.
        if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(run) {
            tracing::error!(%error, "cannot start the {name} thread");
        }
        Self(shared)
    }

    pub(super) fn push(&self, task: Task) {
        let mut state = lock(&self.0.state);
        let queue = if task.is_urgent() {
            &mut state.urgent
        } else {
            &mut state.bulk
        };
        queue.push_back(task);
        self.0.changed.notify_one();
    }

    pub(super) fn abort(&self, id: TaskId) {
        let mut state = lock(&self.0.state);
        state.urgent.retain(|t| t.id != id);
        state.bulk.retain(|t| t.id != id);
        if state.running == Some(id) {
            state.running = None;
            self.0.stop.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn usage(&self) -> Usage {
        lock(&self.0.state).usage
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        lock(&self.0.state).closed = true;
        self.0.changed.notify_one();
    }
}

fn run(
    shared: &Shared,
    mut backend: Backend,
    duty: &Duty,
    jobs: &Jobs,
    results: &Sender<Finished>,
) {
    // Seconds that a tile takes, per job: as last measured, and no less than half of what was thought before. Behind cheap
    // tiles dear ones may come, and a GPU does not end in the middle of a portion.
    let mut pace: HashMap<JobId, f64> = HashMap::new();
    while let Some(mut task) = next(shared, &mut backend) {
        backend.keep(|job| lock(jobs).contains_key(job));
        pace.retain(|job, _| lock(jobs).contains_key(job));
        let start = Instant::now();
        let spec = match &task.probe {
            Some(probe) => probe.job().map(Arc::new),
            None => lock(jobs).get(&task.job).cloned(),
        };
        let Some(spec) = spec else {
            let failed = Failed {
                reason: Reason::FetchFailed,
                why: "the job is not here".into(),
            };
            let _ = results.blocking_send(task.finish(Err(failed)));
            continue;
        };
        if task.probe.is_some() {
            // What cannot be cut into tiles fails when it is run.
            let per_tile = spec.shape().map_or(0, |s| s.units_per_tile);
            task.units = per_tile.saturating_mul(PROBE_TILES.into());
        }
        let take = match pace.get(&task.job) {
            _ if task.probe.is_some() => task.tiles.len(),
            Some(seconds) => (PORTION.as_secs_f64() / seconds.max(1e-9)) as usize,
            // A stranger's declared cost says nothing of what a tile takes here.
            None if spec.is_guest() => 1,
            None => FIRST_TILES,
        };
        let end = (task.done + take.max(1)).min(task.tiles.len());
        let tiles = &task.tiles[task.done..end];
        let turn = Turn {
            span: PORTION,
            stop: &shared.stop,
        };
        let computed = if task.probe.is_some() {
            let all = backend.run_all(task.job, &spec, tiles, task.purpose, turn);
            // Nothing more of it will be asked for.
            backend.keep(|job| lock(jobs).contains_key(job));
            all
        } else {
            backend.run(task.job, &spec, tiles, task.purpose, turn)
        };
        let spent = start.elapsed();
        let done = match &computed {
            Ok((bytes, tile_bytes)) => bytes.len() / tile_bytes.max(&1),
            Err(_) => 0,
        };
        if task.probe.is_none() {
            let measured = spent.as_secs_f64() / done.max(1) as f64;
            let pace = pace.entry(task.job).or_insert(measured);
            *pace = measured.max(*pace / 2.0);
        }

        std::thread::sleep(duty.rest(spent));

        let mut state = lock(&shared.state);
        state.usage.count(&task, done as u64, spent);
        if let Err(RunnerError::Lost(_) | RunnerError::Deadline { .. }) = computed {
            state.usage.lost += 1;
        }
        if state.running.take().is_none() {
            continue;
        }
        let end = match computed {
            Ok((bytes, tile_bytes)) => {
                task.bytes.extend_from_slice(&bytes);
                task.tile_bytes = tile_bytes;
                task.done += done;
                (task.done == task.tiles.len()).then_some(Ok(()))
            }
            Err(error) => Some(Err(error.into())),
        };
        match end {
            // A driver that is gone needs no result.
            Some(end) => {
                // Not under the lock: the driver may be waiting for it.
                drop(state);
                let _ = results.blocking_send(task.finish(end));
            }
            None if task.is_urgent() => state.urgent.push_front(task),
            None => state.bulk.push_front(task),
        }
    }
}

/// Waits for a task, the urgent ones first. A device that idles for long is stopped meanwhile.
fn next(shared: &Shared, backend: &mut Backend) -> Option<Task> {
    let mut state = lock(&shared.state);
    loop {
        if state.closed {
            return None;
        }
        let task = state.urgent.pop_front();
        if let Some(task) = task.or_else(|| state.bulk.pop_front()) {
            state.running = Some(task.id);
            shared.stop.store(false, Ordering::Relaxed);
            return Some(task);
        }
        let waited = shared.changed.wait_timeout(state, Backend::IDLE);
        let (guard, timeout) = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        state = guard;
        if timeout.timed_out() {
            backend.stop();
        }
    }
}
