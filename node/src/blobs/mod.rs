//! Blobs: bytes named by their BLAKE3 hash, kept as files and streamed between peers with every 16 KiB group verified.
//!
//! [`store`] keeps them on disk, [`serve`] answers strangers, [`fetch`] asks one source after another, [`wire`] is the
//! fixed-size request and reply header between the two. None of it decides *what* to fetch or keep: the core does.
//!
//! Invariant: a file under its final name holds exactly the bytes that its name promises, because it gets that name by
//! a rename after they were verified and synced.

pub mod fetch;
mod pipe;
pub mod serve;
pub mod store;
pub mod wire;

pub use store::{BlobError, BlobHash, BlobStore};

use bao_tree::BlockSize;

/// Bytes under one leaf of the verified stream.
pub const GROUP_BYTES: u64 = 16 * 1024;

/// The same as bao-tree counts it: 2^4 chunks of 1 KiB.
pub(crate) const GROUP: BlockSize = BlockSize::from_chunk_log(4);

#[cfg(test)]
mod tests;
