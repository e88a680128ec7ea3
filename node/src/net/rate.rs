//! Token buckets, one per peer: how fast a stranger may make this peer work.
//!
//! [`Buckets`] belong to one task; a [`Gate`] is shared by several, as handlers of connections need, and notes in
//! [`Floods`] who finds it shut. What becomes of those is `bans`' affair. Invariant: names that a stranger makes up
//! grow nothing beyond its cap.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Peers whose buckets are remembered: several times the connections, so that coming back gains nothing.
pub(crate) const BUCKETS: usize = 1024;

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

impl<P: Eq + Hash + Copy> Buckets<P> {
    /// Takes `cost` whether it is there or not; returns how long to wait until the debt is paid.
    pub(crate) fn charge(&mut self, peer: P, cost: f64, now: Instant) -> Duration {
        if self.take(peer, cost, now) {
            return Duration::ZERO;
        }
        let Some((tokens, _)) = self.buckets.get_mut(&peer) else {
            // No room for its bucket: as slow as if it were empty.
            return self.rate.time_for(cost);
        };
        *tokens -= cost;
        self.rate.time_for(-*tokens)
    }

    /// How many peers are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether the peer has a bucket here.
    fn knows(&self, peer: &P) -> bool {
        self.buckets.contains_key(peer)
    }
}

impl Rate {
    /// How long so many tokens take to come back; a rate of none is taken for a slow one.
    fn time_for(self, tokens: f64) -> Duration {
        let seconds = tokens.max(0.0) / self.per_s.max(1e-3);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// Who found a gate shut since somebody last asked.
#[derive(Clone, Debug)]
pub(crate) struct Floods<P>(Arc<Mutex<HashSet<P>>>);

impl<P: Eq + Hash + Copy> Floods<P> {
    pub(crate) fn new() -> Self {
        Floods(Arc::default())
    }

    fn note(&self, peer: P) {
        let mut peers = lock(&self.0);
        if peers.len() < BUCKETS {
            peers.insert(peer);
        }
    }

    /// Each of them once, however often it knocked.
    pub(crate) fn take(&self) -> HashSet<P> {
        std::mem::take(&mut lock(&self.0))
    }
}

/// Buckets that several tasks share.
#[derive(Clone, Debug)]
pub(crate) struct Gate<P> {
    buckets: Arc<Mutex<Buckets<P>>>,
    floods: Floods<P>,
}

impl<P: Eq + Hash + Copy> Gate<P> {
    pub(crate) fn new(rate: Rate, floods: &Floods<P>) -> Self {
        Gate {
            buckets: Arc::new(Mutex::new(Buckets::new(rate, BUCKETS))),
            floods: floods.clone(),
        }
    }

    /// Takes `cost` of the peer's tokens; if there are fewer, takes none and notes the peer.
    pub(crate) fn pass(&self, peer: P, cost: f64) -> bool {
        let mut buckets = lock(&self.buckets);
        let passed = buckets.take(peer, cost, Instant::now());
        // Whoever has no bucket for lack of room is refused without being at fault.
        if !passed && buckets.knows(&peer) {
            self.floods.note(peer);
        }
        passed
    }
}

/// Nothing panics while it holds one of these locks, and half a change would only miscount.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn a_debt_is_waited_for() {
        let mut buckets = Buckets::new(RATE, 1);
        let t = Instant::now();
        assert_eq!(buckets.charge('a', 3.0, t), Duration::ZERO);
        assert_eq!(buckets.charge('a', 4.0, t), Duration::from_secs(2));
        assert_eq!(buckets.charge('a', 2.0, t), Duration::from_secs(3));
        assert!(!buckets.take('a', 1.0, t + Duration::from_secs(3)));
        assert!(buckets.take('a', 1.0, t + Duration::from_secs(4)));
        assert_eq!(
            buckets.charge('b', 2.0, t),
            Duration::from_secs(1),
            "there is no room for another bucket"
        );
    }

    #[test]
    fn a_gate_notes_who_finds_it_shut_and_nobody_else() {
        let floods = Floods::new();
        let gate = Gate::new(
            Rate {
                per_s: 0.0,
                burst: 2.0,
            },
            &floods,
        );
        let shared = gate.clone();
        assert!(gate.pass(1, 1.0) && shared.pass(1, 1.0));
        assert!(floods.take().is_empty());
        assert!(!gate.pass(1, 1.0) && !shared.pass(1, 1.0));
        assert_eq!(floods.take(), HashSet::from([1]));
        assert!(floods.take().is_empty());
        let passed = (0..5000).filter(|peer| gate.pass(*peer, 1.0));
        assert_eq!(passed.count(), BUCKETS - 1, "one bucket was empty before");
        assert_eq!(floods.take(), HashSet::from([1]), "no room is no fault");
    }
}
