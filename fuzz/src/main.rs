//! Drives fuzz targets for a while: inputs are replayed from `corpus`, made from seeds, mutated, and kept when their
//! outcome is new. A finding is written to `fuzz/findings/<target>/`, shrunk, and ends the run with status 1.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use starling_fuzz::mutate::{below, mutate};
use starling_fuzz::{TARGETS, Target, target};

/// Inputs with outcomes of their own that are kept for a target; the rest of them only count.
const POOL: usize = 2_048;
/// Inputs that `--keep` keeps for a target, and the longest of them.
const KEPT: usize = 24;
/// See [`KEPT`].
const KEPT_LEN: usize = 1024;
/// An input that takes longer is a finding too.
const SLOW: Duration = Duration::from_secs(10);

#[derive(Parser)]
#[command(about = "Fuzz everything that takes bytes from strangers, on a stable compiler")]
struct Args {
    /// Targets; all of them if none is named.
    targets: Vec<String>,
    /// Seconds for each.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// What the mutations are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run these files instead, once.
    #[arg(long)]
    replay: Vec<PathBuf>,
    /// Afterwards, keep the shortest inputs of new outcomes in `corpus`.
    #[arg(long)]
    keep: bool,
    /// Print the targets' names.
    #[arg(long)]
    list: bool,
    /// Write every target's first inputs below this folder, for another driver.
    #[arg(long)]
    write_seeds: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        TARGETS.iter().for_each(|t| println!("{}", t.name));
        return ExitCode::SUCCESS;
    }
    let named = args.targets.iter().map(|name| target(name).ok_or(name));
    let targets: Vec<&Target> = match named.collect::<Result<_, _>>() {
        Ok(targets) => targets,
        Err(name) => {
            let names = TARGETS
                .map(|t| format!("  {:<9} {}", t.name, t.about))
                .join("\n");
            eprintln!("there is no target {name:?}; the targets are\n{names}");
            return ExitCode::from(2);
        }
    };
    let targets = if targets.is_empty() {
        TARGETS.iter().collect()
    } else {
        targets
    };
    if let Some(folder) = &args.write_seeds {
        for target in targets {
            let inputs = first_inputs(target);
            keep(&folder.join(target.name), inputs.iter()).expect("seeds can be written");
        }
        return ExitCode::SUCCESS;
    }
    let mut clean = true;
    for target in targets {
        clean &= match args.replay.is_empty() {
            true => fuzz(target, &args),
            false => args.replay.iter().all(|file| {
                fails(target, &std::fs::read(file).expect("a readable file")).is_none()
            }),
        };
    }
    if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn folder(of: &str, target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(of)
        .join(target.name)
}

fn keep<'a>(folder: &Path, inputs: impl Iterator<Item = &'a Vec<u8>>) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for input in inputs {
        std::fs::write(folder.join(name_of(input)), input)?;
    }
    Ok(())
}

fn name_of(input: &[u8]) -> String {
    blake3::hash(input).to_hex()[..16].to_owned()
}

/// The kept corpus, then the seeds.
fn first_inputs(target: &Target) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(folder("corpus", target))
        .into_iter()
        .flatten()
        .flatten();
    let mut paths: Vec<_> = files.map(|f| f.path()).collect();
    paths.sort();
    let kept = paths.iter().filter_map(|p| std::fs::read(p).ok());
    kept.chain((target.seeds)()).chain([Vec::new()]).collect()
}

/// Whether and how an input fails.
fn fails(target: &Target, input: &[u8]) -> Option<String> {
    let start = Instant::now();
    let run = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    match run {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Some(text.unwrap_or_else(|| "a panic".into()))
        }
        Ok(_) if start.elapsed() > SLOW => Some(format!("took {:?}", start.elapsed())),
        Ok(_) => None,
    }
}

fn fuzz(target: &Target, args: &Args) -> bool {
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let time = Duration::from_secs(args.seconds);
    let (start, mut runs) = (Instant::now(), 0_u64);
    let (mut outcomes, mut pool) = (BTreeSet::new(), Vec::new());
    let mut waiting = first_inputs(target);
    waiting.reverse();
    let mut longest = Duration::ZERO;
    loop {
        let input = match waiting.pop() {
            Some(input) => input,
            None if start.elapsed() >= time => break,
            None => {
                let pick = |rng: &mut ChaCha8Rng| below(rng, pool.len());
                let mut input: Vec<u8> = Vec::clone(&pool[pick(&mut rng)]);
                let other: &Vec<u8> = &pool[pick(&mut rng)];
                mutate(&mut rng, &mut input, other);
                input
            }
        };
        let began = Instant::now();
        let run = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        longest = longest.max(began.elapsed());
        runs += 1;
        match run {
            Ok(outcome) if began.elapsed() <= SLOW => {
                if outcomes.insert(outcome) && pool.len() < POOL {
                    pool.push(input);
                }
            }
            _ => {
                let input = shrink(target, input);
                let folder = folder("findings", target);
                let file = folder.join(name_of(&input));
                std::fs::create_dir_all(&folder).expect("the finding can be kept");
                std::fs::write(&file, &input).expect("the finding can be kept");
                let how = fails(target, &input).unwrap_or_default();
                println!("{}: FINDING after {runs} runs: {how}", target.name);
                println!(
                    "  again: cargo run -p starling-fuzz -- {} --replay {}",
                    target.name,
                    file.display()
                );
                return false;
            }
        }
    }
    if args.keep {
        pool.sort_by_key(|input| (input.len(), input.clone()));
        let short = pool.iter().filter(|input| input.len() <= KEPT_LEN);
        keep(&folder("corpus", target), short.take(KEPT)).expect("the corpus can be written");
    }
    let per_s = runs as f64 / start.elapsed().as_secs_f64();
    println!(
        "{:<9} {runs:>9} runs, {per_s:>8.0}/s, {:>5} kinds of outcome, longest {:>5} ms: no finding",
        target.name,
        outcomes.len(),
        longest.as_millis(),
    );
    true
}

/// A shorter input that still fails, as far as half a minute goes.
fn shrink(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let end = Instant::now() + Duration::from_secs(30);
    let mut piece = input.len() / 2;
    while piece > 0 && Instant::now() < end {
        let mut at = 0;
        while at < input.len() && Instant::now() < end {
            let mut shorter = input.clone();
            shorter.drain(at..(at + piece).min(input.len()));
            if fails(target, &shorter).is_some() {
                input = shorter;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    input
}
