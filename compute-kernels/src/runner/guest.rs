//! Runs jobs that bring their own code: each in a fresh process, confined, which ends with the job.
//!
//! It decides nothing about jobs. Invariants: what one job left in its process no other one meets; a job whose process
//! cannot be confined does not run.

use std::time::Duration;

use super::{Engine, GpuProcess, Patience, RunnerCommand, RunnerError};
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
    pub fn load<'a>(
        &mut self,
        job: &JobSpec,
        patience: impl Into<Patience<'a>>,
    ) -> Result<Shape, RunnerError> {
        let patience = patience.into();
        if let Some((current, process)) = &mut self.process
            && current == job
        {
            return process.load(job, patience);
        }
        self.process = None;
        let (command, engine) = (self.command.clone(), self.engine);
        let mut process = GpuProcess::spawn_engine(command, engine, patience)?;
        let shape = process.load(job, patience)?;
        self.process = Some((job.clone(), process));
        Ok(shape)
    }

    /// See [`super::Runner::run`].
    pub fn run<'a>(
        &mut self,
        tiles: &[u32],
        patience: impl Into<Patience<'a>>,
    ) -> Result<Vec<u8>, RunnerError> {
        let (_, process) = self.process.as_mut().ok_or(RunnerError::NotLoaded)?;
        process.run(tiles, patience)
    }

    /// See [`super::Runner::run_for`].
    pub fn run_for<'a>(
        &mut self,
        tiles: &[u32],
        span: Duration,
        patience: impl Into<Patience<'a>>,
    ) -> Result<Vec<u8>, RunnerError> {
        let (_, process) = self.process.as_mut().ok_or(RunnerError::NotLoaded)?;
        process.run_for(tiles, span, patience)
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
