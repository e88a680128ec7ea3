//! Signing and verifying behind two small traits: real ed25519 here, a cheap stand-in in large simulations.

use crate::hash::{Hash, PeerKey};
use alloc::boxed::Box;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// An ed25519 signature. Two halves, because serde derives arrays only up to 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signature {
    r: [u8; 32],
    s: [u8; 32],
}

impl Signature {
    /// Length of its encoding.
    pub(crate) const BYTES: usize = 64;

    /// From the usual 64 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 64]) -> Self {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..]);
        Self { r, s }
    }

    /// The usual 64 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.r);
        bytes[32..].copy_from_slice(&self.s);
        bytes
    }
}

/// Checks signatures.
pub trait Verifier {
    /// Whether `signature` is `key`'s over `digest`.
    fn verify(&self, key: &PeerKey, digest: &Hash, signature: &Signature) -> bool;
}

/// One identity: signs, and derives secrets that only it can.
pub trait Signer: Verifier {
    /// The public key.
    fn key(&self) -> PeerKey;
    /// Signs a digest.
    fn sign(&self, digest: &Hash) -> Signature;
    /// A pseudo-random function keyed by the identity: the same input gives the same secret after any crash.
    fn prf(&self, context: &'static str, input: &[u8]) -> Hash;
    /// As a verifier.
    fn verifier(&self) -> &dyn Verifier;
}

/// An owned identity, as [`crate::Peer`] keeps it.
pub type BoxedSigner = Box<dyn Signer + Send>;

/// Strict ed25519 (RFC 8032, no small-order keys, no malleable signatures); never batched, because batch
/// verification accepts signatures that strict verification refuses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519Verifier;

impl Verifier for Ed25519Verifier {
    fn verify(&self, key: &PeerKey, digest: &Hash, signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.to_bytes());
        VerifyingKey::from_bytes(key.as_bytes())
            .is_ok_and(|k| k.verify_strict(&digest.0, &signature).is_ok())
    }
}

/// An ed25519 identity.
#[derive(Clone)]
pub struct Ed25519Signer(SigningKey);

impl Ed25519Signer {
    /// The identity that belongs to a 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }
}

impl Verifier for Ed25519Signer {
    fn verify(&self, key: &PeerKey, digest: &Hash, signature: &Signature) -> bool {
        Ed25519Verifier.verify(key, digest, signature)
    }
}

impl Signer for Ed25519Signer {
    fn key(&self) -> PeerKey {
        self.0.verifying_key().to_bytes().into()
    }

    fn sign(&self, digest: &Hash) -> Signature {
        Signature::from_bytes(&self.0.sign(&digest.0).to_bytes())
    }

    fn prf(&self, context: &'static str, input: &[u8]) -> Hash {
        Hash::derive(context, &[self.0.as_bytes(), input])
    }

    fn verifier(&self) -> &dyn Verifier {
        &Ed25519Verifier
    }
}
