//! Blobs on their way in: so many fetched at once, so many waiting, each one answered exactly once.
//!
//! A fetch asks its first source for everything, and the others, in order and a few at once, for parts of it: see
//! `blobs::plan`. A source that lies, stalls or breaks is given up for this blob, and only its piece goes to others. One
//! that cannot be reached is looked up in Kademlia first, which the swarm's task does on request. Bytes are verified in
//! `blobs::fetch`; nothing here sees them.
//!
//! Where nobody else is left to ask, a long blob gets further streams to the same sources: the window of one does not
//! fill a fast link.
//!
//! Invariant: every fetch holds a slot, and so does every further stream, so that a peer never has more streams from us
//! than there are slots, which is what it admits.

use std::{collections::VecDeque, sync::Arc};

use libp2p::PeerId;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{BlobFailure, NetEvent, NetLimits, PeerKey, Protocols, peer_id};
use crate::blobs::{
    BlobError, BlobHash, BlobStore,
    download::Download,
    fetch::{self, FetchLimits, SourceError},
    line::Line,
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
        line: Line,
    ) -> (Self, mpsc::Receiver<AddressWanted>) {
        let (wanted, asked) = mpsc::channel(limits.fetches.max(1));
        let slots = Arc::new(Semaphore::new(limits.fetches.max(1)));
        let fetches = Fetches {
            template: Fetch {
                store,
                control,
                wanted,
                protocol: protocols.blob.clone(),
                limits: limits.fetch,
                line,
                slots: slots.clone(),
                plenty: limits.fetches / 2,
            },
            slots,
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
    line: Line,
    slots: Arc<Semaphore>,
    /// While more slots than these are free, a fetch may take another one.
    plenty: usize,
}

impl Fetch {
    async fn run(self, wish: Wish, sources: Vec<(PeerKey, PeerId)>) -> Result<u64, BlobFailure> {
        if let Some(len) = self.store.len(&wish.hash) {
            return Ok(len);
        }
        if sources.is_empty() {
            return Err(BlobFailure::NoSource);
        }
        let download = Download::new(self.store.clone(), wish.hash, wish.max_len);
        let mut changes = download.changes();
        let mut waiting = sources.into_iter();
        let mut asked = JoinSet::new();
        let mut failures = Vec::new();
        // Sources beside those that the blob has work for, because these let us wait.
        let mut spare = 0;
        // Those that were asked and did not fail, in the order in which they get further streams.
        let mut live = VecDeque::new();
        loop {
            changes.mark_unchanged();
            let most = self.limits.sources.min(download.shares() + spare);
            while asked.len() < most.max(1)
                && let Some((key, peer)) = waiting.next()
            {
                live.push_back(peer);
                let (fetch, download) = (self.clone(), download.clone());
                asked.spawn(async move { (Some(key), peer, fetch.draw(peer, download).await) });
            }
            while asked.len() < most
                && let Some(slot) = self.another_slot()
                && let Some(peer) = live.pop_front()
            {
                live.push_back(peer);
                let (fetch, download) = (self.clone(), download.clone());
                asked.spawn(async move {
                    let _slot = slot;
                    (None, peer, fetch.draw(peer, download).await)
                });
            }
            if asked.is_empty() {
                return Err(BlobFailure::Sources(failures));
            }
            tokio::select! {
                Some(ended) = asked.join_next() => match ended {
                    Ok((_, _, Ok(()))) => {
                        return download.commit().await.map_err(BlobFailure::Store);
                    }
                    Ok((_, _, Err(SourceError::Store(error @ BlobError::Io { .. })))) => {
                        return Err(BlobFailure::Store(error));
                    }
                    Ok((first, peer, Err(error))) => {
                        tracing::debug!(%peer, %error, further = first.is_none(), "blob source failed");
                        live.retain(|other| *other != peer);
                        // What is wrong with a source, its first stream tells.
                        failures.extend(first.map(|key| (key, error)));
                    }
                    Err(error) => tracing::error!(%error, "blob source"),
                },
                _ = changes.changed() => {}
                () = sleep(self.limits.patience), if waiting.len() > 0 => spare += 1,
            }
        }
    }

    /// A slot for a further stream, while other fetches do not need it.
    fn another_slot(&self) -> Option<OwnedSemaphorePermit> {
        let free = self.slots.available_permits();
        (free > self.plenty).then(|| self.slots.clone().try_acquire_owned().ok())?
    }

    /// Waits until the addresses of a source have been looked up, found or not.
    async fn look_up(&self, peer: PeerId) {
        let (found, looked_up) = oneshot::channel();
        if self.wanted.send((peer, found)).await.is_ok() {
            // An error means that no lookup was possible.
            let _ = looked_up.await;
        }
    }

    /// Asks one source for piece after piece until nothing is missing, which is its only way to succeed; again while
    /// it is busy, or the stream was cut but brought something.
    async fn draw(mut self, peer: PeerId, download: Download) -> Result<(), SourceError> {
        let mut changes = download.changes();
        let (mut tries, mut backoff) = (self.limits.tries, self.limits.backoff);
        let (mut looked_up, mut settled) = (false, false);
        while let Some(double) = download.work(&mut changes, self.limits.patience).await {
            let (bytes, mut outcome) = self.ask(peer, &download, double).await;
            match outcome {
                Err(SourceError::Unreachable(_)) if !looked_up => {
                    looked_up = true;
                    self.look_up(peer).await;
                    continue;
                }
                Err(SourceError::Length) if !settled && !download.proven() => {
                    outcome = self.settle(peer, &download).await;
                    settled = outcome.is_ok();
                }
                _ => {}
            }
            match outcome {
                Ok(()) => (tries, backoff) = (self.limits.tries, self.limits.backoff),
                Err(SourceError::Busy) if tries > 1 => tries -= 1,
                Err(SourceError::Stream(_)) if tries > 1 && bytes > 0 => tries -= 1,
                Err(error) => return Err(error),
            }
            if tries < self.limits.tries {
                sleep(backoff).await;
                backoff *= 2;
            }
        }
        Ok(())
    }

    /// Asks one source for one piece.
    async fn ask(
        &mut self,
        peer: PeerId,
        download: &Download,
        double: bool,
    ) -> (u64, Result<(), SourceError>) {
        let place = self.line.enter().await;
        let mut stream = match self.open(peer).await {
            Ok(stream) => stream,
            Err(error) => return (0, Err(error)),
        };
        match download.claim(double) {
            Some(claim) => fetch::ask(&mut stream, claim, self.limits, &place).await,
            None => (0, Ok(())),
        }
    }

    /// Of a source that announced another length than the one before, wants the last group: it alone shows who is
    /// right. On success what came under the other length is gone.
    async fn settle(&mut self, peer: PeerId, download: &Download) -> Result<(), SourceError> {
        let len = {
            let mut stream = self.open(peer).await?;
            fetch::length(&mut stream, download.hash(), self.limits).await?
        };
        let proof = download.claim_proof(len)?;
        let place = self.line.enter().await;
        let mut stream = self.open(peer).await?;
        fetch::ask(&mut stream, proof, self.limits, &place)
            .await
            .1?;
        download.replace(len).await
    }

    async fn open(&mut self, peer: PeerId) -> Result<libp2p::Stream, SourceError> {
        let open = self.control.open_stream(peer, self.protocol.clone());
        match timeout(self.limits.idle, open).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(SourceError::Unreachable(error.to_string())),
            Err(_) => Err(SourceError::Timeout),
        }
    }
}
