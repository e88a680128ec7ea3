//! The trace: everything said about a job, in the order in which it was said, for a person to read.
//!
//! Adverts travel by gossip and are not in it. Lines in parentheses are what a peer does by itself. A heading stands
//! where a phase of the protocol is first reached; with many slices the phases interleave.

use crate::experiment::peer_name;
use crate::observe::purpose_name;
use core::fmt::Write;
use starling_protocol::io::{Output, Record};
use starling_protocol::receipt::Quorum;
use starling_protocol::{Event, JobId, LeaseId, Message, SwarmId, Time};
use std::collections::{BTreeMap, BTreeSet};

/// What each phase is, under the name of the message that begins it.
const PHASES: [(&str, &str); 11] = [
    (
        "(logs)",
        "The requester logs its job, and offers it to the peers that its roster names.",
    ),
    (
        "LeaseRequest",
        "Whoever has a free slot asks for a slice, and gets a lease on one that is open, or a refusal.",
    ),
    (
        "Commit",
        "The worker has finished. It logs the Merkle root of its salted tiles, and only then signs it away.",
    ),
    (
        "LockRequest",
        "Witnesses, drawn by job, slice and worker, log and sign that they saw this root, with a nonce's digest.",
    ),
    (
        "LockSet",
        "The locks are closed: no other root counts any more. Now the witnesses reveal their nonces.",
    ),
    (
        "AuditCall",
        "The nonces make the seed, which draws auditors and, for each of them, tiles. They recompute them.",
    ),
    (
        "Seal",
        "Auditors seal what they found, before they can know what the worker found.",
    ),
    (
        "SealList",
        "The seals are closed. Now the worker opens all drawn tiles, in one opening for everybody.",
    ),
    (
        "Attest",
        "Every auditor compares, says its verdict, and opens its seal.",
    ),
    (
        "Audited",
        "A quorum agrees. Now, not before, the worker hands over output and salt secret; its root is rebuilt.",
    ),
    (
        "Receipt",
        "The worker has its proof of physical work: anybody can verify it offline.",
    ),
];

struct Entry {
    at: Time,
    from: u32,
    to: Option<u32>,
    slice: Option<u32>,
    what: &'static str,
    detail: String,
    bytes: Option<usize>,
}

/// All that was said and done about jobs.
#[derive(Default)]
pub struct Trace {
    entries: Vec<Entry>,
    slices: BTreeMap<LeaseId, u32>,
    slice_tiles: BTreeMap<JobId, u32>,
}

impl Trace {
    /// A peer does something by itself.
    pub fn step(&mut self, at: Time, peer: u32, output: &Output) {
        let (what, slice, detail) = match output {
            Output::Compute {
                job,
                tiles,
                purpose,
                ..
            } => {
                let slice = tiles
                    .first()
                    .zip(self.slice_tiles.get(job))
                    .map(|(tile, per_slice)| tile / per_slice);
                (
                    "(computes)",
                    slice,
                    format!("{}: {}", count(tiles.len(), "tile"), purpose_name(*purpose)),
                )
            }
            Output::Fetch { len, .. } => ("(fetches)", None, format!("{len} bytes of output")),
            Output::Store { bytes, .. } => {
                ("(stores)", None, format!("{} bytes of output", bytes.len()))
            }
            Output::Persist { record, .. } => match &**record {
                Record::Submitted { record } => {
                    let manifest = &record.manifest.body;
                    let tiles = count(manifest.tiles as usize, "tile");
                    let slices = count(manifest.slices() as usize, "slice");
                    let roster = count(record.roster.peers().len(), "peer");
                    (
                        "(logs)",
                        None,
                        format!("its job: {tiles} in {slices}; {roster} in the roster"),
                    )
                }
                Record::Committed { lease, .. } => ("(logs)", self.slice(lease), "its root".into()),
                Record::Locked { lease, .. } => ("(logs)", self.slice(lease), "its lock".into()),
                Record::Revealed { lease, .. } => (
                    "(logs)",
                    self.slice(lease),
                    "that it reveals its nonce".into(),
                ),
                Record::Bound { slice, .. } => {
                    ("(logs)", Some(*slice), "who is bound to it".into())
                }
                Record::Excluded { .. } => ("(logs)", None, "who gets no more".into()),
                Record::SliceDone { slice, .. } => {
                    ("(logs)", Some(*slice), "that it is done".into())
                }
                Record::Ended { reason, .. } => {
                    ("(logs)", None, format!("the job's end: {reason}"))
                }
                Record::Revoked { slice, .. } => {
                    ("(logs)", Some(*slice), "that it is undone".into())
                }
                Record::Appointed { .. } => ("(logs)", None, "that it is a steward".into()),
                Record::Kept { receipt, .. } => (
                    "(logs)",
                    Some(receipt.lease.body.slice),
                    "that it keeps it".into(),
                ),
                Record::Receipted { receipt, .. } => (
                    "(logs)",
                    Some(receipt.lease.body.slice),
                    "the receipt".into(),
                ),
                Record::Standing { .. } => ("(logs)", None, "what it has seen of a peer".into()),
            },
            Output::Notify(Event::SliceDone { slice, receipt, .. }) => {
                let proof = if receipt.is_some() {
                    "with a receipt"
                } else {
                    "computed by itself"
                };
                ("(done)", Some(*slice), format!("the slice, {proof}"))
            }
            Output::Notify(Event::CheatCaught { slice, reason, .. }) => {
                ("(blames)", Some(*slice), reason.to_string())
            }
            Output::Notify(Event::SliceReopened { slice, reason, .. }) => {
                ("(reopens)", Some(*slice), reason.to_string())
            }
            Output::Notify(Event::JobDone { .. }) => ("(done)", None, "the job".into()),
            Output::Notify(Event::JobFailed { reason, .. }) => {
                ("(fails)", None, reason.to_string())
            }
            _ => return,
        };
        self.entries.push(Entry {
            at,
            from: peer,
            to: None,
            slice,
            what,
            detail,
            bytes: None,
        });
    }

    /// A message leaves.
    #[expect(
        clippy::too_many_arguments,
        reason = "one call site, and each is a column"
    )]
    pub fn message(
        &mut self,
        at: Time,
        from: u32,
        to: u32,
        message: &Message,
        bytes: usize,
        lost: bool,
        swarm: &SwarmId,
    ) {
        match message {
            Message::Record(record) => {
                self.slice_tiles
                    .insert(record.id(swarm), record.manifest.body.slice_tiles.max(1));
            }
            Message::LeaseGrant(lease) => {
                self.slices.insert(lease.body.id(swarm), lease.body.slice);
            }
            _ => {}
        }
        let mut detail = describe(message);
        if lost {
            detail = format!("{detail} [lost]").trim_start().into();
        }
        let slice = lease_of(message, swarm).and_then(|lease| self.slice(&lease));
        self.entries.push(Entry {
            at,
            from,
            to: Some(to),
            slice,
            what: message.name(),
            detail,
            bytes: Some(bytes),
        });
    }

    fn slice(&self, lease: &LeaseId) -> Option<u32> {
        self.slices.get(lease).copied()
    }

    /// The trace as aligned columns; times in virtual ms since its first line.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!(
            "{:>9}  {:<9}    {:<9}  {:>5}  {:<14} {:>5}\n",
            "ms", "from", "to", "slice", "message", "bytes"
        );
        let start = self.entries.first().map_or(Time::default(), |e| e.at);
        let mut reached = BTreeSet::new();
        for entry in &self.entries {
            if let Some((_, heading)) = PHASES
                .iter()
                .find(|(name, _)| *name == entry.what && reached.insert(*name))
            {
                text.push_str(&format!("\n# {heading}\n"));
            }
            let ms = entry.at.since(start).as_micros() as f64 / 1000.0;
            let to = entry.to.map_or(String::new(), peer_name);
            let arrow = if entry.to.is_some() { "->" } else { "  " };
            let slice = entry.slice.map_or(String::new(), |s| s.to_string());
            let bytes = entry.bytes.map_or(String::new(), |b| b.to_string());
            let from = peer_name(entry.from);
            let mut line = String::new();
            // Writing into a string cannot fail.
            let _ = write!(
                line,
                "{ms:>9.1}  {from:<9} {arrow} {to:<9}  {slice:>5}  {:<14} {bytes:>5}  {}",
                entry.what, entry.detail
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn lease_of(message: &Message, swarm: &SwarmId) -> Option<LeaseId> {
    match message {
        Message::BoardQuery { .. }
        | Message::Record(_)
        | Message::RecordRequest { .. }
        | Message::LeaseRequest { .. }
        | Message::LeaseRefusal { .. }
        | Message::JobEnded { .. }
        | Message::Progress { .. }
        | Message::SettleRequest { .. }
        | Message::Probe { .. }
        | Message::ProbeReply { .. }
        | Message::ProbeStart { .. }
        | Message::ProbeDone { .. }
        | Message::Advert(_) => None,
        Message::LeaseGrant(lease) => Some(lease.body.id(swarm)),
        Message::LockRequest { lease, .. } => Some(lease.body.id(swarm)),
        Message::AuditCall(call) => Some(call.lease.body.id(swarm)),
        Message::TakeOver(handover) => Some(handover.call.lease.body.id(swarm)),
        Message::Receipt(receipt) | Message::Settle { receipt, .. } => Some(receipt.id(swarm)),
        Message::Commit { commitment, .. } => Some(commitment.body.lease),
        Message::Locked(lock) => Some(lock.body.lease),
        Message::LockSet(set) => Some(set.body.lease),
        Message::SealList(list) => Some(list.body.lease),
        Message::Opening(opening) => Some(opening.body.lease),
        Message::Attest { attestation, .. } => Some(attestation.body.lease),
        Message::Reveal(reveal) => Some(reveal.body.lease),
        Message::Stored(stored) => Some(stored.body.lease),
        Message::CommitAck { lease }
        | Message::Seed { lease, .. }
        | Message::Seal { lease, .. }
        | Message::OpeningAck { lease }
        | Message::OpeningRequest { lease }
        | Message::Audited { lease }
        | Message::Output { lease, .. }
        | Message::LeaseEnded { lease, .. } => Some(*lease),
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A few telling fields.
fn describe(message: &Message) -> String {
    match message {
        Message::BoardQuery { class } => format!("jobs of class {class}?"),
        Message::LeaseGrant(lease) => {
            let (k, s, ttl) = (
                lease.body.intensity.k,
                lease.body.intensity.s,
                lease.body.ttl_ms / 1000,
            );
            format!("{ttl} s to commit; {k} auditors x {s} tiles")
        }
        Message::LeaseRefusal {
            reason,
            retry_ms: 0,
            ..
        } => format!("{reason}; do not ask again"),
        Message::LeaseRefusal {
            reason, retry_ms, ..
        } => format!("{reason}; ask again in {retry_ms} ms"),
        Message::Commit { commitment, next } => format!(
            "root over {}{}",
            count(commitment.body.tiles as usize, "tile"),
            if *next { "; the next slice?" } else { "" }
        ),
        Message::LockSet(set) => count(set.body.locks.len(), "lock"),
        Message::Seed { nonces, .. } => {
            let revealed = nonces.iter().flatten().count();
            format!(
                "{revealed} of {} witness nonces, and the requester's",
                nonces.len()
            )
        }
        Message::SealList(list) => {
            let own = if list.body.requester_draw {
                "; the requester draws tiles too"
            } else {
                ""
            };
            format!(
                "{} sealed, {} silent{own}",
                list.body.seals.len(),
                list.body.skipped.len()
            )
        }
        Message::Opening(opening) => {
            let (tiles, proof) = (opening.body.tiles.len(), opening.body.proof.len());
            format!(
                "{} opened, proof of {proof} more hashes",
                count(tiles, "tile")
            )
        }
        Message::Attest { attestation, proof } => {
            let verdict = if attestation.body.agree {
                "agrees"
            } else {
                "dissents"
            };
            let proof = if proof.is_some() {
                ", with a fraud proof"
            } else {
                ""
            };
            format!(
                "{verdict} after {}{proof}",
                count(usize::from(attestation.body.tiles), "tile")
            )
        }
        Message::Receipt(receipt) => match &receipt.quorum {
            Quorum::Auditors(quorum) => format!("{} behind it", count(quorum.len(), "auditor")),
            Quorum::SelfChecked { tiles, .. } => {
                format!(
                    "self-checked: the requester recomputed {}",
                    count(usize::from(*tiles), "tile")
                )
            }
        },
        Message::LeaseEnded { reason, .. } | Message::JobEnded { reason, .. } => reason.to_string(),
        Message::Progress { done, busy, .. } => format!(
            "{} here, {} leased",
            count(done.iter().count(), "slice"),
            busy.iter().count()
        ),
        Message::SettleRequest { slices, .. } => count(slices.len(), "slice"),
        Message::Settle { .. } => "its bytes can be fetched".into(),
        Message::Probe { units, .. } => format!("{units} work units"),
        Message::ProbeReply { nonce, .. } => match nonce {
            Some(_) => "ready".into(),
            None => "busy".into(),
        },
        Message::ProbeDone { tiles, .. } => count(tiles.len(), "tile"),
        Message::Record(_)
        | Message::RecordRequest { .. }
        | Message::LeaseRequest { .. }
        | Message::CommitAck { .. }
        | Message::LockRequest { .. }
        | Message::Locked(_)
        | Message::Reveal(_)
        | Message::AuditCall(_)
        | Message::Seal { .. }
        | Message::OpeningAck { .. }
        | Message::OpeningRequest { .. }
        | Message::Audited { .. }
        | Message::Output { .. }
        | Message::Stored(_)
        | Message::TakeOver(_)
        | Message::ProbeStart { .. }
        | Message::Advert(_) => String::new(),
    }
}
