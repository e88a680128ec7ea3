//! A binary heap of (time, sequence): the textbook queue, as rival in benchmarks and as judge in tests of the wheel.

use core::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

struct Scheduled<E> {
    at: u64,
    sequence: u64,
    event: E,
}

impl<E> Ord for Scheduled<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl<E> PartialOrd for Scheduled<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Scheduled<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Scheduled<E> {}

/// Events that wait for their time; see [`super::wheel::Wheel`].
pub struct Heap<E> {
    base: u64,
    pushed: u64,
    waiting: BinaryHeap<Reverse<Scheduled<E>>>,
}

impl<E> Default for Heap<E> {
    fn default() -> Self {
        Self {
            base: 0,
            pushed: 0,
            waiting: BinaryHeap::new(),
        }
    }
}

impl<E> Heap<E> {
    /// Puts `event` in for `at`, or for the heap's own time if that has passed.
    pub fn push(&mut self, at: u64, event: E) {
        let (at, sequence) = (at.max(self.base), self.pushed);
        self.pushed += 1;
        self.waiting.push(Reverse(Scheduled {
            at,
            sequence,
            event,
        }));
    }

    /// The next event, if it is not later than `until`. Else the heap's time becomes `until`.
    pub fn pop(&mut self, until: u64) -> Option<(u64, E)> {
        if self
            .waiting
            .peek()
            .is_none_or(|Reverse(next)| next.at > until)
        {
            self.base = self.base.max(until);
            return None;
        }
        let Reverse(next) = self.waiting.pop()?;
        self.base = next.at;
        Some((next.at, next.event))
    }
}
