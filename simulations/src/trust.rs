//! Who may be audited less than a newcomer: judged from what the granting steward was seen to see, and from nothing else.
//!
//! | of a worker, at one peer | its count |
//! |---|---|
//! | that peer logs a receipt with its bytes that it collected | one more |
//! | that peer attests as an auditor that it agrees | one more |
//! | that peer dissents, blames it, or finds a fraud proof of it true | 0 |
//! | ... and that is no withheld opening, or the second one | convicted: no count is enough |
//!
//! All jobs of the simulator are of one class. Invariant: a count is never below the core's, which forgets with time and
//! with a crash; so whoever is trusted here without reason is so there. Convictions are forgotten with a crash here too:
//! the log may not have had the last of them.

use crate::judge;
use starling_protocol::evidence::Lease;
use starling_protocol::{JobId, PeerKey, Reason};
use std::collections::{BTreeMap, BTreeSet};

/// Valid slices in a row that trust takes, and requesters among them.
const SLICES: u32 = 10;
const REQUESTERS: usize = 3;

/// Openings that somebody may withhold before it is convicted: who is killed in between looks the same.
const WITHHELD: u32 = 1;

/// Follows a run.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Whose a job is, and how many peers may judge a worker of it.
    jobs: BTreeMap<JobId, (PeerKey, usize)>,
    /// By who saw it and whom.
    seen: BTreeMap<(PeerKey, PeerKey), (u32, BTreeSet<PeerKey>)>,
    /// By who convicted whom.
    convicted: BTreeSet<(PeerKey, PeerKey)>,
    /// Openings withheld, by whom from whom.
    withheld: BTreeMap<(PeerKey, PeerKey), u32>,
}

impl Trust {
    /// A job was submitted, with a committee of so many to draw from.
    pub fn submitted(&mut self, job: JobId, requester: PeerKey, committee: usize) {
        self.jobs.insert(job, (requester, committee));
    }

    /// `by` saw a slice of `lease` hold.
    pub fn valid(&mut self, by: PeerKey, lease: &Lease) {
        let seen = self.seen.entry((by, lease.worker)).or_default();
        seen.0 += 1;
        seen.1.extend(self.jobs.get(&lease.job).map(|(r, _)| *r));
    }

    /// `by` saw `worker` lie, or, with [`Reason::NoOpening`], hide something.
    pub fn caught(&mut self, by: PeerKey, worker: PeerKey, reason: Reason) {
        self.seen.remove(&(by, worker));
        let withheld = self.withheld.entry((by, worker)).or_default();
        *withheld += u32::from(reason == Reason::NoOpening);
        if reason != Reason::NoOpening || *withheld > WITHHELD {
            self.convicted.insert((by, worker));
        }
    }

    /// `by` is killed.
    pub fn killed(&mut self, by: PeerKey) {
        self.convicted.retain(|(of, _)| *of != by);
        self.withheld.retain(|(of, _), _| *of != by);
    }

    /// Whether a lease promises less than its worker's steward has reason to.
    #[must_use]
    pub fn is_undeserved(&self, lease: &Lease) -> bool {
        let Some((_, e)) = self.jobs.get(&lease.job) else {
            return false;
        };
        let stated = lease.intensity;
        let (k, s) = (usize::from(stated.k), usize::from(stated.s));
        if (k, s) == judge::newcomer(*e) {
            return false;
        }
        let Some((slices, requesters)) = self.seen.get(&(lease.steward, lease.worker)) else {
            return true;
        };
        let p_full = judge::p_full(*slices);
        let convicted = self.convicted.contains(&(lease.steward, lease.worker));
        let deserved = !convicted && *slices >= SLICES && requesters.len() >= REQUESTERS;
        !deserved || (k, s) != judge::trusted(*e) || stated.p_full < p_full
    }
}
