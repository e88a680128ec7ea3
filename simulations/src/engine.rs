//! The discrete-event engine: a queue of events in virtual time, and all randomness of a run.
//!
//! It knows nothing of peers or messages. Invariant: events come out by time, and those of one instant in the order
//! in which they were put in, so that a run depends on its scenario and seed alone.

use core::cmp::{Ordering, Reverse};
use core::time::Duration;
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use starling_protocol::Time;
use std::collections::BinaryHeap;

struct Scheduled<E> {
    at: Time,
    order: u64,
    event: E,
}

impl<E> Ord for Scheduled<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
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

/// Events of type `E`, waiting for their time.
pub struct Engine<E> {
    now: Time,
    scheduled: u64,
    queue: BinaryHeap<Reverse<Scheduled<E>>>,
}

impl<E> Default for Engine<E> {
    fn default() -> Self {
        Self {
            now: Time::default(),
            scheduled: 0,
            queue: BinaryHeap::new(),
        }
    }
}

impl<E> Engine<E> {
    /// The time of the event that came out last.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Schedules `event` for `at`, or for now if that has passed.
    pub fn at(&mut self, at: Time, event: E) {
        self.queue.push(Reverse(Scheduled {
            at: at.max(self.now),
            order: self.scheduled,
            event,
        }));
        self.scheduled += 1;
    }

    /// Schedules `event` for `span` from now.
    pub fn after(&mut self, span: Duration, event: E) {
        self.at(self.now.after(span), event);
    }

    /// The next event not later than `until`, and moves the clock to it.
    pub fn next(&mut self, until: Time) -> Option<E> {
        if self.queue.peek()?.0.at > until {
            return None;
        }
        let Reverse(next) = self.queue.pop()?;
        self.now = next.at;
        Some(next.event)
    }
}

/// What a random stream is for. One of its own for each purpose: whoever draws more often than before disturbs nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A peer's identity key.
    Identity,
    /// The core's own randomness.
    Core,
    /// When a peer starts.
    Start,
    /// How fast its devices are.
    Speed,
    /// Jitter and loss of what a peer sends.
    Link,
    /// The fixed share of a pair's latency.
    Pair,
    /// Whom a peer gossips with.
    Mesh,
    /// Where a peer is: region, tier, NAT, clock, disk.
    Place,
    /// Numbers each packet, so that the models below draw from it.
    Packet,
    /// The spread of latencies between regions.
    Latency,
    /// Jitter of the last mile.
    Access,
    /// Independent loss.
    Loss,
    /// Bursts of loss.
    Burst,
    /// Which pairs of NATs let each other through, and which relay serves the others.
    Nat,
    /// Who is on which side of a partition.
    Partition,
    /// How long slow disks take.
    Disk,
    /// When a peer comes and goes.
    Churn,
    /// Whom a Kademlia bucket holds.
    Dht,
    /// Whom an infected peer tells, in the check against epidemic theory.
    Epidemic,
}

/// The seed of a run, from which every stream is derived by (purpose, peer).
#[derive(Clone, Debug)]
pub struct Streams([u8; 32]);

impl Streams {
    /// All streams of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(blake3::derive_key(
            "starling-sim 2026-11 run seed v1",
            &seed.to_le_bytes(),
        ))
    }

    /// 32 bytes for `(purpose, a, b)`: of a peer `(peer, 0)`, of a pair both its ends.
    #[must_use]
    pub fn bytes(&self, purpose: Purpose, a: u32, b: u32) -> [u8; 32] {
        let mut input = [0; 9];
        input[0] = purpose as u8;
        input[1..5].copy_from_slice(&a.to_le_bytes());
        input[5..].copy_from_slice(&b.to_le_bytes());
        *blake3::keyed_hash(&self.0, &input).as_bytes()
    }

    /// `peer`'s stream for `purpose`.
    #[must_use]
    pub fn stream(&self, purpose: Purpose, peer: u32) -> ChaCha12Rng {
        ChaCha12Rng::from_seed(self.bytes(purpose, peer, 0))
    }

    /// One number for the unordered pair `a`, `b`.
    #[must_use]
    pub fn of_pair(&self, purpose: Purpose, a: u32, b: u32) -> u64 {
        let bytes = self.bytes(purpose, a.min(b), a.max(b));
        u64::from_le_bytes(core::array::from_fn(|i| bytes[i]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng;

    #[test]
    fn events_come_by_time_then_by_order_of_scheduling() {
        let mut engine = Engine::default();
        engine.at(Time(20), 'c');
        engine.at(Time(10), 'a');
        engine.at(Time(10), 'b');
        let mut seen = Vec::new();
        while let Some(event) = engine.next(Time(15)) {
            seen.push((engine.now().0, event));
        }
        assert_eq!(seen, [(10, 'a'), (10, 'b')]);
        // The past cannot be scheduled.
        engine.at(Time(3), 'd');
        assert_eq!((engine.next(Time(30)), engine.now()), (Some('d'), Time(10)));
        assert_eq!(
            (engine.next(Time(30)), engine.next(Time(30))),
            (Some('c'), None)
        );
    }

    #[test]
    fn streams_differ_by_seed_purpose_and_peer_and_repeat() {
        let draw = |seed, purpose, peer| Streams::new(seed).stream(purpose, peer).next_u64();
        let one = draw(1, Purpose::Link, 7);
        assert_eq!(one, draw(1, Purpose::Link, 7));
        assert!(
            [
                draw(2, Purpose::Link, 7),
                draw(1, Purpose::Core, 7),
                draw(1, Purpose::Link, 8)
            ]
            .iter()
            .all(|d| *d != one)
        );
        let streams = Streams::new(1);
        assert_eq!(
            streams.of_pair(Purpose::Pair, 3, 9),
            streams.of_pair(Purpose::Pair, 9, 3)
        );
    }
}
