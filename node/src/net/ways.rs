//! Ways to other peers and from them: what relays, routers, multicast and AutoNAT report, and what `reach` decides.

use std::time::{Duration, Instant};

use libp2p::{
    Multiaddr, PeerId,
    autonat::v2::client,
    core::{ConnectedPoint, transport::ListenerId},
    dcutr, mdns,
    multiaddr::Protocol,
    relay,
    swarm::{
        ConnectionId,
        dial_opts::{DialOpts, PeerCondition},
    },
    upnp,
};

use super::{
    Scope, peer_key,
    reach::{How, Step},
    scope::{Bounds, is_relayed, relay_of},
    status::{Asked, Bootstrapped, Connected, Gateway, NetStatus, Reachable, RelayInfo, name},
    task::Network,
};

/// How long a relayed connection outlives the direct one that replaces it: what is on its way may arrive.
const RETIREMENT: Duration = Duration::from_secs(5);
/// Answers of AutoNAT that are remembered.
const ANSWERS: usize = 32;
/// Peers of other swarms on the same site that are not dialled again.
pub(super) const FOREIGN: usize = 256;
/// Peers that multicast may make this peer dial at once.
const DISCOVERED: usize = 32;

impl Network {
    /// A new address of an own interface, or of a relay.
    pub(super) fn on_listening(&mut self, address: &Multiaddr) {
        if is_relayed(address) {
            return;
        }
        let scope = self.bounds.scope;
        if scope.trusts_listeners() && scope.may_dial(address) {
            self.is_reachable(address.clone(), How::Listener);
        } else if scope == Scope::Public && self.bounds.may_dial(address) {
            // Whether others reach it is theirs to say.
            if let Some(asking) = self.swarm.behaviour_mut().asking.as_mut() {
                asking.propose(address);
            }
        }
    }

    /// An interface is gone.
    pub(super) fn on_unlistened(&mut self, address: &Multiaddr) {
        self.swarm.remove_external_address(address);
        self.on_external_lost(address);
    }

    /// Tells everybody that an address works.
    pub(super) fn is_reachable(&mut self, address: Multiaddr, how: How) {
        self.swarm.add_external_address(address.clone());
        self.on_confirmed(address, how);
    }

    /// The swarm holds an address for true.
    pub(super) fn on_confirmed(&mut self, address: Multiaddr, how: How) {
        self.reach.confirmed(address, how, Instant::now());
        self.relay_if_reachable();
    }

    /// libp2p's behaviours confirm addresses without saying why.
    pub(super) fn on_external(&mut self, address: Multiaddr) {
        let how = match is_relayed(&address) {
            true => How::Relay,
            false => How::Autonat,
        };
        self.on_confirmed(address, how);
    }

    /// The swarm does not hold it for true any more.
    pub(super) fn on_external_lost(&mut self, address: &Multiaddr) {
        self.reach.expired(address);
        self.relay_if_reachable();
    }

    /// Only who can be dialled can relay.
    fn relay_if_reachable(&mut self) {
        let status = match self.reach.is_direct() {
            true => relay::Status::Enable,
            false => relay::Status::Disable,
        };
        if let Some(relay) = self.swarm.behaviour_mut().relay.as_mut() {
            relay.set_status(Some(status));
        }
    }

    /// Somebody who was never dialled came in by a public address of this machine: it works.
    pub(super) fn on_visitor(&mut self, peer: PeerId, endpoint: &ConnectedPoint, others: u32) {
        let ConnectedPoint::Listener {
            local_addr,
            send_back_addr,
        } = endpoint
        else {
            return;
        };
        let unasked = others == 0 && !self.outbox.is_waiting_for(&peer);
        let from_afar = Bounds::is_public(send_back_addr) && !is_relayed(send_back_addr);
        if self.bounds.scope == Scope::Public
            && unasked
            && from_afar
            && Bounds::is_public(local_addr)
            && self.swarm.listeners().any(|l| l == local_addr)
        {
            self.is_reachable(local_addr.clone(), How::Inbound);
        }
    }

    /// A peer of this swarm says what it speaks and where it listens.
    pub(super) fn on_relay_offer(
        &mut self,
        peer: PeerId,
        relays: bool,
        mut announced: impl Iterator<Item = Multiaddr>,
    ) {
        let direct = announced.find(|address| !is_relayed(address));
        match direct {
            Some(address) if relays => self.reach.offered(peer, address, Instant::now()),
            _ => self.reach.withdrawn(&peer),
        }
    }

    pub(super) fn on_circuits(&mut self, event: relay::client::Event) {
        match event {
            relay::client::Event::ReservationReqAccepted { relay_peer_id, .. } => {
                self.reach.granted(&relay_peer_id);
            }
            relay::client::Event::OutboundCircuitEstablished { .. }
            | relay::client::Event::InboundCircuitEstablished { .. } => {
                tracing::debug!(?event, "circuit");
            }
        }
    }

    /// Whether the listener was a relay's; its reservation has ended then, or was refused.
    pub(super) fn on_listener_closed(&mut self, listener: ListenerId) -> bool {
        let Some(relay) = self.relay_listeners.remove(&listener) else {
            return false;
        };
        self.reach.ended(&relay, Instant::now());
        true
    }

    pub(super) fn on_punched(&mut self, event: dcutr::Event) {
        let dcutr::Event {
            remote_peer_id: peer,
            result,
        } = event;
        match result {
            Ok(direct) => {
                tracing::debug!(%peer, "a direct connection replaces the relayed one");
                self.punched += 1;
                let until = Instant::now() + RETIREMENT;
                let relayed = self.remotes.iter().filter(|(id, remote)| {
                    remote.peer == peer && **id != direct && is_relayed(&remote.address)
                });
                let relayed: Vec<ConnectionId> = relayed.map(|(id, _)| *id).collect();
                self.retiring
                    .extend(relayed.into_iter().map(|id| (until, id)));
            }
            Err(error) => tracing::debug!(%peer, %error, "no direct connection"),
        }
    }

    pub(super) fn on_upnp(&mut self, event: upnp::Event) {
        match event {
            upnp::Event::NewExternalAddr { external_addr, .. } => {
                self.gateway = Some(Gateway::Forwards);
                self.on_confirmed(external_addr, How::Upnp);
            }
            upnp::Event::ExpiredExternalAddr { external_addr, .. } => {
                self.on_external_lost(&external_addr);
            }
            upnp::Event::GatewayNotFound => self.gateway = Some(Gateway::None),
            upnp::Event::NonRoutableGateway => self.gateway = Some(Gateway::NotRoutable),
        }
    }

    pub(super) fn on_asked(&mut self, event: client::Event) {
        let client::Event {
            tested_addr: address,
            result,
            ..
        } = event;
        let problem = result.err().map(|error| error.to_string());
        tracing::debug!(%address, ?problem, "another peer dialled us");
        if self.answers.contains_key(&address) || self.answers.len() < ANSWERS {
            self.answers.insert(address, problem);
        }
    }

    /// Peers of this site. Those of other swarms are dialled once, to be told apart.
    pub(super) fn on_mdns(&mut self, event: mdns::Event) {
        let mdns::Event::Discovered(found) = event else {
            return;
        };
        for (peer, address) in found.into_iter().take(DISCOVERED) {
            let known = self.foreign.contains(&peer) || self.swarm.is_connected(&peer);
            if known || !self.bounds.may_dial(&address) {
                continue;
            }
            let options = DialOpts::peer_id(peer)
                .addresses(vec![address])
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .build();
            if let Err(error) = self.swarm.dial(options) {
                tracing::debug!(%peer, %error, "not dialled");
            }
        }
    }

    /// A peer of another swarm: not dialled again when multicast tells of it.
    pub(super) fn is_foreign(&mut self, peer: PeerId) {
        if !self.foreign.contains(&peer) {
            if self.foreign.len() >= FOREIGN {
                self.foreign.pop_front();
            }
            self.foreign.push_back(peer);
        }
    }

    /// Asks relays, gives them up, forgets what nobody confirms, ends connections that were replaced.
    pub(super) fn keep_ways(&mut self, now: Instant) {
        for step in self.reach.step(now) {
            match step {
                Step::Reserve(relay, address) => self.reserve(relay, address, now),
                Step::Release(relay) => {
                    let of_relay = |(_, peer): &(&ListenerId, &PeerId)| **peer == relay;
                    let listener = self.relay_listeners.iter().find(of_relay);
                    if let Some(listener) = listener.map(|(id, _)| *id) {
                        self.relay_listeners.remove(&listener);
                        self.swarm.remove_listener(listener);
                    }
                }
                Step::Forget(address) => {
                    self.swarm.remove_external_address(&address);
                    self.relay_if_reachable();
                }
            }
        }
        let (due, later) = std::mem::take(&mut self.retiring)
            .into_iter()
            .partition(|(until, _)| *until <= now);
        self.retiring = later;
        let due: Vec<(Instant, ConnectionId)> = due;
        for (_, connection) in due {
            self.swarm.close_connection(connection);
        }
    }

    fn reserve(&mut self, relay: PeerId, address: Multiaddr, now: Instant) {
        let circuit = address
            .with_p2p(relay)
            .map(|a| a.with(Protocol::P2pCircuit));
        match circuit.map(|circuit| self.swarm.listen_on(circuit)) {
            Ok(Ok(listener)) => {
                self.relay_listeners.insert(listener, relay);
            }
            Ok(Err(error)) => {
                tracing::debug!(%relay, %error, "no reservation");
                self.reach.ended(&relay, now);
            }
            Err(address) => {
                tracing::debug!(%relay, %address, "another peer's address");
                self.reach.ended(&relay, now);
            }
        }
    }

    /// Members, each by its best connection.
    fn connections(&self) -> Vec<Connected> {
        let member = |(peer, announced): (&PeerId, &Vec<Multiaddr>)| {
            let remotes = self.remotes.values().filter(|r| r.peer == *peer);
            let best = remotes.min_by_key(|r| (is_relayed(&r.address), r.rtt.is_none(), r.rtt))?;
            let relay = relay_of(&best.address).and_then(|relay| peer_key(&relay));
            Some(Connected {
                peer: name(&peer_key(peer)?),
                relay: relay.map(|key| name(&key)),
                rtt_ms: best.rtt.map(|rtt| rtt.as_millis() as u64),
                announced: announced.clone(),
            })
        };
        let mut all: Vec<_> = self.members.iter().filter_map(member).collect();
        all.sort();
        all
    }

    /// For people.
    pub(super) fn status(&self) -> NetStatus {
        let relayed = |peer: &PeerId| {
            let mut of_peer = self.remotes.values().filter(|r| r.peer == *peer);
            of_peer.all(|remote| is_relayed(&remote.address))
        };
        let relays = self.reach.reserved().filter_map(|(peer, address)| {
            Some(RelayInfo {
                peer: name(&peer_key(peer)?),
                address: address.clone(),
            })
        });
        NetStatus {
            scope: self.bounds.scope.name().into(),
            services: self.services,
            listening: self.swarm.listeners().cloned().collect(),
            reachable: self
                .reach
                .addresses()
                .map(|(address, how)| Reachable {
                    address: address.clone(),
                    how,
                })
                .collect(),
            asked: self
                .answers
                .iter()
                .map(|(address, problem)| Asked {
                    address: address.clone(),
                    problem: problem.clone(),
                })
                .collect(),
            relays: relays.collect(),
            relaying: self.services.relay && self.reach.is_direct(),
            gateway: self.gateway,
            peers: self.members.len(),
            connections: self.connections(),
            relayed_peers: self.members.keys().filter(|peer| relayed(peer)).count(),
            punched: self.punched,
            serves_kademlia: self.swarm.behaviour().kad.mode() == libp2p::kad::Mode::Server,
            bootstrap: self
                .bootstrap
                .addresses
                .iter()
                .map(|(address, outcome)| Bootstrapped {
                    address: address.clone(),
                    problem: outcome.as_ref().and_then(|o| o.clone().err()),
                    answered: matches!(outcome, Some(Ok(()))),
                })
                .collect(),
        }
    }
}
