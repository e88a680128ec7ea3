//! Strategies of those who move last.

use crate::world::{World, key};
use starling_adversaries::Strategy;
use starling_protocol::{LeaseId, Message};

fn run(strategies: &[(usize, Vec<Strategy>)], slices: u32) -> World {
    let mut world = World::new(6, strategies);
    world.submit(0, slices);
    assert!(world.run_jobs(1), "{:?}", world.events.last());
    world.verified();
    world
}

#[test]
fn who_opens_when_lucky_shows_no_fake_and_is_blamed_for_its_silence() {
    let list = vec![Strategy::FakeShare(0.05), Strategy::OpenWhenLucky];
    let world = run(&[(5, list)], 12);
    let committed = world.said(5, "Commit").len();
    let opened = world.said(5, "Opening").len();
    assert!(
        committed > 0 && opened < committed,
        "{opened} of {committed}"
    );
    let refuted = |(_, e): &(usize, _)| format!("{e:?}").contains("reason: Refuted");
    assert!(!world.events.iter().any(refuted), "nobody saw a fake");
    assert_eq!(world.caught(), [5]);
    // Without a lie there is no bad luck.
    let honest = run(&[(5, vec![Strategy::OpenWhenLucky])], 8);
    assert_eq!(honest.caught(), [0_usize; 0]);
    assert!(!honest.said(5, "Opening").is_empty());
}

#[test]
fn who_walks_slowly_is_waited_for_and_not_blamed() {
    let at_once = run(&[], 8);
    let slow = run(&[(5, vec![Strategy::SlowWalk { delay_s: 4.0 }])], 8);
    assert!(!slow.said(5, "Commit").is_empty());
    assert!(slow.now > at_once.now + 4_000_000);
    assert_eq!(slow.caught(), [0_usize; 0]);
}

#[test]
fn a_nonce_that_is_kept_back_costs_nobody_its_standing() {
    let world = run(&[(5, vec![Strategy::WithholdNonces])], 8);
    assert!(!world.said(5, "Locked").is_empty());
    assert!(world.said(5, "Reveal").is_empty());
    assert_eq!(world.caught(), [0_usize; 0]);
}

#[test]
fn a_collector_drops_its_friends_leases_when_strangers_would_see_the_fakes() {
    let list = || vec![Strategy::Ring { fake_share: 0.5 }, Strategy::AbandonUnlucky];
    let world = run(&[(0, list()), (5, list())], 8);
    let swarm = world.genesis.swarm_id();
    let of_friend = |world: &World| -> Vec<LeaseId> {
        let granted = world.said(0, "LeaseGrant").into_iter();
        let granted = granted.filter_map(|(_, m)| match m {
            Message::LeaseGrant(lease) => Some(lease.body),
            _ => None,
        });
        let friends = granted.filter(|l| l.worker == key(5));
        friends.map(|l| l.id(&swarm)).collect()
    };
    let leases = of_friend(&world);
    let listed = |(_, m): &(usize, Message)| matches!(m, Message::SealList(list) if leases.contains(&list.body.lease));
    assert!(!leases.is_empty());
    assert!(!world.said(0, "SealList").iter().any(listed));
    assert!(world.said(0, "SealList").len() > 1, "others go on");
}
