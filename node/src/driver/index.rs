//! What the index holds of the log: receipts by job and slice, jobs by id, what this peer is bound to.
//!
//! A function of one record alone, so that the index can be rebuilt from the log at any time.

use starling_protocol::codec;
use starling_protocol::io::Record;

use crate::log::MAX_RECORD;
use crate::store::{Batch, Space};

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
        Record::Ended { job, reason } => {
            batch.put(Space::Ends, job.as_bytes(), &codec::encode(&reason));
        }
        Record::Revealed { .. }
        | Record::Bound { .. }
        | Record::Excluded { .. }
        | Record::Standing { .. } => {}
    }
}
