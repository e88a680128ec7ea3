//! What a requester that owns a share of its roster can make by itself.

use starling_protocol::manifest::Intensity;
use starling_sim::forge::{Forger, Strengths, Wanted, at_least};

const LEAST: Wanted = Wanted {
    intensity: Intensity {
        k: 8,
        s: 1,
        p_full: 3_277,
    },
    weak: false,
};

#[test]
fn a_receipt_for_nothing_is_valid_without_a_flag_and_has_no_strength() {
    let forger = Forger::new(64, 0.33, 1);
    let forged = forger.forge(LEAST, 100_000).expect("it verifies");
    let verified = forged.verified.expect("it takes some tries");
    assert_eq!(verified.flags.names().next(), None);
    assert!(verified.committee.len() >= 6);
    let strengths = Strengths::of([(&verified, &forger.honest)].into_iter());
    assert_eq!((strengths.all, strengths.least), (0.0, 0));
}

#[test]
fn who_has_fewer_keys_than_a_quorum_forges_nothing() {
    let forger = Forger::new(41, 0.1, 1);
    let attempt = forger.forge(LEAST, 2_000);
    let attempt = attempt.expect("nothing that fails to verify");
    assert!(attempt.verified.is_none());
    assert_eq!(forger.expected(LEAST).1, f64::INFINITY);
}

#[test]
fn chances_of_small_draws_are_those_that_can_be_counted() {
    let near = |chance: f64, counted: f64| assert!((chance - counted).abs() < 1e-9, "{chance}");
    // Of the six pairs of four one has neither of two, and one both.
    near(at_least(4, 2, 2, 1), 5.0 / 6.0);
    near(at_least(4, 2, 2, 2), 1.0 / 6.0);
    near(at_least(5, 4, 3, 2), 1.0);
    near(at_least(5, 1, 3, 2), 0.0);
}

/// The tries are those of a fair draw: a forger's keys are drawn neither together nor apart.
#[test]
fn forging_takes_the_tries_that_its_share_makes_it_take() {
    const FORGERS: u64 = 40;
    let intensity = Intensity::newcomer(16);
    let newcomer = |weak| Wanted { intensity, weak };
    for wanted in [newcomer(true), newcomer(false), LEAST] {
        let (mut ids, mut roots, mut expected) = (0, 0, (0.0, 0.0));
        for seed in 1..=FORGERS {
            let forger = Forger::new(64, 0.33, seed);
            let attempt = forger.forge(wanted, 100_000).expect("it verifies");
            assert!(attempt.verified.is_some());
            ids += attempt.ids;
            roots += attempt.roots;
            expected = forger.expected(wanted);
        }
        for (tried, expected) in [(ids, expected.0), (roots, expected.1)] {
            let ratio = tried as f64 / FORGERS as f64 / expected;
            assert!(
                (0.5..2.0).contains(&ratio),
                "{wanted:?}: {ratio} times {expected}"
            );
        }
    }
}
