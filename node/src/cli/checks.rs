//! A list of checks, told as they are made: `doctor` and `net check` are such lists.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::json;

use super::console::Console;
use super::exit::{Exit, Failure};
use super::text;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth knowing, nothing wrong.
    Note,
    /// Something that fails or misleads.
    Finding,
}

/// One check.
#[derive(Debug, Serialize)]
pub struct Check {
    name: &'static str,
    status: Status,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Cow<'static, str>>,
    fix: Option<String>,
}

impl Check {
    /// All is well.
    pub fn ok(name: &'static str, what: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Ok,
            what: what.into(),
            code: None,
            fix: None,
        }
    }

    /// Worth knowing.
    pub fn note(name: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Note,
            what: what.into(),
            code: None,
            fix: Some(fix.into()),
        }
    }

    /// Something is wrong.
    pub fn finding(name: &'static str, failure: Failure) -> Self {
        Self {
            name,
            status: Status::Finding,
            what: failure.what,
            code: Some(failure.code),
            fix: failure.fix,
        }
    }
}

/// The checks so far.
pub struct Checks {
    console: Console,
    all: Vec<Check>,
}

impl Checks {
    /// None yet.
    pub fn new(console: Console) -> Self {
        Self {
            console,
            all: Vec::new(),
        }
    }

    /// Tells of one, unless all are to be one JSON object.
    pub fn tell(&mut self, check: Check) {
        if !self.console.json {
            let mark = match check.status {
                Status::Ok => "ok  ",
                Status::Note => "note",
                Status::Finding => "BAD ",
            };
            self.console
                .data(format!("{mark} {:<9} {}", check.name, check.what));
            if let Some(fix) = &check.fix {
                self.console.data(format!("               fix: {fix}"));
            }
        }
        self.all.push(check);
    }

    /// All of them, as JSON.
    pub fn list(&self) -> serde_json::Value {
        json!(self.all)
    }

    /// Tells how many findings there were; `more` goes into the JSON object beside them.
    pub fn end(self, more: Option<(&'static str, serde_json::Value)>) -> Exit {
        let of_kind = |check: &&Check| check.status == Status::Finding;
        let findings = self.all.iter().filter(of_kind).count();
        if self.console.json {
            let mut object = json!({ "findings": findings, "checks": self.all });
            if let Some((name, value)) = more {
                object[name] = value;
            }
            self.console.json(&object);
        } else {
            self.console.data(match findings {
                0 => "nothing is wrong".to_owned(),
                n => text::count(n, "finding"),
            });
        }
        match findings {
            0 => Exit::Ok,
            _ => Exit::Findings,
        }
    }
}
