//! The driver: one loop that hands inputs to the core and performs its outputs, in order. It holds no policy.
//!
//! Invariants: a message that depends on a record leaves only when that record is durable; when the log fails, the
//! peer stops rather than sign what it could forget.

pub(crate) mod index;
mod inputs;
mod members;
mod pending;
mod topics;
mod words;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use starling_protocol::io::{Capacity, GossipId, KnownPeer, Record, Verdict};
use starling_protocol::{
    BlobId, Core, Event, Input, JobId, LeaseId, Output, Peer, PeerKey, Time, codec,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::blobs::BlobStore;
use crate::compute::{Compute, Finished, Usage, probe::Probe};
use crate::log::{LogError, LogWriter, Progress};
use crate::membership;
use crate::net::{GossipHandle, Multiaddr, NetEvent, NetHandle, Parcel};
use crate::reason::Reason;
use crate::store::Store;
pub(crate) use members::Members;
use pending::Pending;
pub(crate) use topics::Topics;
pub(crate) use words::Command;
pub use words::Happening;

/// How long a leaving peer waits for the disk.
const FLUSH: Duration = Duration::from_secs(2);
/// The index lags behind the log by about this much, or by so many records: it can be rebuilt, nobody waits for it.
const INDEX_WAIT: Duration = Duration::from_millis(250);
/// See [`INDEX_WAIT`].
const UNINDEXED_MAX: usize = 1024;
/// The shell looks at the wall clock at least this often.
const TICK: Duration = Duration::from_secs(5);

/// What the driver drives: the real peer, or something wrapped around it.
pub trait Driven: Core + Send + 'static {
    /// The real peer inside, for those who look at its tables.
    fn peer(&self) -> &Peer;
}

impl Driven for Peer {
    fn peer(&self) -> &Peer {
        self
    }
}

/// Everything that the loop drives.
pub(crate) struct Parts<C> {
    pub(crate) core: C,
    pub(crate) net: NetHandle,
    pub(crate) net_events: mpsc::Receiver<NetEvent>,
    pub(crate) log: LogWriter,
    pub(crate) store: std::sync::Arc<Store>,
    pub(crate) blobs: BlobStore,
    pub(crate) compute: Compute,
    pub(crate) finished: mpsc::Receiver<Finished>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) happenings: mpsc::Sender<Happening>,
    /// The gossip topics of this peer's shard.
    pub(crate) topics: Topics,
    /// Number of the newest record when the log was opened.
    pub(crate) logged: u64,
    /// Blobs that were fetched as inputs of others' jobs in a former life.
    pub(crate) inputs: Vec<BlobId>,
    pub(crate) home: PathBuf,
    /// Who may stay in a closed swarm.
    pub(crate) members: Members,
}

/// What waits for a record.
struct Held {
    seq: u64,
    what: Word,
}

/// Something said, to another peer or to people here.
enum Word {
    Message(PeerKey, Vec<u8>),
    /// Whoever hears it relies on it.
    Event(Event),
}

pub(crate) struct Driver<C> {
    parts: Parts<C>,
    started: Instant,
    pending: Pending,
    /// Without a bound, because the loop itself answers too; each answer was asked for by the core, which has bounds.
    answers: mpsc::UnboundedReceiver<Input>,
    progress: watch::Receiver<Progress>,
    held: VecDeque<Held>,
    /// Number of the newest record that the log was given.
    appended: u64,
    /// Messages of the input at hand.
    outgoing: Vec<Parcel>,
    /// Records that the index does not know yet: those on their way to the disk, and the latest there.
    unindexed: VecDeque<(u64, Vec<u8>)>,
    /// When the index learns of them.
    index_at: Option<Instant>,
    /// The gossip message that the core judges at the moment.
    judged: Option<GossipHandle>,
    next_token: u64,
}

impl<C: Driven> Driver<C> {
    pub(crate) fn new(mut parts: Parts<C>) -> Self {
        let (answer, answers) = mpsc::unbounded_channel();
        let inputs = std::mem::take(&mut parts.inputs);
        Self {
            pending: Pending::new(parts.net.clone(), parts.blobs.clone(), inputs, answer),
            answers,
            progress: parts.log.progress(),
            started: Instant::now(),
            held: VecDeque::new(),
            appended: 0,
            outgoing: Vec::new(),
            unindexed: VecDeque::new(),
            index_at: None,
            judged: None,
            next_token: 0,
            parts,
        }
    }

    fn now(&self) -> Time {
        Time(self.started.elapsed().as_micros() as u64)
    }

    /// Runs until somebody leaves or the log fails.
    pub(crate) async fn run(
        mut self,
        restored: Vec<Record>,
        capacity: Capacity,
        (lends, duty_pct): (bool, u8),
    ) {
        self.give(Input::Started {
            unix_s: unix_s(),
            restored,
        })
        .await;
        self.pending.release_former();
        self.give(Input::Capacity(capacity.lent(lends, duty_pct)))
            .await;
        loop {
            let deadline = self
                .parts
                .core
                .next_deadline()
                .map(|d| self.started + Duration::from_micros(d.at.0));
            let tick = Instant::now() + TICK;
            let wake = deadline.map_or(tick, |d| d.min(tick));
            let index_at = self.index_at.unwrap_or(tick);
            tokio::select! {
                () = tokio::time::sleep_until(wake.into()) => {
                    self.give(Input::Tick { unix_s: unix_s() }).await;
                    if self.parts.members.is_due() {
                        self.parts.members.expel(&self.parts.net).await;
                        if self.is_expelled().await {
                            break self.leave(None).await;
                        }
                    }
                }
                () = self.parts.members.news() => {
                    self.parts.members.tell(&self.parts.net).await;
                    if self.is_expelled().await {
                        break self.leave(None).await;
                    }
                }
                () = tokio::time::sleep_until(index_at.into()), if self.index_at.is_some() => self.index(),
                Some(event) = self.parts.net_events.recv() => self.on_net(event).await,
                Some(finished) = self.parts.finished.recv() => self.pending.on_finished(finished),
                Some(input) = self.answers.recv() => self.give(input).await,
                Ok(()) = self.progress.changed() => {
                    if let Err(error) = self.on_progress().await {
                        let reason = error.to_string();
                        tracing::error!(%reason, "the log has failed");
                        let why = Reason::from(error);
                        let _ = self.parts.happenings.send(Happening::Failed { reason, why }).await;
                        break self.close(None).await;
                    }
                }
                command = self.parts.commands.recv() => match command {
                    Some(Command::Leave(done)) => break self.leave(Some(done)).await,
                    Some(Command::Lend { lends, duty_pct }) => {
                        let lent = capacity.lent(lends, duty_pct);
                        self.give(Input::Capacity(lent)).await;
                    }
                    // The node's handle is gone.
                    None => break self.leave(None).await,
                    Some(command) => self.on_command(command).await,
                },
            }
        }
    }

    /// Whether this peer's own certificate has ended; says so.
    async fn is_expelled(&mut self) -> bool {
        let Some(why) = self.parts.members.ended(&self.parts.net) else {
            return false;
        };
        let reason = why.to_string();
        let failed = Happening::Failed { reason, why };
        // The receiver is the program's own front end, or gone.
        let _ = self.parts.happenings.send(failed).await;
        true
    }

    async fn give(&mut self, input: Input) {
        let now = self.now();
        let outputs: Vec<Output> = self.parts.core.handle(now, input).collect();
        for output in outputs {
            self.perform(output).await;
        }
        self.post().await;
    }

    async fn perform(&mut self, output: Output) {
        let net = &self.parts.net;
        // A closed network means that the peer is shutting down: nothing is left to tell anybody.
        let result = match output {
            Output::Publish { topic, data } => {
                net.publish(self.parts.topics.name(topic), data).await
            }
            Output::Verdict { id: _, verdict } => match (self.judged.take(), verdict) {
                (None, _) => Ok(()),
                (Some(handle), Verdict::Accept) => net.accept(handle).await,
                (Some(handle), Verdict::Ignore) => net.ignore(handle).await,
                (Some(handle), Verdict::Reject) => net.reject(handle).await,
            },
            Output::Send { to, bytes, after } => {
                let seq = after.map_or(0, |after| self.parts.logged + after.0);
                self.say(seq, Word::Message(to, bytes)).await;
                Ok(())
            }
            Output::Provide { board } => net.provide(board.0).await,
            Output::StopProviding { board } => net.stop_providing(board.0).await,
            Output::FindProviders { board } => net.find_providers(0, board.0).await,
            Output::Prepare {
                job,
                record,
                sources,
            } => {
                self.pending
                    .prepare(job, &record.manifest.body, &sources)
                    .await;
                Ok(())
            }
            Output::Compute {
                task,
                job,
                tiles,
                purpose,
            } => {
                match self.pending.spec(&job) {
                    Some(spec) => {
                        self.parts.compute.prepare(job, spec);
                        self.parts.compute.compute(task, job, tiles, purpose);
                    }
                    None => self.pending.not_prepared(task),
                }
                Ok(())
            }
            Output::Probe {
                task,
                kernel,
                seed,
                units,
                tiles,
                purpose,
            } => {
                let probe = Probe {
                    kernel,
                    seed,
                    units,
                };
                self.parts.compute.probe(task, probe, tiles, purpose);
                Ok(())
            }
            Output::Abort { task } => {
                self.parts.compute.abort(task);
                Ok(())
            }
            Output::Fetch {
                task,
                blob,
                len,
                tile_bytes,
                from,
            } => {
                self.pending.fetch(task, blob, len, tile_bytes, from).await;
                Ok(())
            }
            Output::Store {
                task,
                bytes,
                tile_bytes,
            } => {
                self.pending.store(task, bytes, tile_bytes);
                Ok(())
            }
            Output::Persist { seq: _, record } => {
                self.persist(&record).await;
                Ok(())
            }
            Output::Recall { job, lease, to } => {
                self.recall(&job, &lease, to);
                Ok(())
            }
            Output::Release { job } => {
                self.parts.compute.release(&job);
                self.pending.release(&job);
                Ok(())
            }
            Output::Discard { blob } => {
                self.pending.discard(blob);
                Ok(())
            }
            Output::Notify(event) => {
                // A person who was told a job's name finds the job again, whatever happens.
                let promise = matches!(event, Event::Submitted { .. });
                let seq = if promise { self.appended } else { 0 };
                self.say(seq, Word::Event(event)).await;
                Ok(())
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "the network did not take an output");
        }
    }

    /// Looks a receipt up for the core. The index may not know it yet: whoever wants it asks again.
    fn recall(&self, job: &JobId, lease: &LeaseId, to: PeerKey) {
        let found = index::kept(&self.parts.store, job, lease);
        if let Some(receipt) = found {
            self.pending.answer(Input::Recalled { to, receipt });
        }
    }

    fn send(&mut self, to: PeerKey, bytes: Vec<u8>) {
        self.next_token += 1;
        self.outgoing.push(Parcel {
            to: *to.as_bytes(),
            token: self.next_token,
            bytes,
        });
    }

    /// Says it, once the log is durable up to `seq`.
    async fn say(&mut self, seq: u64, what: Word) {
        if seq > self.progress.borrow().durable {
            self.held.push_back(Held { seq, what });
            return;
        }
        match what {
            Word::Message(to, bytes) => self.send(to, bytes),
            // The receiver is the program's own front end, or gone.
            Word::Event(event) => drop(self.parts.happenings.send(Happening::Core(event)).await),
        }
    }

    /// Hands over what one input, or one look at the log, has to say: the network puts together what goes to one peer.
    async fn post(&mut self) {
        if self.outgoing.is_empty() {
            return;
        }
        let parcels = std::mem::take(&mut self.outgoing);
        if let Err(error) = self.parts.net.send_all(parcels).await {
            tracing::debug!(%error, "the network did not take messages");
        }
    }

    async fn persist(&mut self, record: &Record) {
        let bytes = codec::encode(record);
        match self.parts.log.append(bytes.clone()).await {
            Ok(seq) => {
                self.appended = seq;
                self.unindexed.push_back((seq, bytes));
            }
            // What waits for this record never leaves; the log's progress ends the loop.
            Err(error) => tracing::error!(%error, "a record was not logged"),
        }
    }

    async fn on_progress(&mut self) -> Result<(), LogError> {
        let progress = self.progress.borrow_and_update().clone();
        if self.unindexed.len() >= UNINDEXED_MAX {
            self.index();
        } else if !self.unindexed.is_empty() {
            self.index_at.get_or_insert(Instant::now() + INDEX_WAIT);
        }
        while let Some(held) = self.held.pop_front_if(|h| h.seq <= progress.durable) {
            self.say(held.seq, held.what).await;
        }
        self.post().await;
        match progress.failed {
            Some(error) => Err(LogError::Stopped(error)),
            None => Ok(()),
        }
    }

    /// Folds the durable records into the index, all at once: a batch costs it about as much as a record.
    fn index(&mut self) {
        self.index_at = None;
        let durable = self.progress.borrow().durable;
        let mut batch = crate::store::Batch::default();
        let mut newest = None;
        while let Some((seq, bytes)) = self.unindexed.pop_front_if(|(seq, _)| *seq <= durable) {
            index::index(seq, &bytes, &mut batch);
            newest = Some(seq);
        }
        let applied = newest.map(|seq| self.parts.store.apply(seq, batch));
        if let Some(Err(error)) = applied {
            // The log has them; the index is rebuilt at the next start.
            tracing::warn!(%error, "the index did not take records");
        }
    }

    async fn on_net(&mut self, event: NetEvent) {
        match event {
            NetEvent::Gossip {
                topic,
                data,
                handle,
            } if topic == membership::TOPIC => {
                self.parts
                    .members
                    .hear(&self.parts.net, &data, handle)
                    .await;
            }
            NetEvent::Gossip {
                topic,
                data,
                handle,
            } => {
                self.judged = Some(handle);
                self.give(Input::Gossip {
                    id: GossipId(0),
                    topic: self.parts.topics.of(&topic),
                    data,
                })
                .await;
            }
            NetEvent::Message { from, bytes } => {
                self.give(Input::Message {
                    from: from.into(),
                    bytes,
                })
                .await
            }
            NetEvent::SendFailed { to, reason, .. } => {
                tracing::debug!(%reason, "a message was not delivered");
                self.give(Input::Undelivered { to: to.into() }).await;
            }
            NetEvent::PeerConnected { peer } => {
                self.give(Input::PeerConnected { peer: peer.into() }).await
            }
            NetEvent::PeerLost { peer } => self.give(Input::PeerLost { peer: peer.into() }).await,
            NetEvent::Providers { key, peers, .. } => {
                let peers = peers.into_iter().map(PeerKey::from).collect();
                self.give(Input::Providers {
                    board: starling_protocol::Hash(key),
                    peers,
                })
                .await;
            }
            NetEvent::BlobDone { request_id, .. } => self.pending.on_blob(request_id, true),
            NetEvent::BlobFailed {
                request_id, reason, ..
            } => {
                tracing::debug!(%reason, "a blob could not be had");
                self.pending.on_blob(request_id, false);
            }
            NetEvent::Listening(address) => {
                let address = with_peer_id(address, self.parts.net.local());
                let _ = self
                    .parts
                    .happenings
                    .send(Happening::Listening { address })
                    .await;
            }
            NetEvent::DialFailed { address, reason } => {
                let address = address.to_string();
                let _ = self
                    .parts
                    .happenings
                    .send(Happening::DialFailed { address, reason })
                    .await;
            }
            NetEvent::WrongSwarm { peer } => {
                tracing::info!(peer = %PeerKey::from(peer), "peer of another swarm")
            }
            NetEvent::Sent { .. } | NetEvent::Closest { .. } | NetEvent::Provided { .. } => {}
        }
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Submit(submission) => self.give(Input::Submit(submission)).await,
            Command::Cancel(job) => self.give(Input::Cancel { job }).await,
            Command::Collect(job) => self.give(Input::Collect { job }).await,
            Command::Peers(answer) => {
                let known = self.parts.core.peer().known_peers();
                let _ = answer.send(known.map(|p| (p.advert.clone(), p.age_ms)).collect());
            }
            Command::Reputations(answer) => {
                let peer = self.parts.core.peer();
                let of = |p: KnownPeer<'_>| peer.reputation(&p.advert.peer);
                let _ = answer.send(peer.known_peers().filter_map(of).collect());
            }
            Command::Proofs(answer) => {
                let peer = self.parts.core.peer();
                let of = |p: KnownPeer<'_>| (p.advert.peer, peer.proofs(p.advert));
                let proofs = peer.known_peers().map(of);
                let _ = answer.send(proofs.filter(|(_, of)| !of.is_empty()).collect());
            }
            Command::Record(job, answer) => {
                // Whoever asks looks into the index next.
                self.index();
                let record = self.parts.core.peer().record(&job).map(|r| (**r).clone());
                let _ = answer.send(record);
            }
            Command::Network(answer) => {
                // An error means that it is shutting down, and nobody is answered.
                let _ = self.parts.net.status_to(answer).await;
            }
            Command::Usage(answer) => {
                let _ = answer.send(self.parts.compute.usage());
            }
            // The loop itself does these.
            Command::Lend { .. } | Command::Leave(_) => {}
        }
    }

    /// Goodbye to everybody, with all that was signed on disk.
    async fn leave(mut self, done: Option<oneshot::Sender<Usage>>) {
        self.give(Input::Leave).await;
        // What waits for the disk is somebody's receipt.
        let until = tokio::time::Instant::now() + FLUSH;
        while !self.held.is_empty()
            && tokio::time::timeout_at(until, self.progress.changed())
                .await
                .is_ok()
        {
            if self.on_progress().await.is_err() {
                break;
            }
        }
        self.close(done).await;
    }

    async fn close(mut self, done: Option<oneshot::Sender<Usage>>) {
        self.index();
        let Parts {
            net,
            log,
            store,
            compute,
            home,
            ..
        } = self.parts;
        net.shutdown().await;
        let usage = compute.usage();
        drop(compute);
        let closed = tokio::task::spawn_blocking(move || {
            let flushed = store.flush().map_err(|e| e.to_string());
            log.close().map_err(|e| e.to_string()).and(flushed)
        });
        if let Ok(Err(error)) = closed.await {
            tracing::error!(%error, home = %home.display(), "the store did not close cleanly");
        }
        if let Some(done) = done {
            let _ = done.send(usage);
        }
    }
}

fn with_peer_id(address: Multiaddr, key: [u8; 32]) -> String {
    match crate::net::peer_id(&key) {
        Some(id) => format!("{address}/p2p/{id}"),
        None => address.to_string(),
    }
}

pub(crate) fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
}
