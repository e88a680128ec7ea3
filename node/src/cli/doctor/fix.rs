//! `starling doctor --fix`: what can be put right without a question, each told with what was and what is.
//!
//! Invariant: no key, log, blob, certificate or result is changed or removed; of keys and certificates only the
//! permissions are. What a running peer may have in hand is left to it.

use std::path::Path;

use serde::Serialize;

use super::super::place::Place;
use super::{left, private};
use crate::home::{Home, HomeError, disk};
use crate::reason::Reason;
use crate::store::Store;

/// Something that was put right, or could not be.
#[derive(Debug, Serialize)]
pub struct Deed {
    name: &'static str,
    path: String,
    was: String,
    is: String,
    /// Why it could not be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

impl Deed {
    fn new(
        name: &'static str,
        path: &Path,
        was: impl Into<String>,
        done: Result<String, Reason>,
    ) -> Self {
        let was = was.into();
        let (is, reason) = match done {
            Ok(is) => (is, None),
            Err(reason) => (was.clone(), Some(reason)),
        };
        let path = path.display().to_string();
        Self {
            name,
            path,
            was,
            is,
            reason,
        }
    }

    /// A line for people.
    pub fn line(&self) -> String {
        let Self {
            name,
            path,
            was,
            is,
            reason,
        } = self;
        match reason {
            None => format!("done {name:<9} {path}: {was} -> {is}"),
            Some(reason) => format!("left {name:<9} {path}: {was}: {}", reason.what),
        }
    }
}

/// Puts a home right. Makes none.
pub fn repair(place: &Place) -> Vec<Deed> {
    let mut deeds = Vec::new();
    if !place.root.is_dir() {
        return deeds;
    }
    // Only what others can write to is a finding: whoever lets them look at results may.
    deeds.extend(private_mode("home", &place.root, 0o022, 0o700));
    deeds.extend(private_mode("home", &place.requester(), 0o022, 0o700));
    for name in private::files().chain(["identity.key"]) {
        deeds.extend(private_mode("files", &place.root.join(name), 0o077, 0o600));
    }
    settings(place, &mut deeds);
    // Held for as long as this takes: no peer starts beside it.
    match Home::hold(&place.root) {
        Ok(_held) => announcements(place, &mut deeds),
        Err(HomeError::InUse { .. }) => {}
        Err(error) => {
            let done = Err(error.into());
            deeds.push(Deed::new("lock", &place.root, "not held", done));
        }
    }
    for (index, home) in left::indexes(place) {
        if let Ok(_held) = Home::hold(&home)
            && let Ok(Some(reason)) = left::trouble(&index)
        {
            let moved = Store::set_aside(&index);
            let done = moved.map(|aside| {
                format!(
                    "moved to {}, rebuilt from the log at the next start",
                    aside.display()
                )
            });
            deeds.push(Deed::new(
                "index",
                &index,
                reason.what,
                done.map_err(Reason::from),
            ));
        }
    }
    deeds
}

fn settings(place: &Place, deeds: &mut Vec<Deed>) {
    let path = place.config_file();
    if path.symlink_metadata().is_err() {
        let done = place.config().map(|_| "the default settings".to_owned());
        let done = done.map_err(super::super::exit::Failure::into_reason);
        deeds.push(Deed::new("config", &path, "missing", done));
    }
}

fn announcements(place: &Place, deeds: &mut Vec<Deed>) {
    for path in left::announcements(place) {
        let done = std::fs::remove_file(&path).map(|()| "removed".to_owned());
        let done = done.map_err(|e| disk::DiskError::new("remove", &path, e).into());
        deeds.push(Deed::new("left", &path, "of a peer that is gone", done));
    }
}

/// Takes from others what they may do with a file or folder, if they may do any of `mask`. Links are not followed.
#[cfg(unix)]
fn private_mode(name: &'static str, path: &Path, mask: u32, mode: u32) -> Option<Deed> {
    use rustix::fs::{Mode, OFlags, fchmod, fstat, open};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let was = private::mode(path).filter(|was| was & mask != 0)?;
    let done = open(path, flags, Mode::empty()).and_then(|file| {
        let is_folder = rustix::fs::FileType::from_raw_mode(fstat(&file)?.st_mode).is_dir();
        // A file in a folder's place is not this home's.
        if is_folder != (mode == 0o700) {
            return Err(rustix::io::Errno::INVAL);
        }
        fchmod(&file, Mode::from_raw_mode(mode as rustix::fs::RawMode))
    });
    let done = done
        .map(|()| format!("mode {mode:03o}"))
        .map_err(|e| disk::DiskError::new("change the mode of", path, e.into()).into());
    Some(Deed::new(name, path, format!("mode {was:03o}"), done))
}

#[cfg(not(unix))]
fn private_mode(_: &'static str, _: &Path, _: u32, _: u32) -> Option<Deed> {
    None
}
