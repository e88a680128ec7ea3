//! Runs the cells of a study, several at a time, and keeps every finished one.
//!
//! One thread runs one (cell, seed). The order in which they finish changes nothing: each is a file of its own. What is
//! finished is skipped, so that a study that was interrupted goes on where it was.

use crate::experiment::{Cell, ExperimentError, Study};
use crate::metrics;
use crate::results::{Folder, ResultsError, Row, Stop, summarise};
use crate::run::{RunError, run_until};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

/// Why a study stopped.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The experiment cannot be run.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// A result cannot be kept.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// A run came to nothing.
    #[error("cell {cell}, seed {seed}: {error}")]
    Run {
        /// Which cell.
        cell: u32,
        /// Which seed.
        seed: u64,
        /// Why.
        error: RunError,
    },
}

/// Who hears how far a study is.
pub trait Watch: Sync {
    /// There are so many runs in all, of which so many were finished before.
    fn planned(&self, runs: usize, finished: usize);
    /// One more is finished.
    fn finished(&self, row: &Row);
}

/// Runs what is missing in `folder`. False when it was asked to stop.
///
/// # Errors
/// [`StudyError`]; what was finished by then is kept.
pub fn run(
    study: &Study,
    folder: &Folder,
    watch: &dyn Watch,
    stop: &AtomicBool,
) -> Result<bool, StudyError> {
    let mut wanted = study.seeds.count;
    loop {
        let finished = folder.finished()?;
        let todo = missing(study, folder, wanted, &finished)?;
        watch.planned(finished.len() + todo.len(), finished.len());
        todo.par_iter()
            .try_for_each(|(cell, seed)| one(cell, *seed, folder, watch, stop))?;
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if wanted >= study.seeds.most || study.seeds.stop.is_empty() {
            return Ok(true);
        }
        // The stop rule looks again after half as many more, also where those before were finished by another run.
        wanted = (wanted + wanted.div_ceil(2)).min(study.seeds.most);
    }
}

fn one(
    cell: &Cell,
    seed: u64,
    folder: &Folder,
    watch: &dyn Watch,
    stop: &AtomicBool,
) -> Result<(), StudyError> {
    if stop.load(Ordering::Relaxed) {
        return Ok(());
    }
    let done = match run_until(&cell.experiment, seed, false, stop) {
        Ok(done) => done,
        Err(RunError::Interrupted) => return Ok(()),
        Err(error) => {
            let cell = cell.number;
            return Err(StudyError::Run { cell, seed, error });
        }
    };
    let row = metrics::row(cell.number, &cell.params, &done.report);
    folder.put(&row, &done.samples)?;
    watch.finished(&row);
    Ok(())
}

/// Runs of up to `wanted` seeds a cell that are neither finished nor superfluous.
fn missing<'a>(
    study: &'a Study,
    folder: &Folder,
    wanted: u32,
    finished: &BTreeSet<(u32, u64)>,
) -> Result<Vec<(&'a Cell, u64)>, StudyError> {
    let settled = if study.seeds.stop.is_empty() {
        BTreeSet::new()
    } else {
        settled(study, &folder.rows()?)
    };
    let mut todo = Vec::new();
    // Seed by seed, so that a study that is interrupted knows a little of every cell.
    for nth in 0..wanted {
        for cell in &study.cells {
            let seed = study.seeds.first + u64::from(nth);
            let beyond = nth >= study.seeds.count;
            let enough = beyond && (study.seeds.stop.is_empty() || settled.contains(&cell.number));
            if !enough && !finished.contains(&(cell.number, seed)) {
                todo.push((cell, seed));
            }
        }
    }
    Ok(todo)
}

/// Cells whose intervals are narrow enough.
fn settled(study: &Study, rows: &[Row]) -> BTreeSet<u32> {
    let described = metrics::all();
    let deciding: Vec<_> = described
        .into_iter()
        .filter(|m| study.seeds.stop.contains(&m.name))
        .collect();
    let mut met: BTreeMap<u32, bool> = BTreeMap::new();
    for summary in summarise(&deciding, rows) {
        if study.seeds.stop.contains(&summary.metric) {
            let enough = summary.stop != Stop::NotMet;
            *met.entry(summary.cell).or_insert(true) &= enough;
        }
    }
    met.into_iter()
        .filter(|(_, met)| *met)
        .map(|(cell, _)| cell)
        .collect()
}
