//! Strategies of a worker: not to finish, not to open, to say two things at once.

use super::message;
use super::talking::coin;
use crate::backend::invented;
use crate::means::{Identity, KEPT, Means};
use crate::strategy::Spoilt;
use crate::wrap::{Hand, Trick};
use starling_protocol::draw;
use starling_protocol::evidence::{Commitment, Lease, Lock};
use starling_protocol::io::{Input, Output, Purpose};
use starling_protocol::manifest::JobRecord;
use starling_protocol::signed::Signed;
use starling_protocol::{Hash, JobId, LeaseId, Message, PeerKey, SwarmId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Takes leases and sits on them.
pub(super) struct Idle {
    swarm: SwarmId,
    held: BTreeSet<LeaseId>,
}

impl Idle {
    pub(super) fn new(means: &Means) -> Self {
        Self {
            swarm: means.swarm,
            held: BTreeSet::new(),
        }
    }
}

impl Trick for Idle {
    fn on_input(&mut self, _: &mut Hand<'_>, input: Input) -> Option<Input> {
        if let Some(Message::LeaseGrant(lease)) = message(&input) {
            self.held.insert(lease.body.id(&self.swarm));
            while self.held.len() > KEPT {
                self.held.pop_first();
            }
        }
        Some(input)
    }

    fn on_output(&mut self, _: &mut Hand<'_>, output: Output) -> Option<Output> {
        match &output {
            Output::Compute {
                purpose: Purpose::Work,
                ..
            } => None,
            Output::Send { bytes, .. } => {
                // Of its own leases: a collector that ends others' goes on as usual.
                let gives_back = matches!(
                    Message::from_bytes(bytes),
                    Ok(Message::LeaseEnded { lease, .. }) if self.held.contains(&lease)
                );
                (!gives_back).then_some(output)
            }
            _ => Some(output),
        }
    }
}

/// Never sends an opening of its own. Those of others it carries.
pub(super) struct Withhold(Identity);

impl Withhold {
    pub(super) fn new(means: &Means) -> Self {
        Self(Identity::new(means))
    }
}

impl Trick for Withhold {
    fn on_output(&mut self, _: &mut Hand<'_>, output: Output) -> Option<Output> {
        if let Output::Send { bytes, .. } = &output
            && let Ok(Message::Opening(opening)) = Message::from_bytes(bytes)
            && self.0.is_mine(&opening)
        {
            return None;
        }
        Some(output)
    }
}

/// Spoils what has to lead to its root.
pub(super) struct Spoil {
    what: Spoilt,
    identity: Identity,
    seed: Hash,
}

impl Spoil {
    pub(super) fn new(what: Spoilt, means: &Means) -> Self {
        Self {
            what,
            identity: Identity::new(means),
            seed: means.seed,
        }
    }

    fn spoilt(&self, message: Message) -> Option<Message> {
        match (self.what, message) {
            (Spoilt::Path, Message::Opening(opening)) if self.identity.is_mine(&opening) => {
                let mut body = opening.body;
                let first = body.proof.first_mut()?;
                *first = invented(&self.seed, first, 0);
                Some(Message::Opening(Box::new(self.identity.sign(body))))
            }
            (
                Spoilt::Secret,
                Message::Output {
                    lease,
                    blob,
                    secret,
                    bytes,
                },
            ) => Some(Message::Output {
                lease,
                blob,
                secret: invented(&self.seed, &secret, 0),
                bytes,
            }),
            _ => None,
        }
    }
}

impl Trick for Spoil {
    fn on_output(&mut self, hand: &mut Hand<'_>, output: Output) -> Option<Output> {
        if let Output::Send { to, bytes, .. } = &output
            && let Ok(message) = Message::from_bytes(bytes)
            && let Some(spoilt) = self.spoilt(message)
        {
            hand.send(*to, &spoilt);
            return None;
        }
        Some(output)
    }
}

/// Signs two of what there should be one of.
pub(super) struct Equivocate {
    identity: Identity,
    seed: Hash,
    records: BTreeMap<JobId, Arc<JobRecord>>,
    leases: BTreeMap<LeaseId, Signed<Lease>>,
}

impl Equivocate {
    pub(super) fn new(means: &Means) -> Self {
        Self {
            identity: Identity::new(means),
            seed: means.seed,
            records: BTreeMap::new(),
            leases: BTreeMap::new(),
        }
    }

    fn other(&self, lease: &LeaseId) -> Hash {
        invented(&self.seed, &lease.0, 0)
    }

    /// Half of the roster, the nearest to where this slice's witnesses are looked for.
    fn some_witnesses(&self, lease: &Lease) -> Vec<PeerKey> {
        let Some(record) = self.records.get(&lease.job) else {
            return Vec::new();
        };
        let target = draw::witness_target(&lease.job, lease.slice, &lease.worker);
        let mut ranks = record.ranks(&lease.worker, &target);
        ranks.truncate(ranks.len().div_ceil(2));
        ranks
    }

    fn commit_twice(&self, hand: &mut Hand<'_>, to: PeerKey, first: &Signed<Commitment>) {
        let id = first.body.lease;
        let second = Box::new(self.identity.sign(Commitment {
            root: self.other(&id),
            ..first.body.clone()
        }));
        let commit = Message::Commit {
            commitment: second.clone(),
            next: false,
        };
        hand.send(to, &commit);
        let Some(lease) = self.leases.get(&id) else {
            return;
        };
        let request = Message::LockRequest {
            lease: Box::new(lease.clone()),
            commitment: second,
        };
        for witness in self.some_witnesses(&lease.body) {
            hand.send(witness, &request);
        }
    }

    /// The second of what `message` is the first of, sent to `to`.
    fn second(&self, hand: &mut Hand<'_>, to: PeerKey, message: &Message) -> Option<LeaseId> {
        match message {
            Message::Commit { commitment, .. } => {
                self.commit_twice(hand, to, commitment);
                Some(commitment.body.lease)
            }
            Message::Locked(lock) => {
                let lease = lock.body.lease;
                let second = self.identity.sign(Lock {
                    nonce_digest: self.other(&lease),
                    ..lock.body
                });
                hand.send(to, &Message::Locked(second));
                Some(lease)
            }
            Message::Seal { lease, .. } => {
                let digest = self.other(lease);
                let lease = *lease;
                hand.send(to, &Message::Seal { lease, digest });
                Some(lease)
            }
            _ => None,
        }
    }
}

impl Trick for Equivocate {
    fn on_input(&mut self, _: &mut Hand<'_>, input: Input) -> Option<Input> {
        if let Some(Message::LeaseGrant(lease)) = message(&input) {
            let id = lease.body.id(&self.identity.swarm);
            self.leases.insert(id, *lease);
            while self.leases.len() > KEPT {
                self.leases.pop_first();
            }
        }
        Some(input)
    }

    fn on_output(&mut self, hand: &mut Hand<'_>, output: Output) -> Option<Output> {
        match &output {
            Output::Prepare { job, record, .. } => {
                self.records.insert(*job, record.clone());
            }
            Output::Release { job } => {
                self.records.remove(job);
            }
            Output::Send { to, bytes, after } => {
                let Ok(message) = Message::from_bytes(bytes) else {
                    return Some(output);
                };
                let mut second = Vec::new();
                let mut aside = Hand {
                    now: hand.now,
                    out: &mut second,
                    back: hand.back,
                };
                let lease = self.second(&mut aside, *to, &message);
                // The first waits for the log: so must the second, or it would always be the first.
                for output in &mut second {
                    if let Output::Send { after: its, .. } = output {
                        *its = *after;
                    }
                }
                if lease.is_some_and(|l| coin(&self.seed, &l, 1)) {
                    hand.out.extend(second);
                } else {
                    hand.out.push(output);
                    hand.out.extend(second);
                    return None;
                }
            }
            _ => {}
        }
        Some(output)
    }
}
