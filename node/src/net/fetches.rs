//! Blobs on their way in: so many fetched at once, so many waiting, each one answered exactly once.
//!
//! A fetch asks its sources in order. One that cannot be reached is looked up in Kademlia first, which the swarm's task
//! does on request. Bytes are verified in `blobs::fetch`; nothing here sees them.

use std::sync::Arc;

use libp2p::PeerId;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::{BlobFailure, NetEvent, NetLimits, PeerKey, Protocols, peer_id};
use crate::blobs::{
    BlobHash, BlobStore,
    fetch::{FetchLimits, SourceError, fetch_from},
    store::Incoming,
};

/// Sources asked for one blob.
const MAX_SOURCES: usize = 16;

/// A source that could not be reached, and whom to tell when it has been looked up.
pub(super) type AddressWanted = (PeerId, oneshot::Sender<()>);

/// A blob that the core wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) request_id: u64,
    pub(super) hash: BlobHash,
    pub(super) max_len: u64,
}

impl Wish {
    fn outcome(self, result: Result<u64, BlobFailure>) -> NetEvent {
        let Wish {
            request_id, hash, ..
        } = self;
        match result {
            Ok(len) => NetEvent::BlobDone {
                request_id,
                hash,
                len,
            },
            Err(reason) => NetEvent::BlobFailed {
                request_id,
                hash,
                reason,
            },
        }
    }
}

/// All fetches of this peer.
pub(super) struct Fetches {
    template: Fetch,
    slots: Arc<Semaphore>,
    max: usize,
    tasks: JoinSet<NetEvent>,
}

impl Fetches {
    /// Also returns where fetches ask for addresses: at most one request per slot waits there.
    pub(super) fn new(
        control: libp2p_stream::Control,
        protocols: &Protocols,
        store: BlobStore,
        limits: NetLimits,
    ) -> (Self, mpsc::Receiver<AddressWanted>) {
        let (wanted, asked) = mpsc::channel(limits.fetches.max(1));
        let fetches = Fetches {
            template: Fetch {
                store,
                control,
                wanted,
                protocol: protocols.blob.clone(),
                limits: limits.fetch,
            },
            slots: Arc::new(Semaphore::new(limits.fetches.max(1))),
            max: limits.fetches + limits.waiting_fetches,
            tasks: JoinSet::new(),
        };
        (fetches, asked)
    }

    /// Begins a fetch, or says why not.
    pub(super) fn begin(
        &mut self,
        wish: Wish,
        from: &[PeerKey],
        local: PeerId,
    ) -> Option<NetEvent> {
        if self.tasks.len() >= self.max {
            return Some(wish.outcome(Err(BlobFailure::Busy)));
        }
        let sources: Vec<_> = from
            .iter()
            .filter_map(|key| Some((*key, peer_id(key)?)))
            .filter(|(_, peer)| *peer != local)
            .take(MAX_SOURCES)
            .collect();
        let fetch = self.template.clone();
        let slots = Arc::clone(&self.slots);
        self.tasks.spawn(async move {
            // Fails only once the semaphore is closed, which it never is.
            let _slot = slots.acquire_owned().await;
            wish.outcome(fetch.run(wish, sources).await)
        });
        None
    }

    /// The next outcome; `None` while nothing is fetched.
    pub(super) async fn next(&mut self) -> Option<NetEvent> {
        loop {
            match self.tasks.join_next().await? {
                Ok(outcome) => return Some(outcome),
                Err(error) => tracing::error!(%error, "fetch"),
            }
        }
    }

    /// Drops every fetch.
    pub(super) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }
}

/// What every fetch needs.
#[derive(Clone)]
struct Fetch {
    store: BlobStore,
    control: libp2p_stream::Control,
    wanted: mpsc::Sender<AddressWanted>,
    protocol: libp2p::StreamProtocol,
    limits: FetchLimits,
}

impl Fetch {
    async fn run(
        mut self,
        wish: Wish,
        sources: Vec<(PeerKey, PeerId)>,
    ) -> Result<u64, BlobFailure> {
        if let Some(len) = self.store.len(&wish.hash) {
            return Ok(len);
        }
        if sources.is_empty() {
            return Err(BlobFailure::NoSource);
        }
        let mut failures = Vec::new();
        // What one source sent is not asked of the next.
        let mut partial = None;
        for (key, peer) in sources {
            let mut answer = self.ask(peer, wish, &mut partial).await;
            if matches!(answer, Err(SourceError::Unreachable(_))) {
                self.look_up(peer).await;
                answer = self.ask(peer, wish, &mut partial).await;
            }
            match answer {
                Ok(len) => return Ok(len),
                Err(error) => {
                    tracing::debug!(%peer, %error, "blob source failed");
                    failures.push((key, error));
                }
            }
        }
        Err(BlobFailure::Sources(failures))
    }

    /// Waits until the addresses of a source have been looked up, found or not.
    async fn look_up(&self, peer: PeerId) {
        let (found, looked_up) = oneshot::channel();
        if self.wanted.send((peer, found)).await.is_ok() {
            // An error means that no lookup was possible.
            let _ = looked_up.await;
        }
    }

    /// Asks one source, again while it is busy or the stream was cut but brought something.
    async fn ask(
        &mut self,
        peer: PeerId,
        wish: Wish,
        partial: &mut Option<Incoming>,
    ) -> Result<u64, SourceError> {
        let mut backoff = self.limits.backoff;
        for _ in 1..self.limits.tries {
            let before = partial.as_ref().map_or(0, |p| p.done);
            match self.ask_once(peer, wish, partial).await {
                Err(SourceError::Busy | SourceError::Length) => {}
                Err(SourceError::Stream(_))
                    if partial.as_ref().is_some_and(|p| p.done > before) => {}
                other => return other,
            }
            tokio::time::sleep(backoff).await;
            backoff *= 2;
        }
        self.ask_once(peer, wish, partial).await
    }

    async fn ask_once(
        &mut self,
        peer: PeerId,
        wish: Wish,
        partial: &mut Option<Incoming>,
    ) -> Result<u64, SourceError> {
        let open = self.control.open_stream(peer, self.protocol.clone());
        let mut stream = match timeout(self.limits.idle, open).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(SourceError::Unreachable(error.to_string())),
            Err(_) => return Err(SourceError::Timeout),
        };
        let Wish { hash, max_len, .. } = wish;
        let limits = self.limits;
        fetch_from(&mut stream, &self.store, hash, max_len, limits, partial).await
    }
}
