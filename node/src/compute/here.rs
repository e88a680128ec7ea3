//! A job computed by this machine, apart from any queue: for whoever wants to see it before others do.

use std::time::Duration;

use starling_kernels::runner::{Engine, GuestRunner, Runner, RunnerCommand, RunnerError};
use starling_kernels::{JobSpec, Prepared};

use super::device::{chosen, device_process};
use super::{DeviceChoice, DeviceError};

/// Nobody but the person who asked waits for it, and that one has Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(3600);

/// How long a job of a stranger's, or a shader of one's own, may take to be looked at and compiled.
const LOOK: Duration = Duration::from_secs(60);

/// A loaded job.
pub enum Here {
    /// In this process.
    Own(Box<dyn Prepared>),
    /// In a confined one, because it brings its own code.
    Guest(Box<GuestRunner>),
    /// By a GPU.
    Device(Box<Runner>),
}

impl Here {
    /// Loads it for the CPU.
    ///
    /// # Errors
    /// Those of the kernel, and of its process if it needs one.
    pub fn load(spec: &JobSpec) -> Result<Self, RunnerError> {
        if spec.is_guest() {
            return Self::guest(spec, Engine::Cpu);
        }
        Ok(Self::Own(spec.prepare()?))
    }

    /// Loads it for a device that passes its check.
    ///
    /// # Errors
    /// The device's, and those of [`Here::load`].
    pub fn load_on(spec: &JobSpec, choice: &DeviceChoice) -> Result<Self, DeviceError> {
        let mut device = chosen(choice, false, &command()?)?.0;
        if spec.is_guest() {
            return Ok(Self::guest(spec, device.engine())?);
        }
        if let Runner::Cpu(_) = device {
            return Ok(Self::load(spec)?);
        }
        device.load(spec, LOOK)?;
        Ok(Self::Device(Box::new(device)))
    }

    fn guest(spec: &JobSpec, engine: Engine) -> Result<Self, RunnerError> {
        let mut guest = GuestRunner::new(&command()?, engine);
        guest.load(spec, LOOK)?;
        Ok(Self::Guest(Box::new(guest)))
    }

    /// A look at what a shader does in two places, before anybody else is bothered with it: a race has no result that
    /// others could agree on.
    ///
    /// # Errors
    /// The shader's own fault, or that of its process.
    pub fn try_out(spec: &JobSpec) -> Result<(), RunnerError> {
        let last = spec.shape()?.tiles - 1;
        Self::load(spec)?.run(&[0, last]).map(drop)
    }

    /// The bytes of tiles, one after the other.
    ///
    /// # Errors
    /// The shader's own fault, or its process is gone.
    pub fn run(&mut self, tiles: &[u32]) -> Result<Vec<u8>, RunnerError> {
        match self {
            Self::Own(job) => Ok(job.run(tiles)),
            Self::Guest(guest) => guest.run(tiles, PATIENCE),
            Self::Device(device) => device.run(tiles, PATIENCE),
        }
    }

    /// The most that the loops of one invocation have burnt so far, where they have fuel.
    pub fn burnt(&self) -> Option<u32> {
        match self {
            Self::Own(job) => job.burnt(),
            Self::Guest(guest) => guest.burnt(),
            Self::Device(_) => None,
        }
    }
}

fn command() -> Result<RunnerCommand, RunnerError> {
    device_process().map_err(|e| RunnerError::Spawn {
        exe: "this program".into(),
        reason: e.to_string(),
    })
}
