//! The dashboard's files, as they lie in `node/dash/dist`: built there, checked by CI, part of this binary.
//!
//! They hold nothing of anybody; what they show they ask of the API, with a session.

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Nothing from elsewhere, no script or style that is not a file of this list.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A path, its kind and its bytes.
type File = (&'static str, &'static str, &'static [u8]);

const FILES: [File; 6] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_bytes!("../../dash/dist/index.html"),
    ),
    (
        "/dash.css",
        "text/css; charset=utf-8",
        include_bytes!("../../dash/dist/dash.css"),
    ),
    (
        "/dash.js",
        SCRIPT,
        include_bytes!("../../dash/dist/dash.js"),
    ),
    (
        "/text.js",
        SCRIPT,
        include_bytes!("../../dash/dist/text.js"),
    ),
    (
        "/chart.js",
        SCRIPT,
        include_bytes!("../../dash/dist/chart.js"),
    ),
    (
        "/world_map.js",
        SCRIPT,
        include_bytes!("../../dash/dist/world_map.js"),
    ),
];

/// Whether a path is one of the files.
pub(super) fn has(path: &str) -> bool {
    FILES.iter().any(|(of, ..)| *of == path)
}

/// A route for each file.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, file| {
        router.route(
            file.0,
            get(move |headers| async move { answer(file, &headers) }),
        )
    })
}

fn answer((_, kind, bytes): File, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", &blake3::hash(bytes).to_hex()[..32]);
    let known = asked
        .get(header::IF_NONE_MATCH)
        .and_then(|t| t.to_str().ok());
    let mut answer = match known {
        Some(known) if known == tag => StatusCode::NOT_MODIFIED.into_response(),
        _ => bytes.into_response(),
    };
    let fixed = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Asked for again every time, by its tag: a newer daemon's pages are seen at once.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let headers = answer.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    answer
}
