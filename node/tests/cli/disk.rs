//! Disks that refuse or fill up while jobs run: the reason is named, nothing acknowledged is lost, and with space the
//! job goes on.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::room::Room;
use crate::support::{Place, read};

#[test]
fn a_disk_that_fills_up_in_mid_job_stops_the_peer_and_the_job_goes_on_with_space() {
    let place = Place::new();
    let Some(disk) = Room::with_disk(&place.path("small"), 96) else {
        return;
    };
    let enter = disk.enter();
    let enter: Vec<&str> = enter.iter().map(String::as_str).collect();
    let inside = |args: &[&str]| place.run_through(&enter, "small/a", args);
    let swarm = [
        "swarm",
        "create",
        "pair",
        "--open",
        "--scope",
        "local",
        "--slice-ms",
        "200",
    ];
    inside(&swarm).expect(0);
    let genesis = std::fs::read(disk.outside.join("a/genesis.toml")).unwrap();
    std::fs::write(place.path("genesis.toml"), genesis).unwrap();
    place.run("b", &["swarm", "join", "genesis.toml"]).expect(0);
    let second = place.up("b", &[]);
    let mut first = place.up_through(&enter, "small/a", &["--bootstrap", &second.address]);

    let picture = [
        "run",
        "fractal",
        "--size",
        "1280x1024",
        "--iterations",
        "20000",
    ];
    // Whoever enters the namespace stands elsewhere.
    let output = place.text("net.png");
    let job = [&picture[..], &["-o", &output, "--detach", "--peers", "2"]].concat();
    let id = inside(&job).expect(0).stdout.trim().to_owned();
    first
        .process
        .until(|v| v["event"] == "earned" && v["job"] == *id);
    disk.fill();
    let ended = first.process.end().expect(1).says("free some space");
    let told = ended
        .stdout
        .lines()
        .find(|l| l.contains("\"happening\":\"failed\""));
    let told: serde_json::Value = serde_json::from_str(told.expect("it says why")).unwrap();
    assert_eq!(told["why"]["code"], "storage_full", "{told}");

    // Nothing has changed by itself: it does not start either, and says the same.
    let again = inside(&["up", "--device", "cpu", "--json"]).expect(1);
    assert_eq!(again.json()["code"], "storage_full", "{}", again.stdout);
    disk.free();
    let first = place.up_through(&enter, "small/a", &["--bootstrap", &second.address]);
    let watched = inside(&["job", "watch", &id, "--json"]).expect(0).json();
    assert_eq!(watched["state"], "done");
    inside(&["job", "get", &id]).expect(0);
    let alone = [&picture[..], &["-o", "alone.png", "--local"]].concat();
    place.run("c", &alone).expect(0);
    assert_eq!(read(&place.path("net.png")), read(&place.path("alone.png")));
    let bundle = format!("small/a/jobs/{id}/bundle.popw");
    let bundle = place.text(&bundle);
    inside(&["proof", "verify", &bundle]).expect(0);
    for up in [first, second] {
        up.process.signal(Signal::TERM);
        up.process.end().expect(0);
    }
}

#[test]
fn a_home_that_may_not_be_written_is_named_with_its_fix() {
    let place = Place::new();
    let up = place.up("a", &[]);
    up.process.signal(Signal::TERM);
    up.process.end().expect(0);
    let mode = |path: &str, mode| {
        let to = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path(path), to).unwrap();
    };
    let folders = ["a/log", "a/index", "a/blobs", "a/jobs", "a"];
    mode("a/log/facts.log", 0o400);
    mode("a/lock", 0o400);
    folders.iter().for_each(|f| mode(f, 0o500));
    // The super-user may write anywhere, unless its capabilities are taken away.
    let probe = std::fs::write(place.path("a/probe"), "");
    let outer: &[&str] = match probe {
        Ok(()) => &["setpriv", "--inh-caps=-all", "--bounding-set=-all"],
        Err(_) => &[],
    };
    let up = place.run_through(outer, "a", &["up", "--device", "cpu", "--json"]);
    let picture = ["run", "fractal", "-o", "x.png", "--json", "--wait", "1"];
    let run = place.run_through(outer, "a", &picture);
    let doctor = place.run_through(outer, "a", &["doctor"]);
    mode("a", 0o700);
    folders.iter().for_each(|f| mode(f, 0o700));
    mode("a/log/facts.log", 0o600);
    mode("a/lock", 0o600);
    for refused in [up, run] {
        let refused = refused.expect(1).says("--home DIR");
        assert_eq!(refused.json()["code"], "not_writable", "{}", refused.stdout);
    }
    let doctor = doctor.expect(8).stdout;
    assert!(doctor.contains("cannot write to"), "{doctor}");
    // Writable again, it is whole.
    let up = place.up("a", &[]);
    up.process.signal(Signal::TERM);
    up.process.end().expect(0);
}
