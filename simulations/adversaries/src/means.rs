//! What a misbehaving peer has in hand: its identity a second time, its friends, a seed, and what the wrapper around
//! its core and its lying device tell each other. Every map in it is capped: adversaries run in real processes too.

use starling_protocol::crypto::{BoxedSigner, Signer};
use starling_protocol::signed::{Fact, Signed};
use starling_protocol::{Hash, JobId, Message, PeerKey, SwarmId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Entries of each table that a peer keeps.
pub(crate) const KEPT: usize = 4_096;

/// Makes the peer's own identity again: the core owns the first one.
pub type SignerFactory = Arc<dyn Fn() -> BoxedSigner + Send + Sync>;

/// Needed by wrappers and backends of one peer; both get clones of the same.
#[derive(Clone)]
pub struct Means {
    /// The peer's own identity.
    pub signer: SignerFactory,
    /// Under which facts are signed.
    pub swarm: SwarmId,
    /// Its ring, clique or accomplices; whether it is itself among them does not matter.
    pub friends: BTreeSet<PeerKey>,
    /// What the ring has agreed on: makes its lies. The same for all friends, unknown to others.
    pub ring: Hash,
    /// Makes the peer's own lies and all that it draws: the same seed, the same misdeeds.
    pub seed: Hash,
    /// What wrapper and backend tell each other; one per peer.
    pub shared: Shared,
}

impl Means {
    /// Those of a loner.
    #[must_use]
    pub fn new(signer: SignerFactory, swarm: SwarmId, seed: Hash) -> Self {
        Self {
            signer,
            swarm,
            friends: BTreeSet::new(),
            ring: Hash::default(),
            seed,
            shared: Shared::default(),
        }
    }

    /// Those of one of `friends`, who share a secret.
    #[must_use]
    pub fn among(self, friends: impl IntoIterator<Item = PeerKey>, ring: Hash) -> Self {
        Self {
            friends: friends.into_iter().collect(),
            ring,
            ..self
        }
    }

    /// A generator's seed for one purpose.
    pub(crate) fn stream(&self, purpose: &str, index: usize) -> [u8; 32] {
        let index = (index as u64).to_le_bytes();
        Hash::derive(
            "starling-adversaries 2026-11 stream v1",
            &[&self.seed.0, &index, purpose.as_bytes()],
        )
        .0
    }
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Means")
            .field("friends", &self.friends)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// The identity as a wrapper holds it.
pub(crate) struct Identity {
    signer: BoxedSigner,
    pub(crate) swarm: SwarmId,
    pub(crate) me: PeerKey,
}

impl Identity {
    pub(crate) fn new(means: &Means) -> Self {
        let signer = (means.signer)();
        Self {
            me: signer.key(),
            swarm: means.swarm,
            signer,
        }
    }

    pub(crate) fn sign<T: Fact>(&self, body: T) -> Signed<T> {
        let signer: &dyn Signer = &*self.signer;
        Signed::new(body, &self.swarm, signer)
    }

    /// Whether this peer itself signed `fact`.
    pub(crate) fn is_mine<T: Fact>(&self, fact: &Signed<T>) -> bool {
        fact.verify(&self.swarm, self.signer.verifier(), &self.me)
    }
}

/// In which role this peer judges somebody's slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judge {
    Auditor,
    Collector,
}

#[derive(Debug, Default)]
struct Tables {
    /// Receipts earned.
    earned: u32,
    /// Receipts that were earned when the own lease of a slice came.
    leased: BTreeMap<(JobId, u32), u32>,
    /// Whose slice this peer judges, and as what.
    judged: BTreeMap<(JobId, u32), (PeerKey, Judge)>,
    /// What openings have shown: tiles of a slice.
    shown: BTreeMap<(JobId, u32), BTreeMap<u32, Hash>>,
}

/// See [`Means::shared`].
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<Tables>>);

fn keep<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) {
    map.insert(key, value);
    while map.len() > KEPT {
        map.pop_first();
    }
}

impl Shared {
    /// A panic elsewhere leaves tables that are as good as before.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many receipts the peer has earned.
    #[must_use]
    pub fn earned(&self) -> u32 {
        self.tables().earned
    }

    pub(crate) fn earn(&self) {
        let mut tables = self.tables();
        tables.earned = tables.earned.saturating_add(1);
    }

    /// How many it had when the slice was leased to it; a slice is faked as a whole or not at all.
    pub(crate) fn earned_before(&self, job: JobId, slice: u32) -> u32 {
        let tables = self.tables();
        tables
            .leased
            .get(&(job, slice))
            .copied()
            .unwrap_or(tables.earned)
    }

    pub(crate) fn judge(&self, job: JobId, slice: u32) -> Option<(PeerKey, Judge)> {
        self.tables().judged.get(&(job, slice)).copied()
    }

    pub(crate) fn shown(&self, job: JobId, slice: u32, tile: u32) -> Option<Hash> {
        self.tables().shown.get(&(job, slice))?.get(&tile).copied()
    }

    pub(crate) fn show(
        &self,
        job: JobId,
        slice: u32,
        tiles: impl IntoIterator<Item = (u32, Hash)>,
    ) {
        let mut tables = self.tables();
        let mut of_slice = tables.shown.remove(&(job, slice)).unwrap_or_default();
        of_slice.extend(tiles);
        keep(&mut tables.shown, (job, slice), of_slice);
    }

    /// What was said to this peer.
    pub(crate) fn heard(&self, message: &Message) {
        let mut tables = self.tables();
        match message {
            Message::LeaseGrant(lease) => {
                let earned = tables.earned;
                keep(
                    &mut tables.leased,
                    (lease.body.job, lease.body.slice),
                    earned,
                );
            }
            Message::AuditCall(call) => {
                let lease = &call.lease.body;
                // What it collects itself stays so, whatever somebody sends it.
                let whose = (lease.worker, Judge::Auditor);
                let place = (lease.job, lease.slice);
                if !matches!(tables.judged.get(&place), Some((_, Judge::Collector))) {
                    keep(&mut tables.judged, place, whose);
                }
            }
            _ => {}
        }
    }

    /// What this peer says.
    pub(crate) fn said(&self, message: &Message) {
        if let Message::LeaseGrant(lease) = message {
            let lease = &lease.body;
            let whose = (lease.worker, Judge::Collector);
            keep(&mut self.tables().judged, (lease.job, lease.slice), whose);
        }
    }
}
