//! The CPU runner: the reference side of every kernel, on all cores of this process.

use std::time::{Duration, Instant};

use super::{DeviceInfo, DeviceKind, RunnerError, check_run};
use crate::kernel::{JobSpec, MAX_INPUT_BYTES, Prepared, Shape};

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
        self.job = None;
        let prepared = job.prepare()?;
        let shape = prepared.shape();
        self.job = Some(prepared);
        Ok(shape)
    }

    /// See [`super::Runner::run`]. The deadline is looked at between portions of a few tiles for each core.
    pub fn run(&mut self, tiles: &[u32], deadline: Duration) -> Result<Vec<u8>, RunnerError> {
        let job = self.job.as_ref().ok_or(RunnerError::NotLoaded)?;
        check_run(&job.shape(), tiles)?;
        let start = Instant::now();
        let mut out = Vec::with_capacity(tiles.len() * job.shape().tile_bytes as usize);
        for portion in tiles.chunks(rayon::current_num_threads() * 8) {
            if start.elapsed() > deadline {
                let limit_ms = deadline.as_millis() as u64;
                return Err(RunnerError::Deadline { limit_ms });
            }
            out.extend_from_slice(&job.run(portion));
        }
        Ok(out)
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
