//! Whole jobs: peers as processes, a requester, receipts on disk, and Ctrl-C at every stage.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Place, Process, Up, read};

/// Two peers of one local swarm, in the homes "a" and "b".
pub fn two_peers(place: &Place) -> [Up; 2] {
    two_peers_with(place, "200")
}

/// The same with slices of so many ms.
pub fn two_peers_with(place: &Place, slice_ms: &str) -> [Up; 2] {
    let create = [
        "swarm",
        "create",
        "pair",
        "--open",
        "--scope",
        "local",
        "--slice-ms",
    ];
    place
        .run("a", &[&create[..], &[slice_ms]].concat())
        .expect(0);
    place.member("b", "a");
    let first = place.up("a", &[]);
    let second = place.up("b", &["--bootstrap", &first.address]);
    [first, second]
}

fn core<'a>(event: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |value| value["happening"] == "core" && value["event"] == event
}

#[test]
fn a_job_among_two_peers_equals_the_local_picture_and_leaves_receipts() {
    let place = Place::new();
    let peers = two_peers(&place);

    let heard = place
        .run("a", &["peers", "--json", "--wait", "2"])
        .expect(0)
        .json();
    assert_eq!(heard["peers"].as_array().unwrap().len(), 2, "{heard}");
    let key = heard["peers"][0]["peer"].as_str().unwrap();
    let show = ["peers", "show", key, "--json", "--wait", "2"];
    assert_eq!(place.run("a", &show).expect(0).json()["peer"], *key);
    place
        .run("a", &["peers", "show", "zz", "--wait", "1"])
        .expect(1)
        .says("starling peers");

    // "a" knows its own `up`, so nobody has to be named.
    let args = ["run", "fractal", "--size", "480x320", "--device", "cpu"];
    let job = [
        &args[..],
        &[
            "-o",
            "net.png",
            "--receipts",
            "receipts",
            "--peers",
            "2",
            "--json",
        ],
    ]
    .concat();
    let ended = place.run("a", &job).expect(0).says("visible to the peers");
    let result = ended.json();
    let slices = result["slices"].as_u64().unwrap();
    assert_eq!(result["receipts"], result["slices"], "{result}");
    assert!(result["cheats"].as_array().unwrap().is_empty() && result["false_accusations"] == 0);
    place
        .run(
            "c",
            &[
                "run",
                "fractal",
                "--size",
                "480x320",
                "--local",
                "-o",
                "alone.png",
            ],
        )
        .expect(0);
    assert_eq!(read(&place.path("net.png")), read(&place.path("alone.png")));

    let files: Vec<_> = (0..slices)
        .map(|n| place.text(&format!("receipts/{n}.popw")))
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let verify = [&["proof", "verify", "--json"], &files[..]].concat();
    let stranger = place.run("c", &verify).expect(0).json();
    assert_eq!(
        (&stranger["valid"], &stranger["invalid"]),
        (&slices.into(), &0.into())
    );
    let twice = [&verify[..], &files[..]].concat();
    let again = place.run("c", &twice).expect(0).json();
    for count in ["valid", "invalid", "credited_units"] {
        assert_eq!(again[count], stranger[count], "{count} of repeated files");
    }
    assert_eq!(stranger["files"][0]["receipts"][0]["known"], 0);
    let member = place.run("a", &verify).expect(0).json();
    let known = |report: &Value| -> u64 {
        let files = report["files"].as_array().unwrap();
        files
            .iter()
            .map(|f| f["receipts"][0]["known"].as_u64().unwrap())
            .sum()
    };
    assert_eq!(known(&stranger), 0);
    assert!(
        known(&member) > 0 || slices < 2,
        "its own key stands under the other peer's slices"
    );

    let job = result["job"].as_str().unwrap();
    for name in ["last", &job[..8], job] {
        let shown = place
            .run("a", &["job", "show", name, "--json"])
            .expect(0)
            .json();
        assert_eq!(
            (&shown["job"], &shown["state"]),
            (&result["job"], &"done".into())
        );
        assert_eq!(shown["receipts"], slices);
    }
    let bundle = place.path("a/jobs").join(job).join("bundle.popw");
    let whole = place
        .run(
            "c",
            &["proof", "verify", bundle.to_str().unwrap(), "--json"],
        )
        .expect(0)
        .json();
    assert_eq!(whole["valid"], slices);
    let mut bytes = read(&bundle);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    place
        .run("c", &["proof", "verify", bundle.to_str().unwrap()])
        .expect(1);

    for peer in peers {
        peer.process.signal(Signal::INT);
        let ended = peer.process.end().expect(130);
        assert_eq!(
            ended.json()["happening"],
            "usage",
            "the last line tells what was done"
        );
    }
}

#[test]
fn ctrl_c_at_any_stage_cancels_and_leaves_nothing() {
    let place = Place::new();
    let peers = two_peers(&place);
    // Long enough that no stage is over before the signal.
    let args = [
        "run", "render", "bundled", "--size", "1280x720", "--spp", "64", "-o", "x.png", "--device",
        "cpu",
    ];
    let args = [&args[..], &["--events", "--peers", "2", "--wait", "60"]].concat();
    let stages: [&dyn Fn(&mut Process); 5] = [
        &|run| run.until_it_catches(Signal::INT),
        &|run| drop(run.until(|v| v["happening"] == "started")),
        &|run| drop(run.until(core("submitted"))),
        &|run| drop(run.until(core("auditing"))),
        &|run| drop(run.until(core("slice_done"))),
    ];
    for (n, stage) in stages.iter().enumerate() {
        let mut run = Process::start(place.command("a", &args));
        stage(&mut run);
        run.signal(Signal::INT);
        let ended = run.end().expect(130);
        assert!(!place.path("x.png").exists(), "no unfinished picture");
        if n >= 2 {
            assert!(
                ended.stderr.contains("slices were done"),
                "{}",
                ended.stderr
            );
            let shown = place
                .run("a", &["job", "show", "last", "--json"])
                .expect(0)
                .json();
            assert_eq!(shown["state"], "cancelled");
        }
    }
    let shown = place
        .run("a", &["job", "show", "last", "--json"])
        .expect(0)
        .json();
    let bundle = place
        .path("a/jobs")
        .join(shown["job"].as_str().unwrap())
        .join("bundle.popw");
    let kept = place
        .run(
            "c",
            &["proof", "verify", bundle.to_str().unwrap(), "--json"],
        )
        .expect(0)
        .json();
    assert_eq!(
        kept["valid"], shown["receipts"],
        "what was done before Ctrl-C is proven"
    );
    for peer in peers {
        peer.process.signal(Signal::TERM);
        peer.process.end().expect(0);
    }
}

#[test]
fn a_job_that_takes_longer_than_allowed_is_cancelled_and_kept() {
    let place = Place::new();
    let peers = two_peers(&place);
    let args = [
        "run",
        "fractal",
        "--size",
        "4096x4096",
        "--iterations",
        "60000",
        "-o",
        "x.png",
    ];
    let timed = [&args[..], &["--timeout", "6", "--peers", "2", "--json"]].concat();
    let ended = place.run("a", &timed).expect(7).says("--timeout");
    let told = ended.json();
    assert_eq!(
        (&told["code"], &told["exit"]),
        (&"timeout".into(), &7.into())
    );
    assert!(!place.path("x.png").exists(), "no unfinished picture");
    let shown = place.run("a", &["job", "show", "last", "--json"]);
    let shown = shown.expect(0).json();
    assert_eq!(shown["state"], "cancelled");
    let why = place.run("a", &["job", "why", "last", "--json"]).expect(0);
    assert_eq!(why.json()["reasons"][0]["code"], "cancelled");
    let bundle = format!("a/jobs/{}/bundle.popw", shown["job"].as_str().unwrap());
    let bundle = place.text(&bundle);
    let kept = place.run("c", &["proof", "verify", &bundle, "--json"]);
    assert_eq!(kept.expect(0).json()["valid"], shown["receipts"]);
    let local = [&args[..], &["--timeout", "0.3", "--local"]].concat();
    place.run("c", &local).expect(7).says("--timeout");
    drop(peers);
}

#[test]
fn a_peer_that_does_not_lend_is_not_asked() {
    let place = Place::new();
    let up = place.up("a", &["--no-lend"]);
    let args = [
        "run", "fractal", "-o", "x.png", "--device", "cpu", "--wait", "3",
    ];
    place
        .run("a", &args)
        .expect(6)
        .says("no reachable peer offers");
    up.process.signal(Signal::TERM);
    up.process.end().expect(0);
}

#[test]
fn a_peer_leaves_with_its_parent() {
    let place = Place::new();
    let mut command = place.command(
        "a",
        &["up", "--events", "--device", "cpu", "--exit-on-stdin-close"],
    );
    command.stdin(Stdio::piped());
    let mut process = Process::start(command);
    process.until(|v| v["happening"] == "listening");
    drop(process.stdin.take());
    process.end().expect(0);
}
