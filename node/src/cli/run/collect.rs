//! A job's slices put together as they come, and what its account tells people.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use starling_protocol::{Event, PeerKey};

use super::progress::View;
use super::{Outputs, refused};
use crate::api::client::Client;
use crate::api::types::JobView;
use crate::cli::exit::{Exit, Failure};
use crate::cli::text;
use crate::jobs::{JobFile, SliceState};
use crate::product::{Grain, Product};

/// Fetches finished slices into a product.
pub(crate) struct Collector {
    client: Client,
    product: Product,
    have: BTreeSet<u32>,
}

impl Collector {
    /// An empty one.
    pub(crate) fn new(client: Client, product: Product) -> Self {
        Self {
            client,
            product,
            have: BTreeSet::new(),
        }
    }

    pub(crate) fn grain(&self) -> Grain {
        self.product.grain
    }

    /// Takes note of an event of the job, whose account has it already.
    pub(crate) async fn note(&mut self, file: &JobFile, event: &Event) -> Result<(), Failure> {
        match event {
            Event::SliceDone { slice, .. } => self.add(file, *slice).await,
            // Its tiles turned out to be false, and no tile can be taken out alone.
            Event::SliceReopened { slice, .. } if self.have.contains(slice) => {
                self.product.clear();
                self.have.clear();
                self.catch_up(file).await
            }
            _ => Ok(()),
        }
    }

    /// Fetches every finished slice that is not here.
    pub(crate) async fn catch_up(&mut self, file: &JobFile) -> Result<(), Failure> {
        for (n, slice) in (0..).zip(&file.slices) {
            if slice.state == SliceState::Done {
                self.add(file, n).await?;
            }
        }
        Ok(())
    }

    async fn add(&mut self, file: &JobFile, slice: u32) -> Result<(), Failure> {
        if !self.have.insert(slice) {
            return Ok(());
        }
        let bytes = match self.client.output(&file.job.to_string(), slice).await {
            Ok(bytes) => bytes,
            // It was done when that was told, and is open again: it will be told once more.
            Err(reason) if reason.code == "slice_not_done" => {
                self.have.remove(&slice);
                return Ok(());
            }
            Err(reason) => return Err(reason.into()),
        };
        let first = slice * file.work.slice_tiles;
        self.product.add_tiles(first, &bytes).map_err(refused)
    }

    /// Writes the files; all slices must be here.
    pub(crate) fn finish(&self, outputs: &Outputs) -> Result<(), Failure> {
        if !self.product.is_complete() {
            return Err(Failure::of("the job ended with tiles missing").exit(Exit::JobFailed));
        }
        outputs.write(&self.product)
    }
}

/// "job 3f…: 12 slices, 900 tiles".
pub(crate) fn title(job: &JobView) -> String {
    format!(
        "job {}: {}, {}",
        job.file.job,
        text::count(job.file.slices.len(), "slice"),
        text::count(job.file.tiles as usize, "tile"),
    )
}

/// What the progress bar shows.
pub(crate) fn view(file: &JobFile) -> View {
    let slices = &file.slices;
    let workers = slices
        .iter()
        .filter(|s| s.state == SliceState::Leased)
        .filter_map(|s| s.worker.as_ref());
    let auditors = slices
        .iter()
        .filter(|s| s.state == SliceState::Auditing)
        .flat_map(|s| &s.auditors);
    let who = [("computing", names(workers)), ("auditing", names(auditors))];
    let who: Vec<_> = who
        .iter()
        .filter(|(_, n)| !n.is_empty())
        .map(|(does, n)| format!("{does}: {n}"))
        .collect();
    View {
        tiles: file.tiles_done(),
        slices: Some((file.done().count(), slices.len())),
        who: who.join("; "),
    }
}

/// What there is of an unfinished job.
pub(crate) fn partly(file: &JobFile) -> String {
    format!(
        "{} of {} were done; {} kept: starling job show {}",
        file.done().count(),
        text::count(file.slices.len(), "slice"),
        text::count(file.receipts(), "receipt"),
        &file.job.to_string()[..8],
    )
}

/// A finished job as JSON.
pub(crate) fn result(job: &JobView, output: &Path) -> Value {
    let file = &job.file;
    json!({
        "job": file.job,
        "output": output,
        "slices": file.slices.len(),
        "receipts": job.receipts,
        "wall_s": file.wall_s,
        "first_slice_ms": file.first_slice_ms,
        "workers": job.workers,
        "cheats": file.cheats,
        "false_accusations": file.false_accusations,
    })
}

/// A finished job in lines for people.
pub(crate) fn summary(job: &JobView) -> Vec<String> {
    let file = &job.file;
    let (slices, receipts) = (
        text::count(file.slices.len(), "slice"),
        text::count(job.receipts, "receipt"),
    );
    let mut lines = vec![format!("{slices} and {receipts} in {:.1} s", file.wall_s)];
    lines.extend(job.workers.iter().map(|share| {
        let me = if share.peer == file.requester {
            " (this requester)"
        } else {
            ""
        };
        format!(
            "  {}{me}: computed {} in {}, audited {}",
            share.peer.short(),
            text::count(share.tiles as usize, "tile"),
            text::count(share.slices as usize, "slice"),
            text::count(share.audits as usize, "slice"),
        )
    }));
    lines
}

/// The short names of at most four different peers.
fn names<'a>(peers: impl Iterator<Item = &'a PeerKey>) -> String {
    let all: BTreeSet<_> = peers.collect();
    let mut names: Vec<_> = all.iter().take(4).map(|p| p.short()).collect();
    if all.len() > names.len() {
        names.push(format!("{} more", all.len() - names.len()));
    }
    names.join(" ")
}
