//! Fraud proofs: one opened tile, with its path to the root that the worker signed. Whoever recomputes that tile
//! knows who lied. No tile bytes travel.

use crate::crypto::Verifier;
use crate::evidence::{Commitment, Lease, OpenedTile, Opening};
use crate::hash::{Hash, PeerKey, SwarmId};
use crate::signed::{Fact, Signed};
use crate::{codec, config, merkle};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What the accuser signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FraudClaim {
    /// Who accuses.
    pub accuser: PeerKey,
    /// The steward's lease.
    pub lease: Signed<Lease>,
    /// The worker's commitment.
    pub commitment: Signed<Commitment>,
    /// The tile said to be wrong, as the worker opened it.
    pub entry: OpenedTile,
    /// Its path.
    pub path: Vec<Hash>,
}

impl Fact for FraudClaim {
    const CONTEXT: &'static str = "starling 2026-11 fraud claim v1";
}

impl FraudClaim {
    /// That of `opening`, one tile is wrong; none if it does not open that tile.
    #[must_use]
    pub fn of(
        accuser: PeerKey,
        lease: &Signed<Lease>,
        commitment: &Signed<Commitment>,
        opening: &Opening,
        tile: u32,
    ) -> Option<Self> {
        let leaf = |t: &OpenedTile| (t.tile, merkle::leaf(&t.salt, &t.hash));
        let opened: Vec<_> = opening.tiles.iter().map(leaf).collect();
        let n = commitment.body.tiles;
        let path = merkle::path(n, &opened, &opening.proof, tile)?;
        Some(Self {
            accuser,
            lease: lease.clone(),
            commitment: commitment.clone(),
            entry: opening.tile(tile)?.clone(),
            path,
        })
    }
}

/// A signed accusation.
pub type FraudProof = Signed<FraudClaim>;

impl FraudProof {
    /// Whether signatures and path hold, so that the worker did commit to that tile hash. Whether the hash is wrong
    /// is for whoever recomputes the tile.
    #[must_use]
    pub fn is_well_founded(&self, swarm: &SwarmId, verifier: &dyn Verifier) -> bool {
        let FraudClaim {
            accuser,
            lease,
            commitment,
            entry,
            path,
        } = &self.body;
        let leaf = (entry.tile, merkle::leaf(&entry.salt, &entry.hash));
        codec::encode(self).len() <= config::FRAUD_PROOF_MAX
            && commitment.body.lease == lease.body.id(swarm)
            && merkle::verify(
                &commitment.body.lease,
                &commitment.body.root,
                commitment.body.tiles,
                &[leaf],
                path,
            )
            && lease.verify(swarm, verifier, &lease.body.steward)
            && commitment.verify(swarm, verifier, &lease.body.worker)
            && self.verify(swarm, verifier, accuser)
    }
}
