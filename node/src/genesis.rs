//! The genesis file: a swarm's parameters as TOML that people read, send and keep.
//!
//! Not the genesis itself (`starling_protocol::genesis`), whose canonical bytes name the swarm: two files that differ
//! in comments are one swarm. Invariant: what this module reads has passed the genesis' own checks.

use std::path::{Path, PathBuf};

use starling_protocol::genesis::GenesisError;
use starling_protocol::{Genesis, Hash, Scope};

use crate::home::disk::{self, DiskError};

/// Longest file that is read, in bytes.
const MAX_FILE: u64 = starling_protocol::config::GENESIS_MAX as u64;

/// Why there is no genesis.
#[derive(Debug, thiserror::Error)]
pub enum GenesisFileError {
    /// There is no such file.
    #[error("there is no genesis at {}; `starling swarm create NAME` makes one", .0.display())]
    Missing(PathBuf),
    /// The file is too long to be a genesis.
    #[error("{} has {bytes} bytes, a genesis at most {MAX_FILE}; ask for the swarm's file again", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The file is no TOML of a genesis.
    #[error("{}:{line}: {problem}; correct that line, or ask for the swarm's file again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        problem: String,
    },
    /// A value is out of range.
    #[error("{}: {source}; ask for the swarm's file again", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Which value.
        source: GenesisError,
    },
    /// The system gave no random bytes.
    #[error("the system gave no randomness for a new swarm: {0}")]
    Randomness(getrandom::Error),
    /// The file could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A new swarm with a random salt.
pub fn create(
    name: &str,
    scope: Scope,
    slice_ms: Option<u32>,
) -> Result<Genesis, GenesisFileError> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(GenesisFileError::Randomness)?;
    let mut genesis = Genesis::new(name, scope, Hash(salt));
    genesis.slice_ms = slice_ms.unwrap_or(genesis.slice_ms);
    genesis
        .check()
        .map_err(|source| GenesisFileError::Refused {
            path: PathBuf::from("new swarm"),
            source,
        })?;
    Ok(genesis)
}

/// Reads and checks a genesis file.
pub fn load(path: &Path) -> Result<Genesis, GenesisFileError> {
    let on = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => GenesisFileError::Missing(path.to_owned()),
        _ => DiskError::new("read", path, e).into(),
    };
    let about = std::fs::metadata(path).map_err(on)?;
    if about.len() > MAX_FILE {
        return Err(GenesisFileError::TooLong {
            path: path.to_owned(),
            bytes: about.len(),
        });
    }
    if !about.is_file() {
        return Err(
            DiskError::new("read", path, std::io::Error::other("not a regular file")).into(),
        );
    }
    parse(&std::fs::read(path).map_err(on)?, path)
}

/// Parses a genesis file's bytes; `path` is for messages only.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Genesis, GenesisFileError> {
    let malformed = |line, problem: String| GenesisFileError::Malformed {
        path: path.to_owned(),
        line,
        problem,
    };
    let text =
        std::str::from_utf8(bytes).map_err(|_| malformed(1, "not a text file".to_owned()))?;
    let genesis: Genesis = toml::from_str(text).map_err(|e| {
        let start = e.span().map_or(0, |s| s.start);
        let line = 1 + text.bytes().take(start).filter(|b| *b == b'\n').count();
        malformed(line, e.message().lines().collect::<Vec<_>>().join(", "))
    })?;
    genesis
        .check()
        .map_err(|source| GenesisFileError::Refused {
            path: path.to_owned(),
            source,
        })?;
    Ok(genesis)
}

/// The file's text.
pub fn text(genesis: &Genesis) -> String {
    // Field order and quoting are toml's; a genesis is a flat table of numbers and strings, which cannot fail.
    let fields = toml::to_string(genesis).unwrap_or_default();
    let who = match genesis.admission {
        None => "Whoever holds this file can join with `starling swarm join FILE`.",
        Some(_) => "It is private: members join with an invitation, `starling swarm join CODE`.",
    };
    format!(
        "# A Starling swarm. {who}\n\
         # Every value is part of the swarm's name: change one, and it is another swarm.\n\
         # swarm {}\n\n{fields}",
        genesis.swarm_id()
    )
}

/// Writes a genesis file where there is none. Answers false, and changes nothing, if there is one.
pub fn save_new(genesis: &Genesis, path: &Path) -> Result<bool, GenesisFileError> {
    Ok(disk::create_whole(path, text(genesis).as_bytes())?)
}

/// The genesis at `path`; where there is none, a new private swarm of this machine, named "home".
pub fn load_or_create(path: &Path) -> Result<Genesis, GenesisFileError> {
    match load(path) {
        Err(GenesisFileError::Missing(_)) => {
            let home = create("home", Scope::Local, None)?;
            if save_new(&home, path)? {
                return Ok(home);
            }
            // Somebody else made one in between: theirs counts.
            load(path)
        }
        other => other,
    }
}
