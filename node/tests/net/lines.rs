//! Lines that their owners have capped: nothing passes faster, and nothing is given up for being slow.

use std::time::{Duration, Instant};

use starling::blobs::line::Lines;
use starling_protocol::lending::Shares;
use tokio::time::sleep;

use crate::{
    sources::{outcome, pattern},
    support::{Node, PATIENCE, Setup},
};

const MBIT: u32 = 8;
const BYTES_PER_S: usize = 1_000_000;
/// A second's worth may come at once; the rest takes two.
const LEN: usize = 3 * BYTES_PER_S;

/// Two nodes that know each other: one fetches from the other.
async fn pair(fetching: Lines, serving: Lines) -> (Node, Node) {
    let server = Node::start(Setup {
        lines: serving,
        ..Setup::default()
    })
    .await;
    let mut client = Node::start(Setup {
        lines: fetching,
        bootstrap: vec![server.address.clone()],
        ..Setup::default()
    })
    .await;
    client.connected(server.key()).await;
    (client, server)
}

/// How long it takes to fetch blobs of so many bytes, all at once.
async fn fetched(client: &mut Node, server: &Node, lens: &[usize]) -> Duration {
    let begun = Instant::now();
    for (id, len) in lens.iter().enumerate() {
        let mut data = pattern(*len);
        data[0] = id as u8;
        let hash = server.blobs.put(&data).unwrap();
        let from = vec![server.key()];
        let asked = client.net.fetch_blob(id as u64, hash, *len as u64, from);
        asked.await.unwrap();
    }
    for _ in lens {
        let (_, result) = client.wait("a blob", outcome).await;
        result.unwrap();
    }
    begun.elapsed()
}

#[tokio::test]
async fn what_is_sent_keeps_to_the_line() {
    let capped = Lines::default();
    capped.set(Shares {
        upload_mbit_s: Some(MBIT),
        ..Shares::default()
    });
    let (mut client, server) = pair(Lines::default(), capped.clone()).await;
    let took = fetched(&mut client, &server, &[LEN]).await;
    assert!(took > Duration::from_millis(1_900), "{took:?}");

    // So much would take twice the patience, were the cap not lifted under way.
    let len = 2 * BYTES_PER_S * PATIENCE.as_secs() as usize;
    let hash = server.blobs.put(&pattern(len)).unwrap();
    let asked = client
        .net
        .fetch_blob(9, hash, len as u64, vec![server.key()]);
    asked.await.unwrap();
    sleep(Duration::from_millis(500)).await;
    capped.set(Shares::default());
    let (_, result) = client.wait("the blob", outcome).await;
    assert_eq!(result.unwrap(), len as u64);
}

#[tokio::test]
async fn what_is_fetched_keeps_to_the_line() {
    let capped = Lines::of(Shares {
        download_mbit_s: Some(MBIT),
        ..Shares::default()
    });
    let (mut client, server) = pair(capped, Lines::default()).await;
    let took = fetched(&mut client, &server, &[LEN]).await;
    assert!(took > Duration::from_millis(1_900), "{took:?}");
}

#[tokio::test]
async fn many_blobs_get_through_the_slowest_line() {
    let slowest = Shares {
        upload_mbit_s: Some(1),
        download_mbit_s: Some(1),
        ..Shares::default()
    };
    let (mut client, server) = pair(Lines::of(slowest), Lines::of(slowest)).await;
    let took = fetched(&mut client, &server, &[50_000; 12]).await;
    assert!(took > Duration::from_secs(3), "{took:?}");
}
