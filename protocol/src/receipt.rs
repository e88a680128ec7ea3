//! The PoPW receipt and its offline verification.
//!
//! A receipt verifies against a job's record alone: no network, no trust in who hands it over. What it proves: the
//! worker was bound to its output before anybody knew which tiles would be recomputed, and a quorum drawn by a seed
//! that nobody chose alone recomputed theirs and agreed. What it cannot prove is listed as [`Flags`].

use crate::crypto::{Signature, Verifier};
use crate::evidence::{
    Attestation, Commitment, Lease, LockSet, Revealed, SealList, Stored, nonces,
};

use crate::hash::{Hash, LeaseId, PeerKey, SwarmId};
use crate::manifest::JobRecord;
use crate::rules::{self, ensure};
use crate::signed::{Fact, Signed};
use crate::{codec, config, draw};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One agreeing attestation: the parts that the receipt does not tell elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The auditor, by its roster index.
    pub auditor: u16,
    /// Tiles that it recomputed.
    pub tiles: u16,
    /// Opens its seal.
    pub nonce: Hash,
    /// Over the [`Attestation`].
    pub signature: Signature,
}

/// Who stands for the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quorum {
    /// The q lowest ranks that agreed.
    Auditors(Vec<Agreement>),
    /// Too few auditors: the requester recomputed all opened tiles. Proves nothing to those who do not trust it.
    SelfChecked {
        /// Tiles that it recomputed.
        tiles: u16,
        /// Over the [`Attestation`].
        signature: Signature,
    },
}

/// Who keeps the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storer {
    /// A steward or the requester.
    pub peer: PeerKey,
    /// Over the [`Stored`].
    pub signature: Signature,
}

/// Proof of physical work for one slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Who computed what, for whom.
    pub lease: Signed<Lease>,
    /// The worker's root.
    pub commitment: Signed<Commitment>,
    /// The witnesses' locks.
    pub lock_set: Signed<LockSet>,
    /// In the lock set's order; a missing one entered the seed as zeros.
    pub nonces: Vec<Option<Revealed>>,
    /// The steward's share of the seed.
    pub steward_nonce: Hash,
    /// The sealed results.
    pub seal_list: Signed<SealList>,
    /// Digest of the opening that was compared.
    pub opening: Hash,
    /// Who agreed.
    pub quorum: Quorum,
    /// Who keeps the output, if anybody.
    pub stored: Option<Storer>,
}

/// Weaknesses that a reader should know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// Fewer locks than min(3, e), more than one skipped witness, or more skipped auditors than k - q: the draw had
    /// less to rest on.
    pub weak: bool,
    /// One witness withheld its nonce.
    pub missing_nonce: bool,
    /// No quorum: the requester recomputed.
    pub self_checked: bool,
    /// Nobody signed that it keeps the output: not to be credited.
    pub not_stored: bool,
    /// Another stored receipt of its bundle is credited for this slice. None by itself is a duplicate.
    pub duplicate: bool,
}

impl Flags {
    /// Those that are set, in words.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.weak, "weak"),
            (self.self_checked, "self-checked"),
            (self.not_stored, "not stored"),
            (self.missing_nonce, "missing nonce"),
            (self.duplicate, "duplicate"),
        ];
        all.into_iter()
            .filter(|(set, _)| *set)
            .map(|(_, name)| name)
    }
}

/// What a valid receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The lease.
    pub lease: LeaseId,
    /// The slice.
    pub slice: u32,
    /// Who computed.
    pub worker: PeerKey,
    /// What drew its auditors.
    pub seed: Hash,
    /// Work units of the slice.
    pub units: u64,
    /// Work units that auditors recomputed for it.
    pub audited_units: u64,
    /// Weaknesses.
    pub flags: Flags,
    /// All peers whose signatures make the receipt: witnesses and agreeing auditors, or the requester.
    pub committee: BTreeSet<PeerKey>,
}

impl Verified {
    /// Whether its work counts: its output is kept, and no other receipt stands for the slice.
    #[must_use]
    pub fn is_credited(&self) -> bool {
        !self.flags.not_stored && !self.flags.duplicate
    }

    /// Of several for one slice the lowest is credited: a weak one never beside one that is not, or a steward could call
    /// its friends alone and displace honest work; then by a digest of the seed, which nobody could choose.
    #[must_use]
    pub fn precedence(&self) -> Precedence {
        let digest = Hash::derive(
            "starling 2026-11 credited v1",
            &[&self.seed.0, self.worker.as_bytes()],
        );
        Precedence(self.flags.weak, digest)
    }
}

/// Where a receipt stands among others for its slice; see [`Verified::precedence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence(bool, Hash);

/// Of the stored receipts for each slice, marks all as duplicates but the one that is credited. `K` tells slices apart.
pub fn mark_duplicates<'a, K: Ord>(receipts: impl Iterator<Item = (K, Precedence, &'a mut Flags)>) {
    let mut of_slice: BTreeMap<K, Vec<(Precedence, &mut Flags)>> = BTreeMap::new();
    for (slice, precedence, flags) in receipts.filter(|(.., flags)| !flags.not_stored) {
        of_slice.entry(slice).or_default().push((precedence, flags));
    }
    for all in of_slice.into_values() {
        let credited = all.iter().map(|(precedence, _)| *precedence).min();
        for (precedence, flags) in all {
            flags.duplicate = Some(precedence) != credited;
        }
    }
}

/// Why a receipt proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Longer than 4 KiB.
    #[error("the receipt is longer than 4 KiB")]
    TooLong,
    /// Lease, commitment, lists and record do not belong together.
    #[error("the {0} does not belong to this receipt")]
    Mismatch(&'static str),
    /// A signature does not verify.
    #[error("the {0}'s signature does not verify")]
    Signature(&'static str),
    /// A peer signed that was not drawn, or twice, or out of order.
    #[error("the {0} was not drawn for this slice, or appears twice or out of order")]
    NotDrawn(&'static str),
    /// A nonce does not open what was bound.
    #[error("the {0}'s nonce does not open its digest")]
    Nonce(&'static str),
    /// Too few agree.
    #[error("{got} attestations where {need} make a quorum")]
    BelowQuorum {
        /// Present.
        got: usize,
        /// Needed.
        need: usize,
    },
    /// The bundle holds another valid receipt for the same lease.
    #[error("another receipt for this lease stands before it")]
    Twice,
    /// Two nonces or more are missing.
    #[error("two or more witnesses' nonces are missing")]
    NoncesMissing,
}

use ReceiptError::{BelowQuorum, Mismatch, NotDrawn, TooLong};

impl Receipt {
    /// The lease's id: also the receipt's.
    #[must_use]
    pub fn id(&self, swarm: &SwarmId) -> LeaseId {
        self.lease.body.id(swarm)
    }

    /// Verifies everything against a record whose own checks have passed ([`JobRecord::check`]).
    ///
    /// # Errors
    /// [`ReceiptError`] with the first thing found wrong; structure first, signatures last.
    pub fn verify(
        &self,
        record: &JobRecord,
        swarm: &SwarmId,
        verifier: &dyn Verifier,
    ) -> Result<Verified, ReceiptError> {
        let (lease, commitment) = (&self.lease.body, &self.commitment.body);
        let manifest = &record.manifest.body;
        let id = lease.id(swarm);
        let e = record.eligible(&lease.worker);
        let n = manifest.tiles_in(lease.slice);

        ensure(codec::encode(self).len() <= config::RECEIPT_MAX, TooLong)?;
        rules::check_lease(record, lease, swarm)?;
        ensure(
            commitment.lease == id && commitment.tiles == n,
            Mismatch("commitment"),
        )?;
        let witnesses = rules::check_lock_set(record, lease, id, &self.lock_set.body)?;
        rules::check_nonces(
            lease,
            &self.lock_set.body,
            &self.nonces,
            &self.steward_nonce,
        )?;
        let seed = draw::seed(
            &id,
            &commitment.root,
            &nonces(&self.nonces),
            &self.steward_nonce,
        );
        let auditors = rules::check_seal_list(record, lease, id, &self.seal_list.body, &seed)?;
        let (mut committee, audited_tiles) =
            self.check_quorum(record, seed, n, &auditors, swarm, verifier)?;
        committee.extend(witnesses.iter().copied());

        rules::check_locks(
            &witnesses,
            &self.lock_set.body,
            commitment.root,
            swarm,
            verifier,
        )?;
        rules::check_reveals(
            &witnesses,
            &self.lock_set.body,
            &self.nonces,
            swarm,
            verifier,
        )?;
        self.check_signatures(swarm, verifier)?;
        if let Some(storer) = &self.stored {
            ensure(
                record.is_steward(&storer.peer) || storer.peer == manifest.requester,
                Mismatch("storer"),
            )?;
            let stored = Stored {
                lease: id,
                root: commitment.root,
            };
            let ok = verifier.verify(&storer.peer, &stored.digest(swarm), &storer.signature);
            ensure(ok, ReceiptError::Signature("storer"))?;
        }

        let list = &self.seal_list.body;
        let strength = rules::strength(record, lease, &seed);
        let spare = usize::from(strength.k) - strength.quorum();
        Ok(Verified {
            lease: id,
            slice: lease.slice,
            worker: lease.worker,
            seed,
            units: u64::from(n) * manifest.units_per_tile,
            audited_units: audited_tiles * manifest.units_per_tile,
            flags: Flags {
                weak: witnesses.len() < config::WITNESSES.min(e)
                    || self.lock_set.body.skipped.len() > 1
                    || list.skipped.len() > spare,
                missing_nonce: self.nonces.iter().any(Option::is_none),
                self_checked: matches!(self.quorum, Quorum::SelfChecked { .. }),
                not_stored: self.stored.is_none(),
                duplicate: false,
            },
            committee,
        })
    }

    /// Who agreed, and how many tiles they recomputed together.
    fn check_quorum(
        &self,
        record: &JobRecord,
        seed: Hash,
        n: u32,
        auditors: &[PeerKey],
        swarm: &SwarmId,
        verifier: &dyn Verifier,
    ) -> Result<(BTreeSet<PeerKey>, u64), ReceiptError> {
        let lease = &self.lease.body;
        let attested = |peer: &PeerKey, tiles: u16, nonce: Hash, signature: &Signature| {
            let (lease, opening) = (self.commitment.body.lease, self.opening);
            let attestation = Attestation {
                lease,
                seed,
                opening,
                agree: true,
                tiles,
                nonce,
            };
            verifier.verify(peer, &attestation.digest(swarm), signature)
        };
        match &self.quorum {
            Quorum::Auditors(agreements) => {
                let strength = rules::strength(record, lease, &seed);
                let need = strength.quorum();
                ensure(
                    need > 0 && agreements.len() == need,
                    BelowQuorum {
                        got: agreements.len(),
                        need,
                    },
                )?;
                let drawn = u32::from(strength.s).min(n);
                let peers = rules::drawn(record, auditors, agreements.iter().map(|a| a.auditor));
                let peers = peers.ok_or(NotDrawn("attesting auditor"))?;
                for (peer, a) in peers.iter().zip(agreements) {
                    ensure(u32::from(a.tiles) == drawn, Mismatch("attestation"))?;
                    ensure(
                        attested(peer, a.tiles, a.nonce, &a.signature),
                        ReceiptError::Signature("auditor"),
                    )?;
                }
                Ok((peers.into_iter().collect(), u64::from(drawn) * need as u64))
            }
            Quorum::SelfChecked { tiles, signature } => {
                let requester = &record.manifest.body.requester;
                let enough =
                    u32::from(*tiles) >= config::SELF_CHECK_TILES.min(n) && u32::from(*tiles) <= n;
                ensure(
                    self.seal_list.body.requester_draw && enough,
                    Mismatch("self-check"),
                )?;
                let ok = attested(requester, *tiles, Hash::default(), signature);
                ensure(ok, ReceiptError::Signature("requester"))?;
                Ok((BTreeSet::from([*requester]), u64::from(*tiles)))
            }
        }
    }

    fn check_signatures(
        &self,
        swarm: &SwarmId,
        verifier: &dyn Verifier,
    ) -> Result<(), ReceiptError> {
        let (steward, worker) = (&self.lease.body.steward, &self.lease.body.worker);
        let signed = |ok, who| ensure(ok, ReceiptError::Signature(who));
        signed(self.lease.verify(swarm, verifier, steward), "lease")?;
        signed(
            self.commitment.verify(swarm, verifier, worker),
            "commitment",
        )?;
        signed(self.lock_set.verify(swarm, verifier, steward), "lock set")?;
        signed(self.seal_list.verify(swarm, verifier, steward), "seal list")
    }
}
