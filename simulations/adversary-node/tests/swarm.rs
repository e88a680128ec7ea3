//! A few real processes, some of which misbehave: the small size of what `scripts/soak` does with twenty.
//!
//! One test for all of it, so that the cores are not shared among several swarms; and that everybody ends.

use std::process::{Command, Output};

use serde_json::Value;

fn adversary(args: &[&str]) -> (Output, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_starling-adversary"))
        .args(args)
        .output()
        .expect("the program runs");
    let last = output
        .stdout
        .split(|b| *b == b'\n')
        .rfind(|l| !l.is_empty());
    let value = last.and_then(|line| serde_json::from_slice(line).ok());
    (output, value.unwrap_or_default())
}

#[track_caller]
fn good(args: &[&str]) -> Value {
    let (output, value) = adversary(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {value:#}\n{said}");
    value
}

#[test]
fn honest_peers_stand_a_few_adversaries() {
    let cheats = good(&[
        "--json",
        "swarm",
        "--processes",
        "6",
        "--adversaries",
        "2",
        "--jobs",
        "2",
        "--strategy",
        "\"fake_all\"",
        "--strategy",
        "{ accuse_falsely = \"well_founded\" }",
        "--strategy",
        "{ spoil = \"secret\" }",
    ]);
    for case in cheats["cases"].as_array().expect("cases") {
        assert_eq!(
            (&case["equal"], &case["wronged"]),
            (&2.into(), &0.into()),
            "{case:#}"
        );
    }
    // Certain, unlike smaller shares: the formula holds without any luck.
    let detected = good(&[
        "--json",
        "detect",
        "--q",
        "1",
        "--lenders",
        "5",
        "--slices",
        "6",
    ]);
    assert_eq!(detected["shares"][0]["refuted"], 6, "{detected:#}");
    let flooded = good(&[
        "--json",
        "flood",
        "--seconds",
        "3",
        "--strategy",
        "{ flood = { messages_per_s = 500 } }",
    ]);
    assert_eq!(flooded["floods"][0]["fallen"], 0, "{flooded:#}");

    let passed_on = good(&["--json", "starling", "version"]);
    assert!(passed_on["version"].is_string(), "{passed_on:#}");
    let (output, _) = adversary(&["strategies"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"fake_all\""));
    let (output, failure) = adversary(&["--json", "swarm", "--strategy", "\"fake_some\""]);
    assert_eq!(
        (output.status.code(), &failure["code"]),
        (Some(2), &"usage".into())
    );
}

/// Homes in a folder that a running process holds.
#[cfg(unix)]
fn held(folder: &std::path::Path) -> usize {
    let homes = std::fs::read_dir(folder).into_iter().flatten().flatten();
    homes
        .filter(|home| starling::home::Home::is_open(&home.path()))
        .count()
}

#[cfg(unix)]
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("never: {what}");
}

#[cfg(unix)]
#[test]
fn whoever_is_told_to_end_takes_all_along() {
    use rustix::process::{Pid, Signal, kill_process};
    use std::process::{Child, Stdio};

    let folder = tempfile::tempdir().expect("a folder");
    let start = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_starling-adversary"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program runs")
    };
    let end = |mut child: Child, signal: Signal| {
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).expect("it runs");
        child.wait().expect("it ends").code()
    };
    let stage = folder.path().join("stage");
    let keep = stage.display().to_string();
    let args = [
        "swarm",
        "--processes",
        "4",
        "--adversaries",
        "1",
        "--jobs",
        "10000",
        "--strategy",
        "\"silent\"",
    ];
    let swarm = start(&[&args[..], &["--keep", &keep]].concat());
    eventually("four processes run", || held(&stage) >= 4);
    assert_eq!(end(swarm, Signal::INT), Some(130));
    eventually("all of them have ended", || held(&stage) == 0);

    // The swarm's file is still there: one adversary alone in it.
    let (home, genesis) = (folder.path().join("alone"), stage.join("genesis.toml"));
    let (home, genesis) = (home.display().to_string(), genesis.display().to_string());
    let up = start(&[
        "up",
        "--home",
        &home,
        "--genesis",
        &genesis,
        "--strategy",
        "\"copy\"",
    ]);
    eventually("it runs", || held(folder.path()) == 1);
    assert_eq!(end(up, Signal::TERM), Some(0));
}
