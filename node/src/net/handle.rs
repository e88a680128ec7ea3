//! The core's side of the network: each method puts one command into a bounded channel.
//!
//! A full channel makes the caller wait. That cannot lock up with a caller that does not drain its events meanwhile:
//! the network goes on taking commands while events wait.

use libp2p::{Multiaddr, gossipsub::MessageAcceptance};
use tokio::sync::{mpsc, oneshot};

use super::{GossipHandle, MAX_GOSSIP_BYTES, NetError, NetStatus, PeerKey, behaviour::TopicFilter};
use crate::blobs::BlobHash;

/// Handle of a running network; clones share it. The network ends with the last handle.
#[derive(Clone, Debug)]
pub struct NetHandle {
    pub(crate) local: PeerKey,
    pub(crate) topics: TopicFilter,
    pub(crate) commands: mpsc::Sender<Command>,
}

/// A control message on its way to the network.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Addressee.
    pub to: PeerKey,
    /// Names the outcome.
    pub token: u64,
    /// The message.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) enum Command {
    Publish {
        topic: String,
        data: Vec<u8>,
    },
    Subscribe(String),
    Unsubscribe(String),
    Verdict {
        handle: GossipHandle,
        acceptance: MessageAcceptance,
    },
    Send(Vec<Parcel>),
    Provide([u8; 32]),
    StopProviding([u8; 32]),
    FindProviders {
        query_id: u64,
        key: [u8; 32],
    },
    FindClosest {
        query_id: u64,
        key: [u8; 32],
    },
    FetchBlob {
        request_id: u64,
        hash: BlobHash,
        max_len: u64,
        from: Vec<PeerKey>,
    },
    Dial(Multiaddr),
    Disconnect {
        peer: PeerKey,
        ban: bool,
    },
    Holds {
        key: [u8; 32],
        answer: oneshot::Sender<usize>,
    },
    Connected(oneshot::Sender<Vec<PeerKey>>),
    Listeners(oneshot::Sender<Vec<Multiaddr>>),
    Status(oneshot::Sender<NetStatus>),
    Shutdown(oneshot::Sender<()>),
}

impl NetHandle {
    /// This peer's own name.
    pub fn local(&self) -> PeerKey {
        self.local
    }

    /// Gossips `data` (at most 16 KiB). Best effort: it waits up to 10 s for a first peer that takes the topic.
    pub async fn publish(&self, topic: impl Into<String>, data: Vec<u8>) -> Result<(), NetError> {
        let topic = self.allowed(topic.into())?;
        if data.len() > MAX_GOSSIP_BYTES {
            return Err(NetError::GossipTooLarge(data.len()));
        }
        self.command(Command::Publish { topic, data }).await
    }

    /// Takes part in a topic: its messages arrive as [`NetEvent::Gossip`](super::NetEvent::Gossip).
    pub async fn subscribe(&self, topic: impl Into<String>) -> Result<(), NetError> {
        let topic = self.allowed(topic.into())?;
        self.command(Command::Subscribe(topic)).await
    }

    /// Leaves a topic.
    pub async fn unsubscribe(&self, topic: impl Into<String>) -> Result<(), NetError> {
        self.command(Command::Unsubscribe(topic.into())).await
    }

    /// The message is valid: forward it.
    pub async fn accept(&self, handle: GossipHandle) -> Result<(), NetError> {
        self.verdict(handle, MessageAcceptance::Accept).await
    }

    /// The message is useless but nobody's fault: do not forward it.
    pub async fn ignore(&self, handle: GossipHandle) -> Result<(), NetError> {
        self.verdict(handle, MessageAcceptance::Ignore).await
    }

    /// The message is invalid: do not forward it, and hold it against the forwarder, who should have checked it.
    pub async fn reject(&self, handle: GossipHandle) -> Result<(), NetError> {
        self.verdict(handle, MessageAcceptance::Reject).await
    }

    /// Sends a control message (at most 64 KiB). Answered by one `Sent` or `SendFailed` with this token; messages may
    /// overtake each other.
    pub async fn send(&self, to: PeerKey, token: u64, bytes: Vec<u8>) -> Result<(), NetError> {
        self.send_all(vec![Parcel { to, token, bytes }]).await
    }

    /// As [`send`](Self::send), for several: those to the same peer go together.
    pub async fn send_all(&self, parcels: Vec<Parcel>) -> Result<(), NetError> {
        self.command(Command::Send(parcels)).await
    }

    /// Announces this peer as a provider of `key`, and again every 10 minutes until [`stop_providing`](Self::stop_providing).
    /// The first time is answered by one `Provided`.
    pub async fn provide(&self, key: [u8; 32]) -> Result<(), NetError> {
        self.command(Command::Provide(key)).await
    }

    /// Stops announcing; others forget it within 40 minutes.
    pub async fn stop_providing(&self, key: [u8; 32]) -> Result<(), NetError> {
        self.command(Command::StopProviding(key)).await
    }

    /// How many other peers' announcements for `key` lie here: what shows that one has arrived.
    pub async fn holds(&self, key: [u8; 32]) -> Result<usize, NetError> {
        self.ask(|answer| Command::Holds { key, answer }).await
    }

    /// Looks for providers; answered by `Providers` events, the last one `done`.
    pub async fn find_providers(&self, query_id: u64, key: [u8; 32]) -> Result<(), NetError> {
        self.command(Command::FindProviders { query_id, key }).await
    }

    /// Looks for the peers closest to `key`; answered by one `Closest` event.
    pub async fn find_closest(&self, query_id: u64, key: [u8; 32]) -> Result<(), NetError> {
        self.command(Command::FindClosest { query_id, key }).await
    }

    /// Brings a blob of at most `max_len` bytes into the store, asking `from` one after another (at most 16 of them).
    /// Answered by one `BlobDone` or `BlobFailed`.
    pub async fn fetch_blob(
        &self,
        request_id: u64,
        hash: BlobHash,
        max_len: u64,
        from: Vec<PeerKey>,
    ) -> Result<(), NetError> {
        let command = Command::FetchBlob {
            request_id,
            hash,
            max_len,
            from,
        };
        self.command(command).await
    }

    /// Connects to an address; a failure is reported as `DialFailed`.
    pub async fn dial(&self, address: Multiaddr) -> Result<(), NetError> {
        self.command(Command::Dial(address)).await
    }

    /// Closes all connections with a peer; with `ban` it cannot come back for a while, each time longer.
    pub async fn disconnect(&self, peer: PeerKey, ban: bool) -> Result<(), NetError> {
        self.command(Command::Disconnect { peer, ban }).await
    }

    /// Connected peers of this swarm, sorted.
    pub async fn connected(&self) -> Result<Vec<PeerKey>, NetError> {
        self.ask(Command::Connected).await
    }

    /// Addresses that this peer listens on.
    pub async fn listeners(&self) -> Result<Vec<Multiaddr>, NetError> {
        self.ask(Command::Listeners).await
    }

    /// How this peer stands in its network.
    pub async fn status(&self) -> Result<NetStatus, NetError> {
        self.ask(Command::Status).await
    }

    /// As [`status`](Self::status), told to somebody else.
    pub async fn status_to(&self, answer: oneshot::Sender<NetStatus>) -> Result<(), NetError> {
        self.command(Command::Status(answer)).await
    }

    /// Sends what was handed in, closes every connection, and returns when nothing of the network runs any more.
    pub async fn shutdown(&self) {
        // An error means that it has shut down already.
        let _ = self.ask(Command::Shutdown).await;
    }

    fn allowed(&self, topic: String) -> Result<String, NetError> {
        if self.topics.allows(&topic) {
            Ok(topic)
        } else {
            Err(NetError::Topic(topic))
        }
    }

    async fn verdict(
        &self,
        handle: GossipHandle,
        acceptance: MessageAcceptance,
    ) -> Result<(), NetError> {
        self.command(Command::Verdict { handle, acceptance }).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, NetError> {
        let (answer, answered) = oneshot::channel();
        self.command(command(answer)).await?;
        answered.await.map_err(|_| NetError::Closed)
    }

    async fn command(&self, command: Command) -> Result<(), NetError> {
        self.commands
            .send(command)
            .await
            .map_err(|_| NetError::Closed)
    }
}
