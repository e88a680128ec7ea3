//! `starling demo` as a person runs it, small: real processes, a cheat, a picture, and nobody left behind.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn demo(dir: &Path, samples: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
    command
        .args([
            "demo",
            "--slice-ms",
            "100",
            "--size",
            "320x180",
            "--spp",
            &samples.to_string(),
            "--dir",
        ])
        .arg(dir)
        .args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Processes whose arguments name `dir`.
fn left_behind(dir: &Path) -> Vec<String> {
    let dir = dir.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc")
        .expect("a proc file system")
        .flatten();
    let lines = processes.filter_map(|p| std::fs::read(p.path().join("cmdline")).ok());
    let lines = lines.map(|l| String::from_utf8_lossy(&l).replace('\0', " "));
    lines.filter(|l| l.contains(&dir)).collect()
}

/// Waits until nobody is left: children of a killed process need a moment.
fn assert_nobody(dir: &Path) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !left_behind(dir).is_empty() {
        assert!(
            Instant::now() < deadline,
            "left behind: {:#?}",
            left_behind(dir)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn finished(child: Child) -> Output {
    child.wait_with_output().expect("the demo ends")
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("the demo runs");
}

#[test]
fn a_demo_ends_with_equal_pictures_valid_receipts_and_a_caught_cheat() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = demo(dir.path(), 16, &["--json"])
        .output()
        .expect("the demo runs");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    let report: serde_json::Value = serde_json::from_str(&out).expect("one JSON object");
    assert_eq!(report["cheats_caught"], 1, "{report}");
    assert_eq!(report["false_accusations"], 0, "{report}");
    assert_eq!(report["equal"], true, "{report}");
    assert_eq!(report["receipts"], report["slices"], "{report}");
    for key in [
        "wall_s",
        "local_s",
        "first_slice_ms",
        "audit_share",
        "output",
    ] {
        assert!(!report[key].is_null(), "{key} is missing: {report}");
    }
    let receipts = std::fs::read_dir(dir.path().join("receipts"))
        .expect("receipts")
        .count();
    assert_eq!(report["receipts"], receipts);
    assert!(dir.path().join("render.png").exists());
    assert_nobody(dir.path());
}

#[test]
fn ctrl_c_at_any_moment_leaves_no_process_behind() {
    for after_ms in [50, 700, 2_500] {
        let dir = tempfile::tempdir().expect("a folder");
        let child = demo(dir.path(), 1024, &[])
            .spawn()
            .expect("the demo starts");
        std::thread::sleep(Duration::from_millis(after_ms));
        signal(&child, rustix::process::Signal::INT);
        assert_eq!(
            finished(child).status.code(),
            Some(130),
            "after {after_ms} ms"
        );
        assert_nobody(dir.path());
    }
}

#[test]
fn a_killed_demo_takes_its_peers_along() {
    let dir = tempfile::tempdir().expect("a folder");
    let child = demo(dir.path(), 1024, &[])
        .spawn()
        .expect("the demo starts");
    // Its peers are up, and some of them compute.
    std::thread::sleep(Duration::from_millis(3_000));
    signal(&child, rustix::process::Signal::KILL);
    drop(finished(child));
    assert_nobody(dir.path());
}

#[test]
fn a_folder_with_other_files_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("thesis.txt"), "all my work").expect("writable");
    let output = demo(dir.path(), 16, &[]).output().expect("the demo runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("--dir"),
        "{output:?}"
    );
    assert!(dir.path().join("thesis.txt").exists());
}
