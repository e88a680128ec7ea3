//! Strategies of auditors, collectors and rings.

use crate::world::{World, key};
use starling_adversaries::{Accusation, Strategy};
use starling_protocol::io::Purpose;
use starling_protocol::receipt::Quorum;
use starling_protocol::{Event, Message, PeerKey, Reason};
use std::collections::BTreeSet;

fn run(peers: usize, strategies: &[(usize, Vec<Strategy>)], slices: u32) -> World {
    let mut world = World::new(peers, strategies);
    world.submit(0, slices);
    assert!(world.run_jobs(1), "{:?}", world.events.last());
    world.verified();
    world
}

/// Who agreed in receipts.
fn agreed(world: &World) -> BTreeSet<PeerKey> {
    let mut all = BTreeSet::new();
    for receipt in &world.receipts {
        let roster = &world.records[&receipt.lease.body.job].roster;
        if let Quorum::Auditors(agreements) = &receipt.quorum {
            all.extend(agreements.iter().filter_map(|a| roster.peer(a.auditor)));
        }
    }
    all
}

#[test]
fn a_lazy_auditor_seals_and_agrees_but_counts_for_nothing() {
    let world = run(6, &[(5, vec![Strategy::AuditLazily])], 8);
    assert_eq!(world.found(5, Purpose::Audit).0, 0);
    assert!(!world.said(5, "Seal").is_empty());
    let attested = world.said(5, "Attest");
    assert!(!attested.is_empty());
    assert!(attested.iter().all(|(_, m)| {
        matches!(m, Message::Attest { attestation, .. } if attestation.body.agree)
    }));
    assert!(world.caught().is_empty());
    let agreed = agreed(&world);
    assert!(agreed.contains(&key(1)) && !agreed.contains(&key(5)));
}

#[test]
fn false_accusers_harm_nobody() {
    for how in [
        Accusation::WellFounded,
        Accusation::Invalid,
        Accusation::Bare,
    ] {
        let world = run(6, &[(5, vec![Strategy::AccuseFalsely(how)])], 8);
        let dissents: Vec<_> = world
            .said(5, "Attest")
            .into_iter()
            .filter_map(|(_, m)| match m {
                Message::Attest { attestation, proof } => Some((attestation.body.agree, proof)),
                _ => None,
            })
            .collect();
        assert!(!dissents.is_empty());
        assert!(
            dissents
                .iter()
                .all(|(agree, proof)| { !agree && proof.is_some() == (how != Accusation::Bare) })
        );
        assert!(world.caught().is_empty(), "{how:?}");
        let named: &[usize] = if how == Accusation::WellFounded {
            &[5]
        } else {
            &[]
        };
        assert_eq!(world.accusers(), named, "{how:?}");
        assert_eq!(world.found(5, Purpose::Work).1, 0, "it works honestly");
    }
}

#[test]
fn a_false_accuser_is_not_recomputed_for_again_and_again() {
    let accuser = || vec![Strategy::AccuseFalsely(Accusation::WellFounded)];
    let mut world = run(6, &[(5, accuser())], 64);
    let judged = |world: &World| {
        let found_out = |(_, e): &&(usize, Event)| matches!(e, Event::FalseAccusation { .. });
        world.events.iter().filter(found_out).count()
    };
    // One for each of the slices that were audited together when it was found out.
    let first = judged(&world);
    assert!((1..=4).contains(&first), "{first} tiles recomputed");
    // Beside those, two at most of each slice that its requester computes itself.
    let computed = world.found(0, Purpose::Judge).0;
    assert!(computed <= first + 2 * 64, "{computed} tiles recomputed");
    assert_eq!(world.accusers(), [5]);
    assert_eq!(world.verified().len(), 64);
    world.submit(0, 64);
    assert!(world.run_jobs(2));
    let second = judged(&world) - first;
    assert!(
        (1..=4).contains(&second),
        "its standing is that of one job: {second}"
    );
}

#[test]
fn who_accused_falsely_does_not_shield_a_cheat_from_others() {
    let accuser = vec![Strategy::AccuseFalsely(Accusation::WellFounded)];
    let cheat = vec![Strategy::BehaveUntil {
        cv: 3,
        then: vec![Strategy::FakeAll],
    }];
    let mut world = World::new(7, &[(5, accuser), (6, cheat)]);
    world.submit(0, 64);
    assert!(world.run_jobs(1));
    assert_eq!((world.caught(), world.accusers()), (vec![6], vec![5]));
}

#[test]
fn a_ring_vouches_for_its_own_and_is_caught_by_the_others() {
    let ring = || vec![Strategy::Ring { fake_share: 0.5 }];
    let world = run(8, &[(5, ring()), (6, ring()), (7, ring())], 16);
    for i in 5..8 {
        let (audited, wrong) = world.found(i, Purpose::Audit);
        assert!(
            0 < wrong && wrong < audited,
            "peer {i}: {wrong} of {audited}"
        );
    }
    assert!(world.caught().iter().all(|i| *i >= 5));
    assert!(!world.caught().is_empty());
    assert!(world.accusers().is_empty(), "they find honest work right");
    let verified = world.verified();
    assert!(verified.iter().all(|v| (1..5).any(|i| key(i) == v.worker)));
}

#[test]
fn a_ring_keeps_silent_about_a_friend_that_does_not_lie_yet() {
    let ring = || vec![Strategy::Ring { fake_share: 0.5 }];
    let world = run(7, &[(4, vec![]), (5, ring()), (6, ring())], 16);
    let friend = key(4);
    for i in 5..7 {
        assert!(world.said(i, "Attest").iter().all(|(_, m)| {
            !matches!(m, Message::Attest { proof: Some(p), .. } if p.body.lease.body.worker == friend)
        }));
    }
    assert!(world.accusers().is_empty() && world.caught().iter().all(|i| *i > 4));
    assert!(world.verified().iter().any(|v| v.worker == friend));
}

#[test]
fn a_ring_among_themselves_agrees() {
    // What the design says openly: a requester can make up its own roster.
    let ring = || vec![Strategy::Ring { fake_share: 1.0 }];
    let requester = vec![Strategy::StuffRoster, Strategy::Ring { fake_share: 1.0 }];
    let world = run(
        7,
        &[(0, requester), (4, ring()), (5, ring()), (6, ring())],
        4,
    );
    let verified = world.verified();
    assert_eq!(verified.len(), 4);
    for v in verified {
        assert!(v.committee.iter().all(|p| (4..7).any(|i| key(i) == *p)));
    }
    assert!((1..4).all(|i| world.found(i, Purpose::Work).0 == 0));
    assert!(world.caught().is_empty());
}

#[test]
fn a_stuffed_roster_holds_friends_alone() {
    let friends = [(0, vec![Strategy::StuffRoster]), (1, vec![]), (2, vec![])];
    let world = run(6, &friends, 8);
    for record in world.records.values() {
        assert!(
            record
                .roster
                .peers()
                .iter()
                .all(|p| [key(1), key(2)].contains(p))
        );
    }
    let strangers: BTreeSet<_> = (3..6).map(key).collect();
    for v in world.verified() {
        assert!(
            v.committee.is_disjoint(&strangers),
            "a verifier sees that it knows nobody"
        );
    }
    assert!(world.caught().is_empty());
}

#[test]
fn a_censor_hears_its_friends_alone_and_its_receipts_say_so() {
    let friends = [
        (0, vec![Strategy::CensorAuditors]),
        (1, vec![]),
        (2, vec![]),
    ];
    let world = run(8, &friends, 8);
    let called = world.said(0, "AuditCall");
    assert!(called.iter().all(|(to, _)| [1, 2].contains(to)));
    assert!((3..8).all(|i| world.said(i, "Seal").is_empty()));
    assert!(
        world.said(0, "SealList").iter().any(|(to, _)| *to > 2),
        "workers do get theirs"
    );
    assert!(world.caught().is_empty(), "no worker is blamed for it");
    let verified = world.verified();
    assert_eq!(verified.len(), 8);
    for v in verified {
        assert!(v.flags.weak && v.flags.self_checked, "{:?}", v.flags);
    }
}

#[test]
fn a_ring_of_all_that_lend_fools_every_auditor_and_not_its_requesters_ringers() {
    let ring = || vec![Strategy::Ring { fake_share: 1.0 }];
    let natures: Vec<_> = (1..6).map(|i| (i, ring())).collect();
    let mut world = World::new(6, &natures);
    world.submit(0, 8);
    assert!(world.run_jobs(1), "its requester computes it in the end");
    assert_eq!(world.caught(), [1, 2, 3, 4, 5]);
    let me = key(0);
    let mut blamed = 0;
    for (_, event) in &world.events {
        if let Event::CheatCaught { by, reason, .. } = event {
            assert_eq!((*by, *reason), (Some(me), Reason::Refuted));
            blamed += 1;
        }
    }
    assert!(blamed >= 5);
    assert!(world.receipts.is_empty());
}
