//! Why not: every refusal and every ending, as one typed value with a code, a sentence and a fix.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Why something did not happen. On the wire in refusals, in the CLI as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No peer that this one knows offers the job's kernel.
    NoEligiblePeer,
    /// The job is not known here.
    UnknownJob,
    /// The asker is not in the job's roster.
    NotInRoster,
    /// The asker was refuted or did not open in this job.
    Excluded,
    /// Nothing is open at the moment.
    NothingOpen,
    /// The asker has too many slices without a receipt.
    TooManyUnreceipted,
    /// The job is complete.
    JobDone,
    /// The requester cancelled.
    Cancelled,
    /// The job's deadline has passed.
    DeadlinePassed,
    /// The lease lapsed before its commitment.
    LeaseExpired,
    /// Witnesses withheld their nonces: nobody's fault but theirs.
    WitnessesSilent,
    /// The worker did not open the drawn tiles.
    NoOpening,
    /// A fraud proof against the worker held.
    Refuted,
    /// The delivered bytes do not give the committed root.
    WrongOutput,
    /// The worker's device failed.
    DeviceFailed,
    /// The worker recomputed a tile before committing, and it differed.
    SelfCheckFailed,
    /// Too many jobs at once.
    Busy,
    /// The manifest or the shape of the job is out of range.
    BadJob,
    /// Too few auditors agreed, and the requester is not there to check itself.
    NoQuorum,
    /// The worker never handed its output over.
    NotDelivered,
    /// An input blob or a slice's output could not be fetched.
    FetchFailed,
    /// The disk or the blob store is full.
    StorageFull,
    /// The worker left the swarm.
    WorkerLeft,
    /// The worker signed two roots for one lease.
    TwoRoots,
    /// Its owner wants the device: it does not lend at the moment.
    NotLending,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 25] = [
        Self::NoEligiblePeer,
        Self::UnknownJob,
        Self::NotInRoster,
        Self::Excluded,
        Self::NothingOpen,
        Self::TooManyUnreceipted,
        Self::JobDone,
        Self::Cancelled,
        Self::DeadlinePassed,
        Self::LeaseExpired,
        Self::WitnessesSilent,
        Self::NoOpening,
        Self::Refuted,
        Self::WrongOutput,
        Self::DeviceFailed,
        Self::SelfCheckFailed,
        Self::Busy,
        Self::BadJob,
        Self::NoQuorum,
        Self::NotDelivered,
        Self::FetchFailed,
        Self::StorageFull,
        Self::WorkerLeft,
        Self::TwoRoots,
        Self::NotLending,
    ];

    /// Stable snake-case code for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NoEligiblePeer => "no_eligible_peer",
            Self::UnknownJob => "unknown_job",
            Self::NotInRoster => "not_in_roster",
            Self::Excluded => "excluded",
            Self::NothingOpen => "nothing_open",
            Self::TooManyUnreceipted => "too_many_unreceipted",
            Self::JobDone => "job_done",
            Self::Cancelled => "cancelled",
            Self::DeadlinePassed => "deadline_passed",
            Self::LeaseExpired => "lease_expired",
            Self::WitnessesSilent => "witnesses_silent",
            Self::NoOpening => "no_opening",
            Self::Refuted => "refuted",
            Self::WrongOutput => "wrong_output",
            Self::DeviceFailed => "device_failed",
            Self::SelfCheckFailed => "self_check_failed",
            Self::Busy => "busy",
            Self::BadJob => "bad_job",
            Self::NoQuorum => "no_quorum",
            Self::NotDelivered => "not_delivered",
            Self::FetchFailed => "fetch_failed",
            Self::StorageFull => "storage_full",
            Self::WorkerLeft => "worker_left",
            Self::TwoRoots => "two_roots",
            Self::NotLending => "not_lending",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn fix(self) -> &'static str {
        match self {
            Self::NoEligiblePeer => {
                "start a peer with `starling up`, or check with `starling peers` that you reach the swarm"
            }
            Self::UnknownJob => "check the job's id with `starling job show`",
            Self::NotInRoster => "wait for the next job: the roster is fixed at submission",
            Self::Excluded | Self::Refuted | Self::WrongOutput | Self::SelfCheckFailed => {
                "run `starling doctor`: the device computes wrong results"
            }
            Self::NothingOpen | Self::TooManyUnreceipted | Self::Busy | Self::WitnessesSilent => {
                "nothing to do: the peer asks again"
            }
            Self::JobDone | Self::Cancelled => "nothing to do",
            Self::DeadlinePassed => "submit again with a later deadline",
            Self::LeaseExpired => "nothing to do: the slice is leased again",
            Self::NoOpening => "check the worker's connection",
            Self::DeviceFailed => "run `starling doctor` on the worker",
            Self::BadJob => "change the size or the number of samples of the job",
            Self::NoQuorum | Self::NotDelivered | Self::WorkerLeft | Self::NotLending => {
                "nothing to do: the slice is leased again"
            }
            Self::FetchFailed => "check the connection to the peers that hold the data",
            Self::TwoRoots => "run one peer only under this identity",
            Self::StorageFull => "free disk space, or raise `limits.blobs_gib` in config.toml",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEligiblePeer => "no reachable peer offers this kernel",
            Self::UnknownJob => "the job is not known here",
            Self::NotInRoster => "the peer is not in the job's roster",
            Self::Excluded => "the peer is excluded from this job",
            Self::NothingOpen => "no slice is open at the moment",
            Self::TooManyUnreceipted => "too many slices still lack a receipt",
            Self::JobDone => "the job is complete",
            Self::Cancelled => "the requester cancelled the job",
            Self::DeadlinePassed => "the job's deadline has passed",
            Self::LeaseExpired => "the lease lapsed before its commitment",
            Self::WitnessesSilent => "witnesses withheld their nonces",
            Self::NoOpening => "the worker withheld its opening",
            Self::Refuted => "a recomputed tile differs from the worker's",
            Self::WrongOutput => "the delivered bytes do not match the committed root",
            Self::DeviceFailed => "the device failed while computing",
            Self::SelfCheckFailed => "the device's result differs from the CPU reference",
            Self::Busy => "the peer is busy",
            Self::BadJob => "the job's shape is out of range",
            Self::NoQuorum => "too few auditors agreed",
            Self::NotDelivered => "the worker did not hand its output over",
            Self::FetchFailed => "a blob could not be fetched",
            Self::StorageFull => "an output could not be stored",
            Self::WorkerLeft => "the worker left the swarm",
            Self::TwoRoots => "the worker signed two results for one lease",
            Self::NotLending => "the worker's owner wants the device",
        })
    }
}
