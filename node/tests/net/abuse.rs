//! What one stranger can make a node do is bounded, for every protocol; who goes on and on is banned, and forgiven.

use std::time::Duration;

use futures::AsyncWriteExt;
use starling::net::{BanPolicy, GossipHandle, NetEvent, NetLimits, PrefixCaps, Rate, Scope};

use crate::{
    stranger::{IDENTIFY, PING, Stranger, exchange},
    support::{Node, Setup, TOPIC, pair},
};

/// So many, and no more come back.
const fn just(burst: f64) -> Rate {
    Rate { per_s: 0.0, burst }
}

async fn node(limits: NetLimits) -> Node {
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    Node::start(setup).await
}

fn default() -> NetLimits {
    NetLimits::default()
}

/// Bans at the first offence, for these terms.
fn strict(term: Duration) -> BanPolicy {
    BanPolicy {
        patience: just(0.0),
        terms: [term; 4],
        ..default().bans
    }
}

const LONG: Duration = Duration::from_secs(3600);

async fn lost(node: &mut Node, key: [u8; 32]) {
    node.wait("the loss", |event| match event {
        NetEvent::PeerLost { peer } => (peer == key).then_some(()),
        _ => None,
    })
    .await;
}

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
async fn one_rejected_message_costs_nobody_the_connection() {
    let (mut a, b) = pair(crate::support::TCP).await;
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
