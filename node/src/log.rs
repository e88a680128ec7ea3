//! The log: the truth of a peer, as an append-only file of opaque records.
//!
//! What a peer signed or was given (commitments, witness locks, receipts) is in here, fsynced, before it
//! leaves the machine; everything else can be rebuilt. Not a database: records are read back in order, at
//! start. Layout in [`scan`], group commit for the driver in [`writer`].
//! Invariant: bytes once acknowledged are never rewritten or removed. Opening cuts off a torn tail (a
//! record that was never acknowledged) and nothing else; damage stays in place, is skipped and reported.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::home::disk::{self, DiskError};

pub mod scan;
pub mod writer;

pub use scan::Damage;
pub use writer::{LogWriter, Progress};

use scan::{HEADER_AREA, HEADER_COPIES, HEADER_LEN, Header, HeaderFault, Scan};

/// Longest record, in bytes.
pub const MAX_RECORD: usize = 64 * 1024;
/// Buffered records go to the system, unsynced, when they reach this many bytes.
const BUFFER: usize = 1024 * 1024;
const FILE_NAME: &str = "facts.log";

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log belongs to another swarm. Nothing was changed.
    #[error(
        "{} belongs to swarm {found}, this peer is in swarm {expected}; choose another folder with --home DIR, or move {} away to start afresh",
        path.display(), disk::folder_of(path).display()
    )]
    OtherSwarm {
        /// The log file.
        path: PathBuf,
        /// The swarm it was written for, the first 8 bytes in hex.
        found: String,
        /// The swarm that was asked for, likewise.
        expected: String,
    },
    /// Another version of this program wrote the log. Nothing was changed.
    #[error(
        "{} has version {found}, this program reads {supported}; use the {} starling that wrote it: nothing was changed",
        path.display(), if found > supported { "newer" } else { "older" }
    )]
    Version {
        /// The log file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The one that this program reads.
        supported: u32,
    },
    /// A record is empty or longer than [`MAX_RECORD`].
    #[error("a log record has 1 to {MAX_RECORD} bytes, this one has {0}")]
    RecordSize(usize),
    /// The log stopped at an earlier error and takes nothing more until it is opened again.
    #[error("the log has stopped: {0}")]
    Stopped(Arc<LogError>),
    /// The writer was closed or its thread ended.
    #[error("the log is closed")]
    Closed,
    /// The system gave no random bytes.
    #[error("the system gave no randomness for a new log: {0}")]
    Randomness(getrandom::Error),
    /// The file or its folder could not be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Sound records.
    pub records: u64,
    /// Bytes of an unfinished last record that were cut off. It had never been acknowledged.
    pub torn_bytes: u64,
    /// Damaged places, skipped and left in the file; the first [`scan::MAX_LISTED`] of them.
    pub damage: Vec<Damage>,
    /// All bytes in damaged places.
    pub damaged_bytes: u64,
    /// Records known to be lost in damaged places.
    pub lost_records: u64,
    /// One of the two copies of the header was damaged; it was restored from the other.
    pub header_restored: bool,
    /// Nothing of the old file was readable; it lies here, and a new log was begun.
    pub moved_aside: Option<PathBuf>,
}

impl Recovery {
    /// Nothing but a torn tail at most.
    pub fn is_clean(&self) -> bool {
        self.damaged_bytes == 0 && !self.header_restored && self.moved_aside.is_none()
    }
}

/// An open log. One process at a time: [`crate::home::Home`] holds the lock.
#[derive(Debug)]
pub struct Log {
    file: File,
    path: PathBuf,
    header: Header,
    /// End of the last whole write: where the file ends, as far as this log is concerned.
    end: u64,
    /// Frames not yet handed to the system.
    buffer: Vec<u8>,
    last_seq: u64,
    durable_seq: u64,
    stopped: Option<Arc<LogError>>,
}

impl Log {
    /// Opens or creates the log of `swarm` in `dir` and hands every sound record to `visit`, in order and
    /// one at a time. Sequence numbers start at 1 and only grow; lost records leave gaps.
    pub fn open(
        dir: &Path,
        swarm: &[u8; 32],
        visit: impl FnMut(u64, &[u8]),
    ) -> Result<(Self, Recovery), LogError> {
        disk::create_private_dir(dir)?;
        let path = dir.join(FILE_NAME);
        let mut recovery = Recovery::default();
        let (file, header) = match Self::open_file(&path)? {
            None => create(&path, swarm)?,
            Some(mut file) => match read_header(&mut file, &path)? {
                (Ok(header), damaged) => {
                    header
                        .check_swarm(swarm)
                        .map_err(|found| LogError::OtherSwarm {
                            path: path.clone(),
                            found: short_hex(&found),
                            expected: short_hex(swarm),
                        })?;
                    for copy in damaged {
                        recovery.header_restored = true;
                        restore_header(&mut file, copy, &header)
                            .map_err(DiskError::on("repair", &path))?;
                    }
                    (file, header)
                }
                (Err(HeaderFault::Version(found)), _) => {
                    return Err(LogError::Version {
                        path,
                        found,
                        supported: scan::VERSION,
                    });
                }
                (Err(HeaderFault::Damaged), _) => {
                    recovery.moved_aside = Some(disk::move_aside(&path)?);
                    create(&path, swarm)?
                }
            },
        };
        let scan = scan_file(&file, &header, visit).map_err(DiskError::on("read", &path))?;
        let length = file.metadata().map_err(DiskError::on("read", &path))?.len();
        let mut log = Self {
            file,
            path,
            header,
            end: scan.end,
            buffer: Vec::new(),
            last_seq: scan.last_seq,
            durable_seq: scan.last_seq,
            stopped: None,
        };
        recovery.records = scan.records;
        recovery.torn_bytes = length.saturating_sub(scan.end);
        recovery.damage = scan.damage;
        recovery.damaged_bytes = scan.damaged_bytes;
        recovery.lost_records = scan.lost_records;
        if recovery.torn_bytes > 0 {
            log.file
                .set_len(log.end)
                .map_err(DiskError::on("shorten", &log.path))?;
        }
        // Records may have been read that a killed process wrote but never synced: now they are durable.
        log.file
            .sync_all()
            .map_err(DiskError::on("sync", &log.path))?;
        log.file
            .seek(SeekFrom::Start(log.end))
            .map_err(DiskError::on("read", &log.path))?;
        Ok((log, recovery))
    }

    /// Whether the log in `dir`, if there is one, is one that [`Log::open`] would take for `swarm`; changes nothing.
    /// Damage is no reason against it: that is dealt with on opening.
    pub fn check(dir: &Path, swarm: &[u8; 32]) -> Result<(), LogError> {
        let path = dir.join(FILE_NAME);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(DiskError::new("read", &path, e).into()),
        };
        match read_header(&mut file, &path)?.0 {
            Ok(header) => header
                .check_swarm(swarm)
                .map_err(|found| LogError::OtherSwarm {
                    path,
                    found: short_hex(&found),
                    expected: short_hex(swarm),
                }),
            Err(HeaderFault::Version(found)) => Err(LogError::Version {
                path,
                found,
                supported: scan::VERSION,
            }),
            Err(HeaderFault::Damaged) => Ok(()),
        }
    }

    /// Adds a record of 1 to [`MAX_RECORD`] bytes and returns its number. Durable only after [`Log::sync`].
    pub fn append(&mut self, record: &[u8]) -> Result<u64, LogError> {
        self.check_running()?;
        if record.is_empty() || record.len() > MAX_RECORD {
            return Err(LogError::RecordSize(record.len()));
        }
        let seq = self.last_seq + 1;
        let offset = self.end + self.buffer.len() as u64;
        self.header.frame(offset, seq, record, &mut self.buffer);
        self.last_seq = seq;
        if self.buffer.len() >= BUFFER {
            self.write_out()?;
        }
        Ok(seq)
    }

    /// Makes everything appended so far durable and returns the highest durable number.
    ///
    /// After an error the log has stopped for good: what the system did with the unsynced pages is unknown,
    /// and a second fsync would claim success for pages it had dropped. Open it again to go on.
    pub fn sync(&mut self) -> Result<u64, LogError> {
        self.check_running()?;
        if self.durable_seq < self.last_seq {
            self.write_out()?;
            if let Err(e) = self.file.sync_data() {
                return Err(self.stop(DiskError::new("sync", &self.path, e)));
            }
            self.durable_seq = self.last_seq;
        }
        Ok(self.durable_seq)
    }

    /// The number of the newest record, durable or not; 0 for none.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The highest durable number; 0 for none.
    pub fn durable_seq(&self) -> u64 {
        self.durable_seq
    }

    /// Bytes in the file.
    pub fn bytes(&self) -> u64 {
        self.end
    }

    /// Random name of this file: an index built from another log is told by it.
    pub fn id(&self) -> [u8; 16] {
        self.header.salt
    }

    /// Reads the durable records again, in order. Appends are not possible meanwhile.
    pub fn replay(&mut self, mut visit: impl FnMut(u64, &[u8])) -> Result<(), LogError> {
        let durable = self.durable_seq;
        let file = File::open(&self.path).map_err(DiskError::on("read", &self.path))?;
        let visit = |seq, record: &[u8]| {
            if seq <= durable {
                visit(seq, record);
            }
        };
        scan_file(&file, &self.header, visit).map_err(DiskError::on("read", &self.path))?;
        Ok(())
    }

    fn open_file(path: &Path) -> Result<Option<File>, LogError> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(DiskError::new("open", path, e).into()),
        }
    }

    fn write_out(&mut self) -> Result<(), LogError> {
        if let Err(e) = self.file.write_all(&self.buffer) {
            // Leave no half frame behind. If this fails too, the next open cuts it off.
            let _ = self.file.set_len(self.end);
            return Err(self.stop(DiskError::new("write", &self.path, e)));
        }
        self.end += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn stop(&mut self, error: DiskError) -> LogError {
        let error = Arc::new(LogError::Disk(error));
        self.stopped = Some(error.clone());
        LogError::Stopped(error)
    }

    fn check_running(&self) -> Result<(), LogError> {
        match &self.stopped {
            Some(error) => Err(LogError::Stopped(error.clone())),
            None => Ok(()),
        }
    }
}

fn scan_file(file: &File, header: &Header, visit: impl FnMut(u64, &[u8])) -> std::io::Result<Scan> {
    let mut file = file;
    file.seek(SeekFrom::Start(HEADER_AREA))?;
    scan::scan(file, header, visit)
}

/// A log without records. The file appears whole, so that a crash leaves either none or a sound one.
fn create(path: &Path, swarm: &[u8; 32]) -> Result<(File, Header), LogError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(LogError::Randomness)?;
    let header = Header::new(*swarm, salt);
    let mut area = vec![0; HEADER_AREA as usize];
    for copy in HEADER_COPIES {
        area[copy as usize..copy as usize + HEADER_LEN].copy_from_slice(&header.encode());
    }
    if !disk::create_whole(path, &area)? {
        let taken = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(DiskError::new("create", path, taken).into());
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(DiskError::on("open", path))?;
    Ok((file, header))
}

/// The first sound copy of the header, and where damaged copies lie.
fn read_header(
    file: &mut File,
    path: &Path,
) -> Result<(Result<Header, HeaderFault>, Vec<u64>), LogError> {
    let mut area = Vec::new();
    file.take(HEADER_AREA)
        .read_to_end(&mut area)
        .map_err(DiskError::on("read", path))?;
    let mut sound = Err(HeaderFault::Damaged);
    let mut damaged = Vec::new();
    for copy in HEADER_COPIES {
        let bytes = area.get(copy as usize..copy as usize + HEADER_LEN);
        match bytes.map_or(Err(HeaderFault::Damaged), Header::decode) {
            Ok(header) => sound = sound.or(Ok(header)),
            Err(HeaderFault::Damaged) => damaged.push(copy),
            Err(version) => return Ok((Err(version), Vec::new())),
        }
    }
    Ok((sound, damaged))
}

fn restore_header(file: &mut File, copy: u64, header: &Header) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(copy))?;
    file.write_all(&header.encode())?;
    file.sync_data()
}

fn short_hex(bytes: &[u8; 32]) -> String {
    bytes[..8].iter().map(|b| format!("{b:02x}")).collect()
}
