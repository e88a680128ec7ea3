//! Wall clocks that jump while a job runs: that may cost time, never a slice, a signature or an honest peer's name.

use crate::world::Nature::Honest;
use crate::world::{NOBODY, SLICE, TILES, World};
use starling_protocol::crypto::Ed25519Verifier;
use starling_protocol::{Event, Reason};

const DAY: i64 = 24 * 3_600;

/// A job in mid-course: its first slice is committed.
fn underway() -> World {
    let mut world = World::new(&[Honest; 3]);
    world.submit();
    let committed = |world: &World| world.trace.iter().any(|(.., name)| *name == "Commit");
    while !committed(&world) {
        assert!(!world.over(), "nobody commits");
        world.run_for(1);
    }
    world
}

fn valid(world: &World) -> usize {
    let verified = world.bundle().verify(&Ed25519Verifier);
    let verified = verified.expect("the record holds");
    verified.iter().filter(|one| one.is_ok()).count()
}

#[test]
fn a_workers_clock_may_jump_in_mid_job() {
    for who in 1..=3 {
        for seconds in [
            -10 * 365 * DAY,
            -DAY,
            -300,
            -30,
            30,
            300,
            DAY,
            10 * 365 * DAY,
        ] {
            let mut world = underway();
            world.jump(who, seconds);
            world.run_job(3_000_000);
            let case = format!("peer {who}, {seconds} s: {:?}", world.events.last());
            assert!(world.is_done(), "{case}");
            assert_eq!(world.caught(), NOBODY, "{case}");
            assert_eq!(valid(&world), world.receipts().len(), "{case}");
        }
    }
}

#[test]
fn a_requesters_clock_may_jump_until_the_deadline() {
    for seconds in [-10 * 365 * DAY, -DAY, -300, 300, 3_000] {
        let mut world = underway();
        world.jump(0, seconds);
        world.run_job(3_000_000);
        assert!(world.is_done(), "{seconds} s: {:?}", world.events.last());
        assert_eq!(world.caught(), NOBODY, "{seconds} s");
        assert_eq!(valid(&world) as u32, TILES / SLICE, "{seconds} s");
    }
    let mut world = underway();
    world.jump(0, DAY);
    world.run_job(600_000);
    let failed = |event: &Event| {
        matches!(
            event,
            Event::JobFailed {
                reason: Reason::DeadlinePassed,
                ..
            }
        )
    };
    // The deadline has passed as far as it can tell, unless the rest was quicker than its next look at the clock.
    assert!(
        world.is_done() || world.events.iter().any(|(i, e)| *i == 0 && failed(e)),
        "{:?}",
        world.events.last()
    );
    assert_eq!(world.caught(), NOBODY);
    assert_eq!(valid(&world), world.receipts().len());
}

#[test]
fn a_clock_that_comes_back_brings_its_peer_back() {
    let mut world = World::new(&[Honest; 3]);
    world.run_for(30_000);
    let known = |world: &World| world.peers[0].known_peers().count();
    assert_eq!(known(&world), 3);
    // An hour ahead, its adverts are from the future: nobody believes them.
    world.jump(1, 3_600);
    world.run_for(120_000);
    assert_eq!(known(&world), 2);
    world.jump(1, -3_600);
    world.run_for(120_000);
    assert_eq!(known(&world), 3);
}
