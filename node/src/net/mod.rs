//! The network: bytes in, bytes out. No policy: what to say, whom to trust and what to keep is the core's business.
//!
//! [`start`] gives the libp2p swarm a thread; [`NetHandle`] sends it commands, it answers with [`NetEvent`]s.
//! Peers are named by their ed25519 key, everything else is opaque bytes. How others are found and reached is in `ways`
//! and `reach`. DNS names are absent on purpose: nobody's name server is asked.
//!
//! Invariant: whatever a stranger sends lands in something bounded: a channel, a capped map, a limited stream. When the
//! core is slow, the network stops reading rather than queue without end.

mod admission;
mod autonat;
mod bans;
mod behaviour;
mod codec;
mod config;
mod event;
mod fetches;
mod handle;
mod lookups;
mod metered;
mod outbox;
mod paced;
mod peer_key;
mod prefixes;
mod provider_store;
pub(crate) mod rate;
mod reach;
mod routing;
mod scope;
mod status;
mod swarm_events;
mod task;
mod transport;
mod ways;

pub use admission::{Admission, AdmissionError, Handshake, MAX_CREDENTIAL_BYTES};
pub use bans::BanPolicy;
pub use codec::{ControlCodec, Envelope, MAX_MESSAGE_BYTES};
pub use config::{MAX_GOSSIP_BYTES, MAX_TOPIC_BYTES, NetConfig, NetLimits, Protocols, Services};
pub use event::{BlobFailure, GossipHandle, NetError, NetEvent, SendError};
pub use handle::{NetHandle, Parcel};
pub use libp2p::Multiaddr;
pub use peer_key::{PeerKey, peer_id, peer_key};
pub use prefixes::PrefixCaps;
pub use provider_store::{ProviderCaps, ProviderStore};
pub use rate::Rate;
pub use reach::How;
pub(crate) use scope::is_relayed;
pub use scope::{Scope, any_port, socket};
pub use status::{Asked, Bootstrapped, Connected, Gateway, NetStatus, Reachable, RelayInfo};

use std::sync::Arc;

use libp2p::{identity::Keypair, relay, swarm};
use tokio::sync::mpsc;

use crate::blobs::BlobStore;
use behaviour::{Behaviour, TopicFilter};
use rate::Floods;
use scope::Bounds;
use task::Network;

/// What tracing should leave out for people: Kademlia warns that a first peer knows nobody, AutoNAT of every stranger
/// that cannot be dialled, UPnP of routers without it, yamux of each connection that both ends close at once, gossipsub
/// of every message that a slow peer does not get (`SlowPeer` says so too).
pub const LOG_FILTER: &str = "libp2p_kad=error,libp2p_autonat=error,libp2p_upnp=error,\
    libp2p_mdns=error,libp2p_gossipsub=error,yamux=error";

/// What speaks to the network from outside: commands in, events out.
type Ends = (NetHandle, mpsc::Receiver<NetEvent>);

/// Opens the listeners and starts the network. A listener that cannot be opened is an error here, so that a port in use
/// is noticed at once.
///
/// Its tasks wake each other with every packet: between a runtime's threads that was a fifth of an idle peer's wake-ups. Blobs are read, hashed and written on threads of their own.
pub fn start(config: NetConfig, blobs: BlobStore) -> Result<Ends, NetError> {
    let failed = |e: std::io::Error| NetError::Thread(e.to_string());
    let (opened, outcome) = std::sync::mpsc::channel();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(opened.send(Err(failed(error)))),
        };
        runtime.block_on(async {
            match open(config, blobs) {
                Ok((network, ends)) => {
                    // A caller that has gone drops its ends, and the network stops by itself.
                    let _ = opened.send(Ok(ends));
                    network.run().await;
                }
                Err(error) => drop(opened.send(Err(error))),
            }
        });
    };
    let thread = std::thread::Builder::new().name("network".into());
    thread.spawn(run).map_err(failed)?;
    outcome.recv().unwrap_or(Err(NetError::Closed))
}

fn open(config: NetConfig, blobs: BlobStore) -> Result<(Network, Ends), NetError> {
    let keypair = Keypair::ed25519_from_bytes(config.keypair_secret)
        .map_err(|e| NetError::Key(e.to_string()))?;
    let local = config.peer()?;
    let protocols = Protocols::of(&config.swarm_id);
    let topics = TopicFilter::new(&config.topics);
    for address in config.bootstrap.iter().chain(&config.announce) {
        if !config.scope.may_dial(address) {
            return Err(NetError::OutOfScope(address.clone()));
        }
    }
    let named = config.bootstrap.iter().chain(&config.listen);
    let bounds = Bounds::new(config.scope, named.chain(&config.announce));
    let (circuits, relayed) = config
        .services
        .relay
        .then(|| relay::client::new(keypair.public().to_peer_id()))
        .unzip();
    let streams = config.limits.connection_streams;
    let admission = config.admission.clone();
    let transport = transport::build(&keypair, bounds, admission, circuits, streams)?;
    let floods = Floods::new();
    let behaviour = Behaviour::new(
        &keypair,
        &config,
        topics.clone(),
        &protocols,
        relayed,
        &floods,
    )?;
    let mut swarm = libp2p::Swarm::new(
        transport,
        behaviour,
        keypair.public().to_peer_id(),
        swarm::Config::with_tokio_executor()
            .with_idle_connection_timeout(config.limits.idle)
            .with_max_negotiating_inbound_streams(64),
    );
    for address in &config.listen {
        if !config.scope.may_listen(address) {
            return Err(NetError::OutOfScope(address.clone()));
        }
        transport::check_port_free(address)?;
        swarm
            .listen_on(address.clone())
            .map_err(|e| NetError::Listen {
                address: address.clone(),
                reason: e.to_string(),
            })?;
    }
    let (commands, received) = mpsc::channel(config.limits.commands.max(1));
    let (events, sent) = mpsc::channel(config.limits.events.max(1));
    let channels = (received, events);
    let network = Network::new(swarm, config, bounds, protocols, blobs, floods, channels)?;
    let handle = NetHandle {
        local,
        topics,
        commands,
    };
    Ok((network, (handle, sent)))
}

/// Dials an address for `admission` alone, under the key of that seed; whatever it says, the connection ends.
///
/// # Errors
/// Why there was no connection; the admission's own refusals are among them.
pub async fn knock(
    keypair_secret: [u8; 32],
    scope: Scope,
    address: Multiaddr,
    admission: Arc<dyn Admission>,
) -> Result<(), NetError> {
    let keypair = Keypair::ed25519_from_bytes(keypair_secret);
    let keypair = keypair.map_err(|e| NetError::Key(e.to_string()))?;
    if !scope.may_dial(&address) {
        return Err(NetError::OutOfScope(address));
    }
    let bounds = Bounds::new(scope, std::iter::once(&address));
    transport::knock(&keypair, bounds, admission, address).await
}

#[cfg(test)]
mod tests;
