//! What the local API takes and gives, beside [`JobFile`](crate::jobs::JobFile) and [`Reason`](crate::reason::Reason).
//!
//! Every object says its schema's version where it stands alone. Fields may be added under one version, never changed
//! or taken away.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use starling_protocol::io::Proof;
use starling_protocol::reputation::ReputationView;
use starling_protocol::{Advert, BlobId, PeerKey, SwarmId};
use utoipa::{IntoParams, ToSchema};

use crate::jobs::{JobFile, Share, bundles};
use crate::net::NetStatus;
use crate::reason::Reason;

/// Version of all objects here.
pub const SCHEMA: u32 = 1;

/// The peer that serves this API.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Its process.
    pub pid: u32,
    /// This program's version.
    pub version: String,
    /// Its key.
    #[schema(value_type = String)]
    pub peer: PeerKey,
    /// Its swarm.
    #[schema(value_type = String)]
    pub swarm: SwarmId,
    /// The swarm's name.
    pub swarm_name: String,
    /// Whether it computes for others.
    pub lends: bool,
    /// What computes.
    pub device: String,
    /// Why a GPU is not used although there was hope for one.
    pub note: Option<String>,
    /// Other peers that it knows.
    pub peers: usize,
    /// The requester's key, once it has submitted something.
    #[schema(value_type = Option<String>)]
    pub requester: Option<PeerKey>,
    /// Bytes of the lender's blob store.
    pub blob_bytes: u64,
}

/// How the peer stands in its network.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NetView {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What it knows.
    #[serde(flatten)]
    pub net: NetStatus,
}

/// A peer as its latest advert shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PeerInfo {
    /// What it says of itself.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub advert: Advert,
    /// For how long it has not been heard, ms.
    pub age_ms: u64,
    /// What the lending peer of this home has seen of it, as a witness' and auditor's fellow and as a steward.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub lender: Option<ReputationView>,
    /// What this home's requester has seen of it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub requester: Option<ReputationView>,
    /// What this home's requester has measured of its claims.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub proofs: Vec<Proof>,
}

/// Peers, ascending by key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Peers {
    /// [`SCHEMA`].
    pub schema: u32,
    /// All that are known.
    pub peers: Vec<PeerInfo>,
}

/// A job to submit.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct JobOrder {
    /// The kernel's id, 64 hexadecimal digits.
    pub kernel: String,
    /// Its parameter block, hexadecimal.
    pub params: String,
    /// Ids of its inputs, which were put into the store before.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub inputs: Vec<BlobId>,
    /// Tiles of a slice, instead of what the peers' speed suggests.
    #[serde(default)]
    pub slice_tiles: Option<u32>,
    /// Seconds until nothing is computed any more; a day if it is not said.
    #[serde(default)]
    pub deadline_s: Option<u64>,
    /// Most that is paid per 10^9 work units.
    #[serde(default)]
    pub max_price: Option<u64>,
    /// At most so many other peers hold the job, so that it outlives this one; 3, if there are enough, if it is not said.
    #[serde(default)]
    pub stewards: Option<u16>,
    /// Audit every slice as a newcomer's, whoever computes it.
    #[serde(default)]
    pub full_audits: bool,
    /// Peers to wait for; one, and those heard in the second after it, if it is not said.
    #[serde(default)]
    pub peers: Option<u32>,
    /// Seconds to wait for them, at most 600; 10 if it is not said.
    #[serde(default)]
    pub wait_s: Option<f64>,
    /// Where the result is to go, for the record.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub output: Option<PathBuf>,
    /// The command that would submit it again, for the record: at most 8 KiB.
    #[serde(default)]
    pub cli: Option<String>,
}

/// A job, with what follows from its account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The account.
    #[serde(flatten)]
    pub file: JobFile,
    /// Who did what, the busiest first.
    pub workers: Vec<Share>,
    /// Slices with a receipt.
    pub receipts: usize,
    /// Bundles that the receipts are in: each can be downloaded by its number, from 0.
    #[serde(default)]
    pub bundles: usize,
    /// Number of the newest happening: events after it are news.
    #[serde(default)]
    pub event: u64,
}

/// A job in a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct JobLine {
    /// Its id.
    pub job: String,
    /// The kernel's name.
    pub kernel: String,
    /// How it stands.
    pub state: crate::jobs::JobState,
    /// Unix seconds.
    pub started_s: u64,
    /// Seconds from submission to now or the end.
    pub wall_s: f64,
    /// Slices that are here.
    pub done: usize,
    /// All slices.
    pub slices: usize,
    /// Slices with a receipt.
    pub receipts: usize,
    /// Whether its outputs were collected.
    pub collected: bool,
}

/// Jobs, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Jobs {
    /// [`SCHEMA`].
    pub schema: u32,
    /// All of this home.
    pub jobs: Vec<JobLine>,
}

/// Why a job is not done.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The weightiest first; none when it is done.
    pub reasons: Vec<Reason>,
}

/// A blob in the store.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BlobInfo {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Its id: the BLAKE3 digest of its bytes.
    #[schema(value_type = String)]
    pub id: BlobId,
    /// Its length in bytes.
    pub len: u64,
}

/// Which events.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub struct EventQuery {
    /// Those after this number; a `Last-Event-ID` header counts more. Without either, only those to come.
    pub after: Option<u64>,
}

/// At what price.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub struct PriceQuery {
    /// Only those that charge at most so much per 10^9 work units.
    pub max_price: Option<u64>,
}

/// Which bundle.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
pub struct BundleQuery {
    /// Jobs of very many slices have several; numbered from 0.
    #[serde(default)]
    pub part: usize,
}

/// An error, as RFC 9457 has it, with this program's reason.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:starling:reason:` and the code.
    pub r#type: String,
    /// The status' usual name.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened.
    pub detail: String,
    /// Code, particulars and fix.
    #[serde(flatten)]
    pub reason: Reason,
}

impl JobView {
    /// The view of an account.
    pub fn of(file: JobFile, event: u64) -> Self {
        Self {
            schema: SCHEMA,
            workers: file.shares(),
            receipts: file.receipts(),
            bundles: bundles(file.receipts()),
            file,
            event,
        }
    }
}

impl From<&JobFile> for JobLine {
    fn from(file: &JobFile) -> Self {
        Self {
            job: file.job.to_string(),
            kernel: file.kernel.clone(),
            state: file.state,
            started_s: file.started_s,
            wall_s: file.wall_s,
            done: file.done().count(),
            slices: file.slices.len(),
            receipts: file.receipts(),
            collected: file.collected,
        }
    }
}
