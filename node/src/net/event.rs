//! What the network tells the core, and how it fails.

use libp2p::{Multiaddr, PeerId, gossipsub::MessageId};

use super::{MAX_GOSSIP_BYTES, MAX_MESSAGE_BYTES, PeerKey};
use crate::blobs::{BlobError, BlobHash, fetch::SourceError};

/// What the network tells the core.
#[derive(Debug)]
pub enum NetEvent {
    /// This peer can be reached there (without its peer id).
    Listening(Multiaddr),
    /// A gossip message that waits for a verdict: [`accept`](super::NetHandle::accept) forwards it.
    Gossip {
        /// Its topic.
        topic: String,
        /// At most 16 KiB.
        data: Vec<u8>,
        /// Names the message in the verdict.
        handle: GossipHandle,
    },
    /// A control message.
    Message {
        /// The sender, proven by the connection.
        from: PeerKey,
        /// At most 64 KiB.
        bytes: Vec<u8>,
    },
    /// The message with this token has reached the other peer's network layer.
    Sent {
        /// As given to [`send`](super::NetHandle::send).
        token: u64,
    },
    /// The message with this token has not been acknowledged; it may have arrived nevertheless.
    SendFailed {
        /// As given to [`send`](super::NetHandle::send).
        token: u64,
        /// The addressee.
        to: PeerKey,
        /// Why.
        reason: SendError,
    },
    /// Providers found so far; each event names new ones.
    Providers {
        /// As given to [`find_providers`](super::NetHandle::find_providers).
        query_id: u64,
        /// The key looked up.
        key: [u8; 32],
        /// May be lying or out of date, as everything in a DHT.
        peers: Vec<PeerKey>,
        /// Whether this is the last event of the query.
        done: bool,
    },
    /// An announcement was handed to the connections of the peers closest to its key: Kademlia acknowledges none.
    Provided {
        /// As given to [`provide`](super::NetHandle::provide).
        key: [u8; 32],
        /// Whether such peers were found.
        told: bool,
    },
    /// The peers closest to a key that could be found.
    Closest {
        /// As given to [`find_closest`](super::NetHandle::find_closest).
        query_id: u64,
        /// The key looked up.
        key: [u8; 32],
        /// Closest first, at most 20.
        peers: Vec<PeerKey>,
    },
    /// The blob is in the store.
    BlobDone {
        /// As given to [`fetch_blob`](super::NetHandle::fetch_blob).
        request_id: u64,
        /// The blob.
        hash: BlobHash,
        /// Its length in bytes.
        len: u64,
    },
    /// The blob could not be had.
    BlobFailed {
        /// As given to [`fetch_blob`](super::NetHandle::fetch_blob).
        request_id: u64,
        /// The blob.
        hash: BlobHash,
        /// Why.
        reason: BlobFailure,
    },
    /// A peer of this swarm is connected. Its first message or gossip may arrive before this.
    PeerConnected {
        /// Its name.
        peer: PeerKey,
    },
    /// The last connection with a peer is gone.
    PeerLost {
        /// Its name.
        peer: PeerKey,
    },
    /// A peer of another swarm was disconnected.
    WrongSwarm {
        /// Its name.
        peer: PeerKey,
    },
    /// An address given to [`dial`](super::NetHandle::dial) or as bootstrap did not answer.
    DialFailed {
        /// The address.
        address: Multiaddr,
        /// Why, for people.
        reason: String,
    },
}

/// Names a gossip message in the core's verdict on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipHandle {
    pub(crate) id: MessageId,
    pub(crate) forwarder: PeerId,
}

/// Why a control message was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Longer than a control message may be.
    #[error("longer than {MAX_MESSAGE_BYTES} bytes")]
    TooLarge,
    /// The addressee's key is no ed25519 key.
    #[error("not a peer key")]
    BadKey,
    /// No address is known, or none of them answers.
    #[error("the peer cannot be reached")]
    Unreachable,
    /// No acknowledgement in time.
    #[error("no acknowledgement in time")]
    Timeout,
    /// The connection broke, or the peer dropped the message (it limits rates).
    #[error("the connection closed, or the peer dropped the message")]
    Closed,
    /// The peer does not speak this swarm's control protocol.
    #[error("the peer does not speak this protocol")]
    Unsupported,
    /// Too many messages wait already.
    #[error("too many messages are waiting")]
    Busy,
}

/// Why a blob could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BlobFailure {
    /// Too many fetches wait already.
    #[error("too many fetches are waiting")]
    Busy,
    /// No source was named (this peer itself is none).
    #[error("no source to ask")]
    NoSource,
    /// Every source failed; one entry each, in the order in which they were given up.
    #[error("every source failed: {}", list(.0))]
    Sources(Vec<(PeerKey, SourceError)>),
    /// The own disk failed, which no other source would mend.
    #[error(transparent)]
    Store(BlobError),
}

fn list(sources: &[(PeerKey, SourceError)]) -> String {
    let one = |(peer, error): &(PeerKey, SourceError)| {
        let name = blake3::Hash::from_bytes(*peer).to_hex();
        format!("{}…: {error}", &name[..8])
    };
    sources.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Why the network could not be started or used.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The key is unusable.
    #[error("peer key: {0}")]
    Key(String),
    /// An address is outside the swarm's scope, or of a form that is not spoken.
    #[error(
        "{0} is not an address of this swarm's scope (want /ip4/…/tcp/… or /ip4/…/udp/…/quic-v1)"
    )]
    OutOfScope(Multiaddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason} (is the port in use?)")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What the system said.
        reason: String,
    },
    /// Nobody answers there, or not as it should.
    #[error("{address}: {reason}")]
    Unreachable {
        /// The address.
        address: Multiaddr,
        /// What happened.
        reason: String,
    },
    /// The system gave no thread.
    #[error("cannot start the network's thread: {0}; close other programs")]
    Thread(String),
    /// A setting is impossible.
    #[error("network setting: {0}")]
    Config(String),
    /// The topic is too long or does not begin as the configuration demands.
    #[error("topic {0:?} is not allowed")]
    Topic(String),
    /// A gossip message is too long.
    #[error("gossip message of {0} bytes, {MAX_GOSSIP_BYTES} accepted")]
    GossipTooLarge(usize),
    /// The network has shut down.
    #[error("the network has shut down")]
    Closed,
}
