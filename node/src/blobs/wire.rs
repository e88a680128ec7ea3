//! What two peers say on a blob stream before the verified bytes: a request of 49 bytes, a reply header of 9.
//!
//! Half-duplex: the client writes its whole request before it reads, the server reads all of it before it answers
//! (a peer that streams while the other one still writes can hang both). Numbers are little-endian.
//!
//! ```text
//! request: version u8 = 1 | hash [32] | start u64 | end u64     bytes start..end; end = u64::MAX is "to the last one"
//! reply:   status u8 | length of the whole blob u64             then, if Found, bao: parents and groups in pre-order
//! ```

use bao_tree::{ByteRanges, ChunkRanges, io::round_up_to_chunks, io::round_up_to_chunks_groups};

use super::{BlobHash, GROUP};

/// The only version of the request so far.
pub const VERSION: u8 = 1;
/// Length of an encoded [`Request`].
pub const REQUEST_BYTES: usize = 1 + 32 + 8 + 8;
/// Length of an encoded [`Reply`].
pub const REPLY_BYTES: usize = 1 + 8;

/// Asks for a byte range of one blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The blob.
    pub hash: BlobHash,
    /// First byte wanted.
    pub start: u64,
    /// One past the last byte wanted; `u64::MAX` means all that follow.
    pub end: u64,
}

/// How a server answers a [`Request`]; one without a free slot closes the stream instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The verified stream of the range follows; the whole blob is `len` bytes long.
    Found {
        /// Length of the whole blob.
        len: u64,
    },
    /// This peer does not hold the blob.
    NotFound,
    /// The request makes no sense (unknown version, empty range, range beyond the end).
    Refused,
}

/// The bytes are no message of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The request's version is not [`VERSION`].
    #[error("unknown version {0}")]
    Version(u8),
    /// `start` is not below `end`.
    #[error("the range is empty")]
    EmptyRange,
    /// The reply's status byte has no meaning.
    #[error("unknown status {0}")]
    Status(u8),
}

impl Request {
    /// The whole blob.
    pub fn whole(hash: BlobHash) -> Self {
        Request {
            hash,
            start: 0,
            end: u64::MAX,
        }
    }

    /// Writes the request as it stands on the wire.
    pub fn encode(&self) -> [u8; REQUEST_BYTES] {
        let mut out = [0; REQUEST_BYTES];
        out[0] = VERSION;
        out[1..33].copy_from_slice(&self.hash);
        out[33..41].copy_from_slice(&self.start.to_le_bytes());
        out[41..49].copy_from_slice(&self.end.to_le_bytes());
        out
    }

    /// Reads a request; any 49 bytes give a request or an error.
    pub fn decode(bytes: &[u8; REQUEST_BYTES]) -> Result<Self, WireError> {
        let (version, rest) = (bytes[0], &bytes[1..]);
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(&rest[..32]);
        let (start, end) = (u64_le(&rest[32..40]), u64_le(&rest[40..48]));
        if start >= end {
            return Err(WireError::EmptyRange);
        }
        Ok(Request { hash, start, end })
    }

    /// The chunks that a blob of `len` bytes sends for this request; both sides must agree on them.
    /// `None` if the range starts beyond the end.
    pub fn chunks(&self, len: u64) -> Option<ChunkRanges> {
        if self.start == 0 && self.end >= len {
            return Some(ChunkRanges::all());
        }
        if self.start >= len {
            return None;
        }
        let bytes = ByteRanges::from(self.start..self.end.min(len));
        Some(round_up_to_chunks_groups(round_up_to_chunks(&bytes), GROUP))
    }
}

impl Reply {
    /// Writes the header as it stands on the wire.
    pub fn encode(&self) -> [u8; REPLY_BYTES] {
        let (status, len) = match *self {
            Reply::Found { len } => (0, len),
            Reply::NotFound => (1, 0),
            Reply::Refused => (2, 0),
        };
        let mut out = [0; REPLY_BYTES];
        out[0] = status;
        out[1..].copy_from_slice(&u64::to_le_bytes(len));
        out
    }

    /// Reads a header; any 9 bytes give a reply or an error.
    pub fn decode(bytes: &[u8; REPLY_BYTES]) -> Result<Self, WireError> {
        match bytes[0] {
            0 => Ok(Reply::Found {
                len: u64_le(&bytes[1..]),
            }),
            1 => Ok(Reply::NotFound),
            2 => Ok(Reply::Refused),
            other => Err(WireError::Status(other)),
        }
    }
}

fn u64_le(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}
