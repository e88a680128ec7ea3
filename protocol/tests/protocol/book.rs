//! What a peer keeps of jobs that are over: their records for a while, then their ids, and the receipts that it made.

use crate::world::Nature::Honest;
use crate::world::World;
use starling_protocol::config::{LINGER, OWN_JOBS_MAX};
use starling_protocol::{Input, JobId, Message, Output};

/// A swarm whose job is over, and its id.
fn ended() -> (World, JobId) {
    let mut world = World::new(&[Honest; 3]);
    world.submit();
    world.run_job(60_000);
    assert!(world.is_done());
    world.run_for(1_000);
    let job = world.bundle().record.id(&world.genesis.swarm_id());
    (world, job)
}

/// The names of what peer `to` says to a message of peer `from`.
fn told(world: &mut World, from: usize, to: usize, message: &Message) -> Vec<&'static str> {
    let (from, bytes) = (world.keys[from], message.to_bytes());
    let outputs = world.probe(to, Input::Message { from, bytes });
    let sent = outputs.iter().filter_map(|o| match o {
        Output::Send { bytes, .. } => Some(Message::from_bytes(bytes).expect("readable").name()),
        _ => None,
    });
    sent.collect()
}

/// The first message of this name, with its sender and its receiver.
fn first(world: &World, name: &str) -> (usize, usize, Message) {
    let all = world.sent.iter().map(|s| {
        let message = Message::from_bytes(&s.bytes).expect("readable");
        (s.from, s.to, message)
    });
    let mut named = all.filter(|(.., m)| m.name() == name);
    named.next().expect("it was sent")
}

#[test]
fn an_ended_jobs_record_goes_after_a_while_and_is_not_taken_up_again() {
    let (mut world, job) = ended();
    let request = Message::RecordRequest { job };
    let (worker, _, output) = first(&world, "Output");
    let (_, witness, lock) = first(&world, "LockRequest");
    let known = |world: &World| {
        let all = world.peers.iter();
        all.filter(|p| p.record(&job).is_some()).count()
    };
    world.run_for(LINGER.as_millis() as u64 - 20_000);
    // Whoever is late is answered as ever.
    assert_eq!(known(&world), 4);
    assert_eq!(told(&mut world, 1, 0, &request), ["Record"]);
    assert_eq!(told(&mut world, 0, witness, &lock), ["Locked"]);
    assert_eq!(told(&mut world, worker, 0, &output), ["Stored", "Receipt"]);
    world.run_for(40_000);
    assert_eq!(known(&world), 0);
    let none: [&str; 0] = [];
    assert_eq!(told(&mut world, 1, 0, &request), none);
    assert_eq!(told(&mut world, 0, witness, &lock), none);
    // A receipt needs no record, but for its worker's.
    assert_eq!(told(&mut world, worker, 0, &output), ["Stored", "Receipt"]);
    let record = Message::Record(Box::new(world.bundle().record));
    for to in 1..4 {
        let (from, bytes) = (world.keys[0], record.to_bytes());
        let outputs = world.probe(to, Input::Message { from, bytes });
        assert!(outputs.is_empty(), "{outputs:?}");
    }
    assert_eq!(known(&world), 0);
}

#[test]
fn jobs_that_ended_in_a_former_life_make_room_too() {
    let mut world = World::new(&[Honest]);
    for _ in 0..OWN_JOBS_MAX {
        world.events.clear();
        world.submit();
        world.run_job(60_000);
    }
    world.restart(0);
    world.events.clear();
    world.run_for(30_000);
    world.submit();
    world.run_job(60_000);
    assert!(world.is_done(), "{:?}", world.events);
}
