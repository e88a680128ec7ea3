//! The shipped job among fifty peers: done, cheat caught, nobody accused, and repeatable; also on bad networks.

use crate::{good_run, shipped};
use starling_protocol::config;
use starling_sim::Experiment;
use starling_sim::signer::Scheme;

fn one_job() -> Experiment {
    Experiment::load(&shipped("one_job.toml")).expect("the shipped scenario loads")
}

#[test]
fn twenty_seeds_end_with_the_cheat_caught_and_nobody_else_accused() {
    let experiment = one_job();
    for seed in 1..=20 {
        let report = good_run("one_job.toml", &experiment, seed);
        assert_eq!(
            (report.slices_done, report.receipts, report.earned),
            (64, 64, 64),
            "seed {seed}"
        );
        assert_eq!(
            (report.adversaries_caught, report.false_accusations),
            (1, 0),
            "seed {seed}"
        );
        assert_eq!(
            report.flags,
            Default::default(),
            "seed {seed}: in a quiet swarm of fifty no receipt is weak"
        );
        // 16 auditors x 2 tiles of 512, for every slice that was committed, the cheat's included.
        assert!(
            (0.06..0.07).contains(&report.audit_share),
            "seed {seed}: {}",
            report.audit_share
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another_one() {
    let experiment = one_job();
    let first = good_run("one_job.toml", &experiment, 7);
    assert_eq!(first, good_run("one_job.toml", &experiment, 7));
    assert_ne!(
        first.trace_hash,
        good_run("one_job.toml", &experiment, 8).trace_hash
    );
}

/// Lost messages cost time and strength, never an honest peer's standing.
#[test]
fn losses_accuse_nobody() {
    let mut experiment = one_job();
    experiment.population.peers = 20;
    experiment.adversaries.clear();
    experiment.workload[0].job.tiles = 8192;
    experiment.network.loss_share = 0.03;
    let mut lost = 0;
    for seed in 1..=5 {
        let report = good_run("(one_job.toml with losses)", &experiment, seed);
        assert_eq!(
            (report.slices_done, report.false_accusations),
            (16, 0),
            "seed {seed}"
        );
        lost += report.messages_lost;
    }
    assert!(lost > 100, "the network lost only {lost} messages");
}

#[test]
fn real_signatures_tell_the_same_story_as_cheap_ones() {
    let mut experiment =
        Experiment::load(&shipped("small_job.toml")).expect("the shipped scenario loads");
    let cheap = good_run("small_job.toml", &experiment, 1);
    experiment.population.signatures = Scheme::Ed25519;
    let real = good_run("(small_job.toml with ed25519)", &experiment, 1);
    let kinds = |report: &starling_sim::Report| -> Vec<_> {
        let polling = |name: &&str| name.starts_with("LeaseRe");
        report
            .messages
            .iter()
            .filter(|(name, _)| !polling(name))
            .map(|(name, tally)| (*name, tally.count))
            .collect()
    };
    assert_eq!(
        kinds(&cheap),
        kinds(&real),
        "the same messages, polling aside"
    );
    assert_eq!(real.receipts, 1);
    assert!(real.messages["Receipt"].bytes <= config::RECEIPT_MAX as u64);
}

/// What rests on a record leaves after it, also when it is said again: on disks slower than the first repetition.
#[test]
fn nothing_leaves_before_its_log_has_it() {
    let path = shipped("../mutants/honest.toml");
    let mut experiment = Experiment::load(&path).expect("the shipped scenario loads");
    experiment.network.slow_disk_min_ms = 1_200.0;
    experiment.network.slow_disk_max_ms = 3_000.0;
    experiment.network.mix.slow_disk_share = 0.5;
    for seed in 1..=10 {
        good_run("(mutants/honest.toml with slow disks)", &experiment, seed);
    }
}
