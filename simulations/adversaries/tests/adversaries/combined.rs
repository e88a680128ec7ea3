//! Lists of strategies, and identities made to measure.

use crate::world::{World, key, means, peer};
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};
use starling_adversaries::{
    Accusation, Adversary, Strategy, StrategyError, forfeits, grind, strategy, wrap,
};
use starling_protocol::{Event, Genesis, Hash, PeerKey, Scope, board};

fn each() -> Vec<Strategy> {
    vec![
        Strategy::FakeAll,
        Strategy::FakeShare(0.5),
        Strategy::Copy,
        Strategy::IdleOnLeases,
        Strategy::WithholdOpenings,
        Strategy::OpenWhenLucky,
        Strategy::SlowWalk { delay_s: 4.0 },
        Strategy::WithholdNonces,
        Strategy::AbandonUnlucky,
        Strategy::Usurp,
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

/// Peer 0 is honest; the last ones are not, in up to three ways each.
fn population(rng: &mut ChaCha12Rng, peers: usize) -> Vec<(usize, Vec<Strategy>)> {
    let pool = each();
    let bad = 1 + rng.next_u32() as usize % (peers - 1);
    let list = |i| {
        let mut list: Vec<Strategy> = Vec::new();
        for _ in 0..=rng.next_u32() % 3 {
            list.push(pool[rng.next_u32() as usize % pool.len()].clone());
            if strategy::check(&list).is_err() {
                list.pop();
            }
        }
        (i, list)
    };
    (peers - bad..peers).map(list).collect()
}

/// `SWEEP=1000 cargo test -p starling-adversaries any_population` tries that many.
#[test]
fn any_population_leaves_jobs_done_and_the_honest_unblamed() {
    let tries = std::env::var("SWEEP").ok().and_then(|n| n.parse().ok());
    for seed in 0..tries.unwrap_or(60) {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let peers = 3 + rng.next_u32() as usize % 6;
        let bad = population(&mut rng, peers);
        let mut world = World::new(peers, &bad);
        world.submit(0, 1 + rng.next_u32() % 16);
        // Somebody else has a job too, be it honest or not.
        let other = rng.next_u32() as usize % peers;
        world.submit(other, 3);
        let refused = |(_, e): &(usize, Event)| matches!(e, Event::SubmitRefused { .. });
        let jobs = 2 - world.events.iter().filter(|e| refused(e)).count();
        assert!(world.run_jobs(jobs), "seed {seed}: {bad:?}");
        world.verified();
        let forfeited = |i: usize| {
            let list = bad.iter().find(|(b, _)| *b == i);
            list.map(|(_, list)| forfeits(list)).unwrap_or_default()
        };
        for (by, whom, accuser) in world.verdicts() {
            let given = forfeited(whom);
            let deserved = if accuser {
                given.accuses
            } else {
                given.blamable()
            };
            let heard = !forfeited(by).own_jobs;
            assert!(
                deserved || !heard,
                "seed {seed}: {by} blames {whom}: {bad:?}"
            );
        }
    }
}

#[test]
fn the_core_inside_can_be_looked_at() {
    let genesis = Genesis::new("test", Scope::Local, Hash::default());
    let list = [Strategy::Silent];
    let wrapped = Adversary::new(peer(1, &genesis), &list, &means(1, &genesis, &[]));
    assert_eq!(wrapped.expect("one strategy").inner().key(), key(1));
    let wrong = [Strategy::FakeShare(2.0)];
    assert!(wrap(peer(1, &genesis), &wrong, &means(1, &genesis, &[])).is_err());
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
