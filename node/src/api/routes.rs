//! What is served: the resources under `/api/v1` with the document that describes them, the pages, and metrics.
//!
//! The document is made when somebody asks for it: a peer that nobody asks keeps neither it nor the code that makes it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::response::Response;
use axum::routing::{MethodRouter, delete, get, post, put};
use axum::{Json, Router};
use futures::StreamExt as _;
use tokio::sync::watch;
use utoipa::OpenApi;

use super::guard::{Guard, guard};
use super::handlers::*;
use super::types::Problem;
use super::{Hosted, lending, members, metrics, owner, pages, picture, preflight, session};
use crate::reason::Reason;

/// Each resource with what answers for it.
fn resources() -> Vec<(&'static str, MethodRouter<Arc<Hosted>>)> {
    vec![
        ("/blobs", put(put_blob)),
        ("/bundles/verify", post(owner::verify)),
        ("/doctor", get(owner::doctor)),
        ("/events", get(all_events)),
        ("/jobs", get(jobs).post(submit)),
        ("/jobs/{id}", get(job).delete(forget)),
        ("/jobs/{id}/bundle", get(bundle)),
        ("/jobs/{id}/cancel", post(cancel)),
        ("/jobs/{id}/collect", post(collect)),
        ("/jobs/{id}/collected", post(collected)),
        ("/jobs/{id}/events", get(job_events)),
        ("/jobs/{id}/picture.png", get(picture::picture)),
        ("/jobs/{id}/slices/{n}/output", get(output)),
        ("/jobs/{id}/why", get(why)),
        ("/kernels/{id}/peers", get(eligible)),
        ("/lend", get(lending::show).post(lending::set)),
        ("/logs", get(owner::logs)),
        ("/net", get(net)),
        ("/peers", get(peers)),
        ("/peers/{id}", get(peer)),
        ("/preflight", post(preflight::preflight)),
        ("/sensors", get(lending::sensors)),
        ("/session", delete(session::close).post(session::open)),
        ("/session/code", post(session::code)),
        ("/settings", get(owner::settings)),
        ("/settings/{key}", put(owner::set)),
        ("/status", get(status)),
        ("/swarm", get(members::show)),
        ("/swarm/invitations", post(members::invite)),
        ("/swarm/revocations", post(members::revoke)),
        ("/work", get(lending::work)),
    ]
}

/// The same, for the document; tests compare them.
#[derive(OpenApi)]
#[openapi(
    components(schemas(Problem)),
    paths(
        put_blob,
        owner::verify,
        owner::doctor,
        all_events,
        jobs,
        submit,
        job,
        forget,
        bundle,
        cancel,
        collect,
        collected,
        job_events,
        picture::picture,
        output,
        why,
        eligible,
        lending::show,
        lending::set,
        owner::logs,
        net,
        peers,
        peer,
        preflight::preflight,
        lending::sensors,
        session::close,
        session::open,
        session::code,
        owner::settings,
        owner::set,
        status,
        members::show,
        members::invite,
        members::revoke,
        lending::work,
    )
)]
struct Resources;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Starling's local API",
        description = "What programs of this machine ask of a peer. Every request needs the header `Authorization: Bearer TOKEN` with the token of the file `api.token` in the peer's home. Errors are problem details (RFC 9457) with a stable `code`."
    ),
    nest((path = "/api/v1", api = Resources))
)]
struct Document;

/// All that is served, behind the guard. Streams end when `stopped` does.
pub(super) fn router(hosted: Arc<Hosted>, by: Guard, stopped: watch::Receiver<bool>) -> Router {
    let described = resources().into_iter();
    let described = described.fold(Router::new(), |router, (path, methods)| {
        router.route(path, methods)
    });
    Router::new()
        .nest("/api/v1", described)
        .merge(pages::routes())
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(metrics::healthz))
        .route("/readyz", get(metrics::readyz))
        .route("/api/v1/openapi.json", get(async || Json(document())))
        .fallback(|| async {
            Reason::new(
                "not_found",
                "there is no such resource",
                "see /api/v1/openapi.json",
            )
        })
        .method_not_allowed_fallback(|| async {
            Reason::new(
                "not_allowed",
                "the method is not for this resource",
                "see /api/v1/openapi.json",
            )
        })
        .layer(middleware::from_fn(
            move |request, next: middleware::Next| {
                let mut stopped = stopped.clone();
                async move {
                    let answer: Response = next.run(request).await;
                    // An endless stream must not outlive the server.
                    let ended = async move { drop(stopped.wait_for(|stop| *stop).await) };
                    let (parts, body) = answer.into_parts();
                    let body = body.into_data_stream().take_until(Box::pin(ended));
                    Response::from_parts(parts, Body::from_stream(body))
                }
            },
        ))
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(by, guard))
        .with_state(hosted)
}

/// What describes all resources.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_served_is_described() {
        let served = resources().into_iter();
        let served: BTreeSet<_> = served.map(|(path, _)| format!("/api/v1{path}")).collect();
        let described: BTreeSet<_> = document().paths.paths.into_keys().collect();
        assert_eq!(served, described);
    }
}
