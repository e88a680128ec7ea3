//! An identity that remembers which signatures have held, so that no peer checks the same one twice.
//!
//! The same signature reaches a peer by several ways: a lease as witness and as auditor, locks and reveals before it
//! opens and again inside its receipt, its own wherever it is handed back. Only what was checked strictly, or signed
//! here, is remembered, and only the very same key, digest and signature are recognised; so this changes what
//! verification costs, never what it says. The memory is that of a processor's cache: a hash names a set of a few,
//! and each set forgets its oldest first. It grows by doubling, to 16 KiB at most, whoever fills it.

use crate::config;
use crate::crypto::{BoxedSigner, Signature, Signer, Verifier};
use crate::hash::{Hash, PeerKey};
use alloc::vec::Vec;
use core::cell::RefCell;

/// Facts that share a place; the newest first.
type Set = [Hash; 4];

/// What has held.
#[derive(Default)]
struct Held(Vec<Set>);

/// How many sets there are at first, and at most: powers of two.
const SETS: core::ops::RangeInclusive<usize> = 8..=config::SIGNATURES_HELD_MAX / 4;

/// Names who signed what, and how.
fn fact(key: &PeerKey, digest: &Hash, signature: &Signature) -> Hash {
    Hash::derive(
        "starling 2026-11 held signature v1",
        &[key.as_bytes(), &digest.0, &signature.to_bytes()],
    )
}

impl Held {
    fn set(&self, fact: &Hash) -> usize {
        usize::from(u16::from_le_bytes([fact.0[0], fact.0[1]])) % self.0.len().max(1)
    }

    fn has(&self, fact: &Hash) -> bool {
        let set = self.0.get(self.set(fact));
        set.is_some_and(|set| set.contains(fact))
    }

    fn keep(&mut self, fact: Hash) {
        if self.has(&fact) {
            return;
        }
        let full = |set: &Set| set[set.len() - 1] != Hash::default();
        while self.0.get(self.set(&fact)).is_none_or(full) && self.0.len() < *SETS.end() {
            self.grow();
        }
        let at = self.set(&fact);
        if let Some(set) = self.0.get_mut(at) {
            set.rotate_right(1);
            set[0] = fact;
        }
    }

    fn grow(&mut self) {
        let sets = (self.0.len() * 2).max(*SETS.start());
        let old = core::mem::replace(&mut self.0, alloc::vec![Set::default(); sets]);
        // The oldest first, and none displaces another: a set's facts go to two sets.
        for fact in old.iter().flat_map(|set| set.iter().rev()) {
            if *fact != Hash::default() {
                let at = self.set(fact);
                self.0[at].rotate_right(1);
                self.0[at][0] = *fact;
            }
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

    /// For what comes only once: checks and does not remember.
    pub(crate) fn once(&self) -> &dyn Verifier {
        &*self.inner
    }
}

impl Verifier for Remembering {
    fn verify(&self, key: &PeerKey, digest: &Hash, signature: &Signature) -> bool {
        let fact = fact(key, digest, signature);
        if self.held.borrow().has(&fact) {
            return true;
        }
        let holds = self.inner.verify(key, digest, signature);
        if holds {
            self.held.borrow_mut().keep(fact);
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
        let fact = fact(&self.inner.key(), digest, &signature);
        self.held.borrow_mut().keep(fact);
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
