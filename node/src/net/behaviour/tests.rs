//! What the configuration of gossip and of the relay adds up to.

use super::*;
use crate::blobs::line::Lines;
use crate::net::Services;
use crate::net::config::NetConfig;

fn config(scope: Scope) -> NetConfig {
    NetConfig {
        keypair_secret: [1; 32],
        swarm_id: [1; 32],
        scope,
        listen: Vec::new(),
        bootstrap: Vec::new(),
        announce: Vec::new(),
        services: Services::OFF,
        topics: vec!["capacity/".into()],
        limits: NetLimits::default(),
        lines: Lines::default(),
        admission: None,
        agent: "test".into(),
    }
}

#[test]
fn gossip_waits_for_a_verdict_and_keeps_bounded_queues() {
    let config = gossip_config(&Protocols::of(&[1; 32])).unwrap();
    assert!(config.validate_messages());
    assert!(!config.flood_publish());
    assert!(!config.do_px(), "nobody sends us to strangers");
    assert_eq!(config.connection_handler_queue_len(), 512);
    assert_eq!(config.duplicate_cache_time(), Duration::from_secs(300));
    let frame = MAX_GOSSIP_BYTES + GOSSIP_OVERHEAD_BYTES;
    assert_eq!(config.max_transmit_size(), frame);
    assert!(
        gossip(
            &self::config(Scope::Public),
            TopicFilter::new(&[]),
            &Protocols::of(&[1; 32])
        )
        .is_ok()
    );
}

#[test]
fn four_invalid_messages_end_lazy_gossip_nine_the_hearing_and_silence_costs_nothing() {
    let topic = topic_score();
    topic.validate().unwrap();
    assert_eq!(topic.mesh_message_deliveries_weight, 0.0);
    assert_eq!(topic.mesh_failure_penalty_weight, 0.0);
    let after = |invalid: f64| topic.invalid_message_deliveries_weight * invalid.powi(2);
    let limits = SCORE_THRESHOLDS;
    limits.validate().unwrap();
    assert!(after(3.0) > limits.gossip_threshold && after(4.0) < limits.gossip_threshold);
    assert!(after(8.0) > limits.graylist_threshold && after(9.0) < limits.graylist_threshold);
    let most = topic.time_in_mesh_weight * topic.time_in_mesh_cap
        + topic.first_message_deliveries_weight * topic.first_message_deliveries_cap;
    assert!(
        most + after(1.0) > 0.0,
        "one is forgiven to whoever is of use"
    );
    assert!(
        most + after(10.0) < limits.graylist_threshold,
        "no merit covers ten"
    );
}

#[test]
fn sharing_an_address_costs_on_the_internet_and_as_much_as_its_connections_allow_is_heard() {
    for scope in [Scope::Local, Scope::Lan] {
        assert_eq!(score(scope).ip_colocation_factor_weight, 0.0);
    }
    let public = score(Scope::Public);
    public.validate().unwrap();
    let caps = NetLimits::default().prefixes;
    let surplus = caps.per_address as f64 - public.ip_colocation_factor_threshold;
    let cost = public.ip_colocation_factor_weight * surplus.powi(2);
    assert!((SCORE_THRESHOLDS.graylist_threshold..0.0).contains(&cost));
}

#[test]
fn a_relay_is_asked_so_often_by_a_peer_and_by_a_network() {
    let limits = NetLimits {
        relay_by_peer: crate::net::Rate {
            per_s: 0.0,
            burst: 3.0,
        },
        relay_by_network: crate::net::Rate {
            per_s: 0.0,
            burst: 5.0,
        },
        ..NetLimits::default()
    };
    let mut rates = relay_rates(&limits);
    let mut asks = |peer: PeerId, from: &str| {
        let from = from.parse().unwrap();
        // As libp2p asks: all of them must agree.
        rates
            .iter_mut()
            .all(|rate| rate.try_next(peer, &from, Instant::now()))
    };
    let peer = PeerId::random();
    let of_peer = (0..10).filter(|_| asks(peer, "/ip4/198.51.100.1/tcp/1"));
    assert_eq!(of_peer.count(), 3);
    let of_network =
        (0..10).filter(|i| asks(PeerId::random(), &format!("/ip4/198.51.100.{i}/tcp/1")));
    assert_eq!(of_network.count(), 2);
    assert!(asks(PeerId::random(), "/ip4/192.0.2.1/tcp/1"));
}
