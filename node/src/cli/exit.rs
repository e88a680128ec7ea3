//! How a command ends: an exit code that scripts can rely on, and for people what happened and the fix.
//!
//! Libraries below return `thiserror` enums whose text says "what; fix"; only here, at the edge, do they become one
//! [`Failure`]. Nothing below this file knows exit codes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde_json::Value;

use crate::reason::Reason;

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

impl Exit {
    /// The reason's code where nothing better is known.
    fn code(self) -> &'static str {
        match self {
            Self::Ok | Self::Error => "error",
            Self::Usage => "usage",
            Self::NoDaemon => "no_daemon",
            Self::Auth => "home_exposed",
            Self::JobFailed => "job_failed",
            Self::NoEligiblePeer => "no_eligible_peer",
            Self::Timeout => "timeout",
            Self::Findings => "findings",
            Self::Interrupted => "cancelled",
        }
    }

    /// How a reason ends a command.
    fn of(code: &str) -> Self {
        match code {
            "bad_request" | "bad_input" | "bad_params" | "bad_job" | "usage" | "ambiguous_job"
            | "shader_refused" | "shader_fault" | "bad_invitation" => Self::Usage,
            "no_daemon" => Self::NoDaemon,
            "home_exposed"
            | "token_missing"
            | "token_wrong"
            | "token_in_url"
            | "host_not_allowed"
            | "origin_not_allowed"
            | "scope_too_small"
            | "no_certificate"
            | "certificate_expired"
            | "certificate_foreign"
            | "certificate_not_yours"
            | "certificate_revoked"
            | "invitation_expired"
            | "invitation_unknown"
            | "invitation_used_up"
            | "not_issuer" => Self::Auth,
            "no_eligible_peer" | "clocks_differ" => Self::NoEligiblePeer,
            "deadline_passed" | "timeout" => Self::Timeout,
            "cancelled" => Self::Interrupted,
            "job_failed" => Self::JobFailed,
            _ => Self::Error,
        }
    }
}

/// Why a command did not do it, and what to do now: a [`Reason`] with an exit code.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The code to exit with.
    pub exit: Exit,
    /// The reason's code.
    pub code: Cow<'static, str>,
    /// The particulars.
    pub params: BTreeMap<String, Value>,
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
            code: exit.code().into(),
            params: BTreeMap::new(),
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
                fix: None,
                ..Self::new(Exit::Error, text, "")
            },
        }
    }

    /// Without its exit code.
    pub fn into_reason(self) -> Reason {
        Reason {
            code: self.code,
            what: self.what,
            params: self.params,
            fix: self.fix,
        }
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

/// Whatever has a reason can end a command with it.
impl<E: Into<Reason>> From<E> for Failure {
    fn from(error: E) -> Self {
        let reason: Reason = error.into();
        Self {
            exit: Exit::of(&reason.code),
            code: reason.code,
            params: reason.params,
            what: reason.what,
            fix: reason.fix,
        }
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
