//! Capacity proofs: whose claims are proven, whose are struck, and whose are left alone.

use crate::world::{Nature, World, capacity, kernel};
use starling_protocol::config;
use starling_protocol::draw;
use starling_protocol::io::{ClaimState, Proof};
use starling_protocol::{Event, Hash, Input, Message, Output};

/// Peer 0 has had a job done and goes on probing for a while.
fn swarm(lenders: usize, change: impl Fn(&mut World)) -> World {
    let mut world = World::new(&vec![Nature::Honest; lenders]);
    change(&mut world);
    world.submit();
    world.run_job(60_000);
    assert!(world.is_done());
    world
}

fn proof(world: &World, of: usize) -> Option<Proof> {
    let mut known = world.peers[0].known_peers();
    let known = known.find(|p| p.advert.peer == world.keys[of])?;
    world.peers[0].proofs(known.advert).first().copied()
}

fn standing(world: &World, of: usize) -> Option<ClaimState> {
    proof(world, of).map(|p| p.standing)
}

fn probes(world: &World, of: usize) -> usize {
    let asked = |(_, to, name): &&(usize, usize, &str)| *to == of && *name == "Probe";
    world.trace.iter().filter(asked).count()
}

/// What peer 1 answers to a message of peer 0.
fn answers(world: &mut World, message: &Message) -> Vec<Message> {
    let from = world.keys[0];
    let bytes = message.to_bytes();
    let outputs = world.probe(1, Input::Message { from, bytes });
    let said = |output: Output| match output {
        Output::Send { bytes, .. } => Message::from_bytes(&bytes).ok(),
        _ => None,
    };
    outputs.into_iter().filter_map(said).collect()
}

fn ask(nonce: u8, units: u64) -> Message {
    Message::Probe {
        version: config::PROBE_VERSION,
        kernel: kernel(),
        units,
        probe: draw::nonce_digest(&Hash([nonce; 32])),
    }
}

fn is_busy(answers: &[Message]) -> bool {
    matches!(answers, [Message::ProbeReply { nonce: None, .. }])
}

#[test]
fn a_claim_is_proven_struck_or_neither_by_the_median_of_three() {
    // Every message takes a millisecond, of which the round trip is deducted.
    for (speed, expected) in [
        (1_000_000, ClaimState::Proven),
        (3_000_000, ClaimState::Proven),
        (910_000, ClaimState::Proven),
        (850_000, ClaimState::Unproven),
        (790_000, ClaimState::Struck),
        (250_000, ClaimState::Struck),
    ] {
        let mut world = swarm(5, |w| w.units_per_s[3] = speed);
        assert_eq!(
            proof(&world, 3),
            None,
            "nobody is probed while there is work"
        );
        world.run_for(600_000);
        let proof = proof(&world, 3).expect("probed");
        assert_eq!((proof.standing, proof.probes), (expected, 3), "{speed}");
        let measured = proof.measured.expect("three of them") as f64;
        assert!((measured / speed as f64 - 1.0).abs() < 0.01, "{measured}");
        for honest in [1, 2, 4, 5] {
            assert_eq!(standing(&world, honest), Some(ClaimState::Proven));
        }
        let struck = world
            .events
            .iter()
            .filter(|(_, e)| matches!(e, Event::ClaimStruck { .. }))
            .count();
        assert_eq!(struck, usize::from(expected == ClaimState::Struck));
    }
}

#[test]
fn made_up_results_measure_nothing() {
    let mut world = swarm(5, |w| {
        w.natures[3] = Nature::Fakes;
        w.units_per_s[3] = 1_000_000_000;
    });
    world.run_for(600_000);
    let proof = proof(&world, 3).expect("probed");
    assert_eq!(
        (proof.standing, proof.measured),
        (ClaimState::Struck, Some(0))
    );
}

#[test]
fn who_never_submits_never_probes_and_who_did_stops() {
    let mut world = swarm(5, |_| {});
    world.run_for(5_000_000);
    let asked: Vec<_> = world.trace.iter().filter(|(.., n)| *n == "Probe").collect();
    assert!(asked.iter().all(|(from, ..)| *from == 0));
    // Five claims, three times each; after half an hour nobody asks again.
    assert_eq!(asked.len(), 15);
}

#[test]
fn a_silent_peer_is_not_chosen_but_shown() {
    let mut world = swarm(5, |_| {});
    world.natures[3] = Nature::Withholds("ProbeReply");
    world.run_for(600_000);
    assert_eq!(standing(&world, 3), Some(ClaimState::Mute));
    assert_eq!(probes(&world, 3), 3);
    // One answer clears it.
    world.natures[3] = Nature::Honest;
    world.submit();
    world.run_for(2_500_000);
    assert_eq!(standing(&world, 3), Some(ClaimState::Proven));
}

#[test]
fn a_busy_peer_is_asked_six_times_more_and_never_struck() {
    let mut world = swarm(5, |_| {});
    let mut lends_nothing = capacity();
    lends_nothing.slots = 0;
    // It says so to whoever probes it, before its advert has told it.
    world.probe(3, Input::Capacity(lends_nothing));
    world.run_for(1_000);
    world.natures[3] = Nature::Withholds("Advert");
    let seen = probes(&world, 3);
    world.run_for(1_500_000);
    assert!(probes(&world, 3) - seen <= 7);
    assert_ne!(standing(&world, 3), Some(ClaimState::Struck));
    assert_ne!(standing(&world, 3), Some(ClaimState::Mute));
}

#[test]
fn a_lowered_claim_is_measured_anew_and_a_raised_one_does_not_wash_a_strike_off() {
    let mut world = swarm(5, |w| w.units_per_s[3] = 500_000);
    world.run_for(600_000);
    assert_eq!(standing(&world, 3), Some(ClaimState::Struck));
    let claim = |world: &mut World, units_per_s| {
        let mut changed = capacity();
        changed.kernels[0].units_per_s = units_per_s;
        world.give(3, Input::Capacity(changed));
        world.run_for(5_000);
    };
    claim(&mut world, 2_000_000);
    assert_eq!(standing(&world, 3), Some(ClaimState::Struck));
    claim(&mut world, 500_000);
    assert_eq!(standing(&world, 3), Some(ClaimState::Unproven));
    world.run_for(300_000);
    assert_eq!(standing(&world, 3), Some(ClaimState::Proven));
}

#[test]
fn the_struck_are_offered_work_last() {
    let mut world = swarm(20, |w| w.units_per_s[3] = 100_000);
    world.run_for(1_700_000);
    assert_eq!(standing(&world, 3), Some(ClaimState::Struck));
    let before = world.trace.len();
    world.submit();
    world.run_for(100);
    let offered = |of: usize| {
        let mut said = world.trace[before..].iter();
        said.any(|(from, to, name)| (*from, *to, *name) == (0, of, "Record"))
    };
    assert!((1..=20).filter(|of| offered(*of)).count() >= 16);
    assert!(!offered(3) || world.stewards().contains(&3));
}

#[test]
fn a_probe_asks_for_no_more_than_was_claimed_and_only_of_the_idle() {
    let mut world = World::new(&[Nature::Honest; 3]);
    let most = 500_000;
    assert!(is_busy(&answers(&mut world, &ask(1, most + 1))));
    assert!(is_busy(&answers(&mut world, &ask(1, 0))));
    let other = Message::Probe {
        version: config::PROBE_VERSION + 1,
        kernel: kernel(),
        units: most,
        probe: Hash::default(),
    };
    assert!(is_busy(&answers(&mut world, &other)));
    assert!(answers(&mut world, &ask(1, most)).is_empty(), "it warms up");
    assert!(
        answers(&mut world, &ask(1, most)).is_empty(),
        "the same one"
    );
    assert!(
        is_busy(&answers(&mut world, &ask(2, most))),
        "one at a time"
    );
}

#[test]
fn a_peer_answers_four_probes_and_then_one_a_minute() {
    let mut world = World::new(&[Nature::Honest; 3]);
    let takes = |world: &mut World, i: u8| {
        let taken = answers(world, &ask(i, 1)).is_empty();
        // Nobody starts it: given up.
        world.run_for(10_100);
        taken
    };
    let taken: Vec<_> = (0..19).map(|i| takes(&mut world, i)).collect();
    assert_eq!(taken[..4], [true; 4]);
    // Four at first, and three more in three minutes.
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 7);
}

#[test]
fn a_start_must_open_what_the_probe_was_named_by() {
    let mut world = World::new(&[Nature::Honest; 3]);
    let (nonce, from) = (Hash([1; 32]), world.keys[0]);
    let bytes = ask(1, 1_000).to_bytes();
    world.give(1, Input::Message { from, bytes });
    world.run_for(100);
    let probe = draw::nonce_digest(&nonce);
    let wrong = Hash([2; 32]);
    let start = |nonce| Message::ProbeStart { probe, nonce };
    assert!(answers(&mut world, &start(wrong)).is_empty());
    let answer = answers(&mut world, &start(nonce));
    assert!(matches!(
        answer[..],
        [Message::ProbeReply { nonce: Some(_), .. }]
    ));
}
