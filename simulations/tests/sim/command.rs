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
fn a_folder_holds_what_repeats_the_run() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("run");
    let folder = out.display().to_string();
    let small = shipped("small_job.toml").display().to_string();
    let done = starling_sim(&["run", &small, "--seed", "5", "--json", "--out", &folder]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("stdout is JSON");
    let hash = report["trace_hash"].as_str().expect("a trace hash");
    assert_eq!(hash.len(), 16);
    for file in [
        "experiment.toml",
        "run.json",
        "results.csv",
        "results.json",
        "results.parquet",
        "jobs.parquet",
        "report.html",
    ] {
        assert!(out.join(file).is_file(), "{file} is missing");
    }
    let again = starling_sim(&["replay", &folder, "--cell", "0", "--seed", "5"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains(&format!("the same run: trace hash {hash}")));
    let never = starling_sim(&["replay", &folder, "--cell", "0", "--seed", "6"]);
    assert_eq!(never.status.code(), Some(1), "seed 6 was never run");
}

#[test]
fn a_sweep_goes_on_where_it_was_and_shows_what_differs() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("sweep.toml");
    let small = fs::read_to_string(shipped("small_job.toml")).expect("a scenario");
    let swept = format!(
        "{small}\n[seeds]\ncount = 3\n[[sweep]]\nkey = \"network.one_way_ms\"\nvalues = [5.0, 80.0]\n"
    );
    fs::write(&file, swept).expect("a file");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let sweep = |out: &str| {
        starling_sim(&[
            "sweep",
            &file.display().to_string(),
            "--out",
            &path(out),
            "--json",
        ])
    };
    let first = sweep("a");
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    let cells = |out: &str| {
        fs::read_dir(dir.path().join(out).join("cells"))
            .expect("cells")
            .count()
    };
    assert_eq!(cells("a"), 6);
    fs::remove_file(dir.path().join("a/cells/00001-2.json")).expect("it was there");
    let before = fs::metadata(dir.path().join("a/cells/00000-1.json"))
        .and_then(|m| m.modified())
        .expect("a time");
    let second = sweep("a");
    assert_eq!(
        (text(&second.stdout), cells("a")),
        (text(&first.stdout), 6),
        "the same results again"
    );
    let after = fs::metadata(dir.path().join("a/cells/00000-1.json"))
        .and_then(|m| m.modified())
        .expect("a time");
    assert_eq!(before, after, "what was finished is not run again");

    assert_eq!(sweep("b").status.code(), Some(0));
    let same = starling_sim(&["compare", &path("a"), &path("b")]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stderr));
    assert_eq!(starling_sim(&["report", &path("a")]).status.code(), Some(0));

    fs::write(&file, format!("{small}\n[seeds]\ncount = 4\n")).expect("a file");
    let other = sweep("a");
    assert_eq!(other.status.code(), Some(1));
    assert!(
        text(&other.stderr).contains("another experiment")
            || text(&other.stderr).contains("--force"),
        "{}",
        text(&other.stderr)
    );
    assert_eq!(cells("a"), 6, "nothing is lost by it");
}

/// Half of the runs are gone again, those beyond `count` among them: the same command brings back what the rule asks for.
#[test]
fn the_stop_rule_also_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (file, out) = (dir.path().join("rule.toml"), dir.path().join("out"));
    let small = fs::read_to_string(shipped("small_job.toml")).expect("a scenario");
    let rule = "[seeds]\ncount = 2\nmost = 6\nstop = [\"placement_ms\"]\n";
    fs::write(&file, format!("{small}\n{rule}")).expect("a file");
    let (file, folder) = (file.display().to_string(), out.display().to_string());
    let sweep = || {
        let done = starling_sim(&["sweep", &file, "--out", &folder]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        let cells = fs::read_dir(out.join("cells")).expect("cells").flatten();
        let mut names: Vec<_> = cells.map(|c| c.file_name()).collect();
        names.sort();
        names
    };
    let all = sweep();
    assert!(all.len() > 2, "so few runs cannot meet the rule: {all:?}");
    fs::remove_file(out.join("cells").join(&all[all.len() - 1])).expect("it was there");
    assert_eq!(sweep(), all);
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_keeps_what_is_finished() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let out = dir.path().join("long");
    let one = shipped("one_job.toml").display().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_starling-sim"))
        .args([
            "sweep",
            &one,
            "--seeds",
            "10000",
            "--out",
            &out.display().to_string(),
        ])
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the binary runs");
    let cells = || {
        fs::read_dir(out.join("cells")).map_or(0, |d| {
            d.flatten()
                .filter(|f| f.path().extension().is_some_and(|e| e == "json"))
                .count()
        })
    };
    for _ in 0..600 {
        if cells() >= 2 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.is_ok_and(|s| s.success()));
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    assert!(cells() >= 2);
    assert!(out.join("report.html").is_file(), "what is there is shown");
}

#[test]
fn exit_codes_tell_good_runs_bad_runs_and_wrong_usage() {
    let small = shipped("small_job.toml").display().to_string();
    let good = starling_sim(&["run", &small]);
    assert_eq!(good.status.code(), Some(0));
    assert!(text(&good.stdout).contains("1 of 1 slices") && good.stderr.is_empty());

    let missing = starling_sim(&["run", "no/such.toml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).starts_with("error: cannot read the experiment no/such.toml"));

    let dir = tempfile::tempdir().expect("a temporary folder");
    let short = dir.path().join("short.toml").display().to_string();
    let hurried = fs::read_to_string(&small)
        .expect("a scenario")
        .replace("[population]", "[run]\nhorizon_s = 3\n\n[population]");
    fs::write(
        &short,
        hurried.replace("units_per_tile = 4000000", "units_per_tile = 4000000000"),
    )
    .expect("a file");
    let undone = starling_sim(&["run", &short]);
    assert_eq!(undone.status.code(), Some(1));
    assert!(text(&undone.stderr).contains("1 jobs had not ended by the horizon"));
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
