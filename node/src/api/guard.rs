//! What every request has to pass before anything looks at it: host, origin, token or session, and a body in time.
//!
//! A web page that a person has open can send requests to loopback. The allowed hosts stop names that were rebound to
//! 127.0.0.1, the token stops everything that cannot read a private file, and the origin rule stops pages that got
//! hold of the token. A browser that shows a session's cookie has to say that one of the peer's own pages asks.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use starling_protocol::config::BUNDLE_MAX;

use super::pages;
use super::scopes::Tokens;
use super::session::{self, Sessions};
use super::token::Token;
use crate::reason::Reason;

/// Longest body of a request that is no upload, in bytes.
pub(super) const BODY_MAX: usize = 1 << 20;
/// How long such a body may take.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What requests are measured by.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) token: Token,
    pub(super) port: u16,
    pub(super) sessions: Arc<Sessions>,
    pub(super) tokens: Arc<Tokens>,
}

/// For whoever starts and watches the process: they tell nothing of anybody.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Where receipts are sent to, which may be longer.
const VERIFY: &str = "/api/v1/bundles/verify";
/// Where a browser exchanges its code: it has nothing else yet.
const EXCHANGE: &str = "/api/v1/session";

/// The middleware.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let checked = guard
        .host(&request)
        .and_then(|()| guard.origin(&request))
        .and_then(|()| guard.shown(&request));
    if let Err(reason) = checked {
        return reason.into_response();
    }
    // Uploads are streamed to the store, which has limits of its own.
    if request.method() == Method::PUT {
        return next.run(request).await;
    }
    let most = match request.uri().path() {
        VERIFY => BUNDLE_MAX,
        _ => BODY_MAX,
    };
    match whole(request, most).await {
        Ok(request) => next.run(request).await,
        Err(reason) => reason.into_response(),
    }
}

impl Guard {
    /// `127.0.0.1:PORT`, `localhost:PORT` or `[::1]:PORT`.
    fn allowed(&self, host: &str) -> bool {
        let port =
            |rest: &str| rest.strip_prefix(':').and_then(|p| p.parse().ok()) == Some(self.port);
        ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|name| host.strip_prefix(name).is_some_and(port))
    }

    fn host(&self, request: &Request) -> Result<(), Reason> {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let one = hosts.next().and_then(|h| h.to_str().ok());
        match (one, hosts.next()) {
            (Some(host), None) if self.allowed(host) => Ok(()),
            _ => Err(Reason::new(
                "host_not_allowed",
                "this API answers to 127.0.0.1, localhost and [::1] with its own port only",
                format!("ask http://127.0.0.1:{}", self.port),
            )),
        }
    }

    fn origin(&self, request: &Request) -> Result<(), Reason> {
        if request.method() == Method::GET {
            return Ok(());
        }
        let value = |name| {
            request
                .headers()
                .get(name)
                .map(|v| v.to_str().unwrap_or("?"))
        };
        let own = |origin: &str| {
            origin
                .strip_prefix("http://")
                .is_some_and(|h| self.allowed(h))
        };
        let page = value("origin").is_none_or(own);
        let site = value("sec-fetch-site").is_none_or(|s| s == "same-origin" || s == "none");
        if page && site {
            return Ok(());
        }
        Err(foreign_page())
    }

    /// A token or a session, unless it is a file of the pages that is asked for, or a session.
    fn shown(&self, request: &Request) -> Result<(), Reason> {
        let path = request.uri().path();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if reads && (pages::has(path) || OPEN.contains(&path)) {
            return Ok(());
        }
        let headers = request.headers();
        if request.method() == Method::POST && path == EXCHANGE {
            return self.of_own_page(request);
        }
        match session::cookie(headers, self.port) {
            Some(cookie) if headers.get(header::AUTHORIZATION).is_none() => {
                if !self.sessions.knows(cookie) {
                    let what = "the session is over: the peer was started again since";
                    return Err(Reason::new("session_over", what, session::OPEN_AGAIN));
                }
                if reads {
                    return Ok(());
                }
                self.of_own_page(request)
            }
            _ => self.token(request),
        }
    }

    /// Browsers say whose page sends what changes something.
    fn of_own_page(&self, request: &Request) -> Result<(), Reason> {
        match request.headers().get(header::ORIGIN) {
            Some(_) => self.origin(request),
            None => Err(foreign_page()),
        }
    }

    fn token(&self, request: &Request) -> Result<(), Reason> {
        let fix =
            "send the header `Authorization: Bearer TOKEN` with the token of the file api.token";
        let query = request
            .uri()
            .query()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if query.contains("token") || self.token.is_in(&query) {
            let what = "a token in the address gets into logs and histories";
            return Err(Reason::new("token_in_url", what, fix));
        }
        let given = request.headers().get(header::AUTHORIZATION);
        let given = given.and_then(|v| v.to_str().ok()?.strip_prefix("Bearer "));
        match given {
            None => Err(Reason::new(
                "token_missing",
                "the request has no token",
                fix,
            )),
            Some(given) if self.token.is(given.trim()) => Ok(()),
            Some(given) => match self.tokens.scope(given.trim()) {
                Some(scope) if scope.covers(request.method(), request.uri().path()) => Ok(()),
                Some(_) => Err(Reason::new(
                    "scope_too_small",
                    "the token is not good for this",
                    "use another one: `starling token create` makes them",
                )),
                None => Err(Reason::new(
                    "token_wrong",
                    "the token is not this peer's",
                    fix,
                )),
            },
        }
    }
}

fn foreign_page() -> Reason {
    Reason::new(
        "origin_not_allowed",
        "only pages of this API itself may change anything",
        "send the request from a program, or from the peer's own pages",
    )
}

/// Reads the body, if it is short and comes in time.
async fn whole(request: Request, most: usize) -> Result<Request, Reason> {
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(BODY_TIME, to_bytes(body, most)).await;
    let bytes = read
        .map_err(|_| {
            let what = format!(
                "the request's body did not come within {} s",
                BODY_TIME.as_secs()
            );
            Reason::new("body_too_slow", what, "send it faster")
        })?
        .map_err(|_| {
            let what = format!("the request's body has more than {most} bytes, or broke off");
            Reason::new(
                "body_too_large",
                what,
                "put large inputs into the store: PUT /api/v1/blobs",
            )
            .with("most", most)
        })?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}
