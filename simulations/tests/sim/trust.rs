//! What auditing costs once workers are known, against what the rules make of it.

use crate::{good_run, shipped};
use starling_sim::Experiment;

/// Of newcomers 16 x 2 of 512 tiles are recomputed; of trusted workers 8 x 1, and with p = 1/CV, 5 % at least, 32 again.
#[test]
fn those_who_have_proven_themselves_cost_a_third() {
    let experiment = Experiment::load(&shipped("trusted.toml")).expect("the scenario loads");
    let report = good_run("trusted.toml", &experiment, 1);
    assert_eq!(report.receipts, 1280);
    let audits = report.audits;
    let share = |audited: u64, tiles: u64| audited as f64 / tiles as f64;
    let newcomers = share(audits.newcomer_audited, audits.newcomer_tiles);
    assert!((newcomers - 32.0 / 512.0).abs() < 0.001, "{newcomers}");
    // Sampled: some 500 slices, one in ten to one in twenty of them in full.
    let trusted = share(audits.trusted_audited, audits.trusted_tiles);
    assert!((0.0156..0.0250).contains(&trusted), "{trusted}");
    let known = share(
        audits.trusted_tiles,
        audits.trusted_tiles + audits.newcomer_tiles,
    );
    assert!(known > 0.3, "most are trusted in the end: {known}");
}
