//! Peers that nobody can dial: relays, hole punching and AutoNAT, in a swarm of scope public that lives on loopback.

use std::{net::TcpListener, time::Duration};

use starling::net::{How, Multiaddr, NetEvent, NetLimits, NetStatus, Scope, Services};

use crate::support::{Node, PATIENCE, Setup, TCP};

/// All that makes sense where nothing but loopback is reachable: no router is asked, nothing is multicast.
const SERVICES: Services = Services {
    autonat: true,
    relay: true,
    ..Services::OFF
};
pub const RELAY: Services = Services {
    autonat: false,
    ..SERVICES
};

pub fn public(services: Services) -> Setup {
    Setup {
        scope: Scope::Public,
        services,
        limits: NetLimits {
            relay_after: Duration::from_millis(200),
            ..NetLimits::default()
        },
        ..Setup::default()
    }
}

/// A node whose owner says that others reach it.
async fn announced() -> Node {
    announced_as(public(SERVICES)).await
}

/// The same with everything else as in `setup`.
pub async fn announced_as(setup: Setup) -> Node {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let address: &'static str = format!("/ip4/127.0.0.1/tcp/{port}").leak();
    Node::start(Setup {
        listen: address,
        announce: vec![address.parse().unwrap()],
        ..setup
    })
    .await
}

/// Asks until the node's view of its network is as wanted.
pub async fn until(node: &Node, what: &str, wanted: impl Fn(&NetStatus) -> bool) -> NetStatus {
    let looking = async {
        loop {
            let status = node.net.status().await.unwrap();
            if wanted(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(status) => status,
        Err(_) => panic!("waited in vain for {what}: {:#?}", node.net.status().await),
    }
}

async fn sent(node: &mut Node, token: u64) {
    node.wait("the acknowledgement", |event| match event {
        NetEvent::Sent { token: of } if of == token => Some(()),
        NetEvent::SendFailed { reason, .. } => panic!("not sent: {reason}"),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_listens_nowhere_is_reached_over_a_relay() {
    let relay = announced().await;
    // Its only address is the one that the relay lends it.
    let mut hidden = Node::start(Setup {
        listen: "",
        bootstrap: vec![relay.address.clone()],
        ..public(RELAY)
    })
    .await;
    let circuit = hidden.address.to_string();
    assert!(circuit.contains("/p2p-circuit"), "{circuit}");
    let status = until(&hidden, "a reservation", |s| !s.relays.is_empty()).await;
    assert_eq!(status.reachable[0].how, How::Relay);
    assert!(status.serves_kademlia, "whoever can be reached is found");
    assert!(!status.relaying, "who needs a relay is none");

    let mut other = Node::start(Setup {
        listen: "",
        bootstrap: vec![relay.address.clone()],
        ..public(RELAY)
    })
    .await;
    // Known by name only: Kademlia tells where.
    other
        .net
        .send(hidden.key(), 1, b"hello".to_vec())
        .await
        .unwrap();
    sent(&mut other, 1).await;
    let heard = hidden
        .wait("the message", |event| match event {
            NetEvent::Message { bytes, .. } => Some(bytes),
            _ => None,
        })
        .await;
    assert_eq!(heard, b"hello");
    until(&other, "a relayed peer", |s| s.relayed_peers == 1).await;

    // Far more than libp2p's relays forward by default.
    let blob = vec![7; 1 << 20];
    let hash = hidden.blobs.put(&blob).unwrap();
    let from = vec![hidden.key()];
    other
        .net
        .fetch_blob(2, hash, blob.len() as u64, from)
        .await
        .unwrap();
    let len = other
        .wait("the blob", |event| match event {
            NetEvent::BlobDone { len, .. } => Some(len),
            NetEvent::BlobFailed { reason, .. } => panic!("{reason}"),
            _ => None,
        })
        .await;
    assert_eq!(len, blob.len() as u64);
}

#[tokio::test]
async fn a_reservation_that_was_lost_is_asked_for_again() {
    let relay = announced().await;
    let hidden = Node::start(Setup {
        listen: "",
        bootstrap: vec![relay.address.clone()],
        ..public(RELAY)
    })
    .await;
    until(&hidden, "a reservation", |s| s.relays.len() == 1).await;
    relay.net.disconnect(hidden.key(), false).await.unwrap();
    until(&hidden, "its loss", |s| s.relays.is_empty()).await;
    until(&hidden, "another one", |s| s.relays.len() == 1).await;
}

#[tokio::test]
async fn a_relayed_connection_becomes_direct() {
    let relay = announced().await;
    let behind = || Setup {
        bootstrap: vec![relay.address.clone()],
        ..public(RELAY)
    };
    becomes_direct(behind(), behind()).await;
}

/// Two peers of one relay, of which the far one dials the near one by way of it.
pub async fn becomes_direct(near: Setup, far: Setup) {
    let near = Node::start(near).await;
    let status = until(&near, "a reservation", |s| !s.relays.is_empty()).await;
    let circuit = status.reachable[0].address.clone();
    let far = Node::start(far).await;
    until(&far, "the relay", |s| s.peers == 1).await;
    far.net.dial(circuit).await.unwrap();
    until(&far, "a hole in the wall", |s| s.punched == 1).await;
    until(&far, "the direct connection alone", |s| {
        s.peers == 2 && s.relayed_peers == 0
    })
    .await;
}

#[tokio::test]
async fn others_say_whether_they_can_dial_us() {
    let server = announced().await;
    let node = Node::start(Setup {
        listen: TCP,
        bootstrap: vec![server.address.clone()],
        ..public(SERVICES)
    })
    .await;
    let direct = |s: &NetStatus| s.reachable.iter().any(|r| r.how == How::Autonat);
    let status = until(&node, "an answer", direct).await;
    assert!(status.reachable.iter().any(|r| r.address == node.address));
    assert!(status.asked.iter().any(|a| a.problem.is_none()));
    assert!(status.relaying, "now it can relay for others");
    assert!(status.serves_kademlia, "and is found");
    until(&node, "no relay, which it needs no more", |s| {
        s.relays.is_empty() && s.reachable.iter().all(|r| r.how == How::Autonat)
    })
    .await;
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_shown_with_the_reason() {
    let nobody: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
    let node = Node::start(Setup {
        bootstrap: vec![nobody],
        ..Setup::default()
    })
    .await;
    let status = until(&node, "the outcome", |s| s.bootstrap[0].problem.is_some()).await;
    assert!(!status.bootstrap[0].answered);
    assert_eq!(status.reachable[0].how, How::Listener);
}
