//! What a device thread computes with: the CPU, a GPU's process, or the one lying backend that `starling demo` needs.

use std::sync::Arc;
use std::time::Duration;

use starling_kernels::JobSpec;
use starling_kernels::runner::{CpuRunner, DeviceInfo, Runner, RunnerError};
use starling_protocol::JobId;
use starling_protocol::io::Purpose;

/// Longest that one portion may take. The first one on a GPU compiles the shader.
const DEADLINE: Duration = Duration::from_secs(60);
/// Jobs that the CPU route keeps loaded: their acceleration structures are built once each.
const LOADED_MAX: usize = 4;

/// A device, with what is loaded on it.
pub struct Backend {
    device: Device,
    lies: bool,
}

enum Device {
    /// One runner a job, the most recently used last.
    Cpu(Vec<(JobId, CpuRunner)>),
    Gpu(Box<Runner>),
}

impl Backend {
    /// An idle GPU process is stopped after this.
    pub(super) const IDLE: Duration = Duration::from_secs(60);

    /// The CPU route.
    pub fn cpu() -> Self {
        Self {
            device: Device::Cpu(Vec::new()),
            lies: false,
        }
    }

    /// A runner that has passed the canary.
    pub fn new(runner: Runner) -> Self {
        match runner {
            Runner::Cpu(_) => Self::cpu(),
            Runner::Gpu(_) => Self {
                device: Device::Gpu(Box::new(runner)),
                lies: false,
            },
        }
    }

    /// The same device, faking every tile that it is paid for. Only `starling demo` makes one.
    #[must_use]
    pub fn lying(self) -> Self {
        Self { lies: true, ..self }
    }

    pub(super) fn is_cpu(&self) -> bool {
        matches!(self.device, Device::Cpu(_))
    }

    /// The device behind it.
    pub fn describe(&self) -> DeviceInfo {
        match &self.device {
            Device::Cpu(_) => CpuRunner::new().describe().clone(),
            Device::Gpu(runner) => runner.describe().clone(),
        }
    }

    /// Bytes of `tiles`, and the bytes of one.
    pub(super) fn run(
        &mut self,
        job: JobId,
        spec: &Arc<JobSpec>,
        tiles: &[u32],
        purpose: Purpose,
    ) -> Result<(Vec<u8>, usize), RunnerError> {
        if self.lies && matches!(purpose, Purpose::Work | Purpose::SelfCheck) {
            let tile_bytes = spec.shape()?.tile_bytes as usize;
            return Ok((vec![0; tile_bytes * tiles.len()], tile_bytes));
        }
        let bytes = match &mut self.device {
            Device::Gpu(runner) => {
                runner.load(spec, DEADLINE)?;
                runner.run(tiles, DEADLINE)?
            }
            Device::Cpu(loaded) => Self::cpu_runner(loaded, job, spec)?.run(tiles, DEADLINE)?,
        };
        let tile_bytes = bytes.len() / tiles.len().max(1);
        Ok((bytes, tile_bytes))
    }

    fn cpu_runner<'a>(
        loaded: &'a mut Vec<(JobId, CpuRunner)>,
        job: JobId,
        spec: &JobSpec,
    ) -> Result<&'a mut CpuRunner, RunnerError> {
        let place = loaded.iter().position(|(id, _)| *id == job);
        let entry = match place {
            Some(place) => loaded.remove(place),
            None => {
                let mut runner = CpuRunner::new();
                runner.load(spec)?;
                (job, runner)
            }
        };
        if loaded.len() >= LOADED_MAX {
            loaded.remove(0);
        }
        loaded.push(entry);
        let last = loaded.len() - 1;
        Ok(&mut loaded[last].1)
    }

    /// Drops what is loaded for jobs that are over.
    pub(super) fn keep(&mut self, mut wanted: impl FnMut(&JobId) -> bool) {
        if let Device::Cpu(loaded) = &mut self.device {
            loaded.retain(|(job, _)| wanted(job));
        }
    }

    pub(super) fn stop(&mut self) {
        if let Device::Gpu(runner) = &mut self.device
            && let Runner::Gpu(process) = runner.as_mut()
        {
            process.stop();
        }
    }
}
