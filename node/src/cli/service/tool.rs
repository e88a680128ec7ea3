//! A service manager's own command, run to its end.

use std::process::{Command, Stdio};

use crate::reason::Reason;

/// What it said, if it could be started.
pub struct Said {
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command without a terminal; `None` if there is no such program.
pub fn run(program: &str, args: &[&str]) -> Option<Said> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Some(Said {
        ok: output.status.success(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    })
}

/// Runs a command that has to succeed.
pub fn must(program: &str, args: &[&str]) -> Result<String, Reason> {
    let said = run(program, args).ok_or_else(|| absent(program))?;
    if said.ok {
        return Ok(said.stdout);
    }
    let words = if said.stderr.is_empty() {
        &said.stdout
    } else {
        &said.stderr
    };
    let what = format!("`{program} {}` failed: {words}", args.join(" "));
    let fix = "run it by hand; the manager's log says more. Nothing was changed";
    Err(Reason::new("service_failed", what, fix))
}

/// The manager's command is not there.
pub fn absent(program: &str) -> Reason {
    let what = format!("there is no `{program}` here, so nothing can start a service");
    let fix =
        "have whatever starts programs here run `starling up --quiet`, and end it with SIGTERM";
    Reason::new("no_service_manager", what, fix)
}
