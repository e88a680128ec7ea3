//! Bounded byte pipes between an async stream and the blocking bao-tree calls.
//!
//! Each end notices when the other one goes away, so that neither a stalled stranger nor a cancelled task leaves a
//! thread behind; memory per pipe is at most `DEPTH + 1` blocks.

use std::io::{self, Read, Write};

use tokio::sync::mpsc;

/// Bytes moved at once, at most: four groups and their parents. Each block wakes a thread.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;
/// Blocks that wait in a pipe.
const DEPTH: usize = 4;

/// Opens a pipe.
pub(crate) fn channel() -> (mpsc::Sender<Vec<u8>>, mpsc::Receiver<Vec<u8>>) {
    mpsc::channel(DEPTH)
}

/// The blocking end that reads what an async task received.
pub(crate) struct PipeReader {
    blocks: mpsc::Receiver<Vec<u8>>,
    block: Vec<u8>,
    read: usize,
}

impl PipeReader {
    pub(crate) fn new(blocks: mpsc::Receiver<Vec<u8>>) -> Self {
        PipeReader {
            blocks,
            block: Vec::new(),
            read: 0,
        }
    }
}

impl Read for PipeReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.read == self.block.len() {
            match self.blocks.blocking_recv() {
                Some(block) => (self.block, self.read) = (block, 0),
                None => return Ok(0),
            }
        }
        let n = out.len().min(self.block.len() - self.read);
        out[..n].copy_from_slice(&self.block[self.read..self.read + n]);
        self.read += n;
        Ok(n)
    }
}

/// The blocking end that writes what an async task will send.
pub(crate) struct PipeWriter {
    blocks: mpsc::Sender<Vec<u8>>,
    block: Vec<u8>,
}

impl PipeWriter {
    pub(crate) fn new(blocks: mpsc::Sender<Vec<u8>>) -> Self {
        PipeWriter {
            blocks,
            block: Vec::with_capacity(BLOCK_BYTES),
        }
    }
}

impl Write for PipeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..n]);
        if self.block.len() == BLOCK_BYTES {
            self.flush()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK_BYTES));
        self.blocks
            .blocking_send(full)
            .map_err(|_| io::ErrorKind::ConnectionReset.into())
    }
}
