//! Control messages on the wire: an envelope of one or more for the same peer; the answer is one byte, how many of
//! them were taken, from the first on.
//!
//! Envelope and message are framed alike: a little-endian u32 length, then that many bytes. What the bytes mean is the
//! core's business. A message is at most 64 KiB, an envelope no longer than the longest message makes it, and memory
//! is only taken for what has arrived, not for what was announced. libp2p keeps to itself that a request could not be
//! read, so one that breaks these rules comes out as an envelope that says so.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, bytes::Bytes, request_response::Codec};

/// Longest control message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Bytes in front of envelope and message.
const LENGTH: usize = 4;
/// Longest envelope, its own length not counted: the longest message still fits.
const MAX_ENVELOPE_BYTES: usize = LENGTH + MAX_MESSAGE_BYTES;
/// Most messages in one envelope: empty ones would cost whoever reads them more than their bytes.
const MAX_MESSAGES: usize = u8::MAX as usize;

/// What goes over in one stream: messages to one peer, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    messages: Vec<Bytes>,
    len: usize,
    malformed: bool,
}

impl Envelope {
    /// Puts a message in if it still fits.
    pub fn push(&mut self, message: Bytes) -> bool {
        let len = self.len + LENGTH + message.len();
        let fits = len <= MAX_ENVELOPE_BYTES && self.messages.len() < MAX_MESSAGES;
        if fits {
            self.len = len;
            self.messages.push(message);
        }
        fits
    }

    /// Whether what came is no envelope at all; it is empty then.
    pub fn is_malformed(&self) -> bool {
        self.malformed
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let length = |len: usize| u32::try_from(len).map(u32::to_le_bytes);
        let mut bytes = Vec::with_capacity(LENGTH + self.len);
        bytes.extend(length(self.len).map_err(io::Error::other)?);
        for message in &self.messages {
            bytes.extend(length(message.len()).map_err(io::Error::other)?);
            bytes.extend(message);
        }
        Ok(bytes)
    }

    /// Reads what a stream holds; `InvalidData` if it is none, other errors if the stream broke.
    pub(crate) async fn read<T: AsyncRead + Unpin>(io: &mut T) -> io::Result<Self> {
        let mut len = [0; 4];
        io.read_exact(&mut len).await?;
        let len = u32::from_le_bytes(len);
        if len as usize > MAX_ENVELOPE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{len} bytes announced, {MAX_ENVELOPE_BYTES} accepted"),
            ));
        }
        let mut bytes = Vec::new();
        io.take(u64::from(len)).read_to_end(&mut bytes).await?;
        if bytes.len() != len as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Envelope::parse(bytes.into())
    }

    /// Of what came behind the envelope's length.
    fn parse(mut rest: Bytes) -> io::Result<Self> {
        let mut envelope = Envelope::default();
        while let Some(length) = rest.first_chunk().copied().map(u32::from_le_bytes) {
            let end = LENGTH + length as usize;
            if rest.len() < end || !envelope.push(rest.slice(LENGTH..end)) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            rest = rest.split_off(end);
        }
        match rest.is_empty() {
            true => Ok(envelope),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl IntoIterator for Envelope {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.messages.into_iter()
    }
}

/// Reads and writes control messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct ControlCodec;

impl Codec for ControlCodec {
    type Protocol = StreamProtocol;
    type Request = Envelope;
    type Response = u8;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Envelope>
    where
        T: AsyncRead + Unpin + Send,
    {
        match Envelope::read(io).await {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Envelope {
                malformed: true,
                ..Envelope::default()
            }),
            read => read,
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<u8>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut answer = [0];
        io.read_exact(&mut answer).await?;
        Ok(answer[0])
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        envelope: Envelope,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        // In one piece: every write of its own would be a frame of its own on the connection.
        io.write_all(&envelope.to_bytes()?).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        taken: u8,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&[taken]).await
    }
}
