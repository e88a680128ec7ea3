//! Strategies of workers.

use crate::world::{Truth, World, key, means};
use starling_adversaries::{Backend as _, Spoilt, Strategy, backend};
use starling_protocol::io::Purpose;
use starling_protocol::{Event, Message, Reason};
use std::collections::BTreeMap;

/// Four honest workers, and peer 5.
fn run(strategies: Vec<Strategy>, slices: u32) -> World {
    let mut world = World::new(6, &[(5, strategies)]);
    world.submit(0, slices);
    assert!(world.run_jobs(1), "{:?}", world.events.last());
    let verified = world.verified();
    assert!(!verified.is_empty());
    world
}

fn earned(world: &World, i: usize) -> usize {
    world
        .verified()
        .iter()
        .filter(|v| v.worker == key(i))
        .count()
}

#[test]
fn who_fakes_all_is_caught_and_earns_nothing() {
    let world = run(vec![Strategy::FakeAll], 8);
    let (work, wrong) = world.found(5, Purpose::Work);
    assert!(work > 0);
    assert_eq!(work, wrong);
    assert_eq!(world.found(5, Purpose::Audit).1, 0, "it audits honestly");
    assert_eq!(world.caught(), [5]);
    assert_eq!(earned(&world, 5), 0);
    assert!(world.accusers().is_empty());
}

#[test]
fn a_share_is_a_share_and_the_same_one_at_every_run() {
    let fakes = |world: &World| {
        let of = world
            .computed
            .iter()
            .filter(|(i, p, ..)| (*i, *p) == (5, Purpose::Work));
        of.map(|(.., tile, right)| (*tile, *right))
            .collect::<Vec<_>>()
    };
    let world = run(vec![Strategy::FakeShare(0.5)], 8);
    let (work, wrong) = world.found(5, Purpose::Work);
    let share = wrong as f64 / work as f64;
    assert!((0.3..0.7).contains(&share), "{wrong} of {work}");
    assert_eq!(
        world.caught(),
        [5],
        "the look before the commitment told nothing"
    );
    assert_eq!(
        fakes(&world),
        fakes(&run(vec![Strategy::FakeShare(0.5)], 8))
    );
}

#[test]
fn what_is_made_up_costs_no_time() {
    let world = run(vec![Strategy::FakeShare(0.5)], 8);
    let manifest = &world.records.values().next().expect("a job").manifest.body;
    let means = means(5, &world.genesis, &[]);
    let device = backend(Truth, &[Strategy::FakeShare(0.5)], &means);
    for tile in 0..64 {
        for purpose in [
            Purpose::Work,
            Purpose::SelfCheck,
            Purpose::Audit,
            Purpose::Judge,
        ] {
            let right = device.tile(manifest, tile, purpose) == Truth.tile(manifest, tile, purpose);
            assert_eq!(device.works(manifest, tile, purpose), right);
        }
    }
}

#[test]
fn a_copier_computes_nothing_and_gets_nothing() {
    let world = run(vec![Strategy::Copy], 8);
    let (work, wrong) = world.found(5, Purpose::Work);
    assert_eq!((work, world.found(5, Purpose::Audit).0), (wrong, 0));
    assert!(work > 0 && !world.said(5, "Seal").is_empty());
    assert_eq!(world.caught(), [5]);
    assert_eq!(earned(&world, 5), 0);
}

#[test]
fn a_copier_repeats_what_an_opening_showed() {
    // Peer 1 lies in half of its tiles and is refuted; if the copier, its auditor, gets the slice next, it shows
    // what it saw: the tiles that were right are right again.
    let natures = [
        (1, vec![Strategy::FakeShare(0.5)]),
        (2, vec![Strategy::Copy]),
    ];
    let mut world = World::new(3, &natures);
    world.submit(0, 4);
    assert!(world.run_jobs(1));
    let (work, wrong) = world.found(2, Purpose::Work);
    assert!(
        wrong < work,
        "{wrong} of {work} tiles wrong: nothing was copied"
    );
    assert_eq!(world.caught(), [1, 2]);
}

#[test]
fn idle_leases_lapse_without_blame() {
    let world = run(vec![Strategy::IdleOnLeases], 8);
    assert!(world.said(0, "LeaseGrant").iter().any(|(to, _)| *to == 5));
    assert!(world.said(5, "Commit").is_empty() && world.said(5, "LeaseEnded").is_empty());
    assert!(world.caught().is_empty());
    let lapsed = world.events.iter().filter(|(_, e)| {
        matches!(e, Event::SliceReopened { worker, reason: Reason::LeaseExpired, .. } if *worker == key(5))
    });
    assert!(
        (1..=3).contains(&lapsed.count()),
        "three in a row and it gets no more"
    );
}

#[test]
fn who_withholds_its_openings_is_blamed_for_that() {
    let world = run(vec![Strategy::WithholdOpenings], 8);
    assert!(!world.said(5, "Commit").is_empty());
    assert!(world.said(5, "Opening").is_empty());
    assert_eq!(world.caught(), [5]);
    assert!(world.events.iter().all(|(_, e)| {
        !matches!(e, Event::CheatCaught { reason, .. } if *reason != Reason::NoOpening)
    }));
}

#[test]
fn who_spoils_its_paths_opens_nothing_and_who_spoils_its_secret_hands_nothing_over() {
    for (what, why) in [
        (Spoilt::Path, Reason::NoOpening),
        (Spoilt::Secret, Reason::WrongOutput),
    ] {
        let world = run(vec![Strategy::Spoil(what)], 8);
        assert_eq!(world.caught(), [5]);
        assert!(
            world.events.iter().all(|(_, e)| {
                !matches!(e, Event::CheatCaught { reason, .. } if *reason != why)
            })
        );
    }
}

#[test]
fn two_roots_and_two_locks_leave_an_equivocator_and_bind_nobody_else() {
    let world = run(vec![Strategy::Equivocate], 40);
    let mut roots: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (_, message) in world.said(5, "Commit") {
        if let Message::Commit { commitment, .. } = message {
            roots
                .entry(commitment.body.lease)
                .or_default()
                .push(commitment.body.root);
        }
    }
    let mut locks: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (_, message) in world.said(5, "Locked") {
        if let Message::Locked(lock) = message {
            locks
                .entry(lock.body.lease)
                .or_default()
                .push(lock.body.nonce_digest);
        }
    }
    for both in roots.values().chain(locks.values()) {
        assert!(both.len() >= 2 && both[0] != both[1]);
    }
    assert!(!roots.is_empty() && !locks.is_empty());
    let asked: Vec<_> = world.said(5, "LockRequest");
    assert!(!asked.is_empty());
    for i in 1..5 {
        let to_it = world
            .said(i, "Locked")
            .into_iter()
            .filter(|(to, _)| *to == 5);
        assert_eq!(to_it.count(), 0, "a witness locks for the steward alone");
    }
    assert_eq!(world.caught(), [5]);
    assert!(world.accusers().is_empty());
}

#[test]
fn two_roots_are_proof_enough_and_nobody_waits_for_an_opening() {
    let mut world = World::new(6, &[(5, vec![Strategy::Equivocate])]);
    let start = world.now;
    world.submit(0, 40);
    assert!(world.run_jobs(1));
    let reasons = world.events.iter().filter_map(|(_, e)| match e {
        Event::CheatCaught { reason, .. } => Some(*reason),
        _ => None,
    });
    let reasons: Vec<_> = reasons.collect();
    assert!(!reasons.is_empty());
    assert!(
        reasons.iter().all(|r| *r == Reason::TwoRoots),
        "{reasons:?}"
    );
    // What is left is a wait for its locks and its verdicts.
    let s = (world.now - start) / 1_000_000;
    assert!(s < 20, "{s} s");
}

#[test]
fn a_sleeper_behaves_until_it_has_earned_its_name() {
    let strategies = vec![Strategy::BehaveUntil {
        cv: 3,
        then: vec![Strategy::FakeAll],
    }];
    let world = run(strategies, 40);
    let own = world
        .computed
        .iter()
        .filter(|(i, p, ..)| (*i, *p) == (5, Purpose::Work));
    let slices: Vec<_> = own.map(|(.., right)| *right).collect();
    let honest = slices.iter().take_while(|right| **right).count();
    assert!(honest >= 3 * 64, "{honest} tiles");
    assert_eq!(honest % 64, 0, "no slice is faked in part");
    assert!(slices[honest..].iter().all(|right| !right) && slices.len() > honest);
    assert!(earned(&world, 5) >= 3);
    assert_eq!(world.caught(), [5]);
}

/// How many of 256 slices have a receipt after 10 s, with peer 5 of six idle on its own leases and so a witness only.
fn receipts_after_10_s(strategies: Vec<Strategy>) -> usize {
    let mut world = World::new(6, &[(5, strategies)]);
    world.submit(0, 256);
    world.run_for(10_000);
    assert!(world.caught().is_empty());
    world.receipts.len()
}

#[test]
fn a_witness_whose_nonce_never_fits_is_soon_not_waited_for() {
    let usual = receipts_after_10_s(vec![Strategy::IdleOnLeases]);
    let slowed = receipts_after_10_s(vec![Strategy::IdleOnLeases, Strategy::Equivocate]);
    assert!(usual > 200);
    assert!(slowed > usual / 2, "{slowed} instead of {usual} receipts");
}
