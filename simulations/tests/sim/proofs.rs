//! Capacity proofs in whole runs: who claims more than it does is found out, and nobody else is.

use crate::{good_run, shipped};
use starling_adversaries::Strategy;
use starling_sim::{Experiment, Report};

/// A short job among twenty peers, some of whom claim four times what they do, and then rest; a second one at its end.
fn run(seed: u64, change: impl Fn(&mut Experiment)) -> Report {
    let mut experiment =
        Experiment::load(&shipped("one_job.toml")).expect("the shipped scenario loads");
    experiment.population.peers = 20;
    experiment.run.horizon_s = 1_500.0;
    experiment.run.until_jobs_end = false;
    experiment.adversaries[0].count = 3;
    experiment.adversaries[0].share = 0.0;
    experiment.adversaries[0].strategies = vec![Strategy::LieAboutCapacity(4.0)];
    experiment.workload[0].job.tiles = 4_096;
    change(&mut experiment);
    good_run("(one_job.toml, boasted about)", &experiment, seed)
}

#[test]
fn boasters_are_struck_and_slow_peers_that_say_so_are_not() {
    for seed in 1..=3 {
        // Speeds differ by four and more; adverts say so.
        let report = run(seed, |e| {
            for device in &mut e.population.devices {
                device.spread = 4.0;
            }
        });
        assert_eq!(
            (report.claims_struck, report.claims_struck_wrongly),
            (3, 0),
            "seed {seed}"
        );
        let probes = report.messages["Probe"].count;
        assert!((57..=100).contains(&probes), "{probes}");
    }
}

/// Jobs come one after the other: who is at work, or called to an audit, says so and is left alone.
#[test]
fn nobody_is_struck_for_having_work() {
    for seed in 1..=3 {
        let report = run(seed, |e| {
            e.adversaries.clear();
            e.workload[0].jobs = 12;
            e.workload[0].every_s = 60.0;
        });
        assert_eq!(report.claims_struck_wrongly, 0, "seed {seed}");
        assert!(report.messages["ProbeDone"].count > 0);
        assert_eq!(report.jobs_done, 12);
    }
}

/// Far peers, on lines that lose and delay: round trips are deducted.
#[test]
fn nobody_is_struck_for_its_line() {
    let report = run(1, |e| {
        e.adversaries.clear();
        e.network.loss_share = 0.02;
    });
    assert_eq!(report.claims_struck_wrongly, 0);
    assert!(report.messages["ProbeDone"].count > 30);
}
