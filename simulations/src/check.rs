//! What must hold in every run, whatever the network does and whoever lies.
//!
//! The checkers see a [`History`]: what crossed the wire, went to disk or was shown to people. They share no state
//! with the core and trust none of its conclusions; receipts go through the same verification as `proof verify`.

use crate::adversary::{Backend, Honest};
use starling_protocol::crypto::Verifier;
use starling_protocol::io::Purpose;
use starling_protocol::manifest::JobRecord;
use starling_protocol::receipt::ReceiptError;
use starling_protocol::{Hash, JobId, LeaseId, PeerKey, Reason, Receipt, SwarmId};
use std::collections::{BTreeMap, BTreeSet};

/// A receipt somewhere.
#[derive(Clone, Debug)]
pub struct Held {
    /// Who logged it.
    pub by: PeerKey,
    /// Of which job.
    pub job: JobId,
    /// The receipt.
    pub receipt: Receipt,
}

/// A slice that a requester calls done.
#[derive(Clone, Debug)]
pub struct Done {
    /// Of which job.
    pub job: JobId,
    /// Which one.
    pub slice: u32,
    /// The tiles that the requester then holds.
    pub output: Vec<Hash>,
}

/// What happened, as far as the checkers care.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The swarm.
    pub swarm: SwarmId,
    /// Peers that the scenario made lie or keep silent.
    pub dishonest: BTreeSet<PeerKey>,
    /// Jobs as submitted.
    pub records: BTreeMap<JobId, JobRecord>,
    /// Receipts as logged, by requesters and by workers.
    pub receipts: Vec<Held>,
    /// Slices done.
    pub done: Vec<Done>,
    /// Jobs that their requester calls done.
    pub complete: BTreeSet<JobId>,
    /// Workers that were blamed, and for what.
    pub blamed: Vec<(PeerKey, Reason)>,
    /// Auditors that were found to accuse wrongly.
    pub false_accusers: Vec<PeerKey>,
    /// Locks as witnesses sent them.
    pub locks: Vec<(PeerKey, LeaseId, Hash)>,
    /// Roots as workers sent them.
    pub roots: Vec<(PeerKey, LeaseId, Hash)>,
    /// Computations asked of a shell that had released the job or never prepared it.
    pub unprepared: Vec<(PeerKey, Purpose)>,
}

/// Something that must never happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A receipt does not verify.
    #[error("a receipt that {by:?} holds does not verify: {error}")]
    Receipt {
        /// Who holds it.
        by: PeerKey,
        /// Why not.
        error: ReceiptError,
    },
    /// A receipt belongs to no job that was submitted, or the job's record does not hold.
    #[error("{by:?} holds a receipt of an unknown or ill-formed job")]
    ReceiptWithoutJob {
        /// Who holds it.
        by: PeerKey,
    },
    /// An honest worker was blamed.
    #[error("the honest worker {worker:?} was blamed: {reason}")]
    HonestBlamed {
        /// Who.
        worker: PeerKey,
        /// For what.
        reason: Reason,
    },
    /// An honest auditor accused, or was said to accuse, wrongly.
    #[error("the honest auditor {0:?} stands as a false accuser")]
    HonestAccuser(PeerKey),
    /// A slice was done more than once, or not at all in a job that is done.
    #[error("slice {slice} of a job was done {times} times")]
    Slice {
        /// Which.
        slice: u32,
        /// How often.
        times: usize,
    },
    /// A requester ended up with wrong bytes.
    #[error("slice {slice} of a job was done with a wrong output")]
    WrongOutput {
        /// Which.
        slice: u32,
    },
    /// A witness signed two roots for one lease.
    #[error("the witness {0:?} signed two roots for one lease")]
    TwoLocks(PeerKey),
    /// A worker committed to two roots under one lease.
    #[error("the worker {0:?} committed to two roots under one lease")]
    TwoRoots(PeerKey),
    /// A core asked for a computation on a job that its shell does not hold.
    #[error("{peer:?} was asked to compute ({purpose:?}) for a job that is not prepared")]
    Unprepared {
        /// Which peer.
        peer: PeerKey,
        /// What for.
        purpose: Purpose,
    },
}

/// Every violation in `history`.
#[must_use]
pub fn check(history: &History, verifier: &dyn Verifier) -> Vec<Violation> {
    let mut found = receipts(history, verifier);
    found.extend(blame(history));
    found.extend(slices(history));
    found.extend(
        equivocators(&history.locks)
            .into_iter()
            .map(Violation::TwoLocks),
    );
    found.extend(
        equivocators(&history.roots)
            .into_iter()
            .map(Violation::TwoRoots),
    );
    let unprepared = history.unprepared.iter();
    found.extend(unprepared.map(|(peer, purpose)| Violation::Unprepared {
        peer: *peer,
        purpose: *purpose,
    }));
    found
}

fn receipts(history: &History, verifier: &dyn Verifier) -> Vec<Violation> {
    let sound = |record: &&JobRecord| record.check(&history.swarm, verifier).is_ok();
    let records: BTreeMap<_, _> = history
        .records
        .iter()
        .filter(|(_, record)| sound(record))
        .collect();
    let judge = |held: &Held| match records.get(&held.job) {
        None => Some(Violation::ReceiptWithoutJob { by: held.by }),
        Some(record) => {
            let verified = held.receipt.verify(record, &history.swarm, verifier);
            verified
                .err()
                .map(|error| Violation::Receipt { by: held.by, error })
        }
    };
    history.receipts.iter().filter_map(judge).collect()
}

fn blame(history: &History) -> Vec<Violation> {
    let honest = |peer: &PeerKey| !history.dishonest.contains(peer);
    let blamed = history.blamed.iter().filter(|(worker, _)| honest(worker));
    let blamed = blamed.map(|(worker, reason)| Violation::HonestBlamed {
        worker: *worker,
        reason: *reason,
    });
    let accusers = history.false_accusers.iter().filter(|a| honest(a));
    blamed
        .chain(accusers.map(|a| Violation::HonestAccuser(*a)))
        .collect()
}

fn slices(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for (job, record) in &history.records {
        let manifest = &record.manifest.body;
        for slice in 0..manifest.slices() {
            let done: Vec<_> = history
                .done
                .iter()
                .filter(|d| d.job == *job && d.slice == slice)
                .collect();
            if done.len() > 1 || (done.is_empty() && history.complete.contains(job)) {
                found.push(Violation::Slice {
                    slice,
                    times: done.len(),
                });
            }
            let truth = || {
                manifest
                    .tiles_of(slice)
                    .map(|t| Honest.tile(manifest, t, Purpose::Own))
            };
            if done.iter().any(|d| !truth().eq(d.output.iter().copied())) {
                found.push(Violation::WrongOutput { slice });
            }
        }
    }
    found
}

/// Peers that signed two different hashes for one lease.
fn equivocators(signed: &[(PeerKey, LeaseId, Hash)]) -> BTreeSet<PeerKey> {
    let mut first = BTreeMap::new();
    let twice = |(peer, lease, root): &&(PeerKey, LeaseId, Hash)| {
        *first.entry((*peer, *lease)).or_insert(*root) != *root
    };
    signed
        .iter()
        .filter(twice)
        .map(|(peer, ..)| *peer)
        .collect()
}
