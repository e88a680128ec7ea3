//! Asking others whether they can dial this peer, and being asked: libp2p's AutoNAT v2 with two things that it lacks.
//!
//! [`Asking`]: libp2p's client tests an address once in its life (rust-libp2p #6203), so a router that forgets a port
//! would go unnoticed. Here a new generation of the client begins every so often; a connection stays with the generation
//! that it began in, candidates go to the newest. Strangers name candidates, so a generation takes a bounded number.
//! [`DialingBack`]: a server dials wherever it is asked to. Here few of those dials are under way at once, so that
//! strangers cannot use up the connections that this peer may open. Where it may dial at all is `scope`'s affair.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    task::{Context, Poll},
    time::Duration,
};

use libp2p::{
    Multiaddr, PeerId,
    autonat::v2::{client, server},
    core::{Endpoint, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, DialError, DialFailure, FromSwarm, NetworkBehaviour,
        NewExternalAddrCandidate, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::scope::is_relayed;

/// Addresses that one generation asks about.
const CANDIDATES: usize = 16;
/// Dials under way for others.
const DIALS: usize = 4;

/// A client that asks again.
pub(crate) struct Asking {
    /// The newest is the last; an older one lasts as long as its connections.
    generations: Vec<Generation>,
    began_in: HashMap<ConnectionId, u64>,
    /// What the newest generation asks about.
    candidates: BTreeSet<Multiaddr>,
    /// What the swarm holds for true: nobody else proposes these again.
    confirmed: BTreeSet<Multiaddr>,
    renewal: Interval,
}

#[derive(Default)]
struct Generation {
    number: u64,
    client: client::Behaviour,
    connections: usize,
}

impl Asking {
    /// A client that asks about everything anew each `period`.
    pub(crate) fn new(period: Duration) -> Self {
        let mut renewal = interval(period);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once.
        renewal.reset();
        Asking {
            generations: vec![Generation::default()],
            began_in: HashMap::new(),
            candidates: BTreeSet::new(),
            confirmed: BTreeSet::new(),
            renewal,
        }
    }

    fn newest(&mut self) -> &mut client::Behaviour {
        if self.generations.is_empty() {
            self.generations.push(Generation::default());
        }
        let last = self.generations.len() - 1;
        &mut self.generations[last].client
    }

    fn of(&mut self, connection: ConnectionId) -> Option<&mut Generation> {
        let number = self.began_in.get(&connection)?;
        self.generations.iter_mut().find(|g| g.number == *number)
    }

    /// Asks others about an address, once in this generation.
    pub(super) fn propose(&mut self, address: &Multiaddr) {
        let known = self.candidates.contains(address);
        if is_relayed(address) || (!known && self.candidates.len() >= CANDIDATES) {
            return;
        }
        self.candidates.insert(address.clone());
        let candidate = NewExternalAddrCandidate { addr: address };
        self.newest()
            .on_swarm_event(FromSwarm::NewExternalAddrCandidate(candidate));
    }

    /// Begins a new generation, which asks about what is held for true; observed addresses are proposed by others.
    fn renew(&mut self) {
        let number = self.generations.last().map_or(0, |g| g.number + 1);
        self.generations.retain(|g| g.connections > 0);
        self.generations.push(Generation {
            number,
            ..Generation::default()
        });
        self.candidates.clear();
        for address in self.confirmed.clone() {
            self.propose(&address);
        }
    }
}

impl NetworkBehaviour for Asking {
    type ConnectionHandler = <client::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = client::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.newest()
            .handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.newest()
            .handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::NewExternalAddrCandidate(candidate) => self.propose(candidate.addr),
            FromSwarm::ExternalAddrConfirmed(confirmed)
                if self.confirmed.len() < CANDIDATES && !is_relayed(confirmed.addr) =>
            {
                self.confirmed.insert(confirmed.addr.clone());
            }
            FromSwarm::ExternalAddrExpired(expired) => {
                self.confirmed.remove(expired.addr);
            }
            FromSwarm::ConnectionEstablished(established) => {
                self.newest();
                if let Some(newest) = self.generations.last_mut() {
                    newest.connections += 1;
                    self.began_in
                        .insert(established.connection_id, newest.number);
                    newest.client.on_swarm_event(event);
                }
            }
            FromSwarm::ConnectionClosed(closed) => {
                if let Some(generation) = self.of(closed.connection_id) {
                    generation.connections -= 1;
                    generation.client.on_swarm_event(event);
                }
                self.began_in.remove(&closed.connection_id);
                let newest = self.generations.last().map(|g| g.number);
                self.generations
                    .retain(|g| g.connections > 0 || Some(g.number) == newest);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if let Some(generation) = self.of(connection) {
            generation
                .client
                .on_connection_handler_event(peer, connection, event);
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        while self.renewal.poll_tick(cx).is_ready() {
            self.renew();
        }
        for generation in &mut self.generations {
            if let Poll::Ready(action) = generation.client.poll(cx) {
                return Poll::Ready(action);
            }
        }
        Poll::Pending
    }
}

/// A server with few dials under way.
#[derive(Default)]
pub(crate) struct DialingBack {
    server: server::Behaviour,
    dials: HashSet<ConnectionId>,
}

impl NetworkBehaviour for DialingBack {
    type ConnectionHandler = <server::Behaviour as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = server::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.server
            .handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.dials.remove(&connection);
        self.server
            .handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        if let FromSwarm::DialFailure(failure) = &event {
            self.dials.remove(&failure.connection_id);
        }
        self.server.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.server
            .on_connection_handler_event(peer, connection, event);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            let action = match self.server.poll(cx) {
                Poll::Ready(action) => action,
                Poll::Pending => return Poll::Pending,
            };
            let ToSwarm::Dial { opts } = &action else {
                return Poll::Ready(action);
            };
            let connection = opts.connection_id();
            if self.dials.len() < DIALS {
                self.dials.insert(connection);
                return Poll::Ready(action);
            }
            // Told as a failure to whoever asked.
            let refused = DialFailure {
                peer_id: opts.get_peer_id(),
                error: &DialError::Aborted,
                connection_id: connection,
            };
            self.server.on_swarm_event(FromSwarm::DialFailure(refused));
        }
    }
}

#[cfg(test)]
mod tests;
