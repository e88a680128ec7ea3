//! Files that are damaged, exposed, foreign or held by somebody else: the message names the file and the fix.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::support::Place;

#[test]
fn a_swarm_is_made_joined_and_shown() {
    let place = Place::new();
    let made = place.run(
        "a",
        &[
            "swarm",
            "create",
            "lab",
            "--open",
            "--scope",
            "local",
            "--slice-ms",
            "500",
            "-o",
            "lab.toml",
            "--json",
        ],
    );
    let made = made.expect(0).json();
    assert!(!place.path("a").exists(), "a file alone joins nothing");
    let args = [
        "swarm",
        "join",
        "lab.toml",
        "--bootstrap",
        "/ip4/127.0.0.1/tcp/4001",
    ];
    place.run("a", &args).expect(0);
    place.run("a", &args).expect(0);
    let shown = place
        .run("a", &["swarm", "show", "--json"])
        .expect(0)
        .json();
    assert_eq!(shown["swarm"], made["swarm"]);
    assert_eq!(
        (&shown["slice_ms"], &shown["scope"]),
        (&500.into(), &"local".into())
    );
    let config = std::fs::read_to_string(place.path("a/config.toml")).unwrap();
    assert_eq!(
        config.matches("/ip4/127.0.0.1/tcp/4001").count(),
        1,
        "{config}"
    );
    assert!(
        config.contains("# Peers to dial at start"),
        "the owner's comments stay"
    );
    place
        .run("a", &["swarm", "create", "lab", "--open", "-o", "lab.toml"])
        .expect(1)
        .says("exists");
}

#[test]
fn a_corrupt_genesis_is_refused_by_line() {
    let place = Place::new();
    place
        .run(
            "a",
            &["swarm", "create", "one", "--open", "--scope", "local"],
        )
        .expect(0);
    let path = place.path("a/genesis.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    let cases = [
        (good.replace("slice_ms = 1000", "slice_ms = 1"), "slice_ms"),
        (
            good.replace("slice_ms = 1000", "slice_ms = many"),
            "genesis.toml:",
        ),
        (good.replace("salt = \"", "salt = \"zz"), "hexadecimal"),
        (good.replace("version = 1", "version = 9"), "version 9"),
        (format!("{good}bonus = 1\n"), "bonus"),
        ("x".repeat(5000), "5000 bytes"),
        (String::new(), "missing field"),
    ];
    for (text, told) in cases {
        std::fs::write(&path, text).unwrap();
        for command in [&["swarm", "show"][..], &["up"], &["peers"]] {
            place.run("a", command).expect(1).says(told).says("fix:");
        }
        let doctor = place.run("a", &["doctor"]).expect(8);
        assert!(doctor.stdout.contains(told), "{told}: {}", doctor.stdout);
    }
    std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    place.run("a", &["up"]).expect(1).says("not a text file");
}

#[test]
fn wrong_settings_are_refused_by_line() {
    let place = Place::new();
    std::fs::create_dir(place.path("a")).unwrap();
    std::fs::write(
        place.path("a/config.toml"),
        "[network]\nlisten = [\"here\"]\n",
    )
    .unwrap();
    place.run("a", &["up"]).expect(1).says("config.toml:2");
    place.run("a", &["doctor"]).expect(8);
}

#[test]
fn an_exposed_key_is_refused_and_the_fix_works() {
    let place = Place::new();
    let up = place.up("a", &[]);
    up.process.signal(Signal::TERM);
    up.process.end().expect(0);
    let key = place.path("a/identity.key");
    let mode =
        |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    place.run("a", &["up"]).expect(4).says("chmod 600");
    let doctor = place.run("a", &["doctor"]).expect(8);
    assert!(doctor.stdout.contains("chmod 600"), "{}", doctor.stdout);
    mode(0o600);
    place.run("a", &["doctor", "--json"]).expect(0);
    let up = place.up("a", &[]);
    up.process.signal(Signal::INT);
    up.process.end().expect(130);
}

#[test]
fn one_peer_a_home_and_one_program_a_port() {
    let place = Place::new();
    let up = place.up("a", &[]);
    place
        .run("a", &["up"])
        .expect(1)
        .says("another starling")
        .says("--home");
    place
        .run("a", &["swarm", "leave"])
        .expect(1)
        .says("another starling");
    place.run("a", &["doctor"]).expect(0);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    place
        .run("b", &["up", "--device", "cpu", "--listen", &listen])
        .expect(1)
        .says(&listen)
        .says("--listen");
    place
        .run(
            "b",
            &["up", "--device", "cpu", "--listen", "/ip4/192.0.2.1/tcp/1"],
        )
        .expect(1)
        .says("scope");
    up.process.signal(Signal::TERM);
    up.process.end().expect(0);
    assert!(
        !place.path("a/up.json").exists(),
        "nobody is told of a peer that left"
    );
}

#[test]
fn garbage_is_no_proof() {
    let place = Place::new();
    let file = |name: &str, bytes: &[u8]| std::fs::write(place.path(name), bytes).unwrap();
    file("empty.popw", b"");
    file("garbage.popw", &[7; 4000]);
    file(
        "magic.popw",
        b"popw\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    );
    let huge = std::fs::File::create(place.path("huge.popw")).unwrap();
    huge.set_len(1 << 40).unwrap();
    std::fs::create_dir(place.path("folder.popw")).unwrap();
    let files = [
        "empty.popw",
        "garbage.popw",
        "magic.popw",
        "huge.popw",
        "folder.popw",
        "absent.popw",
    ];
    for name in files {
        let report = place
            .run("h", &["proof", "verify", name, "--json"])
            .expect(1)
            .json();
        assert_eq!(
            (&report["valid"], &report["damaged_files"]),
            (&0.into(), &1.into()),
            "{name}: {report}"
        );
        assert!(report["files"][0]["error"].is_string(), "{name}");
    }
    let all = place
        .run("h", &[&["proof", "verify"][..], &files].concat())
        .expect(1);
    assert!(all.stdout.contains("6 damaged files"), "{}", all.stdout);
    file("known.txt", b"# mine\nnot a key\n");
    place
        .run(
            "h",
            &["proof", "verify", "empty.popw", "--known", "known.txt"],
        )
        .expect(1)
        .says("known.txt:2");
}

/// Both headers of a log, as a program of another version would write them.
fn as_version(log: &std::path::Path, version: u32) {
    let mut bytes = std::fs::read(log).unwrap();
    for copy in [0, 512] {
        bytes[copy + 8..copy + 12].copy_from_slice(&version.to_le_bytes());
        let check = blake3::Hasher::new_derive_key("starling 2026 log header")
            .update(&bytes[copy..copy + 64])
            .finalize();
        bytes[copy + 64..copy + 80].copy_from_slice(&check.as_bytes()[..16]);
    }
    std::fs::write(log, bytes).unwrap();
}

#[test]
fn a_home_of_another_version_is_refused_and_left_alone() {
    let place = Place::new();
    let up = place.up("a", &[]);
    up.process.signal(Signal::TERM);
    up.process.end().expect(0);
    let log = place.path("a/log/facts.log");
    let (key, before) = (
        std::fs::read(place.path("a/identity.key")).unwrap(),
        std::fs::read(&log).unwrap(),
    );
    for (version, which) in [(2, "newer"), (0, "older")] {
        as_version(&log, version);
        let other = std::fs::read(&log).unwrap();
        let refused = place.run("a", &["up", "--json"]).expect(1).says(which);
        let told = refused.json();
        assert_eq!(told["code"], "store_version", "{told}");
        assert_eq!(
            (&told["params"]["found"], &told["params"]["supported"]),
            (&version.into(), &1.into())
        );
        assert!(told["fix"].as_str().unwrap().contains("that wrote it"));
        let doctor = place.run("a", &["doctor"]).expect(8);
        assert!(doctor.stdout.contains(which), "{}", doctor.stdout);
        assert_eq!(std::fs::read(&log).unwrap(), other, "nothing was changed");
        assert_eq!(std::fs::read(place.path("a/identity.key")).unwrap(), key);
    }
    // The program that wrote it goes on as if nothing had been.
    std::fs::write(&log, before).unwrap();
    place.run("a", &["doctor"]).expect(0);
    let up = place.up("a", &[]);
    up.process.signal(Signal::TERM);
    up.process.end().expect(0);
    assert_eq!(std::fs::read(place.path("a/identity.key")).unwrap(), key);
}

#[test]
fn reasons_have_codes() {
    let place = Place::new();
    std::fs::write(place.path("file"), "").unwrap();
    let code = |home: &str, args: &[&str]| {
        let all = [args, &["--json"]].concat();
        place.run(home, &all).expect(1).json()["code"].clone()
    };
    assert_eq!(code("file", &["up"]), "home_unusable");
    std::fs::create_dir(place.path("a")).unwrap();
    std::fs::write(place.path("a/genesis.toml"), "version = 9\n").unwrap();
    assert_eq!(code("a", &["up"]), "bad_genesis");
    std::fs::create_dir(place.path("b")).unwrap();
    std::fs::write(place.path("b/config.toml"), "[limits]\nconections = 3\n").unwrap();
    assert_eq!(code("b", &["up"]), "bad_settings");
    let up = place.up("c", &[]);
    assert_eq!(code("c", &["up"]), "home_in_use");
    up.process.signal(Signal::TERM);
    up.process.end().expect(0);
    std::fs::write(place.path("c/identity.key"), [7; 48]).unwrap();
    assert_eq!(code("c", &["up", "--device", "cpu"]), "identity_damaged");
}
