//! Who was drawn: the checks that collector, worker, auditor and offline verifier share, so that what a peer accepts
//! during an audit is exactly what its receipt will prove.

use crate::config;
use crate::crypto::Verifier;
use crate::draw;
use crate::evidence::{self, Lease, Lock, LockSet, Reveal, Revealed, SealList};
use crate::hash::{Hash, LeaseId, PeerKey, SwarmId};
use crate::manifest::{Intensity, JobRecord};
use crate::message::AuditCall;
use crate::receipt::ReceiptError;
use crate::signed::Fact;
use alloc::vec::Vec;

pub(crate) fn ensure(ok: bool, error: ReceiptError) -> Result<(), ReceiptError> {
    if ok { Ok(()) } else { Err(error) }
}

/// Whether the `members` stand in `ranks`, in ascending order and without repetition.
fn in_rank_order(ranks: &[PeerKey], members: &[PeerKey]) -> bool {
    let mut ranks = ranks.iter();
    members.iter().all(|m| ranks.any(|r| r == m))
}

/// The peers behind roster indices, if they stand in rank order.
pub(crate) fn drawn(
    record: &JobRecord,
    ranks: &[PeerKey],
    indices: impl Iterator<Item = u16>,
) -> Option<Vec<PeerKey>> {
    let peers: Option<Vec<_>> = indices.map(|i| record.roster.peer(i)).collect();
    peers.filter(|p| in_rank_order(ranks, p))
}

/// The peers that may witness for a lease, in rank order.
pub(crate) fn witness_ranks(record: &JobRecord, lease: &Lease) -> Vec<PeerKey> {
    let target = draw::witness_target(&lease.job, lease.slice, &lease.worker);
    let mut ranks = record.ranks(&lease.worker, &target);
    ranks.truncate(config::WITNESS_RANKS);
    ranks
}

/// The peers that may audit under `seed`, in rank order.
pub(crate) fn auditor_ranks(record: &JobRecord, lease: &Lease, seed: &Hash) -> Vec<PeerKey> {
    let mut ranks = record.ranks(&lease.worker, &draw::auditor_target(seed));
    ranks.truncate(strength(record, lease, seed).ranks(ranks.len()));
    ranks
}

/// How strongly a lease is audited under `seed`: all that comes after the seed goes by this.
pub(crate) fn strength(record: &JobRecord, lease: &Lease, seed: &Hash) -> Intensity {
    lease.intensity.effective(seed, record.committee())
}

/// What makes a lease one of the record's: its job, slice, steward, worker, appointment and intensity.
pub(crate) fn check_lease(
    record: &JobRecord,
    lease: &Lease,
    swarm: &SwarmId,
) -> Result<(), ReceiptError> {
    let manifest = &record.manifest.body;
    let mismatch = ReceiptError::Mismatch;
    ensure(
        lease.job == record.id(swarm) && lease.slice < manifest.slices(),
        mismatch("lease"),
    )?;
    ensure(
        lease.appointment == record.appointment.digest(swarm),
        mismatch("appointment"),
    )?;
    // Whoever works does not gather its own audit.
    ensure(
        record.is_steward(&lease.steward) && lease.steward != lease.worker,
        mismatch("steward"),
    )?;
    ensure(
        record.roster.index(&lease.worker).is_some(),
        mismatch("worker"),
    )?;
    ensure(
        lease
            .intensity
            .meets(&manifest.floor, record.eligible(&lease.worker)),
        mismatch("intensity"),
    )
}

/// Witnesses in rank order, if the set is made of drawn ones.
pub(crate) fn check_lock_set(
    record: &JobRecord,
    lease: &Lease,
    id: LeaseId,
    set: &LockSet,
) -> Result<Vec<PeerKey>, ReceiptError> {
    let full = config::WITNESSES.min(record.eligible(&lease.worker));
    ensure(
        set.lease == id && set.locks.len() <= full,
        ReceiptError::Mismatch("lock set"),
    )?;
    let ranks = witness_ranks(record, lease);
    let witnesses = drawn(record, &ranks, set.locks.iter().map(|l| l.witness));
    let witnesses = witnesses.ok_or(ReceiptError::NotDrawn("witness"))?;
    let skipped = drawn(record, &ranks, set.skipped.iter().copied());
    let skipped = skipped.ok_or(ReceiptError::NotDrawn("skipped witness"))?;
    ensure(
        accounted(&ranks, &witnesses, &skipped, full),
        ReceiptError::Mismatch("lock set"),
    )?;
    Ok(witnesses)
}

/// Whether those present and those skipped fill the ranks from the first one up to where the list could close, so
/// that no collector picks its friends in silence.
fn accounted(ranks: &[PeerKey], present: &[PeerKey], skipped: &[PeerKey], full: usize) -> bool {
    let asked = present.len() + skipped.len();
    let gapless = ranks
        .get(..asked)
        .is_some_and(|r| r.iter().all(|p| present.contains(p) || skipped.contains(p)));
    gapless && (present.len() == full || asked == ranks.len())
}

/// Whether the witnesses signed their locks on `root`.
pub(crate) fn check_locks(
    witnesses: &[PeerKey],
    set: &LockSet,
    root: Hash,
    swarm: &SwarmId,
    verifier: &dyn Verifier,
) -> Result<(), ReceiptError> {
    for (witness, entry) in witnesses.iter().zip(&set.locks) {
        let lock = Lock {
            lease: set.lease,
            root,
            nonce_digest: entry.nonce_digest,
        };
        let ok = verifier.verify(witness, &lock.digest(swarm), &entry.signature);
        ensure(ok, ReceiptError::Signature("lock"))?;
    }
    Ok(())
}

/// Whether the witnesses signed their nonces against this very lock set.
pub(crate) fn check_reveals(
    witnesses: &[PeerKey],
    set: &LockSet,
    nonces: &[Option<Revealed>],
    swarm: &SwarmId,
    verifier: &dyn Verifier,
) -> Result<(), ReceiptError> {
    let lock_set = set.digest(swarm);
    for (witness, revealed) in witnesses.iter().zip(nonces) {
        let Some(Revealed { nonce, signature }) = *revealed else {
            continue;
        };
        let lease = set.lease;
        let reveal = Reveal {
            lease,
            lock_set,
            nonce,
        };
        let ok = verifier.verify(witness, &reveal.digest(swarm), &signature);
        ensure(ok, ReceiptError::Signature("reveal"))?;
    }
    Ok(())
}

/// Whether the nonces open what was bound; at most one witness' may be missing.
pub(crate) fn check_nonces(
    lease: &Lease,
    set: &LockSet,
    nonces: &[Option<Revealed>],
    steward_nonce: &Hash,
) -> Result<(), ReceiptError> {
    ensure(
        nonces.len() == set.locks.len(),
        ReceiptError::Mismatch("nonces"),
    )?;
    for (lock, nonce) in set.locks.iter().zip(nonces) {
        let opens = nonce.is_none_or(|r| draw::nonce_digest(&r.nonce) == lock.nonce_digest);
        ensure(opens, ReceiptError::Nonce("witness"))?;
    }
    ensure(
        nonces.iter().filter(|n| n.is_none()).count() < 2,
        ReceiptError::NoncesMissing,
    )?;
    ensure(
        draw::nonce_digest(steward_nonce) == lease.nonce_digest,
        ReceiptError::Nonce("steward"),
    )
}

/// The seed of a call, if everything before it holds: lease, commitment, locks and nonces. Signatures come last, and
/// not before `concerns` has agreed to the seed.
pub(crate) fn check_call(
    record: &JobRecord,
    call: &AuditCall,
    concerns: &dyn Fn(&Hash) -> bool,
    swarm: &SwarmId,
    verifier: &dyn Verifier,
) -> Option<Hash> {
    let (lease, commitment, set) = (&call.lease.body, &call.commitment.body, &call.lock_set.body);
    let id = lease.id(swarm);
    check_lease(record, lease, swarm).ok()?;
    let n = record.manifest.body.tiles_in(lease.slice);
    if commitment.lease != id || commitment.tiles != n || !call.context.is_empty() {
        return None;
    }
    let witnesses = check_lock_set(record, lease, id, set).ok()?;
    check_nonces(lease, set, &call.nonces, &call.steward_nonce).ok()?;
    let shares = evidence::nonces(&call.nonces);
    let seed = draw::seed(&id, &commitment.root, &shares, &call.steward_nonce);
    let signed = concerns(&seed)
        && call.lease.verify(swarm, verifier, &lease.steward)
        && call.commitment.verify(swarm, verifier, &lease.worker)
        && call.lock_set.verify(swarm, verifier, &lease.steward)
        && check_locks(&witnesses, set, commitment.root, swarm, verifier).is_ok()
        && check_reveals(&witnesses, set, &call.nonces, swarm, verifier).is_ok();
    signed.then_some(seed)
}

/// Listed auditors in rank order, if all named peers were drawn.
pub(crate) fn check_seal_list(
    record: &JobRecord,
    lease: &Lease,
    id: LeaseId,
    list: &SealList,
    seed: &Hash,
) -> Result<Vec<PeerKey>, ReceiptError> {
    let strength = strength(record, lease, seed);
    let few = list.seals.len() <= usize::from(strength.k);
    ensure(list.lease == id && few, ReceiptError::Mismatch("seal list"))?;
    let enough = list.seals.len() >= strength.quorum() || list.requester_draw;
    ensure(enough, ReceiptError::Mismatch("seal list"))?;
    let ranks = auditor_ranks(record, lease, seed);
    let auditors = drawn(record, &ranks, list.seals.iter().map(|s| s.auditor));
    let auditors = auditors.ok_or(ReceiptError::NotDrawn("auditor"))?;
    let skipped = drawn(record, &ranks, list.skipped.iter().copied());
    let skipped = skipped.ok_or(ReceiptError::NotDrawn("skipped auditor"))?;
    let full = usize::from(strength.k);
    ensure(
        accounted(&ranks, &auditors, &skipped, full),
        ReceiptError::Mismatch("seal list"),
    )?;
    Ok(auditors)
}
