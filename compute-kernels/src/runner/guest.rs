//! Runs jobs that bring their own code: each in a fresh process, confined, which ends with the job.
//!
//! It decides nothing about jobs. Invariants: what one job left in its process no other one meets; a job whose process
//! cannot be confined does not run.

use std::time::Duration;

use super::{Engine, GpuProcess, RunnerCommand, RunnerError};
use crate::kernel::{JobSpec, Shape};

/// See the module.
pub struct GuestRunner {
    command: RunnerCommand,
    engine: Engine,
    process: Option<(JobSpec, GpuProcess)>,
}

impl GuestRunner {
    /// No process is started yet.
    pub fn new(command: &RunnerCommand, engine: Engine) -> Self {
        GuestRunner {
            command: command.confined(),
            engine,
            process: None,
        }
    }

    /// See [`super::Runner::load`]. A job that is loaded already costs nothing.
    pub fn load(&mut self, job: &JobSpec, deadline: Duration) -> Result<Shape, RunnerError> {
        if let Some((current, process)) = &mut self.process
            && current == job
        {
            return process.load(job, deadline);
        }
        self.process = None;
        let (command, engine) = (self.command.clone(), self.engine);
        let mut process = GpuProcess::spawn_engine(command, engine, deadline)?;
        let shape = process.load(job, deadline)?;
        self.process = Some((job.clone(), process));
        Ok(shape)
    }

    /// See [`super::Runner::run`].
    pub fn run(&mut self, tiles: &[u32], deadline: Duration) -> Result<Vec<u8>, RunnerError> {
        let (_, process) = self.process.as_mut().ok_or(RunnerError::NotLoaded)?;
        process.run(tiles, deadline)
    }

    /// See [`GpuProcess::burnt`].
    pub fn burnt(&self) -> Option<u32> {
        self.process.as_ref().and_then(|(_, p)| p.burnt())
    }

    /// Its process id, while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(|(_, p)| p.pid())
    }
}
