//! Scenario files: what is wrong with one is said with its place and its cure.

use crate::shipped;
use starling_sim::Scenario;
use starling_sim::scenario::Role;
use std::path::Path;

const GOOD: &str =
    "peers = 5\n\n[job]\ntiles = 64\ntile_bytes = 4096\nunits_per_tile = 1000\nslice_tiles = 64\n";

/// The error of a scenario file with this text.
fn refusal(text: &str) -> String {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("bad.toml");
    std::fs::write(&path, text).expect("a file");
    Scenario::load(&path)
        .expect_err("the scenario is bad")
        .to_string()
}

#[test]
fn a_missing_file_is_named() {
    let error = Scenario::load(Path::new("no/such/file.toml"))
        .expect_err("there is none")
        .to_string();
    assert!(
        error.contains("no/such/file.toml") && error.contains("No such file"),
        "{error}"
    );
}

#[test]
fn unknown_missing_and_mistyped_fields_are_told_with_their_line() {
    let error = refusal(&GOOD.replace("peers = 5\n", "peers = 5\npears = 6\n"));
    assert!(
        error.contains("line 2") && error.contains("unknown field `pears`"),
        "{error}"
    );
    let error = refusal(&format!("{GOOD}\n[network]\nlatency = 3\n"));
    assert!(
        error.contains("line 10") && error.contains("`latency`") && error.contains("`base_ms`"),
        "{error}"
    );
    let error = refusal(&GOOD.replace("tiles = 64\ntile", "tiles = \"many\"\ntile"));
    assert!(
        error.contains("line 4") && error.contains("invalid type"),
        "{error}"
    );
    let error = refusal(&GOOD.replace("units_per_tile = 1000\n", ""));
    assert!(error.contains("missing field `units_per_tile`"), "{error}");
}

#[test]
fn values_out_of_range_are_told_with_their_range() {
    let cases = [
        (
            GOOD.replace("peers = 5", "peers = 1"),
            "`peers`",
            "2 to 4096",
        ),
        (
            GOOD.replace("peers = 5", "peers = 5\ncheats = 3\nsilent = 2"),
            "`cheats`",
            "fewer than `peers`",
        ),
        (
            GOOD.replace("slice_tiles = 64", "slice_tiles = 5000"),
            "`job.slice_tiles`",
            "1024",
        ),
        (
            GOOD.replace("tiles = 64\ntile", "tiles = 0\ntile"),
            "`job.tiles`",
            "1 to 2^24",
        ),
        (
            format!("{GOOD}[network]\nloss = 1.5\n"),
            "`network.loss`",
            "0 to 1",
        ),
        (
            format!("{GOOD}[network]\nbase_ms = nan\n"),
            "`network.base_ms`",
            "0 to 60000",
        ),
        (
            format!("{GOOD}[devices]\nspread = 0.5\n"),
            "`devices.spread`",
            "1 to 1000",
        ),
    ];
    for (text, field, range) in cases {
        let error = refusal(&text);
        assert!(error.contains(field) && error.contains(range), "{error}");
    }
}

#[test]
fn a_scenario_survives_its_own_writing() {
    for name in ["one_job.toml", "small_job.toml"] {
        let scenario = Scenario::load(&shipped(name)).expect("the shipped scenario loads");
        assert_eq!(toml_of(&scenario.to_toml()), scenario, "{name}");
    }
}

fn toml_of(text: &str) -> Scenario {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("copy.toml");
    std::fs::write(&path, text).expect("a file");
    Scenario::load(&path).expect("a copy loads")
}

#[test]
fn roles_are_told_from_the_number() {
    let mut scenario = toml_of(GOOD);
    (scenario.cheats, scenario.silent) = (2, 1);
    let roles: Vec<_> = (0..5).map(|peer| scenario.role(peer)).collect();
    assert_eq!(
        roles,
        [
            Role::Requester,
            Role::Cheat,
            Role::Cheat,
            Role::Honest,
            Role::Silent
        ]
    );
}
