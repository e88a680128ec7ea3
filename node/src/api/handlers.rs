//! What answers for peers, jobs and blobs. Each handler translates, and leaves the work to the desk or the peer.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, TryStreamExt as _};
use starling_kernels::KernelId;
use starling_protocol::reputation::ReputationView;
use starling_protocol::{Advert, PeerKey};
use tokio::io::AsyncWriteExt as _;

use super::Hosted;
use super::events;
use super::extract::{Path, Query, Sent, bad};
use super::types::{
    BlobInfo, BundleQuery, EventQuery, JobLine, JobOrder, JobView, Jobs, NetView, PeerInfo, Peers,
    PriceQuery, Problem, SCHEMA, Status, Why,
};
use crate::blobs::{BlobError, MAX_BLOB_BYTES};
use crate::jobs::account::{self, unhex};
use crate::jobs::{Desk, JobFile, Order, Said};
use crate::node::Node;
use crate::reason::Reason;

/// A job without a deadline ends after a day.
const DEADLINE_S: u64 = 24 * 3600;
/// Longest command that is kept with a job, in bytes.
const CLI_MAX: usize = 8192;
/// Longest wait for peers, in seconds.
const WAIT_MAX: f64 = 600.0;
/// Longest pause between two pieces of an upload.
const PIECE_TIME: Duration = Duration::from_secs(15);

pub(super) type Shared = State<Arc<Hosted>>;
pub(super) type Answer<T> = Result<Json<T>, Reason>;

/// The peer that serves this API.
#[utoipa::path(get, path = "/status", responses((status = 200, body = Status)))]
pub(super) async fn status(State(hosted): Shared) -> Answer<Status> {
    let desk = hosted.desk.get();
    let lender = match &hosted.lender {
        Some(node) => node,
        None => hosted.desk().await?.node(),
    };
    let capability = lender.capability();
    let me = lender.key();
    let peers = lender.peers().await;
    Ok(Json(Status {
        schema: SCHEMA,
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        peer: me,
        swarm: lender.swarm(),
        swarm_name: hosted.swarm_name.clone(),
        lends: hosted
            .lending
            .as_ref()
            .is_some_and(|k| k.terms().borrow().lends()),
        device: capability.profile.name.to_string(),
        note: capability.note.clone(),
        peers: peers.iter().filter(|(advert, _)| advert.peer != me).count(),
        requester: desk.map(|desk| desk.node().key()),
        blob_bytes: lender.blobs().used_bytes(),
    }))
}

/// How the peer stands in its network: where it listens, who reaches it, and how.
#[utoipa::path(get, path = "/net", responses((status = 200, body = NetView)))]
pub(super) async fn net(State(hosted): Shared) -> Answer<NetView> {
    let net = match &hosted.lender {
        Some(node) => node.network().await,
        None => hosted.desk().await?.node().network().await,
    };
    let net = net.ok_or_else(|| Reason::of("network_failed", "the peer is leaving"))?;
    Ok(Json(NetView {
        schema: SCHEMA,
        net,
    }))
}

async fn known(hosted: &Hosted) -> Result<Vec<PeerInfo>, Reason> {
    let peers = match &hosted.lender {
        Some(node) => node.peers().await,
        None => hosted.desk().await?.node().peers().await,
    };
    Ok(with_reputations(hosted, peers).await)
}

/// Adverts, each with what this home's peers think of who made it.
async fn with_reputations(hosted: &Hosted, peers: Vec<(Advert, u64)>) -> Vec<PeerInfo> {
    async fn seen_by(node: Option<&Node>) -> BTreeMap<PeerKey, ReputationView> {
        let views = match node {
            Some(node) => node.reputations().await,
            None => Vec::new(),
        };
        views.into_iter().map(|view| (view.peer, view)).collect()
    }
    let mut lender = seen_by(hosted.lender.as_deref()).await;
    let mut requester = seen_by(hosted.desk.get().map(Desk::node)).await;
    let proofs = match hosted.desk.get().map(Desk::node) {
        Some(node) => node.proofs().await,
        None => Vec::new(),
    };
    let mut proofs: BTreeMap<_, _> = proofs.into_iter().collect();
    let info = |(advert, age_ms): (Advert, u64)| PeerInfo {
        proofs: proofs.remove(&advert.peer).unwrap_or_default(),
        lender: lender.remove(&advert.peer),
        requester: requester.remove(&advert.peer),
        advert,
        age_ms,
    };
    peers.into_iter().map(info).collect()
}

/// Peers of the swarm, as their adverts show them.
#[utoipa::path(get, path = "/peers", responses((status = 200, body = Peers)))]
pub(super) async fn peers(State(hosted): Shared) -> Answer<Peers> {
    let peers = known(&hosted).await?;
    Ok(Json(Peers {
        schema: SCHEMA,
        peers,
    }))
}

/// One peer, by its key or the beginning of it.
#[utoipa::path(get, path = "/peers/{id}", params(("id" = String, Path)),
    responses((status = 200, body = PeerInfo), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn peer(State(hosted): Shared, Path(id): Path<String>) -> Answer<PeerInfo> {
    let mut all = known(&hosted).await?;
    all.retain(|peer| peer.advert.peer.to_string().starts_with(&id));
    match (all.pop(), all.pop()) {
        (Some(peer), None) => Ok(Json(peer)),
        (None, _) => Err(Reason::new(
            "not_found",
            format!("no known peer's key begins with {id:?}"),
            "list them with `starling peers`",
        )),
        _ => Err(Reason::new(
            "bad_request",
            format!("several peers' keys begin with {id:?}"),
            "write more of the key",
        )),
    }
}

/// Peers that would compute a kernel for this home's requester now.
#[utoipa::path(get, path = "/kernels/{id}/peers", params(("id" = String, Path), PriceQuery),
    responses((status = 200, body = Peers), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn eligible(
    State(hosted): Shared,
    Path(id): Path<String>,
    Query(query): Query<PriceQuery>,
) -> Answer<Peers> {
    let kernel = kernel_id(&id)?.0.into();
    let adverts = hosted
        .desk()
        .await?
        .eligible(&kernel, query.max_price)
        .await;
    let peers = with_reputations(&hosted, adverts).await;
    Ok(Json(Peers {
        schema: SCHEMA,
        peers,
    }))
}

fn kernel_id(text: &str) -> Result<KernelId, Reason> {
    let bytes = unhex(text).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.map(KernelId).ok_or_else(|| {
        let what = "a kernel's id has 64 hexadecimal digits";
        Reason::new("bad_request", what, "`starling version` lists the kernels")
    })
}

/// Jobs of this home, the newest first.
#[utoipa::path(get, path = "/jobs", responses((status = 200, body = Jobs)))]
pub(super) async fn jobs(State(hosted): Shared) -> Answer<Jobs> {
    let files = match hosted.desk.get() {
        Some(desk) => desk.list(),
        None => {
            let all = account::all(&hosted.jobs).into_iter();
            let mut files: Vec<_> = all.map(JobFile::idle).collect();
            files.sort_by_key(|file| (std::cmp::Reverse(file.started_s), file.job));
            files
        }
    };
    let jobs = files.iter().map(JobLine::from).collect();
    Ok(Json(Jobs {
        schema: SCHEMA,
        jobs,
    }))
}

/// Submits a job: waits for peers, then answers with its account.
#[utoipa::path(post, path = "/jobs", request_body = JobOrder,
    responses((status = 201, body = JobView), (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn submit(
    State(hosted): Shared,
    Sent(order): Sent<JobOrder>,
) -> Result<(StatusCode, Json<JobView>), Reason> {
    let kernel = kernel_id(&order.kernel)?;
    let params = unhex(&order.params).ok_or_else(|| bad("`params` is not hexadecimal"))?;
    if order.cli.as_ref().is_some_and(|cli| cli.len() > CLI_MAX) {
        return Err(bad("`cli` has more than 8192 bytes"));
    }
    let wait = order.wait_s.unwrap_or(10.0);
    if !(0.0..=WAIT_MAX).contains(&wait) {
        return Err(bad("`wait_s` is 0 to 600"));
    }
    let file = hosted
        .desk()
        .await?
        .submit(Order {
            kernel,
            params,
            inputs: order.inputs,
            slice_tiles: order.slice_tiles,
            deadline_s: order.deadline_s.unwrap_or(DEADLINE_S),
            max_price: order.max_price,
            stewards: order.stewards,
            full_audits: order.full_audits,
            peers: order.peers,
            wait: Duration::from_secs_f64(wait),
            said: Said {
                output: order.output,
                cli: order.cli,
            },
        })
        .await?;
    // Its first events may have come already: the account is as of the submission, events are counted from there.
    Ok((StatusCode::CREATED, Json(JobView::of(file, 0))))
}

pub(super) async fn found(hosted: &Hosted, name: &str) -> Result<JobFile, Reason> {
    match hosted.desk.get() {
        Some(desk) => desk.find(name),
        None => {
            let id = account::resolve(&hosted.jobs, name)?;
            JobFile::load(&hosted.jobs, &id).map(JobFile::idle)
        }
    }
}

/// One job.
#[utoipa::path(get, path = "/jobs/{id}", params(("id" = String, Path)),
    responses((status = 200, body = JobView), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn job(State(hosted): Shared, Path(id): Path<String>) -> Answer<JobView> {
    let event = hosted.feed.last();
    Ok(Json(JobView::of(found(&hosted, &id).await?, event)))
}

/// Looks for a job that this identity submitted elsewhere, and takes it back; answers when its record was found.
#[utoipa::path(post, path = "/jobs/{id}/collect", params(("id" = String, Path)),
    responses((status = 200, body = JobView), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn collect(State(hosted): Shared, Path(id): Path<String>) -> Answer<JobView> {
    let file = hosted.desk().await?.collect(&id).await?;
    Ok(Json(JobView::of(file, hosted.feed.last())))
}

/// Cancels a job that runs.
#[utoipa::path(post, path = "/jobs/{id}/cancel", params(("id" = String, Path)),
    responses((status = 200, body = JobView), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn cancel(State(hosted): Shared, Path(id): Path<String>) -> Answer<JobView> {
    let file = hosted.desk().await?.cancel(&id).await?;
    Ok(Json(JobView::of(file, hosted.feed.last())))
}

/// Says that the outputs were collected: they are removed, account and receipts stay.
#[utoipa::path(post, path = "/jobs/{id}/collected", params(("id" = String, Path)),
    responses((status = 200, body = JobView), (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn collected(State(hosted): Shared, Path(id): Path<String>) -> Answer<JobView> {
    let file = hosted.desk().await?.collected(&id).await?;
    Ok(Json(JobView::of(file, hosted.feed.last())))
}

/// Forgets a job that has ended: outputs, account and receipts.
#[utoipa::path(delete, path = "/jobs/{id}", params(("id" = String, Path)),
    responses((status = 204), (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn forget(
    State(hosted): Shared,
    Path(id): Path<String>,
) -> Result<StatusCode, Reason> {
    hosted.desk().await?.forget(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Why a job is not done.
#[utoipa::path(get, path = "/jobs/{id}/why", params(("id" = String, Path)),
    responses((status = 200, body = Why), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn why(State(hosted): Shared, Path(id): Path<String>) -> Answer<Why> {
    found(&hosted, &id).await?;
    let reasons = hosted.desk().await?.why(&id).await?;
    Ok(Json(Why {
        schema: SCHEMA,
        reasons,
    }))
}

/// What happens to a job, as server-sent events.
#[utoipa::path(get, path = "/jobs/{id}/events", params(("id" = String, Path), EventQuery),
    responses((status = 200, content_type = "text/event-stream"), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn job_events(
    State(hosted): Shared,
    Path(id): Path<String>,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
) -> Result<Response, Reason> {
    let job = found(&hosted, &id).await?.job;
    Ok(events::stream(&hosted, &headers, &query, Some(job))?.into_response())
}

/// What happens, as server-sent events.
#[utoipa::path(get, path = "/events", params(EventQuery), responses((status = 200, content_type = "text/event-stream")))]
pub(super) async fn all_events(
    State(hosted): Shared,
    Query(query): Query<EventQuery>,
    headers: HeaderMap,
) -> Result<Response, Reason> {
    Ok(events::stream(&hosted, &headers, &query, None)?.into_response())
}

/// The bytes of a finished slice: its tiles, one after the other.
#[utoipa::path(get, path = "/jobs/{id}/slices/{n}/output", params(("id" = String, Path), ("n" = u32, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 409, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn output(
    State(hosted): Shared,
    Path((id, n)): Path<(String, u32)>,
) -> Result<Response, Reason> {
    found(&hosted, &id).await?;
    let bytes = hosted.desk().await?.output(&id, n).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// The job's receipts with its record and genesis: a `.popw` file.
#[utoipa::path(get, path = "/jobs/{id}/bundle", params(("id" = String, Path), BundleQuery),
    responses((status = 200, content_type = "application/octet-stream"), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn bundle(
    State(hosted): Shared,
    Path(id): Path<String>,
    Query(query): Query<BundleQuery>,
) -> Result<Response, Reason> {
    found(&hosted, &id).await?;
    let bytes = hosted.desk().await?.bundle(&id, query.part)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// Puts an input into the store of this home's requester.
#[utoipa::path(put, path = "/blobs", request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = BlobInfo), (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 507, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn put_blob(
    State(hosted): Shared,
    body: Body,
) -> Result<(StatusCode, Json<BlobInfo>), Reason> {
    let blobs = hosted.desk().await?.node().blobs().clone();
    let folder = hosted.jobs.clone();
    let draft = tempfile::Builder::new()
        .prefix(".upload-")
        .tempfile_in(&folder);
    let draft = draft.map_err(|e| on(&folder, e))?.into_temp_path();
    receive(body, &draft).await?;
    let stored = tokio::task::spawn_blocking(move || blobs.put_file(&draft));
    let (id, len) = stored.await.map_err(|e| Reason::of("error", e))??;
    let info = BlobInfo {
        schema: SCHEMA,
        id: id.into(),
        len,
    };
    Ok((StatusCode::CREATED, Json(info)))
}

/// Writes a body to a file, piece by piece: memory is bounded, and the sender waits for the disk.
async fn receive(body: Body, path: &FilePath) -> Result<(), Reason> {
    let check = |len| match len {
        ..=MAX_BLOB_BYTES => Ok(()),
        _ => Err(BlobError::TooLarge {
            len,
            max: MAX_BLOB_BYTES,
        }),
    };
    // What was announced is refused before any of it is read.
    check(body.size_hint().lower())?;
    let mut file = tokio::fs::File::create(path)
        .await
        .map_err(|e| on(path, e))?;
    let mut pieces = body
        .into_data_stream()
        .map_err(|e| Reason::of("bad_request", format!("the upload broke off: {e}")));
    let mut len = 0_u64;
    loop {
        let piece = tokio::time::timeout(PIECE_TIME, pieces.next())
            .await
            .map_err(|_| {
                let what = format!("nothing of the upload came for {} s", PIECE_TIME.as_secs());
                Reason::new("body_too_slow", what, "send it faster")
            })?;
        let Some(piece) = piece else { break };
        let piece: Bytes = piece?;
        len += piece.len() as u64;
        check(len)?;
        file.write_all(&piece).await.map_err(|e| on(path, e))?;
    }
    file.flush().await.map_err(|e| on(path, e))
}

fn on(path: &FilePath, error: std::io::Error) -> Reason {
    crate::home::DiskError::new("write", path, error).into()
}
