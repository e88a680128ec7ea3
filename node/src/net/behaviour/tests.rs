//! What the configuration of gossip adds up to.

use super::*;
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
