//! The client's half of a blob stream: asks one source after the other until the blob is here.
//!
//! Nothing that a source says is believed: its length is compared with the caller's cap before anything is allocated,
//! every group is checked against the hash while it arrives, and the first wrong one ends the stream. What a broken
//! source sent is dropped with its temporary files, and the next source starts afresh (resuming is left for later; the
//! range is already on the wire).

use std::time::Duration;

use bao_tree::{ChunkRanges, io::DecodeError, io::sync::decode_ranges};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::{sync::mpsc, time::timeout};

use super::{
    BlobError, BlobHash, BlobStore,
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

/// Asks one source over an open stream; on success the blob is in the store. Returns its length.
pub(crate) async fn fetch_from<S>(
    stream: &mut S,
    store: &BlobStore,
    hash: BlobHash,
    max_len: u64,
    limits: FetchLimits,
) -> Result<u64, SourceError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let header = async {
        stream.write_all(&Request::whole(hash).encode()).await?;
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
        Reply::Refused => return Err(SourceError::Refused),
    };
    if len > max_len {
        return Err(SourceError::TooLarge { len, max: max_len });
    }
    // The tree of an empty blob is a single leaf that some encoders leave out.
    if len == 0 && blake3::hash(&[]) != hash {
        return Err(SourceError::Mismatch);
    }
    let incoming = {
        let store = store.clone();
        blocking(move || store.begin(len)).await??
    };
    let (blocks, received) = pipe::channel();
    let mut verify = tokio::task::spawn_blocking(move || verify(received, incoming, hash));
    let pump = pump(stream, blocks, limits.idle);
    let deadline = limits.idle + Duration::from_secs(len / limits.least_bytes_per_s.max(1));
    let verified = timeout(deadline, async {
        tokio::select! {
            verified = &mut verify => verified,
            pumped = pump => {
                // The pipe is closed: the verifier ends with what it has.
                let verified = (&mut verify).await;
                match (pumped, verified) {
                    (_, Ok(Ok(()))) => Ok(Ok(())),
                    (Err(stalled), Ok(Err(SourceError::Stream(_)))) => Ok(Err(stalled)),
                    (_, other) => other,
                }
            }
        }
    });
    match verified.await {
        Err(_) => Err(SourceError::Timeout),
        Ok(Err(panicked)) => Err(SourceError::Stream(std::io::Error::other(panicked))),
        Ok(Ok(Err(e))) => Err(e),
        Ok(Ok(Ok(()))) => Ok(len),
    }
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

/// Checks every group as it comes out of the pipe, writes it and its tree, and commits the blob.
fn verify(
    received: mpsc::Receiver<Vec<u8>>,
    mut incoming: Incoming,
    hash: BlobHash,
) -> Result<(), SourceError> {
    let mut outboard = incoming.outboard(hash)?;
    decode_ranges(
        PipeReader::new(received),
        &ChunkRanges::all(),
        incoming.data.as_file_mut(),
        &mut outboard,
    )
    .map_err(|e| match e {
        DecodeError::ParentHashMismatch(_) | DecodeError::LeafHashMismatch(_) => {
            SourceError::Mismatch
        }
        DecodeError::ParentNotFound(_) | DecodeError::LeafNotFound(_) => {
            SourceError::Stream(std::io::ErrorKind::UnexpectedEof.into())
        }
        DecodeError::Io(e) => SourceError::Stream(e),
    })?;
    incoming.commit(hash)?;
    Ok(())
}
