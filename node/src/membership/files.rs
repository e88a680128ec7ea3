//! The files of a membership. Each is bounded, private, and written as a whole.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use starling_protocol::admission::{Ledger, Papers};

use crate::home::disk::{DiskError, write_durably};
use crate::key::{KeyError, Seed};
use crate::reason::Reason;

/// The certificate, and the newest revocations.
const PAPERS: &str = "membership.json";
/// Invitations and members, at the issuer.
const LEDGER: &str = "admission.json";
/// The admission key, at the issuer.
const KEY: &str = "admission.key";
/// Longest file that is read, in bytes: a full ledger has some 700 a member.
const FILE_MAX: u64 = 4 << 20;

/// Those that make a home a member, for whoever moves it.
pub(crate) const FILES: [&str; 3] = [PAPERS, LEDGER, KEY];

pub(super) fn papers(root: &Path) -> Result<Option<Papers>, Reason> {
    read(&root.join(PAPERS))
}

pub(super) fn save_papers(root: &Path, papers: &Papers) -> Result<(), Reason> {
    write(&root.join(PAPERS), papers)
}

pub(super) fn ledger(root: &Path) -> Result<Ledger, Reason> {
    let path = root.join(LEDGER);
    // Without it, uses and revocations would begin anew.
    read(&path)?.ok_or_else(|| damaged(&path, "it is missing"))
}

pub(super) fn save_ledger(root: &Path, ledger: &Ledger) -> Result<(), Reason> {
    write(&root.join(LEDGER), ledger)
}

pub(super) fn admission_seed(root: &Path) -> Result<Option<Seed>, Reason> {
    match Seed::load(&root.join(KEY)) {
        Ok(seed) => Ok(Some(seed)),
        Err(KeyError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn new_admission_seed(root: &Path) -> Result<Seed, Reason> {
    // Whoever was interrupted goes on with the key that it has made.
    Ok(Seed::load_or_create(&root.join(KEY))?.0)
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> Reason {
    let what = format!("{} cannot be used: {why}", path.display());
    let fix = "restore it from a backup; a member can also delete it and be invited again";
    Reason::new("disk_failed", what, fix).with("path", path.display().to_string())
}

fn read<T: DeserializeOwned>(path: &PathBuf) -> Result<Option<T>, Reason> {
    let about = match std::fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        about => about.map_err(DiskError::on("read", path))?,
    };
    if about.len() > FILE_MAX || !about.is_file() {
        return Err(damaged(path, "it is too long"));
    }
    let bytes = std::fs::read(path).map_err(DiskError::on("read", path))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| damaged(path, e))
}

fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Reason> {
    let bytes = serde_json::to_vec(value).map_err(|e| Reason::of("error", e))?;
    Ok(write_durably(path, &bytes)?)
}
