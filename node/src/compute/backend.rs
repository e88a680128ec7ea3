//! What a device thread computes with: the CPU or a GPU's process, and whoever answers in its place.
//!
//! Invariant: this crate has one [`Teller`], the cheat that `starling demo` catches. Any other comes from outside,
//! through [`crate::node::Node::start_with`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use starling_kernels::runner::{
    CpuRunner, DeviceInfo, Engine, GuestRunner, Patience, Runner, RunnerCommand, RunnerError,
    START, time_for,
};
use starling_kernels::{JobSpec, KernelError, Shape};
use starling_protocol::JobId;
use starling_protocol::io::Purpose;

/// Jobs that the CPU route keeps loaded: their acceleration structures are built once each.
const LOADED_MAX: usize = 4;
/// Processes of jobs that bring their own code: one each, and starting one takes longer than many an audit.
const GUESTS_MAX: usize = 3;

/// Answers for a device: what it tells of a tile is taken for computed.
pub trait Teller: Send + Sync {
    /// Writes what it tells into `bytes`, which are zeros; false leaves the tile, counted within the job, to the device.
    fn tell(&self, job: &JobId, tile: u32, purpose: Purpose, bytes: &mut [u8]) -> bool;
}

/// Fakes every tile that is paid for.
pub(crate) struct Cheat;

impl Teller for Cheat {
    fn tell(&self, _: &JobId, _: u32, purpose: Purpose, _: &mut [u8]) -> bool {
        matches!(purpose, Purpose::Work | Purpose::SelfCheck)
    }
}

/// A device, with what is loaded on it.
pub struct Backend {
    device: Device,
    /// How to start a process for a job that brings its own code; without, there are none.
    command: Option<RunnerCommand>,
    /// One a job, the most recently used last.
    guests: Vec<(JobId, GuestRunner)>,
    teller: Option<Arc<dyn Teller>>,
}

/// What one call may take.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    /// Tiles are begun for so long, where that is for the device to say.
    pub(super) span: Duration,
    /// Set when nobody wants the tiles any more.
    pub(super) stop: &'a AtomicBool,
}

enum Device {
    /// One runner a job, the most recently used last.
    Cpu(Vec<(JobId, CpuRunner)>),
    Gpu(Box<Runner>),
}

impl Backend {
    /// An idle GPU process is stopped after this.
    pub(super) const IDLE: Duration = Duration::from_secs(60);

    /// The CPU route, without jobs that bring their own code.
    pub fn cpu() -> Self {
        Self::of(Device::Cpu(Vec::new()), None)
    }

    /// A runner that has passed the canary.
    pub fn new(runner: Runner, command: &RunnerCommand) -> Self {
        let device = match runner {
            Runner::Cpu(_) => Device::Cpu(Vec::new()),
            Runner::Gpu(_) => Device::Gpu(Box::new(runner)),
        };
        Self::of(device, Some(command.clone()))
    }

    fn of(device: Device, command: Option<RunnerCommand>) -> Self {
        Self {
            device,
            command,
            guests: Vec::new(),
            teller: None,
        }
    }

    /// The CPU reference beside it. Who answers for the device answers for its look at itself too.
    pub(super) fn reference(&self) -> Self {
        Self {
            teller: self.teller.clone(),
            ..Self::of(Device::Cpu(Vec::new()), self.command.clone())
        }
    }

    /// The same device with somebody who answers for it, or nobody.
    #[must_use]
    pub fn told_by(self, teller: Option<Arc<dyn Teller>>) -> Self {
        Self { teller, ..self }
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

    /// Bytes of the first of `tiles`, as many as `turn` leaves time for, and the bytes of one. A CPU begins what fits in
    /// its span; a GPU computes them all, but is killed a moment after `turn` is stopped.
    ///
    /// # Errors
    /// The runner's; [`RunnerError::Aborted`] if nothing was to be had when `turn` was stopped.
    pub(super) fn run(
        &mut self,
        job: JobId,
        spec: &Arc<JobSpec>,
        tiles: &[u32],
        purpose: Purpose,
        turn: Turn<'_>,
    ) -> Result<(Vec<u8>, usize), RunnerError> {
        let Some(teller) = self.teller.clone() else {
            return self.compute(job, spec, tiles, turn);
        };
        let tile_bytes = spec.shape()?.tile_bytes as usize;
        let mut bytes = vec![0; tile_bytes * tiles.len()];
        let mut left = Vec::new();
        let places = bytes.chunks_exact_mut(tile_bytes.max(1));
        for (place, (tile, told)) in tiles.iter().zip(places).enumerate() {
            if !teller.tell(&job, *tile, purpose, told) {
                left.push((place, told));
            }
        }
        if !left.is_empty() {
            let untold: Vec<u32> = left.iter().map(|(place, _)| tiles[*place]).collect();
            let (computed, _) = self.compute(job, spec, &untold, turn)?;
            let computed = computed.chunks_exact(tile_bytes.max(1));
            let missing = left.get(computed.len()).map(|(place, _)| *place);
            for ((_, told), tile) in left.iter_mut().zip(computed) {
                told.copy_from_slice(tile);
            }
            bytes.truncate(missing.unwrap_or(tiles.len()) * tile_bytes);
        }
        Ok((bytes, tile_bytes))
    }

    /// The same until all of them are there.
    pub(super) fn run_all(
        &mut self,
        job: JobId,
        spec: &Arc<JobSpec>,
        tiles: &[u32],
        purpose: Purpose,
        turn: Turn<'_>,
    ) -> Result<(Vec<u8>, usize), RunnerError> {
        let (mut all, mut left) = (Vec::new(), tiles);
        loop {
            let (bytes, tile_bytes) = self.run(job, spec, left, purpose, turn)?;
            let done = bytes.len() / tile_bytes.max(1);
            if turn.stop.load(Ordering::Relaxed) && done < left.len() {
                return Err(RunnerError::Aborted);
            }
            all.extend_from_slice(&bytes);
            left = left.get(done..).unwrap_or_default();
            if left.is_empty() {
                return Ok((all, tile_bytes));
            }
        }
    }

    fn compute(
        &mut self,
        job: JobId,
        spec: &Arc<JobSpec>,
        tiles: &[u32],
        Turn { span, stop }: Turn<'_>,
    ) -> Result<(Vec<u8>, usize), RunnerError> {
        let start = Patience::unless(stop, START);
        let patience =
            |shape: Shape| Patience::unless(stop, time_for(tiles.len(), shape.units_per_tile));
        let with = |shape: Shape, bytes| Ok((bytes, shape.tile_bytes as usize));
        if spec.is_guest() {
            let guest = self.guest(job)?;
            let shape = guest.load(spec, start)?;
            return with(shape, guest.run_for(tiles, span, patience(shape))?);
        }
        match &mut self.device {
            Device::Gpu(runner) => {
                let shape = runner.load(spec, start)?;
                with(shape, runner.run_for(tiles, span, patience(shape))?)
            }
            Device::Cpu(loaded) => {
                let runner = latest(loaded, LOADED_MAX, job, || {
                    let mut runner = CpuRunner::new();
                    runner.load(spec)?;
                    Ok(runner)
                })?;
                let shape = runner.shape().ok_or(RunnerError::NotLoaded)?;
                with(shape, runner.run_for(tiles, span, patience(shape))?)
            }
        }
    }

    /// What brings its own code, in a process of its own.
    fn guest(&mut self, job: JobId) -> Result<&mut GuestRunner, RunnerError> {
        let (command, device) = (&self.command, &self.device);
        latest(&mut self.guests, GUESTS_MAX, job, || {
            let command = command.as_ref().ok_or(KernelError::Guest)?;
            let engine = match device {
                Device::Cpu(_) => Engine::Cpu,
                Device::Gpu(gpu) => gpu.engine(),
            };
            Ok(GuestRunner::new(command, engine))
        })
    }

    /// Drops what is loaded for jobs that are over.
    pub(super) fn keep(&mut self, mut wanted: impl FnMut(&JobId) -> bool) {
        self.guests.retain(|(job, _)| wanted(job));
        if let Device::Cpu(loaded) = &mut self.device {
            loaded.retain(|(job, _)| wanted(job));
        }
    }

    pub(super) fn stop(&mut self) {
        self.guests.clear();
        if let Device::Gpu(runner) = &mut self.device
            && let Runner::Gpu(process) = runner.as_mut()
        {
            process.stop();
        }
    }
}

/// What a job has loaded, made if there is nothing; it is now the last of at most so many, of which the first goes.
fn latest<T>(
    all: &mut Vec<(JobId, T)>,
    most: usize,
    job: JobId,
    make: impl FnOnce() -> Result<T, RunnerError>,
) -> Result<&mut T, RunnerError> {
    let entry = match all.iter().position(|(id, _)| *id == job) {
        Some(place) => all.remove(place),
        None => (job, make()?),
    };
    if all.len() >= most {
        all.remove(0);
    }
    all.push(entry);
    let last = all.len() - 1;
    Ok(&mut all[last].1)
}
