//! A job before it is submitted: what it would be, or what is wrong with it.
//!
//! The files were put into the store before; what peers would need is put there now, so that the order in the answer can
//! be submitted as it stands. Nobody else hears of it. Invariant: one at a time, since each may take all cores for seconds.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use starling_kernels::{KernelId, Shape};
use starling_protocol::BlobId;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::extract::Sent;
use super::handlers::{Answer, Shared};
use super::types::{JobOrder, Problem, SCHEMA};
use crate::blobs::BlobStore;
use crate::compute::{Here, device_process};
use crate::home::DiskError;
use crate::jobs::Desk;
use crate::jobs::account::hex;
use crate::product::ProductError;
use crate::product::estimate::{Estimate, Probed, probe};
use crate::product::files::{Asked, Kind, Options, is_file_name};
use crate::reason::Reason;

/// Most files of a job.
const FILES_MAX: usize = 64;
/// How long peers are waited for, if none is known yet: the requester may just have been started.
const WAIT: Duration = Duration::from_secs(3);

static ONE: Semaphore = Semaphore::const_new(1);

/// What would be submitted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PreflightOrder {
    /// What the files are meant to be.
    pub product: Kind,
    /// Ids of the files, which were put into the store before, by name.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    pub files: BTreeMap<String, BlobId>,
    /// What was chosen.
    #[serde(default)]
    pub options: Options,
}

/// What becomes of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Preflight {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What to submit; null if it is refused.
    pub order: Option<JobOrder>,
    /// Why it is refused. One about a place in a file has `file`, `line` and `column`, from 1, in its `params`.
    pub refusals: Vec<Reason>,
    /// Tiles of the job.
    pub tiles: u32,
    /// Its declared operations.
    pub units: u64,
    /// What it will take; null while nobody offers it.
    pub estimate: Option<Expected>,
    /// The same as a command.
    pub cli: String,
}

/// What a job will take.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Expected {
    /// Seconds, at most, as far as that can be told.
    pub seconds: f64,
    /// And at least.
    pub least_seconds: f64,
    /// Peers that would be asked.
    pub peers: usize,
    /// Price, least and most.
    pub price: [u64; 2],
}

/// Accepted work.
struct Made {
    kernel: KernelId,
    params: Vec<u8>,
    inputs: Vec<BlobId>,
    shape: Shape,
    probed: Probed,
}

/// Looks at a job as a submission would, tries some of its tiles here, and submits nothing.
#[utoipa::path(post, path = "/preflight", request_body = PreflightOrder,
    responses((status = 200, body = Preflight), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn preflight(
    State(hosted): Shared,
    Sent(order): Sent<PreflightOrder>,
) -> Answer<Preflight> {
    let began = Instant::now();
    let desk = hosted.desk().await?;
    let _turn = ONE.acquire().await.map_err(|e| Reason::of("error", e))?;
    let (blobs, jobs) = (desk.node().blobs().clone(), hosted.jobs.clone());
    let sent = order.clone();
    let looked = tokio::task::spawn_blocking(move || look(&blobs, &jobs, &sent));
    let looked = looked.await.map_err(|e| Reason::of("error", e))??;
    let names: Vec<String> = order.files.keys().cloned().collect();
    let cli = asked(&order, &names).command();
    let made = match looked {
        Ok(made) => made,
        Err(refusals) => {
            return Ok(Json(Preflight {
                schema: SCHEMA,
                order: None,
                refusals,
                tiles: 0,
                units: 0,
                estimate: None,
                cli,
            }));
        }
    };
    let estimate = estimate(desk, &made, order.options.max_price, began).await;
    Ok(Json(Preflight {
        schema: SCHEMA,
        refusals: Vec::new(),
        tiles: estimate.tiles,
        units: estimate.units,
        estimate: expected(&estimate),
        order: Some(JobOrder {
            kernel: made.kernel.to_string(),
            params: hex(&made.params),
            inputs: made.inputs,
            slice_tiles: None,
            deadline_s: None,
            max_price: order.options.max_price,
            stewards: None,
            full_audits: order.options.full_audits,
            peers: None,
            wait_s: None,
            output: None,
            cli: Some(cli.clone()),
        }),
        cli,
    }))
}

fn asked<'a>(order: &'a PreflightOrder, names: &'a [String]) -> Asked<'a> {
    Asked {
        kind: order.product,
        names,
        options: &order.options,
    }
}

/// The work in these files, its inputs in the store; or what is wrong with it.
fn look(
    blobs: &BlobStore,
    jobs: &Path,
    order: &PreflightOrder,
) -> Result<Result<Made, Vec<Reason>>, Reason> {
    let names: Vec<String> = order.files.keys().cloned().collect();
    if names.len() > FILES_MAX {
        let what = format!("a job has at most {FILES_MAX} files");
        return Err(Reason::new("bad_request", what, "leave some out"));
    }
    if let Some(name) = names.iter().find(|name| !is_file_name(name)) {
        let what = format!("{name:?} is no file's name");
        return Err(Reason::new("bad_request", what, "name it without folders"));
    }
    let disk = |path: &Path, e| Reason::from(DiskError::new("write", path, e));
    let folder = tempfile::Builder::new()
        .prefix(".preflight-")
        .tempdir_in(jobs)
        .map_err(|e| disk(jobs, e))?;
    for (name, id) in &order.files {
        let bytes = blobs.get(id.as_bytes())?.ok_or_else(|| {
            let fix = "put it into the store first";
            Reason::new("bad_input", format!("{name} is not here"), fix)
                .with("blob", id.to_string())
        })?;
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).map_err(|e| disk(&path, e))?;
    }
    match made(blobs, folder.path(), &asked(order, &names)) {
        Ok(made) => made.map(Ok),
        Err(error) if error.is_refusal() => {
            // Where the files lie for the moment is of no use to whoever sent them.
            let here = format!("{}{}", folder.path().display(), std::path::MAIN_SEPARATOR);
            let mut reasons = error.reasons();
            for reason in &mut reasons {
                reason.what = reason.what.replace(&here, "");
            }
            Ok(Err(reasons))
        }
        Err(error) => Err(error.reasons().remove(0)),
    }
}

fn made(
    blobs: &BlobStore,
    folder: &Path,
    asked: &Asked<'_>,
) -> Result<Result<Made, Reason>, ProductError> {
    let command = device_process()?;
    let work = asked.work(folder, &command)?;
    let shape = work.product.shape;
    if work.spec.is_guest() {
        Here::try_out(&work.spec)?;
    }
    let probed = probe(&work.spec, shape)?;
    let put = |bytes: &std::sync::Arc<[u8]>| blobs.put(bytes).map(BlobId::from);
    let inputs: Result<Vec<BlobId>, _> = work.spec.inputs.iter().map(put).collect();
    Ok(inputs.map_err(Reason::from).map(|inputs| Made {
        kernel: work.spec.kernel,
        params: work.spec.params.clone(),
        inputs,
        shape,
        probed,
    }))
}

/// With those who would compute it now, or soon.
async fn estimate(desk: &Desk, made: &Made, most: Option<u64>, began: Instant) -> Estimate {
    let kernel = made.kernel.0.into();
    loop {
        let peers = desk.eligible(&kernel, most).await;
        if !peers.is_empty() || began.elapsed() > WAIT {
            let adverts: Vec<_> = peers.into_iter().map(|(advert, _)| advert).collect();
            return Estimate::new(&made.probed, made.kernel, made.shape, &adverts);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn expected(estimate: &Estimate) -> Option<Expected> {
    let ([least_seconds, seconds], price) = (estimate.seconds?, estimate.price?);
    Some(Expected {
        seconds,
        least_seconds,
        peers: estimate.peers,
        price,
    })
}
