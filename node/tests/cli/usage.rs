//! What needs no swarm: help, usage errors, local pictures, a swarm without peers.

use std::path::Path;

use crate::support::{Place, read};

#[test]
fn every_command_explains_itself() {
    let place = Place::new();
    let commands: [&[&str]; 40] = [
        &[],
        &["demo"],
        &["up"],
        &["run", "render"],
        &["run", "fractal"],
        &["run", "matmul"],
        &["run", "wgsl"],
        &["shader", "check"],
        &["shader", "new"],
        &["job", "ls"],
        &["job", "show"],
        &["job", "watch"],
        &["job", "get"],
        &["job", "why"],
        &["job", "cancel"],
        &["job", "forget"],
        &["peers"],
        &["peers", "show"],
        &["proof", "verify"],
        &["swarm"],
        &["swarm", "create"],
        &["swarm", "invite"],
        &["swarm", "join"],
        &["swarm", "switch"],
        &["dev", "swarm"],
        &["dev", "reference"],
        &["bench"],
        &["bench", "kernels"],
        &["bench", "swarm"],
        &["bench", "dht"],
        &["bench", "proof"],
        &["doctor"],
        &["service"],
        &["service", "install"],
        &["service", "uninstall"],
        &["service", "status"],
        &["config"],
        &["completions"],
        &["man"],
        &["version"],
    ];
    for command in commands {
        let help = place
            .run("h", &[command, &["--help"]].concat())
            .expect(0)
            .stdout;
        assert!(
            help.contains("Examples:") && help.contains("Usage:"),
            "{command:?}: {help}"
        );
        assert!(
            !help.contains("__runner") && !help.contains("--lies"),
            "{command:?} shows what is hidden"
        );
    }
    assert!(!place.path("h").exists(), "help leaves no trace");
}

#[test]
fn nonsense_is_a_usage_error() {
    let place = Place::new();
    let wrong: [&[&str]; 14] = [
        &[],
        &["frobnicate"],
        &["up", "--listen", "here"],
        &["run", "fractal"],
        &["run", "fractal", "-o", "x.png", "--local", "--size", "0x9"],
        &["run", "fractal", "-o", "x.png", "--local", "--zoom", "1e30"],
        &[
            "run", "fractal", "-o", "x.png", "--local", "--centre", "7,7",
        ],
        &["run", "fractal", "-o", "x.png", "--local", "--peers", "2"],
        &[
            "run",
            "fractal",
            "-o",
            "x.png",
            "--local",
            "--stewards",
            "2",
        ],
        &["run", "fractal", "-o", "x.png", "--local", "--full-audits"],
        &[
            "run",
            "render",
            "bundled",
            "-o",
            "x.png",
            "--local",
            "--size",
            "99999x99999",
        ],
        &[
            "run", "render", "bundled", "-o", "x.png", "--local", "--camera", "1,2,3",
        ],
        &["job", "show", "../../etc"],
        &["swarm", "create", ""],
    ];
    for args in wrong {
        place.run("h", args).expect(2);
    }
    assert!(!place.path("x.png").exists());
}

#[test]
fn version_names_rules_and_kernels() {
    let version = Place::new()
        .run("h", &["version", "--json"])
        .expect(0)
        .json();
    assert_eq!(version["rules"], starling_protocol::config::RULES_VERSION);
    let names: Vec<_> = version["kernels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| k["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["render", "fractal", "matmul", "noop", "wgsl"]);
}

#[test]
fn a_local_picture_is_a_png_and_the_same_every_time() {
    let place = Place::new();
    let fractal = |file: &str| {
        place
            .run(
                "h",
                &[
                    "run",
                    "fractal",
                    "-o",
                    file,
                    "--local",
                    "--size",
                    "70x50",
                    "--julia",
                    "-0.8,0.156",
                ],
            )
            .expect(0)
    };
    let said = fractal("a.png");
    assert_eq!(said.stdout, "a.png\n", "stdout is the data alone");
    fractal("b.png");
    let png = read(&place.path("a.png"));
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    assert_eq!(png, read(&place.path("b.png")));
    let args = [
        "run", "render", "bundled", "-o", "r.png", "--exr", "r.exr", "--size", "48x32", "--spp",
        "3", "--local",
    ];
    let json = place
        .run("h", &[&args[..], &["--json"]].concat())
        .expect(0)
        .json();
    assert_eq!(json["output"], "r.png");
    assert!(
        read(&place.path("r.exr")).starts_with(&[0x76, 0x2f, 0x31, 0x01]),
        "an EXR file"
    );
    assert!(!place.path("h").exists(), "--local needs no home");
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_the_work() {
    let place = Place::new();
    let run = |file: &str| {
        place.run(
            "h",
            &["run", "fractal", "-o", file, "--local", "--size", "64x64"],
        )
    };
    run("missing/x.png").expect(1).says("missing").says("fix:");
    run(".").expect(1).says("is a folder");
    place
        .run(
            "h",
            &["run", "render", "nothing.obj", "-o", "x.png", "--local"],
        )
        .expect(1)
        .says("nothing.obj");
    std::fs::write(place.path("bad.glb"), b"glTF\x02\0\0\0\xff\xff\xff\xff").unwrap();
    place
        .run("h", &["run", "render", "bad.glb", "-o", "x.png", "--local"])
        .expect(1)
        .says("malformed");
    let left: Vec<_> = std::fs::read_dir(place.path("."))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["bad.glb"], "no drafts are left");
}

#[test]
fn without_peers_a_job_is_refused_and_the_fix_named() {
    let place = Place::new();
    let args = [
        "run", "fractal", "-o", "x.png", "--device", "cpu", "--json", "--wait",
    ];
    let refused = place
        .run("h", &[&args[..], &["0.3"]].concat())
        .expect(6)
        .says("starling up");
    assert_eq!(refused.json()["exit"], 6);
    place
        .run("h", &[&args[..], &["30", "--timeout", "0.4"]].concat())
        .expect(7)
        .says("--timeout");
    place.run("h", &["peers"]).expect(3).says("starling up");
    place
        .run("h", &["job", "show", "last"])
        .expect(1)
        .says("starling run");
    place
        .run("h", &["job", "show", "abcd"])
        .expect(1)
        .says("abcd");
}

#[test]
fn the_reference_is_what_the_program_gives() {
    let place = Place::new();
    place.run("h", &["dev", "reference", "made"]).expect(0);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    for page in ["commands.md", "settings.md", "reasons.md", "api.md"] {
        let made = std::fs::read_to_string(place.path("made").join(page)).unwrap();
        let kept = std::fs::read_to_string(kept.join(page)).unwrap_or_default();
        assert!(
            made == kept,
            "docs/reference/{page} is old: run `starling dev reference docs/reference`"
        );
    }
}

#[test]
fn every_object_says_its_schema() {
    let place = Place::new();
    let id = "ab".repeat(32);
    let commands: [(&[&str], i32); 16] = [
        (&["version"], 0),
        (&["doctor"], 0),
        (&["swarm", "create", "one", "--open", "--scope", "local"], 0),
        (&["swarm", "show"], 0),
        (&["config", "show"], 0),
        (&["config", "get", "api.port"], 0),
        (&["config", "set", "api.port", "0"], 0),
        (&["config", "unset", "api.port"], 0),
        (&["job", "ls"], 0),
        (&["job", "show", &id], 1),
        (&["peers"], 3),
        (&["proof", "verify", "absent.popw"], 1),
        (&["bench", "proof", "absent.popw"], 1),
        (
            &[
                "run", "fractal", "-o", "x.png", "--local", "--size", "32x32",
            ],
            0,
        ),
        (
            &["run", "fractal", "-o", "y.png", "--detach", "--wait", "1"],
            6,
        ),
        (&["man", "pages"], 0),
    ];
    for (command, code) in commands {
        let said = place
            .run("h", &[command, &["--json"]].concat())
            .expect(code);
        assert!(!said.stdout.is_empty(), "{command:?}");
        for line in said.stdout.lines() {
            let value: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{command:?}: {e}: {line}"));
            assert_eq!(value["schema"], 1, "{command:?}: {line}");
            if code != 0 && value.get("error").is_some() {
                assert!(value["code"].is_string(), "{command:?}: {line}");
                assert_eq!(value["exit"], code, "{command:?}: {line}");
            }
        }
    }
}
