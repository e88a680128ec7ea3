//! Where a peer lives: one private folder with everything it must not lose.
//!
//! ```text
//! identity.key   the ed25519 seed, mode 0600       log/     signed facts: the truth
//! genesis.toml   the swarm it belongs to           index/   rebuilt from the log when damaged
//! config.toml    settings, written on first run    blobs/   inputs and outputs, named by their hash
//! lock           held by the running process       jobs/    results collected for the owner
//! ```
//!
//! Finds the folder, creates it with mode 0700 and locks it. It does not read what lies inside, except
//! for the settings (`config`). Invariant: one process at a time holds a [`Home`].

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

pub mod config;
pub mod disk;
pub mod swarms;

pub use config::{Config, ConfigError};
pub use disk::DiskError;
pub use swarms::Swarms;

/// Held by the process that has the home open.
const LOCK: &str = "lock";

/// The variable that names the folder when `--home` does not.
pub const HOME_VARIABLE: &str = "STARLING_HOME";

/// Why there is no home.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither `--home` nor the variable is given, and the system names no home folder.
    #[error(
        "no home folder is known on this system; name one with --home DIR or {HOME_VARIABLE}=DIR"
    )]
    Nowhere,
    /// The place is taken by something that is no folder.
    #[error("{} is not a folder; choose another with --home DIR", path.display())]
    NotAFolder {
        /// What was named.
        path: PathBuf,
    },
    /// Others on this machine could swap files in it.
    #[error("others on this machine can write to {} (mode {mode:03o}); run: chmod 700 {}", path.display(), path.display())]
    Exposed {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process holds it.
    #[error("another starling ({holder}) uses {}; stop it, or choose another folder with --home DIR", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The other process, as it wrote itself down.
        holder: String,
    },
    /// A file or folder in it could not be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A locked home. The lock goes with the value, also when the process is killed.
#[derive(Debug)]
pub struct Home {
    root: PathBuf,
    _lock: File,
}

impl Home {
    /// The folder to use: `chosen` (`--home`), else `STARLING_HOME`, else `starling` in the user's data
    /// folder (`$XDG_DATA_HOME`, `~/.local/share`). Creates nothing.
    pub fn locate(chosen: Option<&Path>) -> Result<PathBuf, HomeError> {
        Self::locate_in(chosen, std::env::var_os(HOME_VARIABLE).as_deref(), || {
            etcetera::choose_base_strategy()
                .ok()
                .map(|dirs| dirs.data_dir())
        })
    }

    /// The rule of [`Home::locate`] without the process's environment. Empty names count as absent.
    pub fn locate_in(
        chosen: Option<&Path>,
        variable: Option<&OsStr>,
        data_dir: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<PathBuf, HomeError> {
        let named = chosen
            .map(Path::as_os_str)
            .into_iter()
            .chain(variable)
            .find(|name| !name.is_empty());
        match named {
            Some(name) => Ok(PathBuf::from(name)),
            None => data_dir()
                .map(|dir| dir.join("starling"))
                .ok_or(HomeError::Nowhere),
        }
    }

    /// Creates the folder where it is missing, and locks it.
    pub fn open(root: &Path) -> Result<Self, HomeError> {
        match std::fs::metadata(root) {
            Ok(about) if !about.is_dir() => {
                return Err(HomeError::NotAFolder {
                    path: root.to_owned(),
                });
            }
            Ok(_) => {}
            Err(_) => disk::create_private_dir(root)?,
        }
        let home = Self::hold(root)?;
        for dir in [home.log(), home.index(), home.blobs(), home.jobs()] {
            disk::create_private_dir(&dir)?;
        }
        disk::sync_dir(root)?;
        Ok(home)
    }

    /// Locks a home that is there, and makes nothing else in it.
    pub fn hold(root: &Path) -> Result<Self, HomeError> {
        refuse_writable_by_others(root)?;
        Ok(Self {
            root: root.to_owned(),
            _lock: lock(root)?,
        })
    }

    /// Whether some process has the home in `root` open. Creates nothing.
    pub fn is_open(root: &Path) -> bool {
        let lock = File::open(root.join(LOCK));
        lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The identity's key file; see [`crate::key::Seed`].
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity.key")
    }

    /// The genesis of the swarm this peer belongs to.
    pub fn genesis(&self) -> PathBuf {
        self.root.join("genesis.toml")
    }

    /// The settings; see [`Config`].
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The folder of the log; see [`crate::log::Log`].
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// The folder of the index; see [`crate::store::Store`].
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// The folder of the blobs.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// The folder of collected results, one subfolder a job.
    pub fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }
}

/// Takes the lock file, or says who holds it.
fn lock(root: &Path) -> Result<File, HomeError> {
    let path = root.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(DiskError::on("open", &path))?;
    // Whoever only asks whether it is held, holds it for a moment.
    let mut locked = file.try_lock();
    for _ in 0..3 {
        if matches!(locked, Err(TryLockError::WouldBlock)) {
            std::thread::sleep(std::time::Duration::from_millis(20));
            locked = file.try_lock();
        }
    }
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message: a holder that has not written its id yet stays unnamed.
            let _ = file.take(64).read_to_string(&mut holder);
            let holder = match holder.trim().parse::<u32>() {
                Ok(id) => format!("process {id}"),
                Err(_) => "a process just starting".to_owned(),
            };
            return Err(HomeError::InUse {
                path: root.to_owned(),
                holder,
            });
        }
        Err(TryLockError::Error(e)) => return Err(DiskError::new("lock", &path, e).into()),
    }
    file.set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| writeln!(file, "{}", std::process::id()))
        .map_err(DiskError::on("write", &path))?;
    Ok(file)
}

#[cfg(unix)]
fn refuse_writable_by_others(root: &Path) -> Result<(), HomeError> {
    use std::os::unix::fs::PermissionsExt;
    let about = std::fs::metadata(root).map_err(DiskError::on("read", root))?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(HomeError::Exposed {
            path: root.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_writable_by_others(_root: &Path) -> Result<(), HomeError> {
    Ok(())
}
