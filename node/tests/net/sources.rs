//! Sources of blobs that are no nodes of ours: honest ones that count what they send, and all kinds of others.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{Multiaddr, Stream, swarm::SwarmEvent};
use starling::{
    blobs::{
        BlobStore,
        serve::{ServeLimits, answer},
        wire::{REQUEST_BYTES, Reply, Request},
    },
    net::{BlobFailure, NetEvent, PeerKey, Protocols, peer_key},
};
use tokio::time::sleep;
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::stranger::bare;
use crate::support::{Node, TCP};

pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// How a fetch ended, if that is what the event tells.
pub fn outcome(event: NetEvent) -> Option<(u64, Result<u64, BlobFailure>)> {
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

/// What a source does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// Answers in pieces of so many bytes, with a pause after each.
    Honest(usize, Duration),
    /// Is honest on its first stream until so many bytes are sent, and gone after that.
    Cut(u64),
    /// Says the right length, then 100,000 bytes of noise.
    Noise,
    /// Says the right length, then bytes without end.
    Endless,
    /// Never says anything.
    Silent,
    /// Says that the blob is so much longer, then nothing.
    Longer(u64),
}

/// Fast enough for every test, slow enough that others have their turn.
pub const HONEST: Manner = Manner::Honest(64 * 1024, Duration::from_millis(1));

/// A peer that speaks the blob protocol in its own manner.
pub struct Source {
    pub key: PeerKey,
    address: Multiaddr,
    sent: Arc<AtomicU64>,
    streams: Arc<AtomicU64>,
}

impl Source {
    /// Starts one that has what the store has.
    pub async fn start(manner: Manner, store: &BlobStore) -> Source {
        let protocols = Protocols::of(&[1; 32]);
        let mut swarm = bare(&protocols);
        let mut control = swarm.behaviour().streams.new_control();
        let mut incoming = control.accept(protocols.blob).unwrap();
        swarm.listen_on(TCP.parse().unwrap()).unwrap();
        let key = peer_key(swarm.local_peer_id()).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let (sent, streams) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let source = Source {
            key,
            address,
            sent: sent.clone(),
            streams: streams.clone(),
        };
        let store = store.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = swarm.select_next_some() => {}
                    Some((_, stream)) = incoming.next() => {
                        let before = streams.fetch_add(1, Ordering::Relaxed);
                        let (store, sent) = (store.clone(), sent.clone());
                        // It may be cut off at any point of this.
                        tokio::spawn(async move { treat(stream, manner, before, &store, &sent).await });
                    }
                }
            }
        });
        source
    }

    /// Connects the node to it; returns its key.
    pub async fn met(&self, node: &mut Node) -> PeerKey {
        node.net.dial(self.address.clone()).await.unwrap();
        node.connected(self.key).await;
        self.key
    }

    /// Bytes of blobs, with what proves them, that it has sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Streams that were opened to it.
    pub fn streams(&self) -> u64 {
        self.streams.load(Ordering::Relaxed)
    }
}

async fn treat(
    mut stream: Stream,
    manner: Manner,
    before: u64,
    store: &BlobStore,
    sent: &AtomicU64,
) -> io::Result<()> {
    let mut request = [0; REQUEST_BYTES];
    stream.read_exact(&mut request).await?;
    let hash = Request::decode(&request).unwrap().hash;
    let len = store.len(&hash).unwrap_or(0);
    let found = |len| Reply::Found { len }.encode();
    match manner {
        Manner::Honest(bytes, pause) => {
            pass(stream, request, store, sent, bytes, pause, u64::MAX).await
        }
        Manner::Cut(after) if before == 0 => {
            let pause = Duration::from_millis(1);
            pass(stream, request, store, sent, 64 * 1024, pause, after).await
        }
        Manner::Cut(_) => Ok(()),
        Manner::Noise => {
            stream.write_all(&found(len)).await?;
            stream.write_all(&[0x55; 100_000]).await?;
            stream.close().await
        }
        Manner::Endless => {
            stream.write_all(&found(len)).await?;
            loop {
                stream.write_all(&[0x55; 16 * 1024]).await?;
                sent.fetch_add(16 * 1024, Ordering::Relaxed);
            }
        }
        Manner::Silent => quiet(stream).await,
        Manner::Longer(by) => {
            stream.write_all(&found(len + by)).await?;
            quiet(stream).await
        }
    }
}

/// Says nothing, and keeps the stream until the other side has had enough.
async fn quiet(mut stream: Stream) -> io::Result<()> {
    stream.flush().await?;
    let _ = stream.read(&mut [0]).await?;
    Ok(())
}

/// Passes on an honest answer.
async fn pass(
    mut stream: Stream,
    request: [u8; REQUEST_BYTES],
    store: &BlobStore,
    sent: &AtomicU64,
    bytes: usize,
    pause: Duration,
    after: u64,
) -> io::Result<()> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (mut near, far) = (near.compat(), far.compat());
    let passing = async move {
        near.write_all(&request).await?;
        let (mut block, mut passed) = (vec![0; bytes], 0);
        while passed < after {
            let n = near.read(&mut block).await?;
            if n == 0 {
                return stream.close().await;
            }
            stream.write_all(&block[..n]).await?;
            stream.flush().await?;
            passed += n as u64;
            sent.fetch_add(n as u64, Ordering::Relaxed);
            sleep(pause).await;
        }
        Ok(())
    };
    let (passed, _) = tokio::join!(passing, answer(far, store, ServeLimits::default()));
    passed
}
