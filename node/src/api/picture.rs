//! A job's picture while it grows.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::routes::{Shared, found};
use super::types::Problem;
use crate::jobs::SliceState;
use crate::product::{Format, Product};
use crate::reason::Reason;

/// What a job's tiles give so far, for those that give pictures.
#[utoipa::path(get, path = "/jobs/{id}/picture.png", params(("id" = String, Path)),
    responses((status = 200, content_type = "image/png"), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn picture(
    State(hosted): Shared,
    Path(id): Path<String>,
) -> Result<Response, Reason> {
    let file = found(&hosted, &id).await?;
    let none = |e: &dyn std::fmt::Display| {
        let what = format!("this job gives no picture: {e}");
        Reason::new(
            "not_found",
            what,
            "collect its result with `starling job get`",
        )
    };
    let mut product = Product::of(&file).map_err(|e| none(&e))?;
    if !product.formats().contains(&Format::Png) {
        return Err(none(&product.class));
    }
    let desk = hosted.desk().await?;
    for (n, slice) in (0..).zip(&file.slices) {
        if slice.state == SliceState::Done
            && let Ok(bytes) = desk.output(&id, n).await
        {
            let first = n * file.work.slice_tiles;
            // What is wrong with it, whoever collects it will hear.
            let _ = product.add_tiles(first, &bytes);
        }
    }
    let drawn = tokio::task::spawn_blocking(move || {
        let mut png = Vec::new();
        product.write(Format::Png, &mut png).map(|()| png)
    });
    let png = drawn.await.map_err(|e| Reason::of("error", e))?;
    let png = png.map_err(|e| none(&e))?;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}
