//! Strategies of talking.

use crate::world::World;
use starling_adversaries::Strategy;
use starling_protocol::Message;
use std::collections::BTreeSet;

const FLOOD: Strategy = Strategy::Flood {
    messages_per_s: 200,
};

#[test]
fn the_silent_say_nothing_and_are_not_blamed() {
    let mut world = World::new(6, &[(5, vec![Strategy::Silent])]);
    world.submit(0, 8);
    assert!(world.run_jobs(1));
    assert!(world.sent.iter().all(|(from, ..)| *from != 5));
    assert!(
        world.published.iter().any(|(from, _)| *from == 5),
        "its adverts arrive"
    );
    assert!(world.caught().is_empty());
    assert_eq!(world.verified().len(), 8);
}

#[test]
fn a_flood_stops_nothing() {
    let mut world = World::new(6, &[(5, vec![FLOOD])]);
    let before = world.sent.len();
    world.run_for(10_000);
    let noise: Vec<_> = world.sent[before..]
        .iter()
        .filter(|(from, ..)| *from == 5)
        .collect();
    assert!(
        (1_990..=2_010).contains(&noise.len()),
        "{} messages in 10 s",
        noise.len()
    );
    let targets: BTreeSet<_> = noise.iter().map(|(_, to, _)| *to).collect();
    assert!(targets.len() >= 4, "{targets:?}");
    let kinds: BTreeSet<_> = noise
        .iter()
        .map(|(.., bytes)| Message::from_bytes(bytes).map_or("noise", |m| m.name()))
        .collect();
    assert!(kinds.len() >= 8, "{kinds:?}");
    world.submit(0, 40);
    assert!(world.run_jobs(1));
    assert!(world.caught().is_empty() && world.accusers().is_empty());
    assert_eq!(world.verified().len(), 40);
}

#[test]
fn replays_change_nothing() {
    let mut world = World::new(
        6,
        &[(
            5,
            vec![Strategy::Replay {
                messages_per_s: 200,
            }],
        )],
    );
    world.submit(0, 8);
    assert!(world.run_jobs(1));
    world.run_for(1_000);
    let (sent, published) = (world.sent.len(), world.published.len());
    // A second job among the echoes of the first.
    world.submit(0, 8);
    assert!(world.run_jobs(2));
    world.run_for(10_000);
    let old: BTreeSet<_> = world.sent[..sent].iter().map(|(.., bytes)| bytes).collect();
    let again = world.sent[sent..]
        .iter()
        .filter(|(from, _, bytes)| *from == 5 && old.contains(bytes));
    assert!(again.count() > 500);
    let others: BTreeSet<_> = world
        .published
        .iter()
        .filter(|(i, _)| *i != 5)
        .map(|(_, d)| d)
        .collect();
    let adverts = world.published[published..]
        .iter()
        .filter(|(i, d)| *i == 5 && others.contains(d));
    assert!(adverts.count() > 10);
    assert!(world.caught().is_empty() && world.accusers().is_empty());
    assert_eq!(world.verified().len(), 16);
}

#[test]
fn the_outer_strategy_has_the_last_word() {
    for (strategies, heard) in [
        (vec![FLOOD, Strategy::Silent], false),
        (vec![Strategy::Silent, FLOOD], true),
    ] {
        let mut world = World::new(4, &[(3, strategies)]);
        world.run_for(1_000);
        assert_eq!(world.sent.iter().any(|(from, ..)| *from == 3), heard);
    }
}
