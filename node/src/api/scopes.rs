//! Tokens for others than the owner: each may do some things, and can be taken back.
//!
//! `HOME/tokens.json` holds their digests only. It is read again when it changes, so that a token that was taken back
//! opens nothing from then on. A file that cannot be read opens nothing at all.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use axum::http::Method;
use serde::{Deserialize, Serialize};

use super::Token;
use crate::home::disk::write_atomically;
use crate::reason::Reason;

/// Where they are, within a home.
pub const TOKENS_FILE: &str = "tokens.json";
/// Tokens of one home.
const TOKENS: usize = 64;
/// Longest file that is read, in bytes.
const FILE_MAX: u64 = 64 * 1024;
/// Longest name of a token, in bytes.
const NAME_MAX: usize = 64;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// To look at everything but settings, logs and members.
    Read,
    /// That, and to submit, cancel and collect jobs.
    Submit,
    /// All that the owner may.
    Admin,
    /// To scrape `/metrics`.
    Metrics,
}

impl Scope {
    /// Whether it covers a request.
    pub(super) fn covers(self, method: &Method, path: &str) -> bool {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let private = ["/settings", "/logs", "/doctor", "/session", "/swarm"];
        let rest = path.strip_prefix("/api/v1");
        let open = rest.filter(|rest| !private.iter().any(|p| rest.starts_with(p)));
        let of_jobs = |rest: &str| {
            rest.starts_with("/jobs") || ["/blobs", "/preflight", "/bundles/verify"].contains(&rest)
        };
        match self {
            Self::Admin => true,
            Self::Metrics => reads && path == "/metrics",
            Self::Read => reads && open.is_some(),
            Self::Submit => open.is_some_and(|rest| reads || of_jobs(rest)),
        }
    }
}

/// A token's owner, what it is good for, and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Whose it is, for people.
    pub name: String,
    /// What it is good for.
    pub scope: Scope,
    /// BLAKE3 of its text, hexadecimal.
    digest: String,
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// Those of a home.
///
/// # Errors
/// `disk_failed`, `error` if the file is no list of tokens.
pub fn list(home: &Path) -> Result<Vec<Granted>, Reason> {
    let path = home.join(TOKENS_FILE);
    let read = |e: String| {
        let what = format!("{} cannot be read: {e}", path.display());
        Reason::new(
            "disk_failed",
            what,
            "delete it: its tokens then open nothing",
        )
    };
    match std::fs::metadata(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(read(e.to_string())),
        Ok(about) if about.len() > FILE_MAX => return Err(read("it is too long".into())),
        Ok(_) => {}
    }
    let bytes = std::fs::read(&path).map_err(|e| read(e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|e| read(e.to_string()))
}

/// A new token, whose text is nowhere else.
///
/// # Errors
/// `bad_request` if the name is taken or none, `too_many`, `disk_failed`.
pub fn grant(home: &Path, name: &str, scope: Scope) -> Result<Token, Reason> {
    let mut all = list(home)?;
    if !(1..=NAME_MAX).contains(&name.len()) || name.contains(char::is_control) {
        let what = format!("a token's name has 1 to {NAME_MAX} bytes");
        return Err(Reason::new("bad_request", what, "choose another name"));
    }
    if all.iter().any(|granted| granted.name == name) {
        let what = format!("there is a token {name:?} already");
        let fix = format!("choose another name, or `starling token revoke {name}`");
        return Err(Reason::new("bad_request", what, fix));
    }
    if all.len() >= TOKENS {
        let what = format!("there are {TOKENS} tokens already");
        return Err(Reason::new("too_many", what, "revoke one"));
    }
    let token = Token::random()?;
    all.push(Granted {
        name: name.into(),
        scope,
        digest: digest(token.text()),
    });
    save(home, &all)?;
    Ok(token)
}

/// Takes a token back.
///
/// # Errors
/// `not_found`, `disk_failed`.
pub fn revoke(home: &Path, name: &str) -> Result<(), Reason> {
    let mut all = list(home)?;
    let before = all.len();
    all.retain(|granted| granted.name != name);
    if all.len() == before {
        let what = format!("there is no token {name:?}");
        return Err(Reason::new(
            "not_found",
            what,
            "`starling token ls` lists them",
        ));
    }
    save(home, &all)
}

fn save(home: &Path, all: &[Granted]) -> Result<(), Reason> {
    let text = serde_json::to_vec_pretty(all).map_err(|e| Reason::of("error", e))?;
    Ok(write_atomically(&home.join(TOKENS_FILE), &text)?)
}

/// The tokens of a home as a server knows them.
#[derive(Debug)]
pub struct Tokens {
    home: PathBuf,
    known: Mutex<(Option<SystemTime>, Vec<Granted>)>,
}

impl Tokens {
    /// Those of `home`, now and later.
    pub fn of(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            known: Mutex::new((None, Vec::new())),
        }
    }

    /// What a token is good for, if it is one.
    pub(super) fn scope(&self, given: &str) -> Option<Scope> {
        let about = std::fs::metadata(self.home.join(TOKENS_FILE));
        let stamp = about.and_then(|about| about.modified()).ok()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != Some(stamp) {
            let all = list(&self.home);
            *known = (
                Some(stamp),
                all.inspect_err(|error| tracing::warn!(%error, "no token opens anything"))
                    .unwrap_or_default(),
            );
        }
        // Digests tell nothing of the text, however long it takes to compare them.
        let digest = digest(given);
        let granted = known.1.iter().find(|granted| granted.digest == digest);
        granted.map(|granted| granted.scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_cover_what_they_say_and_no_more() {
        use Scope::{Admin, Metrics, Read, Submit};
        let cases: [(Method, &str, &[Scope]); 12] = [
            (Method::GET, "/api/v1/jobs", &[Admin, Read, Submit]),
            (Method::POST, "/api/v1/jobs", &[Admin, Submit]),
            (Method::POST, "/api/v1/jobs/3fa9/cancel", &[Admin, Submit]),
            (Method::PUT, "/api/v1/blobs", &[Admin, Submit]),
            (Method::GET, "/api/v1/lend", &[Admin, Read, Submit]),
            (Method::POST, "/api/v1/lend", &[Admin]),
            (Method::GET, "/api/v1/settings", &[Admin]),
            (Method::GET, "/api/v1/logs", &[Admin]),
            (Method::GET, "/api/v1/swarm", &[Admin]),
            (Method::POST, "/api/v1/swarm/invitations", &[Admin]),
            (Method::POST, "/api/v1/session/code", &[Admin]),
            (Method::GET, "/metrics", &[Admin, Metrics]),
        ];
        for (method, path, expected) in cases {
            for scope in [Admin, Read, Submit, Metrics] {
                let covers = scope.covers(&method, path);
                assert_eq!(
                    covers,
                    expected.contains(&scope),
                    "{scope:?} {method} {path}"
                );
            }
        }
    }

    #[test]
    fn a_token_that_was_taken_back_opens_nothing() {
        let home = tempfile::tempdir().expect("a folder");
        let tokens = Tokens::of(home.path());
        assert_eq!(tokens.scope("anything"), None);
        let token = grant(home.path(), "prometheus", Scope::Metrics).expect("granted");
        assert_eq!(tokens.scope(token.text()), Some(Scope::Metrics));
        assert_eq!(tokens.scope("anything"), None);
        assert!(grant(home.path(), "prometheus", Scope::Read).is_err());
        let kept = std::fs::read_to_string(home.path().join(TOKENS_FILE)).expect("a file");
        assert!(!kept.contains(token.text()));
        revoke(home.path(), "prometheus").expect("it is there");
        assert!(revoke(home.path(), "prometheus").is_err());
        assert_eq!(Tokens::of(home.path()).scope(token.text()), None);
        std::fs::write(home.path().join(TOKENS_FILE), "{").expect("written");
        assert_eq!(Tokens::of(home.path()).scope(token.text()), None);
    }
}
