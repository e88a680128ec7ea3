//! The two streams: data on stdout, everything for people on stderr.
//!
//! Knows whether a person is looking (a terminal, colours, `--quiet`, `--json`) so that no command has to.
//! Invariant: a reader that closes its end stops the program quietly, never with a panic.

use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde::Serialize;
use serde_json::json;

use super::exit::Failure;

/// Version of every JSON object on stdout. Fields may be added under one version, never changed or taken away.
pub const SCHEMA: u32 = 1;

/// Bytes of data on stdout.
pub fn write_out(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes);
    if let Err(e) = written.and_then(|()| out.flush())
        && e.kind() == ErrorKind::BrokenPipe
    {
        // The reader has seen enough: end like any filter does.
        std::process::exit(0);
    }
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where output goes and how it looks.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// One JSON object instead of text.
    pub json: bool,
    /// No progress.
    pub quiet: bool,
    /// Whether stderr is looked at by a person.
    pub terminal: bool,
    /// Whether stderr may carry colours.
    pub colour: bool,
}

impl Console {
    /// From the global options and the environment.
    pub fn new(json: bool, quiet: bool, colour: Colour) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let terminal = io::stderr().is_terminal() && !dumb;
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let colour = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && !no_color,
        };
        Self {
            json,
            quiet,
            terminal,
            colour,
        }
    }

    /// A line of data.
    pub fn data(&self, line: impl AsRef<str>) {
        write_out(format!("{}\n", line.as_ref()).as_bytes());
    }

    /// A JSON object of data, on one line, with the version of its shape.
    pub fn json(&self, value: &impl Serialize) {
        let versioned = serde_json::to_value(value).map(|mut value| {
            if let Some(object) = value.as_object_mut() {
                object.insert("schema".into(), SCHEMA.into());
            }
            value
        });
        match versioned.and_then(|value| serde_json::to_string(&value)) {
            Ok(text) => self.data(text),
            Err(e) => self.note(format!("cannot write JSON: {e}")),
        }
    }

    /// A line of progress; nothing under `--quiet`.
    pub fn note(&self, line: impl AsRef<str>) {
        if !self.quiet {
            self.say(line.as_ref());
        }
    }

    /// What happened and the fix; framed for people, two plain lines for everybody else.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            self.json(&json!({
                "error": failure.what, "code": failure.code, "params": failure.params,
                "fix": failure.fix, "exit": failure.exit as u8,
            }));
        }
        if self.terminal {
            let theme = if self.colour {
                GraphicalTheme::unicode()
            } else {
                GraphicalTheme::unicode_nocolor()
            };
            let mut text = String::new();
            if GraphicalReportHandler::new_themed(theme)
                .render_report(&mut text, failure)
                .is_ok()
            {
                return self.say(text.trim_end());
            }
        }
        self.say(&format!("error: {}", failure.what));
        if let Some(fix) = &failure.fix {
            self.say(&format!("  fix: {fix}"));
        }
    }

    fn say(&self, line: &str) {
        // Nobody is told that nobody listens.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}
