//! One simulated peer: a core, and a modelled shell that performs what the core asks.
//!
//! The shell does what the real one does, in virtual time: sends that name a record wait until it is durable, a
//! device computes audits before work, blobs take their time. It decides nothing. All that can happen to a peer is
//! a [`What`]; peers reach each other only through events.

use crate::adversary::Backend;
use crate::device::Device;
use crate::engine::Engine;
use crate::network::{Flood, Network};
use crate::observe::Observer;
use crate::scenario::Devices;
use core::time::Duration;
use starling_protocol::io::{
    Computed, GossipId, Input, Output, PersistSeq, Purpose, Shape, Submission, TaskId, Verdict,
};
use starling_protocol::manifest::JobRecord;
use starling_protocol::{BlobId, Core, Hash, JobId, PeerKey, Reason, Time};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The wall clock at virtual time zero, Unix seconds.
pub const EPOCH_S: u64 = 1_800_000_000;

/// Something happens to a peer.
#[derive(Debug)]
pub struct Event {
    /// To whom.
    pub peer: u32,
    /// What.
    pub what: What,
}

/// What can happen to a peer.
#[derive(Debug)]
pub enum What {
    /// It starts, and offers its capacity.
    Start(Box<starling_protocol::io::Capacity>),
    /// Its person submits a job.
    Submit(Box<Submission>),
    /// A mesh neighbour has come up.
    Connected(PeerKey),
    /// A control message arrives.
    Message(PeerKey, Vec<u8>),
    /// A gossip message arrives.
    Gossip(Rc<Flood>),
    /// Kademlia has stored or dropped its provider record.
    Provided(Hash, bool),
    /// Kademlia answers.
    Providers(Hash),
    /// Inputs and kernel are ready.
    Prepared(JobId, Arc<JobRecord>),
    /// It cannot compute this.
    Failed(TaskId),
    /// One of its devices may have finished.
    Device,
    /// Somebody wants a blob of so many tiles.
    FetchRequest(Fetch),
    /// A blob that it asked for, as tile hashes; `None` if there is no such blob.
    Fetched(Fetch, Option<Vec<Hash>>),
    /// Its log is durable up to here.
    Durable(PersistSeq),
    /// Its deadline may have come.
    Wake,
}

impl What {
    /// Writes down what makes this event this event, for the trace hash.
    pub fn write(&self, to: &mut dyn FnMut(&[u8])) {
        match self {
            Self::Start(capacity) => to(format!("start {}", capacity.slots).as_bytes()),
            Self::Submit(submission) => to(format!("submit {}", submission.shape.tiles).as_bytes()),
            Self::Connected(peer) => [b"connected", &peer.as_bytes()[..]]
                .iter()
                .for_each(|b| to(b)),
            Self::Message(from, bytes) => [b"message", &from.as_bytes()[..], bytes]
                .iter()
                .for_each(|b| to(b)),
            Self::Gossip(flood) => [b"gossip", &flood.data[..]].iter().for_each(|b| to(b)),
            Self::Provided(board, provides) => [b"provided", &board.0[..], &[u8::from(*provides)]]
                .iter()
                .for_each(|b| to(b)),
            Self::Providers(board) => [b"providers", &board.0[..]].iter().for_each(|b| to(b)),
            Self::Prepared(job, _) => [b"prepared", &job.as_bytes()[..]]
                .iter()
                .for_each(|b| to(b)),
            Self::Failed(task) => to(format!("failed {task:?}").as_bytes()),
            Self::Device => to(b"device"),
            Self::FetchRequest(fetch) => to(format!("fetch {fetch:?}").as_bytes()),
            Self::Fetched(fetch, tiles) => {
                to(format!("fetched {fetch:?}").as_bytes());
                tiles.iter().flatten().for_each(|t| to(&t.0));
            }
            Self::Durable(seq) => to(format!("durable {seq:?}").as_bytes()),
            Self::Wake => to(b"wake"),
        }
    }
}

/// One fetch on its way.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    /// Who asks.
    pub by: u32,
    /// The asker's name for it.
    pub task: TaskId,
    /// What it wants.
    pub blob: BlobId,
    /// Its exact length.
    pub len: u64,
    /// Tiles in it.
    pub tiles: usize,
}

/// What all hosts share while one of them acts.
pub struct Surroundings<'a> {
    /// The clock and the queue.
    pub engine: &'a mut Engine<Event>,
    /// Delays and boards.
    pub network: &'a mut Network,
    /// Who writes everything down.
    pub observer: &'a mut Observer,
    /// Indices of keys.
    pub keys: &'a BTreeMap<PeerKey, u32>,
    /// Delays of disk and kernel.
    pub devices: &'a Devices,
}

struct Task {
    record: Arc<JobRecord>,
    tiles: Vec<u32>,
    purpose: Purpose,
}

/// A peer.
pub struct Host {
    index: u32,
    key: PeerKey,
    core: Box<dyn Core>,
    backend: Box<dyn Backend>,
    device: Device,
    reference: Device,
    tasks: BTreeMap<TaskId, Task>,
    prepared: BTreeMap<JobId, Arc<JobRecord>>,
    blobs: BTreeMap<BlobId, Vec<Hash>>,
    durable: PersistSeq,
    held: Vec<(PersistSeq, PeerKey, Vec<u8>)>,
    floods: BTreeMap<GossipId, Rc<Flood>>,
    gossip_seen: u64,
    wake: Option<Time>,
    up: bool,
}

impl Host {
    /// A peer that has not started yet.
    #[must_use]
    pub fn new(
        index: u32,
        key: PeerKey,
        core: Box<dyn Core>,
        backend: Box<dyn Backend>,
        units_per_s: u64,
        devices: &Devices,
    ) -> Self {
        Self {
            index,
            key,
            core,
            backend,
            device: Device::new(units_per_s),
            reference: Device::new(devices.reference_units_per_s),
            tasks: BTreeMap::new(),
            prepared: BTreeMap::new(),
            blobs: BTreeMap::new(),
            durable: PersistSeq::default(),
            held: Vec::new(),
            floods: BTreeMap::new(),
            gossip_seen: 0,
            wake: None,
            up: false,
        }
    }

    /// Takes one event.
    pub fn on(&mut self, around: &mut Surroundings<'_>, what: What) {
        let now = around.engine.now();
        let unix_s = EPOCH_S + now.0 / 1_000_000;
        match what {
            What::Start(capacity) => {
                self.up = true;
                self.tell(
                    around,
                    Input::Started {
                        unix_s,
                        restored: Vec::new(),
                    },
                );
                self.tell(around, Input::Capacity(*capacity));
                for &neighbour in around.network.neighbours(self.index) {
                    around.engine.at(
                        now,
                        Event {
                            peer: neighbour,
                            what: What::Connected(self.key),
                        },
                    );
                }
            }
            // Nobody is at home yet.
            _ if !self.up => {}
            What::Submit(submission) => self.tell(around, Input::Submit(submission)),
            What::Connected(peer) => self.tell(around, Input::PeerConnected { peer }),
            What::Message(from, bytes) => self.tell(around, Input::Message { from, bytes }),
            What::Gossip(flood) => {
                if flood.reaches(self.index) {
                    self.gossip_seen += 1;
                    let (id, data) = (GossipId(self.gossip_seen), flood.data.clone());
                    self.floods.insert(id, flood);
                    self.tell(around, Input::Gossip { id, data });
                }
            }
            What::Provided(board, provides) => around.network.provide(board, self.key, provides),
            What::Providers(board) => {
                let peers = around.network.providers(&board);
                self.tell(around, Input::Providers { board, peers });
            }
            What::Prepared(job, record) => {
                let m = &record.manifest.body;
                let (tiles, tile_bytes, units_per_tile, tier) =
                    (m.tiles, m.tile_bytes, m.units_per_tile, m.tier);
                self.prepared.insert(job, record);
                let shape = Ok(Shape {
                    tiles,
                    tile_bytes,
                    units_per_tile,
                    tier,
                });
                self.tell(around, Input::Prepared { job, shape });
            }
            What::Failed(task) => self.tell(
                around,
                Input::Computed {
                    task,
                    result: Err(Reason::UnknownJob),
                },
            ),
            What::Device => {
                while let Some(task) = self
                    .device
                    .finish(now)
                    .or_else(|| self.reference.finish(now))
                {
                    self.computed(around, task);
                }
                self.await_devices(around);
            }
            What::FetchRequest(fetch) => {
                let tiles = self.blobs.get(&fetch.blob).cloned();
                let delay = around.network.transfer(self.index, fetch.by, fetch.len);
                around.engine.after(
                    delay,
                    Event {
                        peer: fetch.by,
                        what: What::Fetched(fetch, tiles),
                    },
                );
            }
            What::Fetched(fetch, tiles) => {
                let result = tiles
                    .filter(|t| t.len() == fetch.tiles)
                    .ok_or(Reason::FetchFailed);
                if let Ok(tiles) = &result {
                    self.blobs.insert(fetch.blob, tiles.clone());
                }
                self.tell(
                    around,
                    Input::Fetched {
                        task: fetch.task,
                        result,
                    },
                );
            }
            What::Durable(seq) => {
                self.durable = self.durable.max(seq);
                let waiting = core::mem::take(&mut self.held).into_iter();
                let (free, held): (Vec<_>, Vec<_>) = waiting.partition(|(after, ..)| *after <= seq);
                self.held = held;
                free.into_iter()
                    .for_each(|(_, to, bytes)| self.send(around, to, bytes));
            }
            What::Wake => {
                if self.wake == Some(now) {
                    self.wake = None;
                    self.tell(around, Input::Tick { unix_s });
                }
            }
        }
    }

    /// Hands an input to the core, performs what it answers, and waits for its next deadline.
    fn tell(&mut self, around: &mut Surroundings<'_>, input: Input) {
        let now = around.engine.now();
        let outputs: Vec<_> = self.core.handle(now, input).collect();
        outputs
            .into_iter()
            .for_each(|output| self.perform(around, output));
        if let Some(due) = self.core.next_deadline().map(|d| d.at.max(now)) {
            // An earlier wake-up that is no longer wanted finds `wake` changed and does nothing.
            if self.wake != Some(due) {
                self.wake = Some(due);
                around.engine.at(
                    due,
                    Event {
                        peer: self.index,
                        what: What::Wake,
                    },
                );
            }
        } else {
            self.wake = None;
        }
    }

    fn perform(&mut self, around: &mut Surroundings<'_>, output: Output) {
        let mine = |what| Event {
            peer: self.index,
            what,
        };
        around
            .observer
            .asked(self.index, around.engine.now(), &output);
        match output {
            Output::Publish { data } => {
                let flood = Rc::new(Flood::new(self.index, data));
                self.forward(around, &flood);
            }
            Output::Verdict { id, verdict } => {
                if let Some(flood) = self
                    .floods
                    .remove(&id)
                    .filter(|_| verdict == Verdict::Accept)
                {
                    self.forward(around, &flood);
                }
            }
            Output::Send { to, bytes, after } => match after {
                Some(seq) if seq > self.durable => self.held.push((seq, to, bytes)),
                Some(_) | None => self.send(around, to, bytes),
            },
            Output::Provide { board } | Output::StopProviding { board } => {
                let provides = matches!(output, Output::Provide { .. });
                let delay = around.network.kademlia(self.index);
                around
                    .engine
                    .after(delay, mine(What::Provided(board, provides)));
            }
            Output::FindProviders { board } => {
                let delay = around.network.kademlia(self.index);
                around.engine.after(delay, mine(What::Providers(board)));
            }
            Output::Prepare {
                job,
                record,
                sources,
            } => {
                let len: u64 = record.manifest.body.inputs.iter().map(|i| i.len).sum();
                let source = sources.first().and_then(|s| around.keys.get(s));
                let transfer = source
                    .filter(|_| len > 0)
                    .map(|s| around.network.transfer(*s, self.index, len));
                let delay =
                    transfer.unwrap_or_default() + Duration::from_millis(around.devices.prepare_ms);
                around
                    .engine
                    .after(delay, mine(What::Prepared(job, record)));
            }
            Output::Compute {
                task,
                job,
                tiles,
                purpose,
            } => self.compute(around, task, job, tiles, purpose),
            Output::Abort { task } => {
                let now = around.engine.now();
                if self.tasks.remove(&task).is_some() {
                    self.device.abort(now, task);
                    self.reference.abort(now, task);
                    self.await_devices(around);
                }
            }
            Output::Fetch {
                task,
                blob,
                len,
                tile_bytes,
                from,
            } => {
                let tiles = (len / u64::from(tile_bytes.max(1))) as usize;
                let fetch = Fetch {
                    by: self.index,
                    task,
                    blob,
                    len,
                    tiles,
                };
                match around.keys.get(&from) {
                    Some(&holder) => {
                        let delay = around.network.latency(self.index, holder);
                        around.engine.after(
                            delay,
                            Event {
                                peer: holder,
                                what: What::FetchRequest(fetch),
                            },
                        );
                    }
                    None => around
                        .engine
                        .after(Duration::ZERO, mine(What::Fetched(fetch, None))),
                }
            }
            // The modelled shell keeps every output of its workers, so none comes with its message.
            Output::Store { .. } => {}
            Output::Persist { seq, .. } => {
                let delay = Duration::from_millis(around.devices.disk_ms);
                around.engine.after(delay, mine(What::Durable(seq)));
            }
            Output::Release { job } => {
                self.prepared.remove(&job);
            }
            Output::Discard { blob } => {
                self.blobs.remove(&blob);
            }
            Output::Notify(event) => {
                let blobs = &self.blobs;
                around
                    .observer
                    .notified(self.key, &event, |blob| blobs.get(blob).cloned());
            }
        }
    }

    fn send(&self, around: &mut Surroundings<'_>, to: PeerKey, bytes: Vec<u8>) {
        let Some(&receiver) = around.keys.get(&to) else {
            return;
        };
        let delay = around.network.control(self.index, receiver);
        around.observer.sent(
            around.engine.now(),
            (self.index, self.key),
            receiver,
            &bytes,
            delay.is_none(),
        );
        if let Some(delay) = delay {
            around.engine.after(
                delay,
                Event {
                    peer: receiver,
                    what: What::Message(self.key, bytes),
                },
            );
        }
    }

    fn forward(&self, around: &mut Surroundings<'_>, flood: &Rc<Flood>) {
        for neighbour in around.network.neighbours(self.index).clone() {
            let delay = around.network.latency(self.index, neighbour);
            around.observer.gossiped(flood.data.len());
            around.engine.after(
                delay,
                Event {
                    peer: neighbour,
                    what: What::Gossip(flood.clone()),
                },
            );
        }
    }

    fn compute(
        &mut self,
        around: &mut Surroundings<'_>,
        task: TaskId,
        job: JobId,
        tiles: Vec<u32>,
        purpose: Purpose,
    ) {
        let now = around.engine.now();
        let Some(record) = self.prepared.get(&job).cloned() else {
            around.observer.unprepared(self.key, purpose);
            around.engine.at(
                now,
                Event {
                    peer: self.index,
                    what: What::Failed(task),
                },
            );
            return;
        };
        let units = record
            .manifest
            .body
            .units_per_tile
            .saturating_mul(tiles.len() as u64);
        let device = match purpose {
            Purpose::Work | Purpose::Audit | Purpose::Own => &mut self.device,
            Purpose::SelfCheck | Purpose::Judge => &mut self.reference,
        };
        device.push(now, task, purpose, units);
        self.tasks.insert(
            task,
            Task {
                record,
                tiles,
                purpose,
            },
        );
        self.await_devices(around);
    }

    /// Schedules a look at the devices for when the first of them finishes. Looks that come too early find nothing.
    fn await_devices(&self, around: &mut Surroundings<'_>) {
        for due in [self.device.due(), self.reference.due()]
            .into_iter()
            .flatten()
        {
            around.engine.at(
                due,
                Event {
                    peer: self.index,
                    what: What::Device,
                },
            );
        }
    }

    fn computed(&mut self, around: &mut Surroundings<'_>, task: TaskId) {
        let Some(Task {
            record,
            tiles,
            purpose,
        }) = self.tasks.remove(&task)
        else {
            return;
        };
        let manifest = &record.manifest.body;
        let hashes: Vec<_> = tiles
            .iter()
            .map(|t| self.backend.tile(manifest, *t, purpose))
            .collect();
        around.observer.computed(purpose, hashes.len());
        let blob = matches!(purpose, Purpose::Work | Purpose::Own).then(|| {
            let bytes: Vec<u8> = hashes.iter().flat_map(|h| h.0).collect();
            let blob = BlobId(Hash::derive("starling-sim 2026-11 blob v1", &[&bytes]));
            self.blobs.insert(blob, hashes.clone());
            blob
        });
        self.tell(
            around,
            Input::Computed {
                task,
                result: Ok(Computed {
                    blob,
                    ..Computed::tiles(hashes)
                }),
            },
        );
    }
}
