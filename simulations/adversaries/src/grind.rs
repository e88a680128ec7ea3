//! Identities made to stand in a chosen place: what a Sybil or whoever wants to eclipse a board spends its time on.

use starling_protocol::{Hash, PeerKey};

/// The identity nearest to `target` among `tries` (at least one) that `make` gives, by the protocol's distance: XOR with
/// the digest of the key. With its number, from which its secret can be made again.
///
/// The nearest of n identities is 2^256 / (n + 1) away on average. Among m honest ones it is the nearest of all with
/// probability n / (n + m), and to hold the r nearest places takes about r times as many tries: a board of a swarm
/// of a thousand costs some thousands of key pairs, which is nothing. Witnesses and auditors are another matter: the
/// target of a slice's witnesses is made of the job's id, and that of the roster, so every identity in a roster is
/// older than its target; for auditors the target follows from nonces as well.
pub fn grind(target: &Hash, tries: u32, make: impl Fn(u32) -> PeerKey) -> (u32, PeerKey) {
    let first = (0, make(0));
    let distance = |key: &PeerKey| key.position().xor(target);
    (1..tries)
        .map(|i| (i, make(i)))
        .fold(first, |best, candidate| {
            if distance(&candidate.1) < distance(&best.1) {
                candidate
            } else {
                best
            }
        })
}
