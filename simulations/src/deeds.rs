//! What a receipt says that peers did, against what they were seen to do: openings on the wire, seals, computations.
//!
//! Offline a receipt shows that peers signed. Here the run is known, so that it can be judged whether they had reason
//! to. Only what peers that keep the rules did is judged; others may sign what they like.

use crate::check::{History, Violation};
use crate::judge;
use starling_protocol::crypto::Verifier;
use starling_protocol::evidence::{Attestation, Opening};
use starling_protocol::io::Purpose;
use starling_protocol::manifest::JobRecord;
use starling_protocol::receipt::Quorum;
use starling_protocol::{Hash, JobId, LeaseId, Message, PeerKey, Receipt, SwarmId};
use std::collections::{BTreeMap, BTreeSet};

/// Deeds of a run.
#[derive(Clone, Debug, Default)]
pub struct Deeds {
    /// Openings as sent, by their digest.
    pub openings: BTreeMap<Hash, Opening>,
    /// Salt secrets as handed over.
    pub secrets: BTreeMap<LeaseId, BTreeSet<Hash>>,
    /// Roots that auditors were called to audit.
    pub calls: BTreeSet<(PeerKey, LeaseId, Hash)>,
    /// Seals as sent.
    pub seals: BTreeSet<(PeerKey, LeaseId, Hash)>,
    /// Agreeing attestations as sent.
    pub agreed: Vec<(PeerKey, Attestation)>,
    /// Tiles that were computed, counted within their job.
    pub computed: BTreeMap<(PeerKey, JobId, &'static str), BTreeSet<u32>>,
}

impl Deeds {
    /// A message leaves.
    pub fn sent(&mut self, from: PeerKey, to: PeerKey, message: &Message, swarm: &SwarmId) {
        match message {
            Message::Opening(opening) => {
                let digest = opening.digest(swarm);
                self.openings
                    .entry(digest)
                    .or_insert_with(|| opening.body.clone());
            }
            Message::TakeOver(handover) => {
                let opening = &handover.opening;
                let digest = opening.digest(swarm);
                self.openings
                    .entry(digest)
                    .or_insert_with(|| opening.body.clone());
            }
            Message::Output { lease, secret, .. } => {
                self.secrets.entry(*lease).or_default().insert(*secret);
            }
            Message::AuditCall(call) => {
                let body = &call.commitment.body;
                self.calls.insert((to, body.lease, body.root));
            }
            Message::Seal { lease, digest } => drop(self.seals.insert((from, *lease, *digest))),
            Message::Attest { attestation, .. } if attestation.body.agree => {
                self.agreed.push((from, attestation.body.clone()));
            }
            _ => {}
        }
    }

    /// Tiles were computed.
    pub fn computed(&mut self, peer: PeerKey, job: JobId, purpose: &'static str, tiles: &[u32]) {
        let done = self.computed.entry((peer, job, purpose)).or_default();
        done.extend(tiles);
    }

    fn has_computed(&self, peer: PeerKey, job: JobId, purpose: Purpose, tiles: &[u32]) -> bool {
        let key = (peer, job, crate::observe::purpose_name(purpose));
        let done = self.computed.get(&key);
        tiles.iter().all(|t| done.is_some_and(|d| d.contains(t)))
    }
}

/// Judges every receipt, and every agreement whether it is part of one or not.
pub fn check(history: &History, verifier: &dyn Verifier) -> Vec<Violation> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for held in &history.receipts {
        let id = held.receipt.id(&history.swarm);
        let Some(record) = history.records.get(&held.job).filter(|_| seen.insert(id)) else {
            continue;
        };
        let mut wrong = |what| {
            found.insert((held.by, what));
        };
        match judge::receipt(record, &history.swarm, &held.receipt, verifier) {
            Err(what) => wrong(what),
            Ok(audit) => receipt(history, record, &held.receipt, &audit)
                .into_iter()
                .for_each(wrong),
        }
    }
    let judged = found.into_iter();
    let judged = judged.map(|(by, what)| Violation::Judged { by, what });
    judged
        .chain(agreements(history))
        .chain(stored(history))
        .collect()
}

fn receipt(
    history: &History,
    record: &JobRecord,
    receipt: &Receipt,
    audit: &judge::Audit,
) -> Vec<&'static str> {
    let (deeds, lease) = (&history.deeds, &receipt.lease.body);
    let (manifest, root) = (&record.manifest.body, receipt.commitment.body.root);
    let first = lease.slice * manifest.slice_tiles;
    let of_job =
        |tiles: &mut dyn Iterator<Item = u32>| tiles.map(|t| first + t).collect::<Vec<_>>();
    let honest = |peer: &PeerKey| !history.dishonest.contains_key(peer);
    let computed = |peer: PeerKey, purpose, tiles: &[u32]| {
        !honest(&peer) || deeds.has_computed(peer, lease.job, purpose, tiles)
    };
    let mut found = Vec::new();
    if !computed(lease.worker, Purpose::Work, &of_job(&mut (0..audit.n))) {
        found.push("its worker has not computed the slice");
    }
    let fair = !history.forfeits(&manifest.requester).own_jobs;
    let e = judge::committee(record);
    let stated = (lease.intensity.k.into(), lease.intensity.s.into());
    if fair && stated != judge::newcomer(e) && stated != judge::trusted(e) {
        found.push("its audit is neither a newcomer's nor a trusted worker's");
    }
    let opening = deeds.openings.get(&receipt.opening);
    let answers = opening.is_some_and(|o| {
        let open: BTreeSet<_> = o.tiles.iter().map(|t| t.tile).collect();
        open == audit.opened && judge::leads_to(o, &root, audit.n)
    });
    if fair && !answers {
        found.push("its opening does not answer the draw");
    }
    match &receipt.quorum {
        Quorum::Auditors(agreed) => {
            for a in agreed {
                let Some((auditor, sealed, tiles)) = audit.listed.get(&a.auditor) else {
                    continue;
                };
                let hashes = opening.and_then(|o| judge::shown(o, tiles));
                let seal = hashes.map(|h| judge::seal(auditor, &a.nonce, &audit.seed, &h));
                if fair && seal != Some(*sealed) {
                    found.push("an agreement counts that does not match its seal");
                }
                let tiles = of_job(&mut tiles.iter().copied());
                if !computed(*auditor, Purpose::Audit, &tiles) {
                    found.push("an auditor has not computed its tiles");
                }
            }
        }
        Quorum::SelfChecked { .. } => {
            let tiles = of_job(&mut audit.opened.iter().copied());
            if !computed(manifest.requester, Purpose::Judge, &tiles) {
                found.push("its requester has not recomputed what was opened");
            }
        }
    }
    found
}

/// Auditors that keep the rules agree to nothing but what they have sealed, opened under the root of their call.
fn agreements(history: &History) -> Vec<Violation> {
    let (deeds, mut found) = (&history.deeds, BTreeSet::new());
    // Many agree to one opening.
    let mut sound: BTreeMap<Hash, bool> = BTreeMap::new();
    let honest = deeds.agreed.iter();
    let honest = honest.filter(|(peer, _)| !history.dishonest.contains_key(peer));
    for (peer, said) in honest {
        let lease = history.order.leases.get(&said.lease);
        let Some((lease, opening)) = lease.zip(deeds.openings.get(&said.opening)) else {
            continue;
        };
        let Some(record) = history.records.get(&lease.job) else {
            continue;
        };
        let mut wrong = |what| {
            found.insert((*peer, what));
        };
        let Some(n) = judge::tiles_in(&record.manifest.body, lease.slice) else {
            wrong("it agreed to a slice that the job does not have");
            continue;
        };
        let (_, s) = judge::strength(lease.intensity, &said.seed, judge::committee(record));
        let tiles = judge::tiles(&said.seed, peer, s, n);
        let called = deeds.calls.contains(&(*peer, said.lease, opening.root));
        let seal = judge::shown(opening, &tiles)
            .map(|hashes| judge::seal(peer, &said.nonce, &said.seed, &hashes));
        let sealed = seal.is_some_and(|s| deeds.seals.contains(&(*peer, said.lease, s)));
        let leads = || judge::leads_to(opening, &opening.root, n);
        if !called || !*sound.entry(said.opening).or_insert_with(leads) {
            wrong("it agreed to an opening that does not lead to the root");
        }
        if !sealed {
            wrong("it agreed to what it had not sealed");
        }
    }
    let found = found.into_iter();
    found
        .map(|(by, what)| Violation::Judged { by, what })
        .collect()
}

/// What a requester calls stored rebuilds the root, with a secret that was handed over.
fn stored(history: &History) -> Vec<Violation> {
    let receipts = history.receipts_of_requesters();
    let rebuilds = |receipt: &Receipt, output: &[Hash]| {
        let (id, root) = (receipt.id(&history.swarm), receipt.commitment.body.root);
        let secrets = history.deeds.secrets.get(&id).into_iter().flatten();
        let mut roots = secrets.map(|secret| judge::root(&id, secret, output));
        roots.any(|r| r == Some(root))
    };
    let wrong = history.done.iter().filter_map(|done| {
        let receipt = receipts.get(&(done.job, done.slice))?;
        let requester = history.records.get(&done.job)?.manifest.body.requester;
        let fair = !history.forfeits(&requester).own_jobs;
        (fair && !rebuilds(receipt, &done.output)).then_some(requester)
    });
    let what = "it stored what does not rebuild the root";
    wrong.map(|by| Violation::Judged { by, what }).collect()
}
