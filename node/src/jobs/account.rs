//! What is kept of a job for its owner: `HOME/jobs/<id>/job.json`, beside the receipts in `bundle.popw`.
//!
//! Written by the desk while the job runs, and read by people. Not the truth about receipts (those verify by
//! themselves), only an account of what was seen. Invariant: the file is replaced whole, never half written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use starling_protocol::manifest::JobRecord;
use starling_protocol::{BlobId, Event, JobId, LeaseId, PeerKey, Reason as Refusal};
use utoipa::ToSchema;

use crate::home::disk::{self, DiskError, write_atomically};
use crate::reason::Reason;

/// The account within a job's folder.
const FILE: &str = "job.json";
/// Longest account that is read, in bytes: some 200 for each of 65,536 slices, with room.
const MAX_FILE: u64 = 64 << 20;

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// On its way.
    Running,
    /// All slices are here.
    Done,
    /// The owner ended it.
    Cancelled,
    /// It ended early.
    Failed,
    /// Its requester does not run; the job goes on when it does.
    Interrupted,
}

/// How a slice stands, as far as its requester saw.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SliceState {
    /// Waits for a worker.
    #[default]
    Open,
    /// Somebody computes it.
    Leased,
    /// Computed, and bound to its result.
    Committed,
    /// Being recomputed in samples.
    Auditing,
    /// Here.
    Done,
}

/// One slice.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Slice {
    /// How it stands.
    pub state: SliceState,
    /// Who has it, or had it last.
    #[schema(value_type = Option<String>)]
    pub worker: Option<PeerKey>,
    /// Its tiles.
    pub tiles: u32,
    /// Who recomputed samples of it.
    #[schema(value_type = Vec<String>)]
    pub auditors: Vec<PeerKey>,
    /// Its receipt.
    #[schema(value_type = Option<String>)]
    pub receipt: Option<LeaseId>,
    /// The receipt's weaknesses.
    pub flags: Vec<String>,
    /// How often it had to be leased again.
    pub reopened: u32,
    /// Its bytes, until they were collected.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub blob: Option<BlobId>,
}

/// A worker that was caught.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Cheat {
    /// Who.
    #[schema(value_type = String)]
    pub worker: PeerKey,
    /// In which slice.
    pub slice: u32,
    /// Whose recomputation showed it; none when it withheld its opening.
    #[schema(value_type = Option<String>)]
    pub by: Option<PeerKey>,
    /// How, as a code.
    pub how: String,
}

/// What one peer did for a job.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Who.
    #[schema(value_type = String)]
    pub peer: PeerKey,
    /// Slices that it computed.
    pub slices: u32,
    /// Tiles in them.
    pub tiles: u32,
    /// Slices that it audited.
    pub audits: u32,
}

/// What an owner says of a job beside what it is: nobody else hears of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Where the result is to go.
    pub output: Option<PathBuf>,
    /// The command that would submit it again.
    pub cli: Option<String>,
}

/// One job's account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct JobFile {
    /// Its id.
    #[schema(value_type = String)]
    pub job: JobId,
    /// The kernel's name.
    pub kernel: String,
    /// Who asked.
    #[schema(value_type = String)]
    pub requester: PeerKey,
    /// How it stands.
    pub state: JobState,
    /// Why it ended early.
    pub why: Option<Reason>,
    /// Where its owner wants the result, if that was said.
    #[schema(value_type = Option<String>)]
    pub output: Option<PathBuf>,
    /// The command that would submit it again, if that was said.
    #[serde(default)]
    pub cli: Option<String>,
    /// What it is, for whoever collects it.
    pub work: WorkFile,
    /// Unix seconds.
    pub started_s: u64,
    /// Seconds from submission to now or the end.
    pub wall_s: f64,
    /// From submission to the first lease, ms.
    pub first_slice_ms: Option<u64>,
    /// Tiles in all.
    pub tiles: u32,
    /// By number.
    pub slices: Vec<Slice>,
    /// In the order in which they were caught.
    pub cheats: Vec<Cheat>,
    /// Auditors that accused an honest worker.
    pub false_accusations: u32,
    /// Why leases ended early, by code, and how often.
    #[serde(default)]
    pub reopened: BTreeMap<String, u32>,
    /// Stewards besides this home's requester.
    #[serde(default)]
    pub stewards: usize,
    /// Those of them that have its record and inputs: it goes on with any of them, whatever becomes of this home.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub held_by: Vec<PeerKey>,
    /// Whether its outputs were taken and removed.
    #[serde(default)]
    pub collected: bool,
}

/// What a job is made of: enough to turn its tiles into a file.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkFile {
    /// Parameters, hexadecimal.
    pub params: String,
    /// Output bytes of every tile.
    pub tile_bytes: u32,
    /// Declared cost of a tile.
    pub units_per_tile: u64,
    /// Tiles of a slice; the last may have fewer.
    pub slice_tiles: u32,
    /// Inputs' ids.
    #[schema(value_type = Vec<String>)]
    pub inputs: Vec<BlobId>,
}

impl JobFile {
    /// The account of a job that begins now.
    pub fn new(job: JobId, said: Said, record: &JobRecord) -> Self {
        let manifest = &record.manifest.body;
        let stewards = record.appointment.body.stewards.iter();
        let others = stewards.filter(|s| **s != manifest.requester).count();
        let slice = |n| Slice {
            tiles: manifest.tiles_in(n),
            ..Slice::default()
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            job,
            kernel: manifest.class.clone(),
            requester: manifest.requester,
            state: JobState::Running,
            why: None,
            output: said.output,
            cli: said.cli,
            work: WorkFile {
                params: hex(&manifest.params),
                tile_bytes: manifest.tile_bytes,
                units_per_tile: manifest.units_per_tile,
                slice_tiles: manifest.slice_tiles,
                inputs: manifest.inputs.iter().map(|i| i.id).collect(),
            },
            started_s: now.map_or(0, |t| t.as_secs()),
            wall_s: 0.0,
            first_slice_ms: None,
            tiles: manifest.tiles,
            slices: (0..manifest.slices()).map(slice).collect(),
            cheats: Vec::new(),
            false_accusations: 0,
            reopened: BTreeMap::new(),
            stewards: others,
            held_by: Vec::new(),
            collected: false,
        }
    }

    /// Takes note of an event of this job, `ms` after its submission.
    pub fn note(&mut self, event: &Event, ms: u64) {
        match event {
            Event::Leased { slice, worker, .. } => {
                self.first_slice_ms.get_or_insert(ms);
                self.step(*slice, SliceState::Leased, *worker);
            }
            Event::Committed { slice, worker, .. } | Event::TakenOver { slice, worker, .. } => {
                self.step(*slice, SliceState::Committed, *worker)
            }
            Event::Auditing {
                slice, auditors, ..
            } => {
                if let Some(slice) = self.slices.get_mut(*slice as usize) {
                    slice.state = SliceState::Auditing;
                    slice.auditors.clone_from(auditors);
                }
            }
            Event::SliceDone {
                slice,
                worker,
                blob,
                ..
            } => {
                self.step(*slice, SliceState::Done, *worker);
                if let Some(slice) = self.slices.get_mut(*slice as usize) {
                    slice.blob = Some(*blob);
                }
            }
            Event::SliceReopened { slice, reason, .. } => {
                *self.reopened.entry(reason.code().to_owned()).or_default() += 1;
                if let Some(slice) = self.slices.get_mut(*slice as usize) {
                    *slice = Slice {
                        tiles: slice.tiles,
                        reopened: slice.reopened + 1,
                        ..Slice::default()
                    };
                }
            }
            Event::CheatCaught {
                slice,
                worker,
                by,
                reason,
                ..
            } => {
                self.cheats.push(Cheat {
                    worker: *worker,
                    slice: *slice,
                    by: *by,
                    how: reason.code().to_owned(),
                });
            }
            Event::FraudProven {
                slice,
                worker,
                accuser,
                ..
            } => {
                // Whoever was caught here may be proven to have lied by others too.
                let known = |c: &Cheat| (c.worker, c.slice) == (*worker, *slice);
                if !self.cheats.iter().any(known) {
                    self.cheats.push(Cheat {
                        worker: *worker,
                        slice: *slice,
                        by: Some(*accuser),
                        how: Refusal::Refuted.code().to_owned(),
                    });
                }
            }
            Event::FalseAccusation { .. } => self.false_accusations += 1,
            Event::Held { by, of, .. } => {
                self.stewards = *of;
                if !self.held_by.contains(by) {
                    self.held_by.push(*by);
                }
            }
            Event::JobDone { .. } => self.end(Refusal::JobDone),
            Event::JobFailed { reason, .. } => self.end(*reason),
            // As a worker, or about peers: not this job's story.
            Event::ClocksDiffer { .. }
            | Event::PeerSeen { .. }
            | Event::PeerGone { .. }
            | Event::Submitted { .. }
            | Event::Resumed { .. }
            | Event::SubmitRefused { .. }
            | Event::Working { .. }
            | Event::Earned { .. }
            | Event::Lost { .. }
            | Event::Found { .. }
            | Event::NotFound { .. }
            | Event::Appointed { .. }
            | Event::Kept { .. }
            | Event::Relieved { .. }
            | Event::ClaimStruck { .. } => {}
        }
    }

    /// Ends it.
    pub fn end(&mut self, reason: Refusal) {
        self.state = match reason {
            Refusal::JobDone => JobState::Done,
            Refusal::Cancelled => JobState::Cancelled,
            _ => JobState::Failed,
        };
        self.why = (reason != Refusal::JobDone).then(|| reason.into());
    }

    /// Back to the slices that are known to be done: those of a former life that were under way are open again.
    pub fn restart(&mut self, done: &[(u32, PeerKey, BlobId)]) {
        for slice in &mut self.slices {
            if slice.state != SliceState::Done {
                slice.state = SliceState::Open;
            }
            // Known again once it is seen to be here.
            slice.blob = None;
        }
        for (number, worker, blob) in done {
            self.step(*number, SliceState::Done, *worker);
            if let Some(slice) = self.slices.get_mut(*number as usize) {
                slice.blob = Some(*blob);
            }
        }
        for slice in &mut self.slices {
            if slice.state == SliceState::Done && slice.blob.is_none() {
                *slice = Slice {
                    tiles: slice.tiles,
                    reopened: slice.reopened,
                    ..Slice::default()
                };
            }
        }
    }

    /// Whether its requester's log does not know it: others may.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let why = self.why.as_ref();
        self.state == JobState::Failed && why.is_some_and(|why| why.code == "interrupted")
    }

    /// As whoever does not run the job sees it: what is not over waits for its requester.
    #[must_use]
    pub fn idle(mut self) -> Self {
        if self.state == JobState::Running {
            self.state = JobState::Interrupted;
            let what = "the requester of this home does not run; the job goes on when it does";
            let fix = "start it with `starling up`";
            self.why = Some(Reason::new("interrupted", what, fix));
        }
        self
    }

    fn step(&mut self, slice: u32, state: SliceState, worker: PeerKey) {
        if let Some(slice) = self.slices.get_mut(slice as usize) {
            slice.state = state;
            slice.worker = Some(worker);
        }
    }

    /// Slices that are here.
    pub fn done(&self) -> impl Iterator<Item = &Slice> {
        self.slices.iter().filter(|s| s.state == SliceState::Done)
    }

    /// Tiles that are here.
    pub fn tiles_done(&self) -> u32 {
        self.done().map(|s| s.tiles).sum()
    }

    /// Slices with a receipt.
    pub fn receipts(&self) -> usize {
        self.slices.iter().filter(|s| s.receipt.is_some()).count()
    }

    /// Who did what, the busiest first.
    pub fn shares(&self) -> Vec<Share> {
        let mut shares: BTreeMap<PeerKey, Share> = BTreeMap::new();
        for slice in self.done() {
            let mut of = |peer: PeerKey, f: &dyn Fn(&mut Share)| {
                f(shares.entry(peer).or_insert(Share {
                    peer,
                    slices: 0,
                    tiles: 0,
                    audits: 0,
                }));
            };
            if let Some(worker) = slice.worker {
                of(worker, &|s| {
                    (s.slices, s.tiles) = (s.slices + 1, s.tiles + slice.tiles)
                });
            }
            slice
                .auditors
                .iter()
                .for_each(|auditor| of(*auditor, &|s| s.audits += 1));
        }
        let mut shares: Vec<_> = shares.into_values().collect();
        shares.sort_by_key(|s| {
            (
                std::cmp::Reverse(s.tiles),
                std::cmp::Reverse(s.audits),
                s.peer,
            )
        });
        shares
    }

    /// Writes the account to `HOME/jobs/<id>/`.
    ///
    /// # Errors
    /// `disk_failed`.
    pub fn save(&self, jobs: &Path) -> Result<(), Reason> {
        let dir = jobs.join(self.job.to_string());
        disk::create_private_dir(&dir)?;
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Reason::of("error", format!("cannot write job.json: {e}")))?;
        Ok(write_atomically(&dir.join(FILE), &text)?)
    }

    /// Reads the account of one job.
    ///
    /// # Errors
    /// `disk_failed`, also for a damaged file.
    pub fn load(jobs: &Path, id: &str) -> Result<Self, Reason> {
        let path = jobs.join(id).join(FILE);
        let on = |e| DiskError::new("read", &path, e);
        let len = std::fs::metadata(&path).map_err(on)?.len();
        if len > MAX_FILE {
            return Err(on(std::io::Error::other("longer than any job's account")).into());
        }
        let bytes = std::fs::read(&path).map_err(on)?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Reason::new(
                "disk_failed",
                format!("{} is damaged: {e}", path.display()),
                "the job's receipts beside it are a file of their own: bundle.popw",
            )
        })
    }
}

/// The accounts in a folder; damaged ones are left out.
pub fn all(jobs: &Path) -> Vec<JobFile> {
    ids(jobs)
        .iter()
        .filter_map(|id| JobFile::load(jobs, id).ok())
        .collect()
}

fn ids(jobs: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(jobs).into_iter().flatten().flatten();
    let names = entries.filter_map(|e| e.file_name().into_string().ok());
    let is_id = |n: &String| n.len() == 64 && n.bytes().all(|b| b.is_ascii_hexdigit());
    names.filter(is_id).collect()
}

/// The id that `name` means: `last`, an id, or the beginning of one.
///
/// # Errors
/// `unknown_job`, `ambiguous_job`, and `bad_request` for what is no id.
pub fn resolve(jobs: &Path, name: &str) -> Result<String, Reason> {
    let list = "list them with `starling job ls`";
    let prefix = match name {
        "last" => std::fs::read_to_string(jobs.join("last")).map_err(|_| {
            let what = "no job was submitted from this home";
            Reason::new("unknown_job", what, "submit one with `starling run`")
        })?,
        name => name.to_ascii_lowercase(),
    };
    if prefix.len() > 64 || prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        let what = format!("{name:?} is no job id: those are hexadecimal, or `last`");
        return Err(Reason::new("bad_request", what, list));
    }
    let mut matching: Vec<_> = ids(jobs)
        .into_iter()
        .filter(|n| n.starts_with(&prefix))
        .collect();
    match (matching.pop(), matching.pop()) {
        (Some(id), None) => Ok(id),
        (None, _) => {
            let what = format!("no job of this home has an id that begins with {prefix}");
            Err(Reason::new("unknown_job", what, list))
        }
        _ => {
            let what = format!("several jobs' ids begin with {prefix}");
            Err(Reason::new("ambiguous_job", what, "write more of the id"))
        }
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The bytes of hexadecimal digits, if it is nothing else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs
        .remainder()
        .is_empty()
        .then(|| pairs.map(|p| p[0] << 4 | p[1]).collect())
}

#[cfg(test)]
mod tests;
