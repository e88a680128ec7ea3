//! The rules of an audit, written a second time, from PROTOCOL.md alone: who was drawn, which tiles, under which seed,
//! how many make a quorum, and what an opening proves.
//!
//! A mistake in the core's draw is also one in its verifier, which then finds nothing wrong. So nothing of the core is
//! used here but its hash, the encoding of signed bodies and the fields of messages.

use starling_protocol::crypto::Verifier;
use starling_protocol::evidence::{Attestation, Opening};
use starling_protocol::manifest::{Intensity, JobRecord, Manifest};
use starling_protocol::receipt::Quorum;
use starling_protocol::signed::Fact;
use starling_protocol::{Hash, JobId, LeaseId, PeerKey, Receipt, SwarmId};
use std::collections::{BTreeMap, BTreeSet};

/// What an audit was about, by the rules.
#[derive(Clone, Debug)]
pub struct Audit {
    /// What drew the auditors and their tiles.
    pub seed: Hash,
    /// Tiles of the slice.
    pub n: u32,
    /// By roster index, those listed: who, its seal, and its tiles.
    pub listed: BTreeMap<u16, (PeerKey, Hash, BTreeSet<u32>)>,
    /// What the worker has to open.
    pub opened: BTreeSet<u32>,
}

/// k and s of newcomers among `e` peers.
#[must_use]
pub fn newcomer(e: usize) -> (usize, usize) {
    let k = e.min(16);
    (k, if k == 0 { 0 } else { 32_usize.div_ceil(k) })
}

/// k and s of trusted workers among `e` peers.
#[must_use]
pub fn trusted(e: usize) -> (usize, usize) {
    let k = e.min(8);
    (k, if k == 0 { 0 } else { 8_usize.div_ceil(k) })
}

/// The chance, in 1/65536, that somebody with `cv` valid slices in a row is audited in full: 1 / cv, 5 % at least.
#[must_use]
pub fn p_full(cv: u32) -> u16 {
    let share = (1.0 / f64::from(cv.max(1))).max(0.05);
    (share * 65_536.0).ceil().min(65_535.0) as u16
}

/// k and s that a lease's audit has under `seed`, with `e` peers to draw from: as stated, unless the coin in the seed
/// falls below `p_full`; then no less than a newcomer's.
#[must_use]
pub fn strength(stated: Intensity, seed: &Hash, e: usize) -> (usize, u32) {
    let (k, s) = (usize::from(stated.k), u32::from(stated.s));
    let coin = Hash::derive("starling 2026-11 audit coin v1", &[&seed.0]).0;
    if u32::from(coin[0]) + 256 * u32::from(coin[1]) < u32::from(stated.p_full) {
        let full = newcomer(e);
        (k.max(full.0), s.max(full.1 as u32))
    } else {
        (k, s)
    }
}

/// Who may be drawn for an audit: the roster without stewards. No worker is among its own judges.
fn judges(record: &JobRecord) -> impl Iterator<Item = &PeerKey> {
    let stewards = &record.appointment.body.stewards;
    record
        .roster
        .peers()
        .iter()
        .filter(|p| !stewards.contains(p))
}

/// How many may be drawn for a worker that is no steward: by this go k and s of all leases of the job.
#[must_use]
pub fn committee(record: &JobRecord) -> usize {
    judges(record).count().saturating_sub(1)
}

/// Tiles of a slice; none of one that the job does not have.
#[must_use]
pub fn tiles_in(manifest: &Manifest, slice: u32) -> Option<u32> {
    let first = slice.checked_mul(manifest.slice_tiles)?;
    let left = manifest.tiles.checked_sub(first).filter(|left| *left > 0)?;
    Some(left.min(manifest.slice_tiles))
}

/// Judges a receipt of a job whose record holds. Signatures of lists are left to the core's verification.
///
/// # Errors
/// What is wrong, in words.
pub fn receipt(
    record: &JobRecord,
    swarm: &SwarmId,
    receipt: &Receipt,
    verifier: &dyn Verifier,
) -> Result<Audit, &'static str> {
    let (lease, manifest) = (&receipt.lease.body, &record.manifest.body);
    let (id, root) = (receipt.lease.body.id(swarm), receipt.commitment.body.root);
    let stewards = &record.appointment.body.stewards;
    let e = judges(record).filter(|p| **p != lease.worker).count();
    let (stated, floor) = (lease.intensity, manifest.floor);
    ensure(
        record.roster.peers().contains(&lease.worker),
        "its worker is none of the roster",
    )?;
    let n = tiles_in(manifest, lease.slice).ok_or("its slice is none of the job")?;
    ensure(
        stated.k >= floor.k
            && stated.s >= floor.s
            && stated.p_full >= floor.p_full
            && usize::from(stated.k) <= e,
        "its audit is too weak",
    )?;
    ensure(
        stewards.contains(&lease.steward) && lease.steward != lease.worker,
        "its lease is not a steward's, or is one's own",
    )?;
    ensure(
        receipt.commitment.body.tiles == n,
        "its slice has another length",
    )?;

    let target = witness_target(&lease.job, lease.slice, &lease.worker);
    let set = &receipt.lock_set.body;
    let locks: Vec<_> = set.locks.iter().map(|l| l.witness).collect();
    let witnesses = ranks(record, &lease.worker, &target, 10);
    ensure(
        accounted(&witnesses, &locks, &set.skipped, e.min(3)),
        "its witnesses were not drawn",
    )?;

    let bound = |nonce: &Hash| Hash::derive("starling 2026-11 nonce v1", &[&nonce.0]);
    let opens = set.locks.iter().zip(&receipt.nonces);
    let opens = opens.filter_map(|(l, n)| n.map(|n| bound(&n.nonce) == l.nonce_digest));
    ensure(
        bound(&receipt.steward_nonce) == lease.nonce_digest && opens.into_iter().all(|ok| ok),
        "a nonce is not the one that was bound",
    )?;
    let missing = receipt.nonces.iter().filter(|n| n.is_none()).count();
    ensure(
        missing < 2 && receipt.nonces.len() == locks.len(),
        "nonces are missing",
    )?;
    let shares: Vec<u8> = receipt
        .nonces
        .iter()
        .flat_map(|n| n.map_or([0; 32], |n| n.nonce.0))
        .collect();
    let seed = Hash::derive(
        "starling 2026-11 audit seed v1",
        &[id.as_bytes(), &root.0, &receipt.steward_nonce.0, &shares],
    );

    let (k, s) = strength(stated, &seed, committee(record));
    let target = Hash::derive("starling 2026-11 auditor target v1", &[&seed.0]);
    let list = &receipt.seal_list.body;
    let seals: Vec<_> = list.seals.iter().map(|s| s.auditor).collect();
    let auditors = ranks(record, &lease.worker, &target, (2 * k).min(e));
    ensure(
        accounted(&auditors, &seals, &list.skipped, k),
        "its auditors were not drawn",
    )?;
    let mut audit = Audit {
        seed,
        n,
        listed: BTreeMap::new(),
        opened: BTreeSet::new(),
    };
    for entry in &list.seals {
        let key = record.roster.peers()[usize::from(entry.auditor)];
        let drawn = tiles(&seed, &key, s, n);
        audit.opened.extend(&drawn);
        audit
            .listed
            .insert(entry.auditor, (key, entry.digest, drawn));
    }
    if list.requester_draw {
        audit
            .opened
            .extend(tiles(&seed, &manifest.requester, 32, n));
    }
    quorum(record, swarm, receipt, &audit, (k, s), verifier)?;
    Ok(audit)
}

fn quorum(
    record: &JobRecord,
    swarm: &SwarmId,
    receipt: &Receipt,
    audit: &Audit,
    (k, s): (usize, u32),
    verifier: &dyn Verifier,
) -> Result<(), &'static str> {
    let signed = |peer: &PeerKey, tiles: u16, nonce: Hash, signature| {
        let attestation = Attestation {
            lease: receipt.lease.body.id(swarm),
            seed: audit.seed,
            opening: receipt.opening,
            agree: true,
            tiles,
            nonce,
        };
        verifier.verify(peer, &attestation.digest(swarm), signature)
    };
    match &receipt.quorum {
        Quorum::Auditors(agreed) => {
            let need = (2 * k).div_ceil(3);
            let distinct: BTreeSet<_> = agreed.iter().map(|a| a.auditor).collect();
            ensure(
                need > 0 && agreed.len() == need && distinct.len() == need,
                "they are no quorum",
            )?;
            for a in agreed {
                let drawn = audit.listed.get(&a.auditor);
                let (key, _, drawn) = drawn.ok_or("an auditor that agrees is not listed")?;
                ensure(
                    usize::from(a.tiles) == drawn.len() && u32::from(a.tiles) == s.min(audit.n),
                    "an auditor has too few tiles",
                )?;
                ensure(
                    signed(key, a.tiles, a.nonce, &a.signature),
                    "an auditor signed for another seed or opening",
                )?;
            }
            Ok(())
        }
        Quorum::SelfChecked { tiles, signature } => {
            let enough = u32::from(*tiles) >= audit.n.min(32);
            ensure(
                receipt.seal_list.body.requester_draw && enough,
                "its requester checked too little",
            )?;
            let requester = &record.manifest.body.requester;
            ensure(
                signed(requester, *tiles, Hash::default(), signature),
                "its requester signed for another seed or opening",
            )
        }
    }
}

fn ensure(ok: bool, error: &'static str) -> Result<(), &'static str> {
    if ok { Ok(()) } else { Err(error) }
}

fn witness_target(job: &JobId, slice: u32, worker: &PeerKey) -> Hash {
    Hash::derive(
        "starling 2026-11 witness target v1",
        &[job.as_bytes(), &slice.to_le_bytes(), worker.as_bytes()],
    )
}

/// Roster indices of the first `most` ranks under `target`, without the worker and without stewards.
fn ranks(record: &JobRecord, worker: &PeerKey, target: &Hash, most: usize) -> Vec<u16> {
    let stewards = &record.appointment.body.stewards;
    let others = (0_u16..).zip(record.roster.peers());
    let mut ranked: Vec<([u8; 32], u16)> = others
        .filter(|(_, key)| *key != worker && !stewards.contains(key))
        .map(|(at, key)| {
            (
                *blake3::keyed_hash(&target.0, key.as_bytes()).as_bytes(),
                at,
            )
        })
        .collect();
    ranked.sort_unstable();
    ranked.truncate(most);
    ranked.into_iter().map(|(_, at)| at).collect()
}

/// Whether those present and those skipped, both in rank order, are the first ranks, up to where the list may close.
fn accounted(ranks: &[u16], present: &[u16], skipped: &[u16], full: usize) -> bool {
    let (mut present_left, mut skipped_left) =
        (present.iter().peekable(), skipped.iter().peekable());
    let asked = present.len() + skipped.len();
    let each = |rank: &u16| {
        present_left.next_if_eq(&rank).is_some() || skipped_left.next_if_eq(&rank).is_some()
    };
    asked <= ranks.len()
        && ranks[..asked].iter().all(each)
        && (present.len() == full || present.len() < full && asked == ranks.len())
}

/// The tiles that `who` draws: min(s, n) distinct ones, by Floyd's sampling.
#[must_use]
pub fn tiles(seed: &Hash, who: &PeerKey, s: u32, n: u32) -> BTreeSet<u32> {
    let mut hasher = blake3::Hasher::new_derive_key("starling 2026-11 tile draw v1");
    hasher.update(&seed.0).update(who.as_bytes());
    let mut stream = hasher.finalize_xof();
    let mut below = |bound: u32| {
        let zone = u32::MAX - u32::MAX % bound;
        loop {
            let mut word = [0; 4];
            stream.fill(&mut word);
            let word = u32::from_le_bytes(word);
            if word < zone {
                break word % bound;
            }
        }
    };
    let mut chosen = BTreeSet::new();
    for upper in n - s.min(n)..n {
        let pick = below(upper + 1);
        chosen.insert(if chosen.contains(&pick) { upper } else { pick });
    }
    chosen
}

/// What an auditor seals when it has found these hashes.
#[must_use]
pub fn seal(auditor: &PeerKey, nonce: &Hash, seed: &Hash, hashes: &[Hash]) -> Hash {
    let hashes: Vec<u8> = hashes.iter().flat_map(|h| h.0).collect();
    Hash::derive(
        "starling 2026-11 seal v1",
        &[auditor.as_bytes(), &nonce.0, &seed.0, &hashes],
    )
}

/// The hashes that an opening shows of `tiles`; none if one of them is not open.
#[must_use]
pub fn shown(opening: &Opening, tiles: &BTreeSet<u32>) -> Option<Vec<Hash>> {
    let all: BTreeMap<_, _> = opening.tiles.iter().map(|t| (t.tile, t.hash)).collect();
    tiles.iter().map(|t| all.get(t).copied()).collect()
}

/// Whether an opening's tiles lead to `root` in a slice of `n`.
#[must_use]
pub fn leads_to(opening: &Opening, root: &Hash, n: u32) -> bool {
    let leaf = |t: &starling_protocol::evidence::OpenedTile| (t.tile, t.salt.keyed(&t.hash.0));
    let leaves: BTreeMap<_, _> = opening.tiles.iter().map(leaf).collect();
    leaves.len() == opening.tiles.len()
        && climb(&opening.lease, n, leaves, &opening.proof) == Some(*root)
}

/// The root over a whole slice.
#[must_use]
pub fn root(lease: &LeaseId, secret: &Hash, hashes: &[Hash]) -> Option<Hash> {
    let leaf = |(t, hash): (u32, &Hash)| (t, secret.keyed(&t.to_le_bytes()).keyed(&hash.0));
    let leaves = (0..).zip(hashes).map(leaf).collect();
    climb(lease, hashes.len() as u32, leaves, &[])
}

/// Level by level: what is not there is the next of the proof, and all of the proof is needed.
fn climb(lease: &LeaseId, n: u32, leaves: BTreeMap<u32, Hash>, proof: &[Hash]) -> Option<Hash> {
    let (mut level, mut width) = (leaves, n);
    let mut proof = proof.iter();
    if level.is_empty() || level.keys().any(|t| *t >= n) {
        return None;
    }
    while width > 1 {
        let pairs: BTreeSet<u32> = level.keys().map(|at| at / 2).collect();
        let mut above = BTreeMap::new();
        for pair in pairs {
            let mut node = |at| level.get(&at).or_else(|| proof.next()).copied();
            let left = node(2 * pair)?;
            let both = if 2 * pair + 1 < width {
                let right = node(2 * pair + 1)?;
                Hash::derive("starling 2026-11 merkle node v1", &[&left.0, &right.0])
            } else {
                left
            };
            above.insert(pair, both);
        }
        (level, width) = (above, width.div_ceil(2));
    }
    let top = level.get(&0).filter(|_| proof.next().is_none())?;
    let n = u64::from(n).to_le_bytes();
    Some(Hash::derive(
        "starling 2026-11 merkle root v1",
        &[lease.as_bytes(), &n, &top.0],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use starling_protocol::{draw, merkle};

    fn hash(n: u32) -> Hash {
        Hash::of(&n.to_le_bytes())
    }

    #[test]
    fn both_writings_of_the_rules_draw_the_same_tiles() {
        for n in 1..40 {
            let who = PeerKey(hash(n));
            for s in [0, 1, 2, 11, 32] {
                let core = draw::tiles(&hash(s), &who, s, n);
                assert!(tiles(&hash(s), &who, s, n).into_iter().eq(core));
            }
        }
    }

    #[test]
    fn both_writings_of_the_rules_audit_as_strongly() {
        for e in 0..40 {
            let of = |i: Intensity| (usize::from(i.k), usize::from(i.s));
            assert_eq!(of(Intensity::newcomer(e)), newcomer(e));
            assert_eq!(of(Intensity::least(e)), trusted(e));
            for cv in [1, 10, 13, 20, 21, 10_000] {
                let stated = Intensity::trusted(e, cv);
                assert_eq!(stated.p_full, p_full(cv));
                for n in 0..200 {
                    let core = of(stated.effective(&hash(n), e));
                    let (k, s) = strength(stated, &hash(n), e);
                    assert_eq!((k, s as usize), core);
                }
            }
        }
    }

    #[test]
    fn both_writings_of_the_rules_grow_the_same_tree() {
        let lease = LeaseId(hash(7));
        for n in 1..40_u32 {
            let hashes: Vec<_> = (0..n).map(hash).collect();
            let leaves = merkle::leaves(&hash(8), &hashes);
            let root = merkle::root(&lease, &leaves);
            assert_eq!(super::root(&lease, &hash(8), &hashes), root);
            let open: Vec<u32> = (0..n)
                .filter(|t| hash(*t).0[0].is_multiple_of(3) || *t == n / 2)
                .collect();
            let mut proof = merkle::prove(&leaves, &open);
            let opened: BTreeMap<_, _> = open.iter().map(|t| (*t, leaves[*t as usize])).collect();
            assert_eq!(climb(&lease, n, opened.clone(), &proof), root);
            proof.push(hash(9));
            assert_ne!(climb(&lease, n, opened, &proof), root);
        }
    }

    #[test]
    fn a_list_accounts_for_its_ranks_without_a_gap() {
        let ranks = [5, 2, 9, 4];
        assert!(accounted(&ranks, &[5, 2], &[], 2));
        assert!(accounted(&ranks, &[5, 9], &[2], 2));
        assert!(accounted(&ranks, &[5], &[2, 9, 4], 2));
        assert!(!accounted(&ranks, &[2, 9], &[], 2), "rank 0 is passed over");
        assert!(!accounted(&ranks, &[2, 5], &[], 2), "out of order");
        assert!(!accounted(&ranks, &[5], &[2], 2), "closed too early");
        assert!(!accounted(&ranks, &[5, 2, 9], &[], 2), "too many");
    }
}
