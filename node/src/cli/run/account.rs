//! The requester's account of its job: what came in, on disk and in words.
//!
//! Receipts are verified before they are kept, each in a file of its own where that was asked for, and all of them
//! beside the job's record in `HOME/jobs/<id>/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use starling_protocol::config::{BUNDLE_MAX, MESSAGE_MAX, RECEIPT_MAX};
use starling_protocol::crypto::Ed25519Verifier;
use starling_protocol::manifest::JobRecord;
use starling_protocol::{BlobId, Bundle, Event, Genesis, JobId, PeerKey, Receipt};
use tokio::time::Instant;

use super::progress::View;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::cli::job_file::{JobFile, JobState, SliceState};
use crate::cli::place::write_atomically;
use crate::cli::proof::flags;
use crate::cli::text;

/// Receipts in one bundle: with a full record they stay below the longest bundle that is read.
const BUNDLE_RECEIPTS: usize = (BUNDLE_MAX - 2 * MESSAGE_MAX) / RECEIPT_MAX;
/// The account is written at most this often while the job runs.
const SAVE: Duration = Duration::from_secs(2);

/// A job under way.
pub(super) struct Account {
    /// What `job show` will tell.
    pub(super) file: JobFile,
    /// What is computed, by whom.
    pub(super) record: JobRecord,
    /// Where each finished slice's bytes are.
    pub(super) blobs: BTreeMap<u32, BlobId>,
    receipts: BTreeMap<u32, Receipt>,
    genesis: Genesis,
    jobs: PathBuf,
    each_in: Option<PathBuf>,
    submitted: Instant,
    saved: Instant,
}

impl Account {
    /// Opens the account of a job and writes it down. `each_in` is the folder for single receipts.
    pub(super) fn open(
        file: JobFile,
        record: JobRecord,
        genesis: &Genesis,
        jobs: PathBuf,
        each_in: Option<PathBuf>,
        submitted: Instant,
    ) -> Result<Self, Failure> {
        file.save(&jobs)?;
        let genesis = genesis.clone();
        let (blobs, receipts) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self {
            file,
            record,
            blobs,
            receipts,
            genesis,
            jobs,
            each_in,
            submitted,
            saved: Instant::now(),
        })
    }

    /// Which job.
    pub(super) fn id(&self) -> JobId {
        self.file.job
    }

    /// "job 3f…: 12 slices, 900 tiles, 4 peers".
    pub(super) fn title(&self) -> String {
        format!(
            "job {}: {}, {}, {}",
            self.id(),
            text::count(self.file.slices.len(), "slice"),
            text::count(self.file.tiles as usize, "tile"),
            text::count(self.record.roster.peers().len(), "peer"),
        )
    }

    /// Takes note of an event. Answers whether a slice that was here has been taken back.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        let elapsed = self.submitted.elapsed();
        self.file.note(event, elapsed.as_millis() as u64);
        self.file.wall_s = elapsed.as_secs_f64();
        match event {
            Event::SliceDone { slice, blob, .. } => {
                self.blobs.insert(*slice, *blob);
                false
            }
            Event::SliceReopened { slice, .. } => {
                self.receipts.remove(slice);
                self.blobs.remove(slice).is_some()
            }
            _ => false,
        }
    }

    /// Verifies a slice's receipt and keeps it.
    pub(super) fn keep(&mut self, slice: u32, receipt: &Receipt) -> Result<(), Failure> {
        let verified = receipt
            .verify(&self.record, &self.genesis.swarm_id(), &Ed25519Verifier)
            .map_err(|e| {
                Failure::of(format!("the receipt of slice {slice} does not verify: {e}"))
            })?;
        if let Some(of) = self.file.slices.get_mut(slice as usize) {
            of.receipt = Some(verified.lease);
            of.flags = flags(&verified.flags)
                .iter()
                .map(|&f| f.to_owned())
                .collect();
        }
        if let Some(dir) = &self.each_in {
            write_atomically(
                &dir.join(format!("{slice}.popw")),
                &self.bundle(vec![receipt.clone()]),
            )?;
        }
        self.receipts.insert(slice, receipt.clone());
        Ok(())
    }

    fn bundle(&self, receipts: Vec<Receipt>) -> Vec<u8> {
        Bundle {
            genesis: self.genesis.clone(),
            record: self.record.clone(),
            receipts,
        }
        .to_bytes()
    }

    /// Writes the account down, unless that was done a moment ago.
    pub(super) fn save_now_and_then(&mut self) -> Result<(), Failure> {
        if self.saved.elapsed() < SAVE {
            return Ok(());
        }
        self.saved = Instant::now();
        self.file.save(&self.jobs)
    }

    /// Writes account and receipts down, however the job ended.
    pub(super) fn close(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        self.file.wall_s = self.submitted.elapsed().as_secs_f64();
        match outcome {
            Ok(Exit::Ok) => self.file.state = JobState::Done,
            Ok(_) => self.file.state = JobState::Cancelled,
            Err(failure) => {
                self.file.state = JobState::Failed;
                self.file.why = Some(failure.what.clone());
            }
        }
        self.file.save(&self.jobs)?;
        let receipts: Vec<_> = self.receipts.values().cloned().collect();
        // At least one file, so that the record is kept as well.
        for n in 0..receipts.len().div_ceil(BUNDLE_RECEIPTS).max(1) {
            let some = receipts
                .iter()
                .skip(n * BUNDLE_RECEIPTS)
                .take(BUNDLE_RECEIPTS)
                .cloned()
                .collect();
            let name = if n == 0 {
                "bundle.popw".to_owned()
            } else {
                format!("bundle-{}.popw", n + 1)
            };
            write_atomically(&self.dir().join(name), &self.bundle(some))?;
        }
        Ok(())
    }

    fn dir(&self) -> PathBuf {
        self.jobs.join(self.id().to_string())
    }

    /// What the progress bar shows.
    pub(super) fn view(&self) -> View {
        let slices = &self.file.slices;
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
            tiles: self.file.tiles_done(),
            slices: Some((self.file.done().count(), slices.len())),
            who: who.join("; "),
        }
    }

    /// What there is of an unfinished job.
    pub(super) fn partly(&self) -> String {
        format!(
            "{} of {} were done; {} in {}",
            self.file.done().count(),
            text::count(self.file.slices.len(), "slice"),
            text::count(self.receipts.len(), "receipt"),
            self.dir().join("bundle.popw").display(),
        )
    }

    /// A finished job as JSON.
    pub(super) fn result(&self, output: &Path) -> Value {
        let file = &self.file;
        json!({
            "job": file.job,
            "output": output,
            "slices": file.slices.len(),
            "receipts": file.receipts(),
            "wall_s": file.wall_s,
            "first_slice_ms": file.first_slice_ms,
            "workers": file.shares(),
            "cheats": file.cheats,
            "false_accusations": file.false_accusations,
        })
    }

    /// A finished job in lines for people.
    pub(super) fn summary(&self) -> Vec<String> {
        let file = &self.file;
        let (slices, receipts) = (
            text::count(file.slices.len(), "slice"),
            text::count(file.receipts(), "receipt"),
        );
        let mut lines = vec![format!("{slices} and {receipts} in {:.1} s", file.wall_s)];
        lines.extend(file.shares().iter().map(|share| {
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
}

/// The short names of at most four different peers.
fn names<'a>(peers: impl Iterator<Item = &'a PeerKey>) -> String {
    let all: std::collections::BTreeSet<_> = peers.collect();
    let mut names: Vec<_> = all.iter().take(4).map(|p| p.short()).collect();
    if all.len() > names.len() {
        names.push(format!("{} more", all.len() - names.len()));
    }
    names.join(" ")
}
