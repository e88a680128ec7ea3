//! One blob on its way in from several sources: its files, its plan, and what each source has claimed of it.
//!
//! The first source that answers says how long the blob is. One that says otherwise later is a liar, or that first one
//! was; the last group decides, because no other length fits it.
//!
//! Invariant: what a source claims goes back by itself when the claim is dropped, verified bytes excepted.

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bao_tree::{BaoTree, ChunkRanges};
use tokio::{sync::watch, time::timeout};

use super::{
    BlobError, BlobHash, BlobStore, GROUP, MAX_BLOB_BYTES,
    fetch::SourceError,
    plan::{PieceId, Plan},
    serve::blocking,
    sink::Sink,
    store::Incoming,
    wire::Request,
};

/// A blob that is being fetched; its clones are one.
#[derive(Clone)]
pub(crate) struct Download(Arc<Inner>);

struct Inner {
    store: BlobStore,
    hash: BlobHash,
    max_len: u64,
    state: Mutex<State>,
    /// Counts what may give an idle source something to do.
    changes: watch::Sender<u64>,
}

enum State {
    /// No source has said yet how long it is.
    Unknown,
    Known {
        incoming: Incoming,
        plan: SharedPlan,
    },
    /// It is in the store, or the store failed.
    Ended,
}

type SharedPlan = Arc<Mutex<Plan>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is consistent between statements: a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Download {
    pub(crate) fn new(store: BlobStore, hash: BlobHash, max_len: u64) -> Self {
        Download(Arc::new(Inner {
            store,
            hash,
            max_len: max_len.min(MAX_BLOB_BYTES),
            state: Mutex::new(State::Unknown),
            changes: watch::Sender::new(0),
        }))
    }

    pub(crate) fn hash(&self) -> BlobHash {
        self.0.hash
    }

    /// Tells of changes from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn changed(&self) {
        self.0.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Sees the plan, if there is one.
    fn plan<T>(&self, see: impl FnOnce(&mut Plan) -> T) -> Option<T> {
        match &*lock(&self.0.state) {
            State::Known { plan, .. } => Some(see(&mut lock(plan))),
            State::Unknown | State::Ended => None,
        }
    }

    /// Every byte is here, verified and written.
    pub(crate) fn complete(&self) -> bool {
        self.plan(|plan| plan.complete()).unwrap_or(false)
    }

    /// No other length can be the blob's.
    pub(crate) fn proven(&self) -> bool {
        self.plan(|plan| plan.proven()).unwrap_or(false)
    }

    /// Sources that could be busy at once.
    pub(crate) fn shares(&self) -> usize {
        self.plan(|plan| plan.shares()).unwrap_or(1)
    }

    /// Waits until there is something to claim; `None` once there never will be. After `patience` without a change it
    /// may be what another source is already asked for: then `Some(true)`.
    pub(crate) async fn work(
        &self,
        changes: &mut watch::Receiver<u64>,
        patience: Duration,
    ) -> Option<bool> {
        let mut double = false;
        loop {
            changes.mark_unchanged();
            match &*lock(&self.0.state) {
                State::Unknown => return Some(false),
                State::Ended => return None,
                State::Known { plan, .. } => {
                    let plan = lock(plan);
                    if plan.complete() {
                        return None;
                    }
                    if plan.has_work(double) {
                        return Some(double);
                    }
                }
            }
            // The sender lives as long as `self`.
            double = timeout(patience, changes.changed()).await.is_err();
        }
    }

    /// Claims the next piece, or all of a blob whose length is unknown; `None` if another source was faster.
    pub(crate) fn claim(&self, double: bool) -> Option<Claim> {
        let held = match &*lock(&self.0.state) {
            State::Unknown => None,
            State::Ended => return None,
            State::Known { plan, .. } => {
                let (id, range) = lock(plan).take(double)?;
                Some(self.hold(plan, id, range))
            }
        };
        Some(Claim {
            download: self.clone(),
            held,
            keep: true,
        })
    }

    /// Claims only the last group of a blob of `len` bytes, to see whether that is its length.
    pub(crate) fn claim_proof(&self, len: u64) -> Result<Claim, SourceError> {
        self.check_len(len)?;
        let mut plan = Plan::last_group(len);
        let taken = plan.take(false);
        let plan = Arc::new(Mutex::new(plan));
        Ok(Claim {
            download: self.clone(),
            held: taken.map(|(id, range)| self.hold(&plan, id, range)),
            keep: false,
        })
    }

    fn hold(&self, plan: &SharedPlan, id: PieceId, range: Range<u64>) -> Held {
        Held {
            download: self.clone(),
            plan: plan.clone(),
            id,
            range,
        }
    }

    /// Whether the blob may be so long, before anything is allocated for it.
    fn check_len(&self, len: u64) -> Result<(), SourceError> {
        let max = self.0.max_len;
        if len > max {
            return Err(SourceError::TooLarge { len, max });
        }
        // The tree of an empty blob is a single leaf that some encoders leave out.
        if len == 0 && blake3::hash(&[]) != self.0.hash {
            return Err(SourceError::Mismatch);
        }
        Ok(())
    }

    /// `len` was proven: what came under another length is dropped.
    pub(crate) async fn replace(&self, len: u64) -> Result<(), SourceError> {
        {
            let mut state = lock(&self.0.state);
            match &*state {
                State::Ended => return Ok(()),
                State::Known { plan, .. } => {
                    let mut plan = lock(plan);
                    if plan.len() == len {
                        plan.prove();
                        return Ok(());
                    }
                    plan.abandon();
                }
                State::Unknown => {}
            }
            // Its room is free before the new one is reserved.
            *state = State::Unknown;
        }
        self.begin(len).await?;
        self.plan(|plan| {
            if plan.len() == len {
                plan.prove();
            }
        });
        self.changed();
        Ok(())
    }

    /// Opens files for a blob of `len` bytes, unless another source was faster.
    async fn begin(&self, len: u64) -> Result<bool, SourceError> {
        let store = self.0.store.clone();
        let incoming = blocking(move || store.begin(len)).await??;
        let mut state = lock(&self.0.state);
        let first = matches!(&*state, State::Unknown);
        if first {
            let plan = Arc::new(Mutex::new(Plan::new(len)));
            *state = State::Known { incoming, plan };
        }
        Ok(first)
    }

    /// Gives the blob, all of which is here, its name; returns its length.
    pub(crate) async fn commit(&self) -> Result<u64, BlobError> {
        let (store, hash) = (&self.0.store, self.0.hash);
        let io = |e| store.io_error(e);
        if !self.complete() {
            return Err(io(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let ended = std::mem::replace(&mut *lock(&self.0.state), State::Ended);
        self.changed();
        let State::Known { incoming, plan } = ended else {
            return Err(io(std::io::ErrorKind::UnexpectedEof.into()));
        };
        let len = lock(&plan).len();
        blocking(move || incoming.commit(hash))
            .await
            .map_err(io)??;
        Ok(len)
    }
}

/// What one source is asked for next.
pub(crate) struct Claim {
    download: Download,
    /// None while nobody knows how long the blob is.
    held: Option<Held>,
    /// Whether the bytes go to the disk.
    keep: bool,
}

impl Claim {
    pub(crate) fn request(&self) -> Request {
        let (start, end) = match &self.held {
            // `end` may be past the end, `start` may not.
            Some(held) => (held.range.start, held.range.end),
            None => (0, u64::MAX),
        };
        Request {
            hash: self.download.0.hash,
            start,
            end,
        }
    }

    /// The source says that the whole blob is `len` bytes long, and will send what was requested. `None` if that is
    /// not wanted any more.
    pub(crate) async fn accept(self, len: u64) -> Result<Option<Piece>, SourceError> {
        self.download.check_len(len)?;
        let chunks = self.request().chunks(len);
        let first = match &self.held {
            Some(held) if lock(&held.plan).len() != len => return Err(SourceError::Length),
            Some(_) => false,
            None => self.download.begin(len).await?,
        };
        let Claim {
            download,
            mut held,
            keep,
        } = self;
        let mut sink = None;
        if let State::Known { incoming, plan } = &*lock(&download.0.state) {
            if first {
                let all = lock(plan).take(false);
                held = all.map(|(id, range)| download.hold(plan, id, range));
            }
            let current = held.as_ref().is_some_and(|h| Arc::ptr_eq(&h.plan, plan));
            if keep && current {
                sink = Some(incoming.sink().map_err(|e| download.0.store.io_error(e))?);
            }
        }
        if first {
            download.changed();
        }
        let (Some(held), Some(chunks)) = (held, chunks) else {
            return Ok(None);
        };
        if keep && sink.is_none() {
            return Ok(None);
        }
        Ok(Some(Piece {
            chunks,
            len,
            held,
            sink,
        }))
    }
}

/// A claimed range; dropped, it goes back to the plan.
struct Held {
    download: Download,
    plan: SharedPlan,
    id: PieceId,
    range: Range<u64>,
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.plan).give_back(self.id);
        self.download.changed();
    }
}

/// A claimed range that a source has begun to send.
pub(crate) struct Piece {
    chunks: ChunkRanges,
    len: u64,
    held: Held,
    /// None if the bytes are only looked at.
    sink: Option<Sink>,
}

/// The half of a [`Piece`] that a blocking thread works with.
pub(crate) struct Work {
    pub(crate) root: blake3::Hash,
    pub(crate) tree: BaoTree,
    pub(crate) chunks: ChunkRanges,
    sink: Option<Sink>,
    store: BlobStore,
    plan: SharedPlan,
    id: PieceId,
}

/// The other half: while it lives, the range is this source's.
pub(crate) struct Lease {
    held: Held,
}

impl Piece {
    /// Parts what verifies from what waits: a thread may outlive the task that it works for.
    pub(crate) fn split(self) -> (Lease, Work) {
        let inner = &self.held.download.0;
        let work = Work {
            root: blake3::Hash::from_bytes(inner.hash),
            tree: BaoTree::new(self.len, GROUP),
            chunks: self.chunks,
            sink: self.sink,
            store: inner.store.clone(),
            plan: self.held.plan.clone(),
            id: self.held.id,
        };
        (Lease { held: self.held }, work)
    }
}

impl Lease {
    /// Bytes that the source was asked for.
    pub(crate) fn asked(&self) -> u64 {
        self.held.range.end - self.held.range.start
    }
}

impl Work {
    /// Where verified bytes and hashes go, if anywhere.
    pub(crate) fn sink(&mut self) -> Option<&mut Sink> {
        self.sink.as_mut()
    }

    /// Writes what is gathered and counts everything up to `to` as here; whether more is wanted.
    pub(crate) fn advance(&mut self, to: u64) -> Result<bool, SourceError> {
        if let Some(sink) = &mut self.sink {
            sink.flush().map_err(|e| self.disk(e))?;
        }
        Ok(lock(&self.plan).advance(self.id, to))
    }

    /// The own disk failed.
    pub(crate) fn disk(&self, error: std::io::Error) -> SourceError {
        SourceError::Store(self.store.io_error(error))
    }
}
