//! A blob of any size from the disk of two peers to the disk of a third, in memory that does not grow with it.
//!
//! `scripts/soak blob` runs this with 2 GiB, the longest blob there is; the tests of every day with little.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::{Duration, Instant},
};

use starling::{blobs::MAX_BLOB_BYTES, net::NetLimits};

use crate::{
    sources::outcome,
    support::{Node, Setup},
};

/// Size in MiB.
const SIZE: &str = "STARLING_BLOB_MIB";
/// What this process may use at most, whatever the size: three peers, their windows and blocks, and the test itself.
const MOST_RSS: u64 = 128 << 20;

/// Bytes that no compression or copy of a block would bring forth.
fn write_noise(path: &Path, len: u64) {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let mut noise = blake3::Hasher::new().finalize_xof();
    let (mut block, mut left) = (vec![0; 1 << 16], len);
    while left > 0 {
        noise.fill(&mut block);
        let n = left.min(block.len() as u64);
        file.write_all(&block[..n as usize]).unwrap();
        left -= n;
    }
    file.flush().unwrap();
}

/// Most memory that this process ever had; none where the system does not tell.
fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_any_size_goes_from_disk_to_disk() {
    let mib = std::env::var(SIZE).map_or(40, |v| v.parse().expect(SIZE));
    let len = u64::min(mib << 20, MAX_BLOB_BYTES);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("input");
    write_noise(&path, len);

    let room = 3 * len;
    let setup = || Setup {
        room,
        ..Setup::default()
    };
    let (b, c) = (Node::start(setup()).await, Node::start(setup()).await);
    let mut a = Node::start(Setup {
        bootstrap: vec![b.address.clone(), c.address.clone()],
        limits: NetLimits::default(),
        ..setup()
    })
    .await;
    a.connected_all(&[b.key(), c.key()]).await;
    let began = Instant::now();
    let mut hash = [0; 32];
    for store in [&b.blobs, &c.blobs] {
        (hash, _) = store.put_file(&path).unwrap();
    }
    let put = began.elapsed();
    std::fs::remove_file(&path).unwrap();

    let began = Instant::now();
    let from = vec![b.key(), c.key()];
    a.net.fetch_blob(1, hash, len, from).await.unwrap();
    let patience = Duration::from_secs(60 + (len >> 20));
    let (_, fetched) = a.wait_for(patience, "the blob", outcome).await;
    let took = began.elapsed();
    assert_eq!(fetched.unwrap(), len);
    assert_eq!(a.blobs.list(), [(hash, len)]);
    let rss = peak_rss();
    println!(
        "{} MiB: put {:.0} MB/s (twice), fetched from two {:.0} MB/s, peak memory {} MiB",
        len >> 20,
        2e-6 * len as f64 / put.as_secs_f64(),
        1e-6 * len as f64 / took.as_secs_f64(),
        rss.map_or("?".into(), |n| (n >> 20).to_string()),
    );
    assert!(rss.is_none_or(|rss| rss < MOST_RSS), "{rss:?} bytes");
    // What arrived is what its name says, also after a look at all of it.
    let (again, _) = b.blobs.put_file(&a.folder().join(hex(hash))).unwrap();
    assert_eq!(again, hash);
}

fn hex(hash: [u8; 32]) -> String {
    blake3::Hash::from_bytes(hash).to_hex().to_string()
}
