//! Peers that answer one question and never the next: after two full waits they cost a slice next to nothing.

use crate::world::Nature::{Honest, Withholds};
use crate::world::{NOBODY, World};
use starling_protocol::config::SILENT_KEPT;
use starling_protocol::{Event, Reason};

/// Seconds that 256 slices take among five peers, one of which withholds.
fn seconds(withheld: &'static str) -> u64 {
    let mut world = World::new(&[Withholds(withheld), Honest, Honest, Honest, Honest]);
    world.submit_in(1, None);
    let ms = world.run_job(600_000);
    assert!(world.is_done());
    assert_eq!(world.caught(), NOBODY);
    ms / 1_000
}

#[test]
fn who_locks_and_never_reveals_is_soon_not_waited_for() {
    let slowed = seconds("Reveal");
    assert!(slowed < 15, "{slowed} s");
}

#[test]
fn two_that_lock_and_never_reveal_cost_a_few_leases_and_no_more() {
    let natures = [
        Withholds("Reveal"),
        Withholds("Reveal"),
        Honest,
        Honest,
        Honest,
        Honest,
    ];
    let mut world = World::new(&natures);
    world.submit_in(1, None);
    world.run_job(600_000);
    assert!(world.is_done());
    assert_eq!(world.caught(), NOBODY);
    let silent = |(_, e): &&(usize, Event)| matches!(e, Event::SliceReopened { reason, .. } if *reason == Reason::WitnessesSilent);
    let lost = world.events.iter().filter(silent).count();
    assert!(lost <= 12, "{lost} of 256 leases");
}

#[test]
fn who_never_seals_is_soon_not_waited_for() {
    let slowed = seconds("Seal");
    assert!(slowed < 20, "{slowed} s");
}

#[test]
fn who_seals_and_never_attests_is_soon_not_waited_for() {
    let slowed = seconds("Attest");
    assert!(slowed < 20, "{slowed} s");
}

#[test]
fn whoever_mends_its_ways_is_waited_for_again() {
    let mut world = World::new(&[Withholds("Attest"), Honest, Honest, Honest]);
    world.submit();
    world.run_job(600_000);
    world.run_for(SILENT_KEPT.as_millis() as u64);
    world.natures[1] = Honest;
    world.submit_in(2, None);
    world.run_for(60_000);
    let done = |(_, e): &&(usize, Event)| matches!(e, Event::JobDone { .. });
    assert_eq!(world.events.iter().filter(done).count(), 2);
    let attested = |receipt: &starling_protocol::Receipt| format!("{:?}", receipt.quorum);
    let index = world.bundle().record.roster.index(&world.keys[1]);
    let name = format!("auditor: {}", index.expect("a member"));
    let counted = world.receipts();
    assert!(counted.iter().any(|r| attested(r).contains(&name)));
}
