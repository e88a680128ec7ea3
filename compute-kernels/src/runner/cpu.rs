//! The CPU runner: the reference side of every kernel, on all cores of this process.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{DeviceInfo, DeviceKind, Patience, RunnerError, check_run};
use crate::kernel::{JobSpec, Kernel, MAX_INPUT_BYTES, Prepared, Shape};

/// Operations that a thread takes at a time, by what tiles declare to cost at most: some 50 us, so that many threads do not
/// queue for tiles that cost next to nothing. Others are taken one by one.
const TURN_UNITS: u64 = 1 << 17;
/// Tiles that it takes at a time at most.
const TURN_TILES: u64 = 256;

/// Computes with the Rust side of kernels, through rayon's global pool.
pub struct CpuRunner {
    info: DeviceInfo,
    job: Option<Box<dyn Prepared>>,
}

impl CpuRunner {
    /// A runner without a job.
    pub fn new() -> Self {
        let threads = rayon::current_num_threads();
        CpuRunner {
            info: DeviceInfo {
                name: format!("{} ({threads} threads)", model_name()),
                vendor: String::new(),
                backend: "native".into(),
                kind: DeviceKind::Cpu,
                driver: String::new(),
                index: 0,
                max_binding_bytes: MAX_INPUT_BYTES as u64,
            },
            job: None,
        }
    }

    /// See [`super::Runner::load`].
    pub fn load(&mut self, job: &JobSpec) -> Result<Shape, RunnerError> {
        self.load_with(job, job.trusted()?)
    }

    /// The same for a job of this kernel, which may be one whose code comes with the job.
    pub(super) fn load_with(
        &mut self,
        job: &JobSpec,
        kernel: &dyn Kernel,
    ) -> Result<Shape, RunnerError> {
        self.job = None;
        let prepared = kernel.prepare(&job.params, &job.inputs)?;
        let shape = prepared.shape();
        self.job = Some(prepared);
        Ok(shape)
    }

    /// See [`super::Runner::run`].
    pub fn run<'a>(
        &mut self,
        tiles: &[u32],
        patience: impl Into<Patience<'a>>,
    ) -> Result<Vec<u8>, RunnerError> {
        let patience = patience.into();
        let (start, limit) = (Instant::now(), patience.limit());
        let (out, done) = self.first(tiles, &|| {
            start.elapsed() <= limit && !patience.is_stopped()
        })?;
        if done == tiles.len() {
            return Ok(out);
        }
        Err(if patience.is_stopped() {
            RunnerError::Aborted
        } else {
            let limit_ms = limit.as_millis() as u64;
            RunnerError::Deadline { limit_ms }
        })
    }

    /// See [`super::Runner::run_for`].
    pub fn run_for<'a>(
        &mut self,
        tiles: &[u32],
        span: Duration,
        patience: impl Into<Patience<'a>>,
    ) -> Result<Vec<u8>, RunnerError> {
        let patience = patience.into();
        let (start, span) = (Instant::now(), span.min(patience.limit()));
        let (out, _) = self.first(tiles, &|| start.elapsed() < span && !patience.is_stopped())?;
        Ok(out)
    }

    /// The bytes of the first of `tiles`, and how many those are: one turn at least, and whatever is begun while `go_on`.
    ///
    /// Threads take one turn after the other from a common heap, in order. So what is done is a prefix; nobody waits for
    /// the slowest but at the end, however uneven tiles are; and no guess at what the next ones will cost is needed.
    fn first(
        &self,
        tiles: &[u32],
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<(Vec<u8>, usize), RunnerError> {
        let job = self.job.as_deref().ok_or(RunnerError::NotLoaded)?;
        let shape = job.shape();
        check_run(&shape, tiles)?;
        let tile_bytes = (shape.tile_bytes as usize).max(1);
        let mut out = vec![0; tiles.len() * tile_bytes];
        let turn = (TURN_UNITS / shape.units_per_tile.max(1)).clamp(1, TURN_TILES) as usize;
        let turns = tiles.chunks(turn).zip(out.chunks_mut(turn * tile_bytes));
        let heap = Mutex::new((turns, 0));
        let work = || {
            let mut worker = job.worker();
            loop {
                let more = go_on() && job.fault().is_none();
                let (tiles, out) = {
                    // A panic elsewhere leaves a heap that is as good as before.
                    let mut heap = heap.lock().unwrap_or_else(PoisonError::into_inner);
                    let (turns, taken) = &mut *heap;
                    if !more && *taken > 0 {
                        return;
                    }
                    let Some(next) = turns.next() else { return };
                    *taken += next.0.len();
                    next
                };
                for (&tile, out) in tiles.iter().zip(out.chunks_exact_mut(tile_bytes)) {
                    worker(tile, out);
                }
            }
        };
        let threads = rayon::current_num_threads().min(tiles.len().div_ceil(turn));
        rayon::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|_| work());
            }
            work();
        });
        let (_, done) = heap.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = job.fault() {
            return Err(fault.into());
        }
        out.truncate(done * tile_bytes);
        Ok((out, done))
    }

    /// See [`Prepared::burnt`].
    pub fn burnt(&self) -> Option<u32> {
        self.job.as_ref().and_then(|job| job.burnt())
    }

    /// The current job's shape.
    pub fn shape(&self) -> Option<Shape> {
        self.job.as_ref().map(|job| job.shape())
    }

    /// The processor.
    pub fn describe(&self) -> &DeviceInfo {
        &self.info
    }
}

impl Default for CpuRunner {
    fn default() -> Self {
        Self::new()
    }
}

/// What Linux calls the processor; elsewhere the architecture.
fn model_name() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = cpuinfo.lines().find(|l| l.starts_with("model name"));
    match line.and_then(|l| l.split_once(':')) {
        Some((_, name)) => name.trim().to_owned(),
        None => std::env::consts::ARCH.to_owned(),
    }
}
