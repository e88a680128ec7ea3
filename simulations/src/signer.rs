//! A signer that costs one hash instead of a curve operation.
//!
//! **Forgeable by design**: a "signature" is a checksum of public key and digest, so anybody can make one. It keeps
//! simulations of many peers fast, where adversaries are written by us and do not forge. Never for anything else.
//! The scenario's `signatures = "ed25519"` runs the real thing.

use starling_protocol::crypto::{
    BoxedSigner, Ed25519Signer, Ed25519Verifier, Signature, Signer, Verifier,
};
use starling_protocol::{Hash, PeerKey};
use twox_hash::XxHash3_64;

/// How peers sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// [`CheapSigner`].
    #[default]
    Cheap,
    /// The protocol's own signatures.
    Ed25519,
}

impl Scheme {
    /// The identity that belongs to a secret.
    #[must_use]
    pub fn signer(self, secret: &[u8; 32]) -> BoxedSigner {
        match self {
            Self::Cheap => Box::new(CheapSigner {
                secret: Hash(*secret),
            }),
            Self::Ed25519 => Box::new(Ed25519Signer::from_seed(secret)),
        }
    }

    /// The verifier to its signers.
    #[must_use]
    pub fn verifier(self) -> &'static dyn Verifier {
        match self {
            Self::Cheap => &CheapVerifier,
            Self::Ed25519 => &Ed25519Verifier,
        }
    }
}

/// Recomputes what [`CheapSigner`] signs.
#[derive(Clone, Copy, Debug)]
pub struct CheapVerifier;

/// The signature of `key`, whoever asks for it.
#[must_use]
pub fn signature(key: &PeerKey, digest: &Hash) -> Signature {
    let mut both = [0; 64];
    both[..32].copy_from_slice(key.as_bytes());
    both[32..].copy_from_slice(&digest.0);
    let mut bytes = [0; 64];
    bytes[..8].copy_from_slice(&XxHash3_64::oneshot(&both).to_le_bytes());
    Signature::from_bytes(&bytes)
}

impl Verifier for CheapVerifier {
    fn verify(&self, key: &PeerKey, digest: &Hash, given: &Signature) -> bool {
        *given == signature(key, digest)
    }
}

/// An identity for simulations.
#[derive(Clone, Debug)]
pub struct CheapSigner {
    secret: Hash,
}

impl Verifier for CheapSigner {
    fn verify(&self, key: &PeerKey, digest: &Hash, signature: &Signature) -> bool {
        CheapVerifier.verify(key, digest, signature)
    }
}

impl Signer for CheapSigner {
    fn key(&self) -> PeerKey {
        PeerKey(Hash::derive(
            "starling-sim 2026-11 public key v1",
            &[&self.secret.0],
        ))
    }

    fn sign(&self, digest: &Hash) -> Signature {
        signature(&self.key(), digest)
    }

    fn prf(&self, context: &'static str, input: &[u8]) -> Hash {
        Hash::derive(context, &[&self.secret.0, input])
    }

    fn verifier(&self) -> &dyn Verifier {
        &CheapVerifier
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_verify_their_own_and_nothing_else() {
        for scheme in [Scheme::Cheap, Scheme::Ed25519] {
            let (a, b) = (scheme.signer(&[1; 32]), scheme.signer(&[2; 32]));
            let (one, other) = (Hash::of(b"one"), Hash::of(b"other"));
            let signed = a.sign(&one);
            assert!(scheme.verifier().verify(&a.key(), &one, &signed));
            assert!(!scheme.verifier().verify(&a.key(), &other, &signed));
            assert!(!scheme.verifier().verify(&b.key(), &one, &signed));
        }
    }
}
