//! What can go wrong with results, each with its fix. Finished cells survive all of it.

use std::io;
use std::path::{Path, PathBuf};

/// Why results cannot be written, read or compared.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The disk is full.
    #[error(
        "no space left for {path}: finished cells are kept; make room and run the same command again"
    )]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// Any other refusal of the file system.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// Such as "write".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder holds something else.
    #[error(
        "{dir} is not empty and holds no run.json, so it is no results folder: name a new or empty one with --out"
    )]
    NotResults {
        /// The folder.
        dir: PathBuf,
    },
    /// There are no results there at all.
    #[error(
        "{dir} is no results folder, because it holds no run.json: name the folder that an experiment wrote"
    )]
    NoResults {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder was written in another format.
    #[error(
        "{dir} has results of format {found}, and this program reads format {ours}: name another folder with --out"
    )]
    OtherFormat {
        /// The folder.
        dir: PathBuf,
        /// Its format.
        found: u64,
        /// The only one that is read.
        ours: u32,
    },
    /// The folder belongs to another experiment.
    #[error(
        "{dir} holds results of another experiment ({}). Lines that differ:\n{differences}\n\
         Name another folder with --out, or replace these results with --force",
        .dir.join("experiment.toml").display()
    )]
    OtherExperiment {
        /// The folder.
        dir: PathBuf,
        /// `- ` as in the folder, `+ ` as it would be now.
        differences: String,
    },
    /// Somebody else writes there.
    #[error(
        "{dir} is being written by another run: wait for it, or name another folder with --out"
    )]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// A file does not say what it must.
    #[error("{path} is damaged: {reason}. {fix}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line where that is known.
        reason: String,
        /// What to do about it.
        fix: &'static str,
    },
    /// A run yielded what cannot be kept.
    #[error("cell {cell}, seed {seed}: {reason}")]
    BadRow {
        /// The cell.
        cell: u32,
        /// The seed.
        seed: u64,
        /// What, and what would do.
        reason: String,
    },
    /// No cell is finished yet.
    #[error("{dir} holds no finished cell: run its experiment first")]
    Empty {
        /// The folder.
        dir: PathBuf,
    },
    /// Two folders without a common cell or metric.
    #[error(
        "{a} and {b} cannot be compared, because no {what} is in both: {a} has {in_a}; {b} has {in_b}"
    )]
    NothingInCommon {
        /// "cell" or "metric".
        what: &'static str,
        /// A folder.
        a: PathBuf,
        /// The other.
        b: PathBuf,
        /// What the first has.
        in_a: String,
        /// What the second has.
        in_b: String,
    },
    /// A table could not be put into its format.
    #[error("cannot encode {path}: {reason}")]
    Encode {
        /// The file it was for.
        path: PathBuf,
        /// What the library said.
        reason: String,
    },
}

impl ResultsError {
    /// Of a file system call that failed while `doing` something with `path`.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io {
                doing,
                path,
                source,
            },
        }
    }
}
