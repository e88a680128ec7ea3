//! Who breaks the rules is sent away, each time for longer: patience runs out, then a ban, then an end to it.
//!
//! Every peer has some patience to lose, which comes back with time, and each [`Offence`] costs some of it. So a peer
//! that once forwards what somebody else made up, or is of another version, loses little, and one that goes on is
//! banned. A peer that behaves for as long as `forgive` after a ban starts anew. Names are free, so a ban only stops
//! those who keep theirs: what new names cost is `prefixes`' affair.
//!
//! Invariant: nobody is banned for an offence that its own patience covers, however many others offend. When room is
//! short, whoever offended longest ago is forgotten, and those who are banned last.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

use libp2p::PeerId;

use super::{Rate, task::Network};

/// What a peer can do wrong, as far as the network sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offence {
    /// Forwarded gossip that the core rejects.
    Gossip,
    /// Found a bucket of its own empty within the last half second, if often.
    Flood,
    /// Is of another swarm.
    Foreign,
    /// Sent a frame that is too long or does not decode.
    Frame,
}

impl Offence {
    /// In units of patience.
    fn cost(self) -> f64 {
        match self {
            Offence::Gossip | Offence::Flood => 1.0,
            Offence::Foreign => 2.0,
            // No honest peer writes one, but one of another version may.
            Offence::Frame => 4.0,
        }
    }
}

/// When a peer is banned, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BanPolicy {
    /// Patience with one peer: offences cost 1 (gossip that the core rejects, half a second of flooding), 2 (another
    /// swarm) or 4 (a frame that does not decode).
    pub patience: Rate,
    /// The first ban, the second, and so on; the last one repeats.
    pub terms: [Duration; 4],
    /// After a ban and so long without another one a peer's next is its first again.
    pub forgive: Duration,
    /// Peers remembered.
    pub peers: usize,
}

/// What a peer has done so far.
#[derive(Clone, Copy, Debug)]
struct Record {
    patience: f64,
    /// The last offence.
    then: Instant,
    /// Bans so far.
    bans: usize,
    /// The end of the last one.
    until: Option<Instant>,
    /// Whether it is over and dealt with.
    released: bool,
}

impl Record {
    fn is_banned(&self) -> bool {
        self.until.is_some() && !self.released
    }

    fn ban(&mut self, policy: &BanPolicy, now: Instant) -> Duration {
        let term = policy.terms[self.bans.min(policy.terms.len() - 1)];
        self.bans += 1;
        self.until = Some(now + term);
        self.released = false;
        term
    }

    /// Whether nothing that it did counts any more: its ban is long over, or it never had one and its patience is back.
    fn is_forgiven(&self, policy: &BanPolicy, now: Instant) -> bool {
        match self.until {
            Some(until) => self.released && now >= until + policy.forgive,
            None => {
                let missing = policy.patience.burst - self.patience;
                let back = now.saturating_duration_since(self.then).as_secs_f64();
                back * policy.patience.per_s >= missing
            }
        }
    }
}

/// What becomes of an offence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sentence<P> {
    /// A ban begins, and lasts so long.
    pub(crate) banned: Option<Duration>,
    /// The ban of this peer ends, for want of room to remember it.
    pub(crate) forgotten: Option<P>,
}

/// The record of every peer that has one.
#[derive(Debug)]
pub(crate) struct Bans<P> {
    policy: BanPolicy,
    records: HashMap<P, Record>,
}

impl<P: Eq + Hash + Copy + Ord> Bans<P> {
    pub(crate) fn new(policy: BanPolicy) -> Self {
        Bans {
            policy,
            records: HashMap::new(),
        }
    }

    /// Takes an offence down; it leads to a ban if there is no patience left for it.
    pub(crate) fn offend(&mut self, peer: P, offence: Offence, now: Instant) -> Sentence<P> {
        let forgotten = self.make_room(&peer);
        let (policy, record) = self.record(peer, now);
        let rate = policy.patience;
        let back = now.saturating_duration_since(record.then).as_secs_f64() * rate.per_s;
        record.patience = (record.patience + back).min(rate.burst);
        record.then = now;
        let mut banned = None;
        if record.patience >= offence.cost() {
            record.patience -= offence.cost();
        } else if !record.is_banned() {
            banned = Some(record.ban(&policy, now));
        }
        Sentence { banned, forgotten }
    }

    /// Bans a peer whatever it has done; `banned` is empty if it is already.
    pub(crate) fn ban(&mut self, peer: P, now: Instant) -> Sentence<P> {
        let forgotten = self.make_room(&peer);
        let (policy, record) = self.record(peer, now);
        record.then = now;
        let banned = (!record.is_banned()).then(|| record.ban(&policy, now));
        Sentence { banned, forgotten }
    }

    /// Whose bans are over; each is named once. Also forgets who has behaved for long enough.
    pub(crate) fn over(&mut self, now: Instant) -> Vec<P> {
        let policy = self.policy;
        let mut over = Vec::new();
        for (peer, record) in &mut self.records {
            if record.is_banned() && record.until.is_some_and(|until| until <= now) {
                record.released = true;
                over.push(*peer);
            }
        }
        self.records
            .retain(|_, record| !record.is_forgiven(&policy, now));
        over.sort_unstable();
        over
    }

    fn record(&mut self, peer: P, now: Instant) -> (BanPolicy, &mut Record) {
        let policy = self.policy;
        let new = Record {
            patience: policy.patience.burst,
            then: now,
            bans: 0,
            until: None,
            released: false,
        };
        let record = self.records.entry(peer).or_insert(new);
        if record.is_forgiven(&policy, now) {
            record.bans = 0;
        }
        (policy, record)
    }

    /// Forgets the oldest record if there is no room for another peer's; names it if it was of a ban.
    fn make_room(&mut self, peer: &P) -> Option<P> {
        if self.records.len() < self.policy.peers.max(1) || self.records.contains_key(peer) {
            return None;
        }
        let age = |(peer, record): &(&P, &Record)| (record.is_banned(), record.then, **peer);
        let (oldest, record) = self.records.iter().min_by_key(age)?;
        let (oldest, banned) = (*oldest, record.is_banned());
        self.records.remove(&oldest);
        banned.then_some(oldest)
    }
}

impl Network {
    /// A peer broke a rule.
    pub(super) fn offend(&mut self, peer: PeerId, offence: Offence) {
        let sentence = self.bans.offend(peer, offence, Instant::now());
        tracing::debug!(%peer, ?offence, "offence");
        self.carry_out(peer, sentence);
    }

    /// The core wants a peer gone.
    pub(super) fn ban(&mut self, peer: PeerId) {
        let sentence = self.bans.ban(peer, Instant::now());
        self.carry_out(peer, sentence);
    }

    fn carry_out(&mut self, peer: PeerId, sentence: Sentence<PeerId>) {
        if let Some(forgotten) = sentence.forgotten {
            self.swarm.behaviour_mut().blocked.unblock_peer(forgotten);
        }
        if let Some(term) = sentence.banned {
            tracing::info!(%peer, ?term, "banned");
            self.swarm.behaviour_mut().blocked.block_peer(peer);
            self.hang_up(peer);
        }
    }

    /// Charges those who flood, ends bans whose time has come.
    pub(super) fn keep_peace(&mut self, now: Instant) {
        for peer in self.floods.take() {
            self.offend(peer, Offence::Flood);
        }
        for peer in self.bans.over(now) {
            self.swarm.behaviour_mut().blocked.unblock_peer(peer);
        }
    }
}

#[cfg(test)]
mod tests;
