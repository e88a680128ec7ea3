//! Strategies that change what a core hears.

use crate::world::World;
use starling_adversaries::Strategy;
use starling_protocol::advert::Advert;
use starling_protocol::signed::Signed;
use starling_protocol::{codec, config};

fn adverts(world: &World, i: usize) -> Vec<Advert> {
    let of = world.published.iter().filter(|(by, _)| *by == i);
    let read = of.map(|(_, data)| codec::decode::<Signed<Advert>>(data, config::ADVERT_MAX));
    read.map(|a| a.expect("an advert").body).collect()
}

#[test]
fn a_boaster_claims_more_and_gets_no_less_justice() {
    for (factor, claimed) in [(4.0, 4_000_000), (0.5, 500_000), (1e-9, 1)] {
        let mut world = World::new(6, &[(5, vec![Strategy::LieAboutCapacity(factor)])]);
        let speeds: Vec<_> = adverts(&world, 5)
            .iter()
            .map(|a| a.kernels[0].units_per_s)
            .collect();
        assert!(
            !speeds.is_empty() && speeds.iter().all(|s| *s == claimed),
            "{speeds:?}"
        );
        world.submit(0, 8);
        assert!(world.run_jobs(1));
        assert!(world.caught().is_empty() && world.accusers().is_empty());
    }
}

#[test]
fn boasting_may_begin_later() {
    let then = vec![Strategy::LieAboutCapacity(4.0)];
    let mut world = World::new(6, &[(5, vec![Strategy::BehaveUntil { cv: 1, then }])]);
    world.submit(0, 8);
    assert!(world.run_jobs(1));
    world.run_for(20_000);
    let speeds: Vec<_> = adverts(&world, 5)
        .iter()
        .map(|a| a.kernels[0].units_per_s)
        .collect();
    assert_eq!(
        (speeds.first(), speeds.last()),
        (Some(&1_000_000), Some(&4_000_000))
    );
}

#[test]
fn a_wrong_clock_is_tolerated_or_ignored_but_never_blamed() {
    for seconds in [-3_600, -60, 60, 3_600] {
        let mut world = World::new(6, &[(5, vec![Strategy::SkewClock(seconds)])]);
        let issued = adverts(&world, 5).last().map(|a| a.issued_s);
        let right = adverts(&world, 4).last().map(|a| a.issued_s);
        let off = issued.zip(right).map(|(i, r)| i as i64 - r as i64);
        assert!(off.is_some_and(|o| o.abs_diff(seconds) <= 2), "{off:?}");
        world.submit(0, 8);
        assert!(world.run_jobs(1));
        assert!(world.caught().is_empty() && world.accusers().is_empty());
        let takes_part = !world.said(5, "LeaseRequest").is_empty();
        assert_eq!(takes_part, seconds.abs() <= 120);
        assert!(
            world
                .verified()
                .iter()
                .all(|v| !v.flags.weak && !v.flags.self_checked)
        );
    }
}

#[test]
fn a_requester_with_a_wrong_clock_gets_its_job_done() {
    for seconds in [-90, 90] {
        let mut world = World::new(6, &[(0, vec![Strategy::SkewClock(seconds)])]);
        world.submit(0, 8);
        assert!(world.run_jobs(1));
        assert_eq!(world.verified().len(), 8);
        assert!(world.caught().is_empty());
    }
}
