//! A job under way: its account, its record and its receipts, in memory and on disk.
//!
//! All receipts lie beside the job's record in `HOME/jobs/<id>/`. Those that are read back from there are verified in
//! full; those that the own core has just made are not checked for signatures again: it has checked or made each one.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use starling_protocol::config::{BUNDLE_MAX, MESSAGE_MAX, RECEIPT_MAX};
use starling_protocol::crypto::{Ed25519Verifier, Signature, Verifier};
use starling_protocol::{BlobId, Bundle, Event, Hash, JobId, PeerKey, Receipt};

use super::{JobFile, JobState, Said};
use crate::home::disk::write_atomically;
use crate::reason::Reason;

/// Receipts in one bundle: with a full record they stay below the longest bundle that is read.
const BUNDLE_RECEIPTS: usize = (BUNDLE_MAX - 2 * MESSAGE_MAX) / RECEIPT_MAX;
/// The account is written at most this often while the job runs.
const SAVE: Duration = Duration::from_secs(2);

/// For receipts that the own core made of what it had verified; their structure is still checked.
struct FromOwnCore;

impl Verifier for FromOwnCore {
    fn verify(&self, _: &PeerKey, _: &Hash, _: &Signature) -> bool {
        true
    }
}

/// A job that this process submitted and that has not ended.
pub(super) struct Open {
    pub(super) file: JobFile,
    bundle: Bundle,
    receipts: BTreeMap<u32, Receipt>,
    /// Seconds that it took in former lives.
    before: Duration,
    submitted: Instant,
    saved: Instant,
}

impl Open {
    /// Opens the account; `bundle` has the record.
    pub(super) fn new(job: JobId, said: Said, bundle: Bundle) -> Self {
        let now = Instant::now();
        Self {
            file: JobFile::new(job, said, &bundle.record),
            bundle,
            receipts: BTreeMap::new(),
            before: Duration::ZERO,
            submitted: now,
            saved: now,
        }
    }

    /// Takes up a job of a former life: with its account, if that can be read, and its `done` slices.
    pub(super) fn resume(
        job: JobId,
        file: Option<JobFile>,
        mut bundle: Bundle,
        done: &[(u32, PeerKey, BlobId)],
    ) -> Self {
        let receipts = std::mem::take(&mut bundle.receipts);
        let mut open = Self::new(job, Said::default(), bundle);
        if let Some(file) = file.filter(|f| f.slices.len() == open.file.slices.len()) {
            open.before = Duration::try_from_secs_f64(file.wall_s).unwrap_or_default();
            open.file = file;
        }
        open.file.state = JobState::Running;
        open.file.why = None;
        open.file.restart(done);
        for receipt in receipts {
            let (slice, worker) = (receipt.lease.body.slice, receipt.lease.body.worker);
            // A receipt may also stand for work whose bytes never came.
            if done.iter().any(|(s, w, _)| (*s, *w) == (slice, worker)) {
                open.keep(slice, &receipt, &Ed25519Verifier);
            }
        }
        open
    }

    fn elapsed(&self) -> Duration {
        self.before + self.submitted.elapsed()
    }

    /// Takes note of an event; whether it was the last.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        let elapsed = self.elapsed();
        self.file.note(event, elapsed.as_millis() as u64);
        self.file.wall_s = elapsed.as_secs_f64();
        match event {
            Event::SliceDone {
                slice,
                receipt: Some(receipt),
                ..
            } => self.keep(*slice, receipt, &FromOwnCore),
            Event::SliceReopened { slice, .. } => drop(self.receipts.remove(slice)),
            _ => {}
        }
        self.file.state != JobState::Running
    }

    fn keep(&mut self, slice: u32, receipt: &Receipt, verifier: &dyn Verifier) {
        let swarm = self.bundle.genesis.swarm_id();
        match receipt.verify(&self.bundle.record, &swarm, verifier) {
            Ok(verified) => {
                if let Some(of) = self.file.slices.get_mut(slice as usize) {
                    of.receipt = Some(verified.lease);
                    of.flags = verified.flags.names().map(str::to_owned).collect();
                }
                self.receipts.insert(slice, receipt.clone());
            }
            // The core has made it: a bug of this build. Or the disk's, if it was read back.
            Err(error) => tracing::error!(%error, slice, "a receipt does not verify"),
        }
    }

    /// Ends it from here.
    pub(super) fn end(&mut self, state: JobState, why: Option<Reason>) {
        self.file.state = state;
        self.file.why = why;
        self.file.wall_s = self.elapsed().as_secs_f64();
    }

    /// Writes the account down, unless that was done a moment ago; at the end with the receipts.
    pub(super) fn save_now_and_then(&mut self, jobs: &Path, ended: bool) {
        if ended || self.saved.elapsed() >= SAVE {
            self.saved = Instant::now();
            self.save(jobs, ended);
        }
    }

    /// Writes the account down, and the receipts if asked.
    pub(super) fn save(&self, jobs: &Path, receipts: bool) {
        let mut written = self.file.save(jobs);
        let folder = jobs.join(self.file.job.to_string());
        if receipts && written.is_ok() {
            written = (0..)
                .map_while(|n| self.bundle(n).map(|bytes| (n, bytes)))
                .try_for_each(|(n, bytes)| write_atomically(&folder.join(bundle_name(n)), &bytes))
                .map_err(Reason::from);
        }
        if written.is_ok() {
            let id = self.file.job.to_string();
            written = write_atomically(&jobs.join("last"), id.as_bytes()).map_err(Reason::from);
        }
        if let Err(reason) = written {
            tracing::warn!(%reason, job = %self.file.job, "the account was not written down");
        }
    }

    /// The `n`th bundle; the first one is there even without a receipt, so that the record is kept as well.
    pub(super) fn bundle(&self, n: usize) -> Option<Vec<u8>> {
        let some: Vec<_> = self
            .receipts
            .values()
            .skip(n.checked_mul(BUNDLE_RECEIPTS)?)
            .take(BUNDLE_RECEIPTS)
            .cloned()
            .collect();
        (n == 0 || !some.is_empty()).then(|| {
            Bundle {
                receipts: some,
                ..self.bundle.clone()
            }
            .to_bytes()
        })
    }
}

/// How many bundles so many receipts make.
pub(crate) fn bundles(receipts: usize) -> usize {
    receipts.div_ceil(BUNDLE_RECEIPTS).max(1)
}

/// The `n`th bundle's file.
pub(super) fn bundle_name(n: usize) -> String {
    match n {
        0 => "bundle.popw".into(),
        n => format!("bundle-{}.popw", n + 1),
    }
}

/// The job of this peer that an event is about.
pub(super) fn job_of(event: &Event) -> Option<JobId> {
    match event {
        Event::Leased { job, .. }
        | Event::Committed { job, .. }
        | Event::Auditing { job, .. }
        | Event::SliceDone { job, .. }
        | Event::SliceReopened { job, .. }
        | Event::CheatCaught { job, .. }
        | Event::FalseAccusation { job, .. }
        | Event::FraudProven { job, .. }
        | Event::Held { job, .. }
        | Event::JobDone { job }
        | Event::JobFailed { job, .. } => Some(*job),
        _ => None,
    }
}
