//! All that can happen in a run. Peers reach each other, and themselves, only through events.

use crate::experiment::Job;
use starling_protocol::io::{PersistSeq, TaskId};
use starling_protocol::manifest::JobRecord;
use starling_protocol::{BlobId, Hash, JobId, PeerKey, Receipt};
use std::sync::Arc;

/// Something that happens.
#[derive(Debug)]
pub enum Event {
    /// To a peer.
    Peer {
        /// To whom.
        peer: u32,
        /// In which of its lives, or [`ANY_LIFE`]: what a peer has begun ends with it.
        life: u16,
        /// What.
        what: What,
    },
    /// Gossip looks after a topic.
    Heartbeat(u16),
}

impl Event {
    /// Whom it happens to; of a heartbeat the topic.
    #[must_use]
    pub fn peer(&self) -> u32 {
        match self {
            Self::Peer { peer, .. } => *peer,
            Self::Heartbeat(topic) => u32::from(*topic),
        }
    }

    /// What kind of event, for profiles.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        let Self::Peer { what, .. } = self else {
            return "heartbeat";
        };
        match what {
            What::Start => "start",
            What::Kill => "kill",
            What::Submit(_) => "submit",
            What::Connected(_) | What::Lost(_) => "connection",
            What::Message(..) | What::Undelivered(_) => "message",
            What::Gossip(_) => "gossip",
            What::Republish(_) | What::Providers(_) => "boards",
            What::Prepared(_) | What::Failed(_) | What::Device => "device",
            What::FetchRequest(_) | What::Fetched(_) => "blob",
            What::Durable(_) | What::Recalled(_) => "disk",
            What::Wake => "timer",
        }
    }
}

/// What comes from outside reaches a peer whatever has become of it since.
pub const ANY_LIFE: u16 = 0;

/// What can happen to a peer.
#[derive(Debug)]
pub enum What {
    /// It starts, and offers its capacity.
    Start,
    /// It is killed.
    Kill,
    /// A message could not be delivered.
    Undelivered(u32),
    /// A neighbour's connection is gone.
    Lost(u32),
    /// Its person submits a job.
    Submit(Box<Job>),
    /// A neighbour is connected.
    Connected(u32),
    /// A control message arrives.
    Message(u32, Box<[u8]>),
    /// A gossip message arrives.
    Gossip(u32),
    /// It provides a board again, lest its records expire.
    Republish(Box<Hash>),
    /// Kademlia answers.
    Providers(Box<(Hash, Vec<u32>)>),
    /// Inputs and kernel are ready, or the inputs could not be fetched.
    Prepared(Box<(JobId, Option<Arc<JobRecord>>)>),
    /// It cannot compute this.
    Failed(TaskId),
    /// One of its devices may have finished.
    Device,
    /// Somebody wants a blob of so many tiles.
    FetchRequest(Box<Fetch>),
    /// A blob that it asked for, as tile hashes; `None` if there is no such blob.
    Fetched(Box<(Fetch, Option<Vec<Hash>>)>),
    /// A receipt that it looked up in its log, and for whom.
    Recalled(Box<(PeerKey, Receipt)>),
    /// Its log is durable up to here.
    Durable(PersistSeq),
    /// Its deadline may have come.
    Wake,
}

impl What {
    /// A number for each kind, for the trace hash.
    #[must_use]
    pub fn tag(&self) -> u8 {
        match self {
            Self::Start => 0,
            Self::Kill => 1,
            Self::Undelivered(_) => 2,
            Self::Lost(_) => 3,
            Self::Submit(_) => 4,
            Self::Connected(_) => 5,
            Self::Message(..) => 6,
            Self::Gossip(_) => 7,
            Self::Republish(_) => 8,
            Self::Providers(_) => 9,
            Self::Prepared(_) => 10,
            Self::Failed(_) => 11,
            Self::Device => 12,
            Self::FetchRequest(_) => 13,
            Self::Fetched(_) => 14,
            Self::Durable(_) => 15,
            Self::Wake => 16,
            Self::Recalled(_) => 17,
        }
    }

    /// Writes down what makes this event this event, beside its kind, for the trace hash.
    pub fn write(&self, to: &mut impl FnMut(&[u8])) {
        match self {
            Self::Start | Self::Kill | Self::Device | Self::Wake => {}
            Self::Submit(job) => to(&job.tiles.to_le_bytes()),
            Self::Undelivered(peer) | Self::Lost(peer) | Self::Connected(peer) => {
                to(&peer.to_le_bytes());
            }
            Self::Message(from, bytes) => {
                to(&from.to_le_bytes());
                to(bytes);
            }
            Self::Gossip(flood) => to(&flood.to_le_bytes()),
            Self::Republish(board) => to(&board.0),
            Self::Providers(found) => {
                to(&found.0.0);
                found.1.iter().for_each(|p| to(&p.to_le_bytes()));
            }
            Self::Prepared(prepared) => to(prepared.0.as_bytes()),
            Self::Failed(task) => to(&task.0.to_le_bytes()),
            Self::FetchRequest(fetch) => to(&fetch.task.0.to_le_bytes()),
            Self::Fetched(fetched) => {
                to(&fetched.0.task.0.to_le_bytes());
                fetched.1.iter().flatten().for_each(|t| to(&t.0));
            }
            Self::Durable(seq) => to(&seq.0.to_le_bytes()),
            Self::Recalled(recalled) => to(recalled.1.commitment.body.lease.as_bytes()),
        }
    }
}

/// One fetch on its way.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    /// Who asks.
    pub by: u32,
    /// In which of its lives.
    pub life: u16,
    /// The asker's name for it.
    pub task: TaskId,
    /// What it wants.
    pub blob: BlobId,
    /// Its exact length.
    pub len: u64,
    /// Tiles in it.
    pub tiles: usize,
}
