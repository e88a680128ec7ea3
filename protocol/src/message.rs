//! Everything that one peer says to another, point to point. PROTOCOL.md tells who may say what when; a test holds
//! its list against this enum.

use crate::advert::Advert;
use crate::bits::Bits;
use crate::codec::{self, CodecError};
use crate::config;
use crate::evidence::{
    Attestation, Commitment, Lease, Lock, LockSet, Opening, Reveal, Revealed, SealList, Stored,
};
use crate::fraud::FraudProof;
use crate::hash::{BlobId, Hash, JobId, KernelId, LeaseId};
use crate::manifest::JobRecord;
use crate::reason::Reason;
use crate::receipt::Receipt;
use crate::signed::Signed;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A control message. W worker, S steward, C collector (the granting steward), V witness or auditor, R requester.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// W->S: which jobs of this kernel class do you hand out?
    BoardQuery {
        /// The kernel class.
        class: String,
    },
    /// S->anyone: a job's record, as an offer of work or as the answer to `RecordRequest`.
    Record(Box<JobRecord>),
    /// anyone->whoever may have it: send me this job's record.
    RecordRequest {
        /// Which job.
        job: JobId,
    },
    /// W->S: lease me a slice.
    LeaseRequest {
        /// Which job.
        job: JobId,
    },
    /// S->W: compute this slice.
    LeaseGrant(Box<Signed<Lease>>),
    /// S->W: not now, and why.
    LeaseRefusal {
        /// Which job.
        job: JobId,
        /// Why.
        reason: Reason,
        /// Ask again after this long, ms; 0 means never.
        retry_ms: u32,
    },
    /// W->C: the slice is finished; this is its root.
    Commit {
        /// The root.
        commitment: Box<Signed<Commitment>>,
        /// Whether W asks for its next lease of the job with it.
        next: bool,
    },
    /// C->W: the root arrived; the lease will not lapse while it is audited.
    CommitAck {
        /// Under which lease.
        lease: LeaseId,
    },
    /// C->V: sign that you saw this root.
    LockRequest {
        /// The lease.
        lease: Box<Signed<Lease>>,
        /// The worker's commitment.
        commitment: Box<Signed<Commitment>>,
    },
    /// V->C: seen, and bound to a nonce.
    Locked(Signed<Lock>),
    /// C->V, W: these locks make the seed.
    LockSet(Box<Signed<LockSet>>),
    /// V->C: the witness's nonce.
    Reveal(Signed<Reveal>),
    /// C->V: you were drawn: recompute your tiles.
    AuditCall(Box<AuditCall>),
    /// C->W: the seed's parts, so that the worker can check the draws.
    Seed {
        /// Under which lease.
        lease: LeaseId,
        /// In the lock set's order; a missing one counts as zeros.
        nonces: Vec<Option<Revealed>>,
        /// The steward's own.
        steward_nonce: Hash,
    },
    /// V->C: my results, sealed.
    Seal {
        /// Under which lease.
        lease: LeaseId,
        /// `seal_digest` of the results.
        digest: Hash,
    },
    /// C->W, V: all seals; now open.
    SealList(Box<Signed<SealList>>),
    /// W->C->V: the opened tiles.
    Opening(Box<Signed<Opening>>),
    /// C->W: the opening arrived.
    OpeningAck {
        /// Under which lease.
        lease: LeaseId,
    },
    /// C->V: did the worker send you its opening? It did not reach me.
    OpeningRequest {
        /// Under which lease.
        lease: LeaseId,
    },
    /// V->C: my verdict, with a proof when I dissent.
    Attest {
        /// The verdict.
        attestation: Box<Signed<Attestation>>,
        /// What shows that the worker was wrong.
        proof: Option<Box<FraudProof>>,
    },
    /// C->W: the quorum agreed: hand over the output.
    Audited {
        /// Under which lease.
        lease: LeaseId,
    },
    /// W->storer: the output and the secret of its salts.
    Output {
        /// Under which lease.
        lease: LeaseId,
        /// The slice's bytes, all tiles in order.
        blob: BlobId,
        /// Makes all salts.
        secret: Hash,
        /// Those bytes, if there are at most 16 KiB; else none, and they are fetched.
        bytes: Vec<u8>,
    },
    /// storer->W, C: the bytes are here and they are what was audited.
    Stored(Box<Signed<Stored>>),
    /// C->W: proof of your work.
    Receipt(Box<Receipt>),
    /// C->W, V: this lease is over without a receipt. W->C, before its commitment: I give it back.
    LeaseEnded {
        /// Under which lease.
        lease: LeaseId,
        /// Why.
        reason: Reason,
    },
    /// R->S, W: this job is over. S->W, if it is not R: I have nothing more of it for you. Anyone->S: it has ended here,
    /// as the answer to `Progress`.
    JobEnded {
        /// Which job.
        job: JobId,
        /// Why.
        reason: Reason,
    },
    /// anyone->anyone, once connected: my advert, which you may have missed.
    Advert(Box<Signed<Advert>>),
    /// S->S, also R: I have the job's record and inputs, and am so far with it.
    Progress {
        /// Which job.
        job: JobId,
        /// Slices whose bytes I have.
        done: Bits,
        /// Slices that I have leased, or compute.
        busy: Bits,
    },
    /// S->S, also R: hand me over these slices, which you say to have.
    SettleRequest {
        /// Which job.
        job: JobId,
        /// Which slices, 16 at most.
        slices: Vec<u32>,
    },
    /// S->S, also R: a slice is done; here is what proves it, and its bytes can be fetched from me.
    Settle {
        /// The proof.
        receipt: Box<Receipt>,
        /// The slice's bytes, all tiles in order.
        blob: BlobId,
        /// Makes all salts: whoever has the bytes rebuilds the root with it.
        secret: Hash,
    },
    /// anyone->anyone of its shard: get ready to show that you are as fast as you say.
    Probe {
        /// How the job is made: [`config::PROBE_VERSION`].
        version: u16,
        /// On which kernel.
        kernel: KernelId,
        /// Work units of the job: half a second's, by your advert.
        units: u64,
        /// Names the probe: digest of the prober's nonce.
        probe: Hash,
    },
    /// probed->prober: ready, and then, at once, started; or busy.
    ProbeReply {
        /// Which probe.
        probe: Hash,
        /// The probed one's nonce; none: ask again another time.
        nonce: Option<Hash>,
    },
    /// prober->probed: the clock runs.
    ProbeStart {
        /// Which probe.
        probe: Hash,
        /// The prober's nonce.
        nonce: Hash,
    },
    /// probed->prober: done.
    ProbeDone {
        /// Which probe.
        probe: Hash,
        /// BLAKE3 of every tile.
        tiles: Vec<Hash>,
    },
    /// W->S: my collector has fallen silent since I opened; go on from here in its place.
    TakeOver(Box<Handover>),
}

/// What an auditor needs to check that it was drawn, and to recompute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCall {
    /// The lease.
    pub lease: Signed<Lease>,
    /// The worker's commitment.
    pub commitment: Signed<Commitment>,
    /// The locks.
    pub lock_set: Signed<LockSet>,
    /// In the lock set's order.
    pub nonces: Vec<Option<Revealed>>,
    /// The steward's own.
    pub steward_nonce: Hash,
    /// Openings of context tiles, for kernels whose tiles need others' output. Empty for `ContextRule::None`.
    pub context: Vec<Signed<Opening>>,
}

/// An audit as its worker knows it once it has opened: whatever a collector needs to end it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// All up to the seed.
    pub call: AuditCall,
    /// The seals, by the collector that fell silent.
    pub seal_list: Signed<SealList>,
    /// The worker's answer to them.
    pub opening: Signed<Opening>,
}

impl Message {
    /// Decodes what a stranger sent.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::decode(bytes, config::MESSAGE_MAX)
    }

    /// Canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The variant's name, for traces.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::BoardQuery { .. } => "BoardQuery",
            Self::Record(_) => "Record",
            Self::RecordRequest { .. } => "RecordRequest",
            Self::LeaseRequest { .. } => "LeaseRequest",
            Self::LeaseGrant(_) => "LeaseGrant",
            Self::LeaseRefusal { .. } => "LeaseRefusal",
            Self::Commit { .. } => "Commit",
            Self::CommitAck { .. } => "CommitAck",
            Self::LockRequest { .. } => "LockRequest",
            Self::Locked(_) => "Locked",
            Self::LockSet(_) => "LockSet",
            Self::Reveal(_) => "Reveal",
            Self::AuditCall(_) => "AuditCall",
            Self::Seed { .. } => "Seed",
            Self::Seal { .. } => "Seal",
            Self::SealList(_) => "SealList",
            Self::Opening(_) => "Opening",
            Self::OpeningAck { .. } => "OpeningAck",
            Self::OpeningRequest { .. } => "OpeningRequest",
            Self::Attest { .. } => "Attest",
            Self::Audited { .. } => "Audited",
            Self::Output { .. } => "Output",
            Self::Stored(_) => "Stored",
            Self::Receipt(_) => "Receipt",
            Self::LeaseEnded { .. } => "LeaseEnded",
            Self::JobEnded { .. } => "JobEnded",
            Self::Advert(_) => "Advert",
            Self::Progress { .. } => "Progress",
            Self::SettleRequest { .. } => "SettleRequest",
            Self::Settle { .. } => "Settle",
            Self::Probe { .. } => "Probe",
            Self::ProbeReply { .. } => "ProbeReply",
            Self::ProbeStart { .. } => "ProbeStart",
            Self::ProbeDone { .. } => "ProbeDone",
            Self::TakeOver(_) => "TakeOver",
        }
    }
}
