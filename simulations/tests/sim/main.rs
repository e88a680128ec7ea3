//! Whole runs under virtual time: what must hold in them, and that the same seed repeats them.

mod checkers;
mod command;
mod experiments;
mod forge;
mod jobs;
mod profit;
mod proofs;
mod shell;
mod small_swarms;
mod story;
mod trust;

use starling_sim::{Experiment, Report, run};
use std::path::PathBuf;

fn shipped(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("scenarios")
        .join(name)
}

/// Runs `scenario`; a run that is not good panics with the command that repeats it.
fn good_run(name: &str, experiment: &Experiment, seed: u64) -> Report {
    experiment.check().expect("the experiment is in range");
    let report = run(experiment, seed, false)
        .expect("virtual time moves")
        .report;
    assert!(
        report.is_good(),
        "repeat it with `starling-sim run {name} --seed {seed}` on\n{}\n{report:#?}",
        experiment.to_toml()
    );
    report
}
