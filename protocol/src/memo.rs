//! An identity that remembers which signatures have held, so that no peer checks the same one twice.
//!
//! The same signature reaches a peer by several ways: a lease as witness and as auditor, locks and reveals before it
//! opens and again inside its receipt, its own wherever it is handed back. Only what was checked strictly, or signed
//! here, is remembered, and only the very same key, digest and signature are recognised; so this changes what
//! verification costs, never what it says. The oldest are forgotten first.

use crate::config;
use crate::crypto::{BoxedSigner, Signature, Signer, Verifier};
use crate::hash::{Hash, PeerKey};
use alloc::collections::{BTreeMap, VecDeque};
use core::cell::RefCell;

/// What has held: who signed, and what, by signature.
#[derive(Default)]
struct Held {
    facts: BTreeMap<Signature, (PeerKey, Hash)>,
    /// The oldest first.
    order: VecDeque<Signature>,
}

impl Held {
    fn has(&self, key: &PeerKey, digest: &Hash, signature: &Signature) -> bool {
        self.facts
            .get(signature)
            .is_some_and(|(k, d)| k == key && d == digest)
    }

    fn keep(&mut self, key: PeerKey, digest: Hash, signature: Signature) {
        if self.facts.insert(signature, (key, digest)).is_some() {
            return;
        }
        self.order.push_back(signature);
        if self.order.len() > config::SIGNATURES_HELD_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.facts.remove(&oldest);
        }
    }
}

/// See above.
pub(crate) struct Remembering {
    inner: BoxedSigner,
    held: RefCell<Held>,
}

impl Remembering {
    pub(crate) fn new(inner: BoxedSigner) -> Self {
        Self {
            inner,
            held: RefCell::default(),
        }
    }
}

impl Verifier for Remembering {
    fn verify(&self, key: &PeerKey, digest: &Hash, signature: &Signature) -> bool {
        if self.held.borrow().has(key, digest, signature) {
            return true;
        }
        let holds = self.inner.verify(key, digest, signature);
        if holds {
            self.held.borrow_mut().keep(*key, *digest, *signature);
        }
        holds
    }
}

impl Signer for Remembering {
    fn key(&self) -> PeerKey {
        self.inner.key()
    }

    fn sign(&self, digest: &Hash) -> Signature {
        let signature = self.inner.sign(digest);
        self.held
            .borrow_mut()
            .keep(self.inner.key(), *digest, signature);
        signature
    }

    fn prf(&self, context: &'static str, input: &[u8]) -> Hash {
        self.inner.prf(context, input)
    }

    fn verifier(&self) -> &dyn Verifier {
        self
    }
}

#[cfg(test)]
mod tests;
