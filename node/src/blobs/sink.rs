//! Writers of the store: what was verified is gathered into large writes, what is read from a file is copied on the way.
//!
//! A write per group and per pair of hashes would double the system calls. Nothing here verifies anything.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use bao_tree::{BaoTree, TreeNode, io::sync::WriteAt};
use tokio::task::JoinHandle;

use super::GROUP;

/// Bytes that are written at once: 16 groups.
pub(crate) const WRITE_BYTES: usize = 256 * 1024;

/// Bytes after which the system is asked to write them to the disk, so that little is left for the sync at the end.
const WRITE_BACK_BYTES: u64 = 32 << 20;

/// Where the verified bytes and hashes of one range go.
pub(crate) struct Sink {
    tree: BaoTree,
    data: Gather,
    nodes: Option<Gather>,
    /// Handed to the system since it was last asked to write.
    unwritten: u64,
    writing: Option<JoinHandle<()>>,
}

impl Sink {
    /// Of a blob of `len` bytes; one of a single group has no file of hashes.
    pub(crate) fn new(len: u64, data: File, nodes: Option<File>) -> Self {
        Sink {
            tree: BaoTree::new(len, GROUP),
            data: Gather::new(data),
            nodes: nodes.map(Gather::new),
            unwritten: 0,
            writing: None,
        }
    }

    /// Takes a verified pair of hashes.
    pub(crate) fn save(
        &mut self,
        node: TreeNode,
        (left, right): &(blake3::Hash, blake3::Hash),
    ) -> io::Result<()> {
        let place = self.tree.pre_order_offset(node);
        match (&mut self.nodes, place) {
            (Some(nodes), Some(place)) => {
                let mut pair = [0; 64];
                pair[..32].copy_from_slice(left.as_bytes());
                pair[32..].copy_from_slice(right.as_bytes());
                nodes.write(place * pair.len() as u64, &pair)
            }
            _ => Ok(()),
        }
    }

    /// Takes verified bytes; whether it is time to [`flush`](Sink::flush).
    pub(crate) fn write(&mut self, pos: u64, bytes: &[u8]) -> io::Result<bool> {
        self.data.write(pos, bytes)?;
        Ok(self.data.bytes.len() >= WRITE_BYTES)
    }

    /// Hands everything to the system.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.unwritten += self.data.bytes.len() as u64;
        self.data.flush()?;
        self.nodes.as_mut().map_or(Ok(()), Gather::flush)?;
        if self.unwritten >= WRITE_BACK_BYTES {
            self.write_back();
        }
        Ok(())
    }

    /// Begins to write to the disk, unless that is under way.
    fn write_back(&mut self) {
        if self.writing.as_ref().is_some_and(|w| !w.is_finished()) {
            return;
        }
        if let Ok(file) = self.data.file.try_clone() {
            self.unwritten = 0;
            // Its failure is seen again by the last sync, which has opened the file for itself.
            let write = move || drop(file.sync_data());
            self.writing = Some(tokio::task::spawn_blocking(write));
        }
    }
}

/// Joins writes that follow each other.
struct Gather {
    file: File,
    at: u64,
    bytes: Vec<u8>,
}

impl Gather {
    fn new(file: File) -> Self {
        Gather {
            file,
            at: 0,
            bytes: Vec::new(),
        }
    }

    fn write(&mut self, pos: u64, bytes: &[u8]) -> io::Result<()> {
        if pos != self.at + self.bytes.len() as u64 || self.bytes.len() >= WRITE_BYTES {
            self.flush()?;
            self.at = pos;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(self.at, &self.bytes)?;
        self.at += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

/// A file that is copied while it is read.
pub(crate) struct Copying<R> {
    source: R,
    target: File,
    /// Bytes so far.
    pub(crate) copied: u64,
    /// Whether an error came from the target.
    pub(crate) target_failed: bool,
}

impl<R: Read> Copying<R> {
    pub(crate) fn new(source: R, target: File) -> Self {
        Copying {
            source,
            target,
            copied: 0,
            target_failed: false,
        }
    }
}

impl<R: Read> Read for Copying<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(out)?;
        self.target
            .write_all(&out[..n])
            .inspect_err(|_| self.target_failed = true)?;
        self.copied += n as u64;
        Ok(n)
    }
}
