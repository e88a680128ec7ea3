//! Nodes on loopback, and patience with a limit.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU8, atomic::Ordering},
    time::Duration,
};

use starling::{
    blobs::{BlobStore, line::Lines},
    net::{
        Admission, BanPolicy, Multiaddr, NetConfig, NetEvent, NetHandle, NetLimits, PeerKey, Rate,
        Scope, Services, start,
    },
};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};

/// Nothing here takes longer unless it fails.
pub const PATIENCE: Duration = Duration::from_secs(15);

pub const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
pub const TOPIC: &str = "capacity/test/0";

pub struct Node {
    pub net: NetHandle,
    pub events: mpsc::Receiver<NetEvent>,
    pub blobs: BlobStore,
    pub address: Multiaddr,
    dir: TempDir,
}

pub struct Setup {
    /// Its seed; by default one that no other node of this process has.
    pub secret: Option<[u8; 32]>,
    /// Nothing: the node only dials.
    pub listen: &'static str,
    pub announce: Vec<Multiaddr>,
    pub swarm: [u8; 32],
    pub bootstrap: Vec<Multiaddr>,
    pub admission: Option<Arc<dyn Admission>>,
    pub limits: NetLimits,
    pub lines: Lines,
    pub scope: Scope,
    pub services: Services,
    /// Most bytes of blobs.
    pub room: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            secret: None,
            listen: TCP,
            announce: Vec::new(),
            swarm: [1; 32],
            bootstrap: Vec::new(),
            admission: None,
            limits: NetLimits::default(),
            lines: Lines::default(),
            scope: Scope::Local,
            services: Services::OFF,
            room: 64 << 20,
        }
    }
}

/// A seed that no other node of this process has.
pub fn secret() -> [u8; 32] {
    static NODES: AtomicU8 = AtomicU8::new(1);
    [NODES.fetch_add(1, Ordering::Relaxed); 32]
}

pub fn config(setup: Setup) -> NetConfig {
    let listen = (!setup.listen.is_empty()).then(|| setup.listen.parse().unwrap());
    NetConfig {
        keypair_secret: setup.secret.unwrap_or_else(secret),
        swarm_id: setup.swarm,
        scope: setup.scope,
        listen: listen.into_iter().collect(),
        bootstrap: setup.bootstrap,
        announce: setup.announce,
        services: setup.services,
        topics: vec!["capacity/".into()],
        limits: setup.limits,
        lines: setup.lines,
        admission: setup.admission,
        agent: "starling-test".into(),
    }
}

impl Node {
    pub async fn start(setup: Setup) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(dir.path().join("blobs"), setup.room).unwrap();
        Node::with(setup, blobs, dir).await
    }

    /// With a store that is there already; `dir` goes when the node does.
    pub async fn with(setup: Setup, blobs: BlobStore, dir: TempDir) -> Node {
        // Without a listener of its own, the node listens once a relay lets it, and talks with the relay before.
        let talks_first = setup.listen.is_empty();
        let (net, mut events) = start(config(setup), blobs.clone()).unwrap();
        let listening = async {
            loop {
                match events.recv().await {
                    Some(NetEvent::Listening(address)) => return address,
                    Some(_) if talks_first => {}
                    other => panic!("not listening: {other:?}"),
                }
            }
        };
        let address = timeout(PATIENCE, listening)
            .await
            .expect("an address in time");
        Node {
            net,
            events,
            blobs,
            address,
            dir,
        }
    }

    pub fn key(&self) -> PeerKey {
        self.net.local()
    }

    /// The folder of its blobs, if it has one of its own.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("blobs")
    }

    /// The first event that `pick` takes; others are dropped.
    pub async fn wait<T>(&mut self, what: &str, pick: impl FnMut(NetEvent) -> Option<T>) -> T {
        self.wait_for(PATIENCE, what, pick).await
    }

    /// The same with another patience.
    pub async fn wait_for<T>(
        &mut self,
        patience: Duration,
        what: &str,
        mut pick: impl FnMut(NetEvent) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the network has ended");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        timeout(patience, found)
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    /// Whether `pick` takes no event for a while.
    pub async fn silent<T>(
        &mut self,
        span: Duration,
        mut pick: impl FnMut(NetEvent) -> Option<T>,
    ) -> bool {
        let heard = async {
            while let Some(event) = self.events.recv().await {
                if pick(event).is_some() {
                    return;
                }
            }
        };
        timeout(span, heard).await.is_err()
    }

    /// With all of them, in any order.
    pub async fn connected_all(&mut self, to: &[PeerKey]) {
        let mut missing = to.to_vec();
        self.wait("all connections", |event| {
            if let NetEvent::PeerConnected { peer } = event {
                missing.retain(|key| *key != peer);
            }
            missing.is_empty().then_some(())
        })
        .await;
    }

    pub async fn connected(&mut self, to: PeerKey) {
        self.wait("a connection", |event| match event {
            NetEvent::PeerConnected { peer } if peer == to => Some(()),
            _ => None,
        })
        .await;
    }
}

/// Two nodes that know each other.
pub async fn pair(listen: &'static str) -> (Node, Node) {
    let mut a = Node::start(Setup {
        listen,
        ..Setup::default()
    })
    .await;
    let mut b = Node::start(Setup {
        listen,
        bootstrap: vec![a.address.clone()],
        ..Setup::default()
    })
    .await;
    a.connected(b.key()).await;
    b.connected(a.key()).await;
    (a, b)
}

/// Nodes of which each one knows only its predecessor.
pub async fn chain(n: usize) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for i in 0..n {
        let bootstrap = nodes.last().map(|node| node.address.clone());
        let mut node = Node::start(Setup {
            listen: if i % 2 == 0 { TCP } else { QUIC },
            bootstrap: bootstrap.into_iter().collect(),
            ..Setup::default()
        })
        .await;
        if let Some(previous) = nodes.last_mut() {
            node.connected(previous.key()).await;
            previous.connected(node.key()).await;
        }
        nodes.push(node);
    }
    nodes
}

/// So many, and no more come back.
pub const fn just(burst: f64) -> Rate {
    Rate { per_s: 0.0, burst }
}

/// One with these limits.
pub async fn node(limits: NetLimits) -> Node {
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    Node::start(setup).await
}

pub fn default() -> NetLimits {
    NetLimits::default()
}

/// Bans at the first offence, for these terms.
pub fn strict(term: Duration) -> BanPolicy {
    BanPolicy {
        patience: just(0.0),
        terms: [term; 4],
        ..default().bans
    }
}

/// Longer than any test.
pub const LONG: Duration = Duration::from_secs(3600);

/// Waits until the last connection with this peer is gone.
pub async fn lost(node: &mut Node, key: [u8; 32]) {
    node.wait("the loss", |event| match event {
        NetEvent::PeerLost { peer } => (peer == key).then_some(()),
        _ => None,
    })
    .await;
}
