//! Strategies of those who move last: to look at a draw and then fall silent, to be slow, to keep a nonce back, to drop a
//! lease whose draw is bad, to lease beside the requester.

use super::message;
use crate::backend::Lies;
use crate::means::{Identity, KEPT, Means};
use crate::wrap::{Hand, Trick};
use core::time::Duration;
use starling_protocol::evidence::{Lease, Opening, nonces};
use starling_protocol::io::{Input, Output, Purpose};
use starling_protocol::manifest::JobRecord;
use starling_protocol::message::AuditCall;
use starling_protocol::time::Deadline;
use starling_protocol::{JobId, LeaseId, Message, PeerKey, Reason, Time, draw};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

fn sent(output: &Output) -> Option<(PeerKey, Message)> {
    let Output::Send { to, bytes, .. } = output else {
        return None;
    };
    Some((*to, Message::from_bytes(bytes).ok()?))
}

/// Jobs that this peer has part in.
#[derive(Default)]
struct Records(BTreeMap<JobId, Arc<JobRecord>>);

impl Records {
    fn learn(&mut self, output: &Output) {
        match output {
            Output::Prepare { job, record, .. } => {
                self.0.insert(*job, record.clone());
            }
            Output::Release { job } => {
                self.0.remove(job);
            }
            _ => {}
        }
    }

    /// Whether a tile of the slice, counted within it, is a lie.
    fn is_a_lie(&self, lies: &Lies, lease: &Lease, tile: u32) -> bool {
        self.0.get(&lease.job).is_some_and(|record| {
            let manifest = &record.manifest.body;
            let tile = manifest.tiles_of(lease.slice).start + tile;
            lies.about(manifest, tile, Purpose::Work).is_some()
        })
    }
}

/// Opens only what it need not hide.
pub(super) struct Lucky {
    identity: Identity,
    lies: Lies,
    records: Records,
    leases: BTreeMap<LeaseId, Lease>,
}

impl Lucky {
    pub(super) fn new(lies: Lies, means: &Means) -> Self {
        Self {
            identity: Identity::new(means),
            lies,
            records: Records::default(),
            leases: BTreeMap::new(),
        }
    }

    fn shows_a_lie(&self, opening: &Opening) -> bool {
        let lease = self.leases.get(&opening.lease);
        let mut tiles = opening.tiles.iter().map(|t| t.tile);
        lease.is_some_and(|l| tiles.any(|t| self.records.is_a_lie(&self.lies, l, t)))
    }
}

impl Trick for Lucky {
    fn on_input(&mut self, _: &mut Hand<'_>, input: Input) -> Option<Input> {
        if let Some(Message::LeaseGrant(lease)) = message(&input) {
            let id = lease.body.id(&self.identity.swarm);
            self.leases.insert(id, lease.body);
            while self.leases.len() > KEPT {
                self.leases.pop_first();
            }
        }
        Some(input)
    }

    fn on_output(&mut self, _: &mut Hand<'_>, output: Output) -> Option<Output> {
        self.records.learn(&output);
        if let Some((_, Message::Opening(opening))) = sent(&output)
            && self.identity.is_mine(&opening)
            && self.shows_a_lie(&opening.body)
        {
            return None;
        }
        Some(output)
    }
}

/// Says late what others wait for. Not its openings: those are blamed for.
pub(super) struct Slow {
    delay: Duration,
    waiting: VecDeque<(Time, Output)>,
}

impl Slow {
    pub(super) fn new(delay_s: f64) -> Self {
        Self {
            delay: Duration::from_secs_f64(delay_s),
            waiting: VecDeque::new(),
        }
    }
}

impl Trick for Slow {
    fn on_output(&mut self, hand: &mut Hand<'_>, output: Output) -> Option<Output> {
        let slow = matches!(
            sent(&output),
            Some((
                _,
                Message::Commit { .. }
                    | Message::Locked(_)
                    | Message::Reveal(_)
                    | Message::Seal { .. }
                    | Message::Attest { .. }
                    | Message::Output { .. }
            ))
        );
        if !slow || self.waiting.len() >= KEPT {
            return Some(output);
        }
        self.waiting.push_back((hand.now.after(self.delay), output));
        None
    }

    fn due(&self) -> Option<Deadline> {
        let at = self.waiting.front()?.0;
        let reason = "slow walk";
        Some(Deadline { at, reason })
    }

    fn on_due(&mut self, hand: &mut Hand<'_>) {
        while let Some((_, output)) = self.waiting.pop_front_if(|(at, _)| *at <= hand.now) {
            hand.out.push(output);
        }
    }
}

/// A witness that reveals for its friends alone.
pub(super) struct Miser {
    identity: Identity,
    friends: BTreeSet<PeerKey>,
    of_friends: BTreeSet<LeaseId>,
}

impl Miser {
    pub(super) fn new(means: &Means) -> Self {
        Self {
            identity: Identity::new(means),
            friends: means.friends.clone(),
            of_friends: BTreeSet::new(),
        }
    }
}

impl Trick for Miser {
    fn on_input(&mut self, _: &mut Hand<'_>, input: Input) -> Option<Input> {
        if let Some(Message::LockRequest { lease, .. }) = message(&input)
            && self.friends.contains(&lease.body.worker)
        {
            self.of_friends.insert(lease.body.id(&self.identity.swarm));
            while self.of_friends.len() > KEPT {
                self.of_friends.pop_first();
            }
        }
        Some(input)
    }

    fn on_output(&mut self, _: &mut Hand<'_>, output: Output) -> Option<Output> {
        if let Some((_, Message::Reveal(reveal))) = sent(&output)
            && !self.of_friends.contains(&reveal.body.lease)
        {
            return None;
        }
        Some(output)
    }
}

/// A collector that drops a friend's lease, as if nobody answered, when a stranger was drawn for a lie.
pub(super) struct Abandon {
    identity: Identity,
    lies: Lies,
    friends: BTreeSet<PeerKey>,
    records: Records,
    dropped: BTreeSet<LeaseId>,
}

impl Abandon {
    pub(super) fn new(lies: Lies, means: &Means) -> Self {
        Self {
            identity: Identity::new(means),
            lies,
            friends: means.friends.clone(),
            records: Records::default(),
            dropped: BTreeSet::new(),
        }
    }

    fn is_unlucky(&self, auditor: &PeerKey, id: &LeaseId, call: &AuditCall) -> bool {
        let lease = &call.lease.body;
        let Some(record) = self.records.0.get(&lease.job) else {
            return false;
        };
        if !self.friends.contains(&lease.worker) || self.friends.contains(auditor) {
            return false;
        }
        let body = &call.commitment.body;
        let seed = draw::seed(id, &body.root, &nonces(&call.nonces), &call.steward_nonce);
        let strength = lease.intensity.effective(&seed, record.committee());
        let tiles = draw::tiles(&seed, auditor, u32::from(strength.s), body.tiles);
        let mut tiles = tiles.into_iter();
        tiles.any(|t| self.records.is_a_lie(&self.lies, lease, t))
    }
}

impl Trick for Abandon {
    fn on_output(&mut self, _: &mut Hand<'_>, output: Output) -> Option<Output> {
        self.records.learn(&output);
        let Some((to, message)) = sent(&output) else {
            return Some(output);
        };
        let lease = match message {
            Message::AuditCall(call) if call.lease.body.steward == self.identity.me => {
                let id = call.lease.body.id(&self.identity.swarm);
                if self.is_unlucky(&to, &id, &call) {
                    self.dropped.insert(id);
                    while self.dropped.len() > KEPT {
                        self.dropped.pop_first();
                    }
                }
                id
            }
            Message::SealList(list) => list.body.lease,
            _ => return Some(output),
        };
        (!self.dropped.contains(&lease)).then_some(output)
    }
}

/// Leases to its friends while the requester is there; as worker it asks such a friend, and no one else where there is one.
pub(super) struct Usurp {
    me: PeerKey,
    friends: BTreeSet<PeerKey>,
    records: Records,
}

impl Usurp {
    pub(super) fn new(means: &Means) -> Self {
        Self {
            me: Identity::new(means).me,
            friends: means.friends.clone(),
            records: Records::default(),
        }
    }
}

impl Trick for Usurp {
    fn on_input(&mut self, hand: &mut Hand<'_>, input: Input) -> Option<Input> {
        if let Input::Message { from, .. } = &input
            && self.friends.contains(from)
            && let Some(Message::LeaseRequest { job }) = message(&input)
            && let Some(record) = self.records.0.get(&job)
        {
            // Whom it cannot reach it need not wait for.
            let peer = record.manifest.body.requester;
            hand.back.push(Input::PeerLost { peer });
        }
        Some(input)
    }

    fn on_output(&mut self, hand: &mut Hand<'_>, output: Output) -> Option<Output> {
        self.records.learn(&output);
        if let Some((to, Message::LeaseRequest { job })) = sent(&output)
            && !self.friends.contains(&to)
            && let Some(record) = self.records.0.get(&job)
            && (record.appointment.body.stewards.iter())
                .any(|s| *s != self.me && self.friends.contains(s))
        {
            let refusal = Message::LeaseRefusal {
                job,
                reason: Reason::JobDone,
                retry_ms: 0,
            };
            hand.back.push(Input::Message {
                from: to,
                bytes: refusal.to_bytes(),
            });
            return None;
        }
        Some(output)
    }
}
