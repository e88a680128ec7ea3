//! `starling-sim`: runs one scenario and says how it went. Data on stdout, errors on stderr.
//! Exit codes: 0 the job is done and every checker is content, 1 not so or an error, 2 wrong usage.

use clap::{Parser, Subcommand};
use starling_sim::{Experiment, Report, run};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// The Starling protocol under virtual time.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a scenario: the same scenario and seed give the same run, event for event.
    Run {
        /// A TOML file, such as scenarios/one_job.toml.
        scenario: PathBuf,
        /// Determines all randomness.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Write scenario.toml, seed, report.json and trace.txt into this folder.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
        /// Print every message instead of the report.
        #[arg(long, conflicts_with = "json")]
        trace: bool,
    },
}

fn main() -> ExitCode {
    let Command::Run {
        scenario,
        seed,
        out,
        json,
        trace,
    } = Cli::parse().command;
    match simulate(&scenario, seed, out.as_deref(), json, trace) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the run was good.
fn simulate(
    path: &Path,
    seed: u64,
    out: Option<&Path>,
    json: bool,
    trace: bool,
) -> Result<bool, Box<dyn std::error::Error>> {
    let scenario = Experiment::load(path)?;
    let begun = Instant::now();
    let done = run(&scenario, seed, trace || out.is_some())?;
    let wall_s = begun.elapsed().as_secs_f64();
    let report_json = serde_json::to_string_pretty(&done.report)?;
    if let Some(out) = out {
        let write = |name: &str, text: &str| {
            fs::write(out.join(name), text)
                .map_err(|e| format!("cannot write {}: {e}", out.join(name).display()))
        };
        fs::create_dir_all(out).map_err(|e| format!("cannot create {}: {e}", out.display()))?;
        write("scenario.toml", &scenario.to_toml())?;
        write("seed", &format!("{seed}\n"))?;
        write("report.json", &report_json)?;
        write("trace.txt", done.trace.as_deref().unwrap_or_default())?;
    }
    let text = match done.trace {
        Some(text) if trace => text,
        Some(_) | None if json => report_json,
        Some(_) | None => describe(&done.report, wall_s),
    };
    // Whoever reads may stop reading: that is an error to return, not a panic.
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
    for violation in &done.report.violations {
        eprintln!("violation: {violation}");
    }
    if !done.report.is_good() {
        eprintln!(
            "repeat it with: starling-sim run {} --seed {seed}",
            path.display()
        );
    }
    Ok(done.report.is_good())
}

fn describe(r: &Report, wall_s: f64) -> String {
    let list = |of: &std::collections::BTreeMap<&'static str, u32>| {
        let all: Vec<_> = of
            .iter()
            .map(|(reason, n)| format!("{n} {reason}"))
            .collect();
        if all.is_empty() {
            "none".into()
        } else {
            all.join(", ")
        }
    };
    let figure =
        |value: Option<f64>, unit: &str| value.map_or("-".into(), |v| format!("{v:.2} {unit}"));
    let (messages, kib) = (r.messages_per_slice, r.bytes_per_slice / 1024.0);
    let weak = r.flags;
    let lines = [
        format!(
            "jobs          {} of {} done, {} of {} slices, in {} (median)",
            r.jobs_done,
            r.jobs,
            r.slices_done,
            r.slices,
            figure(r.job_s.p50, "s")
        ),
        format!("failed        {}", list(&r.jobs_failed)),
        format!(
            "first work    after {} (median), {} (95 %)",
            figure(r.placement_ms.p50, "ms"),
            figure(r.placement_ms.p95, "ms")
        ),
        format!(
            "receipts      {} verified, {} reached their workers",
            r.receipts, r.earned
        ),
        format!(
            "weaknesses    {} weak, {} missing a nonce, {} self-checked, {} not stored",
            weak.weak, weak.missing_nonce, weak.self_checked, weak.not_stored
        ),
        format!(
            "adversaries   {} of {} caught, {} false accusations",
            r.adversaries_caught, r.adversaries, r.false_accusations
        ),
        format!("re-leases     {}", list(&r.re_leases)),
        format!("audit share   {:.1} % of the tiles", r.audit_share * 100.0),
        format!(
            "messages      {messages:.0} and {kib:.0} KiB per slice, {} lost",
            r.messages_lost
        ),
        format!(
            "traffic       {:.0} bytes/s sent by a peer, gossip included",
            r.traffic_bytes_per_s
        ),
        format!(
            "events        {} in {wall_s:.2} s: {:.1} virtual s, {:.1} x real time",
            r.events,
            r.virtual_s,
            r.virtual_s / wall_s
        ),
        format!("trace hash    {}", r.trace_hash),
    ];
    lines.join("\n")
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
