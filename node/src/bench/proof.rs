//! What verifying receipts costs, offline and on one core.

use std::time::{Duration, Instant};

use serde::Serialize;
use starling_protocol::Bundle;
use starling_protocol::crypto::Ed25519Verifier;
use starling_protocol::receipt::Quorum;

use crate::reason::Reason;

/// What it costs.
#[derive(Clone, Debug, Serialize)]
pub struct ProofReport {
    /// Receipts that were verified, again and again.
    pub receipts: usize,
    /// Verified per second on one core, each with all its signatures.
    pub receipts_per_s: f64,
    /// Bytes of one receipt, mean.
    pub bytes_each: f64,
    /// Bytes of the bundle: genesis, record and receipts.
    pub bundle_bytes: usize,
    /// Auditors that agreed, mean; 0 for those that the requester checked itself.
    pub auditors: f64,
    /// Witnesses' locks, mean.
    pub witnesses: f64,
}

/// Measures for about `seconds`.
///
/// # Errors
/// If the bundle has no valid receipt.
pub fn measure(bundle: &Bundle, seconds: f64) -> Result<ProofReport, Reason> {
    let bad = |e: String| Reason::new("bad_input", e, "give a .popw file with valid receipts");
    let checked = bundle
        .verify(&Ed25519Verifier)
        .map_err(|e| bad(e.to_string()))?;
    if checked.is_empty() || checked.iter().any(Result::is_err) {
        return Err(bad(
            "the bundle has no receipt, or one that does not hold".into()
        ));
    }
    let swarm = bundle.genesis.swarm_id();
    let (start, mut done) = (Instant::now(), 0_usize);
    while start.elapsed() < Duration::from_secs_f64(seconds) {
        for receipt in &bundle.receipts {
            let verified = receipt.verify(&bundle.record, &swarm, &Ed25519Verifier);
            done += usize::from(verified.is_ok());
        }
    }
    let receipts_per_s = done as f64 / start.elapsed().as_secs_f64();
    let n = bundle.receipts.len();
    let mean = |of: &dyn Fn(&starling_protocol::Receipt) -> usize| {
        bundle.receipts.iter().map(of).sum::<usize>() as f64 / n as f64
    };
    Ok(ProofReport {
        receipts: n,
        receipts_per_s,
        bytes_each: mean(&|r| starling_protocol::codec::encode(r).len()),
        bundle_bytes: bundle.to_bytes().len(),
        auditors: mean(&|r| match &r.quorum {
            Quorum::Auditors(agreed) => agreed.len(),
            Quorum::SelfChecked { .. } => 0,
        }),
        witnesses: mean(&|r| r.lock_set.body.locks.len()),
    })
}
