//! What happened lately, numbered: readers that come late or were cut off go on where they ended.
//!
//! Invariant: a reader is told what it missed; it never sees a gap as if there were none.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use starling_protocol::{Event, JobId};
use tokio::sync::broadcast;

use crate::driver::Happening;

/// Happenings that are kept for those who come back.
const KEPT: usize = 4096;

/// Whose story it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The peer that lends.
    Lender,
    /// The requester of this home.
    Requester,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Numbered {
    /// Grows by one.
    pub id: u64,
    /// Unix time in ms.
    pub unix_ms: u64,
    /// To whom.
    pub side: Side,
    /// What.
    #[serde(flatten)]
    pub happening: Happening,
}

impl Numbered {
    /// The job that it is about.
    pub fn job(&self) -> Option<JobId> {
        let Happening::Core(event) = &self.happening else {
            return None;
        };
        match event {
            Event::Submitted { job, .. }
            | Event::Resumed { job, .. }
            | Event::Leased { job, .. }
            | Event::Committed { job, .. }
            | Event::TakenOver { job, .. }
            | Event::Auditing { job, .. }
            | Event::SliceDone { job, .. }
            | Event::SliceReopened { job, .. }
            | Event::CheatCaught { job, .. }
            | Event::FalseAccusation { job, .. }
            | Event::JobDone { job }
            | Event::JobFailed { job, .. }
            | Event::Working { job, .. }
            | Event::Earned { job, .. }
            | Event::Lost { job, .. }
            | Event::Held { job, .. }
            | Event::FraudProven { job, .. }
            | Event::Found { job }
            | Event::NotFound { job }
            | Event::Appointed { job, .. }
            | Event::Kept { job, .. }
            | Event::Relieved { job, .. } => Some(*job),
            Event::ClocksDiffer { .. }
            | Event::PeerSeen { .. }
            | Event::PeerGone { .. }
            | Event::SubmitRefused { .. }
            | Event::ClaimStruck { .. } => None,
        }
    }
}

/// The feed; clones are one.
#[derive(Clone, Debug)]
pub struct Feed {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kept: Mutex<Kept>,
    live: broadcast::Sender<Arc<Numbered>>,
}

#[derive(Debug)]
struct Kept {
    last: u64,
    ring: VecDeque<Arc<Numbered>>,
}

/// A reader's view from some number on.
#[derive(Debug)]
pub struct Reading {
    /// How many happenings after that number are gone for ever.
    pub missed: u64,
    /// Those that are kept.
    pub kept: Vec<Arc<Numbered>>,
    /// Those to come.
    pub live: broadcast::Receiver<Arc<Numbered>>,
}

impl Default for Feed {
    fn default() -> Self {
        let ring = VecDeque::new();
        Self {
            inner: Arc::new(Inner {
                kept: Mutex::new(Kept { last: 0, ring }),
                live: broadcast::channel(KEPT).0,
            }),
        }
    }
}

impl Feed {
    /// Adds one.
    pub fn push(&self, side: Side, happening: Happening) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut kept = self
            .inner
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let one = Arc::new(Numbered {
            id: kept.last,
            unix_ms: now.map_or(0, |t| t.as_millis() as u64),
            side,
            happening,
        });
        if kept.ring.len() == KEPT {
            kept.ring.pop_front();
        }
        kept.ring.push_back(one.clone());
        // Under the lock, so that readers get each one once. Nobody may be listening.
        let _ = self.inner.live.send(one);
    }

    /// The newest number.
    pub fn last(&self) -> u64 {
        self.inner
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last
    }

    /// Everything after number `after`; with none, only what is to come.
    pub fn read(&self, after: Option<u64>) -> Reading {
        let kept = self
            .inner
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let after = after.unwrap_or(kept.last).min(kept.last);
        let first = kept.ring.front().map_or(kept.last + 1, |one| one.id);
        Reading {
            missed: first.saturating_sub(after + 1),
            kept: kept.ring.iter().filter(|n| n.id > after).cloned().collect(),
            live: self.inner.live.subscribe(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(feed: &Feed) {
        let address = "/ip4/127.0.0.1".into();
        feed.push(Side::Lender, Happening::Listening { address });
    }

    #[test]
    fn whoever_comes_back_gets_the_rest_or_hears_what_is_gone() {
        let feed = Feed::default();
        (0..10).for_each(|_| one(&feed));
        let reading = feed.read(Some(7));
        let ids: Vec<u64> = reading.kept.iter().map(|n| n.id).collect();
        assert_eq!((reading.missed, ids), (0, vec![8, 9, 10]));
        assert!(feed.read(None).kept.is_empty());
        (0..KEPT).for_each(|_| one(&feed));
        let reading = feed.read(Some(7));
        assert_eq!((reading.missed, reading.kept.len()), (3, KEPT));
        assert!(
            feed.read(Some(u64::MAX)).kept.is_empty(),
            "a number of another life"
        );
    }
}
