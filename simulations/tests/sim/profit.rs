//! What misbehaviour is paid for, and what it worked for that: the study in `scenarios/profit.toml`, in small.

use crate::{good_run, shipped};
use starling_adversaries::Strategy;
use starling_sim::Report;
use starling_sim::experiment::Study;
use std::path::Path;

fn cell(strategies: &[Strategy]) -> Report {
    let text = std::fs::read_to_string(shipped("profit.toml")).expect("the scenario is there");
    let study = Study::parse(&text, Path::new("profit.toml")).expect("the scenario loads");
    let of = |c: &&starling_sim::experiment::Cell| {
        let group = &c.experiment.adversaries[0];
        group.strategies == strategies
    };
    let cell = study.cells.iter().find(of).expect("one of its cells");
    good_run("profit.toml", &cell.experiment, 1)
}

#[test]
fn the_honest_are_paid_for_what_they_do() {
    let honest = cell(&[]);
    assert_eq!(honest.grouped, 14);
    assert!(honest.grouped_paid > 0);
    assert_eq!(honest.grouped_paid, honest.grouped_worked);
}

#[test]
fn silence_after_a_bad_draw_is_worth_no_more_than_being_refuted() {
    let list = [Strategy::FakeShare(0.03), Strategy::OpenWhenLucky];
    let report = cell(&list);
    assert!(report.grouped_paid < report.grouped_worked, "{report:#?}");
    assert!(report.re_leases["no_opening"] > 0);
}
