//! Disks that refuse: full, limited, read-only.

use super::{child, filled, open, record};
use starling::home::{DiskError, Home, HomeError};
use starling::log::{LogError, LogWriter};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const FULL: &str = "STARLING_TEST_FULL_DIR";
const READ_ONLY: &str = "STARLING_TEST_READ_ONLY_DIR";

/// Runs `child` as the arguments of another program.
fn through(program: &mut Command, child: &Command) -> std::process::Output {
    program.arg(child.get_program()).args(child.get_args());
    program.envs(
        child
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    program
        .output()
        .unwrap_or_else(|e| panic!("{:?}: {e}", program.get_program()))
}

#[track_caller]
fn assert_passed(output: &std::process::Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_full_device_is_named_as_such() {
    let path = Path::new("/dev/full");
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let error = DiskError::new("write", path, file.write_all(b"x").unwrap_err());
    assert!(matches!(error, DiskError::Full { .. }));
    assert!(error.to_string().contains("free some space"), "{error}");
}

/// The part of the child, which may write files of at most 32 KiB.
#[tokio::test]
async fn child_meets_the_limit() {
    let Some(dir) = std::env::var_os(FULL).map(PathBuf::from) else {
        return;
    };
    let (log, _, _) = open(&dir).unwrap();
    let mut writer = LogWriter::spawn(log, 4).unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match writer.append(record(acknowledged + 1)).await {
            Ok(seq) => match writer.durable(seq).await {
                Ok(()) => acknowledged = seq,
                Err(error) => break error,
            },
            Err(error) => break error,
        }
    };
    let LogError::Stopped(inner) = &error else {
        panic!("{error}")
    };
    assert!(
        matches!(**inner, LogError::Disk(DiskError::Full { .. })),
        "{error}"
    );
    // Stopped is stopped: nothing is taken any more, and closing says so too.
    assert!(writer.append(record(1)).await.is_err());
    assert!(matches!(writer.close(), Err(LogError::Stopped(_))));
    fs::write(dir.join("acknowledged"), acknowledged.to_string()).unwrap();
}

#[test]
fn a_log_that_meets_a_full_disk_stops_with_everything_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
    let part = child("refusal::child_meets_the_limit", FULL, dir.path());
    assert_passed(&through(
        Command::new("sh").args(["-c", script, "sh"]),
        &part,
    ));
    let acknowledged: u64 = fs::read_to_string(dir.path().join("acknowledged"))
        .unwrap()
        .parse()
        .unwrap();
    assert!(acknowledged > 10, "{acknowledged}");
    // With space again, it goes on where it was.
    let (mut log, recovery, records) = open(dir.path()).unwrap();
    assert!(
        recovery.is_clean() && recovery.torn_bytes == 0,
        "{recovery:?}"
    );
    assert_eq!(records.len() as u64, acknowledged);
    assert_eq!(log.append(&record(1)).unwrap(), acknowledged + 1);
    log.sync().unwrap();
}

/// The part of the child, which may not write to the folder it is given.
#[test]
fn child_may_not_write() {
    let Some(dir) = std::env::var_os(READ_ONLY).map(PathBuf::from) else {
        return;
    };
    let log = open(&dir.join("empty")).unwrap_err();
    assert!(
        matches!(log, LogError::Disk(DiskError::Denied { .. })),
        "{log}"
    );
    assert!(log.to_string().contains("--home"), "{log}");
    let log = open(&dir.join("filled")).unwrap_err();
    assert!(
        matches!(log, LogError::Disk(DiskError::Denied { .. })),
        "{log}"
    );
    let home = Home::open(&dir.join("home")).unwrap_err();
    assert!(
        matches!(home, HomeError::Disk(DiskError::Denied { .. })),
        "{home}"
    );
}

#[test]
fn a_read_only_folder_is_named_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let path = filled(&dir.path().join("filled"), 3);
    fs::create_dir(dir.path().join("empty")).unwrap();
    let set =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(&path, 0o400);
    for name in ["filled", "empty", ""] {
        set(&dir.path().join(name), 0o500);
    }
    // The super-user may write anywhere, unless its capabilities are taken away.
    let part = child("refusal::child_may_not_write", READ_ONLY, dir.path());
    let drop_capabilities = ["--inh-caps=-all", "--bounding-set=-all"];
    let output = match fs::write(dir.path().join("probe"), "") {
        Ok(()) => through(Command::new("setpriv").args(drop_capabilities), &part),
        Err(_) => through(&mut Command::new("env"), &part),
    };
    for name in ["", "filled", "empty"] {
        set(&dir.path().join(name), 0o700);
    }
    assert_passed(&output);
}
