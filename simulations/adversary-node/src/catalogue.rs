//! The strategies by name: what a command line may say, and a list with each of them once.

use std::path::Path;

use serde::Deserialize;
use starling::cli::exit::{Exit, Failure};
use starling_adversaries::{Strategy, strategy};

/// Longest text of strategies, in bytes.
const TEXT_MAX: u64 = 64 * 1024;

/// Every kind of misbehaviour once, as a file writes it, and what it does.
pub const CATALOGUE: [(&str, &str); 27] = [
    ("\"fake_all\"", "fakes every tile that it is paid for"),
    // Far smaller shares pass now and then, as they must: `detect` counts how often.
    ("{ fake_share = 0.5 }", "fakes this share of its tiles"),
    ("\"copy\"", "commits to what others' openings have shown"),
    ("\"idle_on_leases\"", "takes leases and never commits"),
    ("\"withhold_openings\"", "never opens what was drawn"),
    (
        "\"open_when_lucky\", { fake_share = 0.5 }",
        "opens only draws that show none of its fakes",
    ),
    (
        "{ slow_walk = { delay_s = 4.0 } }",
        "says all that others wait for so much later",
    ),
    (
        "\"withhold_nonces\"",
        "witnesses, and reveals its nonces to friends alone",
    ),
    (
        "\"abandon_unlucky\", { ring = { fake_share = 0.5 } }",
        "drops a friend's lease when strangers would see its fakes",
    ),
    (
        "\"usurp\", { ring = { fake_share = 1.0 } }, \"censor_auditors\"",
        "leases to its friends beside the requester, and calls no other auditors",
    ),
    ("{ spoil = \"path\" }", "opens with paths that lead nowhere"),
    ("{ spoil = \"secret\" }", "hands over a wrong salt secret"),
    ("\"equivocate\"", "signs second roots, locks and seals"),
    ("\"audit_lazily\"", "audits without computing"),
    (
        "{ accuse_falsely = \"well_founded\" }",
        "accuses honest workers, with proofs that hold up to the tile",
    ),
    (
        "{ accuse_falsely = \"invalid\" }",
        "accuses honest workers, with proofs that do not hold",
    ),
    (
        "{ accuse_falsely = \"bare\" }",
        "accuses honest workers without a proof",
    ),
    (
        "{ ring = { fake_share = 0.5 } }",
        "fakes as its friends do, and vouches for them",
    ),
    (
        "{ lie_about_capacity = 100.0 }",
        "claims so many times its speed",
    ),
    (
        "{ flood = { messages_per_s = 200 } }",
        "sends noise, some of it well signed",
    ),
    (
        "{ replay = { messages_per_s = 200 } }",
        "says again what was said",
    ),
    (
        "{ skew_clock = 3600 }",
        "its clock is wrong by so many seconds",
    ),
    (
        "{ behave_until = { cv = 2, then = [\"fake_all\"] } }",
        "misbehaves after so many receipts",
    ),
    (
        "\"stuff_roster\"",
        "asks, and works for, nobody but its friends",
    ),
    (
        "\"censor_auditors\"",
        "calls no auditors but its friends for its own jobs",
    ),
    (
        "{ ring = { fake_share = 1.0 } }, \"stuff_roster\", \"censor_auditors\"",
        "the worst requester: a ring that works and audits for itself",
    ),
    ("\"silent\"", "hears everything and never answers"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    strategies: Vec<Strategy>,
}

/// The strategies in a file (`strategies = [...]`, as in the simulator's experiments), or in the text itself: such a
/// file's contents, or only what stands between the brackets.
///
/// # Errors
/// What is wrong with them.
pub fn parse(text: &str) -> Result<Vec<Strategy>, Failure> {
    let usage = |what: String| {
        let fix = "`starling-adversary strategies` lists what there is";
        Failure::new(Exit::Usage, what, fix)
    };
    let path = Path::new(text);
    let text = match std::fs::metadata(path) {
        Ok(about) if about.is_file() && about.len() <= TEXT_MAX => std::fs::read_to_string(path)
            .map_err(|e| usage(format!("cannot read {}: {e}", path.display())))?,
        Ok(_) => {
            return Err(usage(format!(
                "{} is no file of strategies",
                path.display()
            )));
        }
        Err(_) => text.to_owned(),
    };
    let text = match text.contains("strategies") {
        true => text,
        false => format!("strategies = [{text}]"),
    };
    let list: List = toml::from_str(&text).map_err(|e| usage(e.message().to_owned()))?;
    strategy::check(&list.strategies).map_err(|e| usage(e.to_string()))?;
    Ok(list.strategies)
}

/// Names of a list, for people.
pub fn title(strategies: &[Strategy]) -> String {
    let names: Vec<String> = strategies.iter().map(named).collect();
    if names.is_empty() {
        "none".into()
    } else {
        names.join("+")
    }
}

fn named(strategy: &Strategy) -> String {
    let name = strategy.name();
    match strategy {
        Strategy::FakeShare(share) => format!("{name} {share}"),
        Strategy::Spoil(spoilt) => format!("{name} {spoilt:?}").to_lowercase(),
        Strategy::AccuseFalsely(how) => format!("{name} {how:?}").to_lowercase(),
        Strategy::Ring { fake_share } => format!("{name} {fake_share}"),
        Strategy::BehaveUntil { cv, then } => format!("{name} {cv} {}", title(then)),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Fails to compile when a strategy is added, and then in the test below until the catalogue has it.
    fn kinds(strategy: &Strategy) -> usize {
        match strategy {
            Strategy::FakeAll
            | Strategy::FakeShare(_)
            | Strategy::Copy
            | Strategy::IdleOnLeases
            | Strategy::WithholdOpenings
            | Strategy::OpenWhenLucky
            | Strategy::SlowWalk { .. }
            | Strategy::WithholdNonces
            | Strategy::AbandonUnlucky
            | Strategy::Usurp
            | Strategy::Spoil(_)
            | Strategy::Equivocate
            | Strategy::AuditLazily
            | Strategy::AccuseFalsely(_)
            | Strategy::Ring { .. }
            | Strategy::LieAboutCapacity(_)
            | Strategy::Flood { .. }
            | Strategy::Replay { .. }
            | Strategy::SkewClock(_)
            | Strategy::BehaveUntil { .. }
            | Strategy::StuffRoster
            | Strategy::CensorAuditors
            | Strategy::Silent => 23,
        }
    }

    #[test]
    fn the_catalogue_parses_and_has_every_kind() {
        let mut names = BTreeSet::new();
        let mut titles = BTreeSet::new();
        let mut all = 0;
        for (text, _) in CATALOGUE {
            let strategies = parse(text).expect(text);
            all = strategies.first().map_or(0, kinds);
            names.extend(strategies.iter().map(Strategy::name));
            titles.insert(title(&strategies));
        }
        assert_eq!(names.len(), all);
        assert_eq!(titles.len(), CATALOGUE.len(), "two share a title");
    }

    #[test]
    fn what_is_no_strategy_is_refused_with_a_fix() {
        for text in [
            "\"fake_some\"",
            "{ fake_share = 2.0 }",
            "]",
            "strategies = 3",
        ] {
            let failure = parse(text).expect_err(text);
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.fix.is_some());
        }
    }
}
