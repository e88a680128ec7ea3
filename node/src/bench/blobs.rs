//! How fast a blob goes from one peer's disk to another's, beside the same bytes over bare TCP.
//!
//! Both start from a file that the system still has in memory, go over loopback, and end when the receiver's file is on
//! the disk (fsync), in the same process and by turns; medians of three. The rival is a thread on each side with a
//! socket and blocks of 256 KiB: no encryption, no hashes, no windows of its own. What a blob costs more is
//! encryption, multiplexing, and its hash on both sides. One source: several would be no faster on one machine.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::sync::mpsc;

use super::bare;
use crate::{
    blobs::{BlobHash, BlobStore},
    home::DiskError,
    net::{NetEvent, NetHandle},
    reason::Reason,
};

/// Length of the blob.
const BYTES: u64 = 256 << 20;
/// Transfers of each kind.
const RUNS: usize = 3;
/// What the rival reads and writes at once.
const BLOCK_BYTES: usize = 256 * 1024;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BlobReport {
    /// A blob from disk to disk, verified, 10^6 bytes per second.
    pub blob_mb_per_s: f64,
    /// The same bytes from disk to disk over bare TCP, 10^6 bytes per second.
    pub tcp_mb_per_s: f64,
    /// The first over the second.
    pub ratio: f64,
    /// Bytes moved each time.
    pub bytes: u64,
}

/// Measures transfers between two peers in this process, over TCP, Noise and yamux on loopback.
///
/// # Errors
/// Why a peer does not start, or a transfer does not end.
pub async fn measure(say: &dyn Fn(&str)) -> Result<BlobReport, Reason> {
    let dir = tempfile::tempdir().map_err(|e| Reason::of("disk_failed", e))?;
    let input = dir.path().join("input");
    let path = input.clone();
    blocking(move || write_noise(&path, BYTES).map_err(|e| disk(&path, e))).await?;
    let store = |name: &str| BlobStore::open(dir.path().join(name), 4 * BYTES);
    let (from, to) = (store("from")?, store("to")?);
    let (stored, path) = (from.clone(), input.clone());
    let (hash, _) = blocking(move || Ok(stored.put_file(&path)?)).await?;
    let swarm_id = *blake3::hash(b"bench").as_bytes();
    let (sender, mut told, address) = bare::start(swarm_id, Vec::new(), from).await?;
    // Somebody has to read them.
    let listening = tokio::spawn(async move { while told.recv().await.is_some() {} });
    let (receiver, mut events, _) = bare::start(swarm_id, vec![address], to.clone()).await?;
    wait(&mut events, |event| {
        matches!(event, NetEvent::PeerConnected { .. }).then_some(Ok(()))
    })
    .await?;

    let (mut tcp, mut blob) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        say(&format!("blobs, run {run} of {RUNS}"));
        let (source, target) = (input.clone(), dir.path().join("copy"));
        tcp.push(blocking(move || by_tcp(&source, &target)).await?);
        let began = Instant::now();
        fetch(&receiver, &mut events, hash, vec![sender.local()]).await?;
        blob.push(began.elapsed());
        let store = to.clone();
        blocking(move || Ok(store.remove(&hash)?)).await?;
    }
    receiver.shutdown().await;
    sender.shutdown().await;
    listening.abort();
    let rate = |mut times: Vec<Duration>| {
        times.sort_unstable();
        BYTES as f64 / 1e6 / times[times.len() / 2].as_secs_f64()
    };
    let (blob_mb_per_s, tcp_mb_per_s) = (rate(blob), rate(tcp));
    Ok(BlobReport {
        blob_mb_per_s,
        tcp_mb_per_s,
        ratio: blob_mb_per_s / tcp_mb_per_s,
        bytes: BYTES,
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Reason> + Send + 'static,
) -> Result<T, Reason> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Reason::of("error", e))?
}

fn network(error: impl std::fmt::Display) -> Reason {
    Reason::of("network_failed", error)
}

fn disk(path: &Path, error: std::io::Error) -> Reason {
    DiskError::new("write", path, error).into()
}

/// Bytes in which no block repeats.
fn write_noise(path: &Path, len: u64) -> std::io::Result<()> {
    let mut noise = blake3::Hasher::new().finalize_xof();
    let mut file = File::create(path)?;
    let mut block = vec![0; BLOCK_BYTES];
    for _ in 0..len / BLOCK_BYTES as u64 {
        noise.fill(&mut block);
        file.write_all(&block)?;
    }
    file.sync_all()
}

/// The rival.
fn by_tcp(source: &Path, target: &PathBuf) -> Result<Duration, Reason> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(network)?;
    let address = listener.local_addr().map_err(network)?;
    let mut from = File::open(source).map_err(|e| disk(source, e))?;
    let mut to = File::create(target).map_err(|e| disk(target, e))?;
    let began = Instant::now();
    let sending = std::thread::spawn(move || {
        let mut socket = TcpStream::connect(address)?;
        pass(&mut from, &mut socket)
    });
    let (mut socket, _) = listener.accept().map_err(network)?;
    let moved = pass(&mut socket, &mut to).map_err(|e| disk(target, e))?;
    to.sync_all().map_err(|e| disk(target, e))?;
    let took = began.elapsed();
    let sent = sending
        .join()
        .map_err(|_| Reason::of("error", "a thread died"))?;
    if sent.map_err(network)? != BYTES || moved != BYTES {
        return Err(network("bytes were lost"));
    }
    std::fs::remove_file(target).map_err(|e| disk(target, e))?;
    Ok(took)
}

/// Not `std::io::copy`, which would let the kernel move the bytes without a look at them.
fn pass(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<u64> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut moved = 0;
    loop {
        let n = from.read(&mut block)?;
        if n == 0 {
            return Ok(moved);
        }
        to.write_all(&block[..n])?;
        moved += n as u64;
    }
}

async fn fetch(
    net: &NetHandle,
    events: &mut mpsc::Receiver<NetEvent>,
    hash: BlobHash,
    from: Vec<[u8; 32]>,
) -> Result<(), Reason> {
    let asked = net.fetch_blob(0, hash, BYTES, from).await;
    asked.map_err(network)?;
    wait(events, |event| match event {
        NetEvent::BlobDone { .. } => Some(Ok(())),
        NetEvent::BlobFailed { reason, .. } => Some(Err(network(reason))),
        _ => None,
    })
    .await
}

/// The first event that `pick` takes.
async fn wait<T>(
    events: &mut mpsc::Receiver<NetEvent>,
    mut pick: impl FnMut(NetEvent) -> Option<Result<T, Reason>>,
) -> Result<T, Reason> {
    let found = async {
        while let Some(event) = events.recv().await {
            if let Some(found) = pick(event) {
                return found;
            }
        }
        Err(network("the network has ended"))
    };
    let late = |_| Reason::new("timeout", "a blob did not arrive in time", "measure again");
    tokio::time::timeout(PATIENCE, found).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves all bytes twice six times: `cargo test --release -p starling bench::blobs -- --ignored --nocapture`.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "a measurement, which only a release build makes meaningful"]
    async fn blobs_over_bare_tcp() {
        let report = measure(&|_| {}).await.expect("two peers on loopback");
        println!("{report:?}");
        assert_eq!(report.bytes, BYTES);
    }
}
