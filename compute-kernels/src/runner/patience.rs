//! How long a caller waits for a device, and how it ends the wait sooner.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a device process may still take for an answer that nobody wants any more: killing one costs the next job its
/// start, and most answers come within the 50 ms that are asked for at once.
pub(super) const GRACE: Duration = Duration::from_millis(150);

/// How long a call may take, and whether somebody else may end it. A [`Duration`] is one that nobody ends.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    limit: Duration,
    stop: Option<&'a AtomicBool>,
}

impl From<Duration> for Patience<'_> {
    fn from(limit: Duration) -> Self {
        Patience { limit, stop: None }
    }
}

impl<'a> Patience<'a> {
    /// Until `stop` is set, at most `limit`.
    pub fn unless(stop: &'a AtomicBool, limit: Duration) -> Self {
        Patience {
            limit,
            stop: Some(stop),
        }
    }

    pub(super) fn limit(self) -> Duration {
        self.limit
    }

    pub(super) fn is_stopped(self) -> bool {
        self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Whether it can end before its limit.
    pub(super) fn can_stop(self) -> bool {
        self.stop.is_some()
    }
}

/// A point in time, and the patience that ends then.
#[derive(Clone, Copy)]
pub(super) struct Deadline<'a> {
    pub(super) at: Instant,
    pub(super) patience: Patience<'a>,
}

impl<'a> Deadline<'a> {
    /// Durations beyond a day count as a day, so that the sum cannot overflow.
    pub(super) fn after(patience: impl Into<Patience<'a>>) -> Self {
        let mut patience = patience.into();
        patience.limit = patience.limit.min(Duration::from_secs(86_400));
        Deadline {
            at: Instant::now() + patience.limit,
            patience,
        }
    }
}
