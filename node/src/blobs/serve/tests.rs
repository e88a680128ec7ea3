//! Strangers that take every slot, ask too often or want too much.

use super::*;
use crate::blobs::{
    fetch::{SourceError, fetch},
    tests::{bytes, pipe, quick, store},
};

#[tokio::test]
async fn idle_strangers_take_every_slot_but_not_for_long() {
    let (_a, from) = store(u64::MAX);
    let (_b, to) = store(u64::MAX);
    let hash = from.put(&bytes(1000)).unwrap();
    let limits = ServeLimits {
        streams: 4,
        streams_per_peer: 2,
        idle: Duration::from_millis(300),
        ..ServeLimits::default()
    };
    let (streams, incoming) = futures::channel::mpsc::unbounded();
    let server = tokio::spawn(serve(
        incoming,
        from,
        limits,
        Line::default(),
        Floods::new(),
    ));
    let open = |peer: u8| {
        let (client, server) = pipe();
        streams.unbounded_send((peer, server)).unwrap();
        client
    };
    // Silent strangers: the third stream of one peer is dropped, and so is the fifth of all.
    let mut idle: Vec<_> = [1, 1, 1, 2, 2, 3].map(open).into_iter().collect();
    let mut byte = [0];
    assert_eq!(idle[2].read(&mut byte).await.unwrap(), 0);
    assert_eq!(idle[5].read(&mut byte).await.unwrap(), 0);
    let refused = fetch(&mut open(4), &to, hash, 1000, quick()).await;
    assert!(matches!(refused, Err(SourceError::Busy)), "{refused:?}");
    assert_eq!(
        idle[0].read(&mut byte).await.unwrap(),
        0,
        "dropped for silence"
    );
    let mut served = Err(SourceError::Busy);
    while matches!(served, Err(SourceError::Busy)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        served = fetch(&mut open(4), &to, hash, 1000, quick()).await;
    }
    assert_eq!(served.unwrap(), 1000);
    drop(streams);
    server.await.unwrap();
}

#[tokio::test]
async fn one_peer_asks_so_often_and_is_sent_so_much() {
    let (_a, from) = store(u64::MAX);
    let (_b, to) = store(u64::MAX);
    let (short, long) = (bytes(1000), bytes(1 << 20));
    let (short, long) = (from.put(&short).unwrap(), from.put(&long).unwrap());
    let just = |burst| Rate { per_s: 0.0, burst };
    let limits = ServeLimits {
        requests: just(3.0),
        bytes: just(100_000.0),
        ..ServeLimits::default()
    };
    let (streams, incoming) = futures::channel::mpsc::unbounded();
    let floods = Floods::new();
    let server = tokio::spawn(serve(
        incoming,
        from,
        limits,
        Line::default(),
        floods.clone(),
    ));
    let open = |peer: u8| {
        let (client, server) = pipe();
        streams.unbounded_send((peer, server)).unwrap();
        client
    };
    // The first one gets what its bucket holds, and no more; the second one has a bucket of its own.
    let cut = fetch(&mut open(1), &to, long, 1 << 20, quick()).await;
    assert!(matches!(cut, Err(SourceError::Timeout)), "{cut:?}");
    let served = fetch(&mut open(2), &to, short, 1000, quick()).await;
    assert_eq!(served.unwrap(), 1000);
    // Asking is counted too, and who goes on is noted.
    for _ in 0..2 {
        let missing = fetch(&mut open(2), &to, [9; 32], 1000, quick()).await;
        assert!(matches!(missing, Err(SourceError::NotFound)), "{missing:?}");
    }
    assert!(floods.take().is_empty());
    let refused = fetch(&mut open(2), &to, [9; 32], 1000, quick()).await;
    assert!(matches!(refused, Err(SourceError::Busy)), "{refused:?}");
    assert_eq!(floods.take().into_iter().collect::<Vec<_>>(), [2]);
    drop(streams);
    server.abort();
}
