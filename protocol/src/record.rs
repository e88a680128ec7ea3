//! What the core logs, and gets back when it starts.

use crate::hash::{BlobId, Hash, JobId, LeaseId, PeerKey};
use crate::manifest::JobRecord;
use crate::reason::Reason;
use crate::receipt::Receipt;
use crate::reputation::Standing;
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// What outlives a crash. Written before the message that depends on it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// This peer, as a worker, is bound to a root.
    Committed {
        /// Under which lease.
        lease: LeaseId,
        /// To which root.
        root: Hash,
    },
    /// This peer, as a witness, has signed a lock.
    Locked {
        /// The slice's job.
        job: JobId,
        /// The slice.
        slice: u32,
        /// The worker.
        worker: PeerKey,
        /// The steward that asked.
        collector: PeerKey,
        /// Under which lease.
        lease: LeaseId,
        /// The root.
        root: Hash,
        /// The witness's own nonce.
        nonce: Hash,
        /// Unix second after which the lock may be forgotten.
        until_s: u64,
    },
    /// This peer, as a witness, is about to reveal its nonce.
    Revealed {
        /// The only lease for which it will.
        lease: LeaseId,
        /// The only lock set against which it will.
        lock_set: Hash,
    },
    /// A job that this peer submitted.
    Submitted {
        /// All of it.
        record: Box<JobRecord>,
    },
    /// A receipt that this peer earned, or that it collected or took over as a requester, or collected without bytes.
    Receipted {
        /// Its job, to find the record.
        job: JobId,
        /// The receipt.
        receipt: Box<Receipt>,
    },
    /// This peer, as a steward, has a worker's commitment: its witnesses will reveal for this lease or never.
    Bound {
        /// The slice's job.
        job: JobId,
        /// The slice.
        slice: u32,
        /// The worker.
        worker: PeerKey,
        /// Under which lease.
        lease: LeaseId,
    },
    /// This peer, as a steward, leases nothing more of a job to a worker that lied.
    Excluded {
        /// The job.
        job: JobId,
        /// The worker.
        worker: PeerKey,
    },
    /// A slice of an own job is done, and its bytes are here.
    SliceDone {
        /// The job.
        job: JobId,
        /// The slice.
        slice: u32,
        /// Who computed it.
        worker: PeerKey,
        /// Its bytes.
        blob: BlobId,
    },
    /// A job that this peer submitted, or was a steward of, is over.
    Ended {
        /// The job.
        job: JobId,
        /// `JobDone`, or why it ended early.
        reason: Reason,
    },
    /// A job of somebody else that this peer is a steward of.
    Appointed {
        /// All of it.
        record: Box<JobRecord>,
    },
    /// This peer, as a steward of somebody else's job, has a slice's bytes.
    Kept {
        /// The job.
        job: JobId,
        /// The bytes.
        blob: BlobId,
        /// The secret of its salts.
        secret: Hash,
        /// Its proof.
        receipt: Box<Receipt>,
    },
    /// A slice that was done is open again: a fraud proof against its worker held.
    Revoked {
        /// The job.
        job: JobId,
        /// The slice.
        slice: u32,
        /// Who had computed it.
        worker: PeerKey,
    },
    /// What this peer thinks of another; the latest one of a peer counts.
    Standing {
        /// Whom.
        peer: PeerKey,
        /// All of it.
        standing: Box<Standing>,
    },
}
