//! The blobs on disk: `<64 hex digits>` holds the bytes, `<64 hex digits>.bao` the hash tree of those above one group.
//!
//! Not a cache: nothing is evicted here, a full store refuses. Calls block on the disk, so async code runs them on a
//! blocking thread. A name is only ever made from 32 bytes of hash, never from text that a stranger sent.
//!
//! Invariant: the tree is renamed into place before the bytes, and removed after them; a crash in between leaves at
//! worst a tree without bytes, which `open` sweeps away.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use bao_tree::{
    BaoTree,
    io::{
        outboard::PreOrderOutboard,
        sync::{CreateOutboard, ReadAt, WriteAt},
    },
};
use tempfile::NamedTempFile;

use super::{
    GROUP, GROUP_BYTES, MAX_BLOB_BYTES,
    sink::{Copying, Sink, WRITE_BYTES},
};

/// BLAKE3 of the bytes.
pub type BlobHash = [u8; 32];

/// What each blob costs beside its bytes and tree (an inode, a block, an index entry), so that empty ones are not free.
const ENTRY_BYTES: u64 = 4096;
/// Temporary files live here; it is emptied at start.
const INCOMING: &str = "incoming";
const TREE_SUFFIX: &str = ".bao";

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The cap on all blobs together would be passed.
    #[error(
        "the blob store is full: {wanted} bytes wanted, {used} of {max} used (raise its limit, or remove blobs)"
    )]
    Full {
        /// Bytes that this blob costs.
        wanted: u64,
        /// Bytes in use or promised.
        used: u64,
        /// The cap.
        max: u64,
    },
    /// Longer than any blob may be.
    #[error("{len} bytes are more than the {max} that a blob may have")]
    TooLarge {
        /// Its length.
        len: u64,
        /// The longest that is taken.
        max: u64,
    },
    /// The bytes on disk are not those that the name promises; they were removed.
    #[error("blob {0} was corrupt on disk and has been removed")]
    Corrupt(blake3::Hash),
    /// A file changed its length while it was read in.
    #[error("{0} changed while it was being stored")]
    Changed(PathBuf),
    /// The disk failed.
    #[error("blob store in {dir}: {source}")]
    Io {
        /// The store's folder.
        dir: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
}

/// A folder of blobs, shared by its clones.
#[derive(Clone, Debug)]
pub struct BlobStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    max_bytes: u64,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    /// Length of each blob.
    blobs: BTreeMap<BlobHash, u64>,
    /// Cost of all blobs and of the reservations.
    used: u64,
}

impl BlobStore {
    /// Opens or creates the store in `dir`, whose blobs may cost `max_bytes` together (each one its length, its tree
    /// and 4 KiB). Sweeps what a crash left behind.
    pub fn open(dir: impl Into<PathBuf>, max_bytes: u64) -> Result<Self, BlobError> {
        let dir = dir.into();
        let io = |source| BlobError::Io {
            dir: dir.clone(),
            source,
        };
        create_private_dir(&dir).map_err(io)?;
        let incoming = dir.join(INCOMING);
        if incoming.exists() {
            fs::remove_dir_all(&incoming).map_err(io)?;
        }
        create_private_dir(&incoming).map_err(io)?;
        let index = scan(&dir).map_err(io)?;
        Ok(BlobStore {
            inner: Arc::new(Inner {
                dir,
                max_bytes,
                index: Mutex::new(index),
            }),
        })
    }

    /// Stores `bytes` and returns their hash. Storing what is there already costs nothing.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobHash, BlobError> {
        let hash = *blake3::hash(bytes).as_bytes();
        if self.has(&hash) {
            return Ok(hash);
        }
        let mut incoming = self.begin(bytes.len() as u64)?;
        incoming
            .data
            .write_all(bytes)
            .map_err(|e| self.io_error(e))?;
        incoming.plant(bytes).map_err(|e| self.io_error(e))?;
        incoming.commit(hash)?;
        Ok(hash)
    }

    /// Copies the file at `path` into the store without reading it whole into memory; returns hash and length.
    pub fn put_file(&self, path: &Path) -> Result<(BlobHash, u64), BlobError> {
        let io = |source| BlobError::Io {
            dir: path.to_path_buf(),
            source,
        };
        let source = File::open(path).map_err(io)?;
        let len = source.metadata().map_err(io)?.len();
        let incoming = self.begin(len)?;
        let target = incoming.data.reopen().map_err(|e| self.io_error(e))?;
        let mut copying = Copying::new(source.take(len.saturating_add(1)), target);
        // One pass copies, hashes and computes the tree.
        let planted = incoming.plant(io::BufReader::with_capacity(WRITE_BYTES, &mut copying));
        let hash = match planted {
            Ok(hash) => hash,
            Err(e) if copying.target_failed => return Err(self.io_error(e)),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(BlobError::Changed(path.to_path_buf()));
            }
            Err(e) => return Err(io(e)),
        };
        // A file that has grown is read one byte too far.
        io::copy(&mut copying, &mut io::sink()).map_err(io)?;
        if copying.copied != len {
            return Err(BlobError::Changed(path.to_path_buf()));
        }
        if !self.has(&hash) {
            incoming.commit(hash)?;
        }
        Ok((hash, len))
    }

    /// The whole blob, checked against its name; `None` if it is not here.
    pub fn get(&self, hash: &BlobHash) -> Result<Option<Vec<u8>>, BlobError> {
        if !self.has(hash) {
            return Ok(None);
        }
        let bytes = match fs::read(self.path(hash)) {
            Ok(bytes) => bytes,
            // Removed between the two looks.
            Err(e) if e.kind() == io::ErrorKind::NotFound && !self.has(hash) => return Ok(None),
            Err(e) => return Err(self.io_error(e)),
        };
        let name = blake3::Hash::from_bytes(*hash);
        if blake3::hash(&bytes) != name {
            self.remove(hash)?;
            return Err(BlobError::Corrupt(name));
        }
        Ok(Some(bytes))
    }

    /// Whether the blob is here.
    pub fn has(&self, hash: &BlobHash) -> bool {
        self.index().blobs.contains_key(hash)
    }

    /// Length of the blob in bytes, if it is here.
    pub fn len(&self, hash: &BlobHash) -> Option<u64> {
        self.index().blobs.get(hash).copied()
    }

    /// Removes the blob; `false` if it was not here. Streams that are being served go on.
    pub fn remove(&self, hash: &BlobHash) -> Result<bool, BlobError> {
        let mut index = self.index();
        let Some(len) = index.blobs.get(hash).copied() else {
            return Ok(false);
        };
        remove_if_there(&self.path(hash)).map_err(|e| self.io_error(e))?;
        remove_if_there(&self.tree_path(hash)).map_err(|e| self.io_error(e))?;
        index.blobs.remove(hash);
        index.used = index.used.saturating_sub(cost(len));
        Ok(true)
    }

    /// Hash and length of every blob, ordered by hash.
    pub fn list(&self) -> Vec<(BlobHash, u64)> {
        self.index()
            .blobs
            .iter()
            .map(|(hash, len)| (*hash, *len))
            .collect()
    }

    /// Cost of all blobs, with those that are still arriving, in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.index().used
    }

    /// Opens a blob and its tree for serving; `None` if it is not here.
    pub(crate) fn open_blob(&self, hash: &BlobHash) -> Result<Option<OpenBlob>, BlobError> {
        let Some(len) = self.len(hash) else {
            return Ok(None);
        };
        let data = File::open(self.path(hash)).map_err(|e| self.io_error(e))?;
        let nodes = if len > GROUP_BYTES {
            Nodes::File(File::open(self.tree_path(hash)).map_err(|e| self.io_error(e))?)
        } else {
            Nodes::None
        };
        Ok(Some(OpenBlob {
            len,
            data,
            tree: PreOrderOutboard {
                root: blake3::Hash::from_bytes(*hash),
                tree: BaoTree::new(len, GROUP),
                data: nodes,
            },
        }))
    }

    /// Reserves room for a blob of `len` bytes and opens its temporary files.
    pub(crate) fn begin(&self, len: u64) -> Result<Incoming, BlobError> {
        if len > MAX_BLOB_BYTES {
            let max = MAX_BLOB_BYTES;
            return Err(BlobError::TooLarge { len, max });
        }
        let wanted = cost(len);
        {
            let mut index = self.index();
            let used = index.used;
            let max = self.inner.max_bytes;
            index.used = match used.checked_add(wanted) {
                Some(sum) if sum <= max => sum,
                _ => return Err(BlobError::Full { wanted, used, max }),
            };
        }
        let reservation = Reservation {
            store: self.clone(),
            bytes: wanted,
        };
        let dir = self.inner.dir.join(INCOMING);
        let file = || NamedTempFile::new_in(&dir).map_err(|e| self.io_error(e));
        Ok(Incoming {
            len,
            data: file()?,
            tree: if len > GROUP_BYTES {
                Some(file()?)
            } else {
                None
            },
            reservation,
        })
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // The index is consistent between statements: a panic elsewhere does not spoil it.
        self.inner.index.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn path(&self, hash: &BlobHash) -> PathBuf {
        let name = blake3::Hash::from_bytes(*hash).to_hex();
        self.inner.dir.join(name.as_str())
    }

    fn tree_path(&self, hash: &BlobHash) -> PathBuf {
        let name = blake3::Hash::from_bytes(*hash).to_hex();
        self.inner.dir.join(format!("{name}{TREE_SUFFIX}"))
    }

    pub(crate) fn io_error(&self, source: io::Error) -> BlobError {
        BlobError::Io {
            dir: self.inner.dir.clone(),
            source,
        }
    }
}

/// A blob opened for serving.
pub(crate) struct OpenBlob {
    pub(crate) len: u64,
    pub(crate) data: File,
    pub(crate) tree: PreOrderOutboard<Nodes>,
}

/// Where the inner hashes are; a blob of one group has none.
pub(crate) enum Nodes {
    File(File),
    None,
}

impl ReadAt for Nodes {
    fn read_at(&self, pos: u64, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Nodes::File(file) => file.read_at(pos, buf),
            Nodes::None => Ok(0),
        }
    }
}

impl WriteAt for Nodes {
    fn write_at(&mut self, pos: u64, buf: &[u8]) -> io::Result<usize> {
        match self {
            Nodes::File(file) => file.write_at(pos, buf),
            Nodes::None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Nodes::File(file) => WriteAt::flush(file),
            Nodes::None => Ok(()),
        }
    }
}

/// A blob on its way in; dropped without [`commit`](Incoming::commit) it leaves nothing behind.
pub(crate) struct Incoming {
    len: u64,
    data: NamedTempFile,
    tree: Option<NamedTempFile>,
    reservation: Reservation,
}

impl Incoming {
    /// Where verified bytes and hashes go; there may be several at once.
    pub(crate) fn sink(&self) -> io::Result<Sink> {
        let nodes = self.tree.as_ref().map(NamedTempFile::reopen).transpose()?;
        Ok(Sink::new(self.len, self.data.reopen()?, nodes))
    }

    /// Computes the tree of all `bytes` and returns their hash.
    fn plant(&self, bytes: impl Read) -> io::Result<BlobHash> {
        let mut outboard = PreOrderOutboard {
            root: blake3::hash(&[]),
            tree: BaoTree::new(self.len, GROUP),
            data: match &self.tree {
                Some(file) => Nodes::File(file.reopen()?),
                None => Nodes::None,
            },
        };
        outboard.init_from(bytes)?;
        Ok(*outboard.root.as_bytes())
    }

    /// Syncs the files and gives them their names. The caller has verified every byte against `hash`.
    pub(crate) fn commit(self, hash: BlobHash) -> Result<(), BlobError> {
        let Incoming {
            len,
            data,
            tree,
            reservation,
        } = self;
        let store = reservation.store.clone();
        let sync = |file: &NamedTempFile| file.as_file().sync_all().map_err(|e| store.io_error(e));
        sync(&data)?;
        if let Some(tree) = &tree {
            sync(tree)?;
        }
        // Held over the renames, so that a removal of the same blob comes before or after, never between.
        let mut index = store.index();
        if index.blobs.contains_key(&hash) {
            drop(index);
            return Ok(());
        }
        let name = |file: NamedTempFile, path| match file.persist(path) {
            Ok(_) => Ok(()),
            Err(e) => Err(store.io_error(e.error)),
        };
        let named = match tree {
            Some(tree) => name(tree, store.tree_path(&hash)),
            None => Ok(()),
        };
        let named = named
            .and_then(|()| name(data, store.path(&hash)))
            .and_then(|()| sync_dir(&store.inner.dir).map_err(|e| store.io_error(e)));
        if named.is_ok() {
            index.blobs.insert(hash, len);
            // The blob now carries what was reserved for it.
            index.used = index.used.saturating_add(reservation.bytes);
        }
        drop(index);
        named
    }
}

/// Room promised to a blob that is on its way; given back when dropped.
struct Reservation {
    store: BlobStore,
    bytes: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut index = self.store.index();
        index.used = index.used.saturating_sub(self.bytes);
    }
}

/// What a blob of `len` bytes is charged.
fn cost(len: u64) -> u64 {
    let tree = BaoTree::new(len, GROUP).outboard_size();
    len.saturating_add(tree).saturating_add(ENTRY_BYTES)
}

/// Reads the folder into an index, and mends or removes what does not fit together.
fn scan(dir: &Path) -> io::Result<Index> {
    let mut index = Index::default();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(blob) = name.strip_suffix(TREE_SUFFIX) {
            if parse_name(blob).is_some() && !dir.join(blob).exists() {
                fs::remove_file(entry.path())?;
            }
            continue;
        }
        let Some(hash) = parse_name(name) else {
            continue;
        };
        let metadata = entry.metadata()?;
        if !metadata.is_file() {
            continue;
        }
        let len = metadata.len();
        if mend_tree(dir, name, hash, len)? {
            index.blobs.insert(hash, len);
            index.used = index.used.saturating_add(cost(len));
        }
    }
    Ok(index)
}

/// Makes sure that the tree beside the blob is there and complete; `false` if the bytes were wrong and are gone.
fn mend_tree(dir: &Path, name: &str, hash: BlobHash, len: u64) -> io::Result<bool> {
    let tree = BaoTree::new(len, GROUP);
    let tree_path = dir.join(format!("{name}{TREE_SUFFIX}"));
    let there = fs::metadata(&tree_path).map_or(0, |m| m.len());
    if there == tree.outboard_size() {
        return Ok(true);
    }
    let path = dir.join(name);
    let rebuilt = NamedTempFile::new_in(dir.join(INCOMING))?;
    let mut outboard = PreOrderOutboard {
        root: blake3::Hash::from_bytes(hash),
        tree,
        data: Nodes::File(rebuilt.reopen()?),
    };
    outboard.init_from(io::BufReader::with_capacity(64 * 1024, File::open(&path)?))?;
    if outboard.root.as_bytes() != &hash {
        remove_if_there(&path)?;
        remove_if_there(&tree_path)?;
        return Ok(false);
    }
    rebuilt.as_file().sync_all()?;
    rebuilt.persist(&tree_path).map_err(|e| e.error)?;
    Ok(true)
}

fn parse_name(name: &str) -> Option<BlobHash> {
    let hash = blake3::Hash::from_hex(name).ok()?;
    // Upper-case digits would give one blob two names.
    (hash.to_hex().as_str() == name).then_some(*hash.as_bytes())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Creates `dir` for this user alone: outputs of jobs are private.
fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Makes renames in `dir` durable, where the system lets a folder be synced.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}
