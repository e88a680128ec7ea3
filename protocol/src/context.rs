//! What every sub-machine shares: the clock as last told, the identity, randomness, timers, and the outputs.

use crate::advert::Advert;
use crate::board;
use crate::config;
use crate::crypto::{BoxedSigner, Signer as _, Verifier};
use crate::genesis::Genesis;
use crate::hash::{BlobId, Derive, Hash, JobId, KernelId, LeaseId, PeerKey, SwarmId};
use crate::io::{Event, Output, PersistSeq, Purpose, Record, Setup, TaskId};
use crate::memo::Remembering;
use crate::message::Message;
use crate::reputation::Reputation;
use crate::signed::{Fact, Signed};
use crate::time::Time;
use crate::timers::Timers;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

/// Who waits for a computation or a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The worker of a lease.
    Worker(LeaseId),
    /// The auditor of a lease.
    Auditor(LeaseId),
    /// The collector of a lease.
    Collector(LeaseId),
    /// The collector of a lease, for tiles of its own.
    Ringers(LeaseId),
    /// The requester of a job, for a slice of its own.
    Requester(JobId, u32),
    /// The steward of a job, for a slice that another one handed over.
    Steward(JobId, u32),
    /// Whoever judges a fraud proof that went round.
    Faults,
    /// The prober, for the sample that it checks.
    Prober,
    /// The probed side, for what it is measured by.
    Probed,
}

pub(crate) struct Context {
    pub(crate) now: Time,
    pub(crate) swarm: SwarmId,
    pub(crate) genesis: Genesis,
    guests: Vec<KernelId>,
    signer: Remembering,
    /// What adverts are signed under.
    adverts: Derive,
    pub(crate) me: PeerKey,
    shard: u16,
    pub(crate) timers: Timers,
    pub(crate) out: Vec<Output>,
    /// What every machine notes of others, and some ask.
    pub(crate) reputation: Reputation,
    rng: ChaCha12Rng,
    unix: (Time, u64),
    last_seq: u64,
    last_task: u64,
    tasks: BTreeMap<TaskId, Waiting>,
    /// Blobs that are kept for requesters, and for how many slices each.
    pinned: BTreeMap<BlobId, u32>,
}

impl Context {
    pub(crate) fn new(setup: Setup, signer: BoxedSigner) -> Self {
        let Setup {
            genesis,
            rng_seed,
            guests,
        } = setup;
        Self {
            guests,
            now: Time::default(),
            swarm: genesis.swarm_id(),
            shard: board::home(&signer.key(), genesis.shards),
            genesis,
            me: signer.key(),
            signer: Remembering::new(signer),
            adverts: Derive::new(Advert::CONTEXT),
            timers: Timers::default(),
            out: Vec::new(),
            reputation: Reputation::default(),
            rng: ChaCha12Rng::from_seed(rng_seed),
            unix: (Time::default(), 0),
            last_seq: 0,
            last_task: 0,
            tasks: BTreeMap::new(),
            pinned: BTreeMap::new(),
        }
    }

    /// Keeps a blob, whoever else has done with it.
    pub(crate) fn pin(&mut self, blob: BlobId) {
        *self.pinned.entry(blob).or_default() += 1;
    }

    /// Keeps it no longer.
    pub(crate) fn unpin(&mut self, blob: BlobId) {
        if let Some(count) = self.pinned.get_mut(&blob) {
            *count -= 1;
            if *count == 0 {
                self.pinned.remove(&blob);
                self.discard(blob);
            }
        }
    }

    /// A blob may go, unless it is kept for a requester.
    pub(crate) fn discard(&mut self, blob: BlobId) {
        if !self.pinned.contains_key(&blob) {
            self.out.push(Output::Discard { blob });
        }
    }

    /// Unix seconds, carried forward from the last time that the shell told them.
    pub(crate) fn unix_s(&self) -> u64 {
        self.unix
            .1
            .saturating_add(self.now.since(self.unix.0).as_secs())
    }

    pub(crate) fn set_unix(&mut self, unix_s: u64) {
        self.unix = (self.now, unix_s);
    }

    /// Whether jobs of this kernel bring their own code. A driver that errs on somebody's code would convict an honest
    /// peer before the whole swarm, so a fault in it stays with whoever saw it.
    pub(crate) fn brings_code(&self, kernel: &KernelId) -> bool {
        self.guests.contains(kernel)
    }

    pub(crate) fn advert_interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.genesis.advert_ms))
    }

    /// Whether a peer belongs to this one's shard.
    pub(crate) fn is_near(&self, peer: &PeerKey) -> bool {
        self.genesis.shards == 1 || board::home(peer, self.genesis.shards) == self.shard
    }

    /// The board of a kernel class in this peer's shard.
    pub(crate) fn board(&self, class: &str) -> Hash {
        board::key(&self.swarm, class, self.shard)
    }

    pub(crate) fn nonce(&mut self) -> Hash {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        Hash(bytes)
    }

    /// Uniform enough for choices that carry no safety.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.rng.next_u32() % bound.max(1)
    }

    pub(crate) fn sign<T: Fact>(&self, body: T) -> Signed<T> {
        Signed::new(body, &self.swarm, &self.signer)
    }

    pub(crate) fn verify<T: Fact>(&self, fact: &Signed<T>, key: &PeerKey) -> bool {
        fact.verify(&self.swarm, &self.signer, key)
    }

    /// Of all facts a peer hears most adverts: each comes once, so that it need not be remembered, and its encoded
    /// `body` is at hand.
    pub(crate) fn verify_advert(&self, advert: &Signed<Advert>, body: &[u8]) -> bool {
        let digest = self.adverts.of(&[self.swarm.as_bytes(), body]);
        let by = &advert.body.peer;
        self.signer.once().verify(by, &digest, &advert.signature)
    }

    pub(crate) fn verifier(&self) -> &dyn Verifier {
        &self.signer
    }

    /// A secret that only this identity can derive.
    pub(crate) fn prf(&self, context: &'static str, input: &[u8]) -> Hash {
        self.signer.prf(context, input)
    }

    pub(crate) fn send(&mut self, to: PeerKey, message: &Message) {
        self.out.push(Output::Send {
            to,
            bytes: message.to_bytes(),
            after: None,
        });
    }

    /// Sends once the record is durable.
    pub(crate) fn send_after(&mut self, seq: PersistSeq, to: PeerKey, message: &Message) {
        self.out.push(Output::Send {
            to,
            bytes: message.to_bytes(),
            after: Some(seq),
        });
    }

    /// Says again what rests on a record: not before all that was logged so far is durable, and so that record with it.
    pub(crate) fn send_again(&mut self, to: PeerKey, message: &Message) {
        match self.last_seq {
            // Nothing was logged in this life: what the message rests on was restored.
            0 => self.send(to, message),
            seq => self.send_after(PersistSeq(seq), to, message),
        }
    }

    pub(crate) fn persist(&mut self, record: Record) -> PersistSeq {
        self.last_seq += 1;
        let seq = PersistSeq(self.last_seq);
        self.out.push(Output::Persist {
            seq,
            record: Box::new(record),
        });
        seq
    }

    pub(crate) fn notify(&mut self, event: Event) {
        self.out.push(Output::Notify(event));
    }

    /// `tiles` count within the job.
    pub(crate) fn compute(
        &mut self,
        waiting: Waiting,
        job: JobId,
        tiles: Vec<u32>,
        purpose: Purpose,
    ) -> TaskId {
        let task = self.task(waiting);
        self.out.push(Output::Compute {
            task,
            job,
            tiles,
            purpose,
        });
        task
    }

    /// Tiles of the job that shells make up of (kernel, seed, units).
    pub(crate) fn probe(
        &mut self,
        waiting: Waiting,
        (kernel, seed, units): (KernelId, Hash, u64),
        tiles: Vec<u32>,
        purpose: Purpose,
    ) -> TaskId {
        let task = self.task(waiting);
        self.out.push(Output::Probe {
            task,
            kernel,
            seed,
            units,
            tiles,
            purpose,
        });
        task
    }

    /// Whether nothing is being computed or fetched.
    pub(crate) fn computes_nothing(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whether nothing was begun after `task`.
    pub(crate) fn is_last_task(&self, task: TaskId) -> bool {
        task.0 == self.last_task
    }

    pub(crate) fn fetch(
        &mut self,
        waiting: Waiting,
        blob: BlobId,
        len: u64,
        tile_bytes: u32,
        from: PeerKey,
    ) -> TaskId {
        let task = self.task(waiting);
        self.out.push(Output::Fetch {
            task,
            blob,
            len,
            tile_bytes,
            from,
        });
        task
    }

    pub(crate) fn store(&mut self, waiting: Waiting, bytes: Vec<u8>, tile_bytes: u32) -> TaskId {
        let task = self.task(waiting);
        self.out.push(Output::Store {
            task,
            bytes,
            tile_bytes,
        });
        task
    }

    fn task(&mut self, waiting: Waiting) -> TaskId {
        self.last_task += 1;
        let task = TaskId(self.last_task);
        self.tasks.insert(task, waiting);
        task
    }

    /// Who waits for `task`; nobody when it was aborted.
    pub(crate) fn take_task(&mut self, task: TaskId) -> Option<Waiting> {
        self.tasks.remove(&task)
    }

    pub(crate) fn abort(&mut self, task: Option<TaskId>) {
        if let Some(task) = task.filter(|t| self.tasks.remove(t).is_some()) {
            self.out.push(Output::Abort { task });
        }
    }

    /// The wait before try number `tries` + 1.
    pub(crate) fn retry_at(&self, tries: usize) -> Time {
        self.now
            .after(config::RETRY[tries.min(config::RETRY.len() - 1)])
    }
}
