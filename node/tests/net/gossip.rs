//! Gossip reaches everybody, and nothing travels on before the core has accepted it.

use std::time::Duration;

use starling::net::{
    BanPolicy, GossipHandle, MAX_GOSSIP_BYTES, NetError, NetEvent, NetLimits, Rate,
};

use crate::support::{Node, Setup, TOPIC, chain, pair};

fn gossip(event: NetEvent) -> Option<(Vec<u8>, GossipHandle)> {
    match event {
        NetEvent::Gossip { data, handle, .. } => Some((data, handle)),
        _ => None,
    }
}

#[tokio::test]
async fn five_nodes_in_a_chain_all_hear_it() {
    let mut nodes = chain(5).await;
    for node in &nodes {
        node.net.subscribe(TOPIC).await.unwrap();
    }
    let largest = vec![3; MAX_GOSSIP_BYTES];
    nodes[0].net.publish(TOPIC, largest.clone()).await.unwrap();
    for node in &mut nodes[1..] {
        let (data, handle) = node.wait("the gossip", gossip).await;
        assert_eq!(data, largest);
        node.net.accept(handle).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_forwarded_before_it_is_accepted() {
    let mut nodes = chain(3).await;
    for node in &nodes {
        node.net.subscribe(TOPIC).await.unwrap();
    }
    let [author, middle, far] = &mut nodes[..] else {
        unreachable!("three nodes")
    };
    // Kademlia introduces the ends to each other; without this there would be another way than the middle.
    author.net.disconnect(far.key(), true).await.unwrap();
    far.net.disconnect(author.key(), true).await.unwrap();
    let quiet = Duration::from_millis(700);
    author.net.publish(TOPIC, b"first".to_vec()).await.unwrap();
    let (_, first) = middle.wait("the first", gossip).await;
    assert!(far.silent(quiet, gossip).await, "forwarded unseen");
    middle.net.accept(first).await.unwrap();
    assert_eq!(far.wait("the first", gossip).await.0, b"first");

    author.net.publish(TOPIC, b"second".to_vec()).await.unwrap();
    let (_, second) = middle.wait("the second", gossip).await;
    middle.net.reject(second).await.unwrap();
    author.net.publish(TOPIC, b"third".to_vec()).await.unwrap();
    let (_, third) = middle.wait("the third", gossip).await;
    middle.net.ignore(third).await.unwrap();
    assert!(
        far.silent(quiet, gossip).await,
        "forwarded in spite of the verdict"
    );
}

#[tokio::test]
async fn what_is_published_too_early_waits_for_the_first_subscriber() {
    let (a, mut b) = pair(crate::support::TCP).await;
    a.net.subscribe(TOPIC).await.unwrap();
    a.net.publish(TOPIC, b"early".to_vec()).await.unwrap();
    b.net.subscribe(TOPIC).await.unwrap();
    assert_eq!(b.wait("early gossip", gossip).await.0, b"early");
}

#[tokio::test]
async fn a_goodbye_published_right_before_the_end_arrives() {
    let (a, mut b) = pair(crate::support::TCP).await;
    for node in [&a, &b] {
        node.net.subscribe(TOPIC).await.unwrap();
    }
    a.net.publish(TOPIC, b"hello".to_vec()).await.unwrap();
    assert_eq!(b.wait("the greeting", gossip).await.0, b"hello");
    a.net.publish(TOPIC, b"goodbye".to_vec()).await.unwrap();
    a.net
        .send(b.key(), 1, b"last words".to_vec())
        .await
        .unwrap();
    a.net.shutdown().await;
    let (mut goodbye, mut words) = (false, false);
    while !(goodbye && words) {
        b.wait("both", |event| match event {
            NetEvent::Gossip { data, .. } => {
                goodbye |= data == b"goodbye";
                Some(())
            }
            NetEvent::Message { bytes, .. } => {
                words |= bytes == b"last words";
                Some(())
            }
            _ => None,
        })
        .await;
    }
}

#[tokio::test]
async fn topics_and_sizes_are_checked() {
    let node = Node::start(Setup::default()).await;
    let spam = node.net.publish("spam", Vec::new()).await;
    assert!(matches!(spam, Err(NetError::Topic(_))));
    assert!(matches!(
        node.net.subscribe("spam").await,
        Err(NetError::Topic(_))
    ));
    let long = node.net.publish(TOPIC, vec![0; MAX_GOSSIP_BYTES + 1]).await;
    assert!(matches!(long, Err(NetError::GossipTooLarge(_))));
}

#[tokio::test]
async fn a_flooder_fills_its_own_bucket_and_no_more() {
    let limits = NetLimits {
        gossip_rate: Rate {
            per_s: 0.001,
            burst: 20.0,
        },
        ..NetLimits::default()
    };
    let mut a = Node::start(Setup {
        limits,
        ..Setup::default()
    })
    .await;
    let mut b = Node::start(Setup {
        bootstrap: vec![a.address.clone()],
        ..Setup::default()
    })
    .await;
    b.connected(a.key()).await;
    a.net.subscribe(TOPIC).await.unwrap();
    for n in 0..100u32 {
        b.net
            .publish(TOPIC, n.to_le_bytes().to_vec())
            .await
            .unwrap();
    }
    for _ in 0..20 {
        a.wait("what the bucket holds", gossip).await;
    }
    assert!(a.silent(Duration::from_millis(500), gossip).await);
}

#[tokio::test]
async fn whoever_forwards_invalid_gossip_again_and_again_is_disconnected() {
    let limits = NetLimits {
        bans: BanPolicy {
            patience: Rate {
                per_s: 0.001,
                burst: 3.0,
            },
            ..NetLimits::default().bans
        },
        ..NetLimits::default()
    };
    let mut a = Node::start(Setup {
        limits,
        ..Setup::default()
    })
    .await;
    let mut b = Node::start(Setup {
        bootstrap: vec![a.address.clone()],
        ..Setup::default()
    })
    .await;
    b.connected(a.key()).await;
    a.net.subscribe(TOPIC).await.unwrap();
    for n in 0..4u8 {
        b.net.publish(TOPIC, vec![n]).await.unwrap();
        let (_, handle) = a.wait("bad gossip", gossip).await;
        a.net.reject(handle).await.unwrap();
    }
    a.wait("the loss", |event| match event {
        NetEvent::PeerLost { .. } => Some(()),
        _ => None,
    })
    .await;
}
