//! Who may join: the hook between the security handshake and everything else.
//!
//! It runs inside the transport upgrade, for TCP and QUIC alike, once the remote's key is proven and before any
//! behaviour hears of the connection. A refusal closes the connection; the core never sees it. Without a hook everybody
//! is admitted. (libp2p's pre-shared keys do not work over QUIC, hence certificates here instead.)

use std::{
    io,
    task::{Poll, ready},
    time::Duration,
};

use futures::{AsyncReadExt, AsyncWriteExt, future::BoxFuture};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use starling_protocol::config::CREDENTIAL_MAX;

use super::PeerKey;

/// Most bytes that one side may say.
pub const MAX_CREDENTIAL_BYTES: usize = CREDENTIAL_MAX;
/// How long a refused dialer has to read why.
const DISMISSAL: Duration = Duration::from_secs(2);

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
///
/// The dialer says something on the connection's first stream, the listener answers. Both sides must do so, or neither.
pub struct Handshake<'a> {
    remote: PeerKey,
    dialed: bool,
    muxer: &'a mut StreamMuxerBox,
    stream: Option<SubstreamBox>,
}

impl<'a> Handshake<'a> {
    pub(crate) fn new(remote: PeerKey, dialed: bool, muxer: &'a mut StreamMuxerBox) -> Self {
        Handshake {
            remote,
            dialed,
            muxer,
            stream: None,
        }
    }

    /// The proven key of the other side.
    pub fn remote(&self) -> PeerKey {
        self.remote
    }

    /// Whether this side speaks first.
    pub fn dialed(&self) -> bool {
        self.dialed
    }

    /// The dialer's part: says `greeting` (at most [`MAX_CREDENTIAL_BYTES`]), and returns what the other side answers.
    pub async fn greet(&mut self, greeting: &[u8]) -> Result<Vec<u8>, AdmissionError> {
        let muxer = &mut *self.muxer;
        let mut stream = first_stream(muxer, true).await?;
        let talk = async {
            write_credential(&mut stream, greeting).await?;
            let answer = read_credential(&mut stream).await?;
            stream.close().await?;
            Ok(answer)
        };
        beside(muxer, talk).await
    }

    /// The listener's part: what the other side says first.
    pub async fn hear(&mut self) -> Result<Vec<u8>, AdmissionError> {
        let muxer = &mut *self.muxer;
        let mut stream = first_stream(muxer, false).await?;
        let greeting = beside(muxer, read_credential(&mut stream)).await?;
        self.stream = Some(stream);
        Ok(greeting)
    }

    /// Then: answers, and goes on with the connection.
    pub async fn answer(&mut self, answer: &[u8]) -> Result<(), AdmissionError> {
        let mut stream = self.stream.take().ok_or_else(out_of_turn)?;
        let talk = async {
            write_credential(&mut stream, answer).await?;
            stream.close().await?;
            Ok(())
        };
        beside(self.muxer, talk).await
    }

    /// Or: answers, and sees to it that the answer arrives before the connection is closed.
    pub async fn dismiss(&mut self, answer: &[u8]) -> Result<(), AdmissionError> {
        let mut stream = self.stream.take().ok_or_else(out_of_turn)?;
        let talk = async {
            write_credential(&mut stream, answer).await?;
            stream.close().await?;
            // The dialer closes its end once it has read.
            let mut rest = [0; 1];
            while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {}
            Ok(())
        };
        let talk = beside(self.muxer, talk);
        // Who does not read has had the time.
        tokio::time::timeout(DISMISSAL, talk)
            .await
            .unwrap_or(Ok(()))
    }
}

fn out_of_turn() -> AdmissionError {
    io::Error::other("an answer before anything was said").into()
}

/// Opens the connection's first stream, or takes it.
async fn first_stream(
    muxer: &mut StreamMuxerBox,
    dialed: bool,
) -> Result<SubstreamBox, AdmissionError> {
    let opened = futures::future::poll_fn(|cx| {
        let opened = if dialed {
            muxer.poll_outbound_unpin(cx)
        } else {
            muxer.poll_inbound_unpin(cx)
        };
        if let Poll::Ready(opened) = opened {
            return Poll::Ready(opened);
        }
        poll_connection(muxer, cx)
    });
    Ok(opened.await?)
}

/// Does something on a stream while the connection beneath it makes progress.
async fn beside<T>(
    muxer: &mut StreamMuxerBox,
    talk: impl Future<Output = Result<T, AdmissionError>>,
) -> Result<T, AdmissionError> {
    let mut talk = std::pin::pin!(talk);
    futures::future::poll_fn(|cx| {
        if let Poll::Ready(done) = talk.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        poll_connection(muxer, cx).map_err(AdmissionError::from)
    })
    .await
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
