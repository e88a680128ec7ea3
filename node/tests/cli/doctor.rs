//! What the doctor puts right, what it leaves alone, and what it lets others see.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Ended, Place, Up, read};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn end(up: Up, signal: Signal) -> Ended {
    up.process.signal(signal);
    up.process.end()
}

/// A check of that name, the first one.
fn check<'a>(told: &'a Value, name: &str) -> &'a Value {
    let mut all = told["checks"].as_array().unwrap().iter();
    all.find(|c| c["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {told}"))
}

fn names(fixes: &Value) -> Vec<(String, String)> {
    let file = |fix: &Value| {
        let path = Path::new(fix["path"].as_str().unwrap());
        path.file_name().unwrap().to_str().unwrap().to_owned()
    };
    let name = |fix: &Value| fix["name"].as_str().unwrap().to_owned();
    let all = fixes.as_array().unwrap().iter();
    all.map(|fix| (name(fix), file(fix))).collect()
}

#[test]
fn what_can_be_put_right_is_and_is_told() {
    let place = Place::new();
    let up = place.up("a", &[]);
    // Without a goodbye, as after a power cut.
    end(up, Signal::KILL);
    let home = place.path("a");
    let (key, log) = (home.join("identity.key"), home.join("log/facts.log"));
    let before = (read(&key), read(&log));
    for file in [&key, &home.join("api.token")] {
        set_mode(file, 0o644);
    }
    set_mode(&home, 0o777);
    fs::remove_file(home.join("config.toml")).unwrap();
    fs::write(home.join("index/conf"), "no configuration of sled's").unwrap();

    let told = place.run("a", &["doctor", "--json"]).expect(8).json();
    assert!(told.get("fixes").is_none());
    for name in ["home", "key", "files", "index"] {
        assert_eq!(check(&told, name)["status"], "finding", "{name}: {told}");
    }
    for name in ["left", "config"] {
        assert_eq!(check(&told, name)["status"], "note", "{name}: {told}");
    }
    assert_eq!(check(&told, "files")["code"], "home_exposed");
    assert_eq!((mode(&key), mode(&home)), (0o644, 0o777), "it only looked");
    assert!(home.join("api.json").exists() && !home.join("config.toml").exists());

    let told = place
        .run("a", &["doctor", "--fix", "--json"])
        .expect(0)
        .json();
    let fixes = &told["fixes"];
    assert_eq!(
        names(fixes),
        [
            ("home", "a"),
            ("files", "api.token"),
            ("files", "identity.key"),
            ("config", "config.toml"),
            ("left", "up.json"),
            ("left", "api.json"),
            ("index", "index"),
        ]
        .map(|(name, file)| (name.to_owned(), file.to_owned()))
    );
    assert_eq!(
        (&fixes[0]["was"], &fixes[0]["is"]),
        (&"mode 777".into(), &"mode 700".into())
    );
    assert_eq!((mode(&key), mode(&home.join("api.token"))), (0o600, 0o600));
    assert_eq!(mode(&home), 0o700);
    assert!(home.join("config.toml").exists() && home.join("index.damaged-1").is_dir());
    assert!(!home.join("up.json").exists() && !home.join("api.json").exists());
    assert_eq!(
        (read(&key), read(&log)),
        before,
        "key and log are as they were"
    );

    let again = place.run("a", &["doctor", "--fix"]).expect(0);
    assert!(!again.stdout.contains("done"), "{}", again.stdout);
    end(place.up("a", &[]), Signal::TERM).expect(0);
    assert!(home.join("index/db").exists(), "rebuilt");

    place.run("none", &["doctor", "--fix"]).expect(0);
    assert!(!place.path("none").exists(), "no home is made");
}

#[test]
fn beside_a_running_peer_only_what_is_safe_is_done() {
    let place = Place::new();
    let up = place.up("a", &[]);
    let home = place.path("a");
    set_mode(&home.join("api.token"), 0o640);
    let told = place
        .run("a", &["doctor", "--fix", "--json"])
        .expect(0)
        .json();
    assert_eq!(
        names(&told["fixes"]),
        [("files".into(), "api.token".into())]
    );
    assert!(home.join("api.json").exists() && home.join("up.json").exists());
    place.run("a", &["lend"]).expect(0);

    // What a name leads to elsewhere is somebody else's.
    let elsewhere = place.path("elsewhere");
    fs::write(&elsewhere, "[]").unwrap();
    set_mode(&elsewhere, 0o644);
    std::os::unix::fs::symlink(&elsewhere, home.join("tokens.json")).unwrap();
    let told = place
        .run("a", &["doctor", "--fix", "--json"])
        .expect(8)
        .json();
    assert!(told["fixes"][0]["reason"]["code"].is_string(), "{told}");
    assert_eq!(mode(&elsewhere), 0o644);
    end(up, Signal::TERM).expect(0);
}

#[test]
fn a_certificate_is_looked_at() {
    let place = Place::new();
    let create = ["swarm", "create", "lab", "--scope", "local"];
    place.run("a", &create).expect(0);
    let doctor = |home: &str, code: i32| {
        let told = place.run(home, &["doctor", "--json"]).expect(code).json();
        check(&told, "membership").clone()
    };
    let sound = doctor("a", 0);
    let what = sound["what"].as_str().unwrap();
    assert!(
        what.contains("\"founder\"") && what.contains("days left"),
        "{what}"
    );

    let up = place.up("a", &[]);
    place.joins("b", "a", "bob");
    assert!(doctor("b", 0)["what"].as_str().unwrap().contains("\"bob\""));
    place.run("a", &["swarm", "revoke", "bob"]).expect(0);
    // It hears of it from whoever it meets.
    place.run("b", &["up", "--device", "cpu"]).expect(4);
    let revoked = doctor("b", 8);
    assert_eq!(revoked["code"], "certificate_revoked", "{revoked}");
    assert!(revoked["fix"].as_str().unwrap().contains("swarm join CODE"));
    end(up, Signal::TERM).expect(0);

    for file in ["admission.key", "admission.json", "membership.json"] {
        set_mode(&place.path("a").join(file), 0o644);
    }
    let told = place.run("a", &["doctor", "--json"]).expect(8).json();
    assert_eq!(told["findings"], 3, "{told}");
    let told = place
        .run("a", &["doctor", "--fix", "--json"])
        .expect(0)
        .json();
    assert_eq!(told["fixes"].as_array().unwrap().len(), 3, "{told}");
    assert_eq!(mode(&place.path("a/admission.key")), 0o600);
    for (home, fix) in [("a", "starling up"), ("b", "swarm join CODE")] {
        fs::remove_file(place.path(home).join("membership.json")).unwrap();
        let missing = doctor(home, 8);
        assert_eq!(missing["code"], "no_certificate");
        assert!(missing["fix"].as_str().unwrap().contains(fix), "{missing}");
    }
    // The issuer gives itself another; nobody else can.
    place.run("b", &["up"]).expect(4);
    end(place.up("a", &[]), Signal::TERM).expect(0);
    assert!(doctor("a", 0)["what"].as_str().unwrap().contains("founder"));
}

/// Names and texts of what is in a bundle.
fn unpacked(path: &Path) -> Vec<(String, Vec<u8>)> {
    let plain = flate2::read::GzDecoder::new(fs::File::open(path).unwrap());
    let mut archive = tar::Archive::new(plain);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry
                .path()
                .unwrap()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (name, bytes)
        })
        .collect()
}

#[track_caller]
fn tells_nothing_of(parts: &[(String, Vec<u8>)], canaries: &[Vec<u8>]) {
    for (name, bytes) in parts {
        for canary in canaries {
            let found = bytes.windows(canary.len()).any(|w| w == canary);
            let canary = String::from_utf8_lossy(canary);
            assert!(
                !found,
                "{canary:?} is in {name}: {}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}

#[test]
fn a_bundle_tells_what_helps_and_nothing_that_harms() {
    let place = Place::new();
    let create = ["swarm", "create", "canaryswarm", "--scope", "local"];
    place.run("a", &create).expect(0);
    for (key, value) in [
        ("network.bootstrap", "/ip4/127.0.0.1/tcp/9"),
        ("network.announce", "/ip4/127.0.0.1/tcp/4001"),
        ("lend.region", "Canaryville"),
        ("lend.apps", "canaryapp"),
    ] {
        place.run("a", &["config", "set", key, value]).expect(0);
    }
    // Somebody to be connected to.
    let up = place.up("a", &[]);
    let code = place.joins("b", "a", "bob");
    let other = place.up("b", &[]);
    let other_file: Value = serde_json::from_slice(&read(&place.path("b/up.json"))).unwrap();
    let other_peer = other_file["peer"].as_str().unwrap();
    let seen = || {
        let peers = place.run("a", &["peers", "--json"]).expect(0).stdout;
        peers.contains(other_peer)
    };
    let late = Instant::now() + Duration::from_secs(60);
    while !seen() {
        assert!(Instant::now() < late, "the peers do not meet");
    }

    let home = place.path("a");
    let mut canaries: Vec<Vec<u8>> = Vec::new();
    let token = read(&home.join("api.token"));
    canaries.push(token.trim_ascii().to_vec());
    for key in ["identity.key", "requester/identity.key", "admission.key"] {
        let seed = read(&home.join(key))[8..40].to_vec();
        let hex: String = seed.iter().map(|b| format!("{b:02x}")).collect();
        canaries.extend([seed, hex.into_bytes()]);
    }
    let running: Value = serde_json::from_slice(&read(&home.join("up.json"))).unwrap();
    canaries.push(running["peer"].as_str().unwrap().as_bytes().to_vec());
    canaries.push(other_peer.as_bytes().to_vec());
    canaries.push(code.as_bytes().to_vec());
    canaries.push(place.text("a").into_bytes());
    for text in [
        "127.0.0.1",
        "203.0.113.77",
        "canary.example",
        "Canaryville",
        "canaryapp",
        "canaryswarm",
        "founder",
    ] {
        canaries.push(text.into());
    }

    let bundle = place.path("help.tar.gz");
    let file = place.text("help.tar.gz");
    let told = place
        .run("a", &["doctor", "--bundle", &file, "--json"])
        .expect(0)
        .json();
    assert_eq!(mode(&bundle), 0o600);
    let parts = unpacked(&bundle);
    let inside: Vec<_> = parts.iter().map(|(name, _)| name.as_str()).collect();
    let all = [
        "version.json",
        "machine.json",
        "doctor.json",
        "settings.json",
        "net.json",
        "log.jsonl",
    ];
    assert_eq!(inside, all);
    let listed = told["files"].as_array().unwrap().iter();
    let listed: Vec<_> = listed.map(|f| f["name"].as_str().unwrap()).collect();
    assert_eq!(listed, all);
    tells_nothing_of(&parts, &canaries);
    let json = |name: &str| -> Value {
        let (_, bytes) = parts.iter().find(|(n, _)| n == name).unwrap();
        serde_json::from_slice(bytes).unwrap()
    };
    assert_eq!(
        json("version.json")["rules"],
        starling_protocol::config::RULES_VERSION
    );
    let checks = json("doctor.json");
    assert!(
        checks
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["name"] == "membership"),
        "{checks}"
    );
    let settings = json("settings.json");
    let setting = |key: &str| {
        let all = settings.as_array().unwrap().iter();
        all.clone().find(|s| s["key"] == key).unwrap()["value"].clone()
    };
    assert_eq!(
        setting("network.bootstrap"),
        serde_json::json!(["loopback"])
    );
    assert_eq!(setting("network.announce"), serde_json::json!(["loopback"]));
    let net = json("net.json");
    assert_eq!(net["peers"], 1, "{net}");
    assert_eq!(net["listening"][0], "loopback", "{net}");
    let short = net["connections"][0]["peer"].as_str().unwrap();
    assert_eq!(short.trim_end_matches('…'), &other_peer[..6]);
    end(other, Signal::TERM).expect(0);
    end(up, Signal::TERM).expect(0);

    // Nothing is written over, and a name says what the file is.
    let before = read(&bundle);
    place
        .run("a", &["doctor", "--bundle", &file])
        .expect(1)
        .says("exists");
    assert_eq!(read(&bundle), before);
    place
        .run("a", &["doctor", "--bundle", "help.zip"])
        .expect(2)
        .says(".tar.gz");

    // Without a peer, and with settings that quote what is wrong in them.
    let bundled = |bootstrap: &str, file: &str| {
        let settings = format!("[network]\nbootstrap = [{bootstrap}]\n");
        fs::write(home.join("config.toml"), settings).unwrap();
        let told = place
            .run("a", &["doctor", "--bundle", file])
            .expect(0)
            .says("look before");
        assert!(told.stdout.contains("settings.json"), "{}", told.stdout);
        let parts = unpacked(&place.path(file));
        tells_nothing_of(&parts, &canaries);
        move |name: &str| {
            let (_, bytes) = parts.iter().find(|(n, _)| n == name).unwrap();
            serde_json::from_slice::<Value>(bytes).unwrap()
        }
    };
    let part = bundled(
        "\"/ip4/203.0.113.77/tcp/4001\", \"/ip4/203.0.113.77/nonsense\"",
        "bad.tgz",
    );
    assert_eq!(part("settings.json")["code"], "bad_settings");
    assert_eq!(part("net.json")["code"], "no_daemon");
    let part = bundled(
        "\"/ip4/203.0.113.77/tcp/4001\", \"/dns4/canary.example/tcp/4001\"",
        "good.tgz",
    );
    let settings = part("settings.json");
    let mut all = settings.as_array().unwrap().iter();
    let bootstrap = all.find(|s| s["key"] == "network.bootstrap").unwrap();
    assert_eq!(bootstrap["value"], serde_json::json!(["public", "named"]));
}
