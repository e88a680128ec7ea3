//! An owner takes the device back while it is lent, and lends it again.

use crate::world::Nature::Honest;
use crate::world::{World, capacity};
use starling_protocol::io::Capacity;
use starling_protocol::{Event, Input, Message, Reason};

fn slots(slots: u16) -> Input {
    Input::Capacity(Capacity {
        slots,
        ..capacity()
    })
}

/// Leases that peer `from` has handed back, or audits that it declined.
fn handed_back(world: &World, from: usize) -> usize {
    let not_lending = |bytes: &[u8]| {
        let message = Message::from_bytes(bytes);
        matches!(
            message,
            Ok(Message::LeaseEnded {
                reason: Reason::NotLending,
                ..
            })
        )
    };
    let all = world.sent.iter().filter(|s| s.from == from);
    all.filter(|s| not_lending(&s.bytes)).count()
}

fn names_after(world: &World, from: usize, start: usize) -> Vec<&'static str> {
    let later = world.trace.iter().skip(start);
    later
        .filter(|(f, ..)| *f == from)
        .map(|(.., n)| *n)
        .collect()
}

#[test]
fn a_slice_is_handed_back_at_once_and_done_by_somebody_else() {
    let mut world = World::new(&[Honest; 6]);
    world.submit();
    assert!(world.run_until(0, "LeaseGrant", 10_000));
    let worker = world
        .trace
        .iter()
        .rev()
        .find(|(f, _, n)| *f == 0 && *n == "LeaseGrant");
    let worker = worker.map(|(_, to, _)| *to).expect("it was granted");
    world.run_for(5);
    world.give(worker, slots(0));
    assert_eq!(handed_back(&world, worker), 1, "in the same breath");
    let paused_at = world.trace.len();
    world.run_job(60_000);
    assert!(world.is_done());
    let reopened = |e: &Event| {
        matches!(
            e,
            Event::SliceReopened {
                reason: Reason::NotLending,
                ..
            }
        )
    };
    assert!(world.events.iter().any(|(_, e)| reopened(e)));
    assert!(world.caught().is_empty(), "nobody is blamed");
    let said = names_after(&world, worker, paused_at);
    for name in ["LeaseRequest", "Commit", "Seal"] {
        assert!(!said.contains(&name), "{said:?}");
    }
}

#[test]
fn what_was_asked_for_before_is_declined() {
    let mut world = World::new(&[Honest; 6]);
    world.submit();
    assert!(world.run_until(1, "LeaseRequest", 10_000));
    world.give(1, slots(0));
    world.run_for(200);
    assert_eq!(handed_back(&world, 1), 1);
    world.run_job(60_000);
    assert!(world.is_done());
}

#[test]
fn auditors_that_stop_lending_are_not_waited_for() {
    let mut quick = World::new(&[Honest; 12]);
    quick.submit();
    let undisturbed = quick.run_job(60_000);
    let mut world = World::new(&[Honest; 12]);
    world.submit();
    assert!(world.run_until(0, "LeaseGrant", 10_000));
    (5..=12).for_each(|i| world.give(i, slots(0)));
    let took = world.run_job(60_000);
    assert!(world.is_done());
    let declined: usize = (5..=12).map(|i| handed_back(&world, i)).sum();
    assert!(declined > 0);
    assert!(
        took < undisturbed + 5_000,
        "{took} ms, {undisturbed} ms undisturbed"
    );
}

#[test]
fn it_asks_again_when_it_lends_again() {
    let mut world = World::new(&[Honest]);
    world.submit();
    assert!(world.run_until(0, "LeaseGrant", 10_000));
    world.give(1, slots(0));
    world.run_for(3_000);
    assert!(!world.over());
    let resumed_at = world.trace.len();
    world.give(1, slots(1));
    world.run_job(60_000);
    assert!(world.is_done());
    assert!(names_after(&world, 1, resumed_at).contains(&"LeaseRequest"));
}

#[test]
fn what_is_computed_is_still_opened_and_handed_over() {
    let mut world = World::new(&[Honest; 4]);
    world.submit();
    assert!(world.run_until(1, "Commit", 10_000));
    world.give(1, slots(0));
    world.run_job(60_000);
    assert!(world.is_done());
    let key = world.keys[1];
    let of_it = world.receipts();
    assert!(of_it.iter().any(|r| r.lease.body.worker == key));
}
