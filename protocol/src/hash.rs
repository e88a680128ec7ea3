//! Digests and the names made of them. Every digest is BLAKE3 in its key-derivation mode under a context string
//! of its own, so that bytes hashed for one purpose can never stand for another.

use blake3::hazmat::HasherExt as _;
use core::fmt;
use serde::{Deserialize, Serialize};

/// 32 bytes of BLAKE3, or a key of that size.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

/// 32 bytes on the wire, 64 hexadecimal digits in TOML and JSON.
impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = alloc::string::String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

impl Hash {
    /// Digest of the concatenated `parts` under `context`. Callers keep parts of variable length last.
    #[must_use]
    pub fn derive(context: &'static str, parts: &[&[u8]]) -> Self {
        Self::concat(blake3::Hasher::new_derive_key(context), parts)
    }

    fn concat(mut hasher: blake3::Hasher, parts: &[&[u8]]) -> Self {
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Plain BLAKE3 of `bytes`: the address of a blob, the hash of a tile.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// BLAKE3 keyed with `self`.
    #[must_use]
    pub fn keyed(&self, bytes: &[u8]) -> Self {
        Self(*blake3::keyed_hash(&self.0, bytes).as_bytes())
    }

    /// Bitwise XOR: Kademlia's distance.
    #[must_use]
    pub fn xor(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A context that digests are derived under again and again: it is hashed once.
#[derive(Clone, Copy)]
pub(crate) struct Derive(blake3::hazmat::ContextKey);

impl Derive {
    pub(crate) fn new(context: &'static str) -> Self {
        Self(blake3::hazmat::hash_derive_key_context(context))
    }

    /// As [`Hash::derive`] under the context.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> Hash {
        Hash::concat(blake3::Hasher::new_from_context_key(&self.0), parts)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// Text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct BadHex;

impl core::str::FromStr for Hash {
    type Err = BadHex;
    fn from_str(text: &str) -> Result<Self, BadHex> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(BadHex);
        }
        let nibble = |c: u8| (c as char).to_digit(16).map(|d| d as u8).ok_or(BadHex);
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

macro_rules! named_hash {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Hash);
        impl $name {
            /// The raw bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] { &self.0.0 }
        }
        impl From<[u8; 32]> for $name { fn from(bytes: [u8; 32]) -> Self { Self(Hash(bytes)) } }
        impl fmt::Display for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) } }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}:{:?}", stringify!($name), self.0) }
        }
        impl core::str::FromStr for $name {
            type Err = BadHex;
            fn from_str(text: &str) -> Result<Self, BadHex> { text.parse().map(Self) }
        }
    )*};
}

named_hash! {
    /// A peer: its ed25519 public key.
    PeerKey,
    /// A swarm: digest of its genesis.
    SwarmId,
    /// A job: digest of its manifest.
    JobId,
    /// A lease: digest of its body. The steward's nonce in it makes every lease unique.
    LeaseId,
    /// A kernel: digest of its shader, the canonical library's version and the rules' version.
    KernelId,
    /// A blob: plain BLAKE3 of its bytes.
    BlobId,
}

impl PeerKey {
    /// Where the peer stands in the XOR metric: the digest of its key, so that a key cannot be placed bit by bit.
    #[must_use]
    pub fn position(&self) -> Hash {
        Hash::of(self.as_bytes())
    }

    /// The first eight hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> alloc::string::String {
        alloc::format!("{:?}", self.0)
    }
}
