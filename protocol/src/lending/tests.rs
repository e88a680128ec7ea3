use super::*;
use alloc::string::ToString as _;
use alloc::vec;

const NOW: u64 = 1_800_000_000;

fn with(rules: Rules) -> Lending {
    Lending::new(Switch::On, rules)
}

/// A machine that nobody uses.
fn quiet() -> Readings {
    Readings {
        idle_s: Some(3_600),
        full_screen: Some(false),
        apps: Some(vec![]),
        foreign_gpu_pct: Some(0),
        on_battery: Some(false),
        temperature_c: Some(40),
        memory_pct: Some(50),
        minute: 0,
    }
}

fn strict() -> Rules {
    Rules {
        idle_s: Some(600),
        full_screen: true,
        apps: vec!["game".into()],
        foreign_gpu_pct: Some(10),
        battery: true,
        hours: vec!["22:00-08:00".parse().expect("hours")],
        temperature_c: Some(80),
        memory_pct: Some(90),
        shares: Shares {
            duty_pct: Some(50),
            ..Shares::default()
        },
    }
}

fn codes(against: &[Objection]) -> Vec<&'static str> {
    against.iter().map(Objection::code).collect()
}

#[test]
fn without_rules_it_lends_whatever_happens() {
    let busy = Readings {
        idle_s: Some(0),
        full_screen: Some(true),
        on_battery: Some(true),
        temperature_c: Some(120),
        ..quiet()
    };
    assert_eq!(Lending::default().judge(NOW, &busy), []);
    assert_eq!(with(strict()).judge(NOW, &quiet()), []);
}

#[test]
fn the_owners_word_counts_most_and_everything_is_told() {
    let mut lending = with(strict());
    lending.switch = Switch::Off;
    let busy = Readings {
        idle_s: Some(5),
        full_screen: Some(true),
        apps: Some(vec!["game".into()]),
        foreign_gpu_pct: Some(90),
        on_battery: Some(true),
        temperature_c: Some(81),
        memory_pct: Some(91),
        minute: 12 * 60,
    };
    let expected = [
        "lending_off",
        "out_of_hours",
        "machine_in_use",
        "full_screen",
        "app_runs",
        "gpu_in_use",
        "on_battery",
        "too_hot",
        "memory_short",
    ];
    let against = lending.judge(NOW, &busy);
    assert_eq!(codes(&against), expected);
    assert!(
        against
            .iter()
            .all(|o| !o.to_string().is_empty() && !o.fix().is_empty())
    );
    for rule in Rule::ALL {
        let expected = match rule {
            Rule::Duty => Standing::Limits,
            Rule::Upload | Rule::Download => Standing::Off,
            _ => Standing::Forbids,
        };
        assert_eq!(lending.standing(rule, &busy), expected, "{rule:?}");
    }
}

#[test]
fn a_pause_ends_by_itself_if_it_has_an_end() {
    let until_s = Some(NOW + 60);
    let mut lending = Lending::new(Switch::Paused { until_s }, Rules::default());
    assert_eq!(
        codes(&lending.judge(NOW + 59, &quiet())),
        ["lending_paused"]
    );
    assert_eq!(lending.judge(NOW + 60, &quiet()), []);
    assert_eq!(lending.switch, Switch::On);
    lending.switch = Switch::Paused { until_s: None };
    assert_eq!(
        codes(&lending.judge(NOW + 1_000_000, &quiet())),
        ["lending_paused"]
    );
}

#[test]
fn what_comes_and_goes_by_the_second_has_to_be_over_for_a_while() {
    let mut lending = with(strict());
    let mut now = quiet();
    now.full_screen = Some(true);
    assert_eq!(codes(&lending.judge(NOW, &now)), ["full_screen"]);
    now.full_screen = Some(false);
    assert_eq!(
        codes(&lending.judge(NOW + CALM_S - 1, &now)),
        ["full_screen"]
    );
    assert_eq!(lending.judge(NOW + CALM_S, &now), []);
    now.foreign_gpu_pct = Some(11);
    assert_eq!(codes(&lending.judge(NOW + 100, &now)), ["gpu_in_use"]);
    lending.rules.foreign_gpu_pct = None;
    assert_eq!(
        lending.judge(NOW + 101, &now),
        [],
        "a rule that is gone objects no more"
    );
}

#[test]
fn a_device_that_was_too_hot_has_to_cool_down() {
    let mut lending = with(strict());
    let mut now = quiet();
    let mut too_hot = |temperature_c, at| {
        now.temperature_c = Some(temperature_c);
        !lending.judge(NOW + at, &now).is_empty()
    };
    assert!(!too_hot(80, 0));
    assert!(too_hot(81, 1));
    assert!(too_hot(76, 1_000));
    assert!(!too_hot(75, 1_001));
    assert!(!too_hot(80, 1_002));
}

#[test]
fn a_rule_without_its_sensor_speaks_against_nothing() {
    let mut lending = with(strict());
    let blind = Readings {
        minute: 23 * 60,
        ..Readings::default()
    };
    assert_eq!(lending.judge(NOW, &blind), []);
    for rule in Rule::ALL {
        let expected = match rule {
            Rule::Hours => Standing::Allows,
            Rule::Duty => Standing::Limits,
            Rule::Upload | Rule::Download => Standing::Off,
            _ => Standing::Unknown,
        };
        assert_eq!(lending.standing(rule, &blind), expected, "{rule:?}");
        assert_eq!(Lending::default().standing(rule, &blind), Standing::Off);
    }
}
