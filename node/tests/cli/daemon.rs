//! Jobs that belong to the running peer of a home: detached, watched, collected, explained, ended.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::jobs::two_peers;
use crate::support::{Place, read};

const PICTURE: [&str; 5] = ["run", "fractal", "--size", "320x240", "-o"];

#[test]
fn a_detached_job_goes_on_and_is_collected_later() {
    let place = Place::new();
    let peers = two_peers(&place);
    let token = place.path("a").join("api.token");
    let mode = std::fs::metadata(&token).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let detached = [
        &PICTURE[..],
        &["net.png", "--detach", "--peers", "2", "--json"],
    ]
    .concat();
    let id = place.run("a", &detached).expect(0).json()["job"]
        .as_str()
        .unwrap()
        .to_owned();
    let watched = place
        .run("a", &["job", "watch", &id[..8], "--json"])
        .expect(0)
        .json();
    assert_eq!(
        (&watched["state"], &watched["schema"]),
        (&"done".into(), &1.into())
    );
    assert_eq!(
        watched["receipts"],
        watched["slices"].as_array().unwrap().len()
    );
    assert!(
        !place.path("net.png").exists(),
        "nobody has asked for it yet"
    );
    let why = place
        .run("a", &["job", "why", "last", "--json"])
        .expect(0)
        .json();
    assert!(why["reasons"].as_array().unwrap().is_empty());

    let got = place
        .run("a", &["job", "get", &id[..8], "--keep", "-o", "again.png"])
        .expect(0);
    assert_eq!(got.stdout, "again.png\n");
    // Without a name it goes where the submission said.
    place.run("a", &["job", "get", "last"]).expect(0);
    let alone = [&PICTURE[..], &["alone.png", "--local"]].concat();
    place.run("c", &alone).expect(0);
    assert_eq!(read(&place.path("net.png")), read(&place.path("alone.png")));
    assert_eq!(
        read(&place.path("again.png")),
        read(&place.path("alone.png"))
    );
    place
        .run("a", &["job", "get", &id])
        .expect(1)
        .says("collected");

    let listed = place.run("a", &["job", "ls", "--json"]).expect(0).json();
    let job = &listed["jobs"][0];
    assert_eq!(
        (&job["state"], &job["collected"]),
        (&"done".into(), &true.into())
    );
    let bundle = place.path("a").join("jobs").join(&id).join("bundle.popw");
    place
        .run("c", &["proof", "verify", bundle.to_str().unwrap()])
        .expect(0);
    place.run("a", &["job", "forget", &id]).expect(0);
    place
        .run("a", &["job", "show", &id])
        .expect(1)
        .says("job ls");
    drop(peers);
}

#[test]
fn a_job_survives_its_requesters_death() {
    let place = Place::new();
    let [mut first, second] = two_peers(&place);
    let long = ["--size", "1280x1024", "--iterations", "20000"];
    let picture = ["run", "fractal", "-o", "net.png"];
    let detached = [&picture[..], &long, &["--detach", "--peers", "2"]].concat();
    let id = place.run("a", &detached).expect(0).stdout.trim().to_owned();
    first
        .process
        .until(|v| v["event"] == "earned" && v["job"] == *id);
    first.process.signal(Signal::KILL);
    drop(first);
    let shown = place.run("a", &["job", "show", &id, "--json"]);
    let shown = shown.expect(0).json();
    assert_eq!(shown["state"], "interrupted");
    assert_eq!(shown["why"]["code"], "interrupted");

    let first = place.up("a", &["--bootstrap", &second.address]);
    let shown = place.run("a", &["job", "show", &id, "--json"]);
    let shown = shown.expect(0).json();
    assert_eq!(shown["state"], "running");
    let slices = shown["slices"].as_array().unwrap();
    assert!(slices.iter().any(|s| s["state"] == "done"), "{slices:?}");
    let watched = place.run("a", &["job", "watch", &id, "--json"]);
    let watched = watched.expect(0).json();
    assert_eq!(watched["state"], "done");
    place.run("a", &["job", "get", &id]).expect(0);
    let alone = [&picture[..3], &["alone.png", "--local"], &long].concat();
    place.run("c", &alone).expect(0);
    assert_eq!(read(&place.path("net.png")), read(&place.path("alone.png")));
    let bundle = place.path("a").join("jobs").join(&id).join("bundle.popw");
    place
        .run("c", &["proof", "verify", bundle.to_str().unwrap()])
        .expect(0);

    // A leave is no end either.
    let longer = ["--size", "4096x4096", "--iterations", "60000", "--detach"];
    let detached = [&picture[..], &longer].concat();
    let id = place.run("a", &detached).expect(0).stdout.trim().to_owned();
    first.process.signal(Signal::TERM);
    first.process.end().expect(0);
    let first = place.up("a", &["--bootstrap", &second.address]);
    let cancelled = place.run("a", &["job", "cancel", &id, "--json"]);
    assert_eq!(cancelled.expect(0).json()["state"], "cancelled");
    drop((first, second));
}

#[test]
fn a_job_of_the_daemon_is_cancelled_from_anywhere() {
    let place = Place::new();
    let peers = two_peers(&place);
    let long = [
        "run",
        "fractal",
        "--size",
        "4096x4096",
        "--iterations",
        "60000",
        "-o",
        "x.png",
        "--detach",
    ];
    let id = place.run("a", &long).expect(0).stdout.trim().to_owned();
    let why = place.run("a", &["job", "why", &id]).expect(0).stdout;
    assert!(why.contains("running"), "{why}");
    place.run("a", &["job", "cancel", &id]).expect(0);
    let shown = place
        .run("a", &["job", "show", &id, "--json"])
        .expect(0)
        .json();
    assert_eq!(shown["state"], "cancelled");
    place.run("a", &["job", "get", &id]).expect(5);
    place.run("a", &["job", "watch", &id]).expect(5);
    drop(peers);
}

#[test]
fn an_estimate_submits_nothing() {
    let place = Place::new();
    let peers = two_peers(&place);
    let dry = [
        &PICTURE[..],
        &["x.png", "--dry-run", "--peers", "2", "--json"],
    ]
    .concat();
    let estimate = &place.run("a", &dry).expect(0).json()["estimate"];
    let span = estimate["seconds"].as_array().unwrap();
    assert!(
        span[0].as_f64() > Some(0.0) && span[0].as_f64() <= span[1].as_f64(),
        "{estimate}"
    );
    assert_eq!(estimate["peers"], 2);
    assert_eq!(estimate["price"], serde_json::json!([0, 0]));
    let listed = place.run("a", &["job", "ls", "--json"]).expect(0).json();
    assert!(listed["jobs"].as_array().unwrap().is_empty());
    assert!(!place.path("x.png").exists());
    drop(peers);
}

#[test]
fn what_needs_a_peer_says_so_without_one() {
    let place = Place::new();
    // Without a daemon the command submits by itself; without peers there is nobody to leave it to.
    let detached = [&PICTURE[..], &["x.png", "--detach", "--wait", "1"]].concat();
    let said = place
        .run("h", &[&detached[..], &["--json"]].concat())
        .expect(6)
        .json();
    assert_eq!(said["code"], "no_eligible_peer");
    assert!(said["fix"].as_str().unwrap().contains("starling up"));
    let list = place.run("h", &["job", "ls", "--json"]).expect(0).json();
    assert!(list["jobs"].as_array().unwrap().is_empty());
    for command in ["show", "watch", "why", "cancel", "get", "forget"] {
        place
            .run("h", &["job", command, "last"])
            .expect(1)
            .says("starling run");
        place.run("h", &["job", command, "../x"]).expect(2);
    }
}
