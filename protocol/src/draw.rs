//! Every random choice of the protocol, as a function of bytes that nobody could choose alone: ranks of witnesses
//! and auditors, the tiles an auditor draws, the order in which a steward hands out slices.

use crate::hash::{Hash, JobId, LeaseId, PeerKey};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// `peers` but `worker`, by their digests keyed with `target`: every order is as likely as any other, whatever keys
/// somebody has looked for. By distance, as in Kademlia, keys ground to lie close together would be drawn together.
#[must_use]
pub fn ranks(peers: &[PeerKey], worker: &PeerKey, target: &Hash) -> Vec<PeerKey> {
    let mut ranked: Vec<_> = peers
        .iter()
        .filter(|p| *p != worker)
        .map(|p| (target.keyed(p.as_bytes()), *p))
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, peer)| peer).collect()
}

/// Where the witnesses of a slice are looked for: fixed before the worker computes, so it cannot be ground later.
#[must_use]
pub fn witness_target(job: &JobId, slice: u32, worker: &PeerKey) -> Hash {
    Hash::derive(
        "starling 2026-11 witness target v1",
        &[job.as_bytes(), &slice.to_le_bytes(), worker.as_bytes()],
    )
}

/// The seed of a slice's audit. Nobody knew it when the root was locked: each nonce was bound by its digest
/// before, and one honest witness or steward is enough. A missing nonce counts as zeros.
#[must_use]
pub fn seed(lease: &LeaseId, root: &Hash, nonces: &[Option<Hash>], steward_nonce: &Hash) -> Hash {
    let mut bytes = Vec::with_capacity(nonces.len() * 32);
    for nonce in nonces {
        bytes.extend_from_slice(nonce.unwrap_or_default().as_bytes());
    }
    Hash::derive(
        "starling 2026-11 audit seed v1",
        &[lease.as_bytes(), &root.0, &steward_nonce.0, &bytes],
    )
}

/// The seed of a probe's job: neither side knew it before the other's nonce.
#[must_use]
pub fn probe_seed(prober: &Hash, probed: &Hash) -> Hash {
    Hash::derive("starling 2026-11 probe seed v1", &[&prober.0, &probed.0])
}

/// Where the auditors of a slice are looked for.
#[must_use]
pub fn auditor_target(seed: &Hash) -> Hash {
    Hash::derive("starling 2026-11 auditor target v1", &[&seed.0])
}

/// Decides whether a trusted worker is audited in full this time: below its lease's `p_full`, it is. It comes from the
/// seed, so that neither its worker nor its collector knows before the root is bound, and nobody can toss it again.
#[must_use]
pub fn audit_coin(seed: &Hash) -> u16 {
    let coin = Hash::derive("starling 2026-11 audit coin v1", &[&seed.0]);
    u16::from_le_bytes([coin.0[0], coin.0[1]])
}

/// The tiles, ascending and counted within the slice, that `auditor` recomputes: min(s, n) distinct ones of n.
#[must_use]
pub fn tiles(seed: &Hash, auditor: &PeerKey, s: u32, n: u32) -> Vec<u32> {
    let mut stream = Stream::new(
        "starling 2026-11 tile draw v1",
        &[&seed.0, auditor.as_bytes()],
    );
    let take = s.min(n);
    // Floyd's sampling: each subset of the size is equally likely, in exactly `take` draws.
    let mut chosen = BTreeSet::new();
    for upper in n - take..n {
        let pick = stream.below(upper + 1);
        if !chosen.insert(pick) {
            chosen.insert(upper);
        }
    }
    chosen.into_iter().collect()
}

/// The order in which `steward` hands out slices: highest random weight, so two stewards rarely pick the same one.
#[must_use]
pub fn rendezvous(steward: &PeerKey, job: &JobId, slice: u32) -> Hash {
    Hash::derive(
        "starling 2026-11 rendezvous v1",
        &[steward.as_bytes(), job.as_bytes(), &slice.to_le_bytes()],
    )
}

/// What binds a nonce before it is revealed.
#[must_use]
pub fn nonce_digest(nonce: &Hash) -> Hash {
    Hash::derive("starling 2026-11 nonce v1", &[&nonce.0])
}

/// Unbiased integers from BLAKE3's extendable output.
struct Stream(blake3::OutputReader);

impl Stream {
    fn new(context: &'static str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize_xof())
    }

    /// Uniform in `0..bound`, `bound > 0`, by rejection.
    fn below(&mut self, bound: u32) -> u32 {
        let zone = u32::MAX - u32::MAX % bound;
        loop {
            let mut word = [0; 4];
            self.0.fill(&mut word);
            let word = u32::from_le_bytes(word);
            if word < zone {
                return word % bound;
            }
        }
    }
}
