//! Work of the shell that takes time: inputs that are fetched, outputs that are hashed. Each ends as one `Input`.

use std::collections::HashMap;
use std::sync::Arc;

use starling_kernels::{JobSpec, KernelId};
use starling_protocol::config::INLINE_MAX;
use starling_protocol::io::{Computed, Purpose, Shape, TaskId};
use starling_protocol::{BlobId, Hash, Input, JobId, Manifest, PeerKey, Reason};
use tokio::sync::mpsc::UnboundedSender;

use crate::blobs::BlobStore;
use crate::compute::{Finished, tier};
use crate::net::NetHandle;

use super::inputs::Inputs;

/// Results up to so many bytes are hashed on the driver's own task: that takes less than waking another thread.
const HASHED_HERE: usize = 64 * 1024;

/// What a blob is fetched for.
enum Wanted {
    Input {
        job: JobId,
        blob: BlobId,
    },
    Output {
        task: TaskId,
        blob: BlobId,
        len: u64,
        tile_bytes: u32,
    },
}

/// A job whose inputs are on their way or here.
struct Job {
    manifest: Manifest,
    /// Inputs that are still missing; the first failure ends it.
    missing: usize,
    spec: Option<Arc<JobSpec>>,
}

/// Everything that is on its way. The core bounds it: it asks for one thing at a time for each lease and job.
pub(super) struct Pending {
    net: NetHandle,
    blobs: BlobStore,
    answer: UnboundedSender<Input>,
    fetches: HashMap<u64, Wanted>,
    jobs: HashMap<JobId, Job>,
    specs: Arc<std::sync::Mutex<HashMap<JobId, Arc<JobSpec>>>>,
    inputs: Inputs,
    next_request: u64,
}

impl Pending {
    /// `inputs` were fetched in a former life.
    pub(super) fn new(
        net: NetHandle,
        blobs: BlobStore,
        inputs: Vec<BlobId>,
        answer: UnboundedSender<Input>,
    ) -> Self {
        Self {
            net,
            blobs,
            answer,
            fetches: HashMap::new(),
            jobs: HashMap::new(),
            specs: Arc::default(),
            inputs: Inputs::new(inputs),
            next_request: 0,
        }
    }

    /// Tells the core something that was at hand.
    pub(super) fn answer(&self, input: Input) {
        let _ = self.answer.send(input);
    }

    /// The loaded job, once it is prepared.
    pub(super) fn spec(&self, job: &JobId) -> Option<Arc<JobSpec>> {
        self.specs().get(job).cloned()
    }

    fn specs(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Arc<JobSpec>>> {
        self.specs
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A computation was asked for a job that is not here.
    pub(super) fn not_prepared(&self, task: TaskId) {
        let _ = self.answer.send(Input::Computed {
            task,
            result: Err(Reason::FetchFailed),
        });
    }

    /// Fetches what is missing of a job's inputs, then lets the kernel look at it.
    pub(super) async fn prepare(&mut self, job: JobId, manifest: &Manifest, sources: &[PeerKey]) {
        let wanted: Vec<_> = manifest
            .inputs
            .iter()
            .filter(|i| !self.blobs.has(i.id.as_bytes()))
            .copied()
            .collect();
        let entry = Job {
            manifest: manifest.clone(),
            missing: wanted.len(),
            spec: None,
        };
        self.jobs.insert(job, entry);
        let from: Vec<_> = sources.iter().map(|p| *p.as_bytes()).collect();
        for input in wanted {
            self.inputs.claim(input.id);
            let blob = input.id;
            let request = self.request(Wanted::Input { job, blob });
            if self
                .net
                .fetch_blob(request, *input.id.as_bytes(), input.len, from.clone())
                .await
                .is_err()
            {
                self.on_blob(request, false);
            }
        }
        self.load_if_complete(job);
    }

    fn request(&mut self, wanted: Wanted) -> u64 {
        self.next_request += 1;
        self.fetches.insert(self.next_request, wanted);
        self.next_request
    }

    /// Stores an output that came with its message.
    pub(super) fn store(&self, task: TaskId, bytes: Vec<u8>, tile_bytes: u32) {
        let (blobs, answer) = (self.blobs.clone(), self.answer.clone());
        let inputs = self.inputs.clone();
        tokio::task::spawn_blocking(move || {
            let result = put(&blobs, &inputs, &bytes);
            let tiles = || {
                bytes
                    .chunks_exact(tile_bytes as usize)
                    .map(Hash::of)
                    .collect()
            };
            let _ = answer.send(Input::Fetched {
                task,
                result: result.map(|_| tiles()),
            });
        });
    }

    pub(super) async fn fetch(
        &mut self,
        task: TaskId,
        blob: BlobId,
        len: u64,
        tile_bytes: u32,
        from: PeerKey,
    ) {
        self.inputs.is_output(&blob);
        let request = self.request(Wanted::Output {
            task,
            blob,
            len,
            tile_bytes,
        });
        if self
            .net
            .fetch_blob(request, *blob.as_bytes(), len, vec![*from.as_bytes()])
            .await
            .is_err()
        {
            self.on_blob(request, false);
        }
    }

    /// A fetch has ended.
    pub(super) fn on_blob(&mut self, request: u64, here: bool) {
        match self.fetches.remove(&request) {
            Some(Wanted::Input { job, blob }) if here => {
                match self.jobs.get_mut(&job) {
                    Some(entry) => entry.missing = entry.missing.saturating_sub(1),
                    None => self.let_go(blob),
                }
                self.load_if_complete(job);
            }
            Some(Wanted::Input { job, blob }) => {
                // The first input that cannot be had ends it; those after it find it gone.
                match self.jobs.remove(&job) {
                    Some(entry) => {
                        let shape = Err(Reason::FetchFailed);
                        let _ = self.answer.send(Input::Prepared { job, shape });
                        let inputs = entry.manifest.inputs.iter();
                        inputs.for_each(|input| self.let_go(input.id));
                    }
                    None => self.let_go(blob),
                }
            }
            Some(Wanted::Output {
                task,
                blob,
                len,
                tile_bytes,
            }) if here => {
                let (blobs, answer) = (self.blobs.clone(), self.answer.clone());
                tokio::task::spawn_blocking(move || {
                    let bytes = blobs
                        .get(blob.as_bytes())
                        .ok()
                        .flatten()
                        .filter(|b| b.len() as u64 == len);
                    let tiles =
                        bytes.map(|b| b.chunks_exact(tile_bytes as usize).map(Hash::of).collect());
                    let _ = answer.send(Input::Fetched {
                        task,
                        result: tiles.ok_or(Reason::FetchFailed),
                    });
                });
            }
            Some(Wanted::Output { task, .. }) => {
                let _ = self.answer.send(Input::Fetched {
                    task,
                    result: Err(Reason::FetchFailed),
                });
            }
            None => {}
        }
    }

    fn load_if_complete(&mut self, job: JobId) {
        let Some(entry) = self
            .jobs
            .get(&job)
            .filter(|e| e.missing == 0 && e.spec.is_none())
        else {
            return;
        };
        let (manifest, blobs) = (entry.manifest.clone(), self.blobs.clone());
        let (answer, specs) = (self.answer.clone(), self.specs.clone());
        tokio::task::spawn_blocking(move || {
            let shape = load(&manifest, &blobs).and_then(|spec| {
                let shape = spec.shape().map_err(|error| {
                    tracing::info!(%job, %error, "a job's kernel refuses it");
                    Reason::BadJob
                })?;
                specs
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .insert(job, Arc::new(spec));
                let starling_kernels::Shape {
                    tiles,
                    tile_bytes,
                    units_per_tile,
                    tier: kind,
                } = shape;
                Ok(Shape {
                    tiles,
                    tile_bytes,
                    units_per_tile,
                    tier: tier(kind),
                })
            });
            let _ = answer.send(Input::Prepared { job, shape });
        });
    }

    /// A device has finished: the core gets the hashes, and a short leased output with them; other output goes to the
    /// blobs.
    pub(super) fn on_finished(&mut self, finished: Finished) {
        let Finished {
            task,
            purpose,
            tile_bytes,
            units,
            result,
        } = finished;
        let (blobs, answer) = (self.blobs.clone(), self.answer.clone());
        let inputs = self.inputs.clone();
        let len = result.as_ref().map_or(0, Vec::len);
        let handed = purpose == Purpose::Work && len <= INLINE_MAX;
        let stored = purpose == Purpose::Own || purpose == Purpose::Work && !handed;
        let finish = move || {
            let result = result
                .inspect_err(|failed| tracing::warn!(why = failed.why, "a computation failed"))
                .map_err(|failed| failed.reason)
                .and_then(|bytes| {
                    let tiles = bytes.chunks_exact(tile_bytes).map(Hash::of).collect();
                    let blob = match (handed, stored) {
                        (true, _) => Some(BlobId(Hash::of(&bytes))),
                        (false, true) => Some(put(&blobs, &inputs, &bytes)?),
                        (false, false) => None,
                    };
                    let bytes = if handed { bytes } else { Vec::new() };
                    Ok(Computed {
                        tiles,
                        blob,
                        bytes,
                        units,
                    })
                });
            let _ = answer.send(Input::Computed { task, result });
        };
        if stored || len > HASHED_HERE {
            tokio::task::spawn_blocking(finish);
        } else {
            finish();
        }
    }

    /// The job is over: what was fetched for it goes.
    pub(super) fn release(&mut self, job: &JobId) {
        self.specs().remove(job);
        if let Some(entry) = self.jobs.remove(job) {
            let inputs = entry.manifest.inputs.iter();
            inputs.for_each(|input| self.let_go(input.id));
        }
    }

    /// The core has restored its jobs: what was fetched for others goes.
    pub(super) fn release_former(&self) {
        for blob in self.inputs.all() {
            self.let_go(blob);
        }
    }

    /// Removes what no job names any more, if it was fetched as an input.
    fn let_go(&self, blob: BlobId) {
        let arriving = |w: &Wanted| matches!(w, Wanted::Input { blob: b, .. } if *b == blob);
        if !self.is_named(&blob)
            && !self.fetches.values().any(arriving)
            && self.inputs.let_go(&blob)
        {
            self.remove(blob);
        }
    }

    /// Whether it is an input of a job that goes on.
    fn is_named(&self, blob: &BlobId) -> bool {
        let names = |job: &Job| job.manifest.inputs.iter().any(|i| i.id == *blob);
        self.jobs.values().any(names)
    }

    /// The core has no use for an output any more. A job that has it for an input still does.
    pub(super) fn discard(&self, blob: BlobId) {
        if self.is_named(&blob) {
            self.inputs.claim(blob);
        } else {
            self.remove(blob);
        }
    }

    fn remove(&self, blob: BlobId) {
        let blobs = self.blobs.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = blobs.remove(blob.as_bytes()) {
                tracing::warn!(%error, %blob, "a blob could not be removed");
            }
        });
    }
}

/// Stores an output.
fn put(blobs: &BlobStore, inputs: &Inputs, bytes: &[u8]) -> Result<BlobId, Reason> {
    let stored = blobs.put(bytes).map_err(|error| {
        tracing::warn!(%error, "an output could not be stored");
        Reason::StorageFull
    });
    let blob = BlobId::from(stored?);
    inputs.is_output(&blob);
    Ok(blob)
}

/// The job as kernels know it.
fn load(manifest: &Manifest, blobs: &BlobStore) -> Result<JobSpec, Reason> {
    let mut inputs = Vec::new();
    for input in &manifest.inputs {
        let bytes = blobs
            .get(input.id.as_bytes())
            .ok()
            .flatten()
            .filter(|b| b.len() as u64 == input.len);
        inputs.push(bytes.ok_or(Reason::FetchFailed)?.into());
    }
    let kernel = KernelId(*manifest.kernel.as_bytes());
    Ok(JobSpec {
        kernel,
        params: manifest.params.clone(),
        inputs,
    })
}
