use crate::{id, secs};
use core::time::Duration;
use starling_protocol::Time;
use starling_sim::engine::Streams;
use starling_sim::kademlia::{Dht, Kademlia, Knobs};

/// Every round trip takes 40 ms.
fn steady(_: u32, _: u32) -> Option<Duration> {
    Some(Duration::from_millis(40))
}

fn swarm(peers: u32) -> Kademlia {
    let mut dht = Kademlia::new(&Knobs::default(), &Streams::new(2));
    (0..peers).for_each(|peer| dht.join(Time(0), peer, &id(peer)));
    dht
}

fn distance(peer: u32, key: u32) -> [u8; 32] {
    let (peer, key) = (id(peer), id(key));
    core::array::from_fn(|i| peer.0[i] ^ key.0[i])
}

#[test]
fn a_lookup_finds_exactly_the_closest_peers_within_few_hops() {
    let mut dht = swarm(3_000);
    for (from, key) in [(0, 1_000_001), (17, 1_000_002), (2_999, 1_000_003)] {
        let found = dht.closest(Time(0), from, &id(key), &mut steady);
        let mut truth: Vec<_> = (0..3_000).filter(|p| *p != from).collect();
        truth.sort_by_key(|peer| distance(*peer, key));
        assert_eq!(found.closest, truth[..20]);
        assert!(!found.failed && (1..=6).contains(&found.hops), "{found:?}");
        assert!((20..=80).contains(&found.rpcs), "{}", found.rpcs);
        // Whole rounds of 40 ms. Three requests at a time would take more of them: towards the end, twenty are under way.
        let rounds = found.delay.as_millis() as u32 / 40;
        assert!(rounds >= found.hops && rounds * 6 < found.rpcs, "{found:?}");
    }
}

#[test]
fn providers_are_found_until_their_records_expire() {
    let mut dht = swarm(500);
    let board = id(9_000_000);
    let published = dht.provide(secs(0), 7, &board, &mut steady);
    assert!(published.closest.len() == 20 && published.rpcs >= 40);
    let find = |dht: &mut Kademlia, s| dht.find_providers(secs(s), 300, &board, &mut steady);
    // Not before the publication is done.
    assert_eq!(find(&mut dht, 0).first, None);
    let found = find(&mut dht, 60);
    assert_eq!(found.providers, [7]);
    assert!(found.first.is_some_and(|first| first <= found.delay) && !found.failed);
    assert_eq!(find(&mut dht, 2_390).providers, [7]);
    assert_eq!(find(&mut dht, 2_410).providers, [0; 0]);
    // Said again, it lasts longer.
    dht.provide(secs(2_500), 7, &board, &mut steady);
    dht.provide(secs(3_100), 7, &board, &mut steady);
    dht.stop(secs(3_200), 7, &board);
    assert_eq!(find(&mut dht, 5_300).providers, [7], "nobody is told");
    assert!(find(&mut dht, 5_510).providers.is_empty());
    assert_eq!(dht.republish_after(), Duration::from_secs(600));
}

#[test]
fn a_holder_keeps_twenty_providers_and_loses_them_when_it_leaves() {
    let mut dht = swarm(400);
    let board = id(9_000_001);
    let mut holders = Vec::new();
    for provider in 0..30 {
        let at = secs(u64::from(provider));
        holders.extend(dht.provide(at, provider, &board, &mut steady).closest);
    }
    let found = dht.find_providers(secs(60), 399, &board, &mut steady);
    // A provider is no holder of its own record, so that a few holders have room for later ones.
    assert!((20..30).contains(&found.providers.len()), "{found:?}");
    assert!(found.providers.starts_with(&[0]) || found.providers.contains(&0));
    holders.sort_unstable();
    holders.dedup();
    for holder in holders.iter().filter(|h| **h != 399) {
        dht.leave(secs(70), *holder);
        dht.join(secs(80), *holder, &id(*holder));
    }
    let found = dht.find_providers(secs(90), 399, &board, &mut steady);
    assert_eq!(found.providers, [0; 0], "a session's records go with it");
}

#[test]
fn lookups_mostly_succeed_when_three_in_ten_have_just_left() {
    let mut dht = swarm(2_000);
    let board = id(9_000_002);
    dht.provide(secs(0), 1, &board, &mut steady);
    let gone = |peer: u32| peer % 10 < 3 && peer != 1;
    (0..2_000)
        .filter(|p| gone(*p))
        .for_each(|p| dht.leave(secs(100), p));
    let (mut found, mut slow, mut asked) = (0, 0, 0);
    for peer in (0..2_000).filter(|p| !gone(*p)).step_by(7) {
        let lookup = dht.find_providers(secs(101), peer, &board, &mut steady);
        asked += 1;
        found += u32::from(lookup.providers == [1]);
        slow += u32::from(lookup.delay >= Duration::from_secs(10));
        assert!(lookup.delay <= Duration::from_secs(15));
        assert!(lookup.closest.iter().all(|p| !gone(*p)));
    }
    assert!(
        found * 10 >= asked * 9 && found > 0,
        "{found} of {asked} found it"
    );
    assert!(
        slow * 2 > asked,
        "{slow} of {asked}: stale entries cost their timeouts"
    );
    // Once buckets are refreshed nobody waits for the departed.
    let later = dht.find_providers(secs(500), 5, &board, &mut steady);
    assert!(later.delay < Duration::from_secs(2) && later.providers == [1]);
}

#[test]
fn peers_that_come_late_or_again_are_found() {
    let mut dht = swarm(300);
    dht.closest(secs(1), 0, &id(1), &mut steady);
    for peer in 300..330 {
        dht.join(secs(2), peer, &id(peer));
    }
    for peer in (100..330).step_by(3) {
        dht.leave(secs(3), peer);
    }
    assert_ne!(
        dht.closest(secs(4), 0, &id(100), &mut steady).closest[0],
        100
    );
    for peer in (100..330).step_by(3) {
        dht.join(secs(1_000), peer, &id(peer));
    }
    for peer in [100, 301, 328] {
        let found = dht.closest(secs(1_001), 0, &id(peer), &mut steady);
        assert_eq!(found.closest[0], peer);
    }
    // Nearly everybody leaves: who remains is found.
    (2..330).for_each(|peer| dht.leave(secs(1_002), peer));
    let found = dht.closest(secs(2_000), 0, &id(9), &mut steady);
    assert_eq!(found.closest, [1]);
    dht.leave(secs(2_001), 1);
    assert!(dht.closest(secs(9_000), 0, &id(9), &mut steady).failed);
    assert!(dht.closest(secs(9_000), 1, &id(9), &mut steady).failed);
}

#[test]
fn nobody_is_found_through_a_network_that_loses_everything() {
    let mut dht = swarm(100);
    let found = dht.find_providers(secs(0), 0, &id(5), &mut |_, _| None);
    assert!(found.failed && found.closest.is_empty());
    assert_eq!(
        found.delay,
        Duration::from_secs(15),
        "the whole query's limit"
    );
}

#[test]
fn knobs_out_of_range_are_named() {
    assert_eq!(Knobs::default().fault(), None);
    let alpha = Knobs {
        alpha: 0,
        ..Knobs::default()
    };
    assert_eq!(alpha.fault(), Some(("alpha", "1 to 64")));
    let ttl = Knobs {
        record_ttl_s: f64::INFINITY,
        ..Knobs::default()
    };
    assert_eq!(ttl.fault().map(|f| f.0), Some("record_ttl_s"));
}
