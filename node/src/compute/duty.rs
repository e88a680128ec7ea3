//! How much of its time a device may compute: the rest it rests, after every portion.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Longest rest at once: a portion may take long for other reasons.
const REST_MAX: Duration = Duration::from_secs(5);

/// A share, in percent from 1 to 100; clones are one.
#[derive(Clone, Debug)]
pub struct Duty(Arc<AtomicU8>);

impl Default for Duty {
    fn default() -> Self {
        Self::new(100)
    }
}

impl Duty {
    /// So much.
    pub fn new(pct: u8) -> Self {
        Self(Arc::new(AtomicU8::new(pct)))
    }

    /// So much from now on.
    pub fn set(&self, pct: u8) {
        self.0.store(pct, Ordering::Relaxed);
    }

    /// How long to rest after so much work.
    pub(super) fn rest(&self, worked: Duration) -> Duration {
        let pct = u32::from(self.0.load(Ordering::Relaxed).clamp(1, 100));
        (worked * (100 - pct) / pct).min(REST_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_rest_are_in_the_share() {
        let (duty, worked) = (Duty::default(), Duration::from_millis(50));
        assert_eq!(duty.rest(worked), Duration::ZERO);
        duty.set(50);
        assert_eq!(duty.rest(worked), worked);
        duty.set(20);
        assert_eq!(duty.rest(worked), worked * 4);
        duty.set(0);
        assert_eq!(duty.rest(worked), Duration::from_millis(4_950));
        assert_eq!(duty.rest(Duration::from_secs(60)), REST_MAX);
    }
}
