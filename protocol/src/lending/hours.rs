//! Hours of the week, as an owner writes them: `mon-fri 22:00-08:00`, `sat,sun`, `22:00-06:00`.
//!
//! Local time, in minutes of the week; Monday begins with 0. A span that ends before it begins goes on into the next day.

use alloc::string::String;
use core::fmt::{self, Write as _};
use core::str::FromStr;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// Minutes of a week.
pub const WEEK: u16 = 7 * DAY;

/// A span of some days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// A bit for each day on which it begins, Monday's the lowest.
    days: u8,
    /// Minutes of that day.
    from: u16,
    /// How long it lasts, minutes; more than none, at most a day.
    lasts: u16,
}

/// Why a text names no hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// A day that is none.
    #[error("{0:?} is no day: write mon, tue, wed, thu, fri, sat or sun, mon-fri or sat,sun")]
    Day(String),
    /// A time that is none.
    #[error("{0:?} is no span of time: write 22:00-08:00")]
    Time(String),
}

impl Hours {
    /// Minutes from `minute` of the week until it lends: 0 within, or until it begins next.
    fn opens_in(&self, minute: u16) -> u16 {
        let days = (0..7).filter(|day| self.days >> day & 1 == 1);
        let until = days.map(|day| {
            let begins = day * DAY + self.from;
            let ago = (minute + WEEK - begins % WEEK) % WEEK;
            if ago < self.lasts { 0 } else { WEEK - ago }
        });
        until.min().unwrap_or(WEEK)
    }
}

/// Minutes until one of them begins, 0 within one; nothing if there are none.
#[must_use]
pub fn opens_in(all: &[Hours], minute: u16) -> Option<u16> {
    let minute = minute % WEEK;
    all.iter().map(|hours| hours.opens_in(minute)).min()
}

fn day(text: &str) -> Result<u8, HoursError> {
    let place = DAYS.iter().position(|d| d.eq_ignore_ascii_case(text));
    place
        .map(|p| p as u8)
        .ok_or_else(|| HoursError::Day(text.into()))
}

/// `mon-fri,sun`: a bit for each.
fn days(text: &str) -> Result<u8, HoursError> {
    let mut all = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut next, last) = (day(first)?, day(last)?);
        all |= 1 << next;
        while next != last {
            next = (next + 1) % 7;
            all |= 1 << next;
        }
    }
    Ok(all)
}

/// `22:00`, up to `24:00`.
fn time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
}

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let text = text.trim();
        let (named, span) = match text.split_once(' ') {
            Some((named, span)) => (Some(named), Some(span.trim())),
            None if text.contains(':') => (None, Some(text)),
            None => (Some(text), None),
        };
        let days = named.map_or(Ok(0x7f), days)?;
        let (from, to) = match span {
            None => (0, DAY),
            Some(span) => {
                let ends = span.split_once('-');
                let ends = ends.and_then(|(from, to)| time(from).zip(time(to)));
                ends.filter(|(from, to)| from != to && *from < DAY)
                    .ok_or_else(|| HoursError::Time(span.into()))?
            }
        };
        let lasts = if to > from {
            to - from
        } else {
            to + DAY - from
        };
        Ok(Self { days, from, lasts })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (day, name) in DAYS.iter().enumerate() {
            if self.days >> day & 1 == 1 {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        let to = (self.from + self.lasts - 1) % DAY + 1;
        f.write_char(' ')?;
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            self.from / 60,
            self.from % 60,
            to / 60,
            to % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    fn at(day: u16, hour: u16, minute: u16) -> u16 {
        day * DAY + hour * 60 + minute
    }

    fn open(texts: &[&str], minute: u16) -> Option<u16> {
        let all: Vec<Hours> = texts.iter().map(|t| t.parse().expect("hours")).collect();
        opens_in(&all, minute)
    }

    #[test]
    fn spans_end_before_their_last_minute() {
        assert_eq!(open(&["08:00-10:00"], at(3, 8, 0)), Some(0));
        assert_eq!(open(&["08:00-10:00"], at(3, 9, 59)), Some(0));
        assert_eq!(open(&["08:00-10:00"], at(3, 10, 0)), Some(22 * 60));
        assert_eq!(open(&["08:00-10:00"], at(3, 7, 30)), Some(30));
    }

    #[test]
    fn nights_belong_to_the_day_on_which_they_begin() {
        let nights = ["fri 22:00-08:00"];
        assert_eq!(open(&nights, at(4, 23, 0)), Some(0));
        assert_eq!(open(&nights, at(5, 7, 59)), Some(0));
        assert_eq!(open(&nights, at(5, 23, 0)), Some(6 * DAY - 60));
        assert_eq!(
            open(&["sun 22:00-08:00"], at(0, 1, 0)),
            Some(0),
            "over the week's end"
        );
    }

    #[test]
    fn days_may_wrap_and_be_listed() {
        assert_eq!(open(&["sat-mon"], at(0, 12, 0)), Some(0));
        assert_eq!(open(&["sat-mon"], at(1, 0, 0)), Some(4 * DAY));
        assert_eq!(open(&["tue", "thu"], at(2, 12, 0)), Some(DAY / 2));
        assert_eq!(open(&[], 0), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "mon-fri 22:00-08:00",
            "sat,sun",
            "00:00-24:00",
            "fri 23:59-00:00",
        ] {
            let hours: Hours = text.parse().expect("hours");
            assert_eq!(hours.to_string().parse(), Ok(hours), "{text} as {hours}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "monday",
            "mon 8-10",
            "25:00-26:00",
            "08:00-08:00",
            "24:00-25:00",
            "mon fri",
        ] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
    }
}
