//! The core's whole boundary: what the shell tells it, what it asks of the shell, what it tells people.

mod compute;

pub use compute::{Computed, Purpose, Shape, TaskId};

use crate::advert::{Advert, DeviceProfile, KernelOffer};
use crate::genesis::Genesis;
use crate::hash::{BlobId, Hash, JobId, KernelId, LeaseId, PeerKey};
use crate::manifest::{BlobRef, JobRecord};
use crate::reason::Reason;
use crate::receipt::Receipt;
use crate::reputation::Standing;
use crate::text::Text;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::{self, Vec};
use serde::{Deserialize, Serialize};

/// Names one gossip message until the core has judged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GossipId(pub u64);

/// Number of a record in the log. A send that names it waits until that record is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersistSeq(pub u64);

/// What a person wants computed.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What runs.
    pub kernel: KernelId,
    /// Its class.
    pub class: String,
    /// Its parameters.
    pub params: Vec<u8>,
    /// Its inputs, which the shell already stores.
    pub inputs: Vec<BlobRef>,
    /// What the kernel says of it.
    pub shape: Shape,
    /// Tiles per slice; by default the genesis' slice time at the median advertised speed.
    pub slice_tiles: Option<u32>,
    /// Only peers that ask at most so much per 10^9 work units; none: any. The highest price among them is bid.
    pub max_price: Option<u64>,
    /// Seconds from now until nothing is computed any more.
    pub deadline_in_s: u64,
    /// Every slice is audited as a newcomer's, whoever computes it.
    pub full_audits: bool,
}

/// What this peer can do, measured by the shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Its devices; the first one computes.
    pub devices: Vec<DeviceProfile>,
    /// What they offer.
    pub kernels: Vec<KernelOffer>,
    /// Slices that it computes at once; 0 lends nothing.
    pub slots: u16,
    /// Self-declared region.
    pub region: Text<16>,
    /// Software version.
    pub software: Text<32>,
}

/// What the shell tells the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// First of all: the wall clock and everything that the log holds.
    Started {
        /// Unix seconds.
        unix_s: u64,
        /// Records in log order.
        restored: Vec<Record>,
    },
    /// A deadline has come, or the wall clock has moved.
    Tick {
        /// Unix seconds.
        unix_s: u64,
    },
    /// What this peer offers; again whenever it changes.
    Capacity(Capacity),
    /// A person submits a job.
    Submit(Box<Submission>),
    /// A person cancels.
    Cancel {
        /// Which job.
        job: JobId,
    },
    /// Leave: take leave of everybody. Own jobs are not cancelled; they go on when this peer comes back.
    Leave,
    /// An advert arrived by gossip; answered by a `Verdict`.
    Gossip {
        /// To be judged.
        id: GossipId,
        /// What arrived.
        data: Vec<u8>,
    },
    /// A control message from an authenticated peer.
    Message {
        /// Who sent it.
        from: PeerKey,
        /// What it sent.
        bytes: Vec<u8>,
    },
    /// A control message could not be delivered.
    Undelivered {
        /// To whom.
        to: PeerKey,
    },
    /// A connection is up.
    PeerConnected {
        /// With whom.
        peer: PeerKey,
    },
    /// The last connection is gone.
    PeerLost {
        /// With whom.
        peer: PeerKey,
    },
    /// Kademlia answered.
    Providers {
        /// Which board.
        board: Hash,
        /// Its providers.
        peers: Vec<PeerKey>,
    },
    /// Inputs are here and the kernel accepts them, or not.
    Prepared {
        /// Which job.
        job: JobId,
        /// What the kernel makes of it.
        shape: Result<Shape, Reason>,
    },
    /// A computation has ended.
    Computed {
        /// Which.
        task: TaskId,
        /// How.
        result: Result<Computed, Reason>,
    },
    /// A slice's output was fetched, stored and cut into tiles, or not.
    Fetched {
        /// Which fetch.
        task: TaskId,
        /// BLAKE3 of every tile.
        result: Result<Vec<Hash>, Reason>,
    },
}

/// What the core asks of the shell.
#[derive(Clone, Debug)]
pub enum Output {
    /// Gossip an advert.
    Publish {
        /// Signed advert.
        data: Vec<u8>,
    },
    /// Forward a gossip message, or not.
    Verdict {
        /// Which.
        id: GossipId,
        /// What to do.
        verdict: Verdict,
    },
    /// Send a control message.
    Send {
        /// To whom.
        to: PeerKey,
        /// Encoded [`crate::Message`].
        bytes: Vec<u8>,
        /// Not before this record is durable.
        after: Option<PersistSeq>,
    },
    /// Provide a board in Kademlia until told otherwise.
    Provide {
        /// Which.
        board: Hash,
    },
    /// Provide it no longer.
    StopProviding {
        /// Which.
        board: Hash,
    },
    /// Ask Kademlia who provides a board.
    FindProviders {
        /// Which.
        board: Hash,
    },
    /// Fetch a job's inputs and let the kernel look at them; answered by `Prepared`.
    Prepare {
        /// Which job.
        job: JobId,
        /// Kernel, parameters, inputs.
        record: Arc<JobRecord>,
        /// Who has the inputs.
        sources: Vec<PeerKey>,
    },
    /// Compute tiles of a prepared job; answered by `Computed`.
    Compute {
        /// Names the answer.
        task: TaskId,
        /// Which job.
        job: JobId,
        /// Tiles, counted within the job.
        tiles: Vec<u32>,
        /// What for: decides device and urgency.
        purpose: Purpose,
    },
    /// The answer is not wanted any more.
    Abort {
        /// Which.
        task: TaskId,
    },
    /// Fetch a slice's output, store it, hash its tiles; answered by `Fetched`.
    Fetch {
        /// Names the answer.
        task: TaskId,
        /// Which blob.
        blob: BlobId,
        /// Its exact length.
        len: u64,
        /// Where to cut.
        tile_bytes: u32,
        /// Who has it.
        from: PeerKey,
    },
    /// Store a slice's output that came with its message, hash its tiles; answered by `Fetched`.
    Store {
        /// Names the answer.
        task: TaskId,
        /// All of it.
        bytes: Vec<u8>,
        /// Where to cut.
        tile_bytes: u32,
    },
    /// Append to the log. Sequence numbers ascend by one.
    Persist {
        /// Its number.
        seq: PersistSeq,
        /// What to keep.
        record: Box<Record>,
    },
    /// Nothing more will be computed for this job.
    Release {
        /// Which job.
        job: JobId,
    },
    /// A worker's output is stored elsewhere and may go.
    Discard {
        /// Which blob.
        blob: BlobId,
    },
    /// Something that people want to know.
    Notify(Event),
}

/// What becomes of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Accept,
    /// Drop it without blame.
    Ignore,
    /// Drop it and lower the sender's score.
    Reject,
}

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
    /// A receipt that this peer collected or earned.
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
    /// An own job is over.
    Ended {
        /// The job.
        job: JobId,
        /// `JobDone`, or why it ended early.
        reason: Reason,
    },
    /// What this peer thinks of another; the latest one of a peer counts.
    Standing {
        /// Whom.
        peer: PeerKey,
        /// All of it.
        standing: Box<Standing>,
    },
}

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
        /// Whose lease ended.
        worker: PeerKey,
        /// Why.
        reason: Reason,
    },
    /// A worker lied, or hid what it had done.
    CheatCaught {
        /// Job.
        job: JobId,
        /// Slice.
        slice: u32,
        /// Who.
        worker: PeerKey,
        /// Whose recomputation showed it; none when it withheld its opening.
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
}

/// A peer as its latest advert shows it.
#[derive(Clone, Debug)]
pub struct KnownPeer<'a> {
    /// What it says of itself.
    pub advert: &'a Advert,
    /// For how long it has not been heard, ms.
    pub age_ms: u64,
}

/// What the swarm is, for the core.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The swarm's parameters.
    pub genesis: Genesis,
    /// Seeds the core's own randomness; from the operating system in a daemon, from the scenario in a simulation.
    pub rng_seed: [u8; 32],
}

/// Outputs of one call, in order. They borrow the core: nobody can go on before draining them.
#[must_use = "outputs that are not performed are lost"]
#[derive(Debug)]
pub struct Outputs<'a>(vec::Drain<'a, Output>);

impl<'a> From<&'a mut Vec<Output>> for Outputs<'a> {
    fn from(outputs: &'a mut Vec<Output>) -> Self {
        Self(outputs.drain(..))
    }
}

impl Iterator for Outputs<'_> {
    type Item = Output;
    fn next(&mut self) -> Option<Output> {
        self.0.next()
    }
}
