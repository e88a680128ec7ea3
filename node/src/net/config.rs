//! What a network is started with, and every limit that a stranger can run into.

use std::{sync::Arc, time::Duration};

use libp2p::{Multiaddr, StreamProtocol};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Admission, BanPolicy, NetError, PeerKey, PrefixCaps, Rate, Scope, provider_store::ProviderCaps,
};
use crate::blobs::{fetch::FetchLimits, line::Lines, serve::ServeLimits};

/// Longest message that is gossiped, in bytes.
pub const MAX_GOSSIP_BYTES: usize = 16 * 1024;
/// Longest gossip topic, in bytes.
pub const MAX_TOPIC_BYTES: usize = 128;

/// Everything that [`start`](super::start) needs to know.
#[derive(Clone)]
pub struct NetConfig {
    /// Seed of the ed25519 key that is this peer's name.
    pub keypair_secret: [u8; 32],
    /// The swarm; peers of another one are disconnected.
    pub swarm_id: [u8; 32],
    /// How far the swarm reaches.
    pub scope: Scope,
    /// Where to listen: `/ip4/…/tcp/…` and `/ip4/…/udp/…/quic-v1`; port 0 picks one.
    pub listen: Vec<Multiaddr>,
    /// Dialled at start, and again while no peer is connected.
    pub bootstrap: Vec<Multiaddr>,
    /// Addresses under which others reach this peer though it cannot tell itself, such as a forwarded port.
    pub announce: Vec<Multiaddr>,
    /// Ways to be found and reached.
    pub services: Services,
    /// Topics must begin with one of these, in subscriptions of strangers too.
    pub topics: Vec<String>,
    /// Caps and rates.
    pub limits: NetLimits,
    /// How fast blobs may pass; what is set there counts at once.
    pub lines: Lines,
    /// Who may connect; `None` admits everybody.
    pub admission: Option<Arc<dyn Admission>>,
    /// Software name and version, told to other peers.
    pub agent: String,
}

/// Services that find peers, and ways to them. Scope decides what makes sense, the owner may switch any of it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Services {
    /// Multicast DNS finds peers of the same site.
    pub mdns: bool,
    /// Routers are asked to forward a port.
    pub upnp: bool,
    /// Others are asked whether they can dial this peer, and are told the same (AutoNAT v2).
    pub autonat: bool,
    /// Connections lead over relays where they must, and become direct where they can (DCUtR); a peer that others can
    /// dial relays for them.
    pub relay: bool,
}

impl Services {
    /// None of them.
    pub const OFF: Self = Services {
        mdns: false,
        upnp: false,
        autonat: false,
        relay: false,
    };

    /// What a scope calls for: nothing on one machine, where all addresses are known; mDNS on one site, where all can be
    /// dialled; the rest on the internet.
    pub fn of(scope: Scope) -> Self {
        let public = scope == Scope::Public;
        Services {
            mdns: scope == Scope::Lan,
            upnp: public,
            autonat: public,
            relay: public,
        }
    }

    /// Those that both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Services {
            mdns: self.mdns && other.mdns,
            upnp: self.upnp && other.upnp,
            autonat: self.autonat && other.autonat,
            relay: self.relay && other.relay,
        }
    }
}

/// Caps and rates. The defaults suit a home machine.
#[derive(Clone, Copy, Debug)]
pub struct NetLimits {
    /// Connections being opened by others at once.
    pub pending_in: u32,
    /// Connections being opened by this peer at once.
    pub pending_out: u32,
    /// Connections that others opened.
    pub established_in: u32,
    /// Connections that this peer opened. Lookups dial whom they are told of, and one for which there is no room costs
    /// both sides the whole handshake, so this is well above what a lookup needs.
    pub established_out: u32,
    /// Of `pending_in` and `established_in`, by address; in scope Public only.
    pub prefixes: PrefixCaps,
    /// Connections with one peer; both may dial at the same time, while a relayed one is about to end.
    pub per_peer: u32,
    /// A connection that nothing uses is closed after this.
    pub idle: Duration,
    /// Commands waiting in the handle's channel.
    pub commands: usize,
    /// Events waiting for the core; above this the network is not read any more.
    pub events: usize,
    /// Streams taken on one connection, whatever for; those beyond wait.
    pub connection_streams: Rate,
    /// Control messages taken from one peer; one costs 1 token and 1 more per 4 KiB, an envelope of none 1.
    pub message_rate: Rate,
    /// Gossip messages taken from one forwarding peer. Who forwards more is not at fault: it has not written them.
    pub gossip_rate: Rate,
    /// Frames of gossip taken from one peer, whatever is in them: messages, also known ones, announcements, requests,
    /// subscriptions.
    pub gossip_frames: Rate,
    /// Kademlia: streams taken from one peer. An honest one opens one for each request.
    pub kad_streams: Rate,
    /// Kademlia: requests taken from one peer, on however many streams, and its answers to us.
    pub kad_frames: Rate,
    /// Streams taken from one peer for control messages.
    pub control_streams: Rate,
    /// Streams taken from one peer for each protocol that is used now and then: identify, ping, AutoNAT, DCUtR, relays.
    pub rare_streams: Rate,
    /// Circuits and reservations that this peer as a relay grants to one peer (each by itself).
    pub relay_by_peer: Rate,
    /// The same for one network (IPv4 /24, IPv6 /48).
    pub relay_by_network: Rate,
    /// When a peer is banned, and for how long.
    pub bans: BanPolicy,
    /// Own control messages not yet acknowledged, to all peers.
    pub sends: usize,
    /// Of these, to one peer.
    pub sends_per_peer: usize,
    /// Kademlia lookups at once.
    pub lookups: usize,
    /// Lookups that wait for their turn.
    pub waiting_lookups: usize,
    /// Provider records kept for strangers.
    pub providers: ProviderCaps,
    /// Blobs fetched at once.
    pub fetches: usize,
    /// Fetches that wait for their turn.
    pub waiting_fetches: usize,
    /// Patience with sources of blobs.
    pub fetch: FetchLimits,
    /// Blob streams answered.
    pub serve: ServeLimits,
    /// Time for others to reach this peer directly before relays are asked: three rounds of AutoNAT's questions.
    pub relay_after: Duration,
    /// How often others are asked again whether they can dial this peer.
    pub retest: Duration,
}

impl Default for NetLimits {
    fn default() -> Self {
        NetLimits {
            pending_in: 16,
            pending_out: 64,
            established_in: 128,
            established_out: 128,
            prefixes: PrefixCaps {
                // The most that gossip still hears: it grades down whoever shares an address with more than eight.
                per_address: 12,
                per_network: 32,
                pending: 8,
                handshakes: Rate {
                    per_s: 2.0,
                    burst: 64.0,
                },
            },
            per_peer: 3,
            idle: Duration::from_secs(90),
            commands: 256,
            events: 1024,
            // Above what its protocols together take.
            connection_streams: Rate {
                per_s: 2500.0,
                burst: 6000.0,
            },
            message_rate: Rate {
                per_s: 2000.0,
                burst: 4000.0,
            },
            gossip_rate: Rate {
                per_s: 50.0,
                burst: 500.0,
            },
            gossip_frames: Rate {
                per_s: 500.0,
                burst: 5000.0,
            },
            // A peer has 20 lookups at once, and 256 wait: in a small swarm all of them ask everybody.
            kad_streams: Rate {
                per_s: 50.0,
                burst: 500.0,
            },
            // Its answers to as many lookups of ours come on top.
            kad_frames: Rate {
                per_s: 100.0,
                burst: 1000.0,
            },
            // No more than there are messages, of which each honest envelope has one.
            control_streams: Rate {
                per_s: 2000.0,
                burst: 4000.0,
            },
            rare_streams: Rate {
                per_s: 1.0,
                burst: 64.0,
            },
            // libp2p's own: 30 an hour and 60 an hour.
            relay_by_peer: Rate {
                per_s: 1.0 / 120.0,
                burst: 30.0,
            },
            relay_by_network: Rate {
                per_s: 1.0 / 60.0,
                burst: 60.0,
            },
            bans: BanPolicy {
                patience: Rate {
                    per_s: 0.1,
                    burst: 10.0,
                },
                terms: [
                    Duration::from_secs(60),
                    Duration::from_secs(10 * 60),
                    Duration::from_secs(60 * 60),
                    Duration::from_secs(24 * 60 * 60),
                ],
                forgive: Duration::from_secs(24 * 60 * 60),
                peers: 1024,
            },
            sends: 4096,
            sends_per_peer: 1024,
            lookups: 20,
            waiting_lookups: 256,
            providers: ProviderCaps::default(),
            fetches: 8,
            waiting_fetches: 256,
            fetch: FetchLimits::default(),
            serve: ServeLimits::default(),
            relay_after: Duration::from_secs(15),
            retest: Duration::from_secs(15 * 60),
        }
    }
}

impl NetConfig {
    /// The name of the peer that this configuration starts.
    pub fn peer(&self) -> Result<PeerKey, NetError> {
        use libp2p::identity::ed25519;
        let secret = ed25519::SecretKey::try_from_bytes(self.keypair_secret)
            .map_err(|e| NetError::Key(e.to_string()))?;
        Ok(ed25519::Keypair::from(secret).public().to_bytes())
    }
}

/// The swarm's name in every protocol, so that strangers of another swarm share no protocol with us.
#[derive(Clone, Debug)]
pub struct Protocols {
    /// Prefix of gossipsub's protocol names.
    pub gossip: String,
    /// Kademlia.
    pub kad: StreamProtocol,
    /// Control messages.
    pub control: StreamProtocol,
    /// Blob streams.
    pub blob: StreamProtocol,
    /// Identify's `protocol_version`.
    pub version: String,
}

impl Protocols {
    /// The names of this swarm: `/starling/<first 16 bytes of the id in hex>/…`.
    pub fn of(swarm_id: &[u8; 32]) -> Self {
        let hex = blake3::Hash::from_bytes(*swarm_id).to_hex();
        let root = format!("/starling/{}", &hex[..32]);
        let name = |protocol: &str| {
            StreamProtocol::try_from_owned(format!("{root}/{protocol}/1"))
                .unwrap_or(StreamProtocol::new("/starling/unnamed"))
        };
        Protocols {
            gossip: format!("{root}/gossip"),
            kad: name("kad"),
            control: name("control"),
            blob: name("blob"),
            version: format!("{root}/1"),
        }
    }
}
