//! Blobs between real nodes, a liar among them.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, SwarmBuilder, identify, noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use starling::{
    blobs::{fetch::SourceError, wire},
    net::{BlobFailure, NetEvent, NetLimits, PeerKey, Protocols, peer_key},
};

use crate::support::{Node, QUIC, Setup, TCP, pair};

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn outcome(event: NetEvent) -> Option<(u64, Result<u64, BlobFailure>)> {
    match event {
        NetEvent::BlobDone {
            request_id, len, ..
        } => Some((request_id, Ok(len))),
        NetEvent::BlobFailed {
            request_id, reason, ..
        } => Some((request_id, Err(reason))),
        _ => None,
    }
}

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

#[derive(NetworkBehaviour)]
struct LiarBehaviour {
    identify: identify::Behaviour,
    blobs: libp2p_stream::Behaviour,
}

/// A peer that speaks the blob protocol and answers every request with a length and noise.
fn liar(len: u64) -> (PeerKey, tokio::sync::oneshot::Receiver<Multiaddr>) {
    let protocols = Protocols::of(&[1; 32]);
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::new(),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|keypair| LiarBehaviour {
            identify: identify::Behaviour::new(identify::Config::new(
                protocols.version.clone(),
                keypair.public(),
            )),
            blobs: libp2p_stream::Behaviour::new(),
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    let mut streams = swarm
        .behaviour()
        .blobs
        .new_control()
        .accept(protocols.blob)
        .unwrap();
    swarm.listen_on(TCP.parse().unwrap()).unwrap();
    let key = peer_key(swarm.local_peer_id()).unwrap();
    let (tell, address) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut tell = Some(tell);
        loop {
            tokio::select! {
                event = swarm.select_next_some() => {
                    if let (SwarmEvent::NewListenAddr { address, .. }, Some(tell)) = (event, tell.take()) {
                        tell.send(address).unwrap();
                    }
                }
                Some((_, mut stream)) = streams.next() => {
                    let mut request = [0; wire::REQUEST_BYTES];
                    stream.read_exact(&mut request).await.unwrap();
                    stream.write_all(&wire::Reply::Found { len }.encode()).await.unwrap();
                    // It may be cut off at any point of this.
                    let _ = stream.write_all(&vec![0x55; 100_000]).await;
                    let _ = stream.close().await;
                }
            }
        }
    });
    (key, address)
}

#[tokio::test]
async fn after_a_liar_the_honest_source_is_asked() {
    let (mut a, b) = pair(TCP).await;
    let data = pattern(300_000);
    let hash = b.blobs.put(&data).unwrap();
    let (liar, address) = liar(300_000);
    a.net.dial(address.await.unwrap()).await.unwrap();
    a.connected(liar).await;

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
