//! A hierarchical timing wheel: the queue of events that a run spends its time in.
//!
//! Level 0 has a slot for each microsecond of the current window of 256, level 1 a slot for each of the windows
//! after it, and so on (Varghese and Lauck, SOSP 1987, scheme 7). An event waits on the level of the highest digit in
//! which its time differs from the wheel's, and moves down when the wheel gets there.
//!
//! Invariant: events come out by time, and those of one instant in the order in which they were put in. No sequence
//! number is kept for that: events of one instant are always in one slot together, because they differ from the
//! wheel's time in the same digit, and every move down keeps their order.

use std::collections::VecDeque;

/// Measured with 10^5 events pending: 8 bits are faster than 9 to 12 for spans up to a second, and as fast beyond.
const BITS: u32 = 8;
const SLOTS: usize = 1 << BITS;
/// So long is what level 0 has slots for.
pub(crate) const WINDOW: u64 = SLOTS as u64;
/// Enough digits for every 64-bit time.
const LEVELS: usize = (u64::BITS as usize).div_ceil(BITS as usize);

/// Slots below this level hold little, and fill again and again: they keep their room.
const SHARED: usize = 2;

struct Level<E> {
    slots: Vec<VecDeque<(u64, E)>>,
    /// A bit for each slot that holds something.
    full: [u64; SLOTS / 64],
}

impl<E> Level<E> {
    fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| VecDeque::new()).collect(),
            full: [0; SLOTS / 64],
        }
    }

    fn push(&mut self, slot: usize, at: u64, event: E) {
        self.slots[slot].push_back((at, event));
        self.full[slot / 64] |= 1 << (slot % 64);
    }

    fn mark_empty(&mut self, slot: usize) {
        self.full[slot / 64] &= !(1 << (slot % 64));
    }

    /// The first slot from `from` on that holds something.
    fn first_from(&self, from: usize) -> Option<usize> {
        let mut mask = u64::MAX << (from % 64);
        for word in from / 64..SLOTS / 64 {
            let full = self.full[word] & mask;
            if full != 0 {
                return Some(word * 64 + full.trailing_zeros() as usize);
            }
            mask = u64::MAX;
        }
        None
    }
}

fn digit(time: u64, level: usize) -> usize {
    (time >> (BITS as usize * level)) as usize & (SLOTS - 1)
}

/// A time's digits from `level` on; those below are zero.
fn from_digit(time: u64, level: usize) -> u64 {
    let shift = BITS as usize * level;
    time.checked_shr(shift as u32).unwrap_or(0) << shift
}

/// Events that wait for their time.
pub struct Wheel<E> {
    /// Nothing is earlier than this.
    base: u64,
    len: usize,
    levels: Vec<Level<E>>,
    /// Room that slots of level [`SHARED`] and above have emptied, for those that fill next: as much as was needed at
    /// once, not as much as each slot has ever held.
    spare: Vec<VecDeque<(u64, E)>>,
}

impl<E> Default for Wheel<E> {
    fn default() -> Self {
        Self {
            base: 0,
            len: 0,
            levels: (0..LEVELS).map(|_| Level::new()).collect(),
            spare: Vec::new(),
        }
    }
}

impl<E> Wheel<E> {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory of all slots, bytes, room for events to come included.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let slots = self.levels.iter().flat_map(|level| &level.slots);
        let slot = |s: &VecDeque<(u64, E)>| s.capacity() * size_of::<(u64, E)>() + size_of_val(s);
        slots.map(slot).sum()
    }

    /// What is due within the wheel's present window of 256.
    pub fn window(&self) -> impl Iterator<Item = &E> {
        let level = &self.levels[0];
        let mut from = 0;
        let slots = core::iter::from_fn(move || {
            let slot = level.first_from(from)?;
            from = slot + 1;
            Some(slot)
        });
        slots.flat_map(|slot| level.slots[slot].iter().map(|(_, event)| event))
    }

    /// Puts `event` in for `at`, or for the wheel's own time if that has passed.
    pub fn push(&mut self, at: u64, event: E) {
        self.len += 1;
        self.place(at.max(self.base), event);
    }

    fn place(&mut self, at: u64, event: E) {
        // The highest bit that differs; of equal times the lowest.
        let bit = ((at ^ self.base) | 1).ilog2();
        let level = (bit / BITS) as usize;
        let slot = digit(at, level);
        if level >= SHARED
            && self.levels[level].slots[slot].capacity() == 0
            && let Some(room) = self.spare.pop()
        {
            self.levels[level].slots[slot] = room;
        }
        self.levels[level].push(slot, at, event);
    }

    /// The next event, if it is not later than `until`. Else the wheel's time becomes `until`.
    pub fn pop(&mut self, until: u64) -> Option<(u64, E)> {
        loop {
            if let Some(slot) = self.levels[0].first_from(digit(self.base, 0)) {
                return self.pop_slot(slot, until);
            }
            if !self.move_down(until) {
                self.base = self.base.max(until);
                return None;
            }
        }
    }

    fn pop_slot(&mut self, slot: usize, until: u64) -> Option<(u64, E)> {
        let at = from_digit(self.base, 1) + slot as u64;
        if at > until {
            self.base = self.base.max(until);
            return None;
        }
        self.base = at;
        let level = &mut self.levels[0];
        let next = level.slots[slot].pop_front();
        if level.slots[slot].is_empty() {
            level.mark_empty(slot);
        }
        self.len -= usize::from(next.is_some());
        next
    }

    /// Moves the wheel to the next slot that holds something, and what it holds to the levels below.
    fn move_down(&mut self, until: u64) -> bool {
        for level in 1..LEVELS {
            let Some(slot) = self.levels[level].first_from(digit(self.base, level)) else {
                continue;
            };
            let start = from_digit(self.base, level + 1) | (slot as u64) << (BITS as usize * level);
            if start > until {
                return false;
            }
            self.base = start;
            self.levels[level].mark_empty(slot);
            let mut moving = core::mem::take(&mut self.levels[level].slots[slot]);
            moving
                .drain(..)
                .for_each(|(at, event)| self.place(at, event));
            if level >= SHARED {
                self.spare.push(moving);
            } else {
                self.levels[level].slots[slot] = moving;
            }
            return true;
        }
        false
    }
}
