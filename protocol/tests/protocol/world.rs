//! A few real peers with real signatures in one thread under virtual time: every message takes a millisecond,
//! every computation fifty. [`Faults`] lose and delay messages at random. Topologies and scale belong to `simulations`.

#[path = "world/seen.rs"]
mod seen;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};
use starling_protocol::advert::{DeviceKind, DeviceProfile, KernelOffer};
use starling_protocol::crypto::{Ed25519Signer, Signer as _};
use starling_protocol::io::{Capacity, Computed, Purpose, Record, Setup, Shape, Submission, Topic};
use starling_protocol::text::{Text, cut};
use starling_protocol::{
    BlobId, Core, Event, Genesis, Hash, Input, JobId, KernelId, Message, Output, Peer, PeerKey,
    Reason, Scope, Tier, Time, config,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub const TILES: u32 = 256;
pub const SLICE: u32 = 64;
/// What [`World::caught`] is among honest peers.
pub const NOBODY: [usize; 0] = [];
pub const START_S: u64 = 1_800_000_000;

/// How one peer misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    Honest,
    /// Fakes every tile that it is paid for or probed by; audits honestly.
    Fakes,
    /// Takes part until the first message of this name would leave, then says nothing of that kind.
    Withholds(&'static str),
    /// Its adverts arrive, and nothing else ever does.
    Silent,
    /// Sees every tile of others wrong, and says so.
    Accuses,
    /// Its device fails at every slice.
    Broken,
    /// Fakes every tile, and sees others' the same way.
    Ring,
}

/// What the network does to control messages. Adverts always arrive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Messages lost, in percent.
    pub loss: u32,
    /// Every message takes up to this much longer, uniformly, ms; so messages overtake each other.
    pub delay_ms: u32,
    pub seed: u64,
}

/// A control message as it left.
#[derive(Clone)]
pub struct Sent {
    pub from: usize,
    pub to: usize,
    pub bytes: Vec<u8>,
}

pub struct World {
    pub peers: Vec<Peer>,
    pub keys: Vec<PeerKey>,
    pub natures: Vec<Nature>,
    pub now: u64,
    queue: VecDeque<(u64, usize, Input)>,
    pub events: Vec<(usize, Event)>,
    pub trace: Vec<(usize, usize, &'static str)>,
    pub sent: Vec<Sent>,
    pub faults: Faults,
    chance: ChaCha12Rng,
    pub logs: Vec<Vec<Record>>,
    outputs: BTreeMap<BlobId, Vec<Hash>>,
    pub genesis: Genesis,
    slices: BTreeMap<JobId, u32>,
    /// Seconds by which each wall clock is wrong.
    skews: Vec<i64>,
    /// Who provides a board.
    providers: BTreeMap<Hash, BTreeSet<usize>>,
    /// Peers that are down.
    down: BTreeSet<usize>,
    /// Fraud proofs do not go round, but lie here.
    pub holds_faults: bool,
    pub faults_held: Vec<Vec<u8>>,
    pub units_per_s: Vec<u64>,
    /// At most so many stewards beside a requester; none: the protocol's number.
    pub most_stewards: Option<u16>,
}

pub fn shape() -> Shape {
    Shape {
        tiles: TILES,
        tile_bytes: 64,
        units_per_tile: 1_000,
        tier: Tier::Exact,
    }
}

pub fn kernel() -> KernelId {
    KernelId::from([7; 32])
}

/// The bytes of a tile, or what a liar makes of it.
fn tile(tile: u32, lies: bool) -> Vec<u8> {
    let mut bytes = vec![u8::from(lies); shape().tile_bytes as usize];
    bytes[..4].copy_from_slice(&tile.to_le_bytes());
    bytes
}

pub fn capacity() -> Capacity {
    Capacity {
        devices: vec![DeviceProfile {
            kind: DeviceKind::Cpu,
            name: cut("test"),
        }],
        kernels: vec![KernelOffer {
            kernel: kernel(),
            class: cut("test"),
            tier: Tier::Exact,
            units_per_s: 1_000_000,
            price: 0,
        }],
        slots: 1,
        region: Text::new(),
        software: cut("test"),
    }
}

/// The identity of peer `i`.
pub fn signer(i: usize) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[i as u8 + 1; 32])
}

impl World {
    /// Peer 0 is the requester and lends nothing; the others have the given natures.
    pub fn new(natures: &[Nature]) -> Self {
        Self::with_faults(natures, Faults::default())
    }

    pub fn with_faults(natures: &[Nature], faults: Faults) -> Self {
        let genesis = Genesis::new("test", Scope::Local, Hash::default());
        let mut natures = natures.to_vec();
        natures.insert(0, Nature::Honest);
        let peers = (0..natures.len())
            .map(|i| {
                let mut rng_seed = [i as u8; 32];
                rng_seed[..8].copy_from_slice(&faults.seed.to_le_bytes());
                let setup = Setup {
                    genesis: genesis.clone(),
                    rng_seed,
                    guests: Vec::new(),
                };
                Peer::new(setup, Box::new(signer(i)))
            })
            .collect();
        let keys = (0..natures.len()).map(|i| signer(i).key()).collect();
        let mut world = Self {
            peers,
            keys,
            now: 1_000_000,
            queue: VecDeque::new(),
            events: Vec::new(),
            trace: Vec::new(),
            sent: Vec::new(),
            faults,
            chance: ChaCha12Rng::seed_from_u64(faults.seed),
            logs: vec![Vec::new(); natures.len()],
            outputs: BTreeMap::new(),
            genesis,
            slices: BTreeMap::new(),
            skews: vec![0; natures.len()],
            providers: BTreeMap::new(),
            down: BTreeSet::new(),
            holds_faults: false,
            faults_held: Vec::new(),
            most_stewards: None,
            units_per_s: vec![1_000_000; natures.len()],
            natures,
        };
        for i in 0..world.peers.len() {
            world.give(
                i,
                Input::Started {
                    unix_s: world.clock_of(i),
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

    pub fn submit(&mut self) {
        self.submit_at(None);
    }

    /// Submits to peers that ask at most so much.
    pub fn submit_at(&mut self, max_price: Option<u64>) {
        self.submit_in(SLICE, max_price);
    }

    /// Submits in slices of so many tiles.
    pub fn submit_in(&mut self, slice: u32, max_price: Option<u64>) {
        self.submits(0, slice, max_price);
    }

    /// Peer `i` submits.
    pub fn submit_by(&mut self, i: usize) {
        self.submits(i, SLICE, None);
    }

    fn submits(&mut self, i: usize, slice: u32, max_price: Option<u64>) {
        let submission = self.submission(slice, max_price);
        self.give(i, Input::Submit(Box::new(submission)));
    }

    /// What a person would submit.
    pub fn submission(&self, slice: u32, max_price: Option<u64>) -> Submission {
        Submission {
            kernel: kernel(),
            class: "test".into(),
            params: vec![1, 2, 3],
            inputs: Vec::new(),
            shape: shape(),
            slice_tiles: Some(slice),
            max_price,
            deadline_in_s: 3_600,
            stewards: self.most_stewards,
            full_audits: false,
        }
    }

    /// What peer `to` wants done; nobody does it.
    pub fn probe(&mut self, to: usize, input: Input) -> Vec<Output> {
        self.peers[to].handle(Time(self.now), input).collect()
    }

    pub fn give(&mut self, to: usize, input: Input) {
        for output in self.probe(to, input) {
            self.perform(to, output);
        }
    }

    fn later(&mut self, ms: u64, to: usize, input: Input) {
        let at = self.now + ms * 1_000;
        let place = self.queue.partition_point(|(t, _, _)| *t <= at);
        self.queue.insert(place, (at, to, input));
    }

    fn perform(&mut self, i: usize, output: Output) {
        let nature = self.natures[i];
        match output {
            Output::Publish {
                topic: Topic::Faults,
                data,
            } if self.holds_faults => self.faults_held.push(data),
            Output::Publish { topic, data } => {
                for to in (0..self.peers.len()).filter(|to| *to != i) {
                    let id = starling_protocol::io::GossipId(0);
                    self.later(
                        1,
                        to,
                        Input::Gossip {
                            id,
                            topic,
                            data: data.clone(),
                        },
                    );
                }
            }
            Output::Send { to, bytes, .. } => {
                let message = Message::from_bytes(&bytes).expect("peers send what they can read");
                // Strangers' answers go nowhere.
                let Some(to) = self.keys.iter().position(|k| *k == to) else {
                    return;
                };
                let name = message.name();
                if nature == Nature::Silent || nature == Nature::Withholds(name) {
                    return;
                }
                self.trace.push((i, to, name));
                self.sent.push(Sent {
                    from: i,
                    to,
                    bytes: bytes.clone(),
                });
                if self.chance.next_u32() % 100 < self.faults.loss {
                    return;
                }
                let delay = self.chance.next_u32() % (self.faults.delay_ms + 1);
                let from = self.keys[i];
                self.later(1 + u64::from(delay), to, Input::Message { from, bytes });
            }
            Output::Compute {
                task,
                purpose: Purpose::Work,
                ..
            } if nature == Nature::Broken => {
                self.later(
                    50,
                    i,
                    Input::Computed {
                        task,
                        result: Err(Reason::DeviceFailed),
                    },
                );
            }
            Output::Compute {
                task,
                job: _,
                tiles,
                purpose,
            } => {
                let lies = match purpose {
                    Purpose::Work | Purpose::SelfCheck => {
                        matches!(nature, Nature::Fakes | Nature::Ring)
                    }
                    Purpose::Audit | Purpose::Judge => {
                        matches!(nature, Nature::Accuses | Nature::Ring)
                    }
                    Purpose::Own => false,
                };
                let hash = |t: &u32| Hash::of(&tile(*t, lies));
                let hashes: Vec<_> = tiles.iter().map(hash).collect();
                let keeps = matches!(purpose, Purpose::Work | Purpose::Own);
                let mut bytes: Vec<_> = tiles.iter().flat_map(|t| tile(*t, lies)).collect();
                let blob = keeps.then(|| BlobId(Hash::of(&bytes)));
                // Both ways of an output: in every other slice the shell keeps it.
                if purpose != Purpose::Work || (tiles[0] / SLICE).is_multiple_of(2) {
                    blob.map(|b| self.outputs.insert(b, hashes.clone()));
                    bytes.clear();
                }
                self.later(
                    50,
                    i,
                    Input::Computed {
                        task,
                        result: Ok(Computed {
                            tiles: hashes,
                            blob,
                            bytes,
                            units: 0,
                        }),
                    },
                );
            }
            Output::Probe {
                task,
                seed,
                units,
                tiles,
                purpose,
                ..
            } => {
                let lies = [u8::from(
                    purpose == Purpose::Audit && nature == Nature::Fakes,
                )];
                let hash = |t: &u32| Hash::of(&[&seed.0[..], &t.to_le_bytes(), &lies].concat());
                let mut made = Computed::tiles(tiles.iter().map(hash).collect());
                made.units = units;
                let share = tiles.len() as u64 * units / u64::from(config::PROBE_TILES);
                let (ms, result) = (share * 1_000 / self.units_per_s[i], Ok(made));
                self.later(ms, i, Input::Computed { task, result });
            }
            Output::Prepare { job, record, .. } => {
                let m = &record.manifest.body;
                let shape = Shape {
                    tiles: m.tiles,
                    tile_bytes: m.tile_bytes,
                    units_per_tile: m.units_per_tile,
                    tier: m.tier,
                };
                self.later(
                    1,
                    i,
                    Input::Prepared {
                        job,
                        shape: Ok(shape),
                    },
                );
            }
            Output::Fetch { task, blob, .. } => {
                let result = self.outputs.get(&blob).cloned().ok_or(Reason::FetchFailed);
                self.later(1, i, Input::Fetched { task, result });
            }
            Output::Store {
                task,
                bytes,
                tile_bytes,
            } => {
                let tiles: Vec<_> = bytes
                    .chunks_exact(tile_bytes as usize)
                    .map(Hash::of)
                    .collect();
                self.outputs.insert(BlobId(Hash::of(&bytes)), tiles.clone());
                let result = Ok(tiles);
                self.later(1, i, Input::Fetched { task, result });
            }
            Output::Persist { record, .. } => self.logs[i].push(*record),
            Output::Notify(event) => {
                if let Event::Submitted { job, slices, .. } = &event {
                    self.slices.insert(*job, *slices);
                }
                self.events.push((i, event));
            }
            Output::FindProviders { board } => {
                let providers = self.providers.get(&board).into_iter().flatten();
                let peers = providers.map(|p| self.keys[*p]).collect();
                self.later(1, i, Input::Providers { board, peers });
            }
            Output::Provide { board } => {
                self.providers.entry(board).or_default().insert(i);
            }
            Output::StopProviding { board } => {
                self.providers.entry(board).or_default().remove(&i);
            }
            Output::Recall { lease, to, .. } => {
                let swarm = self.genesis.swarm_id();
                let found = self.logs[i].iter().find_map(|record| match record {
                    Record::Kept { receipt, .. } if receipt.id(&swarm) == lease => Some(receipt),
                    _ => None,
                });
                if let Some(receipt) = found.cloned() {
                    self.later(1, i, Input::Recalled { to, receipt });
                }
            }
            Output::Verdict { .. }
            | Output::Abort { .. }
            | Output::Release { .. }
            | Output::Discard { .. } => {}
        }
    }

    /// Peer `i` dies and comes back with its log and nothing else.
    pub fn restart(&mut self, i: usize) {
        let setup = Setup {
            genesis: self.genesis.clone(),
            rng_seed: [0xA0 + i as u8; 32],
            guests: Vec::new(),
        };
        self.peers[i] = Peer::new(setup, Box::new(signer(i)));
        let dies = |input: &Input| {
            matches!(
                input,
                Input::Computed { .. } | Input::Fetched { .. } | Input::Prepared { .. }
            )
        };
        self.queue.retain(|(_, to, input)| *to != i || !dies(input));
        let restored = self.logs[i].clone();
        self.give(
            i,
            Input::Started {
                unix_s: self.clock_of(i),
                restored,
            },
        );
        if i > 0 {
            self.give(i, Input::Capacity(capacity()));
        }
    }

    /// Peer `i` is killed, and does not come back by itself.
    pub fn kill(&mut self, i: usize) {
        self.down.insert(i);
        for providers in self.providers.values_mut() {
            providers.remove(&i);
        }
        let peer = self.keys[i];
        for at in (0..self.keys.len()).filter(|at| *at != i) {
            self.give(at, Input::PeerLost { peer });
        }
    }

    /// It comes back, with its log or on another machine.
    pub fn revive(&mut self, i: usize, with_log: bool) {
        self.down.remove(&i);
        if !with_log {
            self.logs[i].clear();
        }
        self.restart(i);
    }

    pub fn unix_s(&self) -> u64 {
        START_S + self.now / 1_000_000
    }

    /// What the wall clock of peer `i` shows.
    fn clock_of(&self, i: usize) -> u64 {
        self.unix_s().saturating_add_signed(self.skews[i])
    }

    /// The wall clock of peer `i` jumps, as its shell notices at once.
    pub fn jump(&mut self, i: usize, seconds: i64) {
        self.skews[i] += seconds;
        let unix_s = self.clock_of(i);
        self.give(i, Input::Tick { unix_s });
    }

    /// Runs until peer `from` has sent a message of this name, at most `ms`. Whether it has.
    pub fn run_until(&mut self, from: usize, name: &str, ms: u64) -> bool {
        let end = self.now + ms * 1_000;
        loop {
            if self.trace.iter().any(|(i, _, n)| *i == from && *n == name) {
                return true;
            }
            if !self.step(end) {
                return false;
            }
        }
    }

    /// Runs until `ms` have passed.
    pub fn run_for(&mut self, ms: u64) {
        let end = self.now + ms * 1_000;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until the job is over, at most `ms`; how long it took.
    pub fn run_job(&mut self, ms: u64) -> u64 {
        let (start, end) = (self.now, self.now + ms * 1_000);
        while !self.over() && self.step(end) {}
        (self.now - start) / 1_000
    }

    fn step(&mut self, end: u64) -> bool {
        let due = self
            .peers
            .iter()
            .enumerate()
            .filter(|(i, _)| !self.down.contains(i))
            .filter_map(|(i, p)| p.next_deadline().map(|d| (d.at.0, i)))
            .min();
        let message = self.queue.front().map(|(at, _, _)| *at);
        let at = due
            .map(|d| d.0)
            .into_iter()
            .chain(message)
            .min()
            .unwrap_or(end);
        if at >= end {
            return false;
        }
        self.now = self.now.max(at);
        if message == Some(at) {
            let (_, to, input) = self.queue.pop_front().expect("just seen");
            if self.down.contains(&to) {
                // Nobody is there.
            } else if self.natures[to] != Nature::Silent || matches!(input, Input::Gossip { .. }) {
                self.give(to, input);
            }
        } else if let Some((_, i)) = due {
            self.give(
                i,
                Input::Tick {
                    unix_s: self.clock_of(i),
                },
            );
        }
        true
    }
}
