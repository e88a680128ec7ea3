//! One job's table of slices, at one of its stewards: who may lease which, and what the other stewards say.
//!
//! | state of a slice | input | next |
//! |---|---|---|
//! | Open | a worker asks | Leased |
//! | Open | nobody else computes | Own (requester only) |
//! | Leased | commitment | Committed |
//! | Leased | lease lapsed or given back | Open, without blame; the third time in a row the worker gets no more |
//! | Committed | receipt and bytes | Done |
//! | Committed | refuted, no opening, wrong output, two roots | Open; the worker is excluded from the job |
//! | Committed | anything else without a receipt and bytes | Open; this worker does not get this slice again |
//! | Own | computed | Done |
//! | any but Done | another steward hands it over | Done |
//! | Open | a worker hands over a lease of another steward, which died | Committed |
//! | Done | its worker is convicted here, of whatever slice | Open; the worker is excluded from the job |
//!
//! A slice that is open again is for a while only for workers that have done another one, if there are any.
//!
//! Invariant: a slice has at most one live lease of this steward, and none while another one that is here says that it
//! has one, or has the slice.

mod claims;
mod reserve;

use crate::bits::Bits;
use crate::config;
use crate::hash::{BlobId, JobId, LeaseId, PeerKey};
use crate::io::TaskId;
use crate::manifest::JobRecord;
use crate::reason::Reason;
use crate::time::Time;
use crate::{draw, hash::Hash};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use reserve::Reserve;

/// What becomes of one slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SliceState {
    Open,
    Leased(LeaseId),
    Committed(LeaseId),
    Own(TaskId),
    Done,
}

/// One worker in one job.
#[derive(Default)]
struct Standing {
    /// Its lease without a commitment, if any.
    leased: Option<LeaseId>,
    /// Its leases without a receipt.
    unreceipted: BTreeSet<LeaseId>,
    /// Slices that it must not get again: their nonces are known to it.
    barred: BTreeSet<u32>,
    /// A slice of its is done.
    proven: bool,
    /// Leases in a row that it let lapse or gave back.
    lapsed: u32,
    /// How often in a row it found nothing open.
    idle: u32,
    excluded: bool,
}

impl Standing {
    /// Whether what it leases is done, as far as one can tell.
    fn keeps_its_word(&self) -> bool {
        self.proven && self.lapsed == 0 && !self.excluded
    }
}

/// What another steward says of the job.
#[derive(Default)]
struct Claim {
    /// Slices whose bytes it has.
    done: Bits,
    /// Slices that it has leased.
    busy: Bits,
    /// When it first said so of each that is not done here.
    since: BTreeMap<u32, Time>,
    /// Whether it has said anything.
    told: bool,
    /// When it last said so.
    heard: Option<Time>,
    /// It could not be reached since.
    lost: bool,
    /// How often it did not hand over what it said to have.
    broken: u32,
}

/// A slice whose bytes are kept for a requester: what whoever fetches them needs besides the receipt.
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) lease: LeaseId,
    pub(crate) blob: BlobId,
    /// Of its salts.
    pub(crate) secret: Hash,
}

pub(crate) struct Table {
    pub(crate) record: Arc<JobRecord>,
    slices: Vec<SliceState>,
    /// Open slices in rendezvous order.
    open: BTreeSet<(Hash, u32)>,
    keys: Vec<Hash>,
    /// Slices whose lease has ended, and when.
    ended: BTreeMap<u32, Time>,
    workers: BTreeMap<PeerKey, Standing>,
    reserve: Reserve,
    done: u32,
    /// Who computed what is done.
    done_by: BTreeMap<u32, PeerKey>,
    claims: BTreeMap<PeerKey, Claim>,
    kept: BTreeMap<u32, Kept>,
}

/// What a worker that asks gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// A new lease on this slice.
    Slice(u32),
    /// The lease that it already has.
    Again(LeaseId),
    /// Nothing; ask again after so many ms, 0 for never.
    Refused(Reason, u32),
}

impl Table {
    pub(crate) fn new(record: Arc<JobRecord>, job: JobId, steward: &PeerKey) -> Self {
        let count = record.manifest.body.slices();
        let keys: Vec<_> = (0..count)
            .map(|s| draw::rendezvous(steward, &job, s))
            .collect();
        Self {
            slices: alloc::vec![SliceState::Open; count as usize],
            open: keys.iter().copied().zip(0..count).collect(),
            keys,
            record,
            ended: BTreeMap::new(),
            workers: BTreeMap::new(),
            reserve: Reserve::default(),
            done: 0,
            done_by: BTreeMap::new(),
            claims: BTreeMap::new(),
            kept: BTreeMap::new(),
        }
    }

    /// Decides about a lease for `worker`, a peer of the roster; [`Table::leased`] makes it so. `others` are the slices
    /// that other stewards see to; some of the rest is kept for newcomers.
    pub(crate) fn ask(
        &mut self,
        worker: &PeerKey,
        newcomer: bool,
        others: &Bits,
        now: Time,
    ) -> Grant {
        let retry_ms = config::LEASE_RETRY.as_millis() as u32;
        let standing = self.workers.entry(*worker).or_default();
        if standing.excluded {
            return Grant::Refused(Reason::Excluded, 0);
        }
        if standing.lapsed >= config::FAILURES_MAX {
            return Grant::Refused(Reason::LeaseExpired, 0);
        }
        if let Some(lease) = standing.leased {
            return Grant::Again(lease);
        }
        if standing.unreceipted.len() >= config::UNRECEIPTED_MAX {
            return Grant::Refused(Reason::TooManyUnreceipted, retry_ms);
        }
        let standing = &self.workers[worker];
        let open = self
            .open
            .iter()
            .find(|(_, slice)| !others.has(*slice) && self.may_have(*slice, standing, now));
        match open.filter(|_| newcomer || !self.reserve.keeps(now)) {
            Some((_, slice)) => {
                self.reserve.leased(worker, newcomer);
                Grant::Slice(*slice)
            }
            None => {
                if newcomer {
                    self.reserve.wait(*worker);
                }
                // It is told when something opens again; asking is only for what gets lost.
                let standing = self.workers.entry(*worker).or_default();
                let doubled = standing.idle.min(config::LEASE_RETRY_DOUBLINGS);
                standing.idle = standing.idle.saturating_add(1);
                Grant::Refused(Reason::NothingOpen, retry_ms << doubled)
            }
        }
    }

    /// Whether `slice` may go to a worker of this standing. One that is open again goes to those who keep their word, if
    /// there are any: else peers that lease and do nothing, or never open, could hold it up one after the other.
    fn may_have(&self, slice: u32, standing: &Standing, now: Time) -> bool {
        let kept_back = || {
            let ended = self.ended.get(&slice);
            let takes = |s: &Standing| s.keeps_its_word() && !s.barred.contains(&slice);
            ended.is_some_and(|at| now < at.after(config::REOPENED_WAIT))
                && self.workers.values().any(takes)
        };
        !standing.barred.contains(&slice) && (standing.keeps_its_word() || !kept_back())
    }

    /// Some of those that found nothing open and may have `slice`, which now is, in this order; they count as told.
    pub(crate) fn waiting_for(&mut self, slice: u32, order: &[PeerKey], now: Time) -> Vec<PeerKey> {
        let waits = |s: &Standing| {
            s.idle > 0
                && !s.excluded
                && s.lapsed < config::FAILURES_MAX
                && self.may_have(slice, s, now)
        };
        let waiting: BTreeSet<PeerKey> = self
            .workers
            .iter()
            .filter(|(_, s)| waits(s))
            .map(|(peer, _)| *peer)
            .collect();
        let mut told = Vec::new();
        // What is kept for newcomers is of no use to others.
        let due = self.reserve.is_due();
        let kept = |p: &&PeerKey| due && self.reserve.waits(p);
        let others = order.iter().filter(|p| !kept(p));
        for peer in order.iter().filter(kept).chain(others) {
            if told.len() >= config::TOLD_OF_OPEN {
                break;
            }
            let standing = self.workers.get_mut(peer);
            if let Some(standing) = standing.filter(|_| waiting.contains(peer)) {
                standing.idle = 0;
                told.push(*peer);
            }
        }
        told
    }

    fn set(&mut self, slice: u32, state: SliceState) {
        let key = (self.keys[slice as usize], slice);
        if state == SliceState::Open {
            self.open.insert(key);
        } else {
            self.open.remove(&key);
        }
        self.slices[slice as usize] = state;
    }

    pub(crate) fn leased(&mut self, slice: u32, worker: PeerKey, lease: LeaseId) {
        self.set(slice, SliceState::Leased(lease));
        let standing = self.workers.entry(worker).or_default();
        standing.leased = Some(lease);
        standing.idle = 0;
        standing.unreceipted.insert(lease);
    }

    pub(crate) fn committed(&mut self, slice: u32, worker: &PeerKey, lease: LeaseId) {
        if self.is_under(slice, lease) {
            self.set(slice, SliceState::Committed(lease));
        }
        if let Some(standing) = self.workers.get_mut(worker) {
            standing.leased = None;
            standing.lapsed = 0;
        }
    }

    /// Whether this steward may go on with a lease of another one on `slice`.
    pub(crate) fn may_take_over(&self, slice: u32, worker: &PeerKey) -> bool {
        let standing = self.workers.get(worker);
        let few = |s: &Standing| !s.excluded && s.unreceipted.len() < config::UNRECEIPTED_MAX;
        let on_roster = self.record.roster.index(worker).is_some();
        on_roster && self.lacks(slice) && standing.is_none_or(few)
    }

    /// It does. Whoever has leased the slice here meanwhile keeps it: the first one to end counts.
    pub(crate) fn taken_over(&mut self, slice: u32, worker: PeerKey, lease: LeaseId) {
        if self.slices[slice as usize] == SliceState::Open {
            self.set(slice, SliceState::Committed(lease));
        }
        let standing = self.workers.entry(worker).or_default();
        standing.unreceipted.insert(lease);
    }

    /// The lease is over, and the slice open again unless it is done.
    pub(crate) fn ended(&mut self, slice: u32, worker: &PeerKey, lease: LeaseId, now: Time) {
        if let Some(standing) = self.workers.get_mut(worker) {
            standing.unreceipted.remove(&lease);
            if standing.leased == Some(lease) {
                standing.leased = None;
                standing.lapsed += 1;
            } else {
                // It was committed to, and its witnesses reveal once.
                standing.barred.insert(slice);
            }
        }
        if self.is_under(slice, lease) {
            self.set(slice, SliceState::Open);
            self.ended.insert(slice, now);
        }
    }

    /// Whether `slice` is one of the job's, and not done here.
    pub(crate) fn lacks(&self, slice: u32) -> bool {
        let state = self.slices.get(slice as usize);
        state.is_some_and(|s| *s != SliceState::Done)
    }

    /// Whether `slice` is still `lease`'s: another steward may have handed it over meanwhile.
    fn is_under(&self, slice: u32, lease: LeaseId) -> bool {
        let state = self.slices.get(slice as usize);
        state == Some(&SliceState::Leased(lease)) || state == Some(&SliceState::Committed(lease))
    }

    /// `worker` gets no lease on `slice` (again).
    pub(crate) fn bar(&mut self, slice: u32, worker: PeerKey) {
        self.workers.entry(worker).or_default().barred.insert(slice);
    }

    /// Whether that is new.
    pub(crate) fn exclude(&mut self, worker: PeerKey) -> bool {
        let standing = self.workers.entry(worker).or_default();
        !core::mem::replace(&mut standing.excluded, true)
    }

    /// The slices that `worker` has done.
    pub(crate) fn done_of(&self, worker: &PeerKey) -> Vec<u32> {
        let done = self.done_by.iter().filter(|(_, by)| *by == worker);
        done.map(|(slice, _)| *slice).collect()
    }

    /// The open slice that would be handed out next, none of `others`.
    pub(crate) fn next_open(&self, others: &Bits) -> Option<u32> {
        let mut open = self.open.iter().map(|(_, slice)| *slice);
        open.find(|slice| !others.has(*slice))
    }

    /// Whether any slice is open here, whatever others do.
    pub(crate) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub(crate) fn own(&mut self, slice: u32, task: TaskId) {
        self.set(slice, SliceState::Own(task));
    }

    pub(crate) fn reopen(&mut self, slice: u32) {
        if matches!(self.slices[slice as usize], SliceState::Own(_)) {
            self.set(slice, SliceState::Open);
        }
    }

    pub(crate) fn finish(&mut self, slice: u32, by: PeerKey) {
        // A damaged log may name any slice.
        if self.lacks(slice) {
            self.set(slice, SliceState::Done);
            self.done += 1;
            self.done_by.insert(slice, by);
            if let Some(standing) = self.workers.get_mut(&by) {
                standing.proven = true;
            }
        }
    }

    /// What `worker` was thought to have done is wrong: the slice is open again. With what was kept of it.
    pub(crate) fn revoke(&mut self, slice: u32, worker: &PeerKey) -> Option<Option<Kept>> {
        if self.done_by.get(&slice) != Some(worker) {
            return None;
        }
        self.done_by.remove(&slice);
        self.done -= 1;
        self.set(slice, SliceState::Open);
        Some(self.kept.remove(&slice))
    }

    /// Slices in all, and those that are done.
    pub(crate) fn progress(&self) -> (u32, u32) {
        (self.slices.len() as u32, self.done)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done as usize == self.slices.len()
    }

    /// Whether slices are open and nobody computes any. `others` are those that other stewards see to.
    pub(crate) fn is_starved(&self, others: &Bits) -> bool {
        let open = self.open.iter().any(|(_, slice)| !others.has(*slice));
        open && self.open.len() + self.done as usize == self.slices.len()
    }

    /// The tasks of own computations.
    pub(crate) fn own_tasks(&self) -> Vec<TaskId> {
        self.slices
            .iter()
            .filter_map(|s| {
                if let SliceState::Own(task) = s {
                    Some(*task)
                } else {
                    None
                }
            })
            .collect()
    }

    /// Whether `worker` may still get a lease, as far as this job is concerned.
    pub(crate) fn accepts(&self, worker: &PeerKey) -> bool {
        !self
            .workers
            .get(worker)
            .is_some_and(|s| s.excluded || s.lapsed >= config::FAILURES_MAX)
    }
}
