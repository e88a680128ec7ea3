//! The one file that names bincode: canonical, bounded encoding of everything on the wire and in the log.
//!
//! bincode alone accepts non-minimal integers and trailing bytes, and allocates what a length claims. Here a value
//! decodes only if its re-encoding equals the input byte for byte and the input is no longer than the caller's limit.
//! So a value has one encoding, and a signature over the re-encoded body is a signature over the received bytes.
//! Wire types hold no maps, floats, `usize` or vectors of zero-sized items.

use alloc::vec::Vec;
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::{Serialize, de::DeserializeOwned};

/// Upper bound of what a decoder may allocate, whatever the lengths inside claim. Inputs are bounded separately.
const MEMORY_LIMIT: usize = 64 * 1024 * 1024;

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MEMORY_LIMIT>,
> = bincode::config::standard().with_limit::<MEMORY_LIMIT>();

/// Why bytes are not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than the limit for this kind of value.
    #[error("{len} bytes exceed the limit of {limit}")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not an encoding of the type.
    #[error("malformed encoding")]
    Malformed,
    /// Decodes, but is not the one canonical encoding: trailing bytes or a longer integer than needed.
    #[error("not the canonical encoding")]
    NotCanonical,
}

/// Room for most messages and bodies: growing byte by byte takes longer than encoding.
const USUAL: usize = 512;

/// Canonical bytes of `value`.
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL);
    // The types of this crate cannot fail to serialise: no maps of unknown length, no custom errors.
    match bincode::serde::encode_into_writer(value, Append(&mut bytes), CONFIG) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Whether `value` has exactly these canonical bytes.
fn encodes_to<T: Serialize>(value: &T, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let same = bincode::serde::encode_into_writer(value, Same(&mut rest), CONFIG);
    same.is_ok() && rest.is_empty()
}

/// Takes what is written off what is expected, and fails where they differ.
struct Same<'a, 'b>(&'a mut &'b [u8]);

impl Writer for Same<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let rest = match (bytes, *self.0) {
            // Arrays come byte by byte.
            ([byte], [expected, rest @ ..]) => (byte == expected).then_some(rest),
            (bytes, expected) => expected.strip_prefix(bytes),
        };
        *self.0 = rest.ok_or(EncodeError::UnexpectedEnd)?;
        Ok(())
    }
}

/// Decodes `bytes`, at most `limit` of them.
///
/// # Errors
/// [`CodecError`] when the input is too long, malformed or not canonical.
pub fn decode<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLong {
            len: bytes.len(),
            limit,
        });
    }
    let (value, read): (T, usize) =
        bincode::serde::decode_from_slice(bytes, CONFIG).map_err(|_| CodecError::Malformed)?;
    if read != bytes.len() || !encodes_to(&value, bytes) {
        return Err(CodecError::NotCanonical);
    }
    Ok(value)
}
