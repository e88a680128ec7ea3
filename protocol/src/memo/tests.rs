//! What is remembered, and that it is never taken for anything else.

use super::Remembering;
use crate::config::SIGNATURES_HELD_MAX;
use crate::crypto::{Ed25519Signer, Signature, Signer, Verifier};
use crate::hash::{Hash, PeerKey};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Real ed25519 that counts its checks.
struct Counting {
    inner: Ed25519Signer,
    checks: Arc<AtomicUsize>,
}

impl Verifier for Counting {
    fn verify(&self, key: &PeerKey, digest: &Hash, signature: &Signature) -> bool {
        self.checks.fetch_add(1, Ordering::Relaxed);
        self.inner.verify(key, digest, signature)
    }
}

impl Signer for Counting {
    fn key(&self) -> PeerKey {
        self.inner.key()
    }

    fn sign(&self, digest: &Hash) -> Signature {
        self.inner.sign(digest)
    }

    fn prf(&self, context: &'static str, input: &[u8]) -> Hash {
        self.inner.prf(context, input)
    }

    fn verifier(&self) -> &dyn Verifier {
        self
    }
}

fn remembering() -> (Remembering, impl Fn() -> usize) {
    let checks = Arc::new(AtomicUsize::new(0));
    let inner = Ed25519Signer::from_seed(&[1; 32]);
    let signer = Remembering::new(Box::new(Counting {
        inner,
        checks: checks.clone(),
    }));
    (signer, move || checks.load(Ordering::Relaxed))
}

fn digest(n: usize) -> Hash {
    Hash::of(&n.to_le_bytes())
}

#[test]
fn what_has_held_is_checked_once() {
    let (me, checks) = remembering();
    let other = Ed25519Signer::from_seed(&[2; 32]);
    let signature = other.sign(&digest(0));
    assert!(me.verify(&other.key(), &digest(0), &signature));
    assert!(me.verify(&other.key(), &digest(0), &signature));
    assert_eq!(checks(), 1);
    let own = me.sign(&digest(1));
    assert!(me.verify(&me.key(), &digest(1), &own));
    assert_eq!(checks(), 1, "its own needs no check");
}

#[test]
fn nothing_else_holds_for_it() {
    let (me, checks) = remembering();
    let (other, third) = (
        Ed25519Signer::from_seed(&[2; 32]),
        Ed25519Signer::from_seed(&[3; 32]),
    );
    let signature = other.sign(&digest(0));
    assert!(me.verify(&other.key(), &digest(0), &signature));
    assert!(!me.verify(&other.key(), &digest(1), &signature), "digest");
    assert!(!me.verify(&third.key(), &digest(0), &signature), "key");
    for bit in 0..512 {
        let mut bytes = signature.to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed = Signature::from_bytes(&bytes);
        assert!(!me.verify(&other.key(), &digest(0), &changed), "bit {bit}");
    }
    let before = checks();
    assert!(!me.verify(&other.key(), &digest(1), &signature));
    assert_eq!(checks(), before + 1, "what does not hold is not remembered");
    assert!(me.verify(&other.key(), &digest(0), &signature));
}

#[test]
fn only_so_many_are_remembered() {
    let (me, checks) = remembering();
    let first = me.sign(&digest(0));
    // Ten times as many: a set of four that none of these fell into would be a wonder.
    for n in 1..=10 * SIGNATURES_HELD_MAX {
        let _ = me.sign(&digest(n));
    }
    assert_eq!(me.held.borrow().0.concat().len(), SIGNATURES_HELD_MAX);
    assert!(me.verify(&me.key(), &digest(0), &first), "it still holds");
    assert_eq!(
        checks(),
        1,
        "the oldest was forgotten, and is checked again"
    );
    // What one slice needs is far less than what is remembered: hardly any of it is forgotten on the way.
    let slice: Vec<_> = (0..128).map(|n| (digest(n), me.sign(&digest(n)))).collect();
    let again = slice.iter().filter(|(d, s)| me.verify(&me.key(), d, s));
    assert_eq!(again.count(), 128);
    assert!(checks() < 1 + 13, "{} of 128 were forgotten", checks() - 1);
}

#[test]
fn nothing_is_forgotten_while_the_memory_grows() {
    let (me, checks) = remembering();
    let few: Vec<_> = (0..64).map(|n| (digest(n), me.sign(&digest(n)))).collect();
    assert!(few.iter().all(|(d, s)| me.verify(&me.key(), d, s)));
    assert_eq!(checks(), 0);
    let sets = me.held.borrow().0.len();
    assert!(8 < sets && sets <= SIGNATURES_HELD_MAX / 4, "{sets} sets");
}
