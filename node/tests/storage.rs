//! What a peer must not lose: log, index, identity and home under damage, kills and refusing disks.

#[path = "storage/damage.rs"]
mod damage;
#[path = "storage/home.rs"]
mod home;
#[path = "storage/index.rs"]
mod index;
#[path = "storage/kill.rs"]
mod kill;
#[path = "storage/refusal.rs"]
mod refusal;

use std::path::{Path, PathBuf};

use starling::log::{Log, LogError, Recovery};

const SWARM: [u8; 32] = [7; 32];

/// Record number `seq` of the tests: its own number and a length that varies.
fn record(seq: u64) -> Vec<u8> {
    let mut bytes = seq.to_le_bytes().to_vec();
    bytes.resize(8 + (seq as usize * 37) % 900, seq as u8);
    bytes
}

type Records = Vec<(u64, Vec<u8>)>;

fn open(dir: &Path) -> Result<(Log, Recovery, Records), LogError> {
    let mut records = Vec::new();
    let (log, recovery) = Log::open(dir, &SWARM, |seq, bytes| {
        records.push((seq, bytes.to_vec()))
    })?;
    Ok((log, recovery, records))
}

/// A log with records 1 to `count`, and its file.
fn filled(dir: &Path, count: u64) -> PathBuf {
    let (mut log, _, _) = open(dir).unwrap();
    for seq in 1..=count {
        assert_eq!(log.append(&record(seq)).unwrap(), seq);
    }
    assert_eq!(log.sync().unwrap(), count);
    dir.join("facts.log")
}

/// Runs one test of this binary in a process of its own, with a variable that tells it its part.
fn child(test: &str, variable: &str, value: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(variable, value);
    command
}
