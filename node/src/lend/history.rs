//! How the device was in the last hour and the last day, as samples.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sensors::Gauges;

/// Samples of a span.
const SAMPLES: u64 = 360;

/// How far back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// A sample every 10 s.
    #[default]
    Hour,
    /// A sample every 4 min.
    Day,
}

impl Span {
    /// Seconds between two samples.
    pub fn every_s(self) -> u64 {
        match self {
            Self::Hour => 3_600 / SAMPLES,
            Self::Day => 86_400 / SAMPLES,
        }
    }
}

/// The device at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// Unix seconds.
    pub at_s: u64,
    /// Whether it was lent.
    pub lends: bool,
    /// How it was.
    #[serde(flatten)]
    pub gauges: Gauges,
}

/// The samples of both spans, the oldest first.
#[derive(Debug, Default)]
pub struct History {
    hour: VecDeque<Sample>,
    day: VecDeque<Sample>,
}

impl History {
    /// Whether it is time for a sample.
    pub fn wants(&self, now_s: u64) -> bool {
        is_due(&self.hour, Span::Hour, now_s)
    }

    /// Takes one.
    pub fn take(&mut self, at_s: u64, lends: bool, gauges: Gauges) {
        let sample = Sample {
            at_s,
            lends,
            gauges,
        };
        for (kept, span) in [(&mut self.hour, Span::Hour), (&mut self.day, Span::Day)] {
            if is_due(kept, span, at_s) {
                if kept.len() as u64 >= SAMPLES {
                    kept.pop_front();
                }
                kept.push_back(sample);
            }
        }
    }

    /// Those of a span.
    pub fn samples(&self, span: Span) -> Vec<Sample> {
        let kept = match span {
            Span::Hour => &self.hour,
            Span::Day => &self.day,
        };
        kept.iter().copied().collect()
    }
}

/// Also if the clock was set back.
fn is_due(kept: &VecDeque<Sample>, span: Span, now_s: u64) -> bool {
    kept.back()
        .is_none_or(|last| now_s.abs_diff(last.at_s) >= span.every_s())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_and_a_day_are_kept_and_no_more() {
        let mut history = History::default();
        for at_s in 0..2 * 86_400 {
            if history.wants(at_s) {
                history.take(at_s, true, Gauges::default());
            }
        }
        for (span, every) in [(Span::Hour, 10), (Span::Day, 240)] {
            let samples = history.samples(span);
            assert_eq!(samples.len() as u64, SAMPLES);
            assert!(samples.windows(2).all(|w| w[1].at_s - w[0].at_s == every));
            assert!(samples[0].at_s + SAMPLES * every >= 2 * 86_400 - every);
        }
        assert!(history.wants(5), "the clock was set back");
    }
}
