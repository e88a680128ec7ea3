//! `replay`: one run of a results folder again, to see that it is the same, or to read its messages.

use super::{End, describe, interruptible, print};
use starling_sim::experiment::Study;
use starling_sim::results::Folder;
use starling_sim::run::{RunError, run_until};
use std::path::PathBuf;
use std::time::Instant;

/// Run one finished run of a results folder again, event for event
#[derive(clap::Args)]
pub struct Args {
    /// The results folder
    folder: PathBuf,
    /// Which cell
    #[arg(long)]
    cell: u32,
    /// Which seed
    #[arg(long)]
    seed: u64,
    /// Print every message
    #[arg(long)]
    trace: bool,
}

pub fn run(args: &Args) -> super::Result {
    let folder = Folder::open(&args.folder)?;
    let study = Study::parse(&folder.experiment()?, &args.folder.join("experiment.toml"))?;
    let before = folder.get(args.cell, args.seed)?;
    let cell = study.cells.iter().find(|c| c.number == args.cell);
    let cell = cell.ok_or_else(|| format!("the experiment has no cell {}", args.cell))?;
    let stop = interruptible()?;
    let begun = Instant::now();
    let again = match run_until(&cell.experiment, args.seed, args.trace, &stop) {
        Err(RunError::Interrupted) => return Ok(End::Interrupted),
        again => again?,
    };
    let report = &again.report;
    match &again.trace {
        Some(trace) => print(trace)?,
        None => print(&describe(report, begun.elapsed().as_secs_f64()))?,
    }
    for violation in &report.violations {
        eprintln!("violation: {violation}");
    }
    let same = report.trace_hash == before.row.trace_hash;
    if same {
        eprintln!("the same run: trace hash {}", report.trace_hash);
    } else {
        let (then, now) = (&before.row.trace_hash, &report.trace_hash);
        eprintln!(
            "ANOTHER run: trace hash {now}, but {then} at commit {}",
            before.commit
        );
    }
    Ok(End::good_if(same && report.violations.is_empty()))
}
