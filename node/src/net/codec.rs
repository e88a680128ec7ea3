//! Control messages on the wire: a little-endian u32 length, then that many bytes; the answer is one byte, 6 (ASCII ACK).
//!
//! What the bytes mean is the core's business. A message is at most 64 KiB, and memory is only taken for what has
//! arrived, not for what was announced.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, bytes::Bytes, request_response::Codec};

/// Longest control message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
const ACK: u8 = 6;

/// Reads and writes control messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct ControlCodec;

impl Codec for ControlCodec {
    type Protocol = StreamProtocol;
    type Request = Bytes;
    type Response = ();

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Bytes>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut len = [0; 4];
        io.read_exact(&mut len).await?;
        let len = u32::from_le_bytes(len);
        if len as usize > MAX_MESSAGE_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("message of {len} bytes announced, {MAX_MESSAGE_BYTES} accepted"),
            ));
        }
        let mut message = Vec::new();
        io.take(u64::from(len)).read_to_end(&mut message).await?;
        if message.len() != len as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(message.into())
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<()>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut answer = [0];
        io.read_exact(&mut answer).await?;
        match answer {
            [ACK] => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        message: Bytes,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        // The sender has refused longer ones already; this only keeps the length honest.
        let len = u32::try_from(message.len()).map_err(io::Error::other)?;
        io.write_all(&len.to_le_bytes()).await?;
        io.write_all(&message).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, (): ()) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&[ACK]).await
    }
}
