//! A few unmodified peers, some of them wrapped, in one thread under virtual time: a message takes a millisecond, a
//! computation twenty. Signatures are forgeable hashes, as in the simulator. Peer 0 requests and lends nothing.

use crate::parts::capacity;
pub use crate::parts::{Cheap, Truth, key, means, peer};
use starling_adversaries::{Backend, Strategy, backend, wrap};
use starling_protocol::io::{Computed, GossipId, Purpose, Record, Shape, Submission, TaskId};
use starling_protocol::manifest::JobRecord;
use starling_protocol::receipt::Verified;
use starling_protocol::{
    BlobId, Core, Event, Genesis, Hash, Input, JobId, KernelId, Message, Output, PeerKey, Reason,
    Receipt, Scope, Tier, Time,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub const SLICE: u32 = 64;
const START_S: u64 = 1_800_000_000;

pub struct World {
    cores: Vec<Box<dyn Core + Send>>,
    backends: Vec<Box<dyn Backend>>,
    pub now: u64,
    queue: BTreeMap<(u64, u64), (usize, Input)>,
    queued: u64,
    pub genesis: Genesis,
    pub sent: Vec<(usize, usize, Vec<u8>)>,
    pub published: Vec<(usize, Vec<u8>)>,
    pub events: Vec<(usize, Event)>,
    pub receipts: Vec<Receipt>,
    /// What devices found, for whom.
    pub computed: Vec<(usize, Purpose, u32, bool)>,
    pub records: BTreeMap<JobId, Arc<JobRecord>>,
    blobs: BTreeMap<BlobId, Vec<Hash>>,
}

impl World {
    /// `peers` in all; those named have strategies, and are friends of each other.
    pub fn new(peers: usize, strategies: &[(usize, Vec<Strategy>)]) -> Self {
        let genesis = Genesis::new("test", Scope::Local, Hash::default());
        let friends: Vec<_> = strategies.iter().map(|(i, _)| key(*i)).collect();
        let of = |i: usize| strategies.iter().find(|(s, _)| *s == i);
        let means: Vec<_> = (0..peers).map(|i| means(i, &genesis, &friends)).collect();
        let core = |i: usize| {
            let list = of(i).map_or(&[][..], |(_, s)| s);
            wrap(peer(i, &genesis), list, &means[i]).expect("strategies that make sense")
        };
        let device = |i: usize| backend(Truth, of(i).map_or(&[], |(_, s)| s), &means[i]);
        let mut world = Self {
            cores: (0..peers).map(core).collect(),
            backends: (0..peers).map(device).collect(),
            now: 1_000_000,
            queue: BTreeMap::new(),
            queued: 0,
            genesis,
            sent: Vec::new(),
            published: Vec::new(),
            events: Vec::new(),
            receipts: Vec::new(),
            computed: Vec::new(),
            records: BTreeMap::new(),
            blobs: BTreeMap::new(),
        };
        for i in 0..peers {
            let unix_s = world.unix_s();
            world.give(
                i,
                Input::Started {
                    unix_s,
                    restored: Vec::new(),
                },
            );
            if i > 0 {
                world.give(i, Input::Capacity(capacity()));
            }
        }
        world.run_for(3_000);
        world
    }

    fn unix_s(&self) -> u64 {
        START_S + self.now / 1_000_000
    }

    /// Peer `i` submits a job of so many slices.
    pub fn submit(&mut self, i: usize, slices: u32) {
        let submission = Submission {
            kernel: KernelId::from([7; 32]),
            class: "test".into(),
            params: vec![1, 2, 3],
            inputs: Vec::new(),
            shape: Shape {
                tiles: slices * SLICE,
                tile_bytes: 32,
                units_per_tile: 1_000,
                tier: Tier::Exact,
            },
            slice_tiles: Some(SLICE),
            max_price: None,
            deadline_in_s: 3_600,
            // Every peer may be drawn.
            stewards: Some(0),
            full_audits: false,
        };
        self.give(i, Input::Submit(Box::new(submission)));
    }

    pub fn give(&mut self, to: usize, input: Input) {
        let outputs: Vec<_> = self.cores[to].handle(Time(self.now), input).collect();
        for output in outputs {
            self.perform(to, output);
        }
    }

    fn perform(&mut self, i: usize, output: Output) {
        match output {
            Output::Publish { topic, data } => {
                self.published.push((i, data.clone()));
                for to in (0..self.cores.len()).filter(|to| *to != i) {
                    let data = data.clone();
                    self.later(
                        1,
                        (
                            to,
                            Input::Gossip {
                                id: GossipId(0),
                                topic,
                                data,
                            },
                        ),
                    );
                }
            }
            Output::Send { to, bytes, .. } => {
                let Some(to) = (0..self.cores.len()).find(|p| key(*p) == to) else {
                    return;
                };
                self.sent.push((i, to, bytes.clone()));
                self.later(
                    1,
                    (
                        to,
                        Input::Message {
                            from: key(i),
                            bytes,
                        },
                    ),
                );
            }
            Output::Prepare { job, record, .. } => {
                let m = &record.manifest.body;
                let shape = Ok(Shape {
                    tiles: m.tiles,
                    tile_bytes: m.tile_bytes,
                    units_per_tile: m.units_per_tile,
                    tier: m.tier,
                });
                self.records.insert(job, record);
                self.later(1, (i, Input::Prepared { job, shape }));
            }
            Output::Compute {
                task,
                job,
                tiles,
                purpose,
            } => self.compute(i, task, job, &tiles, purpose),
            Output::Probe {
                task,
                seed,
                units,
                tiles,
                ..
            } => {
                let hash = |t: &u32| Hash::of(&[&seed.0[..], &t.to_le_bytes()].concat());
                let result = Ok(Computed {
                    units,
                    ..Computed::tiles(tiles.iter().map(hash).collect())
                });
                self.later(1, (i, Input::Computed { task, result }));
            }
            Output::Fetch { task, blob, .. } => {
                let result = self.blobs.get(&blob).cloned().ok_or(Reason::FetchFailed);
                self.later(1, (i, Input::Fetched { task, result }));
            }
            Output::Persist { record, .. } => {
                if let Record::Receipted { receipt, .. } | Record::Kept { receipt, .. } = *record
                    && receipt.lease.body.steward == key(i)
                {
                    self.receipts.push(*receipt);
                }
            }
            Output::Notify(event) => self.events.push((i, event)),
            Output::FindProviders { board } => {
                let peers = vec![key(0)];
                self.later(1, (i, Input::Providers { board, peers }));
            }
            Output::Recall { .. }
            | Output::Store { .. }
            | Output::Verdict { .. }
            | Output::Provide { .. }
            | Output::StopProviding { .. }
            | Output::Abort { .. }
            | Output::Release { .. }
            | Output::Discard { .. } => {}
        }
    }

    fn compute(&mut self, i: usize, task: TaskId, job: JobId, tiles: &[u32], purpose: Purpose) {
        let manifest = &self.records[&job].manifest.body;
        let hashes: Vec<_> = tiles
            .iter()
            .map(|t| self.backends[i].tile(manifest, *t, purpose))
            .collect();
        for (t, hash) in tiles.iter().zip(&hashes) {
            let right = *hash == Truth.tile(manifest, *t, purpose);
            self.computed.push((i, purpose, *t, right));
        }
        let mut computed = Computed::tiles(hashes.clone());
        if matches!(purpose, Purpose::Work | Purpose::Own) {
            let bytes: Vec<_> = hashes.iter().flat_map(|h| h.0).collect();
            let blob = BlobId(Hash::of(&bytes));
            self.blobs.insert(blob, hashes);
            computed.blob = Some(blob);
        }
        self.later(
            20,
            (
                i,
                Input::Computed {
                    task,
                    result: Ok(computed),
                },
            ),
        );
    }

    fn later(&mut self, ms: u64, what: (usize, Input)) {
        self.queued += 1;
        self.queue
            .insert((self.now + ms * 1_000, self.queued), what);
    }

    /// The next input or timer before `end`.
    fn step(&mut self, end: u64) -> bool {
        let due = |i: usize| self.cores[i].next_deadline().map(|d| (d.at.0, i));
        let timer = (0..self.cores.len()).filter_map(due).min();
        let first = self.queue.first_key_value().map(|((at, _), _)| *at);
        let at = timer.map(|t| t.0).into_iter().chain(first).min();
        let Some(at) = at.filter(|at| *at < end) else {
            return false;
        };
        self.now = self.now.max(at);
        if first == Some(at) {
            let (_, (to, input)) = self.queue.pop_first().expect("just seen");
            self.give(to, input);
        } else if let Some((_, i)) = timer {
            let unix_s = self.unix_s();
            self.give(i, Input::Tick { unix_s });
        }
        true
    }

    pub fn run_for(&mut self, ms: u64) {
        let end = self.now + ms * 1_000;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `jobs` jobs are over, until past their deadline; whether all are done.
    pub fn run_jobs(&mut self, jobs: usize) -> bool {
        let end = self.now + 3_700_000_000;
        let count = |w: &Self, failed: bool| {
            w.events
                .iter()
                .filter(|(_, e)| match e {
                    Event::JobDone { .. } => true,
                    Event::JobFailed { .. } => failed,
                    _ => false,
                })
                .count()
        };
        while count(self, true) < jobs && self.step(end) {}
        count(self, false) == jobs
    }

    fn index(&self, peer: &PeerKey) -> usize {
        let all = 0..self.cores.len();
        all.into_iter().find(|i| key(*i) == *peer).expect("a peer")
    }

    /// Blame and accusations: by whom, against whom, and whether of lying about another.
    pub fn verdicts(&self) -> Vec<(usize, usize, bool)> {
        let verdict = |(by, event): &(usize, Event)| match event {
            Event::CheatCaught { worker, .. } => Some((*by, self.index(worker), false)),
            Event::FalseAccusation { accuser, .. } => Some((*by, self.index(accuser), true)),
            _ => None,
        };
        self.events.iter().filter_map(verdict).collect()
    }

    fn named(&self, accuser: bool) -> Vec<usize> {
        let all = self.verdicts().into_iter();
        let by_us = all.filter(|(by, _, a)| (*by, *a) == (0, accuser));
        let named: BTreeSet<_> = by_us.map(|(_, who, _)| who).collect();
        named.into_iter().collect()
    }

    /// Workers blamed by peer 0, ascending.
    pub fn caught(&self) -> Vec<usize> {
        self.named(false)
    }

    /// Peers that accused wrongly before peer 0, ascending.
    pub fn accusers(&self) -> Vec<usize> {
        self.named(true)
    }

    /// What peer `from` sent of one kind, with receivers.
    pub fn said(&self, from: usize, name: &str) -> Vec<(usize, Message)> {
        let of = self.sent.iter().filter(|(i, ..)| *i == from);
        let read = of.filter_map(|(_, to, bytes)| Some((*to, Message::from_bytes(bytes).ok()?)));
        read.filter(|(_, m)| m.name() == name).collect()
    }

    /// All receipts that stewards made, verified offline.
    pub fn verified(&self) -> Vec<Verified> {
        let swarm = self.genesis.swarm_id();
        let verify = |r: &Receipt| {
            r.verify(
                &self.records[&r.lease.body.job],
                &swarm,
                &Cheap(Hash::default()),
            )
        };
        self.receipts
            .iter()
            .map(|r| verify(r).expect("every receipt verifies"))
            .collect()
    }

    /// Tiles of one purpose that peer `i` found, and how many of them were wrong.
    pub fn found(&self, i: usize, purpose: Purpose) -> (usize, usize) {
        let of = self
            .computed
            .iter()
            .filter(|(p, u, ..)| (*p, *u) == (i, purpose));
        (of.clone().count(), of.filter(|(.., right)| !right).count())
    }
}
