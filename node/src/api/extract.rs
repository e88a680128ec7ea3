//! Queries, paths and bodies that do not parse are answered as every other mistake: with a reason, as problem details.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::reason::Reason;

/// What stands behind the question mark.
pub(super) struct Query<T>(pub(super) T);

/// What the path names.
pub(super) struct Path<T>(pub(super) T);

/// A body of JSON.
pub(super) struct Sent<T>(pub(super) T);

/// What a request asks for makes no sense.
pub(super) fn bad(what: impl Into<String>) -> Reason {
    Reason::new("bad_request", what, "see /api/v1/openapi.json")
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Reason;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Reason> {
        let read = axum::extract::Query::from_request_parts(parts, state).await;
        read.map(|query| Self(query.0))
            .map_err(|e| bad(e.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Reason;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Reason> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|path| Self(path.0))
            .map_err(|e| bad(e.body_text()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Reason;

    async fn from_request(request: Request, state: &S) -> Result<Self, Reason> {
        let read = Json::from_request(request, state).await;
        read.map(|Json(body)| Self(body))
            .map_err(|e| bad(e.body_text()))
    }
}
