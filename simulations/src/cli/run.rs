//! `run`: one experiment with one seed.

use super::{End, describe, interruptible, print};
use starling_sim::experiment::Study;
use starling_sim::metrics;
use starling_sim::results::{Folder, Plan, export};
use starling_sim::run::{RunError, run_until};
use std::path::PathBuf;
use std::time::Instant;

/// Run an experiment with one seed
#[derive(clap::Args)]
pub struct Args {
    /// A TOML file, such as simulations/scenarios/one_job.toml
    experiment: PathBuf,
    /// Determines all randomness
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Which cell of a sweep
    #[arg(long, default_value_t = 0)]
    cell: u32,
    /// Keep the results in this folder: experiment, seed, tables, plots and report.html
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Print every message instead of the report
    #[arg(long, conflicts_with = "json")]
    trace: bool,
}

pub fn run(args: &Args) -> super::Result {
    let mut study = Study::load(&args.experiment)?;
    let cells = study.cells.len();
    if cells > 1 {
        eprintln!(
            "note: this is cell {} of {cells}; `starling-sim sweep` runs them all",
            args.cell
        );
    }
    study.cells.retain(|c| c.number == args.cell);
    let Some(cell) = study.cells.first() else {
        return Err(format!("there is no cell {}: the experiment has {cells}", args.cell).into());
    };
    if cell.experiment.population.light {
        // They have no jobs, receipts or messages: their report is another one, and always JSON.
        if args.out.is_some() || args.trace {
            return Err(
                "light peers keep no results and say no messages: leave --out and --trace".into(),
            );
        }
        let report = starling_sim::light::run(&cell.experiment, args.seed)?;
        print(&serde_json::to_string_pretty(&report)?)?;
        return Ok(End::Good);
    }
    // Before the run, not after it: a folder that cannot be used is told at once.
    let folder = match &args.out {
        Some(dir) => Some(Folder::open_or_create(dir, &plan(&study), false)?),
        None => None,
    };
    let stop = interruptible()?;
    let begun = Instant::now();
    let done = match run_until(&cell.experiment, args.seed, args.trace, &stop) {
        Err(RunError::Interrupted) => return Ok(End::Interrupted),
        done => done?,
    };
    let wall_s = begun.elapsed().as_secs_f64();
    if let Some(folder) = folder {
        let row = metrics::row(cell.number, &cell.params, &done.report);
        folder.put(&row, &done.samples)?;
        export(&folder)?;
    }
    let text = match done.trace {
        Some(text) => text,
        None if args.json => serde_json::to_string_pretty(&done.report)?,
        None => describe(&done.report, wall_s),
    };
    print(&text)?;
    for violation in &done.report.violations {
        eprintln!("violation: {violation}");
    }
    let good = done.report.is_good();
    if !good {
        let cell = if cells > 1 {
            format!(" --cell {}", args.cell)
        } else {
            String::new()
        };
        let path = args.experiment.display();
        eprintln!(
            "repeat it with: starling-sim run {path}{cell} --seed {}",
            args.seed
        );
    }
    Ok(End::good_if(good))
}

/// What a results folder is told of a study.
pub fn plan(study: &Study) -> Plan {
    Plan {
        experiment: study.text.clone(),
        command: std::env::args().collect(),
        metrics: metrics::all(),
        swept: study.swept.clone(),
        stop: study.seeds.stop.clone(),
        distributions: metrics::distributions(),
    }
}
