//! The discrete-event kernel: a clock in virtual time, a queue of events, and all randomness of a run.
//!
//! It knows nothing of peers or messages. Invariant: events come out by time, and those of one instant in the order
//! in which they were put in, so that a run depends on its experiment and seed alone. One thread runs one seed.

pub mod heap;
pub mod streams;
pub mod wheel;

#[cfg(test)]
mod tests;

pub use streams::{Purpose, Stream, Streams};

use core::time::Duration;
use starling_protocol::Time;
use wheel::Wheel;

/// Events of type `E`, waiting for their time.
pub struct Engine<E> {
    now: Time,
    queue: Wheel<E>,
}

impl<E> Default for Engine<E> {
    fn default() -> Self {
        Self {
            now: Time::default(),
            queue: Wheel::default(),
        }
    }
}

impl<E> Engine<E> {
    /// The virtual time: that of the event that came out last, or up to which nothing happens.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// How many events wait.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// Memory of the queue, bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.queue.heap_bytes()
    }

    /// Which window of some hundred microseconds it is: another number, another window.
    #[must_use]
    pub fn window(&self) -> u64 {
        self.now.0 / wheel::WINDOW
    }

    /// Events that are due within this window, as far as they are known.
    pub fn in_window(&self) -> impl Iterator<Item = &E> {
        self.queue.window()
    }

    /// Schedules `event` for `at`, or for now if that has passed.
    pub fn at(&mut self, at: Time, event: E) {
        self.queue.push(at.0, event);
    }

    /// Schedules `event` for `span` from now.
    pub fn after(&mut self, span: Duration, event: E) {
        self.at(self.now.after(span), event);
    }

    /// The next event, if it is not later than `until`, and moves the clock to it; else to `until`.
    pub fn next(&mut self, until: Time) -> Option<E> {
        let next = self.queue.pop(until.0);
        self.now = next
            .as_ref()
            .map_or(self.now.max(until), |(at, _)| Time(*at));
        next.map(|(_, event)| event)
    }
}
