//! Who may join: the hook between the security handshake and everything else.
//!
//! It runs inside the transport upgrade, for TCP and QUIC alike, once the remote's key is proven and before any
//! behaviour hears of the connection. A refusal closes the connection; the core never sees it. Without a hook everybody
//! is admitted. (libp2p's pre-shared keys do not work over QUIC, hence certificates here instead.)

use std::{
    io,
    task::{Poll, ready},
};

use futures::{AsyncReadExt, AsyncWriteExt, future::BoxFuture};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerExt};

use super::PeerKey;

/// Most bytes that one side may send in [`Handshake::exchange`].
pub const MAX_CREDENTIAL_BYTES: usize = 4096;

/// Decides who may connect. Both sides of a swarm must run the same kind of hook, because the exchange is one.
pub trait Admission: Send + Sync + 'static {
    /// Admits or refuses the remote. Bounded by the transport's handshake timeout.
    fn admit<'a>(&'a self, handshake: Handshake<'a>) -> BoxFuture<'a, Result<(), AdmissionError>>;
}

/// Why a connection was refused.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The hook does not want this peer.
    #[error("not admitted: {0}")]
    Refused(String),
    /// The remote's key is not ed25519.
    #[error("not an ed25519 key")]
    Key,
    /// A credential of more than [`MAX_CREDENTIAL_BYTES`].
    #[error("credential of {0} bytes, {MAX_CREDENTIAL_BYTES} accepted")]
    TooLarge(usize),
    /// The connection broke during the exchange.
    #[error("admission exchange: {0}")]
    Io(#[from] io::Error),
}

/// A connection whose remote has proven its key and waits for admission.
pub struct Handshake<'a> {
    remote: PeerKey,
    dialed: bool,
    muxer: &'a mut StreamMuxerBox,
}

impl<'a> Handshake<'a> {
    pub(crate) fn new(remote: PeerKey, dialed: bool, muxer: &'a mut StreamMuxerBox) -> Self {
        Handshake {
            remote,
            dialed,
            muxer,
        }
    }

    /// The proven key of the other side.
    pub fn remote(&self) -> PeerKey {
        self.remote
    }

    /// Whether this side opened the connection.
    pub fn dialed(&self) -> bool {
        self.dialed
    }

    /// Sends `mine` (at most [`MAX_CREDENTIAL_BYTES`]) and returns what the other side sent, on the connection's first
    /// stream. The dialer speaks first. Both sides must call this once or neither.
    pub async fn exchange(&mut self, mine: &[u8]) -> Result<Vec<u8>, AdmissionError> {
        if mine.len() > MAX_CREDENTIAL_BYTES {
            return Err(AdmissionError::TooLarge(mine.len()));
        }
        let dialed = self.dialed;
        let muxer = &mut *self.muxer;
        let mut stream = futures::future::poll_fn(|cx| {
            let opened = if dialed {
                muxer.poll_outbound_unpin(cx)
            } else {
                muxer.poll_inbound_unpin(cx)
            };
            if let Poll::Ready(opened) = opened {
                return Poll::Ready(opened);
            }
            poll_connection(muxer, cx)
        })
        .await?;
        let talk = async {
            if dialed {
                write_credential(&mut stream, mine).await?;
            }
            let theirs = read_credential(&mut stream).await?;
            if !dialed {
                write_credential(&mut stream, mine).await?;
            }
            stream.close().await?;
            Ok(theirs)
        };
        let mut talk = std::pin::pin!(talk);
        futures::future::poll_fn(|cx| {
            if let Poll::Ready(done) = talk.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            poll_connection(muxer, cx).map_err(AdmissionError::from)
        })
        .await
    }
}

/// Lets the connection make progress beneath its streams; ready only if it broke.
fn poll_connection<T>(
    muxer: &mut StreamMuxerBox,
    cx: &mut std::task::Context<'_>,
) -> Poll<Result<T, <StreamMuxerBox as StreamMuxer>::Error>> {
    loop {
        // The only event is a change of the remote's address, which admission does not care about.
        if let Err(e) = ready!(muxer.poll_unpin(cx)) {
            return Poll::Ready(Err(e));
        }
    }
}

async fn write_credential(
    stream: &mut (impl AsyncWriteExt + Unpin),
    bytes: &[u8],
) -> Result<(), AdmissionError> {
    let len = u16::try_from(bytes.len()).map_err(|_| AdmissionError::TooLarge(bytes.len()))?;
    stream.write_all(&len.to_le_bytes()).await?;
    stream.write_all(bytes).await?;
    stream.flush().await?;
    Ok(())
}

async fn read_credential(
    stream: &mut (impl AsyncReadExt + Unpin),
) -> Result<Vec<u8>, AdmissionError> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).await?;
    let len = usize::from(u16::from_le_bytes(len));
    if len > MAX_CREDENTIAL_BYTES {
        return Err(AdmissionError::TooLarge(len));
    }
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
