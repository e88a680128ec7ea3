//! How a command ends: an exit code that scripts can rely on, and for people what happened and the fix.
//!
//! Libraries below return `thiserror` enums whose text says "what; fix"; only here, at the edge, do they become one
//! [`Failure`]. Nothing below this file knows exit codes.

use std::fmt::{self, Display};

use starling_protocol::Reason;

/// Exit codes. Their numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something went wrong.
    Error = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// No peer of this home runs, and none is named.
    NoDaemon = 3,
    /// Not allowed: a key or a folder that others can touch.
    Auth = 4,
    /// The job failed.
    JobFailed = 5,
    /// Nobody offers what the job needs.
    NoEligiblePeer = 6,
    /// It took longer than allowed.
    Timeout = 7,
    /// `doctor` has findings.
    Findings = 8,
    /// Ctrl-C.
    Interrupted = 130,
}

/// Why a command did not do it, and what to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code to exit with.
    pub exit: Exit,
    /// What happened.
    pub what: String,
    /// What the person can do.
    pub fix: Option<String>,
}

impl Failure {
    /// A failure with a known fix.
    pub fn new(exit: Exit, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            fix: Some(fix.into()),
        }
    }

    /// From an error of this program's own, whose text is "what; fix" or only "what".
    pub fn of(error: impl Display) -> Self {
        let text = error.to_string();
        match text.split_once("; ") {
            Some((what, fix)) => Self::new(Exit::Error, what, fix),
            None => Self {
                exit: Exit::Error,
                what: text,
                fix: None,
            },
        }
    }

    /// From a refusal or an ending of the protocol.
    pub fn because(exit: Exit, reason: Reason) -> Self {
        Self::new(exit, reason.to_string(), reason.fix())
    }

    /// The same failure with another exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The same failure with a fix, unless it has one.
    #[must_use]
    pub fn or_fix(mut self, fix: &str) -> Self {
        self.fix.get_or_insert_with(|| fix.to_owned());
        self
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

impl miette::Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.fix
            .as_ref()
            .map(|fix| Box::new(fix) as Box<dyn Display>)
    }
}

/// What a command returns.
pub type Outcome = Result<Exit, Failure>;
