//! `starling service`: the peer as a service of this user, so that the machine lends without a terminal.
//!
//! This file asks and tells; what each system's manager wants is in a file of its own, of which one is built. Only that
//! of Linux has been tried. Invariant: a service that cannot be installed whole leaves everything as it was.

// Tests are of Unix only; there the other systems' files are at least compiled.
#[cfg(any(target_os = "macos", test))]
#[cfg_attr(test, allow(dead_code, reason = "compiled to be checked"))]
mod launchd;
#[cfg(any(windows, test))]
#[cfg_attr(test, allow(dead_code, reason = "compiled to be checked"))]
mod logon;
#[cfg(target_os = "linux")]
mod systemd;
mod tool;
#[cfg(target_os = "linux")]
mod unit;

#[cfg(target_os = "macos")]
use launchd as manager;
#[cfg(windows)]
use logon as manager;
#[cfg(target_os = "linux")]
use systemd as manager;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use super::exit::{Exit, Failure, Outcome};
use super::text;
use crate::home::Home;
use crate::reason::Reason;

/// Have this machine lent without a terminal: a service of yours, started when you log in.
///
/// On Linux a systemd user unit. On macOS a LaunchAgent and on Windows a task at logon, which nobody has tried yet.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling service install
  starling service install --no-start      write it, to be looked at first
  starling service status
  starling service uninstall")]
pub struct Service {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Write the service, and start it now and with every login.
    #[command(after_help = "Examples:
  starling service install
  starling service install --home /data/starling --no-start")]
    Install {
        /// Write it only: start and enable nothing.
        #[arg(long)]
        no_start: bool,
        /// Also over one that was changed by hand.
        #[arg(long)]
        force: bool,
    },
    /// Stop the service and take it away; the home stays.
    #[command(after_help = "Examples:
  starling service uninstall")]
    Uninstall {
        /// Also one that was changed by hand.
        #[arg(long)]
        force: bool,
    },
    /// Say whether it is installed, enabled and running, and of which program and home.
    #[command(after_help = "Examples:
  starling service status
  starling service status --json")]
    Status,
}

/// What is to be run.
#[derive(Clone, Debug)]
struct Plan {
    /// This program.
    program: PathBuf,
    /// Its arguments.
    args: Vec<String>,
}

/// What stands there now.
#[derive(Debug, Default, Serialize)]
struct State {
    /// Where the service is written, or what it is called.
    path: String,
    installed: bool,
    /// Whether it is not as this program wrote it.
    changed: bool,
    /// Unknown where the manager does not answer.
    enabled: Option<bool>,
    running: Option<bool>,
    /// Since when it is in this state, unix time in s.
    since_s: Option<u64>,
    /// With what code it ended, if it is over.
    exit: Option<u8>,
    program: Option<String>,
    home: Option<String>,
    /// Whether the program is gone, or another one than this.
    program_moved: bool,
    /// Whether it goes on when its user logs out; unknown where nobody says.
    lingers: Option<bool>,
    /// Why the manager does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

impl Service {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self.command {
            Command::Install { no_start, force } => install(context, !no_start, force),
            Command::Uninstall { force } => {
                let removed = manager::uninstall(force)?;
                let out = context.console;
                if out.json {
                    out.json(&serde_json::json!({ "removed": removed }));
                } else if removed {
                    out.data("removed; the home with its key and results stays");
                } else {
                    out.data("no service is installed");
                }
                Ok(Exit::Ok)
            }
            Command::Status => {
                let state = manager::state();
                if context.console.json {
                    context.console.json(&state?);
                } else {
                    show(context, &state?);
                }
                Ok(Exit::Ok)
            }
        }
    }
}

fn install(context: &Context, start: bool, force: bool) -> Outcome {
    let place = context.place()?;
    // Settings that cannot be used would only be told in the manager's log.
    place.settings()?;
    let plan = plan(context, place.swarms.base().to_owned())?;
    if start && Home::is_open(&place.root) && manager::state()?.running != Some(true) {
        let what = format!("a peer already runs in {}", place.root.display());
        let fix = "stop it, and install again; or --no-start";
        return Err(Reason::new("home_in_use", what, fix).into());
    }
    manager::install(&plan, start, force)?;
    let state = manager::state()?;
    let out = context.console;
    if out.json {
        out.json(&state);
        return Ok(Exit::Ok);
    }
    out.data(format!("written  {}", state.path));
    if !start {
        out.note(manager::START);
        return Ok(Exit::Ok);
    }
    out.data("started  now, and with every login from now on");
    out.note(manager::MESSAGES);
    if state.lingers == Some(false) {
        out.note("it ends when you log out; `loginctl enable-linger` has it run from boot on, without a login");
    }
    Ok(Exit::Ok)
}

/// This program in this home, by names that do not depend on where a command is typed.
fn plan(context: &Context, base: PathBuf) -> Result<Plan, Failure> {
    let program = std::env::current_exe().and_then(std::fs::canonicalize);
    let program = program.map_err(|e| {
        let what = format!("cannot tell where this program lies: {e}");
        Reason::new("error", what, "start it again by its full path")
    })?;
    let base = std::path::absolute(&base).map_err(|e| Reason::of("error", e))?;
    let mut args = vec!["up".to_owned(), "--home".into(), plain(&base)?];
    if let Some(swarm) = &context.swarm {
        args.extend(["--swarm".into(), plain(swarm.as_ref())?]);
    }
    args.push("--quiet".into());
    plain(&program)?;
    Ok(Plan { program, args })
}

/// A path that can stand on a line of text.
fn plain(path: &std::path::Path) -> Result<String, Failure> {
    match path.to_str() {
        Some(text) if !text.contains(char::is_control) => Ok(text.to_owned()),
        _ => {
            let what = format!("{path:?} cannot be written into a service");
            let fix = "choose a path of plain characters";
            Err(Failure::new(Exit::Usage, what, fix))
        }
    }
}

fn show(context: &Context, state: &State) {
    let out = context.console;
    if !state.installed {
        out.data("not installed");
        out.note("`starling service install` does it");
        return;
    }
    let word = |known: Option<bool>, yes: &'static str, no: &'static str| match known {
        Some(true) => yes,
        Some(false) => no,
        None => "unknown",
    };
    let since = state.since_s.and_then(|s| {
        let at = UNIX_EPOCH + Duration::from_secs(s);
        SystemTime::now().duration_since(at).ok()
    });
    let since = since.map_or(String::new(), |t| format!(", for {}", text::duration(t)));
    let running = word(state.running, "yes", "no");
    out.data(format!("installed  {}", state.path));
    out.data(format!("enabled    {}", word(state.enabled, "yes", "no")));
    out.data(format!("running    {running}{since}"));
    let unknown = || "unknown".to_owned();
    let program = state.program.clone().unwrap_or_else(unknown);
    out.data(format!("program    {program}"));
    let home = state.home.clone().unwrap_or_else(unknown);
    out.data(format!("home       {home}"));
    if let Some(code) = state.exit.filter(|code| *code != 0) {
        let meaning = "`starling --help` says what that means";
        out.note(format!(
            "it ended with exit code {code} ({meaning}); {}",
            manager::MESSAGES
        ));
    }
    if state.program_moved {
        out.note("the program is gone from there, or is another one than this: `starling service install` writes this one down");
    }
    if state.changed {
        out.note(
            "it was changed by hand: `install` and `uninstall` leave it alone without --force",
        );
    }
    if state.lingers == Some(false) {
        out.note("it ends when you log out; `loginctl enable-linger` has it run from boot on");
    }
    if let Some(reason) = &state.reason {
        out.note(&reason.what);
    }
}

/// Whether a service's program is not this one any more.
fn moved(program: &str) -> bool {
    let there = std::fs::canonicalize(program);
    let here = std::env::current_exe().and_then(std::fs::canonicalize);
    match (there, here) {
        (Ok(there), Ok(here)) => there != here,
        (Err(_), _) => true,
        (Ok(_), Err(_)) => false,
    }
}

/// One that somebody else has written, or changed.
fn changed(path: &str) -> Reason {
    let what = format!("{path} was changed by hand, or is another program's");
    let fix =
        "keep your changes elsewhere (`systemctl --user edit starling`), or lose them with --force";
    Reason::new("service_changed", what, fix).with("path", path)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod manager {
    use super::{Plan, Reason, State};

    pub const START: &str = "";
    pub const MESSAGES: &str = "";

    fn none() -> Reason {
        let what = "this program knows no service manager of this system";
        Reason::new(
            "no_service_manager",
            what,
            "have your system start `starling up`",
        )
    }

    pub fn install(_: &Plan, _: bool, _: bool) -> Result<(), Reason> {
        Err(none())
    }

    pub fn uninstall(_: bool) -> Result<bool, Reason> {
        Err(none())
    }

    pub fn state() -> Result<State, Reason> {
        Err(none())
    }
}
