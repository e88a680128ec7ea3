//! `sweep`: all cells of an experiment with all its seeds.

use super::{End, interruptible, print};
use indicatif::{ProgressBar, ProgressStyle};
use starling_sim::experiment::Study;
use starling_sim::results::{Folder, Row, export, summarise};
use starling_sim::study::{self, Watch};
use std::path::PathBuf;
use std::sync::Mutex;

/// Run every cell of an experiment with every seed, several at a time; what is finished is skipped
#[derive(clap::Args)]
pub struct Args {
    /// A TOML file with a [[sweep]], or without: then one cell and many seeds
    experiment: PathBuf,
    /// Where results go, and finished ones are looked for
    #[arg(long)]
    out: PathBuf,
    /// So many seeds instead of the file's
    #[arg(long)]
    seeds: Option<u32>,
    /// Runs at a time; by default one a core
    #[arg(long)]
    jobs: Option<usize>,
    /// Throw away what another experiment has left in the folder
    #[arg(long)]
    force: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> super::Result {
    let mut study = Study::load(&args.experiment)?;
    if let Some(seeds) = args.seeds {
        study.seeds.count = seeds;
        study.seeds.most = study.seeds.most.max(seeds);
    }
    let folder = Folder::open_or_create(&args.out, &super::run::plan(&study), args.force)?;
    if let Some(jobs) = args.jobs {
        rayon::ThreadPoolBuilder::new()
            .num_threads(jobs)
            .build_global()?;
    }
    let stop = interruptible()?;
    let watch = Bar::new();
    let complete = study::run(&study, &folder, &watch, &stop)?;
    watch.bar.finish_and_clear();
    let rows = folder.rows()?;
    if !rows.is_empty() {
        export(&folder)?;
    }
    let dir = args.out.display();
    let summaries = summarise(&folder.about().metrics, &rows);
    if args.json {
        print(&serde_json::to_string_pretty(&summaries)?)?;
    } else {
        print(&format!(
            "{} runs of {} cells; {dir}/report.html shows them",
            rows.len(),
            study.cells.len()
        ))?;
    }
    let violated = rows.iter().filter(|r| !r.violations.is_empty());
    for row in violated.clone() {
        eprintln!(
            "violation in cell {}, seed {}: {}",
            row.cell, row.seed, row.violations[0]
        );
        eprintln!(
            "repeat it with: starling-sim replay {dir} --cell {} --seed {}",
            row.cell, row.seed
        );
    }
    if !complete {
        eprintln!("interrupted; the same command goes on where this one stopped");
        return Ok(End::Interrupted);
    }
    Ok(End::good_if(violated.count() == 0))
}

/// Progress on stderr, with the time left.
struct Bar {
    bar: ProgressBar,
    violations: Mutex<u32>,
}

impl Bar {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            bar: ProgressBar::new(0).with_style(style),
            violations: Mutex::new(0),
        }
    }
}

impl Watch for Bar {
    fn planned(&self, runs: usize, finished: usize) {
        self.bar.set_length(runs as u64);
        self.bar.set_position(finished as u64);
        self.bar.reset_eta();
    }

    fn finished(&self, row: &Row) {
        if !row.violations.is_empty()
            && let Ok(mut violations) = self.violations.lock()
        {
            *violations += 1;
            self.bar
                .set_message(format!("({violations} with violations)"));
        }
        self.bar.inc(1);
    }
}
