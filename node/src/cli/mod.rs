//! The command line: one command, one file. stdout is data, stderr is progress, exit codes are in [`exit`].
//!
//! Nothing here decides anything about the protocol: commands turn arguments into options, submissions and files, and
//! show what happens. Only this module reports through `miette`.

mod bench;
mod checks;
mod completions;
mod config;
pub mod console;
mod dash;
mod demo;
mod dev;
mod doctor;
pub mod exit;
pub mod interrupt;
mod job;
mod lend;
mod man;
mod net;
mod node_options;
mod owner;
mod peers;
mod place;
mod proof;
mod run;
mod service;
mod session;
mod shader;
mod swarm;
mod text;
mod token;
mod top;
mod up;
mod version;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::home::config::Overrides;
use crate::recent::Recent;
use console::{Colour, Console};
use exit::{Exit, Failure, Outcome};
use place::Place;

/// A swarm of peers that lend each other GPU time.
///
/// Lend this machine with `starling up`; use the swarm with `starling run`. Every piece of work is recomputed in
/// random samples by other peers and leaves a receipt that `starling proof verify` checks offline.
#[derive(Parser, Debug)]
#[command(
    name = "starling",
    version,
    propagate_version = true,
    subcommand_required = true
)]
#[command(after_help = "Examples:
  starling demo                                   watch a swarm on this machine
  starling up                                     lend this machine to its own private swarm
  starling run render bundled -o teapots.png      render the bundled scene with whoever is there
  starling run fractal -o set.png --local         compute here alone
  starling shader new squares                     start a compute shader of your own
  starling proof verify receipts/*.popw           check receipts, offline
  starling service install                        lend this machine without a terminal
  starling doctor                                 what is wrong here, and how to fix it

Exit codes: 0 ok, 1 error, 2 usage, 3 no peer runs here, 4 not allowed, 5 job failed,
6 no eligible peer, 7 timeout, 8 doctor has findings, 130 interrupted.")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args, Debug)]
struct Global {
    /// Folder of this peer's key, settings, log and results [default: the user's data folder].
    #[arg(
        long,
        global = true,
        env = "STARLING_HOME",
        value_name = "DIR",
        hide_env_values = true
    )]
    home: Option<PathBuf>,
    /// One of this machine's swarms for this command, instead of the current one.
    #[arg(long, global = true, value_name = "NAME")]
    swarm: Option<String>,
    /// One JSON object on stdout instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// A setting for this command only, above variables and file; again for more.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = config::assignment)]
    set: Vec<(String, String)>,
    /// More of what goes on, on stderr; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// No progress, only results and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// When to colour; NO_COLOR is respected.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        alias = "colour"
    )]
    color: Colour,
}

#[derive(Subcommand, Debug)]
enum Command {
    Demo(demo::Demo),
    Up(up::Up),
    Dash(dash::Dash),
    Run(run::Run),
    Job(job::Job),
    Shader(shader::Shader),
    Top(top::Top),
    Lend(lend::Lend),
    Peers(peers::Peers),
    Net(net::Net),
    Proof(proof::Proof),
    Swarm(swarm::Swarm),
    Bench(bench::Bench),
    Dev(dev::Dev),
    Doctor(doctor::Doctor),
    Service(service::Service),
    Config(config::Config),
    Token(token::Token),
    Completions(completions::Completions),
    Man(man::Man),
    Version(version::Version),
    /// Holds a device for its parent process.
    #[command(name = "__runner", hide = true)]
    Runner {
        /// Gives up all that a shader's driver does not need, before anything else
        #[arg(long)]
        confined: bool,
    },
}

/// What every command is given.
struct Context {
    console: Console,
    home: Option<PathBuf>,
    swarm: Option<String>,
    set: Vec<(String, String)>,
    verbose: u8,
}

impl Context {
    fn place(&self) -> Result<Place, Failure> {
        let overrides = Overrides::of_process(self.set.clone());
        Place::locate(self.home.as_deref(), self.swarm.as_deref(), overrides)
    }
}

/// Parses the process's arguments and runs the command.
pub fn main() -> ExitCode {
    main_of(std::env::args_os())
}

/// Parses arguments, the program's name first, and runs the command.
pub fn main_of(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        // Help and version are no errors, and go to stdout.
        Err(error) => {
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            let _ = error.print();
            return ExitCode::from(code as u8);
        }
    };
    if let Command::Runner { confined } = cli.command {
        let (input, output) = (std::io::stdin(), std::io::stdout());
        return starling_kernels::runner::child::serve(input, output, confined);
    }
    let console = Console::new(cli.global.json, cli.global.quiet, cli.global.color);
    let context = Context {
        console,
        home: cli.global.home,
        swarm: cli.global.swarm,
        set: cli.global.set,
        verbose: cli.global.verbose,
    };
    start_log(&context);
    match dispatch(&context, cli.command) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            console.failure(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn dispatch(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Job(args) => interrupt::block_on(|interrupt| args.run(context, interrupt)),
        Command::Proof(args) => args.run(context),
        Command::Shader(args) => args.run(context),
        Command::Doctor(args) => args.run(context),
        Command::Service(args) => args.run(context),
        Command::Config(args) => args.run(context),
        Command::Token(args) => args.run(context),
        Command::Completions(args) => args.run(),
        Command::Man(args) => args.run(context),
        Command::Version(args) => args.run(context),
        Command::Demo(args) => interrupt::block_on(|interrupt| args.run(context, interrupt)),
        Command::Bench(args) => interrupt::block_on(|interrupt| args.run(context, interrupt)),
        Command::Dev(args) => interrupt::block_on(|interrupt| args.run(context, interrupt)),
        Command::Up(args) => interrupt::block_on(|interrupt| args.run(context, interrupt)),
        Command::Run(args) => interrupt::block_on(|interrupt| args.run(context, interrupt)),
        Command::Swarm(args) => interrupt::block_on(|interrupt| args.run(context, interrupt)),
        Command::Dash(args) => interrupt::block_on(|_| args.run(context)),
        Command::Top(args) => interrupt::block_on(|interrupt| args.run(context, interrupt)),
        Command::Lend(args) => interrupt::block_on(|_| args.run(context)),
        Command::Peers(args) => interrupt::block_on(|interrupt| args.run(context, interrupt)),
        Command::Net(args) => interrupt::block_on(|interrupt| args.run(context, interrupt)),
        Command::Runner { .. } => Err(Failure::new(
            Exit::Usage,
            "the device process is started by a peer, not by hand",
            Cli::command().render_usage().to_string(),
        )),
    }
}

/// Libraries' messages, on stderr. `STARLING_LOG` takes a filter: levels, each after its part of the program if it is
/// not for all, as in "warn,starling=debug".
fn start_log(context: &Context) {
    let level = match context.verbose {
        _ if context.console.quiet => "error".into(),
        0 => {
            // Settings with a mistake are told by the command that needs them.
            let settings = context.place().and_then(|place| place.settings());
            let level = settings.unwrap_or_default().config.log.as_str();
            format!("{level},{}", crate::net::LOG_FILTER)
        }
        1 => "warn,starling=debug".into(),
        _ => "debug".into(),
    };
    let asked = std::env::var("STARLING_LOG").ok();
    let asked = asked.and_then(|filter| filter.parse::<Targets>().ok());
    let usual = || level.parse().unwrap_or_default();
    // A second subscriber in one process is a test's affair; the first stays.
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(context.console.colour)
        .with_filter(asked.unwrap_or_else(usual));
    let recent = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("starling", LevelFilter::INFO);
    let recent = Recent.with_filter(recent);
    let _ = tracing_subscriber::registry()
        .with(stderr)
        .with(recent)
        .try_init();
}
