//! What must hold in every run, whatever the network does and whoever lies.
//!
//! The checkers see a [`History`]: what crossed the wire, went to disk or was shown to people. They share no state
//! with the core and trust none of its conclusions; receipts go through the same verification as `proof verify`.

use crate::deeds::{self, Deeds};
use crate::judge;
use crate::order::Order;
use crate::truth;
use serde::Serialize;
use starling_adversaries::Forfeits;
use starling_protocol::crypto::Verifier;
use starling_protocol::io::Purpose;
use starling_protocol::manifest::{JobRecord, Manifest};
use starling_protocol::receipt::{Precedence, Quorum, ReceiptError};
use starling_protocol::{Hash, JobId, PeerKey, Reason, Receipt, SwarmId, Time};
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

/// Somebody called a peer dishonest.
#[derive(Clone, Debug)]
pub struct Blame {
    /// Who said so: a requester.
    pub by: PeerKey,
    /// Of whom.
    pub of: PeerKey,
    /// Of what it is accused.
    pub reason: Reason,
    /// Since when it was bound: its commitment had come.
    pub since: Time,
    /// When.
    pub at: Time,
}

impl Blame {
    /// Whether a crash explains it. Whoever is killed or cut off between its commitment and its opening has lost what it
    /// computed, and looks like one that hides what was drawn: by the rules it is then excluded from that job.
    #[must_use]
    pub fn is_excused(&self, history: &History) -> bool {
        self.reason == Reason::NoOpening && history.was_cut_off(&self.of, self.since, self.at)
    }
}

/// What happened, as far as the checkers care.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The swarm.
    pub swarm: SwarmId,
    /// Peers that the experiment made dishonest, and which guarantees each has given up. Those with mere faults, such
    /// as silence or a wrong clock, are not among them.
    pub dishonest: BTreeMap<PeerKey, Forfeits>,
    /// Jobs as submitted.
    pub records: BTreeMap<JobId, JobRecord>,
    /// Receipts as logged, by requesters and by workers.
    pub receipts: Vec<Held>,
    /// Slices done.
    pub done: Vec<Done>,
    /// Jobs that their requester calls done.
    pub complete: BTreeSet<JobId>,
    /// Workers that were blamed.
    pub blamed: Vec<Blame>,
    /// When peers were down, and until when if they came back.
    pub down: BTreeMap<PeerKey, Vec<(Time, Time)>>,
    /// When some could not reach others.
    pub partitions: Vec<(Time, Time)>,
    /// Fraud proofs that went round and were found true: by whom, against whom, about which slice.
    pub proven: BTreeSet<(PeerKey, PeerKey, JobId, u32)>,
    /// Auditors that were found to accuse wrongly, and by whom.
    pub false_accusers: Vec<(PeerKey, PeerKey)>,
    /// Who struck whose claim of its speed.
    pub struck: Vec<(PeerKey, PeerKey)>,
    /// Computations asked of a shell that had released the job or never prepared it.
    pub unprepared: Vec<(PeerKey, Purpose)>,
    /// What peers computed, sealed, opened and agreed to.
    pub deeds: Deeds,
    /// What came before what.
    pub order: Order,
    /// What shells held for their cores that these should have let go.
    pub hoards: BTreeSet<(PeerKey, &'static str)>,
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
    /// Who holds a receipt for a lease and who else does hold ones that differ in more than who agreed and who stored.
    #[error("{by:?} holds another receipt for a lease than somebody else")]
    TwoReceipts {
        /// Who holds the later one.
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
    /// A requester ended up with wrong bytes, and it was no bad luck of the draw.
    #[error("slice {slice} of a job was done with a wrong output: {how}")]
    WrongOutput {
        /// Which.
        slice: u32,
        /// What should have stopped it.
        how: &'static str,
    },
    /// A core asked for a computation on a job that its shell does not hold.
    #[error("{peer:?} was asked to compute ({purpose:?}) for a job that is not prepared")]
    Unprepared {
        /// Which peer.
        peer: PeerKey,
        /// What for.
        purpose: Purpose,
    },
    /// A receipt or an agreement does not stand up to the rules, or to what was seen.
    #[error("of what {by:?} holds or signed: {what}")]
    Judged {
        /// Who holds or signed it.
        by: PeerKey,
        /// What is wrong.
        what: &'static str,
    },
    /// A peer did something before its time.
    #[error("{peer:?} {how}")]
    Order {
        /// Who.
        peer: PeerKey,
        /// What it did.
        how: &'static str,
    },
    /// A core keeps without bound what it should let go.
    #[error("{peer:?} keeps {what}")]
    Hoard {
        /// Whose.
        peer: PeerKey,
        /// What.
        what: &'static str,
    },
}

/// What the checkers found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What must never happen and did.
    pub violations: Vec<Violation>,
    /// Of the receipts that requesters hold, those with a weakness.
    pub flags: Flags,
    /// ... and how strongly their slices were audited.
    pub audits: Audits,
    /// Slices whose requester took a wrong output for right. That can happen: samples are samples.
    pub wrong: u32,
}

/// Weak receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flags {
    /// Too few witnesses, or too many silent auditors.
    pub weak: u32,
    /// A witness withheld its nonce.
    pub missing_nonce: u32,
    /// The requester recomputed, because no quorum formed.
    pub self_checked: u32,
    /// Nobody stores the output.
    pub not_stored: u32,
}

/// Tiles of slices with receipts, and those that auditors sealed for them, by what their leases stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audits {
    /// Of newcomers.
    pub newcomer_tiles: u64,
    /// Recomputed for those.
    pub newcomer_audited: u64,
    /// Of workers that their stewards trust.
    pub trusted_tiles: u64,
    /// Recomputed for those.
    pub trusted_audited: u64,
}

impl Audits {
    fn count(&mut self, record: &JobRecord, receipt: &Receipt, seed: &Hash) {
        let lease = &receipt.lease.body;
        let (e, n) = (judge::committee(record), receipt.commitment.body.tiles);
        let (_, s) = judge::strength(lease.intensity, seed, e);
        let audited = receipt.seal_list.body.seals.len() as u64 * u64::from(s.min(n));
        let stated = (lease.intensity.k.into(), lease.intensity.s.into());
        let (of, by) = if stated == judge::newcomer(e) {
            (&mut self.newcomer_tiles, &mut self.newcomer_audited)
        } else {
            (&mut self.trusted_tiles, &mut self.trusted_audited)
        };
        *of += u64::from(n);
        *by += audited;
    }
}

/// All that there is to find in `history`.
#[must_use]
pub fn check(history: &History, verifier: &dyn Verifier) -> Findings {
    let mut found = Findings::default();
    receipts(history, verifier, &mut found);
    slices(history, verifier, &mut found);
    let violations = &mut found.violations;
    violations.extend(blame(history));
    let unprepared = history.unprepared.iter();
    violations.extend(unprepared.map(|(peer, purpose)| Violation::Unprepared {
        peer: *peer,
        purpose: *purpose,
    }));
    violations.extend(deeds::check(history, verifier));
    let kept_to_the_rules = |peer: &PeerKey| !history.dishonest.contains_key(peer);
    let breaches: BTreeSet<_> = history.order.breaches.iter().copied().collect();
    let breaches = breaches.into_iter();
    let breaches = breaches.filter(|(peer, _)| kept_to_the_rules(peer));
    violations.extend(breaches.map(|(peer, how)| Violation::Order { peer, how }));
    let hoards = history.hoards.iter().copied();
    let hoards = hoards.filter(|(peer, _)| kept_to_the_rules(peer));
    violations.extend(hoards.map(|(peer, what)| Violation::Hoard { peer, what }));
    found
}

fn receipts(history: &History, verifier: &dyn Verifier, found: &mut Findings) {
    let sound = |record: &&JobRecord| record.check(&history.swarm, verifier).is_ok();
    let records: BTreeMap<_, _> = history
        .records
        .iter()
        .filter(|(_, record)| sound(record))
        .collect();
    let mut of_lease = BTreeMap::new();
    for held in &history.receipts {
        let by = held.by;
        let Some(record) = records.get(&held.job) else {
            found.violations.push(Violation::ReceiptWithoutJob { by });
            continue;
        };
        let verified = match held.receipt.verify(record, &history.swarm, verifier) {
            Ok(verified) => verified,
            Err(error) => {
                found.violations.push(Violation::Receipt { by, error });
                continue;
            }
        };
        let requester = record.manifest.body.requester;
        let first = of_lease.entry(held.receipt.id(&history.swarm));
        let first = *first.or_insert(&held.receipt);
        // A dishonest requester may give out as many as it likes.
        if !is_same(first, &held.receipt) && !history.forfeits(&requester).own_jobs {
            found.violations.push(Violation::TwoReceipts { by });
        }
        if requester == by {
            let (flags, is) = (&mut found.flags, verified.flags);
            flags.weak += u32::from(is.weak);
            flags.missing_nonce += u32::from(is.missing_nonce);
            flags.self_checked += u32::from(is.self_checked);
            flags.not_stored += u32::from(is.not_stored);
            found.audits.count(record, &held.receipt, &verified.seed);
        }
    }
}

/// Whether both say the same of one lease. Two stewards may have ended it, when one took the other for dead: then other
/// auditors of one list may stand for the quorum, and another steward for the bytes.
fn is_same(a: &Receipt, b: &Receipt) -> bool {
    a.lease == b.lease
        && a.commitment == b.commitment
        && a.lock_set == b.lock_set
        && a.nonces == b.nonces
        && a.seal_list == b.seal_list
        && a.opening == b.opening
}

fn blame(history: &History) -> Vec<Violation> {
    // What a dishonest requester says of others is its own affair: nobody else believes it.
    let counts = |by: &PeerKey| !history.forfeits(by).own_jobs;
    let blamed = history.blamed.iter().filter(|b| counts(&b.by));
    let innocent = blamed.filter(|b| !history.forfeits(&b.of).blamable() && !b.is_excused(history));
    let blamed = innocent.map(|b| Violation::HonestBlamed {
        worker: b.of,
        reason: b.reason,
    });
    // A path to the root and a wrong hash: only who computes wrongly can be proven so.
    let proven = history.proven.iter().filter(|(by, ..)| counts(by));
    let framed = proven.filter(|(_, worker, ..)| !history.forfeits(worker).work);
    let framed = framed.map(|(_, worker, ..)| Violation::HonestBlamed {
        worker: *worker,
        reason: Reason::Refuted,
    });
    let accusers = history.false_accusers.iter().filter(|(by, _)| counts(by));
    let innocent = accusers.filter(|(_, accuser)| !history.forfeits(accuser).accuses);
    blamed
        .chain(framed)
        .chain(innocent.map(|(_, accuser)| Violation::HonestAccuser(*accuser)))
        .collect()
}

fn slices(history: &History, verifier: &dyn Verifier, found: &mut Findings) {
    let mut done: BTreeMap<(JobId, u32), Vec<&Done>> = BTreeMap::new();
    for slice in &history.done {
        done.entry((slice.job, slice.slice))
            .or_default()
            .push(slice);
    }
    let receipts = history.receipts_of_requesters();
    for (job, record) in &history.records {
        let manifest = &record.manifest.body;
        let fair = !history.forfeits(&manifest.requester).own_jobs;
        for slice in 0..manifest.slices() {
            let times = done.get(&(*job, slice)).map_or(0, Vec::len);
            let wanted = times == 1 || (times == 0 && !history.complete.contains(job));
            if fair && !wanted {
                found.violations.push(Violation::Slice { slice, times });
            }
            for done in done.get(&(*job, slice)).into_iter().flatten() {
                let wrong = wrong_tiles(manifest, done);
                if wrong.is_empty() {
                    continue;
                }
                found.wrong += 1;
                let receipt = receipts.get(&(*job, slice)).copied();
                let excuse = excuse(history, record, receipt, &wrong, verifier);
                if let Err(how) = excuse
                    && fair
                {
                    found.violations.push(Violation::WrongOutput { slice, how });
                }
            }
        }
    }
}

/// The tiles of a slice, counted within it, that are not what they should be; all of them if some are missing.
fn wrong_tiles(manifest: &Manifest, done: &Done) -> BTreeSet<u32> {
    let tiles = manifest.tiles_of(done.slice);
    let complete = tiles.len() == done.output.len();
    let told = done.output.iter().zip(tiles.clone()).zip(0..);
    let wrong = told.filter(|((hash, tile), _)| **hash != truth::tile(manifest, *tile));
    if complete {
        wrong.map(|(_, at)| at).collect()
    } else {
        (0..tiles.len() as u32).collect()
    }
}

/// Whether nobody who kept to the rules could have seen the `wrong` tiles; else who should have.
fn excuse(
    history: &History,
    record: &JobRecord,
    receipt: Option<&Receipt>,
    wrong: &BTreeSet<u32>,
    verifier: &dyn Verifier,
) -> Result<(), &'static str> {
    let Some(receipt) = receipt else {
        return Err("its requester computed it");
    };
    if !history.forfeits(&receipt.lease.body.worker).work {
        return Err("its worker is honest");
    }
    // One that is wrong in itself is told of where receipts are judged.
    let Ok(audit) = judge::receipt(record, &history.swarm, receipt, verifier) else {
        return Ok(());
    };
    match &receipt.quorum {
        Quorum::Auditors(agreed) => {
            let agreed = agreed.iter().filter_map(|a| audit.listed.get(&a.auditor));
            for (auditor, _, tiles) in agreed {
                if !history.forfeits(auditor).audits && !tiles.is_disjoint(wrong) {
                    return Err("an honest auditor agreed to a wrong tile");
                }
            }
        }
        Quorum::SelfChecked { tiles, .. } => {
            if u32::from(*tiles) == audit.n {
                return Err("its requester recomputed all of it");
            }
        }
    }
    Ok(())
}

impl History {
    /// Which guarantees `peer` has given up; none if it is honest or only faulty.
    #[must_use]
    pub fn forfeits(&self, peer: &PeerKey) -> Forfeits {
        self.dishonest.get(peer).copied().unwrap_or_default()
    }

    /// Whether `peer` was down or cut off at any time between the two.
    #[must_use]
    pub fn was_cut_off(&self, peer: &PeerKey, since: Time, at: Time) -> bool {
        let down = self.down.get(peer).into_iter().flatten();
        down.chain(&self.partitions)
            .any(|(from, until)| *from <= at && *until >= since)
    }

    /// Tiles that each worker is paid for: of slices with a stored receipt, whoever holds that, the one that is credited for
    /// each slice, and none that was proven wrong.
    #[must_use]
    pub fn paid_tiles(&self, verifier: &dyn Verifier) -> BTreeMap<PeerKey, u64> {
        let mut paid: BTreeMap<(JobId, u32), (Precedence, PeerKey, u64)> = BTreeMap::new();
        let stored = self.receipts.iter().filter(|h| h.receipt.stored.is_some());
        for held in stored {
            let (lease, root) = (&held.receipt.lease.body, &held.receipt.commitment.body);
            let revoked = self.proven.iter().any(|(_, worker, job, slice)| {
                (worker, job, slice) == (&lease.worker, &held.job, &lease.slice)
            });
            let record = self.records.get(&held.job).filter(|_| !revoked);
            let verified = record.map(|r| held.receipt.verify(r, &self.swarm, verifier));
            if let Some(Ok(verified)) = verified {
                let here = (verified.precedence(), lease.worker, root.tiles.into());
                let first = paid.entry((held.job, lease.slice)).or_insert(here);
                *first = (*first).min(here);
            }
        }
        let mut of = BTreeMap::new();
        for (_, worker, tiles) in paid.into_values() {
            *of.entry(worker).or_default() += tiles;
        }
        of
    }

    /// Receipts that requesters hold, by slice.
    #[must_use]
    pub fn receipts_of_requesters(&self) -> BTreeMap<(JobId, u32), &Receipt> {
        let requester = |job: &JobId| self.records.get(job).map(|r| r.manifest.body.requester);
        self.receipts
            .iter()
            .filter(|held| requester(&held.job) == Some(held.by))
            .map(|held| ((held.job, held.receipt.lease.body.slice), &held.receipt))
            .collect()
    }
}
