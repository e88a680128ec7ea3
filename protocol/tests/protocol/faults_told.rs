//! Fraud proofs that go round: everybody finds out for itself, nobody believes, and what was taken for done is undone.

use crate::world::Nature::{self, Accuses, Fakes, Honest, Ring};
use crate::world::{NOBODY, World};
use starling_protocol::io::{GossipId, Record, Topic, Verdict};
use starling_protocol::{Event, Input, JobId, Message, Output, Reason};

fn job(world: &World) -> JobId {
    let found = world.events.iter().find_map(|(_, e)| match e {
        Event::Submitted { job, .. } => Some(*job),
        _ => None,
    });
    found.expect("it was submitted")
}

fn proven(world: &World, by: usize) -> usize {
    let all = world.events.iter();
    all.filter(|(i, e)| *i == by && matches!(e, Event::FraudProven { .. }))
        .count()
}

/// What `by` answers to a proof that is gossiped.
fn hear(world: &mut World, by: usize, data: &[u8]) -> Option<Verdict> {
    let (id, topic, data) = (GossipId(1), Topic::Faults, data.to_vec());
    let outputs = world.probe(by, Input::Gossip { id, topic, data });
    outputs.into_iter().find_map(|output| match output {
        Output::Verdict { verdict, .. } => Some(verdict),
        _ => None,
    })
}

/// Those proofs reach `to`.
fn spread(world: &mut World, to: usize, proofs: &[Vec<u8>]) {
    for proof in proofs {
        let (id, topic, data) = (GossipId(1), Topic::Faults, proof.clone());
        world.give(to, Input::Gossip { id, topic, data });
    }
}

/// An honest peer comes back without what it knew, and with the job's record on its way to it.
fn forgetful(world: &mut World, liar: usize) -> (usize, Input) {
    let stranger = if liar == 7 { 6 } else { 7 };
    world.kill(stranger);
    world.revive(stranger, false);
    world.run_for(11_000);
    let bytes = Message::Record(Box::new(world.bundle().record)).to_bytes();
    let from = world.keys[0];
    (stranger, Input::Message { from, bytes })
}

/// One of seven fakes, and is caught in the first job; what was said of it was held back.
fn caught() -> (World, usize) {
    for liar in 0..7 {
        let mut natures = [Honest; 7];
        natures[liar] = Fakes;
        let mut world = World::new(&natures);
        world.holds_faults = true;
        world.most_stewards = Some(0);
        world.submit();
        world.run_job(60_000);
        if !world.faults_held.is_empty() {
            assert_eq!(world.caught(), [liar + 1]);
            return (world, liar + 1);
        }
    }
    panic!("no liar got a slice");
}

#[test]
fn a_proof_goes_round_once_and_not_if_it_is_bent() {
    let (mut world, liar) = caught();
    let proof = world.faults_held[0].clone();
    let by = (1..=7).find(|i| *i != liar).expect("six others");
    let mut bent = proof.clone();
    *bent.last_mut().expect("bytes") ^= 1;
    assert_eq!(hear(&mut world, by, &bent), Some(Verdict::Reject));
    // One of them is the accuser, who need not hear it.
    let verdicts: Vec<_> = (0..=7).map(|i| hear(&mut world, i, &proof)).collect();
    assert!(verdicts.contains(&Some(Verdict::Accept)));
    let again: Vec<_> = (0..=7).map(|i| hear(&mut world, i, &proof)).collect();
    assert!(
        again.iter().all(|v| *v == Some(Verdict::Ignore)),
        "{again:?}"
    );
}

#[test]
fn whoever_has_to_deal_with_the_accused_finds_out_and_remembers() {
    let (mut world, liar) = caught();
    let proofs = world.faults_held.clone();
    // The others have recomputed tiles of it.
    let (stranger, record) = forgetful(&mut world, liar);
    world.give(stranger, record);
    spread(&mut world, stranger, &proofs);
    assert_eq!(proven(&world, stranger), 0, "nobody has asked it yet");
    world.submit_by(stranger);
    world.run_for(60_000);
    assert_eq!(proven(&world, stranger), 1);
    let view = world.peers[stranger].reputation(&world.keys[liar]);
    assert!(view.is_some_and(|v| v.convicted));
    let leased = |(i, e): &&(usize, Event)| {
        *i == stranger && matches!(e, Event::Leased { worker, .. } if *worker == world.keys[liar])
    };
    let all: Vec<_> = world.events.iter().filter(leased).collect();
    assert!(all.is_empty(), "it was avoided: {all:?}");
}

#[test]
fn a_proof_whose_inputs_cannot_be_had_is_dropped_and_not_asked_for_again() {
    let (mut world, liar) = caught();
    let proofs = world.faults_held.clone();
    let (stranger, record) = forgetful(&mut world, liar);
    let job = job(&world);
    let asks = |outputs: Vec<Output>| {
        let wanted = |o: &Output| matches!(o, Output::Prepare { job: of, .. } if *of == job);
        outputs.iter().any(wanted)
    };
    let nothing = || Input::Prepared {
        job,
        shape: Err(Reason::FetchFailed),
    };
    assert!(asks(world.probe(stranger, record)));
    world.probe(stranger, nothing());
    spread(&mut world, stranger, &proofs);
    let request = Message::LeaseRequest { job }.to_bytes();
    let own = world.submission(crate::world::SLICE, None);
    let input = Input::Submit(Box::new(own));
    assert!(
        asks(world.probe(stranger, input)),
        "the accused would be in its roster"
    );
    assert!(!asks(world.probe(stranger, nothing())));
    let from = world.keys[liar];
    let again = world.probe(
        stranger,
        Input::Message {
            from,
            bytes: request,
        },
    );
    assert!(!asks(again), "nothing is left of it");
}

#[test]
fn a_false_proof_costs_its_accuser_and_nobody_else() {
    let mut natures = [Honest; 7];
    natures[0] = Accuses;
    let mut world = World::new(&natures);
    world.holds_faults = true;
    world.most_stewards = Some(0);
    world.submit();
    world.run_job(60_000);
    let proofs = world.faults_held.clone();
    assert!(!proofs.is_empty(), "it accused somebody");
    spread(&mut world, 7, &proofs);
    world.submit_by(7);
    world.run_for(60_000);
    assert_eq!(proven(&world, 7), 0);
    let accuser = world.peers[7].reputation(&world.keys[1]).expect("seen");
    assert!(accuser.unfit && !accuser.convicted);
    for honest in 2..7 {
        let view = world.peers[7].reputation(&world.keys[honest]);
        assert!(view.is_none_or(|v| !v.convicted && !v.unfit));
    }
    // Whatever it says now is not even looked into; whoever has not found out rejects it.
    let mut another = proofs[0].clone();
    let end = another.len() - 70;
    another[end] ^= 1;
    assert_eq!(hear(&mut world, 7, &another), Some(Verdict::Ignore));
    let (fresh, _) = forgetful(&mut world, 7);
    assert_eq!(hear(&mut world, fresh, &another), Some(Verdict::Reject));
    assert_eq!(world.caught(), NOBODY);
}

#[test]
fn what_a_ring_vouched_for_is_undone_when_one_honest_auditor_is_heard() {
    // Six are no stewards: five of them are in league, the sixth cannot reach the collector.
    let natures = [Honest; 9];
    let mut twin = World::new(&natures);
    twin.submit();
    let stewards = twin.stewards();
    let others: Vec<_> = (1..=9).filter(|i| !stewards.contains(i)).collect();
    let mut natures = natures;
    others[1..].iter().for_each(|i| natures[i - 1] = Ring);
    natures[others[0] - 1] = Nature::Withholds("Attest");

    let mut world = World::new(&natures);
    world.holds_faults = true;
    world.submit();
    world.run_for(5);
    world.kill(0);
    world.run_for(240_000);
    let faked = |world: &World, log: usize| {
        let kept = world.logs[log].iter().filter_map(|r| match r {
            Record::Kept { receipt, .. } => Some(receipt.lease.body.worker),
            _ => None,
        });
        kept.filter(|w| others[1..].iter().any(|i| world.keys[*i] == *w))
            .count()
    };
    let first = *stewards.iter().next().expect("three");
    assert!(faked(&world, first) > 0, "one of them got a slice");
    let proofs = world.faults_held.clone();
    assert!(!proofs.is_empty());
    world.holds_faults = false;
    for steward in &stewards {
        spread(&mut world, *steward, &proofs);
    }
    world.run_for(300_000);
    let undone = |r: &&Record| matches!(r, Record::Revoked { .. });
    let revoked = world.logs[first].iter().filter(undone).count();
    assert!(revoked > 0, "what they vouched for is open again");

    let job = job(&world);
    world.revive(0, false);
    world.run_for(100);
    world.give(0, Input::Collect { job });
    world.run_job(600_000);
    assert!(world.is_done());
    let done = world.events.iter().filter_map(|(i, e)| match e {
        Event::SliceDone { worker, .. } if *i == 0 => Some(*worker),
        _ => None,
    });
    let ring: Vec<_> = others[1..].iter().map(|i| world.keys[*i]).collect();
    for worker in done {
        assert!(!ring.contains(&worker), "a faked slice was collected");
    }
}

#[test]
fn a_requester_looks_into_what_others_vouched_for() {
    // All that are no stewards are in league, and the stewards call them in good faith.
    let mut twin = World::new(&[Honest; 9]);
    twin.submit();
    let stewards = twin.stewards();
    let ring: Vec<_> = (1..=9).filter(|i| !stewards.contains(i)).collect();
    let mut natures = [Honest; 9];
    ring.iter().for_each(|i| natures[i - 1] = Ring);
    let mut world = World::new(&natures);
    world.submit();
    world.run_for(5);
    world.kill(0);
    world.run_for(240_000);
    let keys: Vec<_> = ring.iter().map(|i| world.keys[*i]).collect();
    let first = *stewards.first().expect("three");
    let kept = |world: &World| {
        let receipts = world.logs[first].iter().filter_map(|r| match r {
            Record::Kept { receipt, .. } => Some(receipt.lease.body.worker),
            _ => None,
        });
        receipts.filter(|w| keys.contains(w)).count()
    };
    assert!(kept(&world) > 0, "a faked slice was taken in good faith");

    let job = job(&world);
    world.revive(0, false);
    world.run_for(100);
    world.give(0, Input::Collect { job });
    world.run_job(600_000);
    assert!(world.is_done());
    assert!(!world.caught().is_empty(), "the requester found out");
    let mut last = std::collections::BTreeMap::new();
    for (i, e) in &world.events {
        if let Event::SliceDone { slice, worker, .. } = e
            && *i == 0
        {
            last.insert(*slice, *worker);
        }
    }
    assert!(
        last.values().all(|w| !keys.contains(w)),
        "a faked slice was collected"
    );
    // The stewards hear the proof, and undo what they took in good faith.
    let undone = |r: &&Record| matches!(r, Record::Revoked { .. });
    assert!(world.logs[first].iter().any(|r| undone(&r)));
}
