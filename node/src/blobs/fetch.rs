//! The client's half of a blob stream: asks one source for what was claimed, and verifies what it sends.
//!
//! Nothing that a source says is believed: its length is compared with the caller's cap before anything is allocated,
//! every group is checked against the hash while it arrives, and the first wrong one ends the stream. The groups before
//! it hold, whoever sent them. A slow disk stops the thread that verifies, a full pipe stops the reading, and the
//! stream's window stops the source: a stream takes less than a mebibyte of memory here, however long the blob.

use std::time::{Duration, Instant};

use bao_tree::io::{BaoContentItem, DecodeError, sync::DecodeResponseIter};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt};
use tokio::{sync::mpsc, time::timeout};

use super::{
    BlobError, BlobHash, BlobStore,
    download::{Claim, Download, Piece, Work},
    line::{LEAST_BYTES_PER_S, Line, Place},
    pipe::{self, BLOCK_BYTES, PipeReader},
    wire::{REPLY_BYTES, Reply, Request, WireError},
};

/// How many sources are asked, and how long each is waited for.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// Sources of one blob that are asked at once, each for another part of it.
    pub sources: usize,
    /// While nothing ends for so long, one source more is asked, also for what another one is at.
    pub patience: Duration,
    /// Longest wait for a stream to open, and for each block.
    pub idle: Duration,
    /// Least average rate; a stream of `n` bytes may take `idle + n / rate`.
    pub least_bytes_per_s: u64,
    /// How often a busy source is asked before the next one gets its turn.
    pub tries: u32,
    /// Wait before a busy source is asked again; doubles each time.
    pub backoff: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        FetchLimits {
            sources: 4,
            patience: Duration::from_secs(1),
            idle: Duration::from_secs(10),
            least_bytes_per_s: LEAST_BYTES_PER_S,
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
    /// It announced another length than the blob has, as far as is known.
    #[error("announced another length than other sources")]
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
    let download = Download::new(store.clone(), hash, max_len);
    if let Some(claim) = download.claim(false) {
        let place = Line::default().enter().await;
        ask(stream, claim, limits, &place).await.1?;
    }
    Ok(download.commit().await?)
}

/// Asks one source over an open stream for what was claimed. Also returns how many bytes it brought, all of them
/// verified and written, also if it failed in the end.
pub(crate) async fn ask<S>(
    stream: &mut S,
    claim: Claim,
    limits: FetchLimits,
    place: &Place,
) -> (u64, Result<(), SourceError>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let accepted = match header(stream, &claim.request(), limits).await {
        Ok(len) => claim.accept(len).await,
        Err(error) => Err(error),
    };
    match accepted {
        Ok(Some(piece)) => receive(stream, piece, limits, place).await,
        // Another source was faster.
        Ok(None) => (0, Ok(())),
        Err(error) => (0, Err(error)),
    }
}

/// What a source says about the length of a blob; the bytes are not waited for.
pub(crate) async fn length<S>(
    stream: &mut S,
    hash: BlobHash,
    limits: FetchLimits,
) -> Result<u64, SourceError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (start, end) = (0, 1);
    header(stream, &Request { hash, start, end }, limits).await
}

/// Requests, and reads the length of the whole blob.
async fn header<S>(
    stream: &mut S,
    request: &Request,
    limits: FetchLimits,
) -> Result<u64, SourceError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
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
    match Reply::decode(&header)? {
        Reply::Found { len } => Ok(len),
        Reply::NotFound => Err(SourceError::NotFound),
        // To it, the range lies beyond the end.
        Reply::Refused if request.start > 0 => Err(SourceError::Length),
        Reply::Refused => Err(SourceError::Refused),
    }
}

/// Takes the bytes of a piece from the stream.
async fn receive<S>(
    stream: &mut S,
    piece: Piece,
    limits: FetchLimits,
    place: &Place,
) -> (u64, Result<(), SourceError>)
where
    S: AsyncRead + Unpin,
{
    let (lease, work) = piece.split();
    let (blocks, received) = pipe::channel();
    let mut verify = tokio::task::spawn_blocking(move || verify(received, work));
    let deadline =
        limits.idle + Duration::from_secs(lease.asked() / limits.least_bytes_per_s.max(1));
    let (moved, verified) = tokio::select! {
        verified = &mut verify => (Ok(()), verified),
        // The pipe is closed: the verifier ends with what it has.
        pumped = pump(stream, blocks, limits.idle, deadline, place) => (pumped, verify.await),
    };
    // Only now is it known what goes back.
    drop(lease);
    let (bytes, verified) = match verified {
        Ok(verified) => verified,
        Err(panicked) => return (0, Err(std::io::Error::other(panicked).into())),
    };
    let outcome = match (moved, verified) {
        (_, Ok(())) => Ok(()),
        (Err(stalled), Err(SourceError::Stream(_))) => Err(stalled),
        (_, Err(error)) => Err(error),
    };
    (bytes, outcome)
}

/// Moves bytes from the stream into the pipe until either side ends. The source may be waited for `idle` for each block
/// and for `patience` in all; how long our own line and disk take is not its fault.
async fn pump<S: AsyncRead + Unpin>(
    stream: &mut S,
    blocks: mpsc::Sender<Vec<u8>>,
    idle: Duration,
    mut patience: Duration,
    place: &Place,
) -> Result<(), SourceError> {
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let asked = Instant::now();
        let n = timeout(idle.min(patience), read_some(stream, &mut block))
            .await
            .map_err(|_| SourceError::Timeout)??;
        patience = patience.saturating_sub(asked.elapsed());
        if n == 0 || blocks.send(block[..n].to_vec()).await.is_err() {
            return Ok(());
        }
        place.pass(n).await;
    }
}

/// Waits for the first byte, and takes what has come after it: the busier the machine, the fewer threads are woken.
async fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    block: &mut [u8],
) -> std::io::Result<usize> {
    let mut n = stream.read(block).await?;
    while n > 0 && n < block.len() {
        match stream.read(&mut block[n..]).now_or_never() {
            // The end and errors are there at the next look too.
            Some(Ok(0) | Err(_)) | None => break,
            Some(Ok(more)) => n += more,
        }
    }
    Ok(n)
}

/// Checks every group as it comes out of the pipe, and writes it with its part of the tree; how many bytes that were.
fn verify(received: mpsc::Receiver<Vec<u8>>, mut work: Work) -> (u64, Result<(), SourceError>) {
    let chunks = std::mem::take(&mut work.chunks);
    let reader = PipeReader::new(received);
    let items = DecodeResponseIter::new(work.root, work.tree, reader, &chunks);
    // Bytes written, and those verified but still gathered, which end at `to`.
    let (mut written, mut gathered, mut to) = (0, 0, 0);
    let mut outcome = Ok(());
    for item in items {
        let full = match item {
            Ok(BaoContentItem::Parent(parent)) => {
                let saved = work.sink().map(|sink| sink.save(parent.node, &parent.pair));
                saved.unwrap_or(Ok(())).map(|()| false)
            }
            Ok(BaoContentItem::Leaf(leaf)) => {
                let len = leaf.data.len() as u64;
                (gathered, to) = (gathered + len, leaf.offset + len);
                let wrote = work.sink().map(|sink| sink.write(leaf.offset, &leaf.data));
                wrote.unwrap_or(Ok(false))
            }
            Err(error) => {
                outcome = Err(wrong(error));
                break;
            }
        };
        match full.map_err(|e| work.disk(e)) {
            Ok(false) => {}
            Ok(true) => match work.advance(to) {
                Ok(more) => {
                    written += std::mem::take(&mut gathered);
                    if !more {
                        return (written, Ok(()));
                    }
                }
                Err(error) => return (written, Err(error)),
            },
            Err(error) => return (written, Err(error)),
        }
    }
    if gathered > 0 {
        match work.advance(to) {
            Ok(_) => written += gathered,
            Err(error) => return (written, Err(error)),
        }
    }
    (written, outcome)
}

/// What a source did wrong: the store is never read here, so that every error is the stream's.
fn wrong(error: DecodeError) -> SourceError {
    match error {
        DecodeError::ParentHashMismatch(_) | DecodeError::LeafHashMismatch(_) => {
            SourceError::Mismatch
        }
        DecodeError::ParentNotFound(_) | DecodeError::LeafNotFound(_) => {
            SourceError::Stream(std::io::ErrorKind::UnexpectedEof.into())
        }
        DecodeError::Io(e) => SourceError::Stream(e),
    }
}
