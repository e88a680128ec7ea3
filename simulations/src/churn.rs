//! When peers come and go: never, by a Weibull distribution, or as a trace says.
//!
//! Sessions in deployed swarms fit Weibull distributions with shapes 0.34 to 0.59 (Stutzbach and Rejaie, "Understanding
//! Churn in Peer-to-Peer Networks", IMC 2006). The defaults come from IPFS, where half of all sessions last under 2 h
//! and four fifths under 8 h: those two give shape 0.608 and scale 13,161 s, just above that span. Invariant: a peer's
//! sessions ascend, do not overlap and depend on nobody else.

use crate::engine::{Purpose, Streams};
use crate::net::unit;
use rand_core::Rng;
use serde::{Deserialize, Serialize};
use starling_protocol::Time;
use std::path::{Path, PathBuf};

/// How peers come and go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Churn {
    /// Everybody stays.
    #[default]
    None,
    /// Independent peers, in the midst of their comings and goings when the run begins.
    Weibull(Weibull),
    /// As a file says: [`Trace::read`].
    Trace {
        /// The file; in an experiment relative to that.
        file: PathBuf,
    },
}

/// Sessions and absences that follow Weibull distributions of one shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weibull {
    /// Shape of both; below 1, who has stayed long will stay longer.
    pub shape: f64,
    /// Median session, s.
    pub session_median_s: f64,
    /// Median absence, s. Assumption: as long as a session, so that half of all peers are there.
    pub absence_median_s: f64,
}

impl Default for Weibull {
    fn default() -> Self {
        let (shape, _) = through((7_200.0, 0.5), (28_800.0, 0.8));
        Self {
            shape,
            session_median_s: 7_200.0,
            absence_median_s: 7_200.0,
        }
    }
}

/// Shape and scale of the Weibull distribution of which share `p` lies below `t`, for two pairs `(t, p)`.
///
/// From `1 - p = exp(-(t / scale)^shape)`, twice.
#[must_use]
pub fn through(low: (f64, f64), high: (f64, f64)) -> (f64, f64) {
    let hazard = |p: f64| -libm::log(1.0 - p);
    let shape = libm::log(hazard(high.1) / hazard(low.1)) / libm::log(high.0 / low.0);
    (shape, low.0 / libm::pow(hazard(low.1), 1.0 / shape))
}

/// The time below which share `u` in 0..1 of a Weibull distribution lies.
#[must_use]
pub fn quantile(shape: f64, median: f64, u: f64) -> f64 {
    let scale = median / libm::pow(core::f64::consts::LN_2, 1.0 / shape);
    scale * libm::pow(-libm::log(1.0 - u), 1.0 / shape)
}

/// The mean of a Weibull distribution.
fn mean(shape: f64, median: f64) -> f64 {
    let scale = median / libm::pow(core::f64::consts::LN_2, 1.0 / shape);
    scale * libm::tgamma(1.0 + 1.0 / shape)
}

/// One stay of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// When it comes.
    pub up: Time,
    /// When it goes; [`Time`]'s last instant when it stays.
    pub down: Time,
}

/// It stays.
pub const FOR_EVER: Time = Time(u64::MAX);

fn time(s: f64) -> Time {
    Time((s * 1e6) as u64)
}

impl Churn {
    /// The first knob that is out of its range, and what it should be.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let Self::Weibull(weibull) = self else {
            return None;
        };
        let median = |s: f64| (1.0..=1e9).contains(&s);
        let shape = (0.1..=10.0).contains(&weibull.shape);
        if !shape {
            Some(("weibull.shape", "0.1 to 10"))
        } else if !median(weibull.session_median_s) {
            Some(("weibull.session_median_s", "1 to 1000000000"))
        } else if !median(weibull.absence_median_s) {
            Some(("weibull.absence_median_s", "1 to 1000000000"))
        } else {
            None
        }
    }

    /// The sessions of peers 0 to `peers` up to `horizon`, each peer's in order.
    ///
    /// # Errors
    /// Where the trace cannot be read or has no such peers.
    pub fn sessions(
        &self,
        peers: u32,
        horizon: Time,
        streams: &Streams,
    ) -> Result<Vec<Vec<Session>>, TraceError> {
        let (up, down) = (Time::default(), FOR_EVER);
        match self {
            Self::None => Ok(vec![vec![Session { up, down }]; peers as usize]),
            Self::Weibull(weibull) => Ok((0..peers)
                .map(|peer| weibull.sessions(peer, horizon, streams))
                .collect()),
            Self::Trace { file } => Trace::read(file)?.of(peers, file),
        }
    }
}

/// Before a run, so many cycles of a session and an absence go by unseen. A run that begins at a peer's first session
/// would begin with too many newcomers: what is under way at an instant is longer than average.
const UNSEEN_CYCLES: f64 = 10.0;

impl Weibull {
    /// `peer`'s sessions that end after the run's beginning and begin before `horizon`.
    #[must_use]
    pub fn sessions(&self, peer: u32, horizon: Time, streams: &Streams) -> Vec<Session> {
        let mut stream = streams.stream(Purpose::Churn, peer);
        let mut draw = || unit(stream.next_u64());
        let end_s = horizon.0 as f64 / 1e6;
        let up_s = mean(self.shape, self.session_median_s);
        let cycle = up_s + mean(self.shape, self.absence_median_s);
        // Somewhere within a cycle, so that peers that all begin with a session do not stay in step.
        let mut at_s = -UNSEEN_CYCLES * cycle * (1.0 + draw());
        let mut up = draw() * cycle < up_s;
        let mut sessions = Vec::new();
        while at_s < end_s {
            let median = if up {
                self.session_median_s
            } else {
                self.absence_median_s
            };
            let until_s = at_s + quantile(self.shape, median, draw());
            // Shorter than the clock's step: nobody would see it.
            if up && until_s > 0.0 && time(at_s.max(0.0)) < time(until_s) {
                sessions.push(Session {
                    up: time(at_s.max(0.0)),
                    down: time(until_s),
                });
            }
            (at_s, up) = (until_s, !up);
        }
        sessions
    }
}

/// Why a trace is refused.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It cannot be read at all.
    #[error("{}: {error}", file.display())]
    Unreadable {
        /// The trace.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// One of its lines makes no sense.
    #[error("{}:{line}: {fault}", file.display())]
    Line {
        /// The trace.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what should be there.
        fault: String,
    },
    /// It does not fit the scenario.
    #[error("{}: {fault}", file.display())]
    Peers {
        /// The trace.
        file: PathBuf,
        /// What is wrong.
        fault: String,
    },
}

/// Sessions from a CSV file: `peer,up_s,down_s` with a line a session, or `time_s,peer,event` with a line for each
/// `up` or `down`. The header is required, since it says the unit: seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    peers: Vec<Vec<Session>>,
}

/// No peer of a trace has a higher number: a typing error would fill the memory.
const MAX_PEERS: u32 = 10_000_000;

impl Trace {
    /// Reads `file`.
    ///
    /// # Errors
    /// With the file's name and the line at fault.
    pub fn read(file: &Path) -> Result<Self, TraceError> {
        let text = std::fs::read_to_string(file).map_err(|error| TraceError::Unreadable {
            file: file.to_owned(),
            error,
        })?;
        Self::parse(&text, file)
    }

    /// Reads `text`; errors name it `file`.
    ///
    /// # Errors
    /// As [`Trace::read`].
    pub fn parse(text: &str, file: &Path) -> Result<Self, TraceError> {
        let at = |line: usize, fault: String| TraceError::Line {
            file: file.to_owned(),
            line: line + 1,
            fault,
        };
        let mut lines = text.lines().map(str::trim_end).enumerate();
        let (_, header) = lines.next().unwrap_or((0, ""));
        let by_session = match header.replace(' ', "").as_str() {
            "peer,up_s,down_s" => true,
            "time_s,peer,event" => false,
            _ => {
                return Err(at(
                    0,
                    format!(
                        "the header is {header:?}; it should be \"peer,up_s,down_s\" or \"time_s,peer,event\", times \
                         in seconds"
                    ),
                ));
            }
        };
        let (mut trace, mut last_s) = (Self::default(), 0.0);
        for (line, row) in lines {
            if row.is_empty() || row.starts_with('#') {
                continue;
            }
            let cells: Vec<_> = row.split(',').map(str::trim).collect();
            let &[a, b, c] = cells.as_slice() else {
                return Err(at(
                    line,
                    format!("{} columns; there should be 3", cells.len()),
                ));
            };
            let taken = if by_session {
                trace.session(a, b, c)
            } else {
                trace.event(a, b, c, &mut last_s)
            };
            taken.map_err(|fault| at(line, fault))?;
        }
        if let Some(gap) = trace.peers.iter().position(Vec::is_empty) {
            let fault = format!(
                "peer {gap} has no line, but a higher one has; peers count from 0 without a gap"
            );
            let file = file.to_owned();
            return Err(TraceError::Peers { file, fault });
        }
        Ok(trace)
    }

    /// The sessions of its first `peers` peers.
    pub(crate) fn of(self, peers: u32, file: &Path) -> Result<Vec<Vec<Session>>, TraceError> {
        let known = self.peers.len();
        if known != peers as usize {
            let file = file.to_owned();
            let fault = format!("it has {known} peers, the scenario {peers}");
            return Err(TraceError::Peers { file, fault });
        }
        Ok(self.peers)
    }

    fn peer(&mut self, cell: &str) -> Result<&mut Vec<Session>, String> {
        let peer = cell.parse::<u32>().ok().filter(|peer| *peer < MAX_PEERS);
        let peer = peer.ok_or_else(|| {
            format!(
                "peer {cell:?}; it should be a number from 0 to {}",
                MAX_PEERS - 1
            )
        })?;
        let at = peer as usize;
        if self.peers.len() <= at {
            self.peers.resize(at + 1, Vec::new());
        }
        Ok(&mut self.peers[at])
    }

    fn session(&mut self, peer: &str, up: &str, down: &str) -> Result<(), String> {
        let (up_s, down_s) = (seconds("up_s", up)?, seconds("down_s", down)?);
        if down_s <= up_s {
            return Err(format!("down_s {down} should be later than up_s {up}"));
        }
        let sessions = self.peer(peer)?;
        let (up_at, down_at) = (time(up_s), time(down_s));
        if let Some(before) = sessions.last() {
            if up_at < before.up {
                return Err(format!(
                    "peer {peer} came at {} s on an earlier line; its lines should be sorted",
                    s(before.up)
                ));
            }
            if up_at < before.down {
                return Err(format!(
                    "peer {peer} is there until {} s already; its sessions overlap",
                    s(before.down)
                ));
            }
        }
        sessions.push(Session {
            up: up_at,
            down: down_at,
        });
        Ok(())
    }

    fn event(&mut self, at: &str, peer: &str, event: &str, last_s: &mut f64) -> Result<(), String> {
        let at_s = seconds("time_s", at)?;
        if at_s < *last_s {
            return Err(format!(
                "time_s {at} comes after {last_s}; lines should be sorted by time"
            ));
        }
        *last_s = at_s;
        let sessions = self.peer(peer)?;
        let there = sessions.last().is_some_and(|last| last.down == FOR_EVER);
        match (event, there) {
            ("up", false) => {
                let up = time(at_s);
                sessions.push(Session { up, down: FOR_EVER });
                Ok(())
            }
            ("down", true) => {
                if let Some(last) = sessions.last_mut() {
                    last.down = time(at_s);
                }
                Ok(())
            }
            ("up", true) => Err(format!("peer {peer} is up already; a \"down\" is missing")),
            ("down", false) => Err(format!("peer {peer} is not up; an \"up\" is missing")),
            _ => Err(format!("event {event:?}; it should be \"up\" or \"down\"")),
        }
    }
}

fn s(time: Time) -> f64 {
    time.0 as f64 / 1e6
}

/// A time in seconds. Three hundred years are taken for milliseconds or worse.
fn seconds(column: &str, cell: &str) -> Result<f64, String> {
    match cell.parse::<f64>() {
        Err(_) => Err(format!(
            "{column} {cell:?}; it should be a plain number of seconds"
        )),
        Ok(s) if !s.is_finite() => Err(format!("{column} {cell} is not finite")),
        Ok(s) if s < 0.0 => Err(format!("{column} {cell} is negative")),
        Ok(s) if s > 1e10 => Err(format!(
            "{column} {cell} is over three hundred years; the unit is seconds"
        )),
        Ok(s) => Ok(s),
    }
}
