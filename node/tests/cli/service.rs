//! The service of Linux, with a `systemctl` that writes down what it is asked and does as the real one does to files.
//!
//! No test here has a manager that starts units; that the unit is one is checked by `systemd-analyze`, where it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Ended, Place, Process};

/// Remembers in `$FAKE` what it was asked; `$FAKE/fail` names a verb that does not work, `$FAKE/no-bus` is as it sounds.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >> "$FAKE/calls"
test -e "$FAKE/no-bus" && { echo "Failed to connect to bus" >&2; exit 1; }
test "$2" = "$(cat "$FAKE/fail" 2>/dev/null)" && { echo "Job failed" >&2; exit 1; }
wants="$XDG_CONFIG_HOME/systemd/user/default.target.wants"
case "$2 $3" in
"show --property=Version") echo Version=252 ;;
show*)
  test -e "$FAKE/active" && echo ActiveState=active || echo ActiveState=inactive
  test -h "$wants/starling.service" && echo UnitFileState=enabled || echo UnitFileState=disabled
  echo ExecMainCode=1; echo ExecMainStatus=4
  echo ActiveEnterTimestampMonotonic=1000000; echo InactiveEnterTimestampMonotonic=0 ;;
enable*) mkdir -p "$wants"; ln -sf ../starling.service "$wants/"; touch "$FAKE/active" ;;
disable*) rm -f "$wants/starling.service" "$FAKE/active" ;;
esac
"#;

struct Fake {
    place: Place,
}

impl Fake {
    fn new() -> Self {
        let place = Place::new();
        fs::create_dir(place.path("bin")).unwrap();
        for (name, text) in [
            ("systemctl", SYSTEMCTL),
            ("loginctl", "#!/bin/sh\necho Linger=no\n"),
        ] {
            let path = place.path("bin").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { place }
    }

    fn command(&self, home: &str, args: &[&str]) -> Command {
        let mut command = self.place.command(home, &[&["service"], args].concat());
        let path = std::env::var("PATH").unwrap();
        command
            .env("PATH", format!("{}:{path}", self.place.text("bin")))
            .env("XDG_CONFIG_HOME", self.place.path("config"))
            .env("FAKE", self.place.path("."));
        command
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.run_in("my home", args)
    }

    fn run_in(&self, home: &str, args: &[&str]) -> Ended {
        Process::start(self.command(home, args)).end()
    }

    /// A machine on which no program at all is found.
    fn run_without_systemd(&self, args: &[&str]) -> Ended {
        let mut command = self.command("my home", args);
        command.env("PATH", self.place.path("nothing"));
        Process::start(command).end()
    }

    fn unit(&self) -> PathBuf {
        self.place.path("config/systemd/user/starling.service")
    }

    fn set(&self, name: &str, text: &str) {
        fs::write(self.place.path(name), text).unwrap();
    }

    /// What was asked since the last time, questions left out.
    fn calls(&self) -> Vec<String> {
        let path = self.place.path("calls");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        let deeds = text.lines().filter(|line| !line.contains(" show "));
        deeds.map(str::to_owned).collect()
    }
}

#[test]
fn a_service_is_installed_shown_and_taken_away() {
    let fake = Fake::new();
    let before = fake.run(&["status", "--json"]).expect(0).json();
    assert_eq!(before["installed"], false, "{before}");
    fake.run(&["uninstall"]).expect(0);
    assert!(fake.calls().is_empty(), "nothing to be done");

    let made = fake.run(&["install"]).expect(0).says("enable-linger");
    assert!(made.stdout.contains("starling.service"), "{}", made.stdout);
    let enable = [
        "--user daemon-reload",
        "--user enable --now starling.service",
    ];
    assert_eq!(fake.calls(), enable);
    let unit = fs::read_to_string(fake.unit()).unwrap();
    let command = format!(
        "ExecStart=\"{}\" \"up\" \"--home\" \"{}\" \"--quiet\"",
        fs::canonicalize(env!("CARGO_BIN_EXE_starling"))
            .unwrap()
            .display(),
        fake.place.text("my home"),
    );
    for line in [
        &*command,
        "Restart=on-failure",
        "RestartPreventExitStatus=2 4",
        "KillSignal=SIGTERM",
        "WantedBy=default.target",
    ] {
        assert!(unit.lines().any(|l| l == line), "{line}: {unit}");
    }

    let state = fake.run(&["status", "--json"]).expect(0).json();
    for (key, value) in [
        ("installed", true),
        ("enabled", true),
        ("running", true),
        ("changed", false),
        ("program_moved", false),
        ("lingers", false),
    ] {
        assert_eq!(state[key], value, "{key}: {state}");
    }
    assert_eq!(state["home"], *fake.place.text("my home"));
    assert!(state["since_s"].as_u64().unwrap() > 0, "{state}");

    // One that has ended says how.
    fs::remove_file(fake.place.path("active")).unwrap();
    let ended = fake.run(&["status"]).expect(0).says("exit code 4");
    assert!(ended.stdout.contains("running    no"), "{}", ended.stdout);
    fs::write(fake.place.path("active"), "").unwrap();

    // The same again changes nothing; another command has the running one started anew.
    fake.calls();
    fake.run(&["install"]).expect(0);
    assert_eq!(fake.calls(), enable);
    fake.run_in("elsewhere", &["install"]).expect(0);
    assert_eq!(fake.calls()[2], "--user restart starling.service");

    fake.run(&["uninstall"]).expect(0);
    assert_eq!(
        fake.calls(),
        [
            "--user disable --now starling.service",
            "--user daemon-reload",
            "--user reset-failed starling.service"
        ]
    );
    assert!(!fake.unit().exists());
    fake.run(&["uninstall"]).expect(0);
    assert!(!fake.place.path("my home").exists(), "no home was made");
}

#[test]
fn a_unit_that_somebody_changed_is_left_alone() {
    let fake = Fake::new();
    fake.run(&["install"]).expect(0);
    let unit = fs::read_to_string(fake.unit()).unwrap();
    let mine = unit.replace("RestartSec=5", "RestartSec=50");
    fs::write(fake.unit(), &mine).unwrap();
    fake.calls();
    for verb in ["install", "uninstall"] {
        let refused = fake.run(&[verb, "--json"]).expect(1).says("--force");
        assert_eq!(refused.json()["code"], "service_changed");
    }
    assert!(fake.calls().is_empty());
    assert_eq!(fs::read_to_string(fake.unit()).unwrap(), mine);
    let state = fake.run(&["status", "--json"]).expect(0).json();
    assert_eq!(
        (&state["changed"], &state["installed"]),
        (&true.into(), &true.into())
    );
    fake.run(&["install", "--force"]).expect(0);
    assert_eq!(fs::read_to_string(fake.unit()).unwrap(), unit);
    // A masked unit is a link.
    fs::remove_file(fake.unit()).unwrap();
    std::os::unix::fs::symlink("/dev/null", fake.unit()).unwrap();
    fake.run(&["install"]).expect(1).says("--force");
    // One of a program that is gone is of use to nobody.
    fs::remove_file(fake.unit()).unwrap();
    let gone = "[Service]\nExecStart=/gone/starling up --home /h\n";
    fs::write(fake.unit(), gone).unwrap();
    let state = fake.run(&["status", "--json"]).expect(0).json();
    assert_eq!(state["program_moved"], true, "{state}");
    assert_eq!(
        (&state["program"], &state["home"]),
        (&"/gone/starling".into(), &"/h".into())
    );
}

#[test]
fn without_a_manager_nothing_is_half_done() {
    let fake = Fake::new();
    let code = |ended: Ended| ended.expect(1).json()["code"].as_str().unwrap().to_owned();
    let install = ["install", "--json"];
    assert_eq!(
        code(fake.run_without_systemd(&install)),
        "no_service_manager"
    );
    fake.set("no-bus", "");
    assert_eq!(code(fake.run(&install)), "no_service_manager");
    assert!(!fake.place.path("config").exists());
    fs::remove_file(fake.place.path("no-bus")).unwrap();
    for verb in ["daemon-reload", "enable"] {
        fake.set("fail", verb);
        assert_eq!(code(fake.run(&install)), "service_failed");
        assert!(!fake.unit().exists(), "{verb}");
    }
    fs::remove_file(fake.place.path("fail")).unwrap();

    // Only written, it can be looked at, and taken away, without a manager.
    fake.run_without_systemd(&["install", "--no-start"])
        .expect(0)
        .says("systemctl --user enable --now starling");
    let state = fake
        .run_without_systemd(&["status", "--json"])
        .expect(0)
        .json();
    assert_eq!(
        (&state["installed"], &state["enabled"]),
        (&true.into(), &false.into())
    );
    assert_eq!(state["running"], serde_json::Value::Null);
    assert_eq!(state["reason"]["code"], "no_service_manager");
    fake.run_without_systemd(&["uninstall"]).expect(0);
    assert!(!fake.unit().exists());

    // What is enabled has to be disabled first; one that fails to be replaced stays as it was.
    fake.run(&["install"]).expect(0);
    let unit = fs::read_to_string(fake.unit()).unwrap();
    assert_eq!(
        code(fake.run_without_systemd(&["uninstall", "--json"])),
        "no_service_manager"
    );
    fake.set("fail", "enable");
    assert_eq!(code(fake.run_in("elsewhere", &install)), "service_failed");
    assert_eq!(fs::read_to_string(fake.unit()).unwrap(), unit);
}

#[test]
fn a_home_in_use_gets_no_second_peer() {
    let fake = Fake::new();
    let up = fake.place.up("my home", &[]);
    let refused = fake
        .run(&["install", "--json"])
        .expect(1)
        .says("--no-start");
    assert_eq!(refused.json()["code"], "home_in_use");
    assert!(!fake.unit().exists());
    drop(up);
}

#[test]
fn systemd_takes_the_unit() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("skipped: there is no systemd-analyze here");
        return;
    }
    let fake = Fake::new();
    fake.run(&["install", "--no-start"]).expect(0);
    let runtime = fake.place.path("run");
    fs::create_dir(&runtime).unwrap();
    let verdict = Command::new("systemd-analyze")
        .args(["--user", "verify"])
        .arg(fake.unit())
        .env("XDG_RUNTIME_DIR", runtime)
        .env("HOME", fake.place.path("."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verdict.stderr);
    // Units of the machine's own may have faults.
    let ours = said.lines().filter(|line| line.contains("starling"));
    assert_eq!(ours.count(), 0, "{said}");
}
