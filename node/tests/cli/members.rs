//! Private swarms, and several swarms on one machine, as their people meet them.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Place, Process, Up};

/// A private swarm of the home "a", whose peer runs.
fn founded(place: &Place) -> Up {
    let create = [
        "swarm",
        "create",
        "lab",
        "--scope",
        "local",
        "--slice-ms",
        "300",
    ];
    place.run("a", &create).expect(0);
    place.up("a", &[])
}

fn members(place: &Place, home: &str) -> Value {
    let all = ["swarm", "members", "--json"];
    place.run(home, &all).expect(0).json()["members"].clone()
}

#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn modes(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn four_commands_lead_to_a_verified_slice_and_one_takes_it_all_back() {
    let place = Place::new();
    let cpu = ["--set", "device.choose=cpu"];
    let with = |args: &[&str]| place.command("a", &[args, &cpu].concat());
    let create = ["swarm", "create", "lab", "--scope", "local", "--up"];
    let first = Process::start(with(&create));
    until("the first peer", || place.path("a/api.json").exists());
    let code = place.invite("a", &[]);
    let join = ["swarm", "join", &code, "--name", "bob", "--up"];
    let mut second = Process::start(place.command("b", &[&join[..], &cpu].concat()));
    until("the second peer", || place.path("b/api.json").exists());
    let job = [
        "run", "fractal", "-o", "set.png", "--size", "320x200", "--json",
    ];
    let job = [&job[..], &["--peers", "2", "--receipts", "receipts"]].concat();
    let done = place.run("b", &job).expect(0).json();
    assert!(done["slices"].as_u64().unwrap() > 0, "{done}");
    let mut verify = vec!["proof".to_owned(), "verify".into(), "--json".into()];
    let receipts = std::fs::read_dir(place.path("receipts")).unwrap();
    verify.extend(receipts.map(|file| file.unwrap().path().display().to_string()));
    let verify: Vec<_> = verify.iter().map(String::as_str).collect();
    let verified = place.run("b", &verify).expect(0).json();
    assert!(verified["valid"].as_u64().unwrap() > 0, "{verified}");
    assert_eq!(verified["invalid"], 0, "{verified}");

    assert_eq!(members(&place, "a").as_array().unwrap().len(), 2);
    for secret in ["a/admission.key", "a/admission.json", "b/membership.json"] {
        assert_eq!(modes(&place.path(secret)), 0o600, "{secret}");
    }
    place.run("a", &["swarm", "revoke", "bob"]).expect(0);
    // Its own peer hears it, and says so.
    until("the end of the second peer", || second.is_over());
    second
        .end()
        .expect(4)
        .says("revoked")
        .says("swarm join CODE");
    place.run("b", &["up"]).expect(4).says("revoked");
    let standing = |m: &Value| m["standing"].as_str().unwrap().to_owned();
    let all = members(&place, "a");
    let all: Vec<_> = all.as_array().unwrap().iter().map(standing).collect();
    assert_eq!(all, ["member", "certificate_revoked"]);
    // Another invitation makes it a member again.
    let again = place.invite("a", &[]);
    place.run("b", &["swarm", "join", &again]).expect(0);
    let second = place.up("b", &[]);
    until("the member", || {
        members(&place, "b").as_array().unwrap().len() == 2
    });
    drop(second);
    first.signal(Signal::TERM);
    first.end().expect(0);
}

#[test]
fn whoever_is_away_hears_of_a_revocation_later() {
    let place = Place::new();
    let first = founded(&place);
    for (home, name) in [("b", "bob"), ("c", "carol")] {
        place.joins(home, "a", name);
    }
    // Carol is away when bob is revoked, and meets him before anybody else.
    place.run("a", &["swarm", "revoke", "bob"]).expect(0);
    let carol = place.up("c", &[]);
    until("carol's news", || {
        let told = std::fs::read_to_string(place.path("c/membership.json")).unwrap();
        told.contains("\"number\":1")
    });
    drop(first);
    let bob = ["up", "--device", "cpu", "--bootstrap", &carol.address];
    place.run("b", &bob).expect(4).says("revoked");
}

#[test]
fn invitations_that_are_not_good_are_refused_with_reason_and_fix() {
    let place = Place::new();
    place.run("a", &["swarm", "invite"]).expect(3);
    let create = ["swarm", "create", "lab", "--scope", "local"];
    place.run("a", &create).expect(0);
    place
        .run("a", &["swarm", "invite"])
        .expect(3)
        .says("starling up");
    let up = place.up("a", &[]);
    place
        .run("a", &["swarm", "invite", "--uses", "0"])
        .expect(2);
    let code = place.invite("a", &[]);
    let refused = |home: &str, code: &str, exit: i32, why: &str| {
        let join = ["swarm", "join", code, "--json"];
        let reason = place.run(home, &join).expect(exit);
        let said = format!("{}{}", reason.stdout, reason.stderr);
        assert!(said.contains(why), "{why}: {said}");
        assert!(!place.path(home).join("genesis.toml").exists());
    };
    refused("c", &code[..code.len() - 3], 2, "bad_invitation");
    refused("c", "STARLING1", 2, "bad_invitation");
    place
        .run("b", &["swarm", "join", &code.to_lowercase()])
        .expect(0);
    refused("c", &code, 4, "invitation_used_up");
    // The same machine asks again, as if the answer had been lost.
    place.run("b", &["swarm", "join", &code]).expect(0);
    let taken_back = place.invite("a", &["--uses", "5"]);
    let list = ["swarm", "members", "--json"];
    let open = place.run("a", &list).expect(0).json()["invitations"].clone();
    let id = open[0]["id"].as_str().unwrap().to_owned();
    place.run("a", &["swarm", "revoke", &id]).expect(0);
    refused("c", &taken_back, 4, "invitation_unknown");
    place.run("b", &["swarm", "revoke", "lab"]).expect(3);
    // The file alone opens nothing.
    let file = place.text("a/genesis.toml");
    place
        .run("d", &["swarm", "join", &file])
        .expect(4)
        .says("private");
    std::fs::create_dir_all(place.path("d")).unwrap();
    std::fs::copy(&file, place.path("d/genesis.toml")).unwrap();
    for command in [&["up"][..], &["run", "fractal", "-o", "x.png"]] {
        place.run("d", command).expect(4).says("no certificate");
    }
    for command in [&["peers"][..], &["net", "check"]] {
        place.run("d", command).expect(3);
    }
    let late = place.invite("a", &[]);
    up.process.signal(Signal::TERM);
    up.process.end().expect(0);
    refused("e", &late, 1, "unreachable");
    // A member that is not the issuer.
    let member = place.up("b", &[]);
    place
        .run("b", &["swarm", "invite"])
        .expect(4)
        .says("admission key");
    place.run("b", &["swarm", "revoke", "founder"]).expect(4);
    drop(member);
}

#[test]
fn a_machine_is_in_several_swarms_at_a_time() {
    let place = Place::new();
    let run = |args: &[&str]| place.run("a", args).expect(0);
    run(&["swarm", "create", "one", "--open", "--scope", "local"]);
    run(&["config", "set", "lend.price", "7"]);
    run(&["config", "set", "network.bootstrap", "/ip4/127.0.0.1/tcp/9"]);
    run(&["swarm", "create", "two", "--scope", "local"]);
    let list = || {
        let all = run(&["swarm", "ls", "--json"]).json()["swarms"].clone();
        let one = |s: &Value| (s["name"].as_str().unwrap().to_owned(), s["current"] == true);
        all.as_array().unwrap().iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(list(), [("one".into(), false), ("two".into(), true)]);
    // The owner's settings come along, the other swarm's addresses do not.
    let get = |key: &str| run(&["config", "get", key]).stdout;
    assert_eq!(get("lend.price").trim(), "7");
    assert!(!get("network.bootstrap").contains("/ip4/"));
    let two = place.up("a", &[]);
    let one = place.up("a", &["--swarm", "one"]);
    let name = |args: &[&str]| run(args).json()["name"].clone();
    assert_eq!(name(&["swarm", "show", "--json"]), "two");
    assert_eq!(name(&["swarm", "show", "--swarm", "one", "--json"]), "one");
    let runs = run(&["swarm", "ls"]).stdout;
    assert_eq!(runs.matches(", up").count(), 2, "{runs}");
    run(&["swarm", "switch", "one"]);
    assert_eq!(list(), [("one".into(), true), ("two".into(), false)]);
    place
        .run("a", &["swarm", "switch", "three"])
        .expect(2)
        .says("swarm ls");
    place
        .run("a", &["swarm", "leave", "two"])
        .expect(1)
        .says("another starling");
    for up in [two, one] {
        up.process.signal(Signal::TERM);
        up.process.end().expect(0);
    }
    run(&["swarm", "leave", "two"]);
    assert!(place.path("a/former-1/admission.key").exists());
    run(&["swarm", "leave"]);
    assert!(place.path("a/former-2/log").exists());
    assert!(
        place.path("a/config.toml").exists(),
        "settings are the owner's"
    );
    assert_eq!(list(), []);
    place.run("a", &["swarm", "leave"]).expect(1);
}

#[test]
fn a_developers_swarm_is_up_together_and_gone_together() {
    let place = Place::new();
    let args = ["dev", "swarm", "3", "--private", "--json", "--dir", "dev"];
    let mut dev = Process::start(place.command("x", &args));
    let all = dev.until(|v| v["peers"].is_array());
    assert_eq!(all["peers"].as_array().unwrap().len(), 3);
    let home = |n: usize| all["peers"][n]["home"].as_str().unwrap().to_owned();
    assert_eq!(Path::new(&home(0)), place.path("dev/peer-1"));
    until("three members", || {
        members(&place, "dev/peer-1").as_array().unwrap().len() == 3
    });
    dev.signal(Signal::INT);
    dev.end().expect(130);
    for n in 1..=3 {
        assert!(!place.path(&format!("dev/peer-{n}/api.json")).exists());
    }
}
