//! The protocols that run on every connection, with libp2p's defaults overridden where they do not suit strangers.
//!
//! The only file that configures behaviours. Each number that departs from a default says why.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use libp2p::{
    allow_block_list::{self, BlockedPeers},
    connection_limits::{self, ConnectionLimits},
    gossipsub::{
        self, IdentityTransform, MaxCountSubscriptionFilter, MessageAuthenticity, MessageId,
        TopicHash, TopicSubscriptionFilter, ValidationMode,
    },
    identify,
    identity::Keypair,
    kad, ping,
    request_response::{self, ProtocolSupport},
    swarm::NetworkBehaviour,
};

use super::{
    ControlCodec, MAX_GOSSIP_BYTES, MAX_TOPIC_BYTES, NetConfig, NetError, Protocols, Scope,
    provider_store::ProviderStore,
};

/// Control messages to one peer that are on the wire at once; the rest waits in the outbox.
pub(crate) const SENDS_IN_FLIGHT: usize = 16;
/// Streams of control messages on one connection, both directions: what both sides send, and room for those that are
/// just ending. libp2p drops the excess, so this must stay above twice `SENDS_IN_FLIGHT`.
const CONTROL_STREAMS: usize = 3 * SENDS_IN_FLIGHT;
/// Signature, key, topic and framing around a gossip message.
const GOSSIP_OVERHEAD_BYTES: usize = 1024;
/// Topics that one stranger may subscribe to.
const MAX_TOPICS_PER_PEER: usize = 128;

pub(crate) type Gossip =
    gossipsub::Behaviour<IdentityTransform, MaxCountSubscriptionFilter<TopicFilter>>;

/// All protocols of one peer.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    // These two refuse connections, so they come first.
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) blocked: allow_block_list::Behaviour<BlockedPeers>,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) gossip: Gossip,
    pub(crate) kad: kad::Behaviour<ProviderStore>,
    pub(crate) control: request_response::Behaviour<ControlCodec>,
    pub(crate) blobs: libp2p_stream::Behaviour,
}

impl Behaviour {
    pub(crate) fn new(
        keypair: &Keypair,
        config: &NetConfig,
        topics: TopicFilter,
        protocols: &Protocols,
    ) -> Result<Self, NetError> {
        Ok(Behaviour {
            limits: connection_limits(config),
            blocked: Default::default(),
            identify: identify(keypair, config, protocols),
            ping: ping::Behaviour::new(
                // A peer that vanished without a word is noticed within 25 s; the default takes 35.
                ping::Config::new()
                    .with_interval(Duration::from_secs(10))
                    .with_timeout(Duration::from_secs(15)),
            ),
            gossip: gossip(keypair, topics, protocols)?,
            kad: kad(keypair, config, protocols),
            control: request_response::Behaviour::new(
                [(protocols.control.clone(), ProtocolSupport::Full)],
                request_response::Config::default()
                    .with_request_timeout(Duration::from_secs(10))
                    .with_max_concurrent_streams(CONTROL_STREAMS),
            ),
            blobs: libp2p_stream::Behaviour::new(),
        })
    }
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

fn gossip(
    keypair: &Keypair,
    topics: TopicFilter,
    protocols: &Protocols,
) -> Result<Gossip, NetError> {
    let config = gossipsub::ConfigBuilder::default()
        .protocol_id_prefix(protocols.gossip.clone())
        .validation_mode(ValidationMode::Strict)
        // Nothing is forwarded before the core has accepted it.
        .validate_messages()
        // The same bytes are one message, whoever signs the envelope: nobody multiplies them by signing again.
        .message_id_fn(message_id)
        .mesh_n(8)
        .mesh_n_low(6)
        .mesh_n_high(12)
        .gossip_lazy(8)
        .flood_publish(false)
        .max_transmit_size(MAX_GOSSIP_BYTES + GOSSIP_OVERHEAD_BYTES)
        .duplicate_cache_time(Duration::from_secs(5 * 60))
        .heartbeat_initial_delay(Duration::from_secs(1))
        // 512 messages of 16 KiB per slow peer are 8 MiB; the default of 5000 would be 80.
        .connection_handler_queue_len(512)
        .max_publish_messages(512)
        .max_control_messages_sent(512)
        .build()
        .map_err(|e| NetError::Config(e.to_string()))?;
    let filter = MaxCountSubscriptionFilter {
        filter: topics,
        max_subscribed_topics: MAX_TOPICS_PER_PEER,
        max_subscriptions_per_request: MAX_TOPICS_PER_PEER,
    };
    let signed = MessageAuthenticity::Signed(keypair.clone());
    gossipsub::Behaviour::new_with_subscription_filter(signed, config, filter)
        .map_err(|e| NetError::Config(e.to_string()))
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
        .set_parallelism(NonZeroUsize::MIN.saturating_add(2))
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
