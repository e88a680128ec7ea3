//! Who goes on and on is banned, longer each time, and forgiven; who behaves is not, however busy.

use std::time::Duration;

use starling::net::{BanPolicy, GossipHandle, NetEvent, NetLimits};

use crate::{
    stranger::Stranger,
    support::{LONG, Node, PATIENCE, Setup, TCP, TOPIC, default, just, lost, node, pair, strict},
};

#[tokio::test]
async fn one_rejected_message_costs_nobody_the_connection() {
    let (mut a, b) = pair(TCP).await;
    a.net.subscribe(TOPIC).await.unwrap();
    b.net
        .publish(TOPIC, b"somebody else's".to_vec())
        .await
        .unwrap();
    let handle: GossipHandle = a
        .wait("the gossip", |event| match event {
            NetEvent::Gossip { handle, .. } => Some(handle),
            _ => None,
        })
        .await;
    a.net.reject(handle).await.unwrap();
    let gone = |event| match event {
        NetEvent::PeerLost { .. } => Some(()),
        _ => None,
    };
    assert!(a.silent(Duration::from_millis(700), gone).await);
    assert_eq!(a.net.connected().await.unwrap(), [b.key()]);
}

#[tokio::test]
async fn frames_that_do_not_decode_lead_to_a_ban_that_ends() {
    let term = Duration::from_millis(400);
    let mut node = node(NetLimits {
        bans: BanPolicy {
            // Two frames are borne.
            patience: just(8.0),
            terms: [term, LONG, LONG, LONG],
            ..default().bans
        },
        ..default()
    })
    .await;
    let stranger = Stranger::meets(&mut node).await;
    let name = &stranger.protocols.control;
    let (good, oversized) = ([0; 4], u32::MAX.to_le_bytes());
    let garbled = [5, 0, 0, 0, 2, 0, 0, 0, 9];
    assert_eq!(stranger.ask(&node, name, &oversized, 1).await, 0);
    assert_eq!(stranger.ask(&node, name, &garbled, 1).await, 0);
    assert_eq!(stranger.ask(&node, name, &good, 1).await, 1, "still heard");
    stranger.ask(&node, name, &oversized, 1).await;
    lost(&mut node, stranger.key).await;
    // It may knock as often as it likes, and is let in once its time is over.
    let address = node.address.clone();
    let came_back = async {
        loop {
            stranger.dial(&address).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let key = stranger.key;
    tokio::select! {
        () = node.connected(key) => {}
        () = came_back => {}
    }
    // The second time it is for longer.
    stranger.ask(&node, name, &oversized, 1).await;
    lost(&mut node, key).await;
    for _ in 0..20 {
        stranger.dial(&node.address).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(node.net.connected().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_peer_that_goes_on_flooding_is_banned() {
    let mut a = node(NetLimits {
        message_rate: just(50.0),
        bans: strict(LONG),
        ..default()
    })
    .await;
    let mut b = node(default()).await;
    b.net.dial(a.address.clone()).await.unwrap();
    b.connected(a.key()).await;
    a.connected(b.key()).await;
    for token in 0..200 {
        b.net.send(a.key(), token, vec![0]).await.unwrap();
    }
    lost(&mut a, b.key()).await;
    b.net.dial(a.address.clone()).await.unwrap();
    let came_back = |event| match event {
        NetEvent::PeerConnected { .. } => Some(()),
        _ => None,
    };
    assert!(a.silent(Duration::from_secs(1), came_back).await);
}

#[tokio::test]
async fn a_peer_of_another_swarm_is_heard_out_only_so_often() {
    let mut node = node(NetLimits {
        bans: BanPolicy {
            patience: just(2.0),
            terms: [LONG; 4],
            ..default().bans
        },
        ..default()
    })
    .await;
    let foreigner = Stranger::of([2; 32]);
    let wrong = |event| match event {
        NetEvent::WrongSwarm { peer } => Some(peer),
        _ => None,
    };
    for _ in 0..2 {
        assert!(foreigner.dial(&node.address).await);
        let peer = node.wait("the wrong swarm", wrong).await;
        assert_eq!(peer, foreigner.key);
    }
    for _ in 0..3 {
        foreigner.dial(&node.address).await;
    }
    assert!(node.silent(Duration::from_millis(700), wrong).await);
}

#[tokio::test]
async fn honest_peers_that_all_look_up_and_talk_at_once_are_not_slowed() {
    let limits = NetLimits {
        bans: strict(LONG),
        ..default()
    };
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..5 {
        let bootstrap = nodes.iter().map(|node| node.address.clone()).collect();
        nodes.push(
            Node::start(Setup {
                bootstrap,
                limits,
                ..Setup::default()
            })
            .await,
        );
    }
    let keys: Vec<_> = nodes.iter().map(Node::key).collect();
    for (n, node) in nodes.iter_mut().enumerate() {
        let others: Vec<_> = keys.iter().filter(|k| **k != keys[n]).copied().collect();
        node.connected_all(&others).await;
        node.net.subscribe(TOPIC).await.unwrap();
    }
    let lookups = (limits.lookups + limits.waiting_lookups) as u64;
    for (n, node) in nodes.iter().enumerate() {
        for id in 0..lookups {
            let key = [n as u8, id as u8, 1, 2].repeat(8).try_into().unwrap();
            node.net.find_providers(id, key).await.unwrap();
            let other = keys[(n + 1 + id as usize % 4) % 5];
            node.net.send(other, id, vec![7; 100]).await.unwrap();
        }
        node.net.publish(TOPIC, vec![n as u8]).await.unwrap();
    }
    for node in &mut nodes {
        let (mut found, mut sent) = (0, 0);
        node.wait_for(4 * PATIENCE, "every answer", |event| {
            match event {
                NetEvent::Providers { done, .. } => found += u64::from(done),
                NetEvent::Sent { .. } => sent += 1,
                NetEvent::SendFailed { reason, .. } => panic!("{reason}"),
                NetEvent::PeerLost { .. } => panic!("an honest peer was banned"),
                _ => {}
            }
            (found == lookups && sent == lookups).then_some(())
        })
        .await;
    }
    // Housekeeping has had its say by then.
    let lost = |event| match event {
        NetEvent::PeerLost { .. } => Some(()),
        _ => None,
    };
    for node in &mut nodes {
        assert!(node.silent(Duration::from_millis(600), lost).await);
    }
}
