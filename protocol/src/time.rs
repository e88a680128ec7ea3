//! The crate's own clock values. The shell reads the clocks; nothing here can.

use core::time::Duration;

/// A monotonic instant in microseconds since an arbitrary start that the shell chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// The instant `span` later; saturates instead of wrapping.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// When the core wants to be called next, and what for: a stuck peer can then say why it is waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Call `handle` with `Input::Tick` at or after this instant.
    pub at: Time,
    /// The timer that asked.
    pub reason: &'static str,
}
