//! Server-sent events: what happens, numbered, with a word about what was missed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::{Event as Sse, KeepAlive, Sse as Stream};
use futures::{Stream as Items, StreamExt as _, stream};
use serde_json::json;
use starling_protocol::JobId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Hosted;
use super::types::{EventQuery, SCHEMA};
use crate::jobs::{Numbered, Reading};
use crate::reason::Reason;

/// A sign of life when nothing happens.
const ALIVE: Duration = Duration::from_secs(15);
/// Streams at once. Each holds one of the API's connections, which others need too.
const STREAMS: usize = 32;

/// Those that are open; clones are one.
#[derive(Clone)]
pub struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS)))
    }
}

impl Streams {
    /// A place for one more.
    fn place(&self) -> Result<OwnedSemaphorePermit, Reason> {
        self.0.clone().try_acquire_owned().map_err(|_| {
            let what = format!("{STREAMS} streams of events are open already");
            Reason::new(
                "too_many",
                what,
                "close pages or programs that follow this peer",
            )
        })
    }
}

/// The feed from some number on, of one job if that is asked.
///
/// # Errors
/// `too_many`.
pub(super) fn stream(
    hosted: &Hosted,
    headers: &HeaderMap,
    query: &EventQuery,
    job: Option<JobId>,
) -> Result<Stream<impl Items<Item = Result<Sse, Infallible>> + use<>>, Reason> {
    let (feed, place) = (&hosted.feed, hosted.streams.place()?);
    let last = headers
        .get("last-event-id")
        .and_then(|v| v.to_str().ok()?.parse().ok());
    let Reading { missed, kept, live } = feed.read(last.or(query.after));
    let gap = (missed > 0).then(|| missing(missed));
    let before = stream::iter(gap)
        .chain(stream::iter(kept).filter_map(move |n| async move { told(&n, job) }));
    let after = stream::unfold((live, place), move |(mut live, place)| async move {
        loop {
            match live.recv().await {
                Ok(one) => {
                    if let Some(event) = told(&one, job) {
                        return Some((event, (live, place)));
                    }
                }
                // A slow reader: it comes back with its last number, or goes on and knows.
                Err(RecvError::Lagged(missed)) => return Some((missing(missed), (live, place))),
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let all = Stream::new(before.chain(after).map(Ok));
    Ok(all.keep_alive(KeepAlive::new().interval(ALIVE)))
}

fn told(one: &Arc<Numbered>, job: Option<JobId>) -> Option<Sse> {
    if job.is_some() && one.job() != job {
        return None;
    }
    let event = Sse::default().id(one.id.to_string()).event("happening");
    event.json_data(&**one).ok()
}

fn missing(missed: u64) -> Sse {
    let data = json!({ "schema": SCHEMA, "missed": missed }).to_string();
    Sse::default().event("missed").data(data)
}
