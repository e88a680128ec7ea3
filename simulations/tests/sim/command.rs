//! The command line: files, streams and exit codes.

use crate::shipped;
use std::fs;
use std::process::{Command, Output};

fn starling_sim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starling-sim"))
        .args(args)
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn out_holds_what_repeats_the_run_and_json_repeats_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("deep/run");
    let out_text = out.display().to_string();
    let small = shipped("small_job.toml").display().to_string();
    let done = starling_sim(&["run", &small, "--seed", "5", "--json", "--out", &out_text]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("stdout is JSON");
    assert_eq!(report["trace_hash"].as_str().map(str::len), Some(64));
    assert_eq!(
        fs::read_to_string(out.join("report.json"))
            .expect("a report")
            .trim_end(),
        text(&done.stdout).trim_end()
    );
    assert_eq!(fs::read_to_string(out.join("seed")).expect("a seed"), "5\n");
    assert!(
        fs::read_to_string(out.join("trace.txt"))
            .expect("a trace")
            .contains("requester -> peer-")
    );

    let copy = out.join("scenario.toml").display().to_string();
    let again = starling_sim(&["run", &copy, "--seed", "5", "--json"]);
    assert_eq!(
        text(&again.stdout),
        text(&done.stdout),
        "the written scenario repeats the run"
    );
}

#[test]
fn exit_codes_tell_good_runs_bad_runs_and_wrong_usage() {
    let small = shipped("small_job.toml").display().to_string();
    let good = starling_sim(&["run", &small]);
    assert_eq!(good.status.code(), Some(0));
    assert!(text(&good.stdout).contains("1 of 1 slices") && good.stderr.is_empty());

    let missing = starling_sim(&["run", "no/such.toml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).starts_with("error: cannot read the scenario no/such.toml"));

    let dir = tempfile::tempdir().expect("a temporary folder");
    let short = dir.path().join("short.toml").display().to_string();
    let hurried = fs::read_to_string(&small)
        .expect("a scenario")
        .replace("peers = 5", "peers = 5\nhorizon_s = 3");
    fs::write(
        &short,
        hurried.replace("units_per_tile = 4000000", "units_per_tile = 4000000000"),
    )
    .expect("a file");
    let undone = starling_sim(&["run", &short]);
    assert_eq!(undone.status.code(), Some(1));
    assert!(text(&undone.stdout).contains("not done by the horizon"));
    assert!(
        text(&undone.stderr).contains("--seed 1"),
        "a failing run says how to repeat it"
    );

    assert_eq!(starling_sim(&["run"]).status.code(), Some(2));
    assert_eq!(
        starling_sim(&["run", &small, "--json", "--trace"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        starling_sim(&["run", &small, "--seed", "first"])
            .status
            .code(),
        Some(2)
    );
}
