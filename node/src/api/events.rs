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

use super::types::{EventQuery, SCHEMA};
use crate::jobs::{Feed, Numbered, Reading};

/// A sign of life when nothing happens.
const ALIVE: Duration = Duration::from_secs(15);

/// The feed from some number on, of one job if that is asked.
pub(super) fn stream(
    feed: &Feed,
    headers: &HeaderMap,
    query: &EventQuery,
    job: Option<JobId>,
) -> Stream<impl Items<Item = Result<Sse, Infallible>> + use<>> {
    let last = headers
        .get("last-event-id")
        .and_then(|v| v.to_str().ok()?.parse().ok());
    let Reading { missed, kept, live } = feed.read(last.or(query.after));
    let gap = (missed > 0).then(|| missing(missed));
    let before = stream::iter(gap)
        .chain(stream::iter(kept).filter_map(move |n| async move { told(&n, job) }));
    let after = stream::unfold(live, move |mut live| async move {
        loop {
            match live.recv().await {
                Ok(one) => {
                    if let Some(event) = told(&one, job) {
                        return Some((event, live));
                    }
                }
                // A slow reader: it comes back with its last number, or goes on and knows.
                Err(RecvError::Lagged(missed)) => return Some((missing(missed), live)),
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Stream::new(before.chain(after).map(Ok)).keep_alive(KeepAlive::new().interval(ALIVE))
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
