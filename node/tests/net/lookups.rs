//! Kademlia through a chain of bootstraps: providers, closest peers, and addresses of peers known only by name.

use std::collections::BTreeSet;

use starling::net::{NetEvent, NetLimits};

use crate::support::{Node, Setup, chain};

async fn providers(node: &mut Node, id: u64, wanted: [u8; 32]) -> BTreeSet<[u8; 32]> {
    node.net.find_providers(id, wanted).await.unwrap();
    let mut found = BTreeSet::new();
    loop {
        let (peers, done) = node
            .wait("providers", |event| match event {
                NetEvent::Providers {
                    query_id,
                    key,
                    peers,
                    done,
                } => {
                    assert_eq!((query_id, key), (id, wanted));
                    Some((peers, done))
                }
                _ => None,
            })
            .await;
        found.extend(peers);
        if done {
            return found;
        }
    }
}

#[tokio::test]
async fn providers_are_found_across_a_chain() {
    let mut nodes = chain(5).await;
    let key = [42; 32];
    let expected = BTreeSet::from([nodes[0].key(), nodes[2].key()]);
    nodes[0].net.provide(key).await.unwrap();
    nodes[2].net.provide(key).await.unwrap();
    let last = &mut nodes[4];
    let mut found = BTreeSet::new();
    // An announcement takes a moment to spread, and nothing tells when it has.
    for attempt in 0..50 {
        found = providers(last, attempt, key).await;
        if found == expected {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(found, expected);
    assert!(providers(last, 99, [43; 32]).await.is_empty());
}

#[tokio::test]
async fn a_peer_known_only_by_name_is_found_and_reached() {
    let mut nodes = chain(5).await;
    let first = nodes[0].key();
    let (last, others) = nodes.split_last_mut().unwrap();
    last.net.send(first, 1, b"hello".to_vec()).await.unwrap();
    let outcome = last
        .wait("the outcome", |event| match event {
            NetEvent::Sent { token } => Some(Ok(token)),
            NetEvent::SendFailed { reason, .. } => Some(Err(reason)),
            _ => None,
        })
        .await;
    assert_eq!(outcome, Ok(1));
    let heard = others[0]
        .wait("the message", |event| match event {
            NetEvent::Message { bytes, .. } => Some(bytes),
            _ => None,
        })
        .await;
    assert_eq!(heard, b"hello");

    let everybody: BTreeSet<_> = others.iter().map(Node::key).collect();
    let mut closest = BTreeSet::new();
    for query in 0..50 {
        last.net.find_closest(query, [7; 32]).await.unwrap();
        let peers = last
            .wait("closest peers", |event| match event {
                NetEvent::Closest {
                    query_id, peers, ..
                } => (query_id == query).then_some(peers),
                _ => None,
            })
            .await;
        closest = peers.into_iter().collect();
        closest.remove(&last.net.local());
        if closest == everybody {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(closest, everybody);
}

#[tokio::test]
async fn a_blob_source_known_only_by_name_is_found() {
    let mut nodes = chain(4).await;
    let hash = nodes[0].blobs.put(b"far away").unwrap();
    let first = nodes[0].key();
    let last = &mut nodes[3];
    last.net
        .fetch_blob(1, hash, 100, vec![first])
        .await
        .unwrap();
    let len = last
        .wait("the blob", |event| match event {
            NetEvent::BlobDone { len, .. } => Some(len),
            NetEvent::BlobFailed { reason, .. } => panic!("{reason}"),
            _ => None,
        })
        .await;
    assert_eq!(len, 8);
}

#[tokio::test]
async fn every_lookup_is_answered_also_beyond_the_queue() {
    let limits = NetLimits {
        lookups: 2,
        waiting_lookups: 3,
        ..NetLimits::default()
    };
    let mut lonely = Node::start(Setup {
        limits,
        ..Setup::default()
    })
    .await;
    for query in 0..50 {
        lonely.net.find_providers(query, [1; 32]).await.unwrap();
        lonely.net.find_closest(query, [1; 32]).await.unwrap();
    }
    let (mut providers, mut closest) = (BTreeSet::new(), BTreeSet::new());
    while providers.len() < 50 || closest.len() < 50 {
        let new = lonely
            .wait("all answers", |event| match event {
                NetEvent::Providers { query_id, done, .. } => {
                    Some(done && providers.insert(query_id))
                }
                NetEvent::Closest { query_id, .. } => Some(closest.insert(query_id)),
                _ => None,
            })
            .await;
        assert!(new, "a query was answered twice, or not at once");
    }
}
