//! Six peers, one of them a second steward, whose network, devices and lives the input decides; afterwards the network is honest and the job must end.
//!
//! Invariants that are asserted: no panic, every job ends, a peer answers one input with a bounded number of outputs,
//! nobody signs two roots or reveals twice, whatever arrived in whatever order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use starling_protocol::advert::{DeviceKind, DeviceProfile, KernelOffer};
use starling_protocol::io::{
    Capacity, Computed, GossipId, Purpose, Record, Setup, Shape, Submission, Topic,
};
use starling_protocol::text::{Text, cut};
use starling_protocol::{
    BlobId, Core, Event, Genesis, Hash, Input, JobId, KernelId, LeaseId, Message, Output, Peer,
    PeerKey, Reason, Scope, Tier, Time,
};
use starling_sim::signer::Scheme;

use crate::{Target, split};

pub(crate) const PEERS: Target = Target {
    name: "peers",
    about: "a small swarm on a network that the input decides",
    run,
    seeds,
};

const COUNT: usize = 6;
/// No input makes a peer say more than this.
const OUTPUTS_MAX: usize = 10_000;
/// Inputs that wait; older ones are dropped.
const QUEUE_MAX: usize = 4_096;
/// Steps of the honest ending.
const STEPS_MAX: usize = 60_000;
const DEADLINE_S: u64 = 600;

struct Arena {
    genesis: Genesis,
    peers: Vec<Peer>,
    keys: Vec<PeerKey>,
    lives: u8,
    now: u64,
    queue: VecDeque<(usize, Input)>,
    logs: Vec<Vec<Record>>,
    outputs: BTreeMap<BlobId, Vec<Hash>>,
    open: BTreeSet<JobId>,
    /// Whose device lies or fails next.
    lies: [bool; COUNT],
    fails: [bool; COUNT],
    /// Kinds of events so far, a bit each.
    seen: u64,
    /// Everything that was sent and gossiped, if somebody wants it.
    told: Option<Vec<Vec<u8>>>,
}

fn shape() -> Shape {
    Shape {
        tiles: 128,
        tile_bytes: 64,
        units_per_tile: 1_000,
        tier: Tier::Exact,
    }
}

fn capacity() -> Capacity {
    Capacity {
        devices: vec![DeviceProfile {
            kind: DeviceKind::Cpu,
            name: cut("fuzz"),
        }],
        kernels: vec![KernelOffer {
            kernel: KernelId::from([7; 32]),
            class: cut("fuzz"),
            tier: Tier::Exact,
            units_per_s: 1_000_000,
            price: 0,
        }],
        slots: 1,
        region: Text::new(),
        software: cut("fuzz"),
    }
}

impl Arena {
    fn new() -> Self {
        let genesis = Genesis::new("fuzz", Scope::Local, Hash::default());
        let mut arena = Self {
            keys: (0..COUNT)
                .map(|i| Scheme::Cheap.signer(&[i as u8 + 1; 32]).key())
                .collect(),
            peers: Vec::new(),
            genesis,
            lives: 0,
            now: 1_000_000,
            queue: VecDeque::new(),
            logs: vec![Vec::new(); COUNT],
            outputs: BTreeMap::new(),
            open: BTreeSet::new(),
            lies: [false; COUNT],
            fails: [false; COUNT],
            seen: 0,
            told: None,
        };
        for i in 0..COUNT {
            let peer = arena.born(i);
            arena.peers.push(peer);
        }
        (0..COUNT).for_each(|i| arena.start(i));
        arena
    }

    fn born(&mut self, i: usize) -> Peer {
        self.lives = self.lives.wrapping_add(1);
        let setup = Setup {
            genesis: self.genesis.clone(),
            rng_seed: [self.lives; 32],
            guests: Vec::new(),
        };
        Peer::new(setup, Scheme::Cheap.signer(&[i as u8 + 1; 32]))
    }

    fn unix_s(&self) -> u64 {
        1_800_000_000 + self.now / 1_000_000
    }

    fn start(&mut self, i: usize) {
        let (unix_s, restored) = (self.unix_s(), self.logs[i].clone());
        self.give(i, Input::Started { unix_s, restored });
        if i > 0 {
            self.give(i, Input::Capacity(capacity()));
        }
    }

    fn restart(&mut self, i: usize) {
        self.peers[i] = self.born(i);
        let dies = |input: &Input| {
            matches!(
                input,
                Input::Computed { .. } | Input::Fetched { .. } | Input::Prepared { .. }
            )
        };
        self.queue.retain(|(to, input)| *to != i || !dies(input));
        self.start(i);
    }

    fn give(&mut self, i: usize, input: Input) {
        let outputs: Vec<_> = self.peers[i].handle(Time(self.now), input).collect();
        assert!(outputs.len() <= OUTPUTS_MAX, "{} outputs", outputs.len());
        outputs
            .into_iter()
            .for_each(|output| self.perform(i, output));
    }

    fn later(&mut self, to: usize, input: Input) {
        if self.queue.len() >= QUEUE_MAX {
            self.queue.pop_front();
        }
        self.queue.push_back((to, input));
    }

    fn perform(&mut self, i: usize, output: Output) {
        match output {
            Output::Publish { topic, data } => {
                if let Some(told) = &mut self.told {
                    told.push(data.clone());
                }
                for to in (0..COUNT).filter(|to| *to != i) {
                    let (id, data) = (GossipId(0), data.clone());
                    self.later(to, Input::Gossip { id, topic, data });
                }
            }
            Output::Send { to, bytes, .. } => {
                if let Some(told) = &mut self.told {
                    told.push(bytes.clone());
                }
                if let Some(to) = self.keys.iter().position(|k| *k == to) {
                    let from = self.keys[i];
                    self.later(to, Input::Message { from, bytes });
                }
            }
            Output::Compute {
                task,
                job,
                tiles,
                purpose,
            } => {
                let result = self.computed(i, job, &tiles, purpose);
                self.later(i, Input::Computed { task, result });
            }
            Output::Probe {
                task,
                seed,
                units,
                tiles,
                purpose,
                kernel: _,
            } => {
                // Named by its seed, as a job is by its id.
                let result = self.computed(i, JobId(seed), &tiles, purpose);
                let result = result.map(|c| Computed { units, ..c });
                self.later(i, Input::Computed { task, result });
            }
            Output::Fetch { task, blob, .. } => {
                let result = self.outputs.get(&blob).cloned().ok_or(Reason::FetchFailed);
                self.later(i, Input::Fetched { task, result });
            }
            Output::Prepare { job, .. } => {
                self.later(
                    i,
                    Input::Prepared {
                        job,
                        shape: Ok(shape()),
                    },
                );
            }
            Output::FindProviders { board } => {
                let peers = vec![self.keys[0]];
                self.later(i, Input::Providers { board, peers });
            }
            Output::Recall { lease, to, .. } => {
                let kept = |record: &Record| match record {
                    Record::Kept { receipt, .. } => Some(receipt.clone()),
                    _ => None,
                };
                let mut kept = self.logs[i].iter().filter_map(kept);
                if let Some(receipt) = kept.find(|r| r.commitment.body.lease == lease) {
                    self.later(i, Input::Recalled { to, receipt });
                }
            }
            Output::Persist { record, .. } => self.logs[i].push(*record),
            Output::Notify(event) => self.notice(i, &event),
            Output::Verdict { .. }
            | Output::Store { .. }
            | Output::Provide { .. }
            | Output::StopProviding { .. }
            | Output::Abort { .. }
            | Output::Release { .. }
            | Output::Discard { .. } => {}
        }
    }

    fn computed(
        &mut self,
        i: usize,
        job: JobId,
        tiles: &[u32],
        purpose: Purpose,
    ) -> Result<Computed, Reason> {
        if std::mem::take(&mut self.fails[i]) && purpose != Purpose::Own {
            return Err(Reason::DeviceFailed);
        }
        let lies = std::mem::take(&mut self.lies[i]) && purpose != Purpose::Own;
        let hash = |t: &u32| Hash::of(&[&t.to_le_bytes()[..], &[u8::from(lies)]].concat());
        let tiles: Vec<_> = tiles.iter().map(hash).collect();
        let keeps = matches!(purpose, Purpose::Work | Purpose::Own);
        let first = tiles.first().copied().unwrap_or_default();
        let blob = keeps.then(|| BlobId(Hash::derive("fuzz blob", &[job.as_bytes(), &first.0])));
        if let Some(blob) = blob {
            self.outputs.insert(blob, tiles.clone());
        }
        Ok(Computed {
            blob,
            ..Computed::tiles(tiles)
        })
    }

    fn notice(&mut self, i: usize, event: &Event) {
        let kind = match event {
            Event::PeerSeen { .. } => 0,
            Event::PeerGone { .. } => 1,
            Event::Submitted { job, .. } | Event::Resumed { job, .. } => {
                self.open.insert(*job);
                2
            }
            Event::SubmitRefused { .. } => 3,
            Event::Leased { .. } => 4,
            Event::Committed { .. } => 5,
            Event::Auditing { .. } => 6,
            Event::SliceDone { receipt, .. } => 7 + u64::from(receipt.is_some()),
            Event::SliceReopened { .. } => 9,
            Event::CheatCaught { .. } => 10,
            Event::ClocksDiffer { .. }
            | Event::FalseAccusation { .. }
            | Event::FraudProven { .. }
            | Event::ClaimStruck { .. } => 11,
            Event::JobDone { job } => {
                self.open.remove(job);
                12
            }
            Event::JobFailed { job, .. } => {
                self.open.remove(job);
                13
            }
            Event::Working { .. } => 14,
            Event::Earned { .. } => 15,
            Event::Lost { .. } => 16,
            Event::Held { .. } => 17,
            Event::Found { .. } | Event::NotFound { .. } => 18,
            Event::Appointed { .. }
            | Event::Kept { .. }
            | Event::Relieved { .. }
            | Event::TakenOver { .. } => 19,
        };
        self.seen |= 1 << kind | u64::from(i == 0) << 20;
    }

    fn submit(&mut self) {
        let submission = Submission {
            kernel: KernelId::from([7; 32]),
            class: "fuzz".into(),
            params: vec![1],
            inputs: Vec::new(),
            shape: shape(),
            slice_tiles: Some(64),
            max_price: None,
            deadline_in_s: DEADLINE_S,
            stewards: None,
            full_audits: false,
        };
        self.give(0, Input::Submit(Box::new(submission)));
    }

    fn deliver(&mut self) {
        if let Some((to, input)) = self.queue.pop_front() {
            self.now += 1_000;
            self.give(to, input);
        }
    }

    /// Whoever waits longest gets its tick.
    fn tick(&mut self) {
        let due = |(i, p): (usize, &Peer)| p.next_deadline().map(|d| (d.at.0, i));
        if let Some((at, i)) = self.peers.iter().enumerate().filter_map(due).min() {
            self.now = self.now.max(at);
            let unix_s = self.unix_s();
            self.give(i, Input::Tick { unix_s });
        }
    }

    /// Until everybody has heard of everybody.
    fn meet(&mut self) {
        let end = self.now + 4_000_000;
        while self.now < end {
            if self.queue.is_empty() {
                self.tick();
            } else {
                self.deliver();
            }
        }
    }

    /// One operation of the script.
    fn op(&mut self, op: u8, script: &mut &[u8]) {
        let mut take = || {
            let (byte, rest) = split(script);
            *script = rest;
            byte
        };
        match op % 16 {
            0..=4 => (0..=op >> 4).for_each(|_| self.deliver()),
            5 => drop(self.queue.pop_front()),
            6 => {
                if let Some(first) = self.queue.front().cloned() {
                    self.queue.push_back(first);
                }
            }
            7 => {
                if let Some(first) = self.queue.pop_front() {
                    self.queue.push_back(first);
                }
            }
            // Bytes of the next message are changed on the way, as a peer could that signs what it likes.
            8 => {
                let (low, high, with) = (take(), take(), take());
                if let Some((_, Input::Message { bytes, .. } | Input::Gossip { data: bytes, .. })) =
                    self.queue.front_mut()
                    && !bytes.is_empty()
                {
                    let at = usize::from(u16::from_le_bytes([low, high])) % bytes.len();
                    bytes[at] ^= with;
                }
            }
            9 => (0..=op >> 4).for_each(|_| self.tick()),
            10 => self.now += u64::from(take()) * 100_000,
            11 => self.restart(usize::from(op >> 4) % COUNT),
            12 => self.lies[usize::from(op >> 4) % COUNT] = true,
            13 => self.fails[usize::from(op >> 4) % COUNT] = true,
            // Any bytes from anybody, also from a stranger.
            14 => {
                let (from, len) = (take(), usize::from(take()));
                let from = self.keys.get(usize::from(from)).copied();
                let bytes = script[..len.min(script.len())].to_vec();
                *script = &script[bytes.len()..];
                let input = match from {
                    Some(from) => Input::Message { from, bytes },
                    None => Input::Gossip {
                        id: GossipId(1),
                        topic: match len % 2 {
                            0 => Topic::Capacity,
                            _ => Topic::Faults,
                        },
                        data: bytes,
                    },
                };
                self.give(usize::from(op >> 4) % COUNT, input);
            }
            _ => match op >> 4 {
                0 => self.submit(),
                1 => {
                    if let Some(job) = self.open.first().copied() {
                        self.give(0, Input::Cancel { job });
                    }
                }
                i => {
                    let (to, peer) = (usize::from(i) % COUNT, self.keys[usize::from(i) / COUNT]);
                    self.give(to, Input::PeerLost { peer });
                }
            },
        }
    }

    /// From here on everything arrives, in order.
    fn settle(&mut self) {
        self.lies = [false; COUNT];
        self.fails = [false; COUNT];
        for _ in 0..STEPS_MAX {
            if self.open.is_empty() {
                return;
            }
            if self.queue.is_empty() {
                self.tick();
            } else {
                self.deliver();
            }
        }
        panic!("a job does not end: {:?}", self.open);
    }

    fn check_logs(&self) {
        for log in &self.logs {
            let (mut roots, mut locks) = (BTreeMap::new(), BTreeMap::<LeaseId, _>::new());
            let mut slices = BTreeMap::new();
            for record in log {
                match record {
                    Record::Committed { lease, root } => {
                        assert_eq!(roots.entry(*lease).or_insert(*root), root, "two roots");
                    }
                    Record::Locked {
                        lease,
                        root,
                        job,
                        slice,
                        worker,
                        ..
                    } => {
                        let of = (*job, *slice, *worker);
                        let first = locks.entry(*lease).or_insert((*root, of));
                        assert_eq!(*first, (*root, of), "two locks");
                    }
                    Record::Revealed { lease, .. } => {
                        let (_, of) = locks[lease];
                        assert_eq!(slices.insert(of, *lease), None, "two reveals");
                    }
                    _ => {}
                }
            }
        }
    }
}

fn run(script: &[u8]) -> u64 {
    let mut arena = Arena::new();
    arena.meet();
    arena.submit();
    let mut rest = script;
    while !rest.is_empty() {
        let (op, after) = split(rest);
        rest = after;
        arena.op(op, &mut rest);
    }
    arena.settle();
    arena.check_logs();
    arena.seen
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        Vec::new(),
        vec![0xf0; 64],
        vec![0x0b, 0xf0, 0x1b, 0xf0, 0x2b, 0xf0],
    ];
    seeds.push([[0xf0, 0x05, 0x09, 0x06].repeat(20), vec![0xfc, 0xf0]].concat());
    // Real messages, from the wrong peer.
    for bytes in story().0.into_iter().filter(|b| b.len() < 250).step_by(3) {
        seeds.push([&[0xf0, 0x1e, 2, bytes.len() as u8][..], &bytes].concat());
    }
    seeds
}

/// What six honest peers say and log over one job, and the job's receipts' owner's log.
pub(crate) fn story() -> (Vec<Vec<u8>>, Vec<Record>) {
    let mut arena = Arena::new();
    arena.told = Some(Vec::new());
    arena.meet();
    arena.submit();
    arena.lies[1] = true;
    arena.settle();
    let records = arena.logs.concat();
    (arena.told.unwrap_or_default(), records)
}

/// The swarm of [`story`].
pub(crate) fn genesis() -> Genesis {
    Genesis::new("fuzz", Scope::Local, Hash::default())
}

/// The name of a message's kind, for outcomes.
pub(crate) fn kind(message: &Message) -> &'static str {
    message.name()
}
