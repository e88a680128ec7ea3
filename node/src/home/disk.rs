//! The few file operations on which durability rests, and their one error type.
//!
//! A file is created whole (written beside its place, synced, linked into it) or not at all, and a
//! new name counts only once its folder is synced as well. Not a file-system abstraction: whoever
//! needs plain reads and writes uses `std::fs` and maps the error with [`DiskError::new`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// An operation on a file or folder that the system refused. Each variant names what to do.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No space, a quota, or a limit on the size of files.
    #[error("cannot {action} {}: {source}; free some space there and start again", path.display())]
    Full {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A read-only file system, or a folder that this user may not write to.
    #[error(
        "cannot {action} {}: {source}; make it writable for this user, or choose another folder with --home DIR",
        path.display()
    )]
    Denied {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Anything else the system answered.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl DiskError {
    /// Sorts a system error by what a person can do about it.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::Full {
                    action,
                    path,
                    source,
                }
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Denied {
                action,
                path,
                source,
            },
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }

    /// Shorthand for `map_err`.
    pub(crate) fn on(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::new(action, path, source)
    }
}

/// A file beside `path` that takes its place once it is `persist`ed: readers see the old bytes or the new ones. Not
/// synced: for what people can have again.
pub fn draft(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut draft = tempfile::Builder::new();
    draft.prefix(".starling-");
    // Drafts are private by default; what people asked for has the permissions of all their files (the umask counts).
    #[cfg(unix)]
    draft.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    draft.tempfile_in(folder_of(path))
}

/// Writes a whole file through a [`draft`].
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let write = || {
        let mut draft = draft(path)?;
        draft.write_all(bytes)?;
        draft.persist(path).map(drop).map_err(|e| e.error)
    };
    write().map_err(DiskError::on("write", path))
}

/// The same, synced and for its owner only: for what must not be lost or seen.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let folder = folder_of(path);
    let write = || {
        let mut draft = private_draft(folder)?;
        draft.write_all(bytes)?;
        draft.as_file().sync_all()?;
        draft.persist(path).map(drop).map_err(|e| e.error)
    };
    write().map_err(DiskError::on("write", path))?;
    sync_dir(folder)
}

/// Makes the names in `dir` durable. Platforms whose folders cannot be opened do this by themselves.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), DiskError> {
    if cfg!(unix) {
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(DiskError::on("sync", dir))?;
    }
    Ok(())
}

/// Creates `dir` and what is missing above it, for its owner only. An existing folder is left as it is.
pub(crate) fn create_private_dir(dir: &Path) -> Result<(), DiskError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(DiskError::on("create", dir))
}

/// Options for a file that only its owner may read and that must not exist yet.
pub(crate) fn private_new() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates `path` with these bytes, for its owner only, durably, and never over an existing file.
/// Answers false, and changes nothing, if `path` exists.
pub(crate) fn create_whole(path: &Path, bytes: &[u8]) -> Result<bool, DiskError> {
    let dir = folder_of(path);
    let create = || {
        let mut draft = private_draft(dir)?;
        draft.write_all(bytes)?;
        draft.as_file().sync_all()?;
        draft.persist_noclobber(path).map(drop).map_err(|e| e.error)
    };
    match create() {
        Ok(()) => sync_dir(dir).map(|()| true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(DiskError::new("create", path, e)),
    }
}

/// A draft in `dir` that only its owner may read, under a name that nobody else has.
fn private_draft(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    // Drafts are private (0600) unless they are told otherwise.
    tempfile::Builder::new()
        .prefix(".starling-")
        .tempfile_in(dir)
}

/// Renames `path` to the first free `NAME.damaged-N` beside it and returns that name.
pub(crate) fn move_aside(path: &Path) -> Result<PathBuf, DiskError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut number = 1_u32;
    let aside = loop {
        let candidate = path.with_file_name(format!("{name}.damaged-{number}"));
        if candidate
            .symlink_metadata()
            .is_err_and(|e| e.kind() == ErrorKind::NotFound)
        {
            break candidate;
        }
        number = number.checked_add(1).ok_or_else(|| {
            DiskError::new(
                "move aside",
                path,
                io::Error::other("every name for damaged files is taken"),
            )
        })?;
    };
    fs::rename(path, &aside).map_err(DiskError::on("move aside", path))?;
    sync_dir(folder_of(path))?;
    Ok(aside)
}

/// The folder that holds `path`, `.` for a bare name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
