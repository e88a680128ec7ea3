//! Sessions of a browser: a code for one use, exchanged for a cookie that no script can read.
//!
//! The code goes to the browser in the part of an address that it sends to nobody, and counts for a minute. Sessions end
//! with the peer; only digests of either are kept.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Token;
use super::extract::Sent;
use super::handlers::{Answer, Shared};
use super::types::{Problem, SCHEMA};
use crate::reason::Reason;

/// How long a code counts.
const CODE_LIFE: Duration = Duration::from_secs(60);
/// Codes that wait to be used; the oldest goes first.
const CODES: usize = 8;
/// Sessions at once; the oldest ends first.
const SESSIONS: usize = 64;

/// The codes and sessions of one peer.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    codes: VecDeque<(blake3::Hash, Instant)>,
    open: VecDeque<blake3::Hash>,
}

impl Sessions {
    /// A new code.
    fn code(&self) -> Result<String, Reason> {
        let code = Token::random()?;
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.codes.len() >= CODES {
            inner.codes.pop_front();
        }
        let digest = blake3::hash(code.text().as_bytes());
        inner.codes.push_back((digest, Instant::now()));
        Ok(code.text().to_owned())
    }

    /// A session for a code, which is then used up.
    fn open(&self, code: &str) -> Result<String, Reason> {
        let session = Token::random()?;
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.codes.retain(|(_, made)| made.elapsed() < CODE_LIFE);
        let digest = blake3::hash(code.as_bytes());
        let place = inner.codes.iter().position(|(code, _)| *code == digest);
        let Some(place) = place else {
            let what = "the code was used already, or is older than a minute";
            return Err(Reason::new("code_spent", what, OPEN_AGAIN));
        };
        inner.codes.remove(place);
        if inner.open.len() >= SESSIONS {
            inner.open.pop_front();
        }
        inner
            .open
            .push_back(blake3::hash(session.text().as_bytes()));
        Ok(session.text().to_owned())
    }

    /// Whether a session is open.
    pub(super) fn knows(&self, session: &str) -> bool {
        let digest = blake3::hash(session.as_bytes());
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.open.contains(&digest)
    }

    fn close(&self, session: &str) {
        let digest = blake3::hash(session.as_bytes());
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.open.retain(|open| *open != digest);
    }
}

/// What a person does whose session is over.
pub(super) const OPEN_AGAIN: &str = "open the pages again with `starling dash`";

/// The cookie's name. All peers of a machine share a browser's cookies of 127.0.0.1, whatever their ports.
fn cookie_name(port: u16) -> String {
    format!("starling_{port}")
}

/// The session that a request shows.
pub(super) fn cookie(headers: &HeaderMap, port: u16) -> Option<&str> {
    let name = cookie_name(port);
    let all = headers.get_all(header::COOKIE).iter();
    let pairs = all
        .filter_map(|h| h.to_str().ok())
        .flat_map(|h| h.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().split_once('='));
    values.find(|(n, _)| *n == name).map(|(_, value)| value)
}

/// A code, and where to take it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CodeView {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What a browser opens, once and within a minute.
    pub url: String,
}

/// A code to exchange.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CodeOrder {
    /// As it came in the address.
    pub code: String,
}

/// An address that opens the pages, once and within a minute.
#[utoipa::path(post, path = "/session/code", responses((status = 200, body = CodeView)))]
pub(super) async fn code(State(hosted): Shared, headers: HeaderMap) -> Answer<CodeView> {
    let code = hosted.sessions.code()?;
    // The guard has looked at it.
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let url = format!("http://{}/#code={code}", host.unwrap_or_default());
    Ok(Json(CodeView {
        schema: SCHEMA,
        url,
    }))
}

/// Opens a session: the answer sets its cookie. Needs no token, but a page of this API.
#[utoipa::path(post, path = "/session", request_body = CodeOrder, responses((status = 204),
    (status = 401, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn open(
    State(hosted): Shared,
    headers: HeaderMap,
    Sent(order): Sent<CodeOrder>,
) -> Result<Response, Reason> {
    let session = hosted.sessions.open(&order.code)?;
    Ok(with_cookie(&headers, &session, ""))
}

/// Ends the session that the request shows.
#[utoipa::path(delete, path = "/session", responses((status = 204)))]
pub(super) async fn close(State(hosted): Shared, headers: HeaderMap) -> Response {
    if let Some(session) = cookie(&headers, port_of(&headers)) {
        hosted.sessions.close(session);
    }
    with_cookie(&headers, "", "; Max-Age=0")
}

/// The guard lets no other host in than one with this API's own port.
fn port_of(headers: &HeaderMap) -> u16 {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let port = host.and_then(|h| h.rsplit_once(':')?.1.parse().ok());
    port.unwrap_or_default()
}

fn with_cookie(headers: &HeaderMap, session: &str, more: &str) -> Response {
    let name = cookie_name(port_of(headers));
    let cookie = format!("{name}={session}; Path=/; HttpOnly; SameSite=Strict{more}");
    let mut answer = StatusCode::NO_CONTENT.into_response();
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().insert(header::SET_COOKIE, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_opens_one_session_and_no_second() {
        let sessions = Sessions::default();
        let code = sessions.code().expect("randomness");
        assert!(sessions.open("0000").is_err());
        let session = sessions.open(&code).expect("it is new");
        assert!(sessions.knows(&session) && !sessions.knows(&code));
        assert!(sessions.open(&code).is_err());
        sessions.close(&session);
        assert!(!sessions.knows(&session));
    }

    #[test]
    fn codes_and_sessions_are_bounded() {
        let sessions = Sessions::default();
        let first = sessions.code().expect("randomness");
        let later: Vec<_> = (0..CODES).map(|_| sessions.code()).collect();
        assert!(sessions.open(&first).is_err(), "the oldest is gone");
        let last = later.into_iter().next_back().expect("several");
        let oldest = sessions
            .open(&last.expect("randomness"))
            .expect("it is new");
        for _ in 0..SESSIONS {
            let code = sessions.code().expect("randomness");
            sessions.open(&code).expect("it is new");
        }
        assert!(!sessions.knows(&oldest));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        let all = "theme=dark; starling_4000=aa;starling_4001=bb";
        headers.insert(header::COOKIE, HeaderValue::from_static(all));
        assert_eq!(cookie(&headers, 4001), Some("bb"));
        assert_eq!(cookie(&headers, 4000), Some("aa"));
        assert_eq!(cookie(&headers, 400), None);
    }
}
