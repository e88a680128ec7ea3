//! Lists of strategies, and identities made to measure.

use crate::world::{World, key};
use starling_adversaries::{Accusation, Strategy, StrategyError, forfeits, grind, strategy};
use starling_protocol::{Hash, PeerKey, board};

fn each() -> Vec<Strategy> {
    vec![
        Strategy::FakeAll,
        Strategy::FakeShare(0.5),
        Strategy::Copy,
        Strategy::IdleOnLeases,
        Strategy::WithholdOpenings,
        Strategy::Equivocate,
        Strategy::AuditLazily,
        Strategy::AccuseFalsely(Accusation::WellFounded),
        Strategy::Ring { fake_share: 0.5 },
        Strategy::LieAboutCapacity(4.0),
        Strategy::Flood { messages_per_s: 20 },
        Strategy::Replay { messages_per_s: 20 },
        Strategy::SkewClock(60),
        Strategy::BehaveUntil {
            cv: 1,
            then: vec![Strategy::FakeAll],
        },
        Strategy::StuffRoster,
        Strategy::CensorAuditors,
        Strategy::Silent,
    ]
}

#[test]
fn any_two_strategies_go_together_and_no_honest_peer_is_blamed() {
    for (a, one) in each().into_iter().enumerate() {
        for other in each().into_iter().skip(a + 1) {
            let pair = vec![one.clone(), other];
            if matches!(strategy::check(&pair), Err(StrategyError::Conflict { .. })) {
                continue;
            }
            let given = forfeits(&pair);
            let mut world = World::new(5, &[(4, pair.clone())]);
            world.submit(0, 8);
            assert!(world.run_jobs(1), "{pair:?}");
            let caught = world.caught();
            assert!(
                caught.iter().all(|i| *i == 4 && given.blamable()),
                "{pair:?}: {caught:?}"
            );
            let accusers = world.accusers();
            assert!(
                accusers.iter().all(|i| *i == 4 && given.accuses),
                "{pair:?}: {accusers:?}"
            );
            world.verified();
        }
    }
}

#[test]
fn the_same_run_repeats() {
    let run = || {
        let all: Vec<_> = each()
            .into_iter()
            .filter(|s| !matches!(s, Strategy::Copy | Strategy::AuditLazily | Strategy::Silent))
            .collect();
        let mut world = World::new(5, &[(4, all)]);
        world.submit(0, 8);
        assert!(world.run_jobs(1));
        (world.sent, world.published)
    };
    assert_eq!(run(), run());
}

#[test]
fn ground_identities_stand_where_they_were_made_for() {
    let target = board::key(&Default::default(), "test", 0);
    let make = |i: u32| PeerKey(Hash::of(&i.to_le_bytes()));
    let (number, best) = grind(&target, 2_000, make);
    assert_eq!(make(number), best);
    let distance = |p: &PeerKey| p.position().xor(&target);
    assert!((0..2_000).all(|i| distance(&best) <= distance(&make(i))));
    // 2,000 tries against a hundred: nearer than all of them with probability 20 / 21.
    assert!((0..100).all(|i| distance(&best) < distance(&key(i))));
    assert_eq!(grind(&target, 0, make), (0, make(0)));
}
