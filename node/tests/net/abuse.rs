//! What one stranger can make a node do is bounded, for every protocol.

use std::time::Duration;

use futures::AsyncWriteExt;
use starling::net::{NetEvent, NetLimits, PrefixCaps, Scope};

use crate::{
    stranger::{IDENTIFY, PING, Stranger, exchange},
    support::{LONG, Node, Setup, TOPIC, default, just, lost, node, strict},
};

/// A frame of Kademlia's: a type (2 ADD_PROVIDER, 3 GET_PROVIDERS, 4 FIND_NODE), a key, and who says it.
fn kad(kind: u8, key: [u8; 32], provider: Option<[u8; 32]>) -> Vec<u8> {
    let mut message = vec![0x08, kind, 0x12, 32];
    message.extend(key);
    if let Some(provider) = provider {
        let id = starling::net::peer_id(&provider).unwrap().to_bytes();
        message.extend([0x4a, id.len() as u8 + 2, 0x0a, id.len() as u8]);
        message.extend(id);
    }
    message.insert(0, message.len() as u8);
    message
}

#[tokio::test]
async fn kademlia_answers_so_many_streams_of_one_peer() {
    let mut node = node(NetLimits {
        kad_streams: just(5.0),
        ..default()
    })
    .await;
    let stranger = Stranger::meets(&mut node).await;
    let name = &stranger.protocols.kad;
    let mut answered = 0;
    for n in 0..12 {
        let question = kad(3 + n % 2, [n; 32], None);
        answered += usize::from(stranger.ask(&node, name, &question, 1).await > 0);
    }
    assert_eq!(answered, 5);
    let other = Stranger::meets(&mut node).await;
    assert_eq!(other.ask(&node, name, &kad(4, [1; 32], None), 1).await, 1);
}

#[tokio::test]
async fn kademlia_answers_so_many_requests_of_one_peer_on_however_few_streams() {
    let mut node = node(NetLimits {
        kad_frames: just(20.0),
        ..default()
    })
    .await;
    let stranger = Stranger::meets(&mut node).await;
    let name = &stranger.protocols.kad;
    let mut stream = stranger.open(&node, name).await.unwrap();
    let mut answered = 0;
    while exchange(&mut stream, &kad(3, [7; 32], None), 4096).await > 0 {
        answered += 1;
        assert!(answered <= 20);
    }
    // What Kademlia learns about the connection itself is counted, too.
    assert!(answered > 15, "{answered}");
    // Nor is another stream a way around it.
    assert_eq!(
        stranger.ask(&node, name, &kad(4, [1; 32], None), 1).await,
        0
    );
}

#[tokio::test]
async fn provider_records_of_one_peer_come_in_at_so_many() {
    let mut node = node(NetLimits {
        kad_frames: just(20.0),
        ..default()
    })
    .await;
    let stranger = Stranger::meets(&mut node).await;
    let mut stream = stranger.open(&node, &stranger.protocols.kad).await.unwrap();
    for n in 0..60 {
        let record = kad(2, [n; 32], Some(stranger.key));
        stream.write_all(&record).await.unwrap();
    }
    let silence = exchange(&mut stream, &kad(4, [0; 32], None), 1).await;
    assert_eq!(silence, 0, "the requests before have used up the bucket");
    let mut held = 0;
    for n in 0..60 {
        held += node.net.holds([n; 32]).await.unwrap();
    }
    assert!((15..=20).contains(&held), "{held}");
}

#[tokio::test]
async fn streams_of_rare_protocols_are_counted() {
    let mut node = node(NetLimits {
        rare_streams: just(4.0),
        ..default()
    })
    .await;
    let stranger = Stranger::meets(&mut node).await;
    // Its own identify has opened one stream of that already.
    for (protocol, most) in [(PING, 4), (IDENTIFY, 3)] {
        let mut answered = 0;
        for _ in 0..8 {
            answered += usize::from(stranger.ask(&node, &protocol, &[1; 32], 32).await > 0);
        }
        assert_eq!(answered, most, "{protocol}");
    }
}

#[tokio::test]
async fn frames_of_gossip_are_counted_and_forwarding_much_is_no_fault() {
    let (mut a, mut b) = (
        node(NetLimits {
            gossip_frames: just(30.0),
            gossip_rate: just(10.0),
            // Only what is at fault bans.
            bans: strict(LONG),
            ..default()
        })
        .await,
        node(default()).await,
    );
    b.net.dial(a.address.clone()).await.unwrap();
    b.connected(a.key()).await;
    a.net.subscribe(TOPIC).await.unwrap();
    let mut heard = 0;
    for n in 0..20u8 {
        b.net.publish(TOPIC, vec![n]).await.unwrap();
    }
    while heard < 10 {
        a.wait("gossip", |event| match event {
            NetEvent::Gossip { .. } => Some(()),
            NetEvent::PeerLost { .. } => panic!("disconnected for what others wrote"),
            _ => None,
        })
        .await;
        heard += 1;
    }
    // Two turns of housekeeping would have noticed.
    let gone = |event| match event {
        NetEvent::Gossip { .. } | NetEvent::PeerLost { .. } => Some(()),
        _ => None,
    };
    assert!(a.silent(Duration::from_millis(1200), gone).await);
    for n in 20..100u8 {
        b.net.publish(TOPIC, vec![n]).await.unwrap();
    }
    lost(&mut a, b.key()).await;
}

#[tokio::test]
async fn empty_envelopes_and_streams_of_them_are_a_flood() {
    for (message_rate, control_streams) in [(just(5.0), just(1e9)), (just(1e9), just(5.0))] {
        let mut node = node(NetLimits {
            message_rate,
            control_streams,
            bans: strict(LONG),
            ..default()
        })
        .await;
        let stranger = Stranger::meets(&mut node).await;
        for _ in 0..10 {
            let name = &stranger.protocols.control;
            stranger.ask(&node, name, &[0; 4], 1).await;
        }
        lost(&mut node, stranger.key).await;
    }
}

#[tokio::test]
async fn whoever_asks_for_blobs_too_often_is_banned() {
    let mut limits = default();
    limits.serve.requests = just(5.0);
    limits.bans = strict(LONG);
    let mut node = node(limits).await;
    let stranger = Stranger::meets(&mut node).await;
    let name = &stranger.protocols.blob;
    let mut request = [0; 49];
    (request[0], request[48]) = (1, 1);
    let mut answered = 0;
    for _ in 0..8 {
        answered += usize::from(stranger.ask(&node, name, &request, 9).await > 0);
    }
    assert_eq!(answered, 5);
    lost(&mut node, stranger.key).await;
}

#[tokio::test]
async fn one_address_gets_so_many_connections_and_begins_so_many() {
    let caps = NetLimits::default().prefixes;
    let caps = [
        PrefixCaps {
            per_address: 3,
            ..caps
        },
        PrefixCaps {
            handshakes: just(3.0),
            ..caps
        },
    ];
    for prefixes in caps {
        let mut node = Node::start(Setup {
            scope: Scope::Public,
            limits: NetLimits {
                prefixes,
                ..default()
            },
            ..Setup::default()
        })
        .await;
        let strangers: Vec<_> = (0..8).map(|_| Stranger::of([1; 32])).collect();
        for stranger in &strangers {
            stranger.dial(&node.address).await;
        }
        let first: Vec<_> = strangers[..3].iter().map(|s| s.key).collect();
        node.connected_all(&first).await;
        let one_more = |event| match event {
            NetEvent::PeerConnected { .. } => Some(()),
            _ => None,
        };
        assert!(node.silent(Duration::from_millis(500), one_more).await);
        assert_eq!(node.net.connected().await.unwrap().len(), 3);
    }
}
