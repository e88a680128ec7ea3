//! What the swarm reports, turned into what the core is told.
//!
//! A peer exists for the core from the moment its identify message names this swarm until its last connection closes.

use std::{io, time::Instant};

use libp2p::{
    PeerId,
    gossipsub::{self, MessageAcceptance},
    identify, kad, ping, relay,
    request_response::{self, Message, OutboundFailure},
    swarm::{ConnectionId, DialError, StreamUpgradeError, SwarmEvent},
};

use super::{
    GossipHandle, NetEvent, SendError,
    bans::Offence,
    behaviour::BehaviourEvent,
    codec::Envelope,
    lookups::Lookup,
    outbox::Letter,
    peer_key,
    routing::{self, ADDRESSES_PER_PEER},
    task::{Network, Remote},
};

/// What one more token buys, in bytes of a control message.
const BYTES_PER_TOKEN: f64 = 4096.0;

/// What lies at the bottom of a failure: the layers above say that something below them failed.
fn cause(error: &DialError) -> String {
    let DialError::Transport(errors) = error else {
        return error.to_string();
    };
    let Some((_, error)) = errors.last() else {
        return error.to_string();
    };
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

impl Network {
    pub(super) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::NewListenAddr { address, .. } => {
                self.on_listening(&address);
                self.tell(NetEvent::Listening(address));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => self.on_unlistened(&address),
            SwarmEvent::ExternalAddrConfirmed { address } => self.on_external(address),
            SwarmEvent::ExternalAddrExpired { address } => self.on_external_lost(&address),
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "listener");
            }
            SwarmEvent::ListenerClosed {
                listener_id,
                reason,
                addresses,
            } => {
                if !self.on_listener_closed(listener_id) {
                    tracing::warn!(?reason, ?addresses, "listener closed");
                }
            }
            SwarmEvent::ConnectionEstablished {
                peer_id: peer,
                connection_id,
                endpoint,
                num_established,
                ..
            } => {
                if let Some(dialled) = self.dials.remove(&connection_id) {
                    self.on_bootstrap(&dialled, Ok(()));
                }
                self.on_visitor(peer, &endpoint, num_established.get() - 1);
                let address = endpoint.get_remote_address().clone();
                let rtt = None;
                let remote = Remote { peer, address, rtt };
                self.remotes.insert(connection_id, remote);
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                num_established,
                ..
            } => {
                self.remotes.remove(&connection_id);
                if num_established == 0
                    && self.members.remove(&peer_id).is_some()
                    && let Some(peer) = peer_key(&peer_id)
                {
                    self.tell(NetEvent::PeerLost { peer });
                }
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                error,
                ..
            } => {
                if let Some(address) = self.dials.remove(&connection_id) {
                    let reason = cause(&error);
                    self.on_bootstrap(&address, Err(reason.clone()));
                    self.tell(NetEvent::DialFailed { address, reason });
                }
            }
            other => tracing::trace!(?other, "swarm"),
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received {
                connection_id,
                peer_id,
                info,
            }) => self.on_identified(connection_id, peer_id, info),
            BehaviourEvent::Identify(identify::Event::Error {
                peer_id,
                error: StreamUpgradeError::Apply(error),
                ..
            }) => {
                if is_malformed(error) {
                    self.offend(peer_id, Offence::Frame);
                }
            }
            BehaviourEvent::Identify(_) => {}
            BehaviourEvent::Ping(ping::Event {
                connection,
                result: Err(error),
                peer,
            }) => {
                // Without this a peer that vanished without a word would stay "connected" for as long as TCP retries.
                if !matches!(error, ping::Failure::Unsupported) {
                    tracing::debug!(%peer, %error, "no answer to pings");
                    self.swarm.close_connection(connection);
                }
            }
            BehaviourEvent::Ping(ping::Event {
                connection,
                result: Ok(rtt),
                ..
            }) => {
                if let Some(remote) = self.remotes.get_mut(&connection) {
                    remote.rtt = Some(rtt);
                }
            }
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Kad(event) => self.on_kad(event),
            BehaviourEvent::Control(event) => self.on_control(event),
            BehaviourEvent::Blobs(()) => {}
            BehaviourEvent::Asking(event) => self.on_asked(event),
            BehaviourEvent::DialingBack(_) => {}
            BehaviourEvent::Circuits(event) => self.on_circuits(event),
            BehaviourEvent::Relay(event) => tracing::trace!(?event, "relaying"),
            BehaviourEvent::Punching(event) => self.on_punched(event),
            BehaviourEvent::Upnp(event) => self.on_upnp(event),
            BehaviourEvent::Mdns(event) => self.on_mdns(event),
            BehaviourEvent::Limits(never)
            | BehaviourEvent::Prefixes(never)
            | BehaviourEvent::Memory(never)
            | BehaviourEvent::Blocked(never) => match never {},
        }
    }

    fn on_identified(&mut self, connection: ConnectionId, peer: PeerId, info: identify::Info) {
        let Some(key) = peer_key(&peer) else { return };
        if info.protocol_version != self.protocols.version {
            tracing::debug!(%peer, theirs = %info.protocol_version, "disconnected: another swarm");
            self.hang_up(peer);
            self.offend(peer, Offence::Foreign);
            self.is_foreign(peer);
            return self.tell(NetEvent::WrongSwarm { peer: key });
        }
        // A message that outlived its connection is out of date.
        let Some(told_by) = self.remotes.get(&connection) else {
            return;
        };
        let bounds = self.bounds;
        let told_by = told_by.address.clone();
        let mut announced = info.listen_addrs;
        announced.retain(|address| bounds.may_learn(address, &told_by));
        let relays = info.protocols.contains(&relay::HOP_PROTOCOL_NAME);
        self.on_relay_offer(peer, relays, announced.iter().cloned());
        let known = announced.iter().take(ADDRESSES_PER_PEER).cloned().collect();
        if info.protocols.contains(&self.protocols.kad) {
            routing::learn(&mut self.swarm.behaviour_mut().kad, peer, announced);
        }
        if self.members.insert(peer, known).is_none() {
            self.tell(NetEvent::PeerConnected { peer: key });
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source: forwarder,
                message_id: id,
                message,
            } => {
                if !self.gossip_rate.take(forwarder, 1.0, Instant::now()) {
                    tracing::debug!(%forwarder, "gossip dropped: too much");
                    self.swarm
                        .behaviour_mut()
                        .gossip
                        .report_message_validation_result(
                            &id,
                            &forwarder,
                            MessageAcceptance::Ignore,
                        );
                    return;
                }
                self.tell(NetEvent::Gossip {
                    topic: message.topic.into_string(),
                    data: message.data,
                    handle: GossipHandle { id, forwarder },
                });
            }
            gossipsub::Event::Subscribed { topic, .. } => self.publish_early_gossip(topic.as_str()),
            gossipsub::Event::Unsubscribed { .. }
            | gossipsub::Event::GossipsubNotSupported { .. } => {}
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                tracing::debug!(peer = %peer_id, "too slow for gossip");
            }
        }
    }

    fn on_kad(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest {
                request:
                    kad::InboundRequest::AddProvider {
                        record: Some(mut record),
                    },
            } => {
                use kad::store::RecordStore;
                record.addresses.retain(|a| self.bounds.may_dial(a));
                let store = self.swarm.behaviour_mut().kad.store_mut();
                if let Err(error) = store.add_provider(record) {
                    tracing::debug!(%error, "provider record refused");
                }
            }
            kad::Event::OutboundQueryProgressed {
                id, result, step, ..
            } => {
                if let Some(lookup) = self.lookups.get(&id) {
                    self.on_lookup(lookup, result, step.last);
                }
                if step.last {
                    self.lookups.finished(&id);
                    self.start_lookups();
                }
            }
            other => tracing::trace!(?other, "kademlia"),
        }
    }

    fn on_lookup(&mut self, lookup: Lookup, result: kad::QueryResult, done: bool) {
        match (lookup, result) {
            (Lookup::Providers { query_id, key }, kad::QueryResult::GetProviders(found)) => {
                let peers = match found {
                    Ok(kad::GetProvidersOk::FoundProviders { providers, .. }) => {
                        providers.iter().filter_map(peer_key).collect()
                    }
                    _ => Vec::new(),
                };
                if done || !peers.is_empty() {
                    self.tell(NetEvent::Providers {
                        query_id,
                        key,
                        peers,
                        done,
                    });
                }
            }
            (Lookup::Closest { query_id, key }, kad::QueryResult::GetClosestPeers(found)) => {
                let peers = self.remember(found);
                let peers = peers.iter().filter_map(peer_key).collect();
                self.tell(NetEvent::Closest {
                    query_id,
                    key,
                    peers,
                });
            }
            (Lookup::Address { of }, kad::QueryResult::GetClosestPeers(found)) => {
                self.remember(found);
                for waiter in self.address_waiters.remove(&of).unwrap_or_default() {
                    // An error means that the fetch has ended meanwhile.
                    let _ = waiter.send(());
                }
                self.outbox.looked_up(&of);
                self.flush(of);
            }
            (Lookup::Provide { key }, kad::QueryResult::StartProviding(announced)) => {
                if let Err(error) = &announced {
                    tracing::debug!(%error, "provider record not stored everywhere");
                }
                let told = announced.is_ok();
                self.tell(NetEvent::Provided { key, told });
            }
            _ => {}
        }
    }

    /// Keeps the addresses that a lookup found where dials will look for them; returns the peers, closest first.
    fn remember(&mut self, found: kad::GetClosestPeersResult) -> Vec<PeerId> {
        let peers = match found {
            Ok(found) => found.peers,
            Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers,
        };
        for peer in &peers {
            for address in peer.addrs.iter().take(ADDRESSES_PER_PEER) {
                if self.bounds.may_dial(address) {
                    self.swarm.add_peer_address(peer.peer_id, address.clone());
                }
            }
        }
        peers.into_iter().map(|peer| peer.peer_id).collect()
    }

    /// A lookup could not even begin.
    pub(super) fn lookup_failed(&mut self, lookup: Lookup) {
        match lookup {
            Lookup::Providers { query_id, key } => self.tell(NetEvent::Providers {
                query_id,
                key,
                peers: Vec::new(),
                done: true,
            }),
            Lookup::Closest { query_id, key } => self.tell(NetEvent::Closest {
                query_id,
                key,
                peers: Vec::new(),
            }),
            Lookup::Address { of } => {
                self.address_waiters.remove(&of);
                for letter in self.outbox.give_up(&of) {
                    self.send_failed(letter, SendError::Unreachable);
                }
            }
            Lookup::Provide { key } => self.tell(NetEvent::Provided { key, told: false }),
        }
    }

    fn on_control(&mut self, event: request_response::Event<Envelope, u8>) {
        match event {
            request_response::Event::Message {
                peer,
                message:
                    Message::Request {
                        request, channel, ..
                    },
                ..
            } => {
                let Some(from) = peer_key(&peer) else { return };
                let mut taken = 0;
                if request.is_malformed() {
                    // Unanswered: dropping the channel ends the stream.
                    return self.offend(peer, Offence::Frame);
                }
                if request.is_empty() && !self.message_rate.pass(peer, 1.0) {
                    tracing::debug!(%peer, "empty envelopes: too many");
                }
                for bytes in request {
                    let cost = 1.0 + bytes.len() as f64 / BYTES_PER_TOKEN;
                    if !self.message_rate.pass(peer, cost) {
                        // The sender learns from the answer how many were taken.
                        tracing::debug!(%peer, "control messages dropped: too many");
                        break;
                    }
                    taken += 1;
                    self.tell(NetEvent::Message {
                        from,
                        bytes: bytes.into(),
                    });
                }
                // An error means that the connection is gone; the messages have arrived nevertheless.
                let _ = self
                    .swarm
                    .behaviour_mut()
                    .control
                    .send_response(channel, taken);
            }
            request_response::Event::Message {
                peer,
                message:
                    Message::Response {
                        request_id,
                        response: taken,
                    },
                ..
            } => {
                let mut letters = self.outbox.landed(&peer, &request_id);
                let dropped = letters.split_off(usize::from(taken).min(letters.len()));
                for Letter { token, .. } in letters {
                    self.tell(NetEvent::Sent { token });
                }
                for letter in dropped {
                    self.send_failed(letter, SendError::Closed);
                }
                self.flush(peer);
            }
            request_response::Event::OutboundFailure {
                peer,
                request_id,
                error,
                ..
            } => {
                for letter in self.outbox.landed(&peer, &request_id) {
                    self.on_send_failure(peer, letter, &error);
                }
                self.flush(peer);
            }
            request_response::Event::InboundFailure { peer, error, .. } => {
                tracing::debug!(%peer, %error, "control message");
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    fn on_send_failure(&mut self, peer: PeerId, letter: Letter, error: &OutboundFailure) {
        let reason = match error {
            OutboundFailure::DialFailure if !letter.looked_up => {
                // Known only by name so far, or moved: ask the others where it is, once.
                if self.outbox.put_aside(peer, letter) {
                    self.look_up(Lookup::Address { of: peer });
                }
                return;
            }
            OutboundFailure::DialFailure => SendError::Unreachable,
            OutboundFailure::Timeout => SendError::Timeout,
            OutboundFailure::ConnectionClosed | OutboundFailure::Io(_) => SendError::Closed,
            OutboundFailure::UnsupportedProtocols => SendError::Unsupported,
        };
        self.send_failed(letter, reason);
    }

    fn send_failed(&mut self, letter: Letter, reason: SendError) {
        self.tell(NetEvent::SendFailed {
            token: letter.token,
            to: letter.to,
            reason,
        });
    }
}

/// Whether identify failed because of what was sent, and not because the connection broke.
fn is_malformed(error: identify::UpgradeError) -> bool {
    match error {
        identify::UpgradeError::Codec(error) => {
            io::Error::from(error).kind() == io::ErrorKind::InvalidData
        }
        identify::UpgradeError::Multiaddr(_) | identify::UpgradeError::PublicKey(_) => true,
        identify::UpgradeError::Io(_) | identify::UpgradeError::StreamClosed => false,
    }
}
