//! The last mile: a fixed time and some jitter for the two ends of every path.
//!
//! The table of [`super::latency`] was measured between data centres; peers at home are further away.

use super::{Draw, Hop, Knobs, Packet, salt};
use crate::engine::{Purpose, Streams};
use core::time::Duration;
use starling_protocol::Time;

/// The model.
pub struct Access {
    base_ns: f64,
    jitter_ns: f64,
    salt: u64,
}

impl Access {
    /// Twice `access_ms`, and up to twice `jitter_ms` more: a path has two ends.
    #[must_use]
    pub fn new(knobs: &Knobs, streams: &Streams) -> Self {
        Self {
            base_ns: knobs.access_ms * 2e6,
            jitter_ns: knobs.jitter_ms * 2e6,
            salt: salt(streams, Purpose::Access),
        }
    }

    /// What every packet takes, ns.
    #[must_use]
    pub fn base_ns(&self) -> f64 {
        self.base_ns
    }

    /// Up to so much more, ns.
    #[must_use]
    pub fn jitter_ns(&self) -> f64 {
        self.jitter_ns
    }
}

impl Hop for Access {
    fn pass(&mut self, _: Time, _: &Packet, draw: Draw, so_far: Duration) -> Option<Duration> {
        let takes = self.base_ns + self.jitter_ns * draw.unit(self.salt);
        Some(so_far + Duration::from_nanos(takes as u64))
    }
}
