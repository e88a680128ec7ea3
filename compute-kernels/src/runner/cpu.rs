//! The CPU runner: the reference side of every kernel, on all cores of this process.

use std::time::{Duration, Instant};

use super::{DeviceInfo, DeviceKind, RunnerError, check_run};
use crate::kernel::{JobSpec, Kernel, MAX_INPUT_BYTES, Prepared, Shape};

/// A portion grows until it takes about this long.
const PORTION: Duration = Duration::from_millis(50);

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

    /// See [`super::Runner::run`]. The deadline is looked at between portions of some 50 ms: all cores wait for the
    /// last tile of one, which costs quick kernels half their speed if portions are short.
    pub fn run(&mut self, tiles: &[u32], deadline: Duration) -> Result<Vec<u8>, RunnerError> {
        let job = self.job.as_ref().ok_or(RunnerError::NotLoaded)?;
        check_run(&job.shape(), tiles)?;
        let start = Instant::now();
        let bytes = job.shape().tile_bytes as usize;
        let mut out = vec![0; tiles.len() * bytes];
        let (mut tiles, mut rest) = (tiles, out.as_mut_slice());
        let mut portion = rayon::current_num_threads() * 8;
        while !tiles.is_empty() {
            let began = start.elapsed();
            if began > deadline {
                let limit_ms = deadline.as_millis() as u64;
                return Err(RunnerError::Deadline { limit_ms });
            }
            let (now, later) = tiles.split_at(portion.min(tiles.len()));
            let (into, behind) = rest.split_at_mut(now.len() * bytes);
            job.run_into(now, into);
            if let Some(fault) = job.fault() {
                return Err(fault.into());
            }
            (tiles, rest) = (later, behind);
            if start.elapsed() - began < PORTION / 2 {
                portion *= 2;
            }
        }
        Ok(out)
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
