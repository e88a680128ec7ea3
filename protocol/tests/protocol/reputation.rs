//! What peers remember of each other from what they saw, over jobs and restarts, and what they do about it.

use crate::world::Nature::{Accuses, Fakes, Honest, Withholds};
use crate::world::{Nature, World, kernel, shape};
use starling_protocol::crypto::Ed25519Verifier;
use starling_protocol::draw;
use starling_protocol::io::{Record, Submission};
use starling_protocol::manifest::Intensity;
use starling_protocol::receipt::{Quorum, Verified};
use starling_protocol::reputation::{Cause, ReputationView};
use starling_protocol::{Bundle, Hash, Input, Reason, Receipt};

/// A world whose requester has had one job done.
fn after_a_job(natures: &[Nature]) -> World {
    let mut world = World::new(natures);
    // Everybody is drawn.
    world.most_stewards = Some(0);
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
    // All else within minutes, or when the peer leaves.
    world.submit();
    world.run_for(360_000);
    let before = views(&world, 0);
    world.restart(0);
    assert_eq!(views(&world, 0), before);
    let before = views(&world, 2);
    world.give(2, Input::Leave);
    world.restart(2);
    assert_eq!(views(&world, 2), before);
}

#[test]
fn the_log_gets_a_record_a_peer_in_five_minutes_not_one_a_deed() {
    let mut world = after_a_job(&[Honest; 3]);
    for _ in 0..3 {
        world.submit();
        world.run_for(110_000);
    }
    let standings = world.logs[0].iter().rev();
    let standings = standings.filter(|r| matches!(r, Record::Standing { .. }));
    let known = standings.count();
    assert!(known > 0 && known <= 6, "{known} records for three peers");
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

/// Peers 1 to 3 lend, and have each their jobs done by the others, again and again.
fn neighbours(rounds: usize, full_audits: bool) -> World {
    let mut world = World::new(&[Honest; 6]);
    for _ in 0..rounds {
        for requester in 1..=3 {
            let submission = Submission {
                kernel: kernel(),
                class: "test".into(),
                params: vec![1, 2, 3],
                inputs: Vec::new(),
                shape: shape(),
                slice_tiles: Some(32),
                max_price: None,
                deadline_in_s: 3_600,
                full_audits,
                stewards: Some(0),
            };
            world.give(requester, Input::Submit(Box::new(submission)));
        }
        world.run_for(15_000);
    }
    world
}

/// What peers 1 to 3 collected, each verified offline.
fn collected(world: &World) -> Vec<(Receipt, Verified)> {
    let mut all = Vec::new();
    for log in &world.logs[1..=3] {
        for record in log {
            let Record::Submitted { record } = record else {
                continue;
            };
            let of_job = |r: &Record| match r {
                Record::Receipted { job, receipt } if *job == record.appointment.body.job => {
                    Some((**receipt).clone())
                }
                _ => None,
            };
            let bundle = Bundle {
                genesis: world.genesis.clone(),
                record: (**record).clone(),
                receipts: log.iter().filter_map(of_job).collect(),
            };
            let verified = bundle.verify(&Ed25519Verifier).expect("the record holds");
            let verified = verified
                .into_iter()
                .map(|v| v.expect("every receipt holds"));
            all.extend(bundle.receipts.into_iter().zip(verified));
        }
    }
    all
}

#[test]
fn who_has_proven_itself_to_three_requesters_is_audited_less_and_now_and_then_in_full() {
    let world = neighbours(16, false);
    let (mut trusted, mut in_full) = (0, 0);
    let all = collected(&world);
    for (receipt, verified) in &all {
        // Of six lending peers, five are in the roster, and four may judge one of them.
        let stated = receipt.lease.body.intensity;
        let full = Intensity::newcomer(4);
        if stated == full {
            continue;
        }
        assert!(stated.meets(&Intensity::least(4), 4));
        trusted += 1;
        let coin = draw::audit_coin(&verified.seed) < stated.p_full;
        in_full += usize::from(coin);
        let Quorum::Auditors(agreed) = &receipt.quorum else {
            panic!("all audit: {receipt:?}")
        };
        let expected = if coin { full.s } else { stated.s };
        assert!(agreed.iter().all(|a| a.tiles == expected));
    }
    assert_eq!(all.len(), 16 * 3 * 8);
    assert!(trusted > all.len() / 4, "{trusted} of {}", all.len());
    // One in ten to one in twenty.
    assert!(in_full > trusted / 40 && in_full < trusted / 5, "{in_full}");
}

#[test]
fn a_requester_that_wants_it_has_everybody_audited_in_full() {
    let world = neighbours(6, true);
    let full = |(r, _): &(Receipt, Verified)| r.lease.body.intensity == Intensity::newcomer(4);
    assert!(collected(&world).iter().all(full));
}

#[test]
fn one_requester_alone_makes_nobody_trusted() {
    let mut world = World::new(&[Honest; 5]);
    for _ in 0..16 {
        world.submit();
        world.run_for(15_000);
    }
    let cv = |of: usize| view(&world, 0, of).map_or(0, |v| v.classes[0].cv);
    assert!((1..6).any(|of| cv(of) >= 10));
    for i in 1..6 {
        let seen = view(&world, 0, i).expect("it worked");
        assert!(seen.classes.iter().all(|c| !c.trusted && c.requesters == 1));
    }
}

#[test]
fn every_intensity_that_a_steward_may_choose_meets_the_least() {
    for e in 0..64 {
        let least = Intensity::least(e);
        assert!(Intensity::newcomer(e).meets(&least, e));
        for cv in [0, 1, 10, 20, 1_000_000] {
            let trusted = Intensity::trusted(e, cv);
            assert!(trusted.meets(&least, e));
            assert!(Intensity::newcomer(e).k >= trusted.k);
            assert!(Intensity::newcomer(e).s >= trusted.s);
            assert_eq!(trusted.meets(&Intensity::newcomer(e), e), e == 0 && cv < 2);
        }
    }
}

#[test]
fn the_coin_is_fair_and_a_function_of_the_seed() {
    let in_full = |cv: u32| {
        let stated = Intensity::trusted(40, cv);
        let full = |n: u32| stated.effective(&Hash::of(&n.to_le_bytes()), 40).k == 16;
        (0..20_000).filter(|n| full(*n)).count() as f64 / 20_000.0
    };
    assert!((in_full(10) - 0.1).abs() < 0.01);
    assert!((in_full(20) - 0.05).abs() < 0.01);
    assert!((in_full(1_000_000) - 0.05).abs() < 0.01);
    let always = Intensity::newcomer(40);
    assert_eq!(always.effective(&Hash::default(), 40), always);
}
