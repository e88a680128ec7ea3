//! The latest lines of the log, kept in memory for whoever looks at the pages.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use utoipa::ToSchema;

/// Lines that are kept.
const KEPT: usize = 2_000;
/// Longest line, in bytes: texts of strangers may be among them.
const LINE_MAX: usize = 2_048;

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// Grows by one.
    pub id: u64,
    /// Unix time in ms.
    pub unix_ms: u64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The part of the program that says so.
    pub target: String,
    /// What it says.
    pub message: String,
}

#[derive(Debug)]
struct Ring {
    last: u64,
    lines: VecDeque<Line>,
}

/// A process has one log.
static RING: Mutex<Ring> = Mutex::new(Ring {
    last: 0,
    lines: VecDeque::new(),
});

/// Lines after the one of that number, the oldest first.
pub fn lines(after: u64) -> Vec<Line> {
    let ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
    let later = ring.lines.iter().filter(|line| line.id > after);
    later.cloned().collect()
}

/// Keeps what is logged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recent;

impl<S: Subscriber> Layer<S> for Recent {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let mut message = text.0;
        message.truncate(message.floor_char_boundary(LINE_MAX));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let about = event.metadata();
        let mut ring = RING.lock().unwrap_or_else(PoisonError::into_inner);
        ring.last += 1;
        let line = Line {
            id: ring.last,
            unix_ms: now.map_or(0, |d| d.as_millis() as u64),
            level: about.level().as_str().to_lowercase(),
            target: about.target().to_owned(),
            message,
        };
        if ring.lines.len() >= KEPT {
            ring.lines.pop_front();
        }
        ring.lines.push_back(line);
    }
}

/// The message, then the fields as `name=value`.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => {
                self.0.insert_str(0, &format!("{value:?}"));
                Ok(())
            }
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn lines_are_kept_cut_and_numbered() {
        let subscriber = tracing_subscriber::registry().with(Recent);
        tracing::subscriber::with_default(subscriber, || {
            (0..KEPT).for_each(|n| tracing::info!(n, "again"));
            tracing::info!(n = 7, "it went {}", "well");
            tracing::warn!("{}", "\u{4f60}".repeat(LINE_MAX));
        });
        let all = lines(0);
        assert_eq!(all.len(), KEPT);
        assert!(all.windows(2).all(|w| w[1].id == w[0].id + 1));
        assert_eq!(lines(all[KEPT - 3].id).len(), 2);
        let [.., well, long] = all.as_slice() else {
            panic!("{all:?}")
        };
        assert_eq!(
            (well.level.as_str(), well.message.as_str()),
            ("info", "it went well n=7")
        );
        assert!(long.level == "warn" && (LINE_MAX - 3..=LINE_MAX).contains(&long.message.len()));
    }
}
