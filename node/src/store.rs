//! The index: quick look-ups over what the log holds, in sled.
//!
//! Never the truth. It is a fold of the log (`index` below says how), brought up to date on every start,
//! and rebuilt from nothing when it does not open, complains of a checksum, or belongs to another log.
//! The damaged folder is moved aside, not deleted. Only this file names sled.
//! Invariant: the entries of a record and the number of the newest record folded in change together.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::home::disk::{self, DiskError};
use crate::log::{Log, LogError};

/// Lies in the index's folder from the first complaint about a checksum until the next start.
const DAMAGE_NOTE: &str = "damaged";
/// What it means.
const NOTED: &str = "it complained while it was last in use";
/// Where the index stands: log id (16 bytes), then the newest record's number (u64, little endian).
const STAND: &[u8] = b"stand";
/// sled's page cache, in bytes.
const CACHE: u64 = 16 * 1024 * 1024;
/// Between two flushes to the disk. What a crash loses of an index comes from the log again; and sled has the disk do it
/// whether there is something new or not.
const FLUSH_MS: u64 = 60_000;

/// A kind of entry; keys of different kinds never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Job id -> what is known of the job.
    Jobs,
    /// (Job id, slice) -> receipt.
    Receipts,
    /// Lease id -> own commitment.
    Commitments,
    /// (Job id, slice, worker) -> own lock as a witness.
    Locks,
    /// Peer key -> addresses and standing.
    Peers,
    /// (Job id, slice) -> (worker, blob) of an own job's done slice.
    Slices,
    /// Job id -> why an own job is over.
    Ends,
    /// (Job id, lease id) -> receipt of a slice kept for somebody else.
    Kept,
}

impl Space {
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Jobs => b"jobs/",
            Self::Receipts => b"receipts/",
            Self::Commitments => b"commitments/",
            Self::Locks => b"locks/",
            Self::Peers => b"peers/",
            Self::Slices => b"slices/",
            Self::Ends => b"ends/",
            Self::Kept => b"kept/",
        }
    }

    fn key(self, key: &[u8]) -> Vec<u8> {
        [self.prefix(), key].concat()
    }
}

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the index open.
    #[error("another process uses the index {}; stop that starling, or choose another folder with --home DIR", path.display())]
    InUse {
        /// The index's folder.
        path: PathBuf,
    },
    /// The index contradicts itself. It is rebuilt from the log at the next start.
    #[error("the index {} is damaged ({reason}); restart starling, and it is rebuilt from the log", path.display())]
    Damaged {
        /// The index's folder.
        path: PathBuf,
        /// What the library said.
        reason: String,
    },
    /// The log could not be read back.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file or folder could not be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// How an index came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It was there, or it is the first of its log; this many newer records were folded in.
    UpToDate {
        /// Records read from the log.
        caught_up: u64,
    },
    /// It was of no use and was built anew from the log.
    Rebuilt {
        /// Why, for people.
        reason: String,
        /// Where the old one lies.
        aside: PathBuf,
    },
}

/// Changes that happen together or not at all.
#[derive(Default)]
pub struct Batch(sled::Batch);

impl Batch {
    /// Sets an entry.
    pub fn put(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.0.insert(space.key(key), value);
    }

    /// Removes an entry.
    pub fn remove(&mut self, space: Space, key: &[u8]) {
        self.0.remove(space.key(key));
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Batch(..)")
    }
}

/// An open index.
pub struct Store {
    tree: sled::Db,
    path: PathBuf,
    log_id: [u8; 16],
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the index in `dir` and folds in every durable record of `log` that it lacks: `index` puts
    /// the entries that follow from one record into the batch. It must depend on the record alone.
    pub fn open(
        dir: &Path,
        log: &mut Log,
        mut index: impl FnMut(u64, &[u8], &mut Batch),
    ) -> Result<(Self, Opened), StoreError> {
        disk::create_private_dir(dir)?;
        let reason = match Self::try_open(dir, log, &mut index) {
            Ok((store, caught_up)) => return Ok((store, Opened::UpToDate { caught_up })),
            Err(StoreError::Damaged { reason, .. }) => reason,
            Err(other) => return Err(other),
        };
        let aside = disk::move_aside(dir)?;
        disk::create_private_dir(dir)?;
        let (store, _) = Self::try_open(dir, log, &mut index)?;
        Ok((store, Opened::Rebuilt { reason, aside }))
    }

    /// Whether the index in `dir` opens and can be read through. sled writes as it opens: whoever only looks gives a copy.
    ///
    /// # Errors
    /// As [`Store::open`], apart from what only its log can tell.
    pub fn probe(dir: &Path) -> Result<(), StoreError> {
        if fs::exists(dir.join(DAMAGE_NOTE)).map_err(DiskError::on("read", dir))? {
            return Err(StoreError::Damaged {
                path: dir.to_owned(),
                reason: NOTED.to_owned(),
            });
        }
        let options = sled::Config::new().path(dir).cache_capacity(CACHE);
        let tree = guard(dir, || options.open())?;
        guard(dir, || tree.iter().try_for_each(|entry| entry.map(drop)))
    }

    /// Moves the index in `dir` aside and says where to; the next [`Store::open`] builds another from the log.
    ///
    /// # Errors
    /// The system's.
    pub fn set_aside(dir: &Path) -> Result<PathBuf, DiskError> {
        disk::move_aside(dir)
    }

    fn try_open(
        dir: &Path,
        log: &mut Log,
        index: &mut impl FnMut(u64, &[u8], &mut Batch),
    ) -> Result<(Self, u64), StoreError> {
        let damaged = |reason: &str| StoreError::Damaged {
            path: dir.to_owned(),
            reason: reason.to_owned(),
        };
        if fs::exists(dir.join(DAMAGE_NOTE)).map_err(DiskError::on("read", dir))? {
            return Err(damaged(NOTED));
        }
        let options = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE)
            .flush_every_ms(Some(FLUSH_MS));
        let tree = guard(dir, || options.open())?;
        let store = Self {
            tree,
            path: dir.to_owned(),
            log_id: log.id(),
        };
        let newest = match guard(dir, || store.tree.get(STAND))? {
            // A new one says at once whose it is: caches may be put before the first record.
            None if guard(dir, || Ok(store.tree.is_empty()))? => {
                store.apply(0, Batch::default())?;
                0
            }
            None => return Err(damaged("it does not say which log it belongs to")),
            Some(stand) => match stand
                .split_at_checked(16)
                .map(|(id, seq)| (id, <[u8; 8]>::try_from(seq)))
            {
                Some((id, Ok(seq))) if id == log.id() => u64::from_le_bytes(seq),
                Some((_, Ok(_))) => return Err(damaged("it belongs to another log")),
                _ => return Err(damaged("its stand is unreadable")),
            },
        };
        if newest > log.durable_seq() {
            return Err(damaged("it knows records that the log has lost"));
        }
        let mut caught_up = 0;
        let mut failed = None;
        log.replay(|seq, record| {
            if seq > newest && failed.is_none() {
                let mut batch = Batch::default();
                index(seq, record, &mut batch);
                failed = store.apply(seq, batch).err();
                caught_up += 1;
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        store.flush()?;
        Ok((store, caught_up))
    }

    /// Folds in a record that has become durable. Numbers must grow.
    pub fn apply(&self, seq: u64, mut batch: Batch) -> Result<(), StoreError> {
        batch
            .0
            .insert(STAND, [&self.log_id[..], &seq.to_le_bytes()].concat());
        self.guard(|| self.tree.apply_batch(batch.0))
    }

    /// Sets an entry that no record stands behind, such as a cache: it is lost in a rebuild.
    pub fn put(&self, space: Space, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.guard(|| self.tree.insert(space.key(key), value))
            .map(drop)
    }

    /// Removes such an entry.
    pub fn remove(&self, space: Space, key: &[u8]) -> Result<(), StoreError> {
        self.guard(|| self.tree.remove(space.key(key))).map(drop)
    }

    /// Looks an entry up.
    pub fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .guard(|| self.tree.get(space.key(key)))?
            .map(|value| value.to_vec()))
    }

    /// Shows entries whose key starts with `prefix`, by ascending key, until `visit` breaks off.
    pub fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut entries = self.tree.scan_prefix(space.key(prefix));
        let skip = space.prefix().len();
        while let Some((key, value)) = self.guard(|| entries.next().transpose())? {
            if visit(&key[skip..], &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Makes everything so far durable. Not needed for safety (the log is the truth); it shortens the next start.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.guard(|| self.tree.flush()).map(drop)
    }

    /// As [`guard`]; damage is noted for the next start.
    fn guard<T>(&self, work: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
        let done = guard(&self.path, work);
        if matches!(done, Err(StoreError::Damaged { .. })) {
            // The error itself goes up; a note that cannot be written only means that it will come again.
            let _ = disk::create_whole(
                &self.path.join(DAMAGE_NOTE),
                b"see the log of the previous run\n",
            );
        }
        done
    }
}

/// Runs a sled operation. sled panics on some damage that it finds: that is damage as well, not a crash.
fn guard<T>(dir: &Path, work: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    let damaged = |reason: String| StoreError::Damaged {
        path: dir.to_owned(),
        reason,
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(e))) if e.to_string().contains("could not acquire lock") => {
            Err(StoreError::InUse {
                path: dir.to_owned(),
            })
        }
        // What sled calls an input error is its own file being no file of sled's.
        Ok(Err(sled::Error::Io(e)))
            if matches!(e.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            Err(damaged(e.to_string()))
        }
        Ok(Err(sled::Error::Io(e))) => Err(DiskError::new("use the index", dir, e).into()),
        Ok(Err(other)) => Err(damaged(other.to_string())),
        Err(_) => Err(damaged("its library panicked".to_owned())),
    }
}
