//! The client's half of a blob stream: asks one source after the other until the blob is here.
//!
//! Nothing that a source says is believed: its length is compared with the caller's cap before anything is allocated,
//! every group is checked against the hash while it arrives, and the first wrong one ends the stream. The groups before
//! it hold, whoever sent them: the next source is asked for the rest only.

use std::time::Duration;

use bao_tree::{ChunkRanges, io::DecodeError, io::sync::decode_ranges};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::{sync::mpsc, time::timeout};

use super::{
    BlobError, BlobHash, BlobStore, GROUP_BYTES,
    pipe::{self, BLOCK_BYTES, PipeReader},
    serve::blocking,
    store::Incoming,
    wire::{REPLY_BYTES, Reply, Request, WireError},
};

/// How long a source is waited for.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// Longest wait for a stream to open, and for each block.
    pub idle: Duration,
    /// Least average rate; a blob of `n` bytes may take `idle + n / rate`.
    pub least_bytes_per_s: u64,
    /// How often a busy source is asked before the next one gets its turn.
    pub tries: u32,
    /// Wait before a busy source is asked again; doubles each time.
    pub backoff: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        FetchLimits {
            idle: Duration::from_secs(10),
            least_bytes_per_s: 64 * 1024,
            tries: 4,
            backoff: Duration::from_millis(100),
        }
    }
}

/// What went wrong with one source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No stream could be opened to it.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// It does not hold the blob.
    #[error("does not have it")]
    NotFound,
    /// It has too many streams open.
    #[error("busy")]
    Busy,
    /// It does not accept the request.
    #[error("refused the request")]
    Refused,
    /// It said or sent nothing for too long, or too slowly.
    #[error("timed out")]
    Timeout,
    /// It announced more bytes than the caller accepts.
    #[error("announced {len} bytes, {max} accepted")]
    TooLarge {
        /// Bytes announced.
        len: u64,
        /// Bytes accepted.
        max: u64,
    },
    /// It announced another length than the source before it: what came so far is dropped, and it may be asked again.
    #[error("announced another length than the source before it")]
    Length,
    /// Its bytes do not match the hash: it lies, or its disk does.
    #[error("sent bytes that do not match the hash")]
    Mismatch,
    /// It speaks another protocol.
    #[error("not a blob reply: {0}")]
    Wire(#[from] WireError),
    /// The stream broke.
    #[error("stream: {0}")]
    Stream(#[from] std::io::Error),
    /// The own store failed.
    #[error(transparent)]
    Store(#[from] BlobError),
}

/// Asks one source over an open stream for a whole blob of at most `max_len` bytes; returns its length, with the blob
/// in the store.
///
/// # Errors
/// [`SourceError`]; nothing of what came is left in the store.
pub async fn fetch<S>(
    stream: &mut S,
    store: &BlobStore,
    hash: BlobHash,
    max_len: u64,
    limits: FetchLimits,
) -> Result<u64, SourceError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fetch_from(stream, store, hash, max_len, limits, &mut None).await
}

/// Asks one source over an open stream for what `partial` lacks; on success the blob is in the store. Returns its
/// length. What came before a failure stays in `partial`.
pub(crate) async fn fetch_from<S>(
    stream: &mut S,
    store: &BlobStore,
    hash: BlobHash,
    max_len: u64,
    limits: FetchLimits,
    partial: &mut Option<Incoming>,
) -> Result<u64, SourceError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Whole groups are sent; the one at hand is asked for again.
    let start = partial
        .as_ref()
        .map_or(0, |p| p.done / GROUP_BYTES * GROUP_BYTES);
    let request = Request {
        hash,
        start,
        end: u64::MAX,
    };
    let header = async {
        stream.write_all(&request.encode()).await?;
        stream.flush().await?;
        let mut header = [0; REPLY_BYTES];
        stream.read_exact(&mut header).await?;
        Ok::<_, std::io::Error>(header)
    };
    let header = match timeout(limits.idle, header).await {
        Ok(Ok(header)) => header,
        // A server without a free slot drops the stream unanswered.
        Ok(Err(_)) => return Err(SourceError::Busy),
        Err(_) => return Err(SourceError::Timeout),
    };
    let len = match Reply::decode(&header)? {
        Reply::Found { len } => len,
        Reply::NotFound => return Err(SourceError::NotFound),
        // A length that an earlier source made up may lie beyond the end.
        Reply::Refused if start > 0 => {
            *partial = None;
            return Err(SourceError::Length);
        }
        Reply::Refused => return Err(SourceError::Refused),
    };
    if len > max_len {
        return Err(SourceError::TooLarge { len, max: max_len });
    }
    // The tree of an empty blob is a single leaf that some encoders leave out.
    if len == 0 && blake3::hash(&[]) != hash {
        return Err(SourceError::Mismatch);
    }
    let incoming = match partial.take() {
        // Only the last group proves a length: one of the two sources lies, and nobody knows which.
        Some(before) if before.len != len && start > 0 => return Err(SourceError::Length),
        Some(before) if before.len == len => before,
        _ => {
            let store = store.clone();
            blocking(move || store.begin(len)).await??
        }
    };
    let chunks = request.chunks(len).ok_or(SourceError::Mismatch)?;
    let (blocks, received) = pipe::channel();
    let mut verify = tokio::task::spawn_blocking(move || verify(received, incoming, chunks, hash));
    let rest = len.saturating_sub(start);
    let deadline = limits.idle + Duration::from_secs(rest / limits.least_bytes_per_s.max(1));
    let moved = timeout(deadline, async {
        tokio::select! {
            verified = &mut verify => Moved::Verified(verified),
            pumped = pump(stream, blocks, limits.idle) => Moved::Pumped(pumped),
        }
    });
    let (moved, verified) = match moved.await {
        Ok(Moved::Verified(verified)) => (Ok(()), verified),
        // The pipe is closed: the verifier ends with what it has.
        Ok(Moved::Pumped(pumped)) => (pumped, verify.await),
        Err(_) => (Err(SourceError::Timeout), verify.await),
    };
    let (rest, verified) = verified.map_err(std::io::Error::other)?;
    *partial = rest;
    match (moved, verified) {
        (_, Ok(())) => Ok(len),
        (Err(stalled), Err(SourceError::Stream(_))) => Err(stalled),
        (_, Err(error)) => Err(error),
    }
}

/// Which side of the pipe ended first.
enum Moved {
    Verified(Result<(Option<Incoming>, Result<(), SourceError>), tokio::task::JoinError>),
    Pumped(Result<(), SourceError>),
}

/// Moves bytes from the stream into the pipe until either side ends.
async fn pump<S: AsyncRead + Unpin>(
    stream: &mut S,
    blocks: mpsc::Sender<Vec<u8>>,
    idle: Duration,
) -> Result<(), SourceError> {
    loop {
        let mut block = vec![0; BLOCK_BYTES];
        let n = timeout(idle, stream.read(&mut block))
            .await
            .map_err(|_| SourceError::Timeout)??;
        if n == 0 {
            return Ok(());
        }
        block.truncate(n);
        if blocks.send(block).await.is_err() {
            return Ok(());
        }
    }
}

/// Checks every group as it comes out of the pipe, writes it and its tree, and commits the blob; if it does not get so
/// far, what came is given back.
fn verify(
    received: mpsc::Receiver<Vec<u8>>,
    mut incoming: Incoming,
    chunks: ChunkRanges,
    hash: BlobHash,
) -> (Option<Incoming>, Result<(), SourceError>) {
    let mut outboard = match incoming.outboard(hash) {
        Ok(outboard) => outboard,
        Err(error) => return (None, Err(error.into())),
    };
    let mut target = incoming.target();
    let decoded = decode_ranges(
        PipeReader::new(received),
        &chunks,
        &mut target,
        &mut outboard,
    );
    let error = match decoded {
        Ok(()) => return (None, incoming.commit(hash).map_err(SourceError::Store)),
        Err(DecodeError::ParentHashMismatch(_) | DecodeError::LeafHashMismatch(_)) => {
            SourceError::Mismatch
        }
        Err(DecodeError::ParentNotFound(_) | DecodeError::LeafNotFound(_)) => {
            SourceError::Stream(std::io::ErrorKind::UnexpectedEof.into())
        }
        Err(DecodeError::Io(e)) => SourceError::Stream(e),
    };
    (Some(incoming), Err(error))
}
