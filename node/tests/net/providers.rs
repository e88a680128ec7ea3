//! One blob from many sources, some of which are wrong, slow, silent, endless or gone.

use std::time::Duration;

use starling::{
    blobs::{BlobHash, BlobStore, fetch::FetchLimits},
    net::{BlobFailure, NetLimits},
};
use tempfile::TempDir;

use crate::{
    sources::{HONEST, Manner, Source, outcome, pattern},
    support::{Node, Setup},
};

const LEN: usize = 32 << 20;

struct Stage {
    node: Node,
    sources: Vec<Source>,
    data: Vec<u8>,
    hash: BlobHash,
    _store: TempDir,
}

/// A node that knows one source of each manner; all have the same blob.
async fn stage(manners: &[Manner]) -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let store = BlobStore::open(dir.path().join("blobs"), u64::MAX).unwrap();
    let data = pattern(LEN);
    let hash = store.put(&data).unwrap();
    let limits = NetLimits {
        fetch: FetchLimits {
            idle: Duration::from_secs(2),
            patience: Duration::from_millis(200),
            ..FetchLimits::default()
        },
        ..NetLimits::default()
    };
    let mut node = Node::start(Setup {
        limits,
        ..Setup::default()
    })
    .await;
    let mut sources = Vec::new();
    for manner in manners {
        let source = Source::start(*manner, &store).await;
        source.met(&mut node).await;
        sources.push(source);
    }
    Stage {
        node,
        sources,
        data,
        hash,
        _store: dir,
    }
}

impl Stage {
    async fn fetch(&mut self) -> Result<u64, BlobFailure> {
        let from = self.sources.iter().map(|s| s.key).collect();
        let net = &self.node.net;
        net.fetch_blob(1, self.hash, 1 << 30, from).await.unwrap();
        self.node.wait("the blob", outcome).await.1
    }

    /// The blob is here and right, and nothing beside it.
    fn assert_here(&self) {
        let blobs = &self.node.blobs;
        assert!(blobs.get(&self.hash).unwrap().unwrap() == self.data);
        assert_eq!(blobs.list(), [(self.hash, LEN as u64)]);
    }

    fn sent(&self) -> Vec<u64> {
        self.sources.iter().map(Source::sent).collect()
    }
}

#[tokio::test]
async fn several_sources_each_send_a_part() {
    let mut stage = stage(&[HONEST; 3]).await;
    assert_eq!(stage.fetch().await.unwrap(), LEN as u64);
    stage.assert_here();
    let sent = stage.sent();
    assert!(sent.iter().all(|n| *n > 2 << 20), "{sent:?}");
    assert!(sent.iter().sum::<u64>() < LEN as u64 * 3 / 2, "{sent:?}");
}

#[tokio::test]
async fn a_short_blob_takes_one_stream_to_one_source() {
    let mut stage = stage(&[HONEST; 3]).await;
    let short = pattern(1 << 20);
    let dir = tempfile::tempdir().unwrap();
    let store = BlobStore::open(dir.path().join("blobs"), u64::MAX).unwrap();
    (stage.hash, stage.data) = (store.put(&short).unwrap(), short);
    let first = Source::start(HONEST, &store).await;
    first.met(&mut stage.node).await;
    stage.sources.insert(0, first);
    assert_eq!(stage.fetch().await.unwrap(), 1 << 20);
    let streams: Vec<_> = stage.sources.iter().map(Source::streams).collect();
    assert_eq!(streams, [1, 0, 0, 0]);
}

#[tokio::test]
async fn a_long_blob_takes_several_streams_to_a_lonely_source() {
    let mut stage = stage(&[HONEST]).await;
    assert_eq!(stage.fetch().await.unwrap(), LEN as u64);
    stage.assert_here();
    assert!(stage.sources[0].streams() > 1);
    assert!(stage.sources[0].sent() < LEN as u64 * 5 / 4);
}

#[tokio::test]
async fn the_blob_comes_from_the_honest_ones_among_all_kinds_of_others() {
    let slow = Manner::Honest(4096, Duration::from_millis(300));
    let mut stage = stage(&[
        Manner::Noise,
        slow,
        Manner::Endless,
        Manner::Silent,
        Manner::Longer(5),
        HONEST,
        HONEST,
    ])
    .await;
    assert_eq!(stage.fetch().await.unwrap(), LEN as u64);
    stage.assert_here();
    let sent = stage.sent();
    assert!(stage.sources.iter().take(4).all(|s| s.streams() > 0));
    // The slow one kept what it sent and held up nobody; the endless one was cut off at its first group.
    assert!(sent[1] < 1 << 20, "{sent:?}");
    assert!(sent[2] < 4 << 20, "{sent:?}");
    assert!(sent[5] + sent[6] > LEN as u64 * 3 / 4, "{sent:?}");
}

#[tokio::test]
async fn a_made_up_length_gives_way_to_a_proven_one() {
    let mut stage = stage(&[Manner::Longer(20 << 20), HONEST, HONEST]).await;
    assert_eq!(stage.fetch().await.unwrap(), LEN as u64);
    stage.assert_here();
}

#[tokio::test]
async fn what_cut_sources_sent_is_not_asked_of_the_rest() {
    let cut = Manner::Cut(5 << 20);
    let mut stage = stage(&[cut, cut, cut, HONEST]).await;
    assert_eq!(stage.fetch().await.unwrap(), LEN as u64);
    stage.assert_here();
    let sent = stage.sent();
    assert!(sent[..3].iter().all(|n| *n > 0), "{sent:?}");
    assert!(sent[3] < LEN as u64, "{sent:?}");
    // What was on its way when a stream broke or a piece was halved comes twice, and no more.
    assert!(sent.iter().sum::<u64>() < LEN as u64 * 3 / 2, "{sent:?}");
}

#[tokio::test]
async fn when_all_are_cut_it_fails_and_leaves_nothing() {
    let mut stage = stage(&[Manner::Cut(5 << 20); 3]).await;
    match stage.fetch().await {
        Err(BlobFailure::Sources(failed)) => assert_eq!(failed.len(), 3, "{failed:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(stage.node.blobs.used_bytes(), 0);
}
