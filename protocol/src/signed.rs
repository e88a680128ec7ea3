//! Signed facts. What is signed is `BLAKE3(context of the type, SwarmId, canonical body)`: a signature can neither
//! be moved to another swarm nor be read as another kind of fact.

use crate::codec::{self, CodecError};
use crate::crypto::{Signature, Signer, Verifier};
use crate::hash::{Hash, PeerKey, SwarmId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A body that peers sign.
pub trait Fact: Serialize + Sized {
    /// BLAKE3 key-derivation context, unique among all facts and versions.
    const CONTEXT: &'static str;

    /// What the signature covers; also the fact's name.
    fn digest(&self, swarm: &SwarmId) -> Hash {
        Hash::derive(Self::CONTEXT, &[swarm.as_bytes(), &codec::encode(self)])
    }
}

/// A fact with its signature. Who must have signed follows from the fact's role, never from the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<T> {
    /// What was said.
    pub body: T,
    /// Over [`Fact::digest`].
    pub signature: Signature,
}

impl<T: Fact> Signed<T> {
    /// Signs `body` for `swarm`.
    pub fn new(body: T, swarm: &SwarmId, signer: &dyn Signer) -> Self {
        let signature = signer.sign(&body.digest(swarm));
        Self { body, signature }
    }

    /// Whether `key` signed it.
    #[must_use]
    pub fn verify(&self, swarm: &SwarmId, verifier: &dyn Verifier, key: &PeerKey) -> bool {
        verifier.verify(key, &self.body.digest(swarm), &self.signature)
    }

    /// The fact's name.
    #[must_use]
    pub fn digest(&self, swarm: &SwarmId) -> Hash {
        self.body.digest(swarm)
    }

    /// Decodes `bytes`, at most `limit` of them, and shows which of them are the body: the encoding is canonical, so
    /// that they need not be made again to be hashed.
    ///
    /// # Errors
    /// [`CodecError`] as [`codec::decode`].
    pub fn decode(bytes: &[u8], limit: usize) -> Result<(Self, &[u8]), CodecError>
    where
        T: DeserializeOwned,
    {
        let signed = codec::decode(bytes, limit)?;
        // The signature comes last, and has always the same length.
        let body = &bytes[..bytes.len().saturating_sub(Signature::BYTES)];
        Ok((signed, body))
    }
}
