//! How fast blobs may pass: one direction of the owner's line, which all streams of that direction share.
//!
//! Only blobs count: they are nearly all that a peer sends, and what is left keeps the swarm together.
//! The other side of a stream gives up what is slower than [`LEAST_BYTES_PER_S`]. So a slow line has fewer streams at
//! once, not slower ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use starling_protocol::lending::Shares;
use tokio::{sync::Notify, time::sleep};

use crate::net::{Rate, rate::Buckets};

/// Least average rate of a stream that is waited for.
pub const LEAST_BYTES_PER_S: u64 = 64 * 1024;
/// A stream's share of a capped line: more than the least, because shares are not even.
const SHARE: u64 = 2 * LEAST_BYTES_PER_S;

/// Both directions.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Blobs that this peer sends.
    pub up: Line,
    /// Blobs that it fetches.
    pub down: Line,
}

impl Lines {
    /// As fast as their owner lets them.
    pub fn of(shares: Shares) -> Self {
        let lines = Self::default();
        lines.set(shares);
        lines
    }

    /// The same, from now on.
    pub fn set(&self, shares: Shares) {
        self.up.set(shares.upload_mbit_s.map(bytes_per_s));
        self.down.set(shares.download_mbit_s.map(bytes_per_s));
    }
}

fn bytes_per_s(mbit_s: u32) -> u64 {
    u64::from(mbit_s) * 1_000_000 / 8
}

/// One direction; clones are one.
#[derive(Clone, Debug, Default)]
pub struct Line(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There may be room for a stream again.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// None: as fast as it goes.
    cap: Option<Cap>,
    streams: usize,
}

#[derive(Debug)]
struct Cap {
    bytes_per_s: u64,
    bucket: Buckets<()>,
}

impl Cap {
    fn new(bytes_per_s: u64) -> Self {
        let per_s = bytes_per_s as f64;
        // What a second brings may come at once.
        let burst = per_s;
        Cap {
            bytes_per_s,
            bucket: Buckets::new(Rate { per_s, burst }, 1),
        }
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At most so many bytes a second from now on.
    fn set(&self, bytes_per_s: Option<u64>) {
        let mut state = self.lock();
        if state.cap.as_ref().map(|cap| cap.bytes_per_s) != bytes_per_s {
            state.cap = bytes_per_s.map(Cap::new);
            self.0.room.notify_waiters();
        }
    }

    /// A place for one more stream; none while the line is full.
    fn try_enter(&self) -> Option<Place> {
        let mut state = self.lock();
        let most = state
            .cap
            .as_ref()
            .map_or(u64::MAX, |cap| (cap.bytes_per_s / SHARE).max(1));
        if state.streams as u64 >= most {
            return None;
        }
        state.streams += 1;
        Some(Place(self.clone()))
    }

    /// The same, waited for.
    pub(crate) async fn enter(&self) -> Place {
        loop {
            let room = self.0.room.notified();
            tokio::pin!(room);
            // Before the look: what changes after it is heard.
            room.as_mut().enable();
            if let Some(place) = self.try_enter() {
                return place;
            }
            room.await;
        }
    }
}

/// A stream's place on a line, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Line);

impl Place {
    /// How long so many bytes have to wait; they count as passed.
    pub(crate) fn wait(&self, bytes: usize) -> Duration {
        match &mut self.0.lock().cap {
            Some(cap) => cap.bucket.charge((), bytes as f64, Instant::now()),
            None => Duration::ZERO,
        }
    }

    /// Counts bytes as passed, and waits for as long as that takes.
    pub(crate) async fn pass(&self, bytes: usize) {
        let wait = self.wait(bytes);
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lock().streams -= 1;
        self.0.0.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_line_waits_for_nothing() {
        let line = Line::default();
        let places: Vec<_> = (0..100).map_while(|_| line.try_enter()).collect();
        assert_eq!(places.len(), 100);
        assert_eq!(places[0].wait(1 << 30), Duration::ZERO);
    }

    #[test]
    fn a_capped_line_has_few_streams_and_paces_them() {
        let line = Line::default();
        line.set(Some(4 * SHARE));
        let mut places: Vec<_> = std::iter::from_fn(|| line.try_enter()).collect();
        assert_eq!(places.len(), 4);
        assert_eq!(
            places[0].wait(4 * SHARE as usize),
            Duration::ZERO,
            "a second's worth"
        );
        let wait = places[1].wait(400 * SHARE as usize);
        assert!(wait > Duration::from_secs(60) && wait <= Duration::from_secs(100));
        places.pop();
        assert!(line.try_enter().is_some(), "its place is free again");
        line.set(Some(1));
        assert!(line.try_enter().is_none());
        drop(places);
        assert!(line.try_enter().is_some(), "one passes on the slowest line");
        line.set(None);
        assert_eq!(
            line.try_enter().map(|place| place.wait(1 << 30)),
            Some(Duration::ZERO)
        );
    }

    #[tokio::test]
    async fn who_waits_for_a_place_hears_of_it() {
        let line = Line::default();
        line.set(Some(1));
        let first = line.enter().await;
        let second = tokio::spawn({
            let line = line.clone();
            async move { drop(line.enter().await) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.expect("the second comes in");

        let _all = line.enter().await;
        let third = tokio::spawn({
            let line = line.clone();
            async move { drop(line.enter().await) }
        });
        tokio::task::yield_now().await;
        line.set(None);
        third.await.expect("a cap that is lifted lets it in");
    }
}
