//! What must come before what, seen from the wire: logged before it is signed away, audited before it is handed over,
//! over before it is leased again, gone for good, the requester before its stewards.
//!
//! It follows a run as it goes and writes down who broke the order; whether that peer had to keep it, the checkers
//! decide. Invariant: it looks at messages, records and events, never into a core.

use crate::judge;
use crate::trust::Trust;
use core::time::Duration;
use starling_protocol::advert::Advert;
use starling_protocol::evidence::Lease;
use starling_protocol::io::{PersistSeq, Record};
use starling_protocol::signed::{Fact, Signed};
use starling_protocol::{
    Event, Hash, JobId, LeaseId, Message, PeerKey, Reason, SwarmId, Time, codec, config,
};
use std::collections::{BTreeMap, BTreeSet};

/// Leases in a row that a worker may let lapse.
const LAPSES: u32 = 3;
/// So long after a requester has said how far it is its stewards leave it the leases.
const LEADS: Duration = Duration::from_secs(30);
/// Pairs of peers of which one takes the other to be here. In larger swarms the rest is not watched: it is the square of
/// a shard.
const HERE_MAX: usize = 100_000;

/// What a peer must have on disk before it says it, or before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Promise {
    Commitment(LeaseId, Hash),
    Lock(LeaseId, Hash, Hash),
    Reveal(LeaseId, Hash),
    Done(JobId, u32),
}

/// What a peer may sign once for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Once {
    Root,
    LockSet,
    SealList,
    Opening,
    Lock,
    Reveal,
}

/// Follows a run.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Leases as granted.
    pub leases: BTreeMap<LeaseId, Lease>,
    /// Who broke the order, and how.
    pub breaches: Vec<(PeerKey, &'static str)>,
    pending: BTreeMap<PeerKey, Vec<(PersistSeq, Promise)>>,
    logged: BTreeSet<(PeerKey, Promise)>,
    said: BTreeMap<(PeerKey, LeaseId, Once), Hash>,
    audited: BTreeSet<LeaseId>,
    /// Who was asked to go on with a lease of somebody else.
    heirs: BTreeSet<(LeaseId, PeerKey)>,
    /// Who has given its verdict: a repetition is none.
    attested: BTreeSet<(LeaseId, PeerKey)>,
    /// By steward, as are the next three: what one of them does another need not know.
    live: BTreeMap<(PeerKey, JobId, u32), LeaseId>,
    in_a_row: BTreeMap<(PeerKey, JobId, PeerKey), u32>,
    excluded: BTreeSet<(PeerKey, JobId, PeerKey)>,
    ended: BTreeSet<(PeerKey, JobId)>,
    requesters: BTreeMap<JobId, PeerKey>,
    /// When a steward has last heard how far a job's requester is, and whom each peer takes to be here.
    heard: BTreeMap<(PeerKey, JobId), Time>,
    here: BTreeSet<(PeerKey, PeerKey)>,
    trust: Trust,
    down: BTreeMap<PeerKey, Time>,
    /// By peer, the peers that it called gone when they were down already, and the number of the advert that has last
    /// brought each back since: whoever has missed its last adverts may hear of each once, when somebody repeats it.
    gone: BTreeMap<PeerKey, BTreeMap<PeerKey, u64>>,
    /// The last advert that reached a peer which called somebody gone: by whom, of whom, its number.
    advert: Option<(PeerKey, PeerKey, u64)>,
}

impl Order {
    fn breach(&mut self, peer: PeerKey, how: &'static str) {
        self.breaches.push((peer, how));
    }

    /// A peer asks its disk to keep something.
    pub fn persists(&mut self, peer: PeerKey, seq: PersistSeq, record: &Record) {
        let promise = match record {
            Record::Committed { lease, root } => Promise::Commitment(*lease, *root),
            Record::Locked {
                lease, root, nonce, ..
            } => {
                let digest = Hash::derive("starling 2026-11 nonce v1", &[&nonce.0]);
                Promise::Lock(*lease, *root, digest)
            }
            Record::Revealed { lease, lock_set } => Promise::Reveal(*lease, *lock_set),
            Record::SliceDone { job, slice, .. } => Promise::Done(*job, *slice),
            Record::Submitted { record } => {
                let (job, requester) =
                    (record.appointment.body.job, record.manifest.body.requester);
                self.requesters.insert(job, requester);
                let committee = judge::committee(record);
                self.trust.submitted(job, requester, committee);
                return;
            }
            Record::Receipted { receipt, .. } | Record::Kept { receipt, .. } => {
                let lease = &receipt.lease.body;
                if receipt.stored.as_ref().is_some_and(|s| s.peer == peer) {
                    self.trust.valid(peer, lease);
                }
                return;
            }
            _ => return,
        };
        self.pending.entry(peer).or_default().push((seq, promise));
    }

    /// A peer's log is durable up to `seq`.
    pub fn durable(&mut self, peer: PeerKey, seq: PersistSeq) {
        if let Some(pending) = self.pending.get_mut(&peer) {
            for (_, promise) in pending.extract_if(.., |(at, _)| *at <= seq) {
                self.logged.insert((peer, promise));
            }
        }
    }

    /// A peer is up.
    pub fn up(&mut self, peer: PeerKey) {
        self.down.remove(&peer);
        for gone in self.gone.values_mut() {
            gone.remove(&peer);
        }
    }

    /// A peer is killed: what it had not logged it does not know any more, and its leases are void. The slices that it
    /// called done, and will call done again.
    pub fn killed(&mut self, peer: PeerKey, now: Time) -> Vec<(JobId, u32)> {
        self.down.insert(peer, now);
        self.trust.killed(peer);
        self.heard.retain(|(by, _), _| *by != peer);
        self.here.retain(|(by, _)| *by != peer);
        self.gone.remove(&peer);
        let of = |lease: &Lease| lease.steward == peer;
        self.live
            .retain(|_, id| self.leases.get(id).is_none_or(|l| !of(l)));
        self.in_a_row.retain(|(steward, ..), _| *steward != peer);
        let pending = self.pending.remove(&peer).into_iter().flatten();
        let undone = |(_, promise)| match promise {
            Promise::Done(job, slice) => Some((job, slice)),
            _ => None,
        };
        pending.filter_map(undone).collect()
    }

    /// Gossip of an advert arrives.
    pub fn gossiped(&mut self, by: PeerKey, data: &[u8]) {
        if self.gone.get(&by).is_none_or(BTreeMap::is_empty) {
            return;
        }
        if let Ok(advert) = codec::decode::<Signed<Advert>>(data, config::ADVERT_MAX) {
            self.advert = Some((by, advert.body.peer, advert.body.number));
        }
    }

    /// A message arrives.
    pub fn arrived(&mut self, now: Time, by: PeerKey, from: PeerKey, message: &Message) {
        if let Message::Progress { job, .. } = message
            && self.requesters.get(job) == Some(&from)
        {
            self.heard.insert((by, *job), now);
        }
    }

    /// `by` notices that it cannot reach `peer`.
    pub fn unreachable(&mut self, by: PeerKey, peer: PeerKey) {
        let requesters = &self.requesters;
        self.heard
            .retain(|(of, job), _| *of != by || requesters.get(job) != Some(&peer));
    }

    /// Whether `steward` has to leave a job's leases to its requester.
    fn is_led(&self, now: Time, steward: PeerKey, job: JobId) -> bool {
        let heard = self.heard.get(&(steward, job));
        let requester = self.requesters.get(&job);
        heard.is_some_and(|at| now.since(*at) < LEADS)
            && requester.is_some_and(|r| self.here.contains(&(steward, *r)))
    }

    /// A message leaves.
    pub fn sent(
        &mut self,
        now: Time,
        from: PeerKey,
        to: PeerKey,
        message: &Message,
        swarm: &SwarmId,
    ) {
        match message {
            Message::LeaseGrant(lease) if lease.body.steward == from => {
                self.leased(now, lease.body.id(swarm), &lease.body);
            }
            Message::Commit { commitment, .. } => {
                let body = &commitment.body;
                if let Some(lease) = self.leases.get(&body.lease) {
                    self.in_a_row.remove(&(lease.steward, lease.job, from));
                }
                self.keeps(from, Promise::Commitment(body.lease, body.root));
                self.once(from, body.lease, Once::Root, body.root);
            }
            // Noise may hold locks on leases that nobody granted: they bind nobody.
            Message::Locked(lock) if self.leases.contains_key(&lock.body.lease) => {
                let body = &lock.body;
                let promise = Promise::Lock(body.lease, body.root, body.nonce_digest);
                self.keeps(from, promise);
                self.once(from, body.lease, Once::Lock, body.digest(swarm));
            }
            Message::Reveal(reveal) => {
                let body = &reveal.body;
                self.keeps(from, Promise::Reveal(body.lease, body.lock_set));
                self.once(from, body.lease, Once::Reveal, body.digest(swarm));
            }
            Message::LockSet(set) => {
                self.once(from, set.body.lease, Once::LockSet, set.digest(swarm));
            }
            Message::SealList(list) => {
                self.once(from, list.body.lease, Once::SealList, list.digest(swarm));
            }
            // Others only carry it.
            Message::Opening(opening) if self.is_worker(&opening.body.lease, &from) => {
                let lease = opening.body.lease;
                self.once(from, lease, Once::Opening, opening.digest(swarm));
            }
            Message::Attest { attestation, .. }
                if self.attested.insert((attestation.body.lease, from)) =>
            {
                let (said, trust) = (&attestation.body, &mut self.trust);
                match self.leases.get(&said.lease) {
                    Some(lease) if said.agree => trust.valid(from, lease),
                    Some(lease) => trust.caught(from, lease.worker, Reason::Refuted),
                    None => {}
                }
            }
            Message::Audited { lease }
                if self.leases.get(lease).is_some_and(|l| l.steward == from)
                    || self.heirs.contains(&(*lease, from)) =>
            {
                self.audited.insert(*lease);
            }
            Message::TakeOver(handover) => {
                let id = handover.call.lease.body.id(swarm);
                if self.is_worker(&id, &from) {
                    self.heirs.insert((id, to));
                }
            }
            Message::Output { lease, .. }
                if self.is_worker(lease, &from) && !self.audited.contains(lease) =>
            {
                self.breach(from, "handed its output over before it was audited");
            }
            _ => {}
        }
    }

    fn is_worker(&self, lease: &LeaseId, peer: &PeerKey) -> bool {
        self.leases.get(lease).is_some_and(|l| l.worker == *peer)
    }

    fn keeps(&mut self, peer: PeerKey, promise: Promise) {
        if !self.logged.contains(&(peer, promise)) {
            let how = match promise {
                Promise::Commitment(..) => "sent a commitment before its log had it",
                Promise::Lock(..) => "sent a lock before its log had it",
                Promise::Reveal(..) => "revealed a nonce before its log had it",
                Promise::Done(..) => "called a slice done before its log had it",
            };
            self.breach(peer, how);
        }
    }

    fn once(&mut self, peer: PeerKey, lease: LeaseId, what: Once, digest: Hash) {
        if *self.said.entry((peer, lease, what)).or_insert(digest) != digest {
            let how = match what {
                Once::Root => "committed to two roots under one lease",
                Once::LockSet => "signed two lock sets for one lease",
                Once::SealList => "signed two seal lists for one lease",
                Once::Opening => "signed two openings for one lease",
                Once::Lock => "signed two locks for one lease",
                Once::Reveal => "revealed twice for one lease",
            };
            self.breach(peer, how);
        }
    }

    fn leased(&mut self, now: Time, id: LeaseId, lease: &Lease) {
        let again = self.leases.insert(id, lease.clone()).is_some();
        if again {
            return;
        }
        let (steward, job, worker) = (lease.steward, lease.job, lease.worker);
        if self.ended.contains(&(steward, job)) {
            self.breach(steward, "leased a slice of a job that had ended");
        }
        if self.excluded.contains(&(steward, job, worker)) {
            self.breach(steward, "leased a slice to a worker that it had excluded");
        }
        if self.is_led(now, steward, job) {
            self.breach(steward, "leased a slice while its requester was there to");
        }
        if self.trust.is_undeserved(lease) {
            self.breach(steward, "trusted a worker that had not earned it");
        }
        if self.live.insert((steward, job, lease.slice), id).is_some() {
            self.breach(steward, "leased a slice to two workers at once");
        }
        let row = self.in_a_row.entry((steward, job, worker)).or_default();
        *row += 1;
        if *row > LAPSES {
            self.breach(steward, "leased again to a worker that had let three lapse");
        }
    }

    /// A core tells people something.
    pub fn notified(&mut self, by: PeerKey, event: &Event) {
        match event {
            Event::SliceReopened { job, slice, .. } => {
                self.live.remove(&(by, *job, *slice));
            }
            Event::CheatCaught {
                job,
                worker,
                reason,
                ..
            } => {
                self.excluded.insert((by, *job, *worker));
                self.trust.caught(by, *worker, *reason);
            }
            Event::FraudProven { job, worker, .. } => {
                self.excluded.insert((by, *job, *worker));
                self.trust.caught(by, *worker, Reason::Refuted);
            }
            Event::JobDone { job } | Event::JobFailed { job, .. } | Event::Relieved { job, .. } => {
                self.ended.insert((by, *job));
            }
            Event::PeerGone { peer } => {
                self.here.remove(&(by, *peer));
                if self.down.contains_key(peer) {
                    self.gone.entry(by).or_default().entry(*peer).or_default();
                }
            }
            Event::PeerSeen { peer } => {
                if self.here.len() < HERE_MAX {
                    self.here.insert((by, *peer));
                }
                let called_gone = self.gone.get_mut(&by).and_then(|g| g.get_mut(peer));
                if let (Some(last), Some((to, of, number))) = (called_gone, self.advert)
                    && (to, of) == (by, *peer)
                    && self.down.contains_key(peer)
                {
                    let again = number <= *last;
                    *last = number;
                    if again {
                        self.breach(by, "saw a peer that was gone come back by an old advert");
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_counts_once_it_is_durable() {
        let (peer, lease) = (PeerKey(Hash([1; 32])), LeaseId(Hash::of(b"lease")));
        let (root, mut order) = (Hash::of(b"root"), Order::default());
        let record = Record::Committed { lease, root };
        order.persists(peer, PersistSeq(1), &record);
        order.keeps(peer, Promise::Commitment(lease, root));
        assert_eq!(order.breaches.len(), 1);
        order.durable(peer, PersistSeq(1));
        order.keeps(peer, Promise::Commitment(lease, root));
        assert_eq!(order.breaches.len(), 1);
    }

    #[test]
    fn what_was_not_durable_dies_with_the_peer() {
        let (peer, lease) = (PeerKey(Hash([1; 32])), LeaseId(Hash::of(b"lease")));
        let (root, mut order) = (Hash::of(b"root"), Order::default());
        let record = Record::Committed { lease, root };
        order.persists(peer, PersistSeq(1), &record);
        order.killed(peer, Time::default());
        order.durable(peer, PersistSeq(1));
        order.keeps(peer, Promise::Commitment(lease, root));
        assert_eq!(order.breaches.len(), 1);
    }
}
