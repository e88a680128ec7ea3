//! One simulated peer: a core, and a modelled shell that performs what the core asks.
//!
//! The shell does what the real one does, in virtual time: sends that name a record wait until it is durable, a
//! device computes audits before work, blobs take their time. It decides nothing. All that can happen to a peer is
//! a [`What`]; peers reach each other only through events.

mod computing;

use crate::device::Devices;
use crate::event::{Event, Fetch, What};
use crate::net::{Packet, PacketKind};
use crate::shared::Shared;
use computing::{Of, Task, made_up};
use core::time::Duration;
use starling_adversaries::Backend;
use starling_protocol::io::{
    Capacity, GossipId, Input, Output, PersistSeq, Record, Shape, Topic, Verdict,
};
use starling_protocol::manifest::JobRecord;
use starling_protocol::{BlobId, Core, Hash, JobId, LeaseId, PeerKey, Reason, Receipt, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The wall clock at virtual time zero, Unix seconds.
pub const EPOCH_S: u64 = 1_800_000_000;

/// How long it takes to notice that a peer cannot be reached.
pub(crate) const UNREACHABLE: Duration = Duration::from_secs(10);

/// Tasks that a core may have under way: 1,024 audits and as many other things.
const TASKS_MAX: usize = 2_048;
/// Jobs that it may have prepared: as many as its book holds.
const PREPARED_MAX: usize = 256;
/// Messages that may wait for its log.
const HELD_MAX: usize = 4_096;
/// A job is let go so long after its deadline, s: the skew of clocks, and a sweep.
const DEADLINE_SLACK_S: u64 = 120 + 60;

/// What outlives a peer's crash.
#[derive(Default)]
pub struct Disk {
    /// Records in the order in which they were logged. Those that were not yet durable are gone.
    log: Vec<(PersistSeq, Record)>,
    /// Outputs that it stores, as tile hashes.
    blobs: BTreeMap<BlobId, Vec<Hash>>,
    /// Receipts of slices that it keeps for others.
    kept: BTreeMap<LeaseId, Receipt>,
}

/// What a host is made of, each time that it starts.
pub struct Parts {
    /// What it finds on its disk.
    pub disk: Disk,
    /// Whether it will ever need its log again.
    pub keeps_log: bool,
    /// The protocol's machines, or something wrapped around them.
    pub core: Box<dyn Core>,
    /// What its device says.
    pub backend: Box<dyn Backend>,
    /// What it offers.
    pub capacity: Capacity,
    /// Speed of its device, work units per second.
    pub units_per_s: u64,
    /// Speed of its CPU reference, work units per second.
    pub reference_units_per_s: u64,
    /// How long a kernel takes to get ready.
    pub prepare: Duration,
    /// The topic of its shard.
    pub topic: u16,
}

/// A peer that is up.
pub struct Host {
    index: u32,
    life: u16,
    core: Box<dyn Core>,
    backend: Box<dyn Backend>,
    capacity: Option<Capacity>,
    devices: Devices<Task>,
    prepare: Duration,
    topic: u16,
    prepared: BTreeMap<JobId, Arc<JobRecord>>,
    disk: Disk,
    keeps_log: bool,
    durable: PersistSeq,
    held: Vec<(PersistSeq, PeerKey, Vec<u8>)>,
    provides: BTreeSet<Hash>,
    wake: Option<Time>,
}

impl Host {
    /// A peer that has not started yet.
    #[must_use]
    pub fn new(index: u32, life: u16, parts: Parts) -> Self {
        Self {
            index,
            life,
            core: parts.core,
            backend: parts.backend,
            capacity: Some(parts.capacity),
            devices: Devices::new(parts.units_per_s, parts.reference_units_per_s),
            prepare: parts.prepare,
            topic: parts.topic,
            prepared: BTreeMap::new(),
            disk: parts.disk,
            keeps_log: parts.keeps_log,
            durable: PersistSeq::default(),
            held: Vec::new(),
            provides: BTreeSet::new(),
            wake: None,
        }
    }

    /// Which of the peer's lives this is.
    #[must_use]
    pub fn life(&self) -> u16 {
        self.life
    }

    /// Whether it has a job prepared whose deadline has long passed.
    #[must_use]
    pub fn keeps_the_past(&self, unix_s: u64) -> bool {
        let mut deadlines = self.prepared.values().map(|r| r.manifest.body.deadline_s);
        deadlines.any(|d| d.saturating_add(DEADLINE_SLACK_S) < unix_s)
    }

    /// The peer is killed: what its disk then holds.
    #[must_use]
    pub fn kill(mut self) -> Disk {
        let durable = self.durable;
        self.disk.log.retain(|(seq, _)| *seq <= durable);
        self.disk
    }

    /// Reads what the next event will need of the host itself, and of its core: see [`crate::warm`].
    pub(crate) fn warm(&self) -> usize {
        let full = self.devices.under_way() ^ self.prepared.len() ^ self.held.len();
        full ^ usize::from(self.life) ^ usize::from(self.wake.is_some())
    }

    /// See [`Self::warm`].
    pub(crate) fn warm_core(&self) -> usize {
        self.core.next_deadline().map_or(0, |due| due.at.0 as usize)
    }

    /// Takes one event.
    pub fn on(&mut self, around: &mut Shared, what: What) {
        let now = around.engine.now();
        let unix_s = around.network.unix_s(self.index, now, EPOCH_S);
        match what {
            What::Start => self.start(around, unix_s),
            // The world sees to that.
            What::Kill => {}
            What::Undelivered(to) => {
                let to = around.names[to as usize];
                around.unreachable(self.index, to);
                self.tell(around, Input::Undelivered { to });
            }
            What::Lost(peer) => {
                let peer = around.names[peer as usize];
                around.unreachable(self.index, peer);
                self.tell(around, Input::PeerLost { peer });
            }
            What::Submit(job) => {
                let submission = job.submission();
                self.tell(around, Input::Submit(Box::new(submission)));
            }
            What::Connected(peer) => {
                let peer = around.names[peer as usize];
                self.tell(around, Input::PeerConnected { peer });
            }
            What::Message(from, bytes) => {
                let from = around.names[from as usize];
                let bytes = bytes.into_vec();
                let key = around.names[self.index as usize];
                around.observer.arrived(now, key, from, &bytes);
                self.tell(around, Input::Message { from, bytes });
            }
            What::Gossip(flood) => {
                if let Some(data) = around.gossip.arrives(flood, self.index) {
                    let id = GossipId(u64::from(flood));
                    // The model has one mesh for each shard: what is gossiped ends with its topic.
                    let topic = match data.last() {
                        Some(1) => Topic::Faults,
                        Some(_) | None => Topic::Capacity,
                    };
                    let data = data[..data.len().saturating_sub(1)].to_vec();
                    if topic == Topic::Capacity {
                        let key = around.names[self.index as usize];
                        around.observer.gossiped(key, &data);
                    }
                    self.tell(around, Input::Gossip { id, topic, data });
                }
            }
            What::Republish(board) => {
                if self.provides.contains(&*board) {
                    self.provide(around, *board);
                }
            }
            What::Providers(found) => {
                let (board, peers) = *found;
                let peers = peers.iter().map(|p| around.names[*p as usize]).collect();
                self.tell(around, Input::Providers { board, peers });
            }
            What::Prepared(prepared) => {
                let (job, record) = *prepared;
                self.on_prepared(around, job, record);
            }
            What::Failed(task) => self.tell(
                around,
                Input::Computed {
                    task,
                    result: Err(Reason::UnknownJob),
                },
            ),
            What::Device => {
                if self.devices.looked(now) {
                    while let Some((id, task)) = self.devices.finish(now) {
                        self.computed(around, id, task);
                    }
                    self.await_devices(around);
                }
            }
            What::FetchRequest(fetch) => self.serve(around, *fetch),
            What::Fetched(fetched) => self.on_fetched(around, *fetched),
            What::Durable(seq) => {
                self.durable = self.durable.max(seq);
                let key = around.names[self.index as usize];
                around.observer.history.order.durable(key, seq);
                let waiting = core::mem::take(&mut self.held).into_iter();
                let (free, held): (Vec<_>, Vec<_>) = waiting.partition(|(after, ..)| *after <= seq);
                self.held = held;
                free.into_iter()
                    .for_each(|(_, to, bytes)| self.send(around, to, bytes));
            }
            What::Recalled(recalled) => {
                let (to, receipt) = *recalled;
                let receipt = Box::new(receipt);
                self.tell(around, Input::Recalled { to, receipt });
            }
            What::Wake => {
                if self.wake == Some(now) {
                    self.wake = None;
                    self.tell(around, Input::Tick { unix_s });
                }
            }
        }
    }

    fn start(&mut self, around: &mut Shared, unix_s: u64) {
        let Some(capacity) = self.capacity.take() else {
            return;
        };
        let now = around.engine.now();
        let position = around.names[self.index as usize].position();
        around.dht.join(now, self.index, &position);
        let log = core::mem::take(&mut self.disk.log);
        let restored: Vec<_> = log.into_iter().map(|(_, record)| record).collect();
        if self.keeps_log {
            // Numbers begin anew with each life; what was durable stays so.
            let kept = restored.iter().cloned().map(|r| (PersistSeq::default(), r));
            self.disk.log = kept.collect();
        }
        self.tell(around, Input::Started { unix_s, restored });
        self.tell(around, Input::Capacity(capacity));
        for neighbour in around.gossip.join(self.index, self.topic) {
            around.reach(Duration::ZERO, neighbour, What::Connected(self.index));
            around.reach(Duration::ZERO, self.index, What::Connected(neighbour));
        }
    }

    fn on_prepared(&mut self, around: &mut Shared, job: JobId, record: Option<Arc<JobRecord>>) {
        let shape = record.as_ref().map(|record| {
            let m = &record.manifest.body;
            Shape {
                tiles: m.tiles,
                tile_bytes: m.tile_bytes,
                units_per_tile: m.units_per_tile,
                tier: m.tier,
            }
        });
        let shape = shape.ok_or(Reason::FetchFailed);
        self.prepared.extend(record.map(|record| (job, record)));
        self.tell(around, Input::Prepared { job, shape });
    }

    fn serve(&mut self, around: &mut Shared, fetch: Fetch) {
        let tiles = self.disk.blobs.get(&fetch.blob).cloned();
        let (now, by) = (around.engine.now(), fetch.by);
        let delay = around.network.transfer(now, self.index, by, fetch.len);
        let tiles = tiles.filter(|_| delay.is_some());
        around.engine.after(
            delay.unwrap_or(UNREACHABLE),
            Event::Peer {
                peer: by,
                life: fetch.life,
                what: What::Fetched(Box::new((fetch, tiles))),
            },
        );
    }

    fn on_fetched(&mut self, around: &mut Shared, (fetch, tiles): (Fetch, Option<Vec<Hash>>)) {
        let result = tiles
            .filter(|t| t.len() == fetch.tiles)
            .ok_or(Reason::FetchFailed);
        if let Ok(tiles) = &result {
            self.disk.blobs.insert(fetch.blob, tiles.clone());
        }
        let task = fetch.task;
        self.tell(around, Input::Fetched { task, result });
    }

    /// Hands an input to the core, performs what it answers, and waits for its next deadline.
    fn tell(&mut self, around: &mut Shared, input: Input) {
        let now = around.engine.now();
        let mut outputs = core::mem::take(&mut around.outputs);
        outputs.extend(self.core.handle(now, input));
        for output in outputs.drain(..) {
            self.perform(around, output);
        }
        around.outputs = outputs;
        let full = [
            (self.devices.under_way() > TASKS_MAX, "too many tasks"),
            (self.prepared.len() > PREPARED_MAX, "too many jobs"),
            (self.held.len() > HELD_MAX, "too many messages back"),
        ];
        for (_, what) in full.into_iter().filter(|(full, _)| *full) {
            let key = around.names[self.index as usize];
            around.observer.hoards(key, what);
        }
        let due = self.core.next_deadline().map(|d| d.at.max(now));
        // An earlier wake-up that is no longer wanted finds `wake` changed and does nothing.
        if self.wake != due {
            self.wake = due;
            if let Some(due) = due {
                around.engine.at(due, self.mine(What::Wake));
            }
        }
    }

    fn mine(&self, what: What) -> Event {
        Event::Peer {
            peer: self.index,
            life: self.life,
            what,
        }
    }

    fn perform(&mut self, around: &mut Shared, output: Output) {
        let now = around.engine.now();
        around.asked(self.index, &output);
        match output {
            Output::Publish { topic, mut data } => {
                data.push(u8::from(topic == Topic::Faults));
                let Shared {
                    gossip,
                    network,
                    copies,
                    ..
                } = around;
                gossip.publish(network, now, self.index, data, copies);
                around.deliver_copies();
            }
            Output::Verdict { id, verdict } => {
                if verdict == Verdict::Accept {
                    let Shared {
                        gossip,
                        network,
                        copies,
                        ..
                    } = around;
                    gossip.accept(network, now, id.0 as u32, self.index, copies);
                    around.deliver_copies();
                }
            }
            Output::Send { to, bytes, after } => match after {
                Some(seq) if seq > self.durable => self.held.push((seq, to, bytes)),
                Some(_) | None => self.send(around, to, bytes),
            },
            Output::Provide { board } => {
                if self.provides.insert(board) {
                    self.provide(around, board);
                }
            }
            Output::StopProviding { board } => {
                self.provides.remove(&board);
                around.dht.stop(now, self.index, &board);
            }
            Output::FindProviders { board } => {
                let Shared { dht, network, .. } = around;
                let found = dht.find_providers(now, self.index, &board, &mut network.at(now));
                around.lookups.count(&found);
                let delay = found.first.unwrap_or(found.delay);
                let what = What::Providers(Box::new((board, found.providers)));
                around.engine.after(delay, self.mine(what));
            }
            Output::Prepare {
                job,
                record,
                sources,
            } => {
                let len: u64 = record.manifest.body.inputs.iter().map(|i| i.len).sum();
                let source = sources.first().and_then(|s| around.keys.get(s).copied());
                // Whoever asked for the work has had its inputs from the beginning.
                let mine = record.manifest.body.requester == around.names[self.index as usize];
                let source = source.filter(|s| len > 0 && *s != self.index && !mine);
                let transfer = source.map_or(Some(Duration::ZERO), |s| {
                    around.network.transfer(now, s, self.index, len)
                });
                let delay = transfer.unwrap_or(UNREACHABLE) + self.prepare;
                let record = transfer.map(|_| record);
                let what = What::Prepared(Box::new((job, record)));
                around.engine.after(delay, self.mine(what));
            }
            Output::Compute {
                task,
                job,
                tiles,
                purpose,
            } => self.compute(around, task, job, tiles, purpose),
            Output::Probe {
                task,
                kernel,
                seed,
                units,
                tiles,
                purpose,
            } => {
                let of = Of::Probe(Box::new(made_up(kernel, seed, units)));
                self.work(around, task, of, tiles, purpose);
            }
            Output::Abort { task } => {
                self.devices.abort(now, task);
                self.await_devices(around);
            }
            Output::Fetch {
                task,
                blob,
                len,
                tile_bytes,
                from,
            } => {
                let fetch = Fetch {
                    by: self.index,
                    life: self.life,
                    task,
                    blob,
                    len,
                    tiles: (len / u64::from(tile_bytes.max(1))) as usize,
                };
                self.fetch(around, fetch, from);
            }
            // The modelled shell keeps every output of its workers, so none comes with its message.
            Output::Store { .. } => {}
            Output::Persist { seq, record } => {
                if let Record::Kept { receipt, .. } = &*record {
                    let lease = receipt.commitment.body.lease;
                    self.disk.kept.insert(lease, (**receipt).clone());
                }
                if self.keeps_log {
                    self.disk.log.push((seq, *record));
                }
                let delay = around.network.disk_delay(self.index);
                around.engine.after(delay, self.mine(What::Durable(seq)));
            }
            Output::Recall { lease, to, .. } => {
                if let Some(receipt) = self.disk.kept.get(&lease) {
                    let what = What::Recalled(Box::new((to, receipt.clone())));
                    let delay = around.network.disk_delay(self.index);
                    around.engine.after(delay, self.mine(what));
                }
            }
            Output::Release { job } => {
                self.prepared.remove(&job);
            }
            Output::Discard { blob } => {
                self.disk.blobs.remove(&blob);
            }
            Output::Notify(event) => {
                let key = around.names[self.index as usize];
                // A person collects a slice as soon as it is done.
                let blobs = &mut self.disk.blobs;
                around
                    .observer
                    .notified((self.index, key), &event, |blob| blobs.remove(blob));
            }
        }
    }

    fn provide(&self, around: &mut Shared, board: Hash) {
        let now = around.engine.now();
        let Shared { dht, network, .. } = around;
        let stored = dht.provide(now, self.index, &board, &mut network.at(now));
        around.lookups.count(&stored);
        let again = dht.republish_after();
        around
            .engine
            .after(again, self.mine(What::Republish(Box::new(board))));
    }

    fn fetch(&self, around: &mut Shared, fetch: Fetch, from: PeerKey) {
        let holder = around.keys.get(&from).copied();
        let reached = holder.and_then(|to| {
            let packet = Packet {
                from: self.index,
                to,
                bytes: 100,
                kind: PacketKind::Blob,
            };
            let now = around.engine.now();
            around.network.send(now, &packet).map(|delay| (to, delay))
        });
        match reached {
            Some((holder, delay)) => {
                around.reach(delay, holder, What::FetchRequest(Box::new(fetch)));
            }
            None => around.engine.after(
                UNREACHABLE,
                self.mine(What::Fetched(Box::new((fetch, None)))),
            ),
        }
    }

    fn send(&self, around: &mut Shared, to_key: PeerKey, bytes: Vec<u8>) {
        let Some(&to) = around.keys.get(&to_key) else {
            return;
        };
        let now = around.engine.now();
        let packet = Packet {
            from: self.index,
            to,
            bytes: bytes.len() as u32,
            kind: PacketKind::Control,
        };
        let delay = around.network.send(now, &packet);
        let key = around.names[self.index as usize];
        around.observer.sent(
            now,
            (self.index, key),
            (to, to_key),
            &bytes,
            delay.is_none(),
        );
        if let Some(delay) = delay {
            let what = What::Message(self.index, bytes.into_boxed_slice());
            around.reach(delay, to, what);
        }
    }
}
