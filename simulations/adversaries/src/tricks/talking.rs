//! Strategies of talking: not at all, too much, or what was said before.

use super::{advert, message};
use crate::backend::invented;
use crate::means::{Identity, KEPT, Means};
use crate::wrap::{Hand, Trick};
use core::time::Duration;
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};
use starling_protocol::evidence::{Lock, Stored};
use starling_protocol::io::{Input, Output, Topic};
use starling_protocol::time::Deadline;
use starling_protocol::{Hash, JobId, LeaseId, Message, PeerKey, Time};
use std::collections::{BTreeSet, VecDeque};

/// Never sends a message.
pub(super) struct Silent;

impl Trick for Silent {
    fn on_output(&mut self, _: &mut Hand<'_>, output: Output) -> Option<Output> {
        Some(output).filter(|o| !matches!(o, Output::Send { .. }))
    }
}

/// At most this many messages at one instant; a thousand instants a second.
const PACE: Duration = Duration::from_millis(1);

/// When the next message is due.
struct Metronome {
    per_s: u32,
    next: Option<Time>,
}

impl Metronome {
    /// From `now` on, if it has not started.
    fn start(&mut self, now: Time) {
        if self.next.is_none() {
            self.next = Some(now.after(self.interval()));
        }
    }

    fn interval(&self) -> Duration {
        (Duration::from_secs(1) / self.per_s).max(PACE)
    }

    /// How many are due now. A peer that slept does not catch up.
    fn beat(&mut self, now: Time) -> u32 {
        self.next = Some(now.after(self.interval()));
        (self.per_s / 1_000).max(1)
    }

    fn due(&self, reason: &'static str) -> Option<Deadline> {
        self.next.map(|at| Deadline { at, reason })
    }
}

/// The peers and jobs that this peer has heard of.
struct Known {
    me: PeerKey,
    peers: BTreeSet<PeerKey>,
    jobs: BTreeSet<JobId>,
    rng: ChaCha12Rng,
}

fn pick<T: Copy>(rng: &mut ChaCha12Rng, set: &BTreeSet<T>) -> Option<T> {
    let place = rng.next_u64() % (set.len() as u64).max(1);
    set.iter().nth(place as usize).copied()
}

impl Known {
    fn new(identity: &Identity, seed: [u8; 32]) -> Self {
        Self {
            me: identity.me,
            peers: BTreeSet::new(),
            jobs: BTreeSet::new(),
            rng: ChaCha12Rng::from_seed(seed),
        }
    }

    fn meet(&mut self, peer: PeerKey) {
        if peer != self.me && self.peers.len() < KEPT {
            self.peers.insert(peer);
        }
    }

    fn learn(&mut self, identity: &Identity, input: &Input) {
        match input {
            Input::Gossip { data, .. } => {
                if let Some(advert) = advert(data) {
                    self.meet(advert.body.peer);
                }
            }
            Input::Message { from, .. } | Input::PeerConnected { peer: from } => self.meet(*from),
            _ => {}
        }
        if let Some(Message::Record(record)) = message(input)
            && self.jobs.len() < KEPT
        {
            self.jobs.insert(record.id(&identity.swarm));
        }
    }

    fn hash(&mut self) -> Hash {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        Hash(bytes)
    }
}

/// Noise, some of it well formed and well signed.
pub(super) struct Flood {
    identity: Identity,
    known: Known,
    metronome: Metronome,
}

impl Flood {
    pub(super) fn new(per_s: u32, means: &Means, index: usize) -> Self {
        let identity = Identity::new(means);
        Self {
            known: Known::new(&identity, means.stream("flood", index)),
            identity,
            metronome: Metronome { per_s, next: None },
        }
    }

    fn noise(&mut self) -> Vec<u8> {
        let any = self.known.hash();
        let job = pick(&mut self.known.rng, &self.known.jobs).unwrap_or(JobId(any));
        let lease = LeaseId(any);
        let message = match self.known.rng.next_u32() % 8 {
            0 => {
                let mut bytes = vec![0; 1 + self.known.rng.next_u32() as usize % 256];
                self.known.rng.fill_bytes(&mut bytes);
                return bytes;
            }
            1 => Message::LeaseRequest { job },
            2 => Message::RecordRequest { job },
            3 => Message::BoardQuery {
                class: any.to_string(),
            },
            4 => Message::Seal { lease, digest: any },
            5 => Message::Audited { lease },
            6 => Message::Locked(self.identity.sign(Lock {
                lease,
                root: any,
                nonce_digest: any,
            })),
            _ => Message::Stored(Box::new(self.identity.sign(Stored { lease, root: any }))),
        };
        message.to_bytes()
    }
}

impl Trick for Flood {
    fn on_input(&mut self, hand: &mut Hand<'_>, input: Input) -> Option<Input> {
        self.known.learn(&self.identity, &input);
        self.metronome.start(hand.now);
        Some(input)
    }

    fn asleep(&mut self, input: &Input) {
        self.known.learn(&self.identity, input);
    }

    fn due(&self) -> Option<Deadline> {
        self.metronome.due("flood")
    }

    fn on_due(&mut self, hand: &mut Hand<'_>) {
        for _ in 0..self.metronome.beat(hand.now) {
            let bytes = self.noise();
            if let Some(to) = pick(&mut self.known.rng, &self.known.peers) {
                hand.send_bytes(to, bytes);
            }
        }
    }
}

/// What was said some time ago.
struct Old {
    at: Time,
    /// To whom; of others' words only they know.
    to: Option<PeerKey>,
    what: What,
}

enum What {
    Message(Vec<u8>),
    Gossip(Topic, Vec<u8>),
}

/// Says again what was said.
pub(super) struct Replay {
    identity: Identity,
    known: Known,
    metronome: Metronome,
    /// The oldest first.
    heap: VecDeque<Old>,
}

/// Remembered by a replaying peer.
const OLD: usize = 2048;
/// Before that it is a repetition and nothing old.
const AGE: Duration = Duration::from_secs(1);

impl Replay {
    pub(super) fn new(per_s: u32, means: &Means, index: usize) -> Self {
        let identity = Identity::new(means);
        Self {
            known: Known::new(&identity, means.stream("replay", index)),
            identity,
            metronome: Metronome { per_s, next: None },
            heap: VecDeque::new(),
        }
    }

    fn remember(&mut self, at: Time, to: Option<PeerKey>, what: What) {
        if self.heap.len() >= OLD {
            self.heap.pop_front();
        }
        self.heap.push_back(Old { at, to, what });
    }
}

impl Trick for Replay {
    fn on_input(&mut self, hand: &mut Hand<'_>, input: Input) -> Option<Input> {
        self.known.learn(&self.identity, &input);
        self.metronome.start(hand.now);
        match &input {
            Input::Message { bytes, .. } => {
                self.remember(hand.now, None, What::Message(bytes.clone()));
            }
            Input::Gossip { topic, data, .. } => {
                self.remember(hand.now, None, What::Gossip(*topic, data.clone()));
            }
            _ => {}
        }
        Some(input)
    }

    fn on_output(&mut self, hand: &mut Hand<'_>, output: Output) -> Option<Output> {
        if let Output::Send { to, bytes, .. } = &output {
            self.remember(hand.now, Some(*to), What::Message(bytes.clone()));
        }
        Some(output)
    }

    fn asleep(&mut self, input: &Input) {
        self.known.learn(&self.identity, input);
    }

    fn due(&self) -> Option<Deadline> {
        self.metronome.due("replay")
    }

    fn on_due(&mut self, hand: &mut Hand<'_>) {
        for _ in 0..self.metronome.beat(hand.now) {
            let old = self.heap.partition_point(|o| hand.now.since(o.at) >= AGE);
            let Some(place) = (self.known.rng.next_u64() as usize).checked_rem(old) else {
                return;
            };
            let other = pick(&mut self.known.rng, &self.known.peers);
            let Old { to, what, .. } = &self.heap[place];
            match (what, to.or(other)) {
                (What::Gossip(topic, data), _) => {
                    let (topic, data) = (*topic, data.clone());
                    hand.out.push(Output::Publish { topic, data });
                }
                (What::Message(bytes), Some(to)) => hand.send_bytes(to, bytes.clone()),
                (What::Message(_), None) => {}
            }
        }
    }
}

/// A coin that falls the same way for one lease at every run.
pub(super) fn coin(seed: &Hash, lease: &LeaseId, purpose: u32) -> bool {
    invented(seed, &lease.0, purpose).0[0] & 1 == 1
}
