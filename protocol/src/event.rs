//! What the core tells people.

use crate::hash::{BlobId, JobId, KernelId, PeerKey};
use crate::reason::Reason;
use crate::receipt::Receipt;
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Something worth telling a person. The shell prints, counts or forwards it, and decides nothing by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A peer's first advert.
    PeerSeen {
        /// Which.
        peer: PeerKey,
    },
    /// A peer said goodbye, or its advert expired.
    PeerGone {
        /// Which.
        peer: PeerKey,
    },
    /// Most peers that were met lately have another time than this machine: neither takes the other's adverts.
    ClocksDiffer {
        /// So many have.
        peers: usize,
        /// Of so many.
        of: usize,
        /// By how much the middle one of them is ahead, seconds; less than 0 if it is behind.
        ahead_s: i64,
    },
    /// A job is on its way.
    Submitted {
        /// Which.
        job: JobId,
        /// Slices.
        slices: u32,
        /// Tiles.
        tiles: u32,
        /// Peers in the roster.
        roster: usize,
    },
    /// Another steward of an own job has its record and inputs: it goes on without this peer.
    Held {
        /// Which.
        job: JobId,
        /// By whom.
        by: PeerKey,
        /// By how many besides this peer.
        held: usize,
        /// Of so many that were appointed.
        of: usize,
    },
    /// A job that was looked for was found: its record is here again.
    Found {
        /// Which.
        job: JobId,
    },
    /// Nobody was found who has the job.
    NotFound {
        /// Which.
        job: JobId,
    },
    /// This peer is now a steward of somebody else's job.
    Appointed {
        /// Which.
        job: JobId,
        /// Whose.
        requester: PeerKey,
        /// Slices.
        slices: u32,
    },
    /// As a steward, this peer keeps one more slice for its requester.
    Kept {
        /// Which job.
        job: JobId,
        /// The slice.
        slice: u32,
        /// Who computed it.
        worker: PeerKey,
    },
    /// This peer is a steward of somebody else's job no longer.
    Relieved {
        /// Which job.
        job: JobId,
        /// Why.
        reason: Reason,
    },
    /// A job of a former life goes on.
    Resumed {
        /// Which.
        job: JobId,
        /// Slices.
        slices: u32,
        /// Slices that are done already.
        done: u32,
    },
    /// A submission was refused.
    SubmitRefused {
        /// Why.
        reason: Reason,
    },
    /// A slice was leased.
    Leased {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Worker.
        worker: PeerKey,
    },
    /// A worker has finished a slice and is bound to it.
    Committed {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Worker.
        worker: PeerKey,
    },
    /// Auditors were drawn.
    Auditing {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Who recomputes.
        auditors: Vec<PeerKey>,
    },
    /// A slice is done.
    SliceDone {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Who computed it; the requester itself if nobody else did.
        worker: PeerKey,
        /// Its bytes.
        blob: BlobId,
        /// Its proof; none if the requester computed it.
        receipt: Option<Box<Receipt>>,
    },
    /// A slice is open again.
    SliceReopened {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Whose lease ended, or who was thought to have done it.
        worker: PeerKey,
        /// Why.
        reason: Reason,
    },
    /// A worker's collector has died: this peer goes on in its place.
    TakenOver {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Who has opened it.
        worker: PeerKey,
        /// Who granted its lease.
        from: PeerKey,
    },
    /// A worker lied, or hid what it had done.
    CheatCaught {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Who.
        worker: PeerKey,
        /// Whose recomputation showed it; none when nobody had to recompute: no opening, wrong output, two roots.
        by: Option<PeerKey>,
        /// How.
        reason: Reason,
    },
    /// An auditor accused a worker, and recomputing proved the auditor wrong.
    FalseAccusation {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Who accused.
        accuser: PeerKey,
        /// Whom.
        worker: PeerKey,
    },
    /// A fraud proof that went round was recomputed here, and holds.
    FraudProven {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Who lied.
        worker: PeerKey,
        /// Who showed it.
        accuser: PeerKey,
    },
    /// All slices are done.
    JobDone {
        /// Job.
        job: JobId,
    },
    /// The job ended early.
    JobFailed {
        /// Job.
        job: JobId,
        /// Why.
        reason: Reason,
    },
    /// As a worker: a slice that this peer computes.
    Working {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
    },
    /// As a worker: a slice of this peer has its receipt.
    Earned {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Work units of the slice.
        units: u64,
        /// The proof.
        receipt: Box<Receipt>,
    },
    /// As a worker: a slice of this peer ended without one.
    Lost {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Why.
        reason: Reason,
    },
    /// A peer's device does much less than its advert says: this peer's own probes have shown it.
    ClaimStruck {
        /// Whose.
        peer: PeerKey,
        /// For which kernel.
        kernel: KernelId,
        /// Work units per second, as advertised.
        claimed: u64,
        /// ... and as measured.
        measured: u64,
    },
}
