//! Streams: blobs from a source that sends anything, requests from a client that asks anything, frames of a device
//! process that has gone mad. The control codec is tried in `node/src/net/tests.rs`.

use std::sync::LazyLock;
use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use starling::blobs::BlobStore;
use starling::blobs::fetch::{FetchLimits, SourceError, fetch};
use starling::blobs::serve::{ServeLimits, answer};
use starling::blobs::wire::{Reply, Request};
use starling_kernels::runner::frame;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio_util::compat::TokioAsyncReadCompatExt as _;

use crate::{Target, kind_of, outcome, split};

pub(crate) const BLOBS: Target = Target {
    name: "blobs",
    about: "both halves of a blob stream",
    run: blobs,
    seeds: blob_seeds,
};

pub(crate) const FRAMES: Target = Target {
    name: "frames",
    about: "frames of device processes",
    run: frames,
    seeds: frame_seeds,
};

const LENGTHS: [usize; 4] = [0, 1, 16 * 1024 + 1, 40_000];
const MAX_LEN: u64 = 1 << 20;

struct World {
    runtime: Runtime,
    store: BlobStore,
    hashes: Vec<[u8; 32]>,
    _folder: TempDir,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a temporary folder");
    let store = BlobStore::open(folder.path().join("blobs"), 1 << 30).expect("a new store");
    let put = |len: &usize| store.put(&vec![*len as u8; *len]).expect("it takes blobs");
    World {
        hashes: LENGTHS.iter().map(put).collect(),
        runtime: Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime"),
        store,
        _folder: folder,
    }
});

/// The first byte chooses: an answer to a fetch of one of the blobs, or a request.
fn blobs(bytes: &[u8]) -> u64 {
    let (kind, bytes) = split(bytes);
    let world = &*WORLD;
    world.runtime.block_on(async {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (mut near, mut far) = (near.compat(), far.compat());
        if kind % 8 == 7 {
            let serving = answer(far, &world.store, ServeLimits::default());
            let asking = async {
                // A request that is refused may end the stream before all of it is read.
                let _ = near.write_all(bytes).await;
                let _ = near.close().await;
                let mut said = Vec::new();
                let _ = near.read_to_end(&mut said).await;
                said.len() as u64
            };
            let (served, said) = tokio::join!(serving, asking);
            assert!(said <= 64 * 1024, "more than any blob here");
            return outcome(
                1,
                &served
                    .err()
                    .map_or(String::new(), |e| kind_of(&e.to_string())),
            );
        }
        let folder = crate::files::in_memory();
        let to = BlobStore::open(folder.path().join("to"), 1 << 24).expect("a new store");
        let hash = world.hashes[usize::from(kind) % world.hashes.len()];
        let limits = FetchLimits {
            idle: Duration::from_secs(5),
            ..FetchLimits::default()
        };
        let sending = async {
            let mut request = [0; 49];
            let _ = far.read_exact(&mut request).await;
            let _ = far.write_all(bytes).await;
            drop(far);
        };
        let fetching = async {
            let fetched = fetch(&mut near, &to, hash, MAX_LEN, limits).await;
            drop(near);
            fetched
        };
        let (fetched, ()) = tokio::join!(fetching, sending);
        let held = to.get(&hash).expect("the store answers");
        match fetched {
            Ok(len) => {
                let held = held.expect("it is here");
                assert_eq!(
                    (held.len() as u64, *blake3::hash(&held).as_bytes()),
                    (len, hash)
                );
                outcome(2, "")
            }
            Err(error) => {
                assert!(held.is_none(), "a failed fetch leaves nothing");
                assert_eq!(to.used_bytes(), 0, "and reserves nothing");
                if let SourceError::Store(error) = &error {
                    panic!("no stranger breaks the store: {error}");
                }
                outcome(3, &kind_of(&error.to_string()))
            }
        }
    })
}

fn blob_seeds() -> Vec<Vec<u8>> {
    let world = &*WORLD;
    let mut seeds = Vec::new();
    for (i, hash) in world.hashes.iter().enumerate() {
        let request = Request::whole(*hash).encode();
        seeds.push([&[7], &request[..]].concat());
        let answered = world.runtime.block_on(async {
            let (near, far) = tokio::io::duplex(64 * 1024);
            let mut near = near.compat();
            let asking = async {
                near.write_all(&request).await.expect("it listens");
                let mut said = Vec::new();
                near.read_to_end(&mut said).await.expect("it answers");
                said
            };
            tokio::join!(
                asking,
                answer(far.compat(), &world.store, ServeLimits::default())
            )
            .0
        });
        seeds.push([&[i as u8], &answered[..]].concat());
    }
    let request = Request {
        hash: world.hashes[3],
        start: 16 * 1024,
        end: 20_000,
    };
    seeds.push([&[7], &request.encode()[..]].concat());
    seeds.push([&[0], &Reply::NotFound.encode()[..]].concat());
    seeds
}

fn frames(bytes: &[u8]) -> u64 {
    match frame::read::<frame::Response>(&mut &*bytes) {
        Ok((message, parts)) => {
            let total: usize = parts.iter().map(Vec::len).sum();
            assert!(total <= bytes.len(), "parts out of nowhere");
            let kind = std::mem::discriminant(&message);
            outcome(0, &format!("{kind:?} {}", parts.len()))
        }
        Err(error) => outcome(1, &kind_of(&error.to_string())),
    }
}

fn frame_seeds() -> Vec<Vec<u8>> {
    let mut computed = Vec::new();
    let parts: [&[u8]; 2] = [b"tiles", b""];
    frame::write(
        &mut computed,
        &frame::Response::Computed { burnt: None },
        &parts,
    )
    .expect("a frame");
    let mut failed = Vec::new();
    let adapters = frame::Response::Adapters(Vec::new());
    frame::write(&mut failed, &adapters, &[]).expect("a frame");
    vec![computed, failed]
}
