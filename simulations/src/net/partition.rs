//! Partitions: for a time, what one group of peers sends to another does not arrive.
//!
//! One-sided unless both ways are asked for. Up to 32 windows, which may overlap. Packets under way when a window
//! opens still arrive.

use super::{Draw, Hop, Knobs, Packet, Place, latency, mix, salt, unit};
use crate::engine::{Purpose, Streams};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use starling_protocol::Time;

/// Most windows that a run can have: bits of a word.
pub const MAX_WINDOWS: usize = 32;

/// Some of the peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Group {
    /// All of them.
    Everybody,
    /// All that the window's other group leaves.
    Others,
    /// Those of some regions.
    Regions(Vec<String>),
    /// Those numbered from the first to the second, both included.
    Peers(u32, u32),
    /// A random share of them, 0 to 1.
    Share(f64),
}

/// A window in time in which `a` cannot reach `b`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Who is not heard.
    pub a: Group,
    /// Who does not hear.
    pub b: Group,
    /// When it opens, virtual seconds.
    pub start_s: f64,
    /// When it closes.
    pub end_s: f64,
    /// Whether `b` cannot reach `a` either.
    #[serde(default)]
    pub both_ways: bool,
}

/// On which side of which windows a peer is, a bit a window.
#[derive(Clone, Copy, Default)]
struct Sides {
    a: u32,
    b: u32,
}

/// The model.
pub struct Partitions {
    windows: Vec<(Time, Time)>,
    both_ways: u32,
    sides: Vec<Sides>,
    /// Windows open at an instant, and for how long that holds: from, until.
    open: (u32, Time, Time),
}

impl Partitions {
    /// The windows of `knobs`.
    #[must_use]
    pub fn new(knobs: &Knobs, places: &[Place], streams: &Streams) -> Self {
        let windows = &knobs.partitions[..knobs.partitions.len().min(MAX_WINDOWS)];
        let table = latency::Table::aws();
        let salt = salt(streams, Purpose::Partition);
        let is_in = |group: &Group, window: usize, peer: usize| match group {
            Group::Everybody => Some(true),
            Group::Others => None,
            Group::Regions(names) => {
                let region = table.regions()[usize::from(places[peer].region)];
                Some(names.iter().any(|name| name == region))
            }
            Group::Peers(first, last) => Some((*first..=*last).contains(&(peer as u32))),
            Group::Share(share) => {
                let number = ((window as u64) << 32) | peer as u64;
                let hash = mix(salt ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                Some(unit(hash) < *share)
            }
        };
        let mut sides = Vec::new();
        if !windows.is_empty() {
            sides = vec![Sides::default(); places.len()];
        }
        for (peer, sides) in sides.iter_mut().enumerate() {
            for (at, window) in windows.iter().enumerate() {
                let (a, b) = (is_in(&window.a, at, peer), is_in(&window.b, at, peer));
                // Both "others" is refused by the knobs' check.
                sides.a |= u32::from(a.unwrap_or(b == Some(false))) << at;
                sides.b |= u32::from(b.unwrap_or(a == Some(false))) << at;
            }
        }
        let time = |s: f64| Time((s * 1e6) as u64);
        let both = windows.iter().enumerate();
        Self {
            both_ways: both.fold(0, |bits, (at, w)| bits | (u32::from(w.both_ways) << at)),
            windows: windows
                .iter()
                .map(|w| (time(w.start_s), time(w.end_s)))
                .collect(),
            sides,
            open: (0, Time(1), Time(0)),
        }
    }

    /// Memory of what is kept by peer, bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        super::room(&self.sides)
    }

    /// Whether what `from` sends to `to` at `now` is stopped.
    pub fn stops(&mut self, now: Time, from: u32, to: u32) -> bool {
        if self.windows.is_empty() {
            return false;
        }
        if !(self.open.1 <= now && now < self.open.2) {
            self.open = self.opened(now);
        }
        let open = self.open.0;
        if open == 0 {
            return false;
        }
        let (from, to) = (self.sides[from as usize], self.sides[to as usize]);
        open & ((from.a & to.b) | (from.b & to.a & self.both_ways)) != 0
    }

    /// The windows open at `now`, and the instants around it between which that does not change.
    fn opened(&self, now: Time) -> (u32, Time, Time) {
        let (mut open, mut since, mut until) = (0, Time(0), Time(u64::MAX));
        for (at, (start, end)) in self.windows.iter().enumerate() {
            if *start <= now && now < *end {
                open |= 1 << at;
            }
            for edge in [*start, *end] {
                if edge <= now {
                    since = since.max(edge);
                } else {
                    until = until.min(edge);
                }
            }
        }
        (open, since, until)
    }
}

impl Hop for Partitions {
    fn pass(&mut self, now: Time, packet: &Packet, _: Draw, so_far: Duration) -> Option<Duration> {
        (!self.stops(now, packet.from, packet.to)).then_some(so_far)
    }
}
