//! What is kept of a job for its owner: `HOME/jobs/<id>/job.json`, beside the receipts in `bundle.popw`.
//!
//! Written by the requester while it runs and read by `job show`. Not the truth about receipts (those verify by
//! themselves), only an account of what was seen. Invariant: the file is replaced whole, never half written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use starling_protocol::manifest::Manifest;
use starling_protocol::{Event, JobId, LeaseId, PeerKey};

use super::exit::{Exit, Failure};
use super::place::write_atomically;
use crate::home::disk::{self, DiskError};

/// Longest account that is read, in bytes: some 200 for each of 65,536 slices, with room.
const MAX_FILE: u64 = 64 << 20;

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// On its way; or its requester was killed.
    Running,
    /// All slices are here.
    Done,
    /// The owner ended it.
    Cancelled,
    /// It ended early.
    Failed,
}

/// How a slice stands, as far as its requester saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Slice {
    /// How it stands.
    pub state: SliceState,
    /// Who has it, or had it last.
    pub worker: Option<PeerKey>,
    /// Its tiles.
    pub tiles: u32,
    /// Who recomputed samples of it.
    pub auditors: Vec<PeerKey>,
    /// Its receipt.
    pub receipt: Option<LeaseId>,
    /// The receipt's weaknesses.
    pub flags: Vec<String>,
    /// How often it had to be leased again.
    pub reopened: u32,
}

/// A worker that was caught.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cheat {
    /// Who.
    pub worker: PeerKey,
    /// In which slice.
    pub slice: u32,
    /// Whose recomputation showed it; none when it withheld its opening.
    pub by: Option<PeerKey>,
    /// How, as a code.
    pub how: String,
}

/// What one peer did for a job.
#[derive(Clone, Debug, Serialize)]
pub struct Share {
    /// Who.
    pub peer: PeerKey,
    /// Slices that it computed.
    pub slices: u32,
    /// Tiles in them.
    pub tiles: u32,
    /// Slices that it audited.
    pub audits: u32,
}

/// One job's account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobFile {
    /// Its id.
    pub job: JobId,
    /// The kernel's name.
    pub kernel: String,
    /// Who asked.
    pub requester: PeerKey,
    /// How it stands.
    pub state: JobState,
    /// Why it ended early, in words.
    pub why: Option<String>,
    /// The picture.
    pub output: PathBuf,
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
}

impl JobFile {
    /// The account of a job that begins now.
    pub fn new(job: JobId, kernel: &str, output: &Path, manifest: &Manifest) -> Self {
        let slice = |n| Slice {
            tiles: manifest.tiles_in(n),
            ..Slice::default()
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            job,
            kernel: kernel.to_owned(),
            requester: manifest.requester,
            state: JobState::Running,
            why: None,
            output: std::path::absolute(output).unwrap_or_else(|_| output.to_owned()),
            started_s: now.map_or(0, |t| t.as_secs()),
            wall_s: 0.0,
            first_slice_ms: None,
            tiles: manifest.tiles,
            slices: (0..manifest.slices()).map(slice).collect(),
            cheats: Vec::new(),
            false_accusations: 0,
        }
    }

    /// Takes note of an event of this job, `ms` after its submission.
    pub fn note(&mut self, event: &Event, ms: u64) {
        match event {
            Event::Leased { slice, worker, .. } => {
                self.first_slice_ms.get_or_insert(ms);
                self.step(*slice, SliceState::Leased, *worker);
            }
            Event::Committed { slice, worker, .. } => {
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
            Event::SliceDone { slice, worker, .. } => self.step(*slice, SliceState::Done, *worker),
            Event::SliceReopened { slice, .. } => {
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
            Event::FalseAccusation { .. } => self.false_accusations += 1,
            Event::JobDone { .. } => self.state = JobState::Done,
            Event::JobFailed { reason, .. } => {
                self.state = JobState::Failed;
                self.why = Some(reason.to_string());
            }
            // As a worker, or about peers: not this job's story.
            Event::PeerSeen { .. }
            | Event::PeerGone { .. }
            | Event::Submitted { .. }
            | Event::SubmitRefused { .. }
            | Event::Working { .. }
            | Event::Earned { .. }
            | Event::Lost { .. } => {}
        }
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

    /// Writes the account to `HOME/jobs/<id>/` and makes it the last one.
    pub fn save(&self, jobs: &Path) -> Result<(), Failure> {
        let id = self.job.to_string();
        let dir = jobs.join(&id);
        disk::create_private_dir(&dir).map_err(Failure::of)?;
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Failure::of(format!("cannot write job.json: {e}")))?;
        write_atomically(&dir.join("job.json"), &text)?;
        write_atomically(&jobs.join("last"), id.as_bytes())
    }

    /// Finds the job that `name` means: `last`, an id, or the beginning of one.
    pub fn find(jobs: &Path, name: &str) -> Result<Self, Failure> {
        let unknown =
            |what: String| Failure::new(Exit::Error, what, "list the ids with: ls HOME/jobs");
        let prefix = match name {
            "last" => std::fs::read_to_string(jobs.join("last")).map_err(|_| {
                Failure::new(
                    Exit::Error,
                    "no job was submitted from this home",
                    "submit one with `starling run`",
                )
            })?,
            name => name.to_ascii_lowercase(),
        };
        if prefix.len() > 64 || prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_hexdigit())
        {
            return Err(unknown(format!(
                "{name:?} is no job id: those are hexadecimal, or `last`"
            ))
            .exit(Exit::Usage));
        }
        let entries = std::fs::read_dir(jobs).into_iter().flatten().flatten();
        let names = entries.filter_map(|e| e.file_name().into_string().ok());
        let mut matching: Vec<_> = names
            .filter(|n| n.len() == 64 && n.starts_with(&prefix))
            .collect();
        match (matching.pop(), matching.pop()) {
            (Some(id), None) => Self::load(&jobs.join(id).join("job.json")),
            (None, _) => Err(unknown(format!(
                "no job of this home has an id that begins with {prefix}"
            ))),
            _ => Err(unknown(format!("several jobs' ids begin with {prefix}")).exit(Exit::Usage)),
        }
    }

    fn load(path: &Path) -> Result<Self, Failure> {
        let on = |e| Failure::of(DiskError::new("read", path, e));
        let len = std::fs::metadata(path).map_err(on)?.len();
        if len > MAX_FILE {
            return Err(on(std::io::Error::other("longer than any job's account")));
        }
        let bytes = std::fs::read(path).map_err(on)?;
        serde_json::from_slice(&bytes).map_err(|e| {
            let what = format!("{} is damaged: {e}", path.display());
            Failure::new(
                Exit::Error,
                what,
                "the job's receipts beside it are a file of their own: bundle.popw",
            )
        })
    }
}
