//! Receipt bundles: the `.popw` files that people keep and send. Genesis and record travel once, receipts follow.

use crate::codec::{self, CodecError};
use crate::config;
use crate::crypto::Verifier;
use crate::genesis::{Genesis, GenesisError};
use crate::manifest::{JobRecord, RecordError};
use crate::receipt::{Receipt, ReceiptError, Verified, mark_duplicates};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// First bytes of every bundle.
const MAGIC: [u8; 8] = *b"popw\x01\0\0\0";

/// Receipts of one job with all that verifying them needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Which swarm.
    pub genesis: Genesis,
    /// Which job.
    pub record: JobRecord,
    /// The receipts.
    pub receipts: Vec<Receipt>,
}

/// Why a bundle cannot be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Not a bundle.
    #[error("not a receipt bundle")]
    Magic,
    /// Damaged.
    #[error("the bundle is damaged: {0}")]
    Codec(#[from] CodecError),
    /// Its genesis does not hold.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// Its record does not hold.
    #[error("the job's record does not hold: {0}")]
    Record(#[from] RecordError),
}

impl Bundle {
    /// The file's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(codec::encode(self));
        bytes
    }

    /// Decodes a file. Nothing in it is verified yet.
    ///
    /// # Errors
    /// [`BundleError::Magic`] or [`BundleError::Codec`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        let body = bytes.strip_prefix(&MAGIC).ok_or(BundleError::Magic)?;
        Ok(codec::decode(body, config::BUNDLE_MAX)?)
    }

    /// Verifies genesis and record, then each receipt by itself; the second valid one for a lease proves nothing. Of
    /// several stored ones for one slice, all but one are flagged as duplicates, whatever their order.
    ///
    /// # Errors
    /// [`BundleError`] when genesis or record do not hold, so that no receipt can be judged.
    pub fn verify(
        &self,
        verifier: &dyn Verifier,
    ) -> Result<Vec<Result<Verified, ReceiptError>>, BundleError> {
        self.genesis.check()?;
        let swarm = self.genesis.swarm_id();
        self.record.check(&swarm, verifier)?;
        let mut seen = BTreeSet::new();
        let verify = |receipt: &Receipt| {
            let verified = receipt.verify(&self.record, &swarm, verifier)?;
            let fresh = seen.insert(verified.lease);
            if fresh {
                Ok(verified)
            } else {
                Err(ReceiptError::Twice)
            }
        };
        let mut all: Vec<_> = self.receipts.iter().map(verify).collect();
        let valid = all.iter_mut().flatten();
        mark_duplicates(valid.map(|v| (v.slice, v.precedence(), &mut v.flags)));
        Ok(all)
    }
}
