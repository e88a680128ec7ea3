//! Settings by file, variable and flag; completions and manual pages.

use std::fs;

use crate::support::{Place, Process, read};

#[test]
fn a_flag_stands_above_a_variable_and_that_above_the_file() {
    let place = Place::new();
    let threads = |variable: Option<&str>, args: &[&str]| {
        let all = [&["config", "get", "limits.threads", "--json"], args].concat();
        let mut command = place.command("h", &all);
        if let Some(value) = variable {
            command.env("STARLING_LIMITS_THREADS", value);
        }
        Process::start(command).end().expect(0).json()
    };
    assert_eq!(threads(None, &[])["origin"]["from"], "default");
    assert!(!place.path("h").exists(), "looking leaves no trace");
    place
        .run("h", &["config", "set", "limits.threads", "3"])
        .expect(0);
    let file = threads(None, &[]);
    assert_eq!((&file["value"], &file["schema"]), (&3.into(), &1.into()));
    assert_eq!(file["origin"]["from"], "file");
    let variable = threads(Some("4"), &[]);
    assert_eq!(variable["value"], 4);
    assert_eq!(variable["origin"]["from"], "variable");
    let flag = threads(Some("4"), &["--set", "limits.threads=5"]);
    assert_eq!(flag["value"], 5);
    assert_eq!(flag["origin"]["from"], "flag");
    place
        .run("h", &["config", "unset", "limits.threads"])
        .expect(0);
    assert_eq!(threads(None, &[])["value"], 0);
}

#[test]
fn a_change_leaves_comments_and_order_alone() {
    let place = Place::new();
    place
        .run("h", &["config", "set", "lend.price", "7"])
        .expect(0);
    let path = place.path("h").join("config.toml");
    let before = fs::read_to_string(&path).unwrap();
    let mine = before.replace(
        "price = 7",
        "# not less than the power\nprice = 7 # last year's",
    );
    assert_ne!(mine, before);
    fs::write(&path, &mine).unwrap();
    place
        .run("h", &["config", "set", "lend.price", "9"])
        .expect(0);
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!(after, mine.replace("price = 7", "price = 9"));
    let listen = "/ip4/127.0.0.1/tcp/0, /ip4/127.0.0.1/udp/0/quic-v1";
    place
        .run("h", &["config", "set", "network.listen", listen])
        .expect(0);
    let said = place
        .run("h", &["config", "get", "network.listen"])
        .expect(0);
    assert_eq!(said.stdout, listen.replace(", ", "\n") + "\n");
}

#[test]
fn a_wrong_setting_is_refused_and_nothing_is_written() {
    let place = Place::new();
    let refuse = |args: &[&str], code: i32, says: &str| {
        place.run("h", args).expect(code).says(says);
    };
    place
        .run("h", &["config", "set", "limits.threads", "2"])
        .expect(0);
    let path = place.path("h").join("config.toml");
    let before = read(&path);
    refuse(
        &["config", "set", "limits.treads", "2"],
        2,
        "limits.threads",
    );
    refuse(
        &["config", "set", "limits.threads", "two"],
        2,
        "from 0 to 1024",
    );
    refuse(
        &["config", "set", "limits.threads", "-1"],
        2,
        "from 0 to 1024",
    );
    refuse(
        &["config", "set", "limits.blobs_gib", "10GB"],
        2,
        "from 1 to 65536",
    );
    refuse(
        &["config", "set", "network.listen", "here"],
        2,
        "no address",
    );
    refuse(&["config", "show", "--set", "lend.price"], 2, "KEY=VALUE");
    refuse(&["config", "show", "--set", "lend.cost=1"], 2, "lend.cost");
    assert_eq!(read(&path), before);
    fs::write(&path, "[limits]\nthraeds = 1\n").unwrap();
    refuse(&["config", "show"], 1, "limits.threads");
    refuse(&["config", "set", "limits.threads", "1"], 1, ":2: ");
    assert_eq!(read(&path), b"[limits]\nthraeds = 1\n");
}

#[test]
fn all_settings_are_shown_with_their_origin() {
    let place = Place::new();
    let said = place
        .run(
            "h",
            &["config", "show", "--origin", "--set", "log.level=info"],
        )
        .expect(0);
    let line = |key: &str| {
        let found = said.stdout.lines().find(|l| l.starts_with(key));
        found.unwrap_or_else(|| panic!("{key}: {}", said.stdout))
    };
    assert!(line("log.level = \"info\"").contains("--set"));
    assert!(line("limits.connections = 256").contains("default"));
    let json = place
        .run("h", &["config", "show", "--json"])
        .expect(0)
        .json();
    let settings = json["settings"].as_array().unwrap();
    assert_eq!(settings.len(), starling::home::config::KEYS.len());
    assert!(
        settings
            .iter()
            .all(|s| s["variable"].as_str().unwrap().starts_with("STARLING_"))
    );
}

#[test]
fn shells_complete_every_command() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.run("h", &["completions", shell]).expect(0).stdout;
        for word in ["doctor", "render", "verify", "completions", "json"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    place.run("h", &["completions", "csh"]).expect(2);
}

#[test]
fn every_command_has_a_manual_page() {
    let place = Place::new();
    let folder = place.text("man1");
    let said = place.run("h", &["man", &folder]).expect(0);
    assert!(said.stdout.lines().count() > 15, "{}", said.stdout);
    for name in ["starling", "starling-run-render", "starling-proof-verify"] {
        let page = fs::read_to_string(place.path("man1").join(format!("{name}.1"))).unwrap();
        assert!(
            page.contains(".SH SYNOPSIS") && page.contains("Examples:"),
            "{name}"
        );
    }
    assert!(!place.path("man1").join("starling-__runner.1").exists());
    let one = place.run("h", &["man"]).expect(0).stdout;
    assert!(one.contains(".TH starling 1"), "{one}");
}
