//! The store on a real disk, and both halves of a blob stream over an in-memory pipe, with liars in between.

use std::{fs, time::Duration};

use bao_tree::{BaoTree, io::BaoContentItem, io::sync::DecodeResponseIter};
use futures::{AsyncReadExt, AsyncWriteExt};
use proptest::prelude::*;
use tempfile::TempDir;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::{
    BlobError, BlobStore, GROUP, MAX_BLOB_BYTES,
    download::Download,
    fetch::{FetchLimits, SourceError, ask, fetch},
    line::Line,
    serve::{ServeLimits, answer},
    wire::{REPLY_BYTES, REQUEST_BYTES, Reply, Request},
};

const SIZES: [usize; 7] = [0, 1, 1024, 16 * 1024, 16 * 1024 + 1, 100_000, 5 << 20];

pub(super) fn store(max_bytes: u64) -> (TempDir, BlobStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = BlobStore::open(dir.path().join("blobs"), max_bytes).unwrap();
    (dir, store)
}

pub(super) fn bytes(len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut out);
    out
}

pub(super) fn quick() -> FetchLimits {
    FetchLimits {
        idle: Duration::from_millis(300),
        ..FetchLimits::default()
    }
}

pub(super) fn pipe() -> (
    Compat<tokio::io::DuplexStream>,
    Compat<tokio::io::DuplexStream>,
) {
    let (a, b) = tokio::io::duplex(64 * 1024);
    (a.compat(), b.compat())
}

/// Everything that an honest server would send for the whole blob.
async fn honest_answer(store: &BlobStore, hash: [u8; 32]) -> Vec<u8> {
    let (mut client, server) = pipe();
    let serving = answer(server, store, ServeLimits::default());
    let asking = async {
        let request = Request::whole(hash).encode();
        client.write_all(&request).await.unwrap();
        let mut sent = Vec::new();
        client.read_to_end(&mut sent).await.unwrap();
        sent
    };
    let (served, sent) = tokio::join!(serving, asking);
    served.unwrap();
    sent
}

/// Fetches from a server that sends these bytes, whatever was asked; also returns how many it got rid of.
async fn fetch_scripted(
    store: &BlobStore,
    hash: [u8; 32],
    max_len: u64,
    script: &[u8],
) -> (Result<u64, SourceError>, usize) {
    let (mut client, mut server) = pipe();
    let sending = async {
        let mut request = [0; REQUEST_BYTES];
        server.read_exact(&mut request).await.unwrap();
        let mut sent = 0;
        for block in script.chunks(4096) {
            if server.write_all(block).await.is_err() {
                break;
            }
            sent += block.len();
        }
        // Closing would end the stream; a stalling liar keeps it open.
        (sent, server)
    };
    let fetching = async {
        let fetched = fetch(&mut client, store, hash, max_len, quick()).await;
        drop(client);
        fetched
    };
    let ((sent, _server), fetched) = tokio::join!(sending, fetching);
    (fetched, sent)
}

#[test]
fn what_is_put_is_found_again_also_after_a_restart() {
    let (dir, store) = store(u64::MAX);
    for len in SIZES {
        let data = bytes(len);
        let hash = store.put(&data).unwrap();
        assert_eq!(hash, *blake3::hash(&data).as_bytes());
        assert_eq!(store.put(&data).unwrap(), hash);
        assert_eq!(store.len(&hash), Some(len as u64));
        assert_eq!(store.get(&hash).unwrap().unwrap(), data);
    }
    let used = store.used_bytes();
    let again = BlobStore::open(dir.path().join("blobs"), u64::MAX).unwrap();
    assert_eq!(again.list(), store.list());
    assert_eq!(again.used_bytes(), used);
    for (hash, _) in again.list() {
        assert!(again.remove(&hash).unwrap());
        assert!(!again.remove(&hash).unwrap());
        assert_eq!(again.get(&hash).unwrap(), None);
    }
    assert_eq!(again.used_bytes(), 0);
    let left: Vec<_> = fs::read_dir(dir.path().join("blobs")).unwrap().collect();
    assert_eq!(left.len(), 1, "only the folder of incoming files: {left:?}");
}

#[test]
fn a_file_is_stored_like_its_bytes() {
    let (dir, store) = store(u64::MAX);
    for len in SIZES {
        let path = dir.path().join("file");
        fs::write(&path, bytes(len)).unwrap();
        let (hash, stored) = store.put_file(&path).unwrap();
        assert_eq!(stored, len as u64);
        assert_eq!(store.get(&hash).unwrap().unwrap(), bytes(len));
    }
    assert!(store.put_file(&dir.path().join("missing")).is_err());
}

#[test]
fn a_full_store_refuses_and_counts_empty_blobs_too() {
    let (_dir, store) = store(100 * 1024);
    let kept = (0u32..1000)
        .filter(|n| {
            store
                .put(&n.to_le_bytes()[..(*n as usize % 5).min(4)])
                .is_ok()
        })
        .count();
    assert!(kept < 1000);
    assert!(matches!(
        store.put(&[7; 200_000]),
        Err(BlobError::Full { .. })
    ));
    assert!(store.used_bytes() <= 100 * 1024);
    let first = store.list()[0].0;
    store.remove(&first).unwrap();
    store.put(b"there is room again").unwrap();
}

#[test]
fn a_lost_tree_is_rebuilt_and_rotten_bytes_are_removed() {
    let (dir, store) = store(u64::MAX);
    let folder = dir.path().join("blobs");
    let name = |hash: &[u8; 32]| blake3::Hash::from_bytes(*hash).to_hex().to_string();
    let good = store.put(&bytes(100_000)).unwrap();
    let rotten = store.put(&bytes(200_000)).unwrap();
    for hash in [&good, &rotten] {
        fs::remove_file(folder.join(name(hash) + ".bao")).unwrap();
    }
    fs::write(folder.join(name(&rotten)), [0; 200_000]).unwrap();
    fs::write(folder.join(name(&[7; 32]) + ".bao"), [0; 64]).unwrap();
    fs::write(folder.join("notes.txt"), b"not ours").unwrap();

    let store = BlobStore::open(&folder, u64::MAX).unwrap();
    assert_eq!(store.list(), [(good, 100_000)]);
    assert!(!folder.join(name(&[7; 32]) + ".bao").exists());
    assert!(folder.join("notes.txt").exists());

    fs::write(folder.join(name(&good)), [0; 100_000]).unwrap();
    assert!(matches!(store.get(&good), Err(BlobError::Corrupt(_))));
    assert!(!store.has(&good));
}

#[tokio::test]
async fn every_size_arrives_whole() {
    let (_a, from) = store(u64::MAX);
    let (_b, to) = store(u64::MAX);
    for len in SIZES {
        let hash = from.put(&bytes(len)).unwrap();
        let (mut client, server) = pipe();
        let (served, fetched) = tokio::join!(
            answer(server, &from, ServeLimits::default()),
            fetch(&mut client, &to, hash, len as u64, quick()),
        );
        assert_eq!(served.unwrap(), len as u64);
        assert_eq!(fetched.unwrap(), len as u64);
        assert_eq!(to.get(&hash).unwrap().unwrap(), bytes(len));
    }
    assert_eq!(from.used_bytes(), to.used_bytes());
}

#[tokio::test]
async fn a_liar_is_cut_off_at_its_first_wrong_group() {
    let (_a, from) = store(u64::MAX);
    let (_b, to) = store(u64::MAX);
    let hash = from.put(&bytes(5 << 20)).unwrap();
    let honest = honest_answer(&from, hash).await;
    for wrong in [REPLY_BYTES, 5_000, 300_000, honest.len() - 1] {
        let mut lie = honest.clone();
        lie[wrong] ^= 1;
        let (fetched, sent) = fetch_scripted(&to, hash, u64::MAX, &lie).await;
        assert!(matches!(fetched, Err(SourceError::Mismatch)), "{fetched:?}");
        // Pipes and blocks in between hold well below a mebibyte.
        assert!(
            sent < wrong + (1 << 20),
            "took {sent} bytes past the lie at {wrong}"
        );
    }
    assert_eq!(to.used_bytes(), 0);
    assert!(to.list().is_empty());
    let (fetched, _) = fetch_scripted(&to, hash, u64::MAX, &honest).await;
    assert_eq!(fetched.unwrap(), 5 << 20);
}

#[tokio::test]
async fn lengths_are_checked_before_anything_is_reserved() {
    let (_a, from) = store(u64::MAX);
    let (_b, to) = store(1 << 20);
    let hash = from.put(&bytes(5 << 20)).unwrap();
    let honest = honest_answer(&from, hash).await;
    let (fetched, _) = fetch_scripted(&to, hash, 1000, &honest).await;
    assert!(matches!(
        fetched,
        Err(SourceError::TooLarge { max: 1000, .. })
    ));
    let (fetched, _) = fetch_scripted(&to, hash, u64::MAX, &honest).await;
    assert!(matches!(
        fetched,
        Err(SourceError::Store(BlobError::Full { .. }))
    ));
    // A wrong length changes the shape of the tree, so it cannot pass either.
    for len in [0u64, 1, (5 << 20) - 1, (5 << 20) + 1, u64::MAX] {
        let (_c, roomy) = store(u64::MAX);
        let mut lie = honest.clone();
        lie[..REPLY_BYTES].copy_from_slice(&Reply::Found { len }.encode());
        let (fetched, _) = fetch_scripted(&roomy, hash, u64::MAX - 1, &lie).await;
        assert!(fetched.is_err(), "a length of {len} passed");
        assert_eq!(roomy.used_bytes(), 0);
    }
}

#[tokio::test]
async fn stalled_and_broken_sources_are_given_up() {
    let (_a, from) = store(u64::MAX);
    let (_b, to) = store(u64::MAX);
    let hash = from.put(&bytes(100_000)).unwrap();
    let honest = honest_answer(&from, hash).await;
    for len in [0, 5, REPLY_BYTES, 50_000, honest.len() - 1] {
        let (fetched, _) = fetch_scripted(&to, hash, u64::MAX, &honest[..len]).await;
        assert!(
            matches!(fetched, Err(SourceError::Timeout)),
            "{len}: {fetched:?}"
        );
    }
    let (fetched, _) = fetch_scripted(&to, hash, u64::MAX, &[9; 100]).await;
    assert!(matches!(fetched, Err(SourceError::Wire(_))));
    assert_eq!(to.used_bytes(), 0);
}

#[tokio::test]
async fn a_range_is_served_and_verifies() {
    let (_a, from) = store(u64::MAX);
    let data = bytes(200_000);
    let hash = from.put(&data).unwrap();
    let request = Request {
        hash,
        start: 70_000,
        end: 90_000,
    };
    let (mut client, server) = pipe();
    let asking = async {
        client.write_all(&request.encode()).await.unwrap();
        let mut sent = Vec::new();
        client.read_to_end(&mut sent).await.unwrap();
        sent
    };
    let (served, sent) = tokio::join!(answer(server, &from, ServeLimits::default()), asking);
    served.unwrap();
    assert!(sent.len() < 60_000, "only the groups that were asked for");
    let chunks = request.chunks(200_000).unwrap();
    let tree = BaoTree::new(200_000, GROUP);
    let decoded = DecodeResponseIter::new(hash.into(), tree, &sent[REPLY_BYTES..], &chunks);
    let mut covered = 0..0;
    for item in decoded {
        if let BaoContentItem::Leaf(leaf) = item.unwrap() {
            let start = leaf.offset as usize;
            assert_eq!(leaf.data, data[start..start + leaf.data.len()]);
            covered = if covered.is_empty() {
                start
            } else {
                covered.start
            }..start + leaf.data.len();
        }
    }
    assert!(covered.start <= 70_000 && covered.end >= 90_000);
}

proptest! {
    #[test]
    fn any_bytes_are_a_request_or_an_error(bytes in any::<[u8; REQUEST_BYTES]>(), version in 0u8..3) {
        let mut bytes = bytes;
        bytes[0] = version;
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert_eq!(request.encode(), bytes);
            for len in [0, 1, 16 * 1024, request.start, request.end, u64::MAX] {
                // Ranges of any size must not overflow.
                let _ = request.chunks(len);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_reply_or_an_error(bytes in any::<[u8; REPLY_BYTES]>(), status in 0u8..5) {
        let mut bytes = bytes;
        bytes[0] = status;
        if let Ok(reply) = Reply::decode(&bytes) {
            prop_assert_eq!(Reply::decode(&reply.encode()), Ok(reply));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_request_is_answered_without_a_panic(
        start in prop_oneof![Just(0), 0u64..50_000, any::<u64>()],
        end in prop_oneof![0u64..50_000, any::<u64>(), Just(u64::MAX)],
        len in prop_oneof![Just(0usize), Just(1), Just(16_384), Just(40_000)],
        version in prop_oneof![9 => Just(1u8), 1 => any::<u8>()],
    ) {
        let (_dir, store) = store(u64::MAX);
        let hash = store.put(&bytes(len)).unwrap();
        let mut request = Request { hash, start, end }.encode();
        request[0] = version;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sent = runtime.block_on(async {
            let (mut client, server) = pipe();
            client.write_all(&request).await.unwrap();
            let mut sent = Vec::new();
            let (served, read) = tokio::join!(
                answer(server, &store, ServeLimits::default()),
                client.read_to_end(&mut sent),
            );
            served.unwrap();
            read.unwrap();
            sent
        });
        prop_assert!(sent.len() >= REPLY_BYTES);
    }
}

/// Asks an honest server, whose stream is cut after so many bytes; what it brought, and how many it sent.
async fn ask_cut(
    from: &BlobStore,
    download: &Download,
    after: usize,
) -> (Result<(), SourceError>, usize) {
    let (mut client, between) = pipe();
    let (far, server) = pipe();
    let serving = answer(server, from, ServeLimits::default());
    let passing = async {
        let (mut near, mut far) = (between, far);
        let mut request = [0; REQUEST_BYTES];
        near.read_exact(&mut request).await.unwrap();
        far.write_all(&request).await.unwrap();
        let (mut sent, mut block) = (0, vec![0; 4096]);
        while sent < after {
            let most = block.len().min(after - sent);
            let n = far.read(&mut block[..most]).await.unwrap();
            if n == 0 || near.write_all(&block[..n]).await.is_err() {
                break;
            }
            sent += n;
        }
        let _ = near.close().await;
        sent
    };
    let asking = async {
        let claim = download.claim(false).unwrap();
        let place = Line::default().enter().await;
        let (_, asked) = ask(&mut client, claim, quick(), &place).await;
        // Whoever gives up hangs up.
        drop(client);
        asked
    };
    // A server whose reader is gone ends with an error of its own.
    let (asked, sent, _) = tokio::join!(asking, passing, serving);
    (asked, sent)
}

#[tokio::test]
async fn a_cut_stream_goes_on_where_it_ended_whoever_sends_the_rest() {
    let (_a, first) = store(u64::MAX);
    let (_b, second) = store(u64::MAX);
    let (_c, to) = store(u64::MAX);
    let data = bytes(1 << 20);
    let hash = first.put(&data).unwrap();
    second.put(&data).unwrap();
    let whole = honest_answer(&first, hash).await.len();

    let download = Download::new(to.clone(), hash, u64::MAX);
    let (cut, sent) = ask_cut(&first, &download, 700_000).await;
    assert!(matches!(cut, Err(SourceError::Stream(_))), "{cut:?}");
    assert!(!download.complete() && !download.proven());
    assert!(
        to.get(&hash).unwrap().is_none(),
        "not before all of it is here"
    );

    let (asked, rest) = ask_cut(&second, &download, usize::MAX).await;
    asked.unwrap();
    // One group and the way down to it come twice.
    assert!(
        sent + rest < whole + 2 * 16 * 1024 + 2048,
        "{sent} + {rest} of {whole}"
    );
    assert_eq!(download.commit().await.unwrap(), 1 << 20);
    assert_eq!(to.get(&hash).unwrap().unwrap(), data);
    let (_d, third) = store(u64::MAX);
    let again = Download::new(third.clone(), hash, u64::MAX);
    ask_cut(&to, &again, usize::MAX).await.0.unwrap();
    assert_eq!(
        again.commit().await.unwrap(),
        1 << 20,
        "its tree is whole: it can be served"
    );
}

#[tokio::test]
async fn halves_from_two_sources_make_the_same_blob_and_tree() {
    let (_a, first) = store(u64::MAX);
    let (_b, second) = store(u64::MAX);
    let (_c, to) = store(u64::MAX);
    let data = bytes(20 << 20);
    let hash = first.put(&data).unwrap();
    second.put(&data).unwrap();
    let whole = honest_answer(&first, hash).await.len();

    let download = Download::new(to.clone(), hash, u64::MAX);
    let mut changes = download.changes();
    // The second source begins when the first one has said how long it is.
    let joining = async {
        changes.changed().await.unwrap();
        ask_cut(&second, &download, usize::MAX).await
    };
    let (one, two) = tokio::join!(ask_cut(&first, &download, usize::MAX), joining);
    one.0.unwrap();
    two.0.unwrap();
    assert!(download.complete() && download.proven());
    for sent in [one.1, two.1] {
        assert!(
            sent > whole / 4 && sent < whole * 3 / 4,
            "{sent} of {whole}"
        );
    }
    download.commit().await.unwrap();
    let (_d, third) = store(u64::MAX);
    let again = Download::new(third.clone(), hash, u64::MAX);
    ask_cut(&to, &again, usize::MAX).await.0.unwrap();
    again.commit().await.unwrap();
    assert_eq!(third.get(&hash).unwrap().unwrap(), data);
}

#[tokio::test]
async fn a_made_up_length_is_replaced_by_the_one_that_the_last_group_proves() {
    let (_a, from) = store(u64::MAX);
    let (_b, to) = store(u64::MAX);
    let data = bytes(256 * 1024);
    let hash = from.put(&data).unwrap();
    // True groups of the left half, under a length that is not the blob's.
    let mut script = honest_answer(&from, hash).await;
    script[1..9].copy_from_slice(&(200_u64 * 1024).to_le_bytes());
    script.truncate(100_000);
    let download = Download::new(to.clone(), hash, u64::MAX);
    let (mut client, mut server) = pipe();
    let lying = async {
        let mut request = [0; REQUEST_BYTES];
        server.read_exact(&mut request).await.unwrap();
        let _ = server.write_all(&script).await;
        let _ = server.close().await;
    };
    let claim = download.claim(false).unwrap();
    let place = Line::default().enter().await;
    let ((_, lied), ()) = tokio::join!(ask(&mut client, claim, quick(), &place), lying);
    assert!(lied.is_err());

    let (honest, _) = ask_cut(&from, &download, usize::MAX).await;
    assert!(matches!(honest, Err(SourceError::Length)), "{honest:?}");
    // Another lie has no last group.
    for (len, proves) in [(100 * 1024, false), (255 * 1024, false), (256 * 1024, true)] {
        let (mut client, server) = pipe();
        let proof = download.claim_proof(len).unwrap();
        let (_, (_, proved)) = tokio::join!(
            answer(server, &from, ServeLimits::default()),
            ask(&mut client, proof, quick(), &place)
        );
        assert_eq!(proved.is_ok(), proves, "{len}: {proved:?}");
    }
    download.replace(256 * 1024).await.unwrap();
    assert!(download.proven());
    ask_cut(&from, &download, usize::MAX).await.0.unwrap();
    assert_eq!(download.commit().await.unwrap(), 256 * 1024);
    assert_eq!(to.get(&hash).unwrap().unwrap(), data);
    assert_eq!(
        to.used_bytes(),
        from.used_bytes(),
        "no reservation is left behind"
    );
}

#[test]
fn the_longest_blob_is_taken_and_a_byte_more_is_refused_before_anything_is_read() {
    let (dir, store) = store(u64::MAX);
    drop(store.begin(MAX_BLOB_BYTES).unwrap());
    let path = dir.path().join("huge");
    fs::File::create(&path)
        .unwrap()
        .set_len(MAX_BLOB_BYTES + 1)
        .unwrap();
    let refused = store.put_file(&path);
    assert!(
        matches!(refused, Err(BlobError::TooLarge { len, max }) if (len, max) == ((2 << 30) + 1, 2 << 30)),
        "{refused:?}"
    );
    assert_eq!(store.used_bytes(), 0);
}

#[tokio::test]
async fn a_source_that_announces_more_than_any_blob_has_is_refused_before_anything_is_reserved() {
    let (_b, to) = store(u64::MAX);
    for len in [MAX_BLOB_BYTES + 1, u64::MAX] {
        let script = Reply::Found { len }.encode();
        let (fetched, _) = fetch_scripted(&to, [7; 32], u64::MAX, &script).await;
        assert!(
            matches!(
                fetched,
                Err(SourceError::TooLarge {
                    max: MAX_BLOB_BYTES,
                    ..
                })
            ),
            "{fetched:?}"
        );
        assert_eq!(to.used_bytes(), 0);
    }
}
