//! What peers remember of each other from what they saw, over jobs and restarts, and what they do about it.

use crate::world::Nature::{Accuses, Fakes, Honest, Withholds};
use crate::world::{Nature, World};
use starling_protocol::io::Record;
use starling_protocol::reputation::{Cause, ReputationView};
use starling_protocol::{Input, Reason};

/// A world whose requester has had one job done.
fn after_a_job(natures: &[Nature]) -> World {
    let mut world = World::new(natures);
    world.submit();
    world.run_job(600_000);
    assert!(world.is_done());
    world
}

/// What `by` thinks of `of`.
fn view(world: &World, by: usize, of: usize) -> Option<ReputationView> {
    world.peers[by].reputation(&world.keys[of])
}

fn views(world: &World, by: usize) -> Vec<Option<ReputationView>> {
    (0..world.keys.len())
        .map(|of| view(world, by, of))
        .collect()
}

#[test]
fn a_requester_counts_the_receipts_that_it_collected() {
    let world = after_a_job(&[Honest; 5]);
    for (i, key) in world.keys.iter().enumerate().skip(1) {
        let of_worker = |r: &&starling_protocol::Receipt| r.lease.body.worker == *key;
        let earned = world.receipts().iter().filter(of_worker).count() as u32;
        let view = view(&world, 0, i).expect("every one of five has witnessed or worked");
        let (cv, requesters) = view
            .classes
            .first()
            .map_or((0, 0), |c| (c.cv, c.requesters));
        assert_eq!((cv, requesters), (earned, u8::from(earned > 0)));
        assert!(view.auditor.answered > 0 && view.auditor.silent == 0);
        assert!(!view.convicted && !view.unfit);
    }
}

#[test]
fn an_auditor_counts_what_it_recomputed_itself_and_nothing_that_it_was_told() {
    let world = after_a_job(&[Honest; 5]);
    for by in 1..6 {
        let seen = views(&world, by);
        let audited: u32 = seen
            .iter()
            .flatten()
            .flat_map(|v| &v.classes)
            .map(|c| c.audited)
            .sum();
        let agreed = world
            .trace
            .iter()
            .filter(|(i, _, n)| *i == by && *n == "Attest");
        assert_eq!(audited as usize, agreed.count());
        assert!(
            seen.iter()
                .flatten()
                .flat_map(|v| &v.classes)
                .all(|c| c.valid == 0)
        );
        assert!(seen[0].is_none(), "its requester has done nothing for it");
    }
}

#[test]
fn whoever_lied_is_convicted_by_those_who_saw_it() {
    let world = after_a_job(&[Fakes, Honest, Honest, Honest, Honest]);
    let seen = view(&world, 0, 1).expect("it worked");
    assert!(seen.convicted);
    assert_eq!((seen.classes[0].cv, seen.classes[0].failed), (0, 1));
    let lied = |c: &Cause| {
        matches!(
            c,
            Cause::Lied {
                times: 1,
                reason: Reason::Refuted,
                ..
            }
        )
    };
    assert!(seen.causes.first().is_some_and(lied), "{:?}", seen.causes);
    // Whoever accused it had recomputed the tile.
    let convinced = (2..6).filter(|by| view(&world, *by, 1).is_some_and(|v| v.convicted));
    assert!(convinced.count() > 0);
}

#[test]
fn one_opening_that_did_not_come_is_noted_and_forgiven() {
    let world = after_a_job(&[Withholds("Opening"), Honest, Honest, Honest, Honest]);
    let seen = view(&world, 0, 1).expect("it worked");
    assert!(!seen.convicted);
    assert!(matches!(seen.causes[0], Cause::Withheld { times: 1, .. }));
}

#[test]
fn a_false_accuser_is_no_auditor_to_rely_on() {
    let world = after_a_job(&[Accuses, Honest, Honest, Honest, Honest]);
    assert!(world.falsely_accused() > 0);
    let seen = view(&world, 0, 1).expect("it audited");
    assert!(seen.unfit && !seen.convicted);
}

#[test]
fn reputation_is_as_before_after_a_restart() {
    let mut world = after_a_job(&[Fakes, Honest, Honest, Honest, Accuses]);
    let caught = view(&world, 0, 1);
    world.restart(0);
    // Blame is logged at once.
    assert!(view(&world, 0, 1).is_some_and(|v| v.convicted));
    assert_eq!(
        view(&world, 0, 1).map(|v| v.causes),
        caught.map(|v| v.causes)
    );
    // All else with the next sweep, or when the peer leaves.
    world.submit();
    world.run_for(60_000);
    let before = views(&world, 0);
    world.restart(0);
    assert_eq!(views(&world, 0), before);
    let before = views(&world, 2);
    world.give(2, Input::Leave);
    world.restart(2);
    assert_eq!(views(&world, 2), before);
}

#[test]
fn the_log_gets_a_record_a_peer_and_sweep_not_one_a_deed() {
    let mut world = after_a_job(&[Honest; 3]);
    world.run_for(60_000);
    let standings = world.logs[0].iter().rev();
    let standings = standings.filter(|r| matches!(r, Record::Standing { .. }));
    let known = standings.count();
    assert!(known > 0 && known < 64, "{known} records for three peers");
}

#[test]
fn whoever_was_caught_is_offered_the_next_job_last() {
    let mut world = after_a_job(&[Fakes, Honest, Honest, Honest, Honest]);
    let before = world.trace.len();
    world.submit();
    world.run_for(1);
    let offered: Vec<_> = world.trace[before..]
        .iter()
        .filter(|(from, _, name)| *from == 0 && *name == "Record")
        .map(|(_, to, _)| *to)
        .collect();
    assert_eq!(offered.len(), 5);
    assert_eq!(offered.last(), Some(&1));
}
