//! The `starling-adversary` binary: misbehaving peers, and experiments with them.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use starling::cli::console::{Colour, Console};
use starling::cli::exit::{Exit, Outcome};
use starling::cli::interrupt::{Interrupt, block_on};
use starling_adversary_node::{catalogue, detect, flood, peer, swarm};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Misbehave among real Starling peers, to see that they stand it.
#[derive(Parser, Debug)]
#[command(name = "starling-adversary", version, subcommand_required = true)]
struct Cli {
    /// One JSON object on stdout instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// No progress, only results and errors.
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Up(Box<peer::Up>),
    Swarm(swarm::Swarm),
    Detect(detect::Detect),
    Flood(flood::Flood),
    /// List the strategies, as a command line takes them.
    Strategies,
    /// The command line of `starling` itself, linked into this program: honest peers without another binary.
    #[command(disable_help_flag = true)]
    Starling {
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    // Before this program's own options can take any of its arguments.
    if args.next().is_some_and(|first| first == "starling") {
        return starling::cli::main_of([OsString::from("starling")].into_iter().chain(args));
    }
    let cli = Cli::parse();
    if let Command::Starling { args } = cli.command {
        // Options of this program's own came first: they mean the same there.
        let own = [(cli.json, "--json"), (cli.quiet, "--quiet")];
        let own = own.into_iter().filter_map(|(is, name)| is.then_some(name));
        let all = ["starling"].into_iter().chain(own).map(OsString::from);
        return starling::cli::main_of(all.chain(args));
    }
    let console = Console::new(cli.json, cli.quiet, Colour::Auto);
    log();
    let outcome = block_on(|interrupt| run(cli.command, console, interrupt));
    match outcome {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            console.failure(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

async fn run(command: Command, console: Console, interrupt: Interrupt) -> Outcome {
    match command {
        // It says goodbye first.
        Command::Up(up) => up.run(interrupt.clone(), console).await,
        Command::Swarm(swarm) => stop_on(&interrupt, swarm.run(&console)).await,
        Command::Detect(detect) => stop_on(&interrupt, detect.run(&console)).await,
        Command::Flood(flood) => stop_on(&interrupt, flood.run(&console)).await,
        Command::Strategies => {
            for (strategy, what) in catalogue::CATALOGUE {
                console.data(format!("{strategy:<66} {what}"));
            }
            Ok(Exit::Ok)
        }
        // Taken before.
        Command::Starling { .. } => Ok(Exit::Usage),
    }
}

/// An experiment that is dropped takes its processes along.
async fn stop_on(interrupt: &Interrupt, experiment: impl Future<Output = Outcome>) -> Outcome {
    tokio::select! {
        outcome = experiment => outcome,
        _ = interrupt.signalled() => Ok(Exit::Interrupted),
    }
}

/// Messages of the libraries, on stderr. `STARLING_LOG` takes a filter as that of `starling` does.
fn log() {
    let asked = std::env::var("STARLING_LOG").ok();
    let asked = asked.and_then(|filter| filter.parse::<Targets>().ok());
    let usual = || format!("warn,{}", starling::net::LOG_FILTER).parse();
    let filter = asked.unwrap_or_else(|| usual().unwrap_or_default());
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_filter(filter);
    // The first subscriber of a process stays.
    let _ = tracing_subscriber::registry().with(stderr).try_init();
}
