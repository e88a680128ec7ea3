//! A peer that is no node of ours: it opens streams of any protocol and writes what it likes.

use std::{io, time::Duration};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, identify, noise,
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use starling::net::{PeerKey, Protocols, peer_id, peer_key};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::support::{Node, PATIENCE};

pub const PING: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");
pub const IDENTIFY: StreamProtocol = StreamProtocol::new("/ipfs/id/1.0.0");

/// No more than a name and streams.
#[derive(NetworkBehaviour)]
pub struct Behaviour {
    identify: identify::Behaviour,
    pub streams: libp2p_stream::Behaviour,
}

/// Of the swarm that these protocols name, with a new identity, over TCP.
pub fn bare(protocols: &Protocols) -> Swarm<Behaviour> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::new(),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|keypair| Behaviour {
            identify: identify::Behaviour::new(identify::Config::new(
                protocols.version.clone(),
                keypair.public(),
            )),
            streams: libp2p_stream::Behaviour::new(),
        })
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build()
}

pub struct Stranger {
    pub key: PeerKey,
    pub protocols: Protocols,
    streams: libp2p_stream::Control,
    /// A node answers pings of those only who take its own.
    _pings: libp2p_stream::IncomingStreams,
    dials: mpsc::Sender<(Multiaddr, oneshot::Sender<bool>)>,
}

impl Stranger {
    /// One that claims to be of this swarm.
    pub fn of(swarm: [u8; 32]) -> Stranger {
        let protocols = Protocols::of(&swarm);
        let mut swarm = bare(&protocols);
        let mut streams = swarm.behaviour().streams.new_control();
        let pings = streams.accept(PING).unwrap();
        let key = peer_key(swarm.local_peer_id()).unwrap();
        let (dials, mut dialled) = mpsc::channel::<(Multiaddr, oneshot::Sender<bool>)>(1);
        tokio::spawn(async move {
            let mut waiting = None;
            loop {
                tokio::select! {
                    Some((address, done)) = dialled.recv() => {
                        let options = DialOpts::from(address);
                        waiting = Some((options.connection_id(), done));
                        swarm.dial(options).unwrap();
                    }
                    event = swarm.select_next_some() => {
                        let (connection, stands) = match event {
                            SwarmEvent::ConnectionEstablished { connection_id, .. } => (connection_id, true),
                            SwarmEvent::OutgoingConnectionError { connection_id, .. } => (connection_id, false),
                            _ => continue,
                        };
                        if let Some((_, done)) = waiting.take_if(|(id, _)| *id == connection) {
                            let _ = done.send(stands);
                        }
                    }
                }
            }
        });
        Stranger {
            key,
            protocols,
            streams,
            _pings: pings,
            dials,
        }
    }

    /// A member of the node's swarm, connected to it.
    pub async fn meets(node: &mut Node) -> Stranger {
        let stranger = Stranger::of([1; 32]);
        assert!(stranger.dial(&node.address).await);
        node.connected(stranger.key).await;
        stranger
    }

    /// Opens a connection; whether the handshake succeeded. The node may close it right afterwards.
    pub async fn dial(&self, address: &Multiaddr) -> bool {
        let (done, outcome) = oneshot::channel();
        let wish = (address.clone(), done);
        self.dials.send(wish).await.unwrap();
        timeout(PATIENCE, outcome).await.unwrap().unwrap()
    }

    pub async fn open(&self, node: &Node, protocol: &StreamProtocol) -> io::Result<Stream> {
        let peer: PeerId = peer_id(&node.key()).unwrap();
        let mut streams = self.streams.clone();
        let opening = streams.open_stream(peer, protocol.clone());
        timeout(PATIENCE, opening)
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)
    }

    /// Writes to a new stream, and reads up to so many bytes of an answer: fewer if the node ends the stream or is silent.
    pub async fn ask(
        &self,
        node: &Node,
        protocol: &StreamProtocol,
        question: &[u8],
        answer: usize,
    ) -> usize {
        match self.open(node, protocol).await {
            Ok(mut stream) => exchange(&mut stream, question, answer).await,
            Err(_) => 0,
        }
    }
}

/// The same on a stream that is open.
pub async fn exchange(stream: &mut Stream, question: &[u8], answer: usize) -> usize {
    let talk = async {
        stream.write_all(question).await?;
        stream.flush().await?;
        let mut bytes = vec![0; answer];
        stream.read(&mut bytes).await
    };
    match timeout(Duration::from_millis(700), talk).await {
        Ok(Ok(read)) => read,
        Ok(Err(_)) | Err(_) => 0,
    }
}
