//! A disk that refuses in the middle of a blob: said so, nothing left behind, and the peer goes on.

use std::{fs, path::PathBuf, process::Command};

use starling::{
    blobs::{BlobError, BlobStore},
    net::BlobFailure,
};

use crate::{
    sources::{outcome, pattern},
    support::{Node, Setup},
};

const DIR: &str = "STARLING_TEST_LIMITED_DIR";
const LARGE: usize = 4 << 20;
const SMALL: usize = 100_000;

fn empty(dir: &std::path::Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

/// The part of the child, which may write files of at most 1 MiB.
#[tokio::test]
async fn child_meets_the_limit() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else {
        return;
    };
    let full = tempfile::tempdir().unwrap();
    let has_both = BlobStore::open(&dir, u64::MAX).unwrap();
    let mut b = Node::with(Setup::default(), has_both, full).await;
    let mut a = Node::start(Setup {
        bootstrap: vec![b.address.clone()],
        ..Setup::default()
    })
    .await;
    a.connected(b.key()).await;
    b.connected(a.key()).await;
    let hash = |len| *blake3::hash(&pattern(len)).as_bytes();

    let want = async |a: &mut Node, id, len| {
        let from = vec![b.key()];
        a.net
            .fetch_blob(id, hash(len), 1 << 30, from)
            .await
            .unwrap();
        a.wait("the blob", outcome).await.1
    };
    let refused = want(&mut a, 1, LARGE).await;
    assert!(
        matches!(refused, Err(BlobFailure::Store(BlobError::Io { .. }))),
        "{refused:?}"
    );
    let put = a.blobs.put(&pattern(LARGE));
    assert!(matches!(put, Err(BlobError::Io { .. })), "{put:?}");
    assert_eq!((a.blobs.list(), a.blobs.used_bytes()), (vec![], 0));
    let folder = a.folder();
    assert!(empty(&folder.join("incoming")), "half a file is left");

    assert_eq!(want(&mut a, 2, SMALL).await.unwrap(), SMALL as u64);
    assert_eq!(a.blobs.get(&hash(SMALL)).unwrap().unwrap(), pattern(SMALL));
}

#[test]
fn a_disk_that_is_full_in_mid_fetch_ends_the_fetch_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlobStore::open(dir.path(), u64::MAX).unwrap();
    for len in [LARGE, SMALL] {
        store.put(&pattern(len)).unwrap();
    }
    // In blocks of 512 bytes; the signal would end the process before the error is seen.
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "full_disk::child_meets_the_limit", "--nocapture"])
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
