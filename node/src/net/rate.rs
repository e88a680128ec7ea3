//! Token buckets, one per peer: how fast a stranger may make this peer work.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// How fast tokens come back, and how many may be saved up.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Tokens per second.
    pub per_s: f64,
    /// Tokens in a full bucket.
    pub burst: f64,
}

/// The buckets of all peers. A bucket that is full again is forgotten, so that leaving and coming back gains nothing;
/// `cap` bounds how many are remembered, and a peer beyond it gets nothing until one is full.
#[derive(Debug)]
pub(crate) struct Buckets<P> {
    rate: Rate,
    cap: usize,
    buckets: HashMap<P, (f64, Instant)>,
}

impl<P: Eq + Hash + Copy> Buckets<P> {
    pub(crate) fn new(rate: Rate, cap: usize) -> Self {
        Buckets {
            rate,
            cap,
            buckets: HashMap::new(),
        }
    }

    /// Takes `cost` of the peer's tokens; `false`, and nothing taken, if there are fewer.
    pub(crate) fn take(&mut self, peer: P, cost: f64, now: Instant) -> bool {
        let rate = self.rate;
        if self.buckets.len() >= self.cap && !self.buckets.contains_key(&peer) {
            self.buckets.retain(|_, (tokens, then)| {
                refilled(rate, *tokens, now.saturating_duration_since(*then)) < rate.burst
            });
            if self.buckets.len() >= self.cap {
                return false;
            }
        }
        let (tokens, then) = self.buckets.entry(peer).or_insert((rate.burst, now));
        *tokens = refilled(rate, *tokens, now.saturating_duration_since(*then));
        *then = now;
        if *tokens < cost {
            return false;
        }
        *tokens -= cost;
        true
    }
}

fn refilled(rate: Rate, tokens: f64, elapsed: Duration) -> f64 {
    (tokens + elapsed.as_secs_f64() * rate.per_s).min(rate.burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_s: 2.0,
        burst: 3.0,
    };

    #[test]
    fn a_burst_then_the_rate() {
        let mut buckets = Buckets::new(RATE, 8);
        let t = Instant::now();
        assert_eq!(
            [0; 4].map(|_| buckets.take('a', 1.0, t)),
            [true, true, true, false]
        );
        assert!(buckets.take('b', 3.0, t), "another peer has its own bucket");
        let t = t + Duration::from_millis(500);
        assert_eq!([0; 2].map(|_| buckets.take('a', 1.0, t)), [true, false]);
    }

    #[test]
    fn names_are_not_a_way_around_the_cap() {
        let mut buckets = Buckets::new(RATE, 4);
        let t = Instant::now();
        assert_eq!(
            (0..100).filter(|peer| buckets.take(*peer, 1.0, t)).count(),
            4
        );
        assert_eq!(buckets.buckets.len(), 4);
        // Full buckets are forgotten to make room.
        assert!(buckets.take(99, 1.0, t + Duration::from_secs(1)));
        assert_eq!(buckets.buckets.len(), 1);
    }
}
