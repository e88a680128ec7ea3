//! The protocols that run on every connection, with libp2p's defaults overridden where they do not suit strangers.
//!
//! The only file that configures behaviours. Each number that departs from a default says why.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use libp2p::{
    Multiaddr, PeerId,
    allow_block_list::{self, BlockedPeers},
    connection_limits::{self, ConnectionLimits},
    dcutr,
    gossipsub::{
        self, IdentityTransform, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId,
        PeerScoreParams, PeerScoreThresholds, TopicHash, TopicScoreParams, TopicSubscriptionFilter,
        ValidationMode,
    },
    identify,
    identity::Keypair,
    kad, mdns, memory_connection_limits, ping, relay,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
    upnp,
};

use super::{
    ControlCodec, MAX_GOSSIP_BYTES, MAX_TOPIC_BYTES, NetConfig, NetError, NetLimits, Protocols,
    Scope,
    autonat::{Asking, DialingBack},
    paced::Paced,
    prefixes::{Prefix, Prefixes},
    provider_store::ProviderStore,
    rate::{BUCKETS, Buckets, Floods},
    scope::ip,
};

/// Envelopes of control messages to one peer that are on the wire at once; the rest waits in the outbox, to go
/// together. A stream costs more than a message; more than two would save a busy peer on a long way little time.
pub(crate) const SENDS_IN_FLIGHT: usize = 2;
/// Streams of control messages on one connection, both directions: what both sides send, and room for those that are
/// just ending. libp2p drops the excess, so this must stay above twice `SENDS_IN_FLIGHT`.
const CONTROL_STREAMS: usize = 8 * SENDS_IN_FLIGHT;
/// Topic and framing around a gossip message.
const GOSSIP_OVERHEAD_BYTES: usize = 1024;
/// Share of this machine's memory above which this process takes no more connections.
const MEMORY_SHARE: f64 = 0.8;
/// How long a relay forwards one connection, and how much: libp2p's defaults (2 minutes, 128 KiB) end a job's inputs.
const CIRCUIT: (Duration, u64) = (Duration::from_secs(60 * 60), 256 << 20);
/// Topics that one stranger may subscribe to.
const MAX_TOPICS_PER_PEER: usize = 128;

pub(crate) type Gossip =
    gossipsub::Behaviour<IdentityTransform, MaxCountSubscriptionFilter<TopicFilter>>;

/// All protocols of one peer.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    // These refuse connections, so they come first.
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) prefixes: Prefixes,
    pub(crate) memory: memory_connection_limits::Behaviour,
    pub(crate) blocked: allow_block_list::Behaviour<BlockedPeers>,
    // Those that take streams of strangers are paced, but for blobs, which `blobs::serve` counts.
    pub(crate) identify: Paced<identify::Behaviour>,
    pub(crate) ping: Paced<ping::Behaviour>,
    pub(crate) gossip: Paced<Gossip>,
    pub(crate) kad: Paced<kad::Behaviour<ProviderStore>>,
    pub(crate) control: Paced<request_response::Behaviour<ControlCodec>>,
    pub(crate) blobs: libp2p_stream::Behaviour,
    pub(crate) asking: Paced<Toggle<Asking>>,
    pub(crate) dialing_back: Paced<Toggle<DialingBack>>,
    pub(crate) circuits: Paced<Toggle<relay::client::Behaviour>>,
    pub(crate) relay: Paced<Toggle<relay::Behaviour>>,
    pub(crate) punching: Paced<Toggle<dcutr::Behaviour>>,
    pub(crate) upnp: Toggle<upnp::tokio::Behaviour>,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
}

impl Behaviour {
    pub(crate) fn new(
        keypair: &Keypair,
        config: &NetConfig,
        topics: TopicFilter,
        protocols: &Protocols,
        circuits: Option<relay::client::Behaviour>,
        floods: &Floods<PeerId>,
    ) -> Result<Self, NetError> {
        let local = keypair.public().to_peer_id();
        let (services, limits) = (config.services, &config.limits);
        let punching = circuits.as_ref().map(|_| dcutr::Behaviour::new(local));
        let asking = services.autonat.then(|| Asking::new(limits.retest));
        let dialing_back = services.autonat.then(DialingBack::default);
        let relay = services.relay.then(|| relay_server(local, limits));
        Ok(Behaviour {
            limits: connection_limits(config),
            prefixes: Prefixes::new(config.scope, limits.prefixes),
            memory: memory_connection_limits::Behaviour::with_max_percentage(MEMORY_SHARE),
            blocked: Default::default(),
            identify: rare(identify(keypair, config, protocols), limits, floods),
            ping: rare(ping(), limits, floods),
            gossip: rare(gossip(config, topics, protocols)?, limits, floods)
                .frames(limits.gossip_frames, floods),
            kad: Paced::streams(kad(keypair, config, protocols), limits.kad_streams, floods)
                .frames(limits.kad_frames, floods),
            control: Paced::streams(control(protocols), limits.control_streams, floods),
            blobs: libp2p_stream::Behaviour::new(),
            asking: rare(asking.into(), limits, floods),
            dialing_back: rare(dialing_back.into(), limits, floods),
            relay: rare(relay.into(), limits, floods),
            punching: rare(punching.into(), limits, floods),
            circuits: rare(circuits.into(), limits, floods),
            upnp: services.upnp.then(upnp::tokio::Behaviour::default).into(),
            mdns: services.mdns.then(|| mdns(local)).transpose()?.into(),
        })
    }
}

/// One of the protocols that an honest peer seldom opens a stream for.
fn rare<B>(inner: B, limits: &NetLimits, floods: &Floods<PeerId>) -> Paced<B> {
    Paced::streams(inner, limits.rare_streams, floods)
}

fn ping() -> ping::Behaviour {
    // A peer that vanished without a word is noticed within 45 s over TCP; QUIC looks by itself. Pings are a good part of
    // what an idle peer with many connections does.
    ping::Behaviour::new(
        ping::Config::new()
            .with_interval(Duration::from_secs(30))
            .with_timeout(Duration::from_secs(15)),
    )
}

fn control(protocols: &Protocols) -> request_response::Behaviour<ControlCodec> {
    request_response::Behaviour::new(
        [(protocols.control.clone(), ProtocolSupport::Full)],
        request_response::Config::default()
            .with_request_timeout(Duration::from_secs(10))
            .with_max_concurrent_streams(CONTROL_STREAMS),
    )
}

/// Relays for others once they can dial this peer, and not before: see `task`.
fn relay_server(local: PeerId, limits: &NetLimits) -> relay::Behaviour {
    let config = relay::Config {
        max_circuit_duration: CIRCUIT.0,
        max_circuit_bytes: CIRCUIT.1,
        // Of a home's uplink, so fewer than libp2p's 128.
        max_reservations: 64,
        max_reservations_per_peer: 4,
        reservation_duration: Duration::from_secs(60 * 60),
        reservation_rate_limiters: relay_rates(limits),
        max_circuits: 16,
        max_circuits_per_peer: 4,
        circuit_src_rate_limiters: relay_rates(limits),
    };
    let mut relay = relay::Behaviour::new(local, config);
    relay.set_status(Some(relay::Status::Disable));
    relay
}

/// How often a relay may be asked. libp2p's own limiters count single addresses and keep any number of them.
fn relay_rates(limits: &NetLimits) -> Vec<Box<dyn relay::RateLimiter>> {
    let mut peers = Buckets::new(limits.relay_by_peer, BUCKETS);
    let mut networks = Buckets::new(limits.relay_by_network, BUCKETS);
    let by_peer = move |peer: PeerId, _: &Multiaddr, now: Instant| peers.take(peer, 1.0, now);
    let by_network = move |_: PeerId, from: &Multiaddr, now: Instant| {
        ip(from).is_none_or(|ip| networks.take(Prefix::network(ip), 1.0, now))
    };
    vec![Box::new(by_peer), Box::new(by_network)]
}

fn mdns(local: PeerId) -> Result<mdns::tokio::Behaviour, NetError> {
    mdns::tokio::Behaviour::new(mdns::Config::default(), local)
        .map_err(|e| NetError::Config(format!("mDNS: {e}")))
}

fn connection_limits(config: &NetConfig) -> connection_limits::Behaviour {
    let limits = &config.limits;
    connection_limits::Behaviour::new(
        ConnectionLimits::default()
            .with_max_pending_incoming(Some(limits.pending_in))
            .with_max_pending_outgoing(Some(limits.pending_out))
            .with_max_established_incoming(Some(limits.established_in))
            .with_max_established_outgoing(Some(limits.established_out))
            .with_max_established_per_peer(Some(limits.per_peer)),
    )
}

fn identify(keypair: &Keypair, config: &NetConfig, protocols: &Protocols) -> identify::Behaviour {
    identify::Behaviour::new(
        identify::Config::new(protocols.version.clone(), keypair.public())
            .with_agent_version(config.agent.clone())
            .with_push_listen_addr_updates(true)
            .with_cache_size(512),
    )
}

fn gossip_config(protocols: &Protocols) -> Result<gossipsub::Config, NetError> {
    gossipsub::ConfigBuilder::default()
        .protocol_id_prefix(protocols.gossip.clone())
        // What is gossiped carries its author's signature, which the core checks once. libp2p's own would be checked
        // again with every copy, and a mesh brings several of each message.
        .validation_mode(ValidationMode::Anonymous)
        // Nothing is forwarded before the core has accepted it.
        .validate_messages()
        // The same bytes are one message, whoever publishes them.
        .message_id_fn(message_id)
        .flood_publish(false)
        .max_transmit_size(MAX_GOSSIP_BYTES + GOSSIP_OVERHEAD_BYTES)
        .duplicate_cache_time(Duration::from_secs(5 * 60))
        .heartbeat_initial_delay(Duration::from_secs(1))
        // A busy peer forwards late; after libp2p's single second it would drop, be asked, and be busier.
        .forward_queue_duration(Duration::from_secs(5))
        // 512 messages of 16 KiB per slow peer are 8 MiB; the default of 5000 would be 80.
        .connection_handler_queue_len(512)
        .max_publish_messages(512)
        .max_control_messages_sent(512)
        .build()
        .map_err(|e| NetError::Config(e.to_string()))
}

fn gossip(net: &NetConfig, topics: TopicFilter, protocols: &Protocols) -> Result<Gossip, NetError> {
    let config = gossip_config(protocols)?;
    let filter = MaxCountSubscriptionFilter {
        filter: topics,
        max_subscribed_topics: MAX_TOPICS_PER_PEER,
        max_subscriptions_per_request: MAX_TOPICS_PER_PEER,
    };
    let unsigned = MessageAuthenticity::Anonymous;
    let mut gossip = gossipsub::Behaviour::new_with_subscription_filter(unsigned, config, filter)
        .map_err(|e| NetError::Config(e.to_string()))?;
    gossip
        .with_peer_score(score(net.scope), SCORE_THRESHOLDS)
        .map_err(NetError::Config)?;
    Ok(gossip)
}

/// Four invalid messages cost a peer our gossip, nine its place: it is not heard until most of them are forgotten.
const SCORE_THRESHOLDS: PeerScoreThresholds = PeerScoreThresholds {
    gossip_threshold: -10.0,
    publish_threshold: -20.0,
    graylist_threshold: -80.0,
    accept_px_threshold: 0.0,
    opportunistic_graft_threshold: 0.5,
};

/// What counts for and against a peer in gossip, over all topics.
fn score(scope: Scope) -> PeerScoreParams {
    PeerScoreParams {
        // Peers of one home share an address; on one machine, or behind the router of one site, all do.
        ip_colocation_factor_weight: if scope == Scope::Public { -5.0 } else { 0.0 },
        ip_colocation_factor_threshold: 8.0,
        // Promises are broken by whoever is overloaded: with a penalty for it, a hundred honest peers on two cores stop
        // hearing each other, and never recover. Floods of control messages meet their own limits.
        behaviour_penalty_weight: 0.0,
        // The queue to a slow peer is bounded: it harms itself.
        slow_peer_weight: 0.0,
        decay_interval: SCORE_DECAY,
        ..PeerScoreParams::default()
    }
}

/// How often scores fade.
const SCORE_DECAY: Duration = Duration::from_secs(10);

/// What counts in one topic. Topics are quiet, so nobody owes a rate of messages (no P3); being first with a valid one
/// counts a little, an invalid one a lot, by the square of their number.
pub(crate) fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: 0.2,
        first_message_deliveries_decay: 0.9,
        first_message_deliveries_cap: 20.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -1.0,
        // Nine fade to three in some six minutes.
        invalid_message_deliveries_decay: 0.97,
        ..TopicScoreParams::default()
    }
}

/// BLAKE3 over topic and data; the length keeps the two apart.
fn message_id(message: &gossipsub::Message) -> MessageId {
    let topic = message.topic.as_str().as_bytes();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(topic.len() as u64).to_le_bytes());
    hasher.update(topic);
    hasher.update(&message.data);
    MessageId::new(hasher.finalize().as_bytes())
}

fn kad(
    keypair: &Keypair,
    config: &NetConfig,
    protocols: &Protocols,
) -> kad::Behaviour<ProviderStore> {
    let local = keypair.public().to_peer_id();
    let mut kad = kad::Config::new(protocols.kad.clone());
    // Addresses enter the table once identify has told them over a connection, provider records by our own caps.
    kad.set_kbucket_inserts(kad::BucketInserts::Manual)
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_query_timeout(Duration::from_secs(15))
        .disjoint_query_paths(true)
        .set_provider_record_ttl(Some(config.limits.providers.ttl))
        .set_provider_publication_interval(Some(Duration::from_secs(10 * 60)))
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_caching(kad::Caching::Disabled)
        .set_max_packet_size(16 * 1024);
    let store = ProviderStore::new(local, config.limits.providers);
    let mut kad = kad::Behaviour::with_config(local, store, kad);
    if config.scope != Scope::Public {
        // Without a public address Kademlia would stay a client for ever.
        kad.set_mode(Some(kad::Mode::Server));
    }
    kad
}

/// The topics of this swarm: those that begin with one of the configured prefixes.
#[derive(Clone, Debug)]
pub(crate) struct TopicFilter(Arc<[String]>);

impl TopicFilter {
    pub(crate) fn new(prefixes: &[String]) -> Self {
        TopicFilter(prefixes.into())
    }

    pub(crate) fn allows(&self, topic: &str) -> bool {
        topic.len() <= MAX_TOPIC_BYTES && self.0.iter().any(|prefix| topic.starts_with(prefix))
    }
}

impl TopicSubscriptionFilter for TopicFilter {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        self.allows(topic.as_str())
    }
}

#[cfg(test)]
mod tests;
