//! Strategies as experiments write them down.

use serde::Deserialize;
use starling_adversaries::{
    Accusation, Forfeits, Spoilt, Strategy, StrategyError, forfeits, strategy,
};

#[derive(Debug, Deserialize)]
struct Population {
    strategies: Vec<Strategy>,
}

fn read(list: &str) -> Result<Vec<Strategy>, toml::de::Error> {
    toml::from_str::<Population>(&format!("strategies = [{list}]")).map(|p| p.strategies)
}

#[test]
fn every_strategy_has_its_form_in_a_file() {
    let fake_share = 0.1;
    let flood = Strategy::Flood { messages_per_s: 50 };
    let forms = [
        (r#""fake_all""#, Strategy::FakeAll),
        ("{ fake_share = 0.1 }", Strategy::FakeShare(fake_share)),
        (r#""copy""#, Strategy::Copy),
        (r#""idle_on_leases""#, Strategy::IdleOnLeases),
        (r#""withhold_openings""#, Strategy::WithholdOpenings),
        (r#""open_when_lucky""#, Strategy::OpenWhenLucky),
        (
            "{ slow_walk = { delay_s = 4.0 } }",
            Strategy::SlowWalk { delay_s: 4.0 },
        ),
        (r#""withhold_nonces""#, Strategy::WithholdNonces),
        (r#""abandon_unlucky""#, Strategy::AbandonUnlucky),
        (r#""usurp""#, Strategy::Usurp),
        (r#"{ spoil = "secret" }"#, Strategy::Spoil(Spoilt::Secret)),
        (r#""equivocate""#, Strategy::Equivocate),
        (r#""audit_lazily""#, Strategy::AuditLazily),
        (
            r#"{ accuse_falsely = "well_founded" }"#,
            Strategy::AccuseFalsely(Accusation::WellFounded),
        ),
        (
            r#"{ accuse_falsely = "invalid" }"#,
            Strategy::AccuseFalsely(Accusation::Invalid),
        ),
        (
            r#"{ accuse_falsely = "bare" }"#,
            Strategy::AccuseFalsely(Accusation::Bare),
        ),
        (
            "{ ring = { fake_share = 0.1 } }",
            Strategy::Ring { fake_share },
        ),
        (
            "{ lie_about_capacity = 4.0 }",
            Strategy::LieAboutCapacity(4.0),
        ),
        ("{ flood = { messages_per_s = 50 } }", flood.clone()),
        (
            "{ replay = { messages_per_s = 50 } }",
            Strategy::Replay { messages_per_s: 50 },
        ),
        ("{ skew_clock = -30 }", Strategy::SkewClock(-30)),
        (
            r#"{ behave_until = { cv = 5, then = ["fake_all", { flood = { messages_per_s = 50 } }] } }"#,
            Strategy::BehaveUntil {
                cv: 5,
                then: vec![Strategy::FakeAll, flood],
            },
        ),
        (r#""stuff_roster""#, Strategy::StuffRoster),
        (r#""censor_auditors""#, Strategy::CensorAuditors),
        (r#""silent""#, Strategy::Silent),
    ];
    for (text, strategy) in forms {
        assert!(text.contains(strategy.name()));
        assert_eq!(strategy.check(), Ok(()));
        assert_eq!(read(text).expect(text), [strategy]);
    }
}

#[test]
fn unknown_words_are_refused() {
    for text in [
        r#""fake""#,
        "{ ring = { fake_share = 0.1, size = 3 } }",
        "{ flood = {} }",
        r#"{ accuse_falsely = "loudly" }"#,
        "{ behave_until = { cv = 5 } }",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn impossible_values_are_named() {
    for (text, wrong) in [
        ("{ fake_share = 1.5 }", "fake_share"),
        ("{ fake_share = -0.1 }", "fake_share"),
        ("{ fake_share = nan }", "fake_share"),
        ("{ ring = { fake_share = 2.0 } }", "ring.fake_share"),
        ("{ lie_about_capacity = 0.0 }", "lie_about_capacity"),
        ("{ slow_walk = { delay_s = -1.0 } }", "slow_walk.delay_s"),
        ("{ lie_about_capacity = inf }", "lie_about_capacity"),
        ("{ flood = { messages_per_s = 0 } }", "flood.messages_per_s"),
        (
            "{ replay = { messages_per_s = 100001 } }",
            "replay.messages_per_s",
        ),
        (
            r#"{ behave_until = { cv = 0, then = ["silent"] } }"#,
            "behave_until.cv",
        ),
        (
            "{ behave_until = { cv = 1, then = [] } }",
            "behave_until.then",
        ),
        (
            "{ behave_until = { cv = 1, then = [{ fake_share = 7.0 }] } }",
            "fake_share",
        ),
    ] {
        let list = read(text).expect(text);
        let Err(StrategyError::Range { field, range }) = strategy::check(&list) else {
            panic!("{text} passes");
        };
        assert_eq!(field, wrong, "{text}");
        assert!(!range.is_empty());
    }
    let both = [Strategy::Copy, Strategy::AuditLazily];
    let conflict = StrategyError::Conflict {
        one: "copy",
        other: "audit_lazily",
    };
    assert_eq!(strategy::check(&both), Err(conflict));
}

#[test]
fn faults_forfeit_nothing_and_lies_do() {
    let faults = [
        Strategy::Silent,
        Strategy::SkewClock(500),
        Strategy::IdleOnLeases,
        Strategy::WithholdNonces,
        Strategy::LieAboutCapacity(2.0),
        Strategy::Flood { messages_per_s: 1 },
    ];
    assert_eq!(forfeits(&faults), Forfeits::default());
    assert!(!forfeits(&faults).dishonest());
    let ring = forfeits(&[Strategy::Ring { fake_share: 0.1 }]);
    assert!(ring.blamable() && ring.audits && ring.own_jobs && !ring.accuses);
    let asleep = Strategy::BehaveUntil {
        cv: 1,
        then: vec![Strategy::Silent],
    };
    assert!(forfeits(&[asleep]).blamable());
}
