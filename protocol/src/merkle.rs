//! The tree over a slice's salted tiles, its root, and multiproofs.
//!
//! Leaf t is `BLAKE3-keyed(salt_t, BLAKE3(tile bytes))`: without the salt an auditor cannot find a tile's hash in the
//! tree, so nobody can copy a neighbour's answer. A level's odd last node moves up unchanged. A multiproof lists,
//! level by level from the leaves and left to right, exactly the siblings that cannot be computed: it is canonical,
//! since any other list fails.

use crate::hash::{Hash, LeaseId};
use alloc::vec::Vec;

/// The salt of tile `tile` under the slice's secret.
#[must_use]
pub fn salt(secret: &Hash, tile: u32) -> Hash {
    secret.keyed(&tile.to_le_bytes())
}

/// The context of the PRF that makes a lease's salt secret from the worker's identity key.
pub const SECRET_CONTEXT: &str = "starling 2026-11 salt secret v1";

/// A leaf.
#[must_use]
pub fn leaf(salt: &Hash, tile_hash: &Hash) -> Hash {
    salt.keyed(&tile_hash.0)
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Hash::derive("starling 2026-11 merkle node v1", &[&left.0, &right.0])
}

/// All leaves of a slice.
#[must_use]
pub fn leaves(secret: &Hash, tile_hashes: &[Hash]) -> Vec<Hash> {
    (0_u32..)
        .zip(tile_hashes)
        .map(|(t, hash)| leaf(&salt(secret, t), hash))
        .collect()
}

fn parents(level: &[Hash]) -> Vec<Hash> {
    level
        .chunks(2)
        .map(|pair| {
            if let [l, r] = pair {
                node(l, r)
            } else {
                pair[0]
            }
        })
        .collect()
}

/// The root that a commitment signs: bound to lease and number of tiles. `None` without leaves.
#[must_use]
pub fn root(lease: &LeaseId, leaves: &[Hash]) -> Option<Hash> {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = parents(&level);
    }
    Some(seal_root(lease, leaves.len(), level.first()?))
}

fn seal_root(lease: &LeaseId, n: usize, top: &Hash) -> Hash {
    Hash::derive(
        "starling 2026-11 merkle root v1",
        &[lease.as_bytes(), &(n as u64).to_le_bytes(), &top.0],
    )
}

/// The multiproof for the ascending, distinct `tiles`.
#[must_use]
pub fn prove(leaves: &[Hash], tiles: &[u32]) -> Vec<Hash> {
    let mut proof = Vec::new();
    let mut level = leaves.to_vec();
    let mut known: Vec<usize> = tiles.iter().map(|t| *t as usize).collect();
    while level.len() > 1 {
        for &i in &known {
            let sibling = i ^ 1;
            if sibling < level.len() && known.binary_search(&sibling).is_err() {
                proof.push(level[sibling]);
            }
        }
        level = parents(&level);
        known = up(&known);
    }
    proof
}

/// Whether the ascending, distinct `(tile, leaf)` are leaves of the tree of `n` leaves under `expected`.
/// Every hash of `proof` must be used.
#[must_use]
pub fn verify(
    lease: &LeaseId,
    expected: &Hash,
    n: u32,
    opened: &[(u32, Hash)],
    proof: &[Hash],
) -> bool {
    climb(n, opened, proof, None)
        .is_some_and(|(top, _)| seal_root(lease, n as usize, &top) == *expected)
}

/// The proof for `tile` alone, taken out of a multiproof that opens it. `None` if the multiproof does not hold together.
#[must_use]
pub fn path(n: u32, opened: &[(u32, Hash)], proof: &[Hash], tile: u32) -> Option<Vec<Hash>> {
    opened.binary_search_by_key(&tile, |(t, _)| *t).ok()?;
    climb(n, opened, proof, Some(tile)).map(|(_, path)| path)
}

/// From the opened leaves to the top. Collects the siblings of `watched` and its ancestors on the way.
fn climb(
    n: u32,
    opened: &[(u32, Hash)],
    proof: &[Hash],
    watched: Option<u32>,
) -> Option<(Hash, Vec<Hash>)> {
    let ascending = opened.windows(2).all(|w| w[0].0 < w[1].0);
    if opened.is_empty() || !ascending || opened.iter().any(|(t, _)| *t >= n) {
        return None;
    }
    let mut width = n as usize;
    let mut level: Vec<(usize, Hash)> = opened.iter().map(|(t, h)| (*t as usize, *h)).collect();
    let mut watched = watched.map(|t| t as usize);
    let mut path = Vec::new();
    let mut proof = proof.iter();
    while width > 1 {
        let mut next: Vec<(usize, Hash)> = Vec::with_capacity(level.len());
        let mut nodes = level.iter().copied().peekable();
        while let Some((at, hash)) = nodes.next() {
            let alone = at % 2 == 0 && at + 1 == width;
            let (left, right) = if alone {
                next.push((at / 2, hash));
                continue;
            } else if at % 2 == 1 {
                (*proof.next()?, hash)
            } else if let Some((_, right)) = nodes.next_if(|(other, _)| *other == at + 1) {
                (hash, right)
            } else {
                (hash, *proof.next()?)
            };
            match watched {
                Some(w) if w / 2 == at / 2 => path.push(if w % 2 == 0 { right } else { left }),
                Some(_) | None => {}
            }
            next.push((at / 2, node(&left, &right)));
        }
        level = next;
        width = width.div_ceil(2);
        watched = watched.map(|w| w / 2);
    }
    proof.next().is_none().then_some((level[0].1, path))
}

fn up(known: &[usize]) -> Vec<usize> {
    let mut parents: Vec<usize> = known.iter().map(|i| i / 2).collect();
    parents.dedup();
    parents
}
