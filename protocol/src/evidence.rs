//! The signed facts of one slice, in the order in which they come to be: lease, commitment, locks, lock set,
//! seal list, opening, attestations, stored. A receipt is made of them and of nothing else.

use crate::advert::DeviceProfile;
use crate::config;
use crate::crypto::Signature;
use crate::hash::{Hash, JobId, LeaseId, PeerKey, SwarmId};
use crate::manifest::{Intensity, Manifest};
use crate::merkle;
use crate::signed::Fact;
use crate::{codec, draw};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A steward lets a worker compute a slice. Signed by the steward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Which job.
    pub job: JobId,
    /// Which slice.
    pub slice: u32,
    /// Who computes.
    pub worker: PeerKey,
    /// Who grants, and collects the audit.
    pub steward: PeerKey,
    /// How long the worker has for its commitment, counted from receipt, ms.
    pub ttl_ms: u32,
    /// How strongly the slice will be audited.
    pub intensity: Intensity,
    /// Binds the steward's share of the seed.
    pub nonce_digest: Hash,
    /// Digest of the appointment that lets the steward lease.
    pub appointment: Hash,
}

impl Fact for Lease {
    const CONTEXT: &'static str = "starling 2026-11 lease v1";
}

impl Lease {
    /// The lease's id. Every lease has its own nonce, so no two share it.
    #[must_use]
    pub fn id(&self, swarm: &SwarmId) -> LeaseId {
        LeaseId(self.digest(swarm))
    }
}

/// A worker has finished a slice and is bound to its output. Signed by the worker, logged before it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// Under which lease.
    pub lease: LeaseId,
    /// Merkle root over the salted tiles.
    pub root: Hash,
    /// N, the number of tiles.
    pub tiles: u32,
    /// What it was computed with.
    pub device: DeviceProfile,
}

impl Fact for Commitment {
    const CONTEXT: &'static str = "starling 2026-11 commitment v1";
}

/// A witness saw this root for this lease, and will sign no other. Persisted before it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Under which lease.
    pub lease: LeaseId,
    /// The worker's root.
    pub root: Hash,
    /// Binds the witness's share of the seed.
    pub nonce_digest: Hash,
}

impl Fact for Lock {
    const CONTEXT: &'static str = "starling 2026-11 lock v1";
}

/// One lock inside a lock set: the parts that the lease and the root do not tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockEntry {
    /// The witness, by its roster index.
    pub witness: u16,
    /// See [`Lock::nonce_digest`].
    pub nonce_digest: Hash,
    /// The witness's signature over the [`Lock`].
    pub signature: Signature,
}

/// The locks that the seed will be made of. Signed by the collector; one per lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockSet {
    /// Under which lease.
    pub lease: LeaseId,
    /// In rank order, at most min(3, e).
    pub locks: Vec<LockEntry>,
    /// Ranks that were asked and did not lock, by roster index, in rank order.
    pub skipped: Vec<u16>,
}

impl Fact for LockSet {
    const CONTEXT: &'static str = "starling 2026-11 lock set v1";
}

/// A witness's share of the seed. Signed by the witness, once, against one lock set: a steward that showed several
/// sets, to learn more nonces than it uses, is left without enough of these for any of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reveal {
    /// Under which lease.
    pub lease: LeaseId,
    /// Digest of the lock set that it was shown.
    pub lock_set: Hash,
    /// Opens the lock's digest.
    pub nonce: Hash,
}

impl Fact for Reveal {
    const CONTEXT: &'static str = "starling 2026-11 reveal v1";
}

/// A reveal's parts that lease and lock set do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revealed {
    /// The witness's nonce.
    pub nonce: Hash,
    /// The witness's signature over the [`Reveal`].
    pub signature: Signature,
}

/// The bare nonces, as the seed is made of them.
#[must_use]
pub fn nonces(revealed: &[Option<Revealed>]) -> Vec<Option<Hash>> {
    revealed.iter().map(|r| r.map(|r| r.nonce)).collect()
}

/// One sealed recomputation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealEntry {
    /// The auditor, by its roster index.
    pub auditor: u16,
    /// [`seal_digest`] of its results.
    pub digest: Hash,
}

/// What the auditors found, sealed, before the worker opens anything. Signed by the collector; one per lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealList {
    /// Under which lease.
    pub lease: LeaseId,
    /// In rank order, at most k.
    pub seals: Vec<SealEntry>,
    /// Ranks that were asked and did not seal, by roster index, in rank order.
    pub skipped: Vec<u16>,
    /// Whether the requester's own draw of min(32, N) tiles is opened as well, for the case that no quorum forms.
    pub requester_draw: bool,
}

impl Fact for SealList {
    const CONTEXT: &'static str = "starling 2026-11 seal list v1";
}

impl SealList {
    /// The tiles that the worker has to open: the union of all listed draws, ascending.
    /// `None` when an index is not in the roster.
    #[must_use]
    pub fn tiles(
        &self,
        seed: &Hash,
        intensity: &Intensity,
        n: u32,
        manifest: &Manifest,
        roster: &crate::Roster,
    ) -> Option<Vec<u32>> {
        let mut tiles = Vec::new();
        for seal in &self.seals {
            tiles.extend(draw::tiles(
                seed,
                &roster.peer(seal.auditor)?,
                u32::from(intensity.s),
                n,
            ));
        }
        if self.requester_draw {
            tiles.extend(draw::tiles(
                seed,
                &manifest.requester,
                config::SELF_CHECK_TILES,
                n,
            ));
        }
        tiles.sort_unstable();
        tiles.dedup();
        Some(tiles)
    }
}

/// What an auditor seals: bound to who it is and to the seed, so that it is of no use to anybody else.
#[must_use]
pub fn seal_digest(auditor: &PeerKey, nonce: &Hash, seed: &Hash, tile_hashes: &[Hash]) -> Hash {
    let bytes: Vec<u8> = tile_hashes.iter().flat_map(|h| h.0).collect();
    Hash::derive(
        "starling 2026-11 seal v1",
        &[auditor.as_bytes(), &nonce.0, &seed.0, &bytes],
    )
}

/// One opened tile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedTile {
    /// Which one, counted within the slice.
    pub tile: u32,
    /// Its salt.
    pub salt: Hash,
    /// BLAKE3 of its bytes.
    pub hash: Hash,
}

/// The worker's answer to the seal list. Signed by the worker, forwarded byte for byte; one serves all auditors,
/// so a cheat gains nothing by opening for some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Under which lease.
    pub lease: LeaseId,
    /// The committed root.
    pub root: Hash,
    /// Digest of the seal list that it answers.
    pub seal_list: Hash,
    /// The union of the draws, ascending.
    pub tiles: Vec<OpenedTile>,
    /// Canonical multiproof, see [`merkle`].
    pub proof: Vec<Hash>,
}

impl Fact for Opening {
    const CONTEXT: &'static str = "starling 2026-11 opening v1";
}

impl Opening {
    /// Whether it opens exactly `tiles` under the commitment and answers the list.
    #[must_use]
    pub fn answers(&self, commitment: &Commitment, seal_list: &Hash, tiles: &[u32]) -> bool {
        let fits = self.lease == commitment.lease
            && self.root == commitment.root
            && self.seal_list == *seal_list
            && self.tiles.iter().map(|t| t.tile).eq(tiles.iter().copied())
            && codec::encode(self).len() <= config::OPENING_MAX;
        let leaf = |t: &OpenedTile| (t.tile, merkle::leaf(&t.salt, &t.hash));
        let leads = || {
            let leaves: Vec<_> = self.tiles.iter().map(leaf).collect();
            let (id, root, n) = (&self.lease, &self.root, commitment.tiles);
            merkle::verify(id, root, n, &leaves, &self.proof)
        };
        fits && leads()
    }

    /// The opened hashes of `tiles` (ascending), as an auditor seals them. `None` when one is not open.
    #[must_use]
    pub fn hashes(&self, tiles: &[u32]) -> Option<Vec<Hash>> {
        tiles
            .iter()
            .map(|t| self.tile(*t).map(|o| o.hash))
            .collect()
    }

    /// One opened tile.
    #[must_use]
    pub fn tile(&self, tile: u32) -> Option<&OpenedTile> {
        self.tiles
            .binary_search_by_key(&tile, |o| o.tile)
            .ok()
            .map(|i| &self.tiles[i])
    }
}

/// An auditor's verdict, which also opens its seal. Signed by the auditor, or by the requester when it checks itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// Under which lease.
    pub lease: LeaseId,
    /// The seed that drew it: the receipt's nonces are bound by it.
    pub seed: Hash,
    /// Digest of the opening that it compared.
    pub opening: Hash,
    /// Whether every tile was equal.
    pub agree: bool,
    /// How many tiles it recomputed: auditing is work.
    pub tiles: u16,
    /// Opens the seal.
    pub nonce: Hash,
}

impl Fact for Attestation {
    const CONTEXT: &'static str = "starling 2026-11 attestation v1";
}

/// A storer rebuilt the root from the bytes and keeps them. Signed by a steward or the requester.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Under which lease.
    pub lease: LeaseId,
    /// The root that it rebuilt.
    pub root: Hash,
}

impl Fact for Stored {
    const CONTEXT: &'static str = "starling 2026-11 stored v1";
}
