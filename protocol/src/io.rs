//! The core's whole boundary: what the shell tells it, what it asks of the shell, what it tells people.

mod compute;

pub use crate::proofs::{ClaimState, Proof};
pub use compute::{Computed, Purpose, Shape, TaskId};

use crate::advert::{Advert, DeviceProfile, KernelOffer};
pub use crate::event::Event;
use crate::genesis::Genesis;
use crate::hash::{BlobId, Hash, JobId, KernelId, LeaseId, PeerKey};
use crate::manifest::{BlobRef, JobRecord};
use crate::reason::Reason;
use crate::receipt::Receipt;
pub use crate::record::Record;
use crate::text::Text;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::{self, Vec};

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
    /// At most so many stewards besides this peer; by default [`crate::config::STEWARDS`].
    pub stewards: Option<u16>,
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

impl Capacity {
    /// What of it is offered if the device computes so much of its time, in percent, and only if it is lent.
    #[must_use]
    pub fn lent(&self, lends: bool, duty_pct: u8) -> Self {
        let mut lent = self.clone();
        lent.slots = if lends { self.slots } else { 0 };
        for offer in &mut lent.kernels {
            let share = u128::from(offer.units_per_s) * u128::from(duty_pct.min(100)) / 100;
            offer.units_per_s = (share as u64).max(1);
        }
        lent
    }
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
    /// A person wants a job back that this identity submitted, from another machine or before its log was lost: its
    /// stewards are looked for.
    Collect {
        /// Which.
        job: JobId,
    },
    /// Leave: take leave of everybody. Own jobs are not cancelled; they go on when this peer comes back.
    Leave,
    /// Something arrived by gossip; answered by a `Verdict`.
    Gossip {
        /// To be judged.
        id: GossipId,
        /// On which topic.
        topic: Topic,
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
    /// A receipt from the log, as asked for; nothing comes if it is not there.
    Recalled {
        /// Who wants it.
        to: PeerKey,
        /// The receipt.
        receipt: Box<Receipt>,
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
    /// Gossip something.
    Publish {
        /// On which topic.
        topic: Topic,
        /// What: a signed advert, or a fraud proof.
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
    /// Compute tiles of a job that the shell makes up itself, the same one wherever kernel, seed and units are the
    /// same: [`crate::config::PROBE_TILES`] tiles of about so many units together, never more, with no inputs from
    /// anybody. Answered by `Computed`, with hashes alone.
    Probe {
        /// Names the answer.
        task: TaskId,
        /// Which kernel.
        kernel: KernelId,
        /// Makes jobs differ.
        seed: Hash,
        /// Work units of the whole job.
        units: u64,
        /// Tiles, counted within that job.
        tiles: Vec<u32>,
        /// `Audit`: the device that is lent; `Judge`: the CPU reference.
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
    /// Look a receipt up that was logged as `Kept`; answered by `Recalled`.
    Recall {
        /// Its job.
        job: JobId,
        /// Its lease.
        lease: LeaseId,
        /// Who wants it.
        to: PeerKey,
    },
    /// Nothing more will be computed for this job.
    Release {
        /// Which job.
        job: JobId,
    },
    /// A slice's bytes may go: as its worker or as a steward this peer needs them no more.
    Discard {
        /// Which blob.
        blob: BlobId,
    },
    /// Something that people want to know.
    Notify(Event),
}

/// What is gossiped, each kind among the peers of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Adverts.
    Capacity,
    /// Fraud proofs.
    Faults,
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
    /// Kernels whose code comes with the job: what such code does on this peer's device proves nothing to others.
    pub guests: Vec<KernelId>,
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
