//! Who is told of work, and how the next lease comes: without a question more than needed, and not lost either.

use crate::world::Nature::{Broken, Honest, Silent, Withholds};
use crate::world::{Faults, NOBODY, SLICE, Sent, TILES, World, signer};
use starling_protocol::evidence::Opening;
use starling_protocol::signed::Signed;
use starling_protocol::{BlobId, Event, Hash, Input, Message, Output, Reason};
use std::collections::{BTreeMap, BTreeSet};

const SLICES: usize = (TILES / SLICE) as usize;

/// How many messages of this name peer `from` has sent to each, or to anybody.
fn sent(world: &World, from: usize, to: Option<usize>, name: &str) -> usize {
    let all = world.trace.iter();
    all.filter(|(f, t, n)| *f == from && to.is_none_or(|to| to == *t) && *n == name)
        .count()
}

#[test]
fn a_commitment_asks_for_the_next_lease() {
    let mut world = World::new(&[Honest]);
    world.submit();
    world.run_job(60_000);
    assert!(world.is_done());
    let leases: Vec<_> = world
        .trace
        .iter()
        .map(|(.., name)| *name)
        .filter(|name| ["LeaseRequest", "LeaseGrant"].contains(name))
        .take(1 + SLICES)
        .collect();
    let mut expected = vec!["LeaseGrant"; 1 + SLICES];
    expected[0] = "LeaseRequest";
    assert_eq!(leases, expected, "one question, a lease for every slice");
}

#[test]
fn a_repeated_commitment_is_acknowledged_and_grants_nothing() {
    let mut world = World::new(&[Honest, Honest]);
    world.submit();
    assert!(world.run_until(1, "Commit", 10_000));
    let commit = world
        .sent
        .iter()
        .find(|s| s.from == 1 && s.bytes.first() == Some(&6))
        .expect("it was sent")
        .bytes
        .clone();
    assert!(matches!(
        Message::from_bytes(&commit),
        Ok(Message::Commit { next: true, .. })
    ));
    world.run_for(10);
    let from = world.keys[1];
    let again = world.probe(
        0,
        Input::Message {
            from,
            bytes: commit,
        },
    );
    let names: Vec<_> = again
        .iter()
        .map(|output| match output {
            Output::Send { bytes, .. } => Message::from_bytes(bytes).expect("sound").name(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, ["CommitAck"]);
}

#[test]
fn whoever_found_nothing_open_is_told_of_a_slice_that_opens_again() {
    let mut reopened = 0;
    for broken in 0..6 {
        let mut natures = [Honest; 6];
        natures[broken] = Broken;
        let mut world = World::new(&natures);
        world.submit();
        world.run_for(200);
        let opened = |(_, e): &&(usize, Event)| matches!(e, Event::SliceReopened { .. });
        let opened = world.events.iter().filter(opened).count();
        let told = sent(&world, 0, None, "Record") - natures.len();
        // Two of six found nothing; asking again by themselves takes them half a second.
        assert_eq!(told > 0, opened > 0, "{opened} slices reopened");
        reopened += opened;
        world.run_job(60_000);
        assert!(world.is_done());
        assert_eq!(world.caught(), NOBODY);
    }
    assert!(
        reopened > 0,
        "in none of the worlds the broken one got a slice"
    );
}

/// How often each slice was open again, at the requester, in four worlds of three honest peers and nine that withhold a message.
fn reopened(withheld: &'static str) -> Vec<BTreeMap<u32, u32>> {
    let world = |first: usize| {
        let honest = |i: usize| (first..first + 3).contains(&(i % 12));
        let nature = |i| {
            if honest(i) {
                Honest
            } else {
                Withholds(withheld)
            }
        };
        let natures: Vec<_> = (0..12).map(nature).collect();
        let mut world = World::new(&natures);
        world.submit_in(32, None);
        world.run_job(300_000);
        assert!(world.is_done());
        assert!(world.caught().iter().all(|i| !honest(*i - 1)));
        let mut times: BTreeMap<u32, u32> = BTreeMap::new();
        for event in &world.events {
            if let (0, Event::SliceReopened { slice, .. }) = event {
                *times.entry(*slice).or_default() += 1;
            }
        }
        times
    };
    (0..4).map(world).collect()
}

#[test]
fn a_slice_that_is_open_again_goes_to_whoever_has_done_one() {
    for withheld in ["Commit", "Opening"] {
        let worlds = reopened(withheld);
        let once = |w: &BTreeMap<u32, u32>| w.values().all(|times| *times == 1);
        assert!(worlds.iter().all(once), "{withheld}: {worlds:?}");
        let slices: usize = worlds.iter().map(BTreeMap::len).sum();
        assert!(slices >= 8, "{withheld}: {slices} slices in four worlds");
    }
}

#[test]
fn a_slice_that_is_open_again_waits_for_nobody_who_has_left() {
    // The only one that does any goes: whoever did nothing so far gets the slice all the same.
    let mut world = World::new(&[Withholds("Commit"), Honest]);
    world.submit();
    let leased = |world: &World| {
        let leased = |(_, e): &(usize, Event)| matches!(e, Event::Leased { worker, .. } if *worker == world.keys[1]);
        world.events.iter().filter(|e| leased(e)).count()
    };
    world.run_for(10_000);
    assert_eq!(leased(&world), 1);
    world.kill(2);
    world.run_for(60_000);
    assert!(leased(&world) > 1);
}

#[test]
fn a_small_job_is_offered_to_few_and_ends_for_all_who_learnt_of_it() {
    let mut world = World::new(&[Honest; 20]);
    world.submit();
    let first = world.trace.iter().filter(|(.., name)| *name == "Record");
    let first: BTreeSet<_> = first.map(|(_, to, _)| *to).collect();
    let stewards = world.stewards();
    assert_eq!(stewards.len(), 3);
    let offered = first.len() - first.intersection(&stewards).count();
    assert!((2 * SLICES + 8 - 3..=2 * SLICES + 8).contains(&offered));
    assert!(stewards.is_subset(&first));
    world.run_job(60_000);
    assert!(world.is_done());
    let peers = |name: &str, by: usize| -> BTreeSet<usize> {
        let all = world.trace.iter();
        let to = all.filter(|(f, _, n)| *f == by && *n == name);
        to.map(|(_, t, _)| *t).collect()
    };
    let asked = (1..=20).filter(|i| sent(&world, *i, Some(0), "RecordRequest") > 0);
    let asked: BTreeSet<_> = asked.collect();
    assert!(!asked.is_empty(), "auditors that had no offer");
    let learnt: BTreeSet<_> = peers("Record", 0);
    assert!(asked.is_subset(&learnt));
    assert_eq!(peers("JobEnded", 0), learnt);
}

#[test]
fn a_job_that_the_first_do_not_take_is_offered_to_the_others() {
    let mut natures = [Honest; 20];
    // The same draws: whom does it offer its job first?
    let mut twin = World::new(&natures);
    twin.submit();
    let offered = (1..=20).filter(|i| sent(&twin, 0, Some(*i), "Record") > 0);
    let first: BTreeSet<_> = offered.collect();
    first.iter().for_each(|i| natures[i - 1] = Silent);
    let mut world = World::new(&natures);
    world.submit();
    let told = |world: &World| {
        let others = (1..=20).filter(|i| !first.contains(i));
        others
            .filter(|i| sent(world, 0, Some(*i), "Record") > 0)
            .count()
    };
    world.run_for(9_000);
    assert_eq!(told(&world), 0);
    world.run_for(2_000);
    assert_eq!(told(&world), 20 - first.len());
}

#[test]
fn a_requester_that_is_gone_keeps_nobody_from_working_for_others() {
    let mut world = World::new(&[Honest; 2]);
    // The other one's job is taken on, and then nobody answers.
    world.submit_by(2);
    assert!(world.run_until(1, "LeaseRequest", 1_000));
    world.kill(2);
    world.submit();
    // After one question without an answer, not when the job is offered again.
    world.run_for(5_500);
    assert!(sent(&world, 1, Some(0), "LeaseRequest") > 0);
    world.run_job(600_000);
    assert!(world.is_done());
    assert_eq!(world.receipts().len(), SLICES, "not by its requester alone");
}

#[test]
fn bytes_that_are_not_what_they_are_called_are_not_stored() {
    let mut world = World::new(&[Withholds("Output"), Honest, Honest]);
    world.submit();
    world.run_for(3_000);
    let lease = world.sent.iter().find_map(|s| {
        let message = Message::from_bytes(&s.bytes).expect("sound");
        match message {
            Message::Audited { lease } if s.to == 1 => Some(lease),
            _ => None,
        }
    });
    let lease = lease.expect("it was audited");
    let from = world.keys[1];
    let len = (SLICE * 64) as usize;
    let mut output = |blob: Hash, bytes: Vec<u8>| {
        let message = Message::Output {
            lease,
            blob: BlobId(blob),
            secret: Hash::default(),
            bytes,
        };
        let bytes = message.to_bytes();
        world.probe(0, Input::Message { from, bytes })
    };
    let (right, short) = (vec![7; len], vec![7; len - 1]);
    assert!(output(Hash::of(b"other"), right.clone()).is_empty());
    assert!(output(Hash::of(&short), short).is_empty());
    // Whether they are the slice's is seen when they are stored: the case still waits for an output.
    let outputs = output(Hash::of(&right), right);
    assert!(matches!(outputs[..], [Output::Store { .. }]), "{outputs:?}");
}

#[test]
fn whoever_gets_no_more_leases_stands_by_its_commitment() {
    let mut world = World::new(&[Honest, Honest]);
    world.submit();
    assert!(world.run_until(1, "Commit", 10_000));
    let job = world.events.iter().find_map(|(_, e)| match e {
        Event::Submitted { job, .. } => Some(*job),
        _ => None,
    });
    let refusal = Message::LeaseRefusal {
        job: job.expect("it was submitted"),
        reason: Reason::Excluded,
        retry_ms: 0,
    };
    let from = world.keys[0];
    let bytes = refusal.to_bytes();
    let outputs = world.probe(1, Input::Message { from, bytes });
    assert!(outputs.is_empty(), "nothing is lost: {outputs:?}");
    let earned = |world: &World| {
        let all = world.events.iter();
        all.filter(|(i, e)| *i == 1 && matches!(e, Event::Earned { .. }))
            .count()
    };
    world.run_for(5_000);
    assert_eq!(earned(&world), 1, "and no other lease was asked for");
}

#[test]
fn nobody_seems_silent_for_being_called_often() {
    // Slow enough that every worker leaves its four slices without a receipt; sixteen peers audit each of them.
    let slow = Faults {
        delay_ms: 2_000,
        ..Faults::default()
    };
    let mut world = World::with_faults(&[Honest; 20], slow);
    world.submit_in(2, None);
    world.run_job(600_000);
    assert!(world.is_done());
    let mut calls: BTreeMap<_, usize> = BTreeMap::new();
    for sent in &world.sent {
        if let Ok(Message::AuditCall(call)) = Message::from_bytes(&sent.bytes) {
            *calls.entry(call.commitment.body.lease).or_default() += 1;
        }
    }
    assert!(calls.len() >= (TILES / 2) as usize);
    let in_place_of_others = calls.values().filter(|called| **called != 16).count();
    assert_eq!(in_place_of_others, 0);
}

#[test]
fn an_opening_that_leads_nowhere_is_none_and_nothing_else_is_waited_for() {
    let mut world = World::new(&[Withholds("Opening"), Honest, Honest, Honest, Honest]);
    world.submit();
    let shown = |s: &&Sent| s.from == 0 && s.to == 1;
    let list = |bytes: &[u8]| match Message::from_bytes(bytes) {
        Ok(Message::SealList(list)) => Some(list),
        _ => None,
    };
    assert!(world.run_until(0, "SealList", 20_000));
    while !world
        .sent
        .iter()
        .filter(shown)
        .any(|s| list(&s.bytes).is_some())
    {
        world.run_for(100);
    }
    world.run_for(100);
    let swarm = world.genesis.swarm_id();
    let sent = world.sent.iter().filter(shown);
    let list = sent.filter_map(|s| list(&s.bytes)).next().expect("shown");
    let commitments = world.sent.iter().filter(|s| s.from == 1);
    let root = commitments
        .filter_map(|s| match Message::from_bytes(&s.bytes) {
            Ok(Message::Commit { commitment, .. }) => Some(commitment.body),
            _ => None,
        })
        .find(|c| c.lease == list.body.lease)
        .expect("it committed")
        .root;
    let opening = Opening {
        lease: list.body.lease,
        root,
        seal_list: list.digest(&swarm),
        tiles: Vec::new(),
        proof: Vec::new(),
    };
    let give = |world: &mut World, from: usize, opening: &Opening, by: usize| {
        let opening = Box::new(Signed::new(opening.clone(), &swarm, &signer(by)));
        let bytes = Message::Opening(opening).to_bytes();
        let from = world.keys[from];
        world.probe(0, Input::Message { from, bytes })
    };
    // Carried by somebody else, signed by somebody else, or an answer to another list: the right one may still come.
    let other = Opening {
        seal_list: Hash([7; 32]),
        ..opening.clone()
    };
    assert!(give(&mut world, 2, &opening, 1).is_empty());
    assert!(give(&mut world, 1, &opening, 2).is_empty());
    assert!(give(&mut world, 1, &other, 1).is_empty());
    let ended = give(&mut world, 1, &opening, 1);
    let blamed = |o: &Output| {
        let reason = match o {
            Output::Notify(Event::CheatCaught { reason, .. }) => Some(*reason),
            _ => None,
        };
        reason == Some(Reason::NoOpening)
    };
    assert!(ended.iter().any(blamed), "{ended:?}");
}
