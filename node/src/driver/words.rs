//! What goes between a peer's handle and its loop: what people ask, and what happened.

use serde::{Deserialize, Serialize};
use starling_protocol::advert::Advert;
use starling_protocol::io::{Proof, Submission};
use starling_protocol::manifest::JobRecord;
use starling_protocol::reputation::ReputationView;
use starling_protocol::{Event, JobId, PeerKey};
use tokio::sync::oneshot;

use crate::compute::Usage;
use crate::net::NetStatus;
use crate::reason::Reason;

/// Something that happened, for whoever shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "happening", rename_all = "snake_case")]
pub enum Happening {
    /// The core says.
    Core(Event),
    /// It lends its device from now on, or not.
    Lending {
        /// Whether it does.
        lends: bool,
        /// Why not.
        why: Option<Reason>,
    },
    /// This peer can be dialled there.
    Listening {
        /// A multiaddress that ends in the peer's id.
        address: String,
    },
    /// A bootstrap address does not answer.
    DialFailed {
        /// Which.
        address: String,
        /// Why.
        reason: String,
    },
    /// The peer had to stop.
    Failed {
        /// Why, for people.
        reason: String,
        /// The same with code and fix.
        why: Reason,
    },
}

/// What a person asks of a running peer.
pub(crate) enum Command {
    Submit(Box<Submission>),
    Cancel(JobId),
    Collect(JobId),
    Peers(oneshot::Sender<Vec<(Advert, u64)>>),
    Reputations(oneshot::Sender<Vec<ReputationView>>),
    /// What it has measured of their claims.
    Proofs(oneshot::Sender<Vec<(PeerKey, Vec<Proof>)>>),
    Record(JobId, oneshot::Sender<Option<JobRecord>>),
    Network(oneshot::Sender<NetStatus>),
    Usage(oneshot::Sender<Usage>),
    /// Lend the device from now on, or not, and so much of its time.
    Lend {
        lends: bool,
        duty_pct: u8,
    },
    Leave(oneshot::Sender<Usage>),
}
