//! Blobs: bytes named by their BLAKE3 hash, kept as files and streamed between peers with every 16 KiB group verified.
//!
//! [`store`] keeps them on disk, [`serve`] answers strangers, [`fetch`] asks one source for one range, [`wire`] is the
//! fixed-size request and reply header between the two; `download` and `plan` share a blob out among several sources, and
//! [`line`] says how fast all of it goes.
//! None of it decides *what* to fetch or keep: the core does.
//!
//! Invariant: a file under its final name holds exactly the bytes that its name promises, because it gets that name by
//! a rename after they were verified and synced.

pub(crate) mod download;
pub mod fetch;
pub mod line;
mod pipe;
mod plan;
pub mod serve;
mod sink;
pub mod store;
pub mod wire;

pub use store::{BlobError, BlobHash, BlobStore};

use bao_tree::BlockSize;

/// Bytes under one leaf of the verified stream.
pub const GROUP_BYTES: u64 = 16 * 1024;

/// Longest blob that is stored or fetched: what an input of a job may have.
pub const MAX_BLOB_BYTES: u64 = starling_protocol::config::INPUT_LEN_MAX;

/// The same as bao-tree counts it: 2^4 chunks of 1 KiB.
pub(crate) const GROUP: BlockSize = BlockSize::from_chunk_log(4);

#[cfg(test)]
mod tests;
