//! What an idle peer costs its machine: `starling up` as a process of its own, left alone in a swarm for a minute.
//!
//! Invariant: the process does not outlive the measurement, however that ends.

use std::process::Stdio;
use std::time::Duration;

use starling_protocol::Genesis;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::process;
use crate::genesis;
use crate::home::disk;
use crate::net::Multiaddr;
use crate::reason::Reason;
use crate::stage::ALWAYS;

/// How long it idles.
const IDLE: Duration = Duration::from_secs(60);
/// Between two words about how long that still takes.
const SAY: Duration = Duration::from_secs(10);
/// It may take this long to listen, or to leave.
const PATIENCE: Duration = Duration::from_secs(60);

/// Resident bytes of an idle daemon that lends its CPU to a swarm; none where the system does not tell.
///
/// # Errors
/// `error` if it does not start or does not stay.
pub async fn resident(
    genesis: &Genesis,
    bootstrap: &[Multiaddr],
    say: &dyn Fn(&str),
) -> Result<Option<f64>, Reason> {
    if process::resident("self").is_none() {
        return Ok(None);
    }
    let folder = tempfile::tempdir().map_err(|e| Reason::of("disk_failed", e))?;
    let home = folder.path().join("idle");
    disk::create_private_dir(&home)?;
    genesis::save_new(genesis, &home.join("genesis.toml")).map_err(|e| Reason::of("error", e))?;
    let mut child = spawn(&home, bootstrap)?;
    let measured = watch(&mut child, say).await;
    // Its stdin ends, and so does it.
    drop(child.stdin.take());
    if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
    measured.map(Some)
}

fn spawn(home: &std::path::Path, bootstrap: &[Multiaddr]) -> Result<Child, Reason> {
    let cannot = |e| Reason::of("error", format!("cannot start `starling up`: {e}"));
    let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
    command
        .args([
            "up",
            "--events",
            "--exit-on-stdin-close",
            "--device",
            "cpu",
            "--home",
        ])
        .arg(home)
        .envs(ALWAYS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for address in bootstrap {
        command.arg("--bootstrap").arg(address.to_string());
    }
    // Ctrl-C is for the bench.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn().map_err(cannot)
}

async fn watch(child: &mut Child, say: &dyn Fn(&str)) -> Result<f64, Reason> {
    let gone = || {
        Reason::of(
            "error",
            "`starling up` does not run; run it by hand to see why",
        )
    };
    let mut lines = BufReader::new(child.stdout.take().ok_or_else(gone)?).lines();
    let listens = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.contains(r#""happening":"listening""#) {
                return true;
            }
        }
        false
    };
    if !tokio::time::timeout(PATIENCE, listens)
        .await
        .unwrap_or(false)
    {
        return Err(gone());
    }
    let reader = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let mut left = IDLE;
    while !left.is_zero() {
        say(&format!("an idle daemon: {} s left", left.as_secs()));
        tokio::time::sleep(SAY.min(left)).await;
        left = left.saturating_sub(SAY);
    }
    let bytes = child.id().map(|id| process::resident(&id.to_string()));
    reader.abort();
    bytes.flatten().ok_or_else(gone)
}
