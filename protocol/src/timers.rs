//! All timers of a peer, as one closed enum: what waits, and until when.

use crate::hash::{JobId, LeaseId};
use crate::time::{Deadline, Time};
use alloc::collections::{BTreeMap, BTreeSet};

/// What can be due. One deadline each; setting it again moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Publish the own advert.
    Advert,
    /// Forget what has expired: adverts, ended jobs, old locks.
    Sweep,
    /// Look the boards up.
    Boards,
    /// Steward: look after a job.
    Job(JobId),
    /// Steward: tell the other ones how far a job is.
    Tell(JobId),
    /// Requester: ask again who has a job of its own that it knows nothing of.
    Seek(JobId),
    /// Collector: the current step of a lease.
    Case(LeaseId),
    /// Worker: ask for a lease.
    Ask(JobId),
    /// Worker: the current step of a lease.
    Work(LeaseId),
    /// Auditor: forget a lease.
    Audit(LeaseId),
    /// Prober: the next probe, or no answer to this one.
    Probe,
    /// Probed: nothing more comes of it.
    Probed,
}

impl Timer {
    fn reason(self) -> &'static str {
        match self {
            Self::Advert => "advert",
            Self::Sweep => "sweep",
            Self::Boards => "boards",
            Self::Job(_) => "job",
            Self::Tell(_) => "tell",
            Self::Seek(_) => "seek",
            Self::Case(_) => "case",
            Self::Ask(_) => "ask",
            Self::Work(_) => "work",
            Self::Audit(_) => "audit",
            Self::Probe => "probe",
            Self::Probed => "probed",
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    at: BTreeMap<Timer, Time>,
    queue: BTreeSet<(Time, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        self.clear(timer);
        self.at.insert(timer, at);
        self.queue.insert((at, timer));
    }

    /// Sets it unless it is due earlier anyway.
    pub(crate) fn set_by(&mut self, timer: Timer, at: Time) {
        if self.at.get(&timer).is_none_or(|set| at < *set) {
            self.set(timer, at);
        }
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.queue.remove(&(at, timer));
        }
    }

    /// Takes the next timer that is due.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Timer> {
        let (at, timer) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }

    pub(crate) fn next(&self) -> Option<Deadline> {
        self.queue.first().map(|(at, timer)| Deadline {
            at: *at,
            reason: timer.reason(),
        })
    }
}
