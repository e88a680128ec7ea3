//! Blobs between real nodes, a liar among them.

use starling::{
    blobs::fetch::SourceError,
    net::{BlobFailure, NetLimits},
};

use crate::{
    sources::{Manner, Source, outcome, pattern},
    support::{Node, QUIC, Setup, TCP, pair},
};

async fn every_size(listen: &'static str) {
    let (mut a, b) = pair(listen).await;
    for (id, len) in [0, 1, 16 * 1024, 5 << 20].into_iter().enumerate() {
        let data = pattern(len);
        let hash = b.blobs.put(&data).unwrap();
        let id = id as u64;
        a.net
            .fetch_blob(id, hash, len as u64, vec![b.key()])
            .await
            .unwrap();
        let (done, result) = a.wait("the blob", outcome).await;
        assert_eq!((done, result.unwrap()), (id, len as u64));
        assert_eq!(a.blobs.get(&hash).unwrap().unwrap(), data);
    }
}

#[tokio::test]
async fn blobs_of_every_size_arrive_over_tcp() {
    every_size(TCP).await;
}

#[tokio::test]
async fn blobs_of_every_size_arrive_over_quic() {
    every_size(QUIC).await;
}

#[tokio::test]
async fn after_a_liar_the_honest_source_is_asked() {
    let (mut a, b) = pair(TCP).await;
    let data = pattern(300_000);
    let hash = b.blobs.put(&data).unwrap();
    let liar = Source::start(Manner::Noise, &b.blobs)
        .await
        .met(&mut a)
        .await;

    a.net
        .fetch_blob(1, hash, 1 << 20, vec![liar])
        .await
        .unwrap();
    match a.wait("the lie", outcome).await {
        (1, Err(BlobFailure::Sources(failed))) => {
            assert!(
                matches!(failed[..], [(who, SourceError::Mismatch)] if who == liar),
                "{failed:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(a.blobs.used_bytes(), 0);
    a.net
        .fetch_blob(2, hash, 1 << 20, vec![liar, b.key()])
        .await
        .unwrap();
    let (_, result) = a.wait("the blob", outcome).await;
    assert_eq!(result.unwrap(), 300_000);
    assert_eq!(a.blobs.get(&hash).unwrap().unwrap(), data);
}

#[tokio::test]
async fn what_nobody_has_or_is_too_long_fails_with_reasons() {
    let (mut a, b) = pair(TCP).await;
    let hash = b.blobs.put(&pattern(1000)).unwrap();
    let stranger = crate::support::config(Setup::default()).peer().unwrap();
    a.net
        .fetch_blob(1, [9; 32], 10, vec![b.key()])
        .await
        .unwrap();
    let (_, missing) = a.wait("nobody has it", outcome).await;
    assert!(
        matches!(&missing, Err(BlobFailure::Sources(f)) if matches!(f[..], [(_, SourceError::NotFound)])),
        "{missing:?}"
    );
    a.net.fetch_blob(2, hash, 999, vec![b.key()]).await.unwrap();
    let (_, long) = a.wait("too long", outcome).await;
    assert!(
        matches!(&long, Err(BlobFailure::Sources(f)) if matches!(f[..], [(_, SourceError::TooLarge { len: 1000, max: 999 })])),
        "{long:?}"
    );
    a.net
        .fetch_blob(3, hash, 1000, vec![a.key()])
        .await
        .unwrap();
    let (_, alone) = a.wait("no source", outcome).await;
    assert!(matches!(alone, Err(BlobFailure::NoSource)));
    a.net
        .fetch_blob(4, hash, 1000, vec![stranger])
        .await
        .unwrap();
    let (_, unreachable) = a.wait("unreachable", outcome).await;
    assert!(
        matches!(&unreachable, Err(BlobFailure::Sources(f)) if matches!(f[..], [(_, SourceError::Unreachable(_))])),
        "{unreachable:?}"
    );
}

#[tokio::test]
async fn many_at_once_all_arrive_and_too_many_are_refused() {
    let limits = NetLimits {
        fetches: 8,
        waiting_fetches: 40,
        ..NetLimits::default()
    };
    let b = Node::start(Setup::default()).await;
    let mut a = Node::start(Setup {
        limits,
        bootstrap: vec![b.address.clone()],
        ..Setup::default()
    })
    .await;
    a.connected(b.key()).await;
    for id in 0..60u64 {
        let hash = b.blobs.put(&pattern(20_000 + id as usize)).unwrap();
        a.net
            .fetch_blob(id, hash, 1 << 20, vec![b.key()])
            .await
            .unwrap();
    }
    let (mut done, mut busy) = (0, 0);
    for _ in 0..60 {
        match a.wait("all blobs", outcome).await {
            (_, Ok(_)) => done += 1,
            (_, Err(BlobFailure::Busy)) => busy += 1,
            (id, Err(other)) => panic!("{id}: {other}"),
        }
    }
    assert!(done >= 48, "{done} done, {busy} refused");
}
