//! The server's half of a blob stream: one request, one verified answer.
//!
//! Strangers choose the hash, the range and how slowly they read. So the number of streams is capped, over all and per
//! peer; so is how often one peer asks, and how fast it is sent what it asked for; each wait has a limit and each stream
//! a least average rate; and what the disk returns is verified before it leaves, so that a rotten disk never makes an
//! honest peer look like a liar.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bao_tree::io::sync::encode_ranges_validated;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Stream, StreamExt};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    BlobError, BlobStore,
    line::{LEAST_BYTES_PER_S, Line},
    pipe::{self, PipeWriter},
    store::OpenBlob,
    wire::{REQUEST_BYTES, Reply, Request},
};
use crate::net::{
    Rate,
    rate::{BUCKETS, Buckets, Floods, Gate},
};

/// How much of this peer blob streams may take.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Streams answered at once.
    pub streams: usize,
    /// Of these, streams of one peer.
    pub streams_per_peer: usize,
    /// Requests of one peer that are read.
    pub requests: Rate,
    /// Bytes of blobs sent to one peer; what is asked for beyond that waits.
    pub bytes: Rate,
    /// Longest wait for the stranger to write its request or to read one block.
    pub idle: Duration,
    /// Least average rate; a stream of `n` bytes may take `idle + n / rate`.
    pub least_bytes_per_s: u64,
}

impl Default for ServeLimits {
    fn default() -> Self {
        ServeLimits {
            streams: 16,
            streams_per_peer: 8,
            requests: Rate {
                per_s: 100.0,
                burst: 500.0,
            },
            // More than two gigabits: it slows down nobody on a line that a home has.
            bytes: Rate {
                per_s: (256 << 20) as f64,
                burst: (512 << 20) as f64,
            },
            idle: Duration::from_secs(10),
            least_bytes_per_s: LEAST_BYTES_PER_S,
        }
    }
}

impl ServeLimits {
    /// How long an answer of `len` bytes may take.
    fn deadline(&self, len: u64) -> Duration {
        self.idle + Duration::from_secs(len / self.least_bytes_per_s.max(1))
    }
}

/// Why an answer ended early. Only ever logged: nobody is owed a blob.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The stranger went away.
    #[error("stream: {0}")]
    Stream(#[from] std::io::Error),
    /// The stranger neither wrote nor read for too long.
    #[error("the other side is too slow")]
    Timeout,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] BlobError),
    /// What the disk returned does not match the hash.
    #[error("blob {0} is corrupt on disk")]
    Corrupt(blake3::Hash),
}

/// Answers streams until `incoming` ends; dropping the future drops every stream. Who asks too often is noted.
pub(crate) async fn serve<P, S>(
    mut incoming: impl Stream<Item = (P, S)> + Unpin,
    store: BlobStore,
    limits: ServeLimits,
    line: Line,
    floods: Floods<P>,
) where
    P: Eq + Hash + Copy + Send + Sync + std::fmt::Debug + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let requests = Gate::new(limits.requests, &floods);
    let bytes = Arc::new(Mutex::new(Buckets::new(limits.bytes, BUCKETS)));
    let mut answers = JoinSet::new();
    let mut askers: HashMap<tokio::task::Id, P> = HashMap::new();
    loop {
        tokio::select! {
            Some(done) = answers.join_next_with_id() => {
                askers.remove(&done.map_or_else(|panicked| panicked.id(), |(id, ())| id));
            }
            stream = incoming.next() => {
                let Some((peer, stream)) = stream else { return };
                if !requests.pass(peer, 1.0) {
                    tracing::debug!(?peer, "blob stream refused: too often");
                    continue;
                }
                let of_peer = askers.values().filter(|asker| **asker == peer).count();
                if askers.len() >= limits.streams || of_peer >= limits.streams_per_peer {
                    // Dropped unanswered, which the client takes for "busy": writing a reply would need a slot.
                    tracing::debug!(?peer, "blob stream refused: too many at once");
                    continue;
                }
                let (store, bytes, line) = (store.clone(), Arc::clone(&bytes), line.clone());
                let task = answers.spawn(async move {
                    // Half of what a client waits for an answer; those that get none take it for "busy".
                    let Ok(place) = timeout(limits.idle / 2, line.enter()).await else {
                        tracing::debug!(?peer, "blob stream refused: the line is full");
                        return;
                    };
                    let pace = |sent: usize| {
                        let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
                        let of_peer = bytes.charge(peer, sent as f64, Instant::now());
                        of_peer.max(place.wait(sent))
                    };
                    match answer_paced(stream, &store, limits, pace).await {
                        Ok(sent) => tracing::trace!(?peer, sent, "blob stream answered"),
                        Err(error) => tracing::debug!(?peer, %error, "blob stream ended early"),
                    }
                });
                askers.insert(task.id(), peer);
            }
        }
    }
}

/// Answers one stream of a client; returns the length of the blob, or 0 if there was nothing to send.
pub async fn answer<S>(stream: S, store: &BlobStore, limits: ServeLimits) -> Result<u64, ServeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    answer_paced(stream, store, limits, |_| Duration::ZERO).await
}

/// The same, waiting before each block for as long as `pace` says for its length.
async fn answer_paced<S>(
    mut stream: S,
    store: &BlobStore,
    limits: ServeLimits,
    pace: impl Fn(usize) -> Duration,
) -> Result<u64, ServeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = [0; REQUEST_BYTES];
    within(limits.idle, stream.read_exact(&mut request)).await?;
    let found = match Request::decode(&request) {
        Err(_) => Err(Reply::Refused),
        Ok(request) => {
            let store = store.clone();
            match blocking(move || store.open_blob(&request.hash)).await?? {
                None => Err(Reply::NotFound),
                Some(blob) => match request.chunks(blob.len) {
                    None => Err(Reply::Refused),
                    Some(chunks) => Ok((blob, chunks)),
                },
            }
        }
    };
    let (blob, chunks) = match found {
        Ok(found) => found,
        Err(reply) => {
            within(limits.idle, stream.write_all(&reply.encode())).await?;
            within(limits.idle, stream.close()).await?;
            return Ok(0);
        }
    };
    let OpenBlob { len, data, tree } = blob;
    let header = Reply::Found { len }.encode();
    within(limits.idle, stream.write_all(&header)).await?;

    let root = tree.root;
    let (blocks, mut received) = pipe::channel();
    let encode = tokio::task::spawn_blocking(move || {
        let mut writer = PipeWriter::new(blocks);
        encode_ranges_validated(data, tree, &chunks, &mut writer).map_err(std::io::Error::from)?;
        std::io::Write::flush(&mut writer)
    });
    let send = async {
        while let Some(block) = received.recv().await {
            let wait = pace(block.len());
            if !wait.is_zero() {
                sleep(wait).await;
            }
            within(limits.idle, stream.write_all(&block)).await?;
        }
        within(limits.idle, stream.flush()).await
    };
    timeout(limits.deadline(len), send)
        .await
        .map_err(|_| ServeError::Timeout)??;
    match encode.await {
        Ok(Ok(())) => {}
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::InvalidData => {
            return Err(ServeError::Corrupt(root));
        }
        Ok(Err(e)) => return Err(e.into()),
        Err(e) => return Err(std::io::Error::other(e).into()),
    }
    within(limits.idle, stream.close()).await?;
    Ok(len)
}

async fn within<T>(
    limit: Duration,
    io: impl Future<Output = std::io::Result<T>>,
) -> Result<T, ServeError> {
    match timeout(limit, io).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(ServeError::Timeout),
    }
}

/// Runs `work` on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests;
