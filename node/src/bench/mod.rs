//! Measurements of this machine and this build, for `starling bench`: each gives a report that says what it measured.
//!
//! Not tests: nothing here passes or fails. Where a figure depends on the machine, a rival is measured in the same run
//! and the ratio is what counts.

mod bare;
pub mod blobs;
pub mod daemon;
pub mod dht;
pub mod kernels;
pub mod local;
pub mod overhead;
pub mod process;
pub mod proof;
pub mod shaders;
pub mod swarm;

use serde::{Deserialize, Serialize};

/// Percentiles of some samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// Largest.
    pub max: f64,
    /// How many.
    pub samples: usize,
}

impl Spread {
    /// Of these samples; none of none.
    pub fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * samples.len() as f64).ceil() as usize;
            samples.get(rank.max(1) - 1).copied()
        };
        Some(Self {
            p50: at(0.5)?,
            p95: at(0.95)?,
            max: *samples.last()?,
            samples: samples.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let spread = Spread::of((1..=100).map(f64::from).rev().collect()).expect("samples");
        assert_eq!((spread.p50, spread.p95, spread.max), (50.0, 95.0, 100.0));
        assert_eq!(Spread::of(vec![3.0]).expect("one").p95, 3.0);
        assert!(Spread::of(Vec::new()).is_none());
    }
}
