//! How many connections one home, and one network, may open: names are free, addresses less so.
//!
//! In scope Public, connections that others open count against their address (an IPv6 /64 is one home, as one IPv4
//! address is) and against the network around it (IPv4 /24, IPv6 /48), while they are opened and once they stand; and a
//! network may only begin so many in a time, for each costs a handshake. A connection over a relay counts as the
//! relay's, whose address is the only one known. Connections that this peer opened count nowhere: it chose them. On one
//! machine or site everybody shares a prefix, so nothing is counted there.
//!
//! What is counted is bounded by the connections there may be, which `connection_limits` in front of this sees to. A
//! QUIC handshake is counted before its address is proven: who forges addresses can use up another network's share for
//! as long as it goes on, but nobody's memory.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    net::{IpAddr, Ipv6Addr},
    task::{Context, Poll},
    time::Instant,
};

use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, dummy,
    },
};

use super::{
    Rate, Scope,
    rate::{BUCKETS, Buckets},
    scope::{ip, is_relayed},
};

/// Connections that others may open, by where they are.
#[derive(Clone, Copy, Debug)]
pub struct PrefixCaps {
    /// Standing, from one IPv4 address or IPv6 /64.
    pub per_address: usize,
    /// Standing, from one IPv4 /24 or IPv6 /48.
    pub per_network: usize,
    /// Being opened, from one IPv4 /24 or IPv6 /48.
    pub pending: usize,
    /// Begun, from one IPv4 /24 or IPv6 /48.
    pub handshakes: Rate,
}

/// The first bits of an address, the others zero, and how many they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Prefix(IpAddr, u8);

impl Prefix {
    /// One home.
    fn address(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Prefix(ip, 32),
            IpAddr::V6(v6) => Prefix(IpAddr::V6(masked(v6, 64)), 64),
        }
    }

    /// One network.
    pub(crate) fn network(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Prefix(IpAddr::from([a, b, c, 0]), 24)
            }
            IpAddr::V6(v6) => Prefix(IpAddr::V6(masked(v6, 48)), 48),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}

fn masked(ip: Ipv6Addr, bits: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(ip.to_bits() & !(u128::MAX >> bits))
}

/// Why a connection was refused.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0} has as many connections as it may have")]
    Established(Prefix),
    #[error("{0} opens as many connections as it may at once")]
    Pending(Prefix),
    #[error("{0} begins connections too fast")]
    Handshakes(Prefix),
}

/// Refuses connections that are one too many.
pub(crate) struct Prefixes {
    caps: PrefixCaps,
    /// Whether the scope is one in which prefixes tell people apart.
    counts: bool,
    pending: HashMap<ConnectionId, Prefix>,
    established: HashMap<ConnectionId, (Prefix, Prefix)>,
    handshakes: Buckets<Prefix>,
}

impl Prefixes {
    pub(crate) fn new(scope: Scope, caps: PrefixCaps) -> Self {
        Prefixes {
            caps,
            counts: scope == Scope::Public,
            pending: HashMap::new(),
            established: HashMap::new(),
            handshakes: Buckets::new(caps.handshakes, BUCKETS),
        }
    }

    /// Where a connection comes from.
    fn origin(&self, local: &Multiaddr, remote: &Multiaddr) -> Option<IpAddr> {
        let from = if is_relayed(local) { local } else { remote };
        self.counts.then(|| ip(from))?
    }
}

impl NetworkBehaviour for Prefixes {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let Some(ip) = self.origin(local, remote) else {
            return Ok(());
        };
        let network = Prefix::network(ip);
        let pending = self.pending.values().filter(|p| **p == network).count();
        if pending >= self.caps.pending {
            return Err(ConnectionDenied::new(Refused::Pending(network)));
        }
        if !self.handshakes.take(network, 1.0, Instant::now()) {
            return Err(ConnectionDenied::new(Refused::Handshakes(network)));
        }
        self.pending.insert(connection, network);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending.remove(&connection);
        let Some(ip) = self.origin(local, remote) else {
            return Ok(dummy::ConnectionHandler);
        };
        let (address, network) = (Prefix::address(ip), Prefix::network(ip));
        let standing = self.established.values();
        let of_address = standing.clone().filter(|(a, _)| *a == address).count();
        let of_network = standing.filter(|(_, n)| *n == network).count();
        if of_address >= self.caps.per_address {
            return Err(ConnectionDenied::new(Refused::Established(address)));
        }
        if of_network >= self.caps.per_network {
            return Err(ConnectionDenied::new(Refused::Established(network)));
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(connection) => {
                // Not before: another behaviour may have refused it after this one.
                if let ConnectedPoint::Listener {
                    local_addr,
                    send_back_addr,
                } = connection.endpoint
                    && let Some(ip) = self.origin(local_addr, send_back_addr)
                {
                    let prefixes = (Prefix::address(ip), Prefix::network(ip));
                    self.established.insert(connection.connection_id, prefixes);
                }
            }
            FromSwarm::ConnectionClosed(connection) => {
                self.established.remove(&connection.connection_id);
            }
            FromSwarm::ListenFailure(failure) => {
                self.pending.remove(&failure.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
