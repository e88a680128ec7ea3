//! What the index holds of the log: receipts by job and slice, jobs by id, what this peer is bound to, what it keeps
//! for others.
//!
//! A function of one record alone, so that the index can be rebuilt from the log at any time.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use starling_protocol::config::RECEIPT_MAX;
use starling_protocol::io::Record;
use starling_protocol::manifest::JobRecord;
use starling_protocol::{BlobId, JobId, LeaseId, PeerKey, Receipt, codec};

use crate::log::MAX_RECORD;
use crate::store::{Batch, Space, Store};

/// The receipt of a slice that this peer keeps for somebody else.
pub(crate) fn kept(store: &Store, job: &JobId, lease: &LeaseId) -> Option<Box<Receipt>> {
    let found = store.get(Space::Kept, &kept_key(job, lease));
    let bytes = found
        .inspect_err(|error| tracing::warn!(%error, "a kept receipt could not be looked up"))
        .ok()??;
    codec::decode(&bytes, RECEIPT_MAX).ok().map(Box::new)
}

/// Inputs and outputs of this peer's own jobs; none if that cannot be told.
pub(crate) fn own_blobs(store: &Store) -> Option<BTreeSet<BlobId>> {
    let mut own = BTreeSet::new();
    let slices = store.scan(Space::Slices, &[], |_, value| {
        let slice = codec::decode::<(u32, PeerKey, BlobId)>(value, MAX_RECORD);
        own.extend(slice.map(|(.., blob)| blob));
        ControlFlow::Continue(())
    });
    let jobs = store.scan(Space::Jobs, &[], |_, value| {
        if let Ok(record) = codec::decode::<JobRecord>(value, MAX_RECORD) {
            own.extend(record.manifest.body.inputs.iter().map(|i| i.id));
        }
        ControlFlow::Continue(())
    });
    let read = slices.and(jobs);
    read.inspect_err(|error| tracing::warn!(%error, "own jobs could not be read"))
        .ok()?;
    Some(own)
}

fn kept_key(job: &JobId, lease: &LeaseId) -> Vec<u8> {
    [&job.as_bytes()[..], &lease.as_bytes()[..]].concat()
}

/// The index entries that follow from one record of the log.
pub(crate) fn index(_seq: u64, bytes: &[u8], batch: &mut Batch) {
    let Ok(record) = codec::decode::<Record>(bytes, MAX_RECORD) else {
        return;
    };
    match record {
        Record::Receipted { job, receipt } => {
            let (slice, root) = (
                receipt.lease.body.slice.to_be_bytes(),
                receipt.commitment.body.root,
            );
            let key = [job.as_bytes(), &slice[..], root.as_bytes()].concat();
            batch.put(Space::Receipts, &key, &codec::encode(&*receipt));
        }
        Record::Submitted { record } => {
            let job = record.appointment.body.job;
            batch.put(Space::Jobs, job.as_bytes(), &codec::encode(&*record));
            // Also one that was over here, and was found again.
            batch.remove(Space::Ends, job.as_bytes());
        }
        Record::Committed { lease, root } => {
            batch.put(Space::Commitments, lease.as_bytes(), root.as_bytes())
        }
        Record::Locked { lease, root, .. } => {
            batch.put(Space::Locks, lease.as_bytes(), root.as_bytes())
        }
        Record::SliceDone {
            job,
            slice,
            worker,
            blob,
        } => {
            let key = [job.as_bytes(), &slice.to_be_bytes()[..]].concat();
            batch.put(Space::Slices, &key, &codec::encode(&(slice, worker, blob)));
        }
        Record::Revoked { job, slice, .. } => {
            let key = [job.as_bytes(), &slice.to_be_bytes()[..]].concat();
            batch.remove(Space::Slices, &key);
        }
        Record::Ended { job, reason } => {
            batch.put(Space::Ends, job.as_bytes(), &codec::encode(&reason));
        }
        Record::Kept { job, receipt, .. } => {
            let key = kept_key(&job, &receipt.commitment.body.lease);
            batch.put(Space::Kept, &key, &codec::encode(&*receipt));
        }
        Record::Appointed { .. }
        | Record::Revealed { .. }
        | Record::Bound { .. }
        | Record::Excluded { .. }
        | Record::Standing { .. } => {}
    }
}
