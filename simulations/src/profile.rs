//! Where a run's time goes. It looks at the real clock, and changes nothing in virtual time.

use core::time::Duration;
use std::collections::BTreeMap;

/// Where a run's time goes, by kind of event: every 61st event is timed.
#[derive(Clone, Debug, Default)]
pub struct Profile(BTreeMap<&'static str, Duration>);

const EVERY: u64 = 61;

impl Profile {
    /// Whether the event of this number is to be timed.
    #[must_use]
    pub fn is_due(event: u64) -> bool {
        event.is_multiple_of(EVERY)
    }

    /// An event of `kind` took so long.
    pub fn add(&mut self, kind: &'static str, took: Duration) {
        *self.0.entry(kind).or_default() += took;
    }

    /// Each kind's share, the largest first.
    #[must_use]
    pub fn shares(&self) -> Vec<(String, f64)> {
        let total = self.0.values().sum::<Duration>().as_secs_f64();
        let share =
            |(kind, time): (&&str, &Duration)| ((*kind).to_owned(), time.as_secs_f64() / total);
        let mut shares: Vec<_> = self.0.iter().map(share).collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        shares
    }
}
