//! What the network knows about itself, for people: `net check` and the API show it, nothing decides by it.

use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{How, PeerKey, Services};

/// How this peer stands in its network.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NetStatus {
    /// `local`, `lan` or `public`: how far the swarm reaches.
    pub scope: String,
    /// Services that run.
    pub services: Services,
    /// Where this peer listens.
    #[schema(value_type = Vec<String>)]
    pub listening: Vec<Multiaddr>,
    /// Where others reach it.
    pub reachable: Vec<Reachable>,
    /// Addresses that another peer was asked to dial, with the newest answer.
    pub asked: Vec<Asked>,
    /// Relays that hold a reservation for this peer.
    pub relays: Vec<RelayInfo>,
    /// Whether this peer relays for others.
    pub relaying: bool,
    /// What the router said, where it was asked.
    pub gateway: Option<Gateway>,
    /// Connected peers of this swarm.
    pub peers: usize,
    /// Of these, peers that are reached over a relay only.
    pub relayed_peers: usize,
    /// Each of them, ascending by name.
    #[serde(default)]
    pub connections: Vec<Connected>,
    /// Connections that began over a relay and became direct.
    pub punched: u64,
    /// Whether this peer answers Kademlia's questions, so that others find it.
    pub serves_kademlia: bool,
    /// Addresses that were to be dialled at start.
    pub bootstrap: Vec<Bootstrapped>,
}

/// A connected peer of this swarm.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Connected {
    /// Its name, in hex.
    pub peer: String,
    /// The relay that it is reached over, in hex; none if directly.
    pub relay: Option<String>,
    /// How long the last ping took there and back, ms.
    pub rtt_ms: Option<u64>,
    /// Where it says that others reach it; at most eight.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub announced: Vec<Multiaddr>,
}

/// An address that works.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Reachable {
    /// The address.
    #[schema(value_type = String)]
    pub address: Multiaddr,
    /// How that is known.
    pub how: How,
}

/// An answer of AutoNAT.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Asked {
    /// The address.
    #[schema(value_type = String)]
    pub address: Multiaddr,
    /// Why the other peer could not dial it; none if it could.
    pub problem: Option<String>,
}

/// A relay.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RelayInfo {
    /// Its name, in hex.
    pub peer: String,
    /// Its address.
    #[schema(value_type = String)]
    pub address: Multiaddr,
}

/// What a router that speaks UPnP does for this peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gateway {
    /// None answered.
    None,
    /// It has no public address itself.
    NotRoutable,
    /// It forwards a port.
    Forwards,
}

/// A bootstrap address.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Bootstrapped {
    /// The address.
    #[schema(value_type = String)]
    pub address: Multiaddr,
    /// Why it does not answer; none if it did, or has not been tried yet.
    pub problem: Option<String>,
    /// Whether it answered.
    pub answered: bool,
}

/// A peer's name, for people.
pub(super) fn name(peer: &PeerKey) -> String {
    blake3::Hash::from_bytes(*peer).to_hex().to_string()
}
