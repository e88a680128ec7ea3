//! Control messages, connections, other swarms, the end.

use std::{collections::BTreeSet, time::Duration};

use starling::{
    blobs::BlobStore,
    net::{MAX_MESSAGE_BYTES, NetError, NetEvent, NetLimits, Rate, Scope, SendError, start},
};

use crate::support::{Node, PATIENCE, QUIC, Setup, TCP, config, pair};

fn message(event: NetEvent) -> Option<([u8; 32], Vec<u8>)> {
    match event {
        NetEvent::Message { from, bytes } => Some((from, bytes)),
        _ => None,
    }
}

fn outcome(event: NetEvent) -> Option<(u64, Result<(), SendError>)> {
    match event {
        NetEvent::Sent { token } => Some((token, Ok(()))),
        NetEvent::SendFailed { token, reason, .. } => Some((token, Err(reason))),
        _ => None,
    }
}

async fn both_ways(listen: &'static str) {
    let (mut a, mut b) = pair(listen).await;
    let largest = vec![7; MAX_MESSAGE_BYTES];
    a.net.send(b.key(), 1, largest.clone()).await.unwrap();
    assert_eq!(b.wait("the message", message).await, (a.key(), largest));
    assert_eq!(a.wait("the receipt", outcome).await, (1, Ok(())));
    b.net.send(a.key(), 2, Vec::new()).await.unwrap();
    assert_eq!(a.wait("the answer", message).await, (b.key(), Vec::new()));
    assert_eq!(b.wait("the receipt", outcome).await, (2, Ok(())));
    assert_eq!(a.net.connected().await.unwrap(), [b.key()]);
}

#[tokio::test]
async fn messages_go_both_ways_over_tcp() {
    both_ways(TCP).await;
}

#[tokio::test]
async fn messages_go_both_ways_over_quic() {
    both_ways(QUIC).await;
}

#[tokio::test]
async fn a_burst_arrives_whole_and_is_acknowledged_once_each() {
    let (mut a, mut b) = pair(TCP).await;
    let n = 500;
    for token in 0..n {
        a.net
            .send(b.key(), token, token.to_le_bytes().to_vec())
            .await
            .unwrap();
        b.net.send(a.key(), token, vec![1]).await.unwrap();
    }
    let mut arrived = BTreeSet::new();
    while arrived.len() < n as usize {
        arrived.insert(b.wait("all messages", message).await.1);
    }
    let mut acknowledged = BTreeSet::new();
    while acknowledged.len() < n as usize {
        let (token, result) = a.wait("all receipts", outcome).await;
        assert_eq!(result, Ok(()));
        assert!(acknowledged.insert(token), "{token} was acknowledged twice");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_fails_with_a_reason() {
    let (mut a, b) = pair(TCP).await;
    let stranger = config(Setup::default()).peer().unwrap();
    a.net
        .send(b.key(), 1, vec![0; MAX_MESSAGE_BYTES + 1])
        .await
        .unwrap();
    assert_eq!(
        a.wait("too large", outcome).await,
        (1, Err(SendError::TooLarge))
    );
    a.net.send([2; 32], 2, vec![1]).await.unwrap();
    assert_eq!(a.wait("no key", outcome).await, (2, Err(SendError::BadKey)));
    a.net.send(a.key(), 3, vec![1]).await.unwrap();
    assert_eq!(
        a.wait("itself", outcome).await,
        (3, Err(SendError::Unreachable))
    );
    for token in [4, 5] {
        a.net.send(stranger, token, vec![1]).await.unwrap();
    }
    let mut failed = vec![
        a.wait("stranger", outcome).await,
        a.wait("stranger", outcome).await,
    ];
    failed.sort_by_key(|(token, _)| *token);
    assert_eq!(
        failed,
        [4, 5].map(|token| (token, Err(SendError::Unreachable)))
    );
    // The peer goes away: known once, now unreachable.
    let gone = b.key();
    b.net.shutdown().await;
    a.wait("the loss", |event| match event {
        NetEvent::PeerLost { peer } => (peer == gone).then_some(()),
        _ => None,
    })
    .await;
    a.net.send(gone, 6, vec![1]).await.unwrap();
    assert_eq!(
        a.wait("gone", outcome).await,
        (6, Err(SendError::Unreachable))
    );
}

#[tokio::test]
async fn a_flooder_is_slowed_down_and_told_so() {
    let limits = NetLimits {
        message_rate: Rate {
            per_s: 0.001,
            burst: 50.0,
        },
        ..NetLimits::default()
    };
    let a = Node::start(Setup {
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
    for token in 0..200 {
        b.net.send(a.key(), token, vec![0]).await.unwrap();
    }
    let mut sent = 0;
    for _ in 0..200 {
        sent += usize::from(b.wait("outcomes", outcome).await.1.is_ok());
    }
    assert_eq!(
        sent, 49,
        "a message costs a token and a little for its length"
    );
}

#[tokio::test]
async fn a_peer_of_another_swarm_is_disconnected() {
    let mut ours = Node::start(Setup::default()).await;
    let mut theirs = Node::start(Setup {
        swarm: [2; 32],
        ..Setup::default()
    })
    .await;
    theirs.net.dial(ours.address.clone()).await.unwrap();
    let (our_key, their_key) = (ours.key(), theirs.key());
    let wrong = |event| match event {
        NetEvent::WrongSwarm { peer } => Some(peer),
        NetEvent::PeerConnected { .. } => panic!("a peer of another swarm is no peer"),
        _ => None,
    };
    // Whoever hears the other one's identify message first hangs up, maybe before it has sent its own.
    let noticed = tokio::select! {
        peer = ours.wait("the wrong swarm", wrong) => peer == their_key,
        peer = theirs.wait("the wrong swarm", wrong) => peer == our_key,
    };
    assert!(noticed);
    ours.net.send(their_key, 1, vec![1]).await.unwrap();
    assert!(ours.wait("no way", outcome).await.1.is_err());
    assert!(ours.net.connected().await.unwrap().is_empty());
    theirs.net.send(our_key, 1, vec![1]).await.unwrap();
    assert!(theirs.wait("no way", outcome).await.1.is_err());
}

#[tokio::test]
async fn a_banned_peer_stays_away_and_a_disconnected_one_may_return() {
    let (mut a, mut b) = pair(TCP).await;
    let (a_key, b_key) = (a.key(), b.key());
    let lost = |event| match event {
        NetEvent::PeerLost { .. } => Some(()),
        _ => None,
    };
    a.net.disconnect(b_key, false).await.unwrap();
    a.wait("the loss", lost).await;
    b.wait("the loss", lost).await;
    a.connected(b_key).await;
    b.connected(a_key).await;
    a.net.disconnect(b_key, true).await.unwrap();
    a.wait("the loss", lost).await;
    b.net.dial(a.address.clone()).await.unwrap();
    let came_back = |event| match event {
        NetEvent::PeerConnected { .. } => Some(()),
        _ => None,
    };
    assert!(a.silent(Duration::from_secs(1), came_back).await);
    assert!(a.net.connected().await.unwrap().is_empty());
}

#[tokio::test]
async fn addresses_beyond_the_scope_and_taken_ports_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = BlobStore::open(dir.path(), 1 << 20).unwrap();
    let mut wide = config(Setup::default());
    wide.listen = vec!["/ip4/0.0.0.0/tcp/0".parse().unwrap()];
    assert!(matches!(
        start(wide, blobs.clone()),
        Err(NetError::OutOfScope(_))
    ));
    let mut far = config(Setup::default());
    far.bootstrap = vec!["/ip4/8.8.8.8/tcp/1".parse().unwrap()];
    assert!(matches!(
        start(far, blobs.clone()),
        Err(NetError::OutOfScope(_))
    ));

    let mut node = Node::start(Setup::default()).await;
    let mut taken = config(Setup::default());
    taken.listen = vec![node.address.clone()];
    taken.scope = Scope::Lan;
    let taken = start(taken, blobs);
    assert!(matches!(taken, Err(NetError::Listen { .. })), "{taken:?}");

    node.net
        .dial("/ip4/8.8.8.8/tcp/1".parse().unwrap())
        .await
        .unwrap();
    let failed = |event| match event {
        NetEvent::DialFailed { address, .. } => Some(address),
        _ => None,
    };
    let address = node.wait("the refusal", failed).await;
    assert_eq!(address, "/ip4/8.8.8.8/tcp/1".parse().unwrap());
}

#[tokio::test]
async fn a_core_that_does_not_listen_cannot_lock_itself_out() {
    let limits = NetLimits {
        events: 4,
        commands: 1,
        ..NetLimits::default()
    };
    let mut a = Node::start(Setup {
        limits,
        ..Setup::default()
    })
    .await;
    // Far more commands than fit, each answered by an event that nobody takes yet.
    let n = 300;
    let send_all = async {
        for token in 0..n {
            a.net.send([2; 32], token, Vec::new()).await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, send_all)
        .await
        .expect("locked up");
    for token in 0..n {
        assert_eq!(a.wait("failures", outcome).await.0, token);
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused() {
    let limits = NetLimits {
        established_in: 3,
        ..NetLimits::default()
    };
    let mut a = Node::start(Setup {
        limits,
        ..Setup::default()
    })
    .await;
    let mut others = Vec::new();
    for _ in 0..6 {
        let node = Node::start(Setup::default()).await;
        node.net.dial(a.address.clone()).await.unwrap();
        others.push(node);
    }
    for _ in 0..3 {
        a.wait("those that fit", |event| match event {
            NetEvent::PeerConnected { .. } => Some(()),
            _ => None,
        })
        .await;
    }
    let one_more = |event| match event {
        NetEvent::PeerConnected { .. } => Some(()),
        _ => None,
    };
    assert!(a.silent(Duration::from_millis(500), one_more).await);
    assert_eq!(a.net.connected().await.unwrap().len(), 3);
}

#[tokio::test]
async fn after_a_shutdown_nothing_runs() {
    let (a, mut b) = pair(QUIC).await;
    // Its tasks hold the socket: the port is free when the last of them is gone.
    let (socket, _) = starling::net::socket(&b.address).expect("an address of a socket");
    let free = || std::net::UdpSocket::bind(socket).is_ok();
    assert!(!free());
    b.net.send(a.key(), 1, vec![1]).await.unwrap();
    a.net
        .fetch_blob(1, [9; 32], 10, vec![b.key()])
        .await
        .unwrap();
    let other = b.net.clone();
    a.net.shutdown().await;
    b.net.shutdown().await;
    assert!(matches!(other.connected().await, Err(NetError::Closed)));
    b.net.shutdown().await;
    while let Some(event) = b.events.recv().await {
        drop(event);
    }
    let ended = async {
        while !free() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    ended.expect("something still listens");
}

#[tokio::test]
async fn dropping_every_handle_ends_the_network() {
    let Node {
        net, mut events, ..
    } = Node::start(Setup::default()).await;
    drop(net);
    let ended = async { while events.recv().await.is_some() {} };
    tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("still running");
}
