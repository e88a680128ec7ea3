//! A disk that fills up in mid-experiment, and a program that is killed there: finished cells stay.
//!
//! The full disk is a small one in a mount namespace of its own. Where that is not to be had the test fails, unless
//! `STARLING_MOUNT_TESTS=skip` says that this machine is to do without.

use crate::{jobs, plan, row};
use starling_sim::results::{Folder, ResultsError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// 1 MiB at a folder, seen through the process that holds it.
struct SmallDisk {
    holder: Child,
    outside: PathBuf,
}

impl SmallDisk {
    /// None where the machine is to do without.
    fn new(at: &Path) -> Option<Self> {
        let script =
            r#"mount -t tmpfs -o size=1m,mode=700 tmpfs "$1" && echo ready && exec cat >/dev/null"#;
        // A user namespace makes it work without being root, and does no harm to root.
        let root = Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|o| o.stdout == b"0\n");
        let holder = Command::new("unshare")
            .arg(if root { "-m" } else { "-rm" })
            .args(["sh", "-c", script, "sh"])
            .arg(at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        if let Ok(mut holder) = holder {
            let mut said = [0; 5];
            let stdout = holder.stdout.as_mut().expect("a pipe");
            if stdout.read_exact(&mut said).is_ok() {
                let outside = Path::new("/proc")
                    .join(holder.id().to_string())
                    .join("root");
                let outside = outside.join(at.strip_prefix("/").expect("an absolute path"));
                return Some(Self { holder, outside });
            }
            let _ = holder.wait();
        }
        assert_eq!(
            std::env::var("STARLING_MOUNT_TESTS").as_deref(),
            Ok("skip"),
            "no disk can be mounted here, so nothing is known about full ones (STARLING_MOUNT_TESTS=skip does without)"
        );
        eprintln!("SKIPPED: no disk can be mounted, and STARLING_MOUNT_TESTS=skip");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Its mount goes with it.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_full_disk_keeps_every_finished_cell_and_with_room_the_experiment_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::new(dir.path()) else {
        return;
    };
    let place = disk.outside.join("results");
    let folder = Folder::open_or_create(&place, &plan(), false).unwrap();
    let mut samples = jobs(1.0);
    samples.rows = vec![vec![0.123_456_789, 1.0]; 5000];
    let mut kept = 0;
    let error = loop {
        match folder.put(&row(kept, 1, "a", 1, 1.0), std::slice::from_ref(&samples)) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "the disk is too large to fill");
    };
    assert!(matches!(error, ResultsError::DiskFull { .. }), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("make room and run the same command again"),
        "{error}"
    );
    assert!(kept > 2, "{kept}");
    assert_eq!(folder.rows().unwrap().len(), kept as usize);
    let left = std::fs::read_dir(place.join("cells")).unwrap().count();
    assert_eq!(left, kept as usize, "no half file stays in the way");

    std::fs::remove_file(place.join("cells/00000-1.json")).unwrap();
    drop(folder);
    let folder = Folder::open_or_create(&place, &plan(), false).unwrap();
    assert!(!folder.finished().unwrap().contains(&(0, 1)));
    folder.put(&row(0, 1, "a", 1, 1.0), &[samples]).unwrap();
    assert_eq!(folder.rows().unwrap().len(), kept as usize);
}
