//! An owner's word and rules, at a running peer.

use chrono::Datelike as _;
use rustix::process::Signal;
use serde_json::Value;

use crate::jobs::two_peers_with;
use crate::support::Place;

pub fn is_lending(value: &Value, lends: bool) -> bool {
    value["happening"] == "lending" && value["lends"] == lends
}

#[test]
fn a_pause_hands_back_what_is_computed_and_others_go_on() {
    let place = Place::new();
    let [_first, mut other] = two_peers_with(&place, "1500");
    let job = [
        "run",
        "fractal",
        "--size",
        "1280x960",
        "--iterations",
        "20000",
    ];
    let job = [
        &job[..],
        &["-o", "net.png", "--detach", "--peers", "2", "--json"],
    ]
    .concat();
    let id = place.run("a", &job).expect(0).json();
    let id = id["job"].as_str().unwrap().to_owned();
    other.process.until(|e| e["event"] == "working");

    let pause = ["lend", "pause", "--for", "1h", "--json"];
    let paused = place.run("b", &pause).expect(0).json();
    assert_eq!(paused["lends"], false);
    assert_eq!(paused["reason"]["code"], "lending_paused");
    other.process.until(|e| is_lending(e, false));
    other
        .process
        .until(|e| e["event"] == "lost" && e["reason"] == "not_lending");
    let watched = place
        .run("a", &["job", "watch", &id, "--json"])
        .expect(0)
        .json();
    assert_eq!(watched["state"], "done");
    assert_eq!(watched["cheats"].as_array().unwrap().len(), 0);

    let said = place.run("b", &["lend"]).expect(0).stdout;
    assert!(said.starts_with("not lending: lending is paused"), "{said}");
    place.run("b", &["lend", "on"]).expect(0);
    other.process.until(|e| is_lending(e, true));
}

#[test]
fn what_the_owner_said_outlives_a_restart() {
    let place = Place::new();
    let mut up = place.up("a", &[]);
    place.run("a", &["lend", "off"]).expect(0);
    up.process.until(|e| is_lending(e, false));
    up.process.signal(Signal::TERM);
    up.process.end().expect(0);
    place.run("a", &["lend", "why"]).expect(3);
    let up = place.up("a", &[]);
    let view = place.run("a", &["lend", "--json"]).expect(0).json();
    assert_eq!(
        (&view["lends"], &view["switch"]),
        (&false.into(), &"off".into())
    );
    place.run("a", &["lend", "on"]).expect(0);
    drop(up);
    let mut up = place.up("a", &["--no-lend"]);
    let view = place.run("a", &["lend", "--json"]).expect(0).json();
    assert_eq!(view["reason"]["code"], "lending_off");
    place.run("a", &["lend", "on"]).expect(0);
    up.process.until(|e| is_lending(e, true));
}

#[test]
fn rules_count_as_soon_as_they_are_written() {
    let place = Place::new();
    let mut up = place.up("a", &[]);
    // Two days off, whatever the clock does meanwhile.
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let today = chrono::Local::now().weekday().num_days_from_monday() as usize;
    let later = days[(today + 2) % 7];
    place.run("a", &["lend", "schedule", later]).expect(0);
    let closed = up.process.until(|e| is_lending(e, false));
    assert_eq!(closed["why"]["code"], "out_of_hours");
    let view = place.run("a", &["lend", "why", "--json"]).expect(0).json();
    assert!(
        view["against"][0]["params"]["opens_in_min"]
            .as_u64()
            .unwrap()
            > 0
    );
    place.run("a", &["lend", "schedule", "--always"]).expect(0);
    up.process.until(|e| is_lending(e, true));
    // This program runs.
    place
        .run("a", &["lend", "apps", "add", "starling"])
        .expect(0);
    let runs = up.process.until(|e| is_lending(e, false));
    assert_eq!(runs["why"]["params"]["app"], "starling");
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let place = Place::new();
    for args in [
        &["lend", "limits", "--temperature", "500"][..],
        &["lend", "limits", "--duty", "0"],
        &["lend", "limits", "--idle", "soon"],
        &["lend", "schedule", "25:00-26:00"],
        &["lend", "apps", "remove", "nothing"],
        &["lend", "pause", "--for", "1w"],
        &["config", "set", "lend.hours", "fri 8-10"],
    ] {
        place.run("a", args).expect(2);
    }
    place
        .run(
            "a",
            &["lend", "limits", "--idle", "10m", "--battery", "lend"],
        )
        .expect(0);
    let config = std::fs::read_to_string(place.path("a").join("config.toml")).unwrap();
    assert!(config.contains("idle_s = 600") && config.contains("battery = \"lend\""));
}
