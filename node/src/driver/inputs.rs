//! Which blobs are here only because jobs name them as inputs: those, and no others, go with these jobs.
//!
//! Anybody's manifest may name any blob. Invariant: what was here before, or has become an output since, does not go
//! with a job that names it; what a running job names goes only after it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use starling_protocol::BlobId;

/// Clones are one. As large as the inputs of the jobs that the core prepares.
#[derive(Clone, Default)]
pub(super) struct Inputs(Arc<Mutex<BTreeSet<BlobId>>>);

impl Inputs {
    pub(super) fn new(inputs: impl IntoIterator<Item = BlobId>) -> Self {
        Self(Arc::new(Mutex::new(inputs.into_iter().collect())))
    }

    fn claimed(&self) -> MutexGuard<'_, BTreeSet<BlobId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is about to be fetched for a job, or nothing else needs it any more.
    pub(super) fn claim(&self, blob: BlobId) {
        self.claimed().insert(blob);
    }

    /// It is an output as well: the core says when it goes.
    pub(super) fn is_output(&self, blob: &BlobId) {
        self.claimed().remove(blob);
    }

    /// No job names it any more. Whether it may be removed.
    pub(super) fn let_go(&self, blob: &BlobId) -> bool {
        self.claimed().remove(blob)
    }

    pub(super) fn all(&self) -> Vec<BlobId> {
        self.claimed().iter().copied().collect()
    }
}
