//! Light peers against the protocol's own machines, against the three-interval rule, and against themselves.

mod alike;
mod alone;

use starling_sim::Experiment;

/// `peers` light ones in one shard, with more lines of an experiment's file.
fn experiment(peers: u32, horizon_s: f64, more: &str) -> Experiment {
    let text = format!(
        "{more}\n[population]\npeers = {peers}\nstart_s = 20.0\nlight = true\n\
         [run]\nhorizon_s = {horizon_s:?}\nuntil_jobs_end = false"
    );
    let mut experiment: Experiment = toml::from_str(&text).expect("an experiment");
    experiment.swarm.advert_s = 20.0;
    experiment.check().expect("in range");
    experiment
}

#[track_caller]
fn near(what: &str, measured: f64, expected: f64, share: f64) {
    let off = (measured - expected).abs() / expected.abs();
    println!(
        "{what}: {measured:.4} against {expected:.4}, {:.2} % off",
        off * 100.0
    );
    assert!(off <= share, "{what}: {measured} against {expected}");
}
