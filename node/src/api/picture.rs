//! A job's picture while it grows.
//!
//! The latest ones are kept with their tiles: a request costs what has come since the one before. Invariant: a picture
//! shows the slices that are done now, by the bytes that stand for them now; a slice that is opened again starts it anew.

use std::collections::VecDeque;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use starling_protocol::{BlobId, JobId};
use tokio::sync::Mutex;

use super::extract::Path;
use super::handlers::{Shared, found};
use super::types::Problem;
use crate::jobs::{Desk, JobFile, SliceState};
use crate::product::{Format, Product, ProductError};
use crate::reason::Reason;

/// Jobs whose picture is kept.
const KEPT: usize = 4;
/// Most bytes that a kept job's tiles may have; of larger ones only the picture is kept.
const TILES_MAX: u64 = 256 << 20;

/// The latest pictures, the newest last. One is drawn at a time: whoever asks meanwhile gets what was drawn.
#[derive(Default)]
pub struct Pictures(Mutex<VecDeque<Kept>>);

struct Kept {
    job: JobId,
    /// What stands for each slice in it.
    slices: Vec<Option<BlobId>>,
    product: Option<Product>,
    png: Bytes,
}

/// What a job's tiles give so far, for those that give pictures.
#[utoipa::path(get, path = "/jobs/{id}/picture.png", params(("id" = String, Path)),
    responses((status = 200, content_type = "image/png"), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn picture(
    State(hosted): Shared,
    Path(id): Path<String>,
) -> Result<Response, Reason> {
    let mut kept = hosted.pictures.0.lock().await;
    let file = found(&hosted, &id).await?;
    let here = file.slices.iter().map(|slice| {
        let done = slice.state == SliceState::Done && !file.collected;
        slice.blob.filter(|_| done)
    });
    let here: Vec<Option<BlobId>> = here.collect();
    let place = kept.iter().position(|one| one.job == file.job);
    let before = place.and_then(|place| kept.remove(place));
    let now = match before {
        Some(same) if same.slices == here => same,
        before => draw(hosted.desk().await?, &file, &here, before).await?,
    };
    let png = now.png.clone();
    if kept.len() >= KEPT {
        kept.pop_front();
    }
    kept.push_back(now);
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// The picture of what is `here`, from the one `before` if that has nothing else.
async fn draw(
    desk: &Desk,
    file: &JobFile,
    here: &[Option<BlobId>],
    before: Option<Kept>,
) -> Result<Kept, Reason> {
    let grown = before.and_then(|kept| {
        let mut slices = kept.slices.iter().zip(here);
        let stands = slices.all(|(old, new)| old.is_none() || old == new);
        Some((kept.product.filter(|_| stands)?, kept.slices))
    });
    let (mut product, mut slices) = match grown {
        Some(grown) => grown,
        None => (empty(file)?, vec![None; here.len()]),
    };
    let id = file.job.to_string();
    for (n, (have, want)) in (0..).zip(slices.iter_mut().zip(here)) {
        if *have != *want
            && let Ok(bytes) = desk.output(&id, n).await
        {
            // What is wrong with it, whoever collects it will hear.
            let _ = product.add_tiles(n * file.work.slice_tiles, &bytes);
            *have = *want;
        }
    }
    let drawn = tokio::task::spawn_blocking(move || {
        let mut png = Vec::new();
        let drawn = product.write(Format::Png, &mut png);
        drawn.map(|()| (product, png))
    });
    let drawn = drawn.await.map_err(|e| Reason::of("error", e))?;
    let (product, png) = drawn.map_err(|e| none(&e))?;
    let bytes = u64::from(file.tiles) * u64::from(file.work.tile_bytes);
    Ok(Kept {
        job: file.job,
        slices,
        product: (bytes <= TILES_MAX).then_some(product),
        png: png.into(),
    })
}

fn empty(file: &JobFile) -> Result<Product, Reason> {
    let product = Product::of(file).map_err(|e: ProductError| none(&e))?;
    if !product.formats().contains(&Format::Png) {
        return Err(none(&product.class));
    }
    Ok(product)
}

fn none(why: &dyn std::fmt::Display) -> Reason {
    let what = format!("this job gives no picture: {why}");
    let fix = "collect its result with `starling job get`";
    Reason::new("not_found", what, fix)
}
