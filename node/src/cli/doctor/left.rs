//! What a peer that is gone has left behind: files that say that it runs, and an index that does not open.

use std::path::{Path, PathBuf};

use super::super::checks::Check;
use super::super::exit::Failure;
use super::super::place::Place;
use crate::api::client::API_FILE;
use crate::home::Home;
use crate::reason::Reason;
use crate::store::{Store, StoreError};

/// Largest index that is copied to be looked at, in bytes.
const COPY_MAX: u64 = 256 << 20;

/// Files by which commands find a running peer.
pub fn announcements(place: &Place) -> Vec<PathBuf> {
    let both = [place.running_file(), place.root.join(API_FILE)];
    both.into_iter().filter(|path| path.is_file()).collect()
}

/// Such files where no peer runs.
pub fn stale(place: &Place) -> Option<Check> {
    let files = announcements(place);
    if files.is_empty() || Home::is_open(&place.root) {
        return None;
    }
    let names = files.iter().filter_map(|path| path.file_name()?.to_str());
    let names: Vec<_> = names.collect();
    let what = format!("{} of a peer that is gone", names.join(" and "));
    let fix = "`starling doctor --fix` removes them; so does the next `starling up`";
    Some(Check::note("left", what, fix))
}

/// The indexes of a home, with the home that each belongs to.
pub fn indexes(place: &Place) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let homes = [place.root.clone(), place.requester()];
    homes
        .into_iter()
        .map(|home| (home.join("index"), home))
        .filter(|(index, _)| index.is_dir())
}

/// Whether the indexes open. Those in use are known to.
pub fn index(place: &Place) -> Vec<Check> {
    let mut checks = Vec::new();
    for (index, _) in indexes(place).filter(|(_, home)| !Home::is_open(home)) {
        checks.push(match trouble(&index) {
            Ok(None) => continue,
            Ok(Some(reason)) => {
                let fix = "`starling doctor --fix` or the next start moves it aside; it is rebuilt from the log";
                Check::finding("index", Failure { fix: Some(fix.into()), ..Failure::from(reason) })
            }
            Err(why) => Check::note("index", why, "nothing to do: the next start looks at it"),
        });
    }
    if checks.is_empty() {
        checks.push(Check::ok(
            "index",
            "it opens, or is in use, or there is none yet",
        ));
    }
    checks
}

/// Why an index does not open, found on a copy: opening one writes into it.
///
/// # Errors
/// Why that is not known.
pub fn trouble(index: &Path) -> Result<Option<Reason>, String> {
    let unknown = |e: std::io::Error| format!("{} was not looked at: {e}", index.display());
    let copy = tempfile::tempdir().map_err(unknown)?;
    let mut left = COPY_MAX;
    duplicate(index, copy.path(), &mut left).map_err(unknown)?;
    match Store::probe(copy.path()) {
        Ok(()) => Ok(None),
        Err(StoreError::Damaged { reason, .. }) => {
            let path = index.to_owned();
            Ok(Some(StoreError::Damaged { path, reason }.into()))
        }
        Err(e) => Err(format!("{} was not looked at: {e}", index.display())),
    }
}

fn duplicate(from: &Path, to: &Path, left: &mut u64) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (about, target) = (entry.metadata()?, to.join(entry.file_name()));
        if about.is_dir() {
            std::fs::create_dir(&target)?;
            duplicate(&entry.path(), &target, left)?;
        } else if about.is_file() {
            let rest = left.checked_sub(about.len());
            *left = rest.ok_or_else(|| std::io::Error::other("it is too large to be copied"))?;
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
