//! Swarms of two to five: every job is done, and its receipts say how weak they are.

use crate::good_run;
use starling_sim::Report;
use starling_sim::check::Flags;
use starling_sim::experiment::Study;
use std::path::Path;

const SLICES: u32 = 8;

/// The requester and `roster` others, some of which misbehave.
fn swarm(roster: u32, cheats: u32, silent: u32) -> Report {
    let mut text = format!(
        "[population]\npeers = {}\n[[workload]]\n[workload.job]\ntiles = {}\ntile_bytes = 1024\n\
         units_per_tile = 4000000\nslice_tiles = 64\n",
        roster + 1,
        SLICES * 64
    );
    for (count, strategy) in [(cheats, "fake_all"), (silent, "silent")] {
        if count > 0 {
            text += &format!("[[adversaries]]\ncount = {count}\nstrategies = [\"{strategy}\"]\n");
        }
    }
    let mut study = Study::parse(&text, Path::new("swarm.toml")).expect("it is fine");
    let report = good_run("(a small swarm)", &study.cells.remove(0).experiment, 1);
    assert_eq!((report.slices_done, report.false_accusations), (SLICES, 0));
    report
}

#[test]
fn honest_ones_are_weak_only_where_nobody_else_can_check() {
    // Alone with the requester: nobody can witness or audit, so the requester recomputes, and says so.
    assert_eq!(
        swarm(1, 0, 0).flags,
        Flags {
            self_checked: SLICES,
            ..Flags::default()
        }
    );
    for roster in 2..=4 {
        let report = swarm(roster, 0, 0);
        assert_eq!(
            (report.receipts, report.earned),
            (SLICES, SLICES),
            "a roster of {roster}"
        );
        assert_eq!(report.flags, Flags::default(), "a roster of {roster}");
    }
}

#[test]
fn a_silent_peer_weakens_receipts_and_stops_nobody() {
    // The only worker is silent: the requester computes everything itself, without receipts.
    let alone = swarm(1, 0, 1);
    assert_eq!(
        (alone.receipts, alone.tiles["own"]),
        (0, u64::from(SLICES) * 64)
    );
    for roster in 2..=4 {
        let report = swarm(roster, 0, 1);
        assert_eq!(report.receipts, SLICES, "a roster of {roster}");
        // One of at most three witnesses is missing everywhere. Of two or three auditors, q = 2 must agree.
        let self_checked = if roster < 4 { SLICES } else { 0 };
        let expected = Flags {
            weak: SLICES,
            self_checked,
            ..Flags::default()
        };
        assert_eq!(report.flags, expected, "a roster of {roster}");
    }
}

#[test]
fn a_lying_peer_is_caught_and_earns_nothing() {
    let alone = swarm(1, 1, 0);
    assert_eq!(
        (alone.adversaries_caught, alone.receipts, alone.tiles["own"]),
        (1, 0, u64::from(SLICES) * 64)
    );
    for roster in 2..=4 {
        let report = swarm(roster, 1, 0);
        assert_eq!(
            (report.adversaries_caught, report.receipts, report.earned),
            (1, SLICES, SLICES),
            "a roster of {roster}"
        );
        assert!(report.re_leases["refuted"] >= 1, "a roster of {roster}");
    }
}
