//! A job whose requester, and all but one of its other stewards, may be gone: it goes on, and waits to be collected.

use crate::model;
use crate::world::Nature::{Fakes, Honest};
use crate::world::{Faults, NOBODY, SLICE, TILES, World};
use starling_protocol::crypto::Ed25519Verifier;
use starling_protocol::{Event, Input, JobId, Message};
use std::collections::BTreeSet;

const SLICES: usize = (TILES / SLICE) as usize;

fn job(world: &World) -> JobId {
    let found = world.events.iter().find_map(|(_, e)| match e {
        Event::Submitted { job, .. } => Some(*job),
        _ => None,
    });
    found.expect("it was submitted")
}

fn count(world: &World, by: usize, is: impl Fn(&Event) -> bool) -> usize {
    let all = world.events.iter();
    all.filter(|(i, e)| *i == by && is(e)).count()
}

/// Steward `by` keeps so many slices.
fn kept(world: &World, by: usize) -> usize {
    count(world, by, |e| matches!(e, Event::Kept { .. }))
}

/// A job is submitted and held by all its stewards; then its requester is killed.
fn left_alone(natures: &[crate::world::Nature], faults: Faults) -> World {
    let mut world = World::with_faults(natures, faults);
    world.submit();
    for _ in 0..6_000 {
        world.run_for(1);
        let held = count(&world, 0, |e| matches!(e, Event::Held { .. }));
        if held == world.stewards().len() {
            break;
        }
    }
    world.kill(0);
    world
}

/// The requester's identity comes up on another machine and wants its job back.
fn collect(world: &mut World) {
    let job = job(world);
    world.revive(0, false);
    world.run_for(100);
    world.give(0, Input::Collect { job });
    world.run_job(300_000);
}

#[test]
fn seven_peers_make_three_stewards_and_four_none() {
    for (peers, stewards) in [(1, 0), (4, 0), (5, 1), (6, 2), (7, 3), (12, 3)] {
        let mut world = World::new(&vec![Honest; peers]);
        world.submit();
        assert_eq!(world.stewards().len(), stewards, "{peers} peers");
        world.run_job(60_000);
        assert!(world.is_done());
        let held = count(&world, 0, |e| matches!(e, Event::Held { .. }));
        assert_eq!(held, stewards, "each says that it has the job");
    }
}

#[test]
fn whoever_lends_nothing_takes_up_nobodys_job() {
    let mut world = World::new(&[Honest; 9]);
    world.run_for(1_000);
    // Their adverts have not said so yet: the record appoints three of them.
    for peer in 1..world.keys.len() {
        let mut capacity = crate::world::capacity();
        capacity.slots = 0;
        let outputs = world.probe(peer, Input::Capacity(capacity));
        drop(outputs);
    }
    world.submit();
    world.run_job(120_000);
    assert_eq!(world.stewards().len(), 3);
    for peer in world.stewards() {
        let appointed = |e: &Event| matches!(e, Event::Appointed { .. });
        assert_eq!(count(&world, peer, appointed), 0);
    }
}

#[test]
fn nobody_leases_beside_a_requester_that_is_here() {
    let mut world = World::new(&[Honest; 9]);
    world.submit_in(4, None);
    world.run_job(60_000);
    assert!(world.is_done());
    for steward in world.stewards() {
        let leased = count(&world, steward, |e| matches!(e, Event::Leased { .. }));
        assert_eq!((leased, kept(&world, steward)), (0, 0));
        let relieved = |e: &Event| matches!(e, Event::Relieved { .. });
        world.run_for(1_000);
        assert_eq!(count(&world, steward, relieved), 1, "its requester has all");
    }
}

#[test]
fn whoever_the_requester_excludes_gets_nothing_from_its_stewards_meanwhile() {
    for liar in 0..9 {
        let mut natures = [Honest; 9];
        natures[liar] = Fakes;
        let mut world = World::new(&natures);
        // Nobody is warned.
        world.holds_faults = true;
        // A requester is heard of like anybody: it lends nothing.
        let slots = 0;
        let capacity = starling_protocol::io::Capacity {
            slots,
            ..crate::world::capacity()
        };
        world.give(0, Input::Capacity(capacity));
        world.run_for(1_000);
        world.submit_in(4, None);
        world.run_job(60_000);
        assert!(world.is_done());
        for steward in world.stewards() {
            let leased = count(&world, steward, |e| matches!(e, Event::Leased { .. }));
            assert_eq!(leased, 0, "by steward {steward}");
        }
    }
}

#[test]
fn a_job_without_its_requester_is_done_and_kept_by_every_steward() {
    let mut world = left_alone(&[Honest; 9], Faults::default());
    world.run_for(120_000);
    for steward in world.stewards() {
        assert_eq!(kept(&world, steward), SLICES, "steward {steward}");
    }
    let last = world.trace.iter().rposition(|(.., n)| *n == "Commit");
    let after = &world.trace[last.expect("some committed")..];
    let asked = after.iter().filter(|(.., n)| *n == "LeaseRequest").count();
    assert!(
        asked < 100,
        "workers were told of the end: {asked} questions"
    );
    collect(&mut world);
    assert!(world.is_done());
    assert_eq!(world.caught(), NOBODY);
    model::check(&world);
    let bundle = world.bundle();
    let verified = bundle.verify(&Ed25519Verifier).expect("the record holds");
    let slices: BTreeSet<_> = verified
        .into_iter()
        .map(|v| v.expect("valid").slice)
        .collect();
    assert_eq!(slices.len(), SLICES, "every slice with its proof");
    world.run_for(1_000);
    for steward in world.stewards() {
        let relieved = count(&world, steward, |e| matches!(e, Event::Relieved { .. }));
        assert_eq!(relieved, 1, "what was kept may go");
    }
}

#[test]
fn any_one_steward_is_enough_to_finish_and_to_collect() {
    for survivor in 0..3 {
        let mut world = left_alone(&[Honest; 9], Faults::default());
        let stewards: Vec<_> = world.stewards().into_iter().collect();
        let lost = stewards.iter().filter(|s| **s != stewards[survivor]);
        lost.copied()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|s| world.kill(s));
        world.run_for(180_000);
        assert_eq!(kept(&world, stewards[survivor]), SLICES);
        collect(&mut world);
        assert!(world.is_done(), "collected from one of three");
        assert_eq!(world.caught(), NOBODY);
    }
}

#[test]
fn stewards_that_die_one_after_the_other_lose_nothing_that_another_has() {
    let mut world = left_alone(&[Honest; 9], Faults::default());
    let stewards: Vec<_> = world.stewards().into_iter().collect();
    // All have everything, then each dies and comes back in turn, while a new life of the requester collects.
    world.run_for(120_000);
    for steward in &stewards {
        world.kill(*steward);
        world.run_for(1_000);
        world.revive(*steward, true);
    }
    stewards[1..].iter().for_each(|s| world.kill(*s));
    collect(&mut world);
    assert!(world.is_done(), "from what one has in its log");
}

#[test]
fn a_cheat_fares_no_better_when_the_requester_is_gone() {
    for liar in 0..9 {
        let mut natures = [Honest; 9];
        natures[liar] = Fakes;
        let mut world = left_alone(&natures, Faults::default());
        world.run_for(180_000);
        collect(&mut world);
        assert!(world.is_done());
        let caught = world.caught();
        assert!(caught.is_empty() || caught == [liar + 1], "{caught:?}");
        let lied = |e: &Event| matches!(e, Event::Earned { .. });
        assert_eq!(
            count(&world, liar + 1, lied),
            0,
            "nothing that it faked is paid"
        );
    }
}

#[test]
fn a_network_that_loses_and_delays_ends_such_jobs_too() {
    for seed in 0..10 {
        let faults = Faults {
            loss: 5,
            delay_ms: 200,
            seed,
        };
        let mut world = left_alone(&[Honest; 9], faults);
        world.run_for(240_000);
        collect(&mut world);
        assert!(world.is_done(), "seed {seed}: {:?}", world.events.last());
        model::check(&world);
    }
}

#[test]
fn a_steward_that_lies_about_what_it_has_holds_nothing_up() {
    let mut world = left_alone(&[Honest; 9], Faults::default());
    let stewards: Vec<_> = world.stewards().into_iter().collect();
    // The first steward says to have everything, over and over, and never hands anything over.
    let all = starling_protocol::bits::Bits::of(SLICES as u32, 0..SLICES as u32);
    let none = starling_protocol::bits::Bits::of(SLICES as u32, []);
    let lie = Message::Progress {
        job: job(&world),
        done: all,
        busy: none,
    };
    let liar = stewards[0];
    let from = world.keys[liar];
    world.kill(liar);
    for _ in 0..30 {
        for to in &stewards[1..] {
            let bytes = lie.to_bytes();
            world.give(*to, Input::Message { from, bytes });
        }
        world.run_for(10_000);
    }
    assert_eq!(kept(&world, stewards[1]), SLICES);
    assert_eq!(kept(&world, stewards[2]), SLICES);
}

#[test]
fn whoever_is_no_steward_changes_nothing() {
    let mut world = left_alone(&[Honest; 9], Faults::default());
    let stewards = world.stewards();
    let stranger = (1..=9)
        .find(|i| !stewards.contains(i))
        .expect("six are not");
    let first = *stewards.first().expect("three are");
    let slices = SLICES as u32;
    let message = Message::Progress {
        job: job(&world),
        done: starling_protocol::bits::Bits::of(slices, 0..slices),
        busy: starling_protocol::bits::Bits::of(slices, []),
    };
    let from = world.keys[stranger];
    let bytes = message.to_bytes();
    assert!(
        world
            .probe(first, Input::Message { from, bytes })
            .is_empty()
    );
    let message = Message::SettleRequest {
        job: job(&world),
        slices: (0..slices).collect(),
    };
    let bytes = message.to_bytes();
    world.run_for(120_000);
    assert!(
        world
            .probe(first, Input::Message { from, bytes })
            .is_empty()
    );
}

#[test]
fn a_steward_takes_so_many_jobs_of_one_requester_and_leaves_the_rest_to_others() {
    let mut world = World::new(&[Honest; 7]);
    let most = starling_protocol::config::STEWARDED_PER_REQUESTER;
    for _ in 0..3 * most {
        world.submit_in(1, None);
        world.run_for(5);
    }
    for steward in 1..=7 {
        let appointed = count(&world, steward, |e| matches!(e, Event::Appointed { .. }));
        assert!(appointed <= most, "{appointed} at {steward}");
    }
    let all = |i: usize| count(&world, i, |e| matches!(e, Event::Appointed { .. }));
    assert!((1..=7).any(|i| all(i) == most), "one of them is full");
}

#[test]
fn a_job_that_nobody_has_is_said_to_be_lost() {
    let mut world = World::new(&[Honest; 5]);
    let job = JobId::from([9; 32]);
    world.give(0, Input::Collect { job });
    world.run_for(180_000);
    let lost = |e: &Event| matches!(e, Event::NotFound { job: of } if *of == job);
    assert_eq!(count(&world, 0, lost), 1);
}

#[test]
fn nobody_collects_what_another_submitted() {
    let mut world = World::new(&[Honest; 5]);
    world.submit();
    world.run_for(100);
    let job = job(&world);
    world.give(1, Input::Collect { job });
    world.give(0, Input::Collect { job });
    let refused = |e: &Event| matches!(e, Event::NotFound { job: of } if *of == job);
    let found = |e: &Event| matches!(e, Event::Found { job: of } if *of == job);
    assert_eq!((count(&world, 1, refused), count(&world, 1, found)), (1, 0));
    assert_eq!((count(&world, 0, refused), count(&world, 0, found)), (0, 1));
}

/// A job whose requester was killed as soon as a worker, or an auditor, has said this.
fn killed_at(said: &str) -> World {
    // Slow enough that its stewards have heard which slices are leased.
    let faults = Faults {
        delay_ms: 500,
        ..Faults::default()
    };
    let mut world = World::with_faults(&[Honest; 9], faults);
    world.submit();
    for _ in 0..60_000 {
        world.run_for(1);
        if world.trace.iter().any(|(.., name)| *name == said) {
            world.kill(0);
            return world;
        }
    }
    panic!("nobody said {said}");
}

#[test]
fn another_steward_goes_on_where_a_collector_died_after_the_opening() {
    for said in ["Opening", "Attest"] {
        let mut world = killed_at(said);
        world.run_for(120_000);
        let took: Vec<_> = world
            .events
            .iter()
            .filter_map(|(i, e)| match e {
                Event::TakenOver { worker, from, .. } => Some((*i, *worker, *from)),
                _ => None,
            })
            .collect();
        assert!(!took.is_empty(), "after {said} nobody went on");
        for (heir, worker, from) in took {
            assert!(world.stewards().contains(&heir));
            assert_eq!(from, world.keys[0]);
            let earned = |(i, e): &(usize, Event)| match e {
                Event::Earned { receipt, .. } => {
                    world.keys[*i] == worker && receipt.lease.body.steward == from
                }
                _ => false,
            };
            assert!(
                world.events.iter().any(earned),
                "after {said} it earned nothing"
            );
        }
        collect(&mut world);
        assert!(world.is_done());
        assert_eq!(world.caught(), NOBODY);
        model::check(&world);
    }
}

#[test]
fn a_steward_leaves_a_lease_to_its_collector_while_that_is_here() {
    let mut world = World::new(&[Honest; 9]);
    world.submit();
    world.run_job(60_000);
    let stewards = world.stewards();
    let taken = |e: &Event| matches!(e, Event::TakenOver { .. });
    for steward in stewards {
        assert_eq!(count(&world, steward, taken), 0);
    }
}
