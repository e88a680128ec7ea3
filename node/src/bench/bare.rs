//! A network layer without a peer above it, for what needs no more.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::blobs::{BlobStore, line::Lines};
use crate::net::{self, Multiaddr, NetConfig, NetEvent, NetHandle, NetLimits, Scope, Services};
use crate::reason::Reason;

/// Longest wait for the listener.
const PATIENCE: Duration = Duration::from_secs(60);

/// The network, what it tells, and where it is reached.
pub(super) type Bare = (NetHandle, mpsc::Receiver<NetEvent>, Multiaddr);

/// Starts one on loopback, under a fresh name; it listens when this returns.
pub(super) async fn start(
    swarm_id: [u8; 32],
    bootstrap: Vec<Multiaddr>,
    blobs: BlobStore,
) -> Result<Bare, Reason> {
    let mut keypair_secret = [0; 32];
    getrandom::fill(&mut keypair_secret).map_err(|e| Reason::of("error", e))?;
    let config = NetConfig {
        keypair_secret,
        swarm_id,
        scope: Scope::Local,
        listen: "/ip4/127.0.0.1/tcp/0".parse().into_iter().collect(),
        bootstrap,
        announce: Vec::new(),
        services: Services::OFF,
        topics: Vec::new(),
        limits: NetLimits::default(),
        lines: Lines::default(),
        admission: None,
        agent: concat!("starling/", env!("CARGO_PKG_VERSION")).into(),
    };
    let (net, mut events) = net::start(config, blobs)?;
    match tokio::time::timeout(PATIENCE, events.recv()).await {
        Ok(Some(NetEvent::Listening(address))) => Ok((net, events, address)),
        _ => Err(Reason::new(
            "timeout",
            "a network does not listen",
            "close other programs and measure again",
        )),
    }
}
