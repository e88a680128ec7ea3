//! Decisions about addresses and relays, without a network.

use super::*;

const GRACE: Duration = Duration::from_secs(15);
const RETEST: Duration = Duration::from_secs(600);
const DOUBT: Duration = Duration::from_secs(2 * 600 + ROUND.as_secs());

fn limits() -> NetLimits {
    NetLimits {
        relay_after: GRACE,
        retest: RETEST,
        ..NetLimits::default()
    }
}

fn address(n: u16) -> Multiaddr {
    format!("/ip4/203.0.113.9/tcp/{n}").parse().unwrap()
}

fn peers(n: usize) -> Vec<PeerId> {
    let mut peers: Vec<_> = (0..n).map(|_| PeerId::random()).collect();
    peers.sort();
    peers
}

fn reserved(steps: &[Step]) -> Vec<PeerId> {
    let reserve = |step: &Step| match step {
        Step::Reserve(peer, _) => Some(*peer),
        Step::Release(_) | Step::Forget(_) => None,
    };
    steps.iter().filter_map(reserve).collect()
}

#[test]
fn relays_are_asked_once_nobody_reached_us_directly() {
    let start = Instant::now();
    let mut reach = Reach::new(true, &limits(), start);
    let all = peers(3);
    for (n, peer) in (1..).zip(&all) {
        reach.offered(*peer, address(n), start);
    }
    assert_eq!(reach.step(start), [], "others have not tried yet");
    let later = start + GRACE;
    let asked = reserved(&reach.step(later));
    assert_eq!(asked.len(), RESERVATIONS);
    assert_eq!(reach.step(later), [], "two are being asked");
    reach.granted(&asked[0]);
    reach.ended(&asked[1], later);
    let instead = reserved(&reach.step(later));
    assert_eq!(instead.len(), 1, "another one takes its place");
    assert!(!asked.contains(&instead[0]));
    reach.granted(&instead[0]);
    assert_eq!(reach.reserved().count(), 2);

    // A reservation is lost: relays are asked again, but not at once.
    reach.ended(&asked[0], later);
    assert_eq!(reach.step(later), []);
    assert_eq!(reserved(&reach.step(later + BACKOFF.1)).len(), 1);
}

#[test]
fn a_direct_address_makes_relays_superfluous_and_doubt_brings_them_back() {
    let start = Instant::now();
    let mut reach = Reach::new(true, &limits(), start);
    let relay = peers(1)[0];
    reach.offered(relay, address(1), start);
    let later = start + GRACE;
    assert_eq!(reserved(&reach.step(later)), [relay]);
    reach.granted(&relay);
    reach.confirmed(address(7), How::Autonat, later);
    assert_eq!(reach.step(later), [Step::Release(relay)]);
    assert!(reach.is_direct());

    let confirmed_again = later + RETEST;
    reach.confirmed(address(7), How::Autonat, confirmed_again);
    assert_eq!(reach.step(later + DOUBT), []);
    let steps = reach.step(confirmed_again + DOUBT);
    assert_eq!(steps[0], Step::Forget(address(7)));
    assert_eq!(reserved(&steps), [relay]);
}

#[test]
fn an_owners_word_needs_no_confirmation() {
    let start = Instant::now();
    let mut reach = Reach::new(true, &limits(), start);
    reach.confirmed(address(7), How::Announced, start);
    reach.confirmed(address(7), How::Autonat, start);
    assert_eq!(reach.step(start + 10 * DOUBT), []);
    assert!(reach.is_direct());
    reach.expired(&address(7));
    assert!(!reach.is_direct());
}

#[test]
fn strangers_offers_are_bounded_and_can_be_declined() {
    let start = Instant::now();
    let mut reach = Reach::new(true, &limits(), start);
    for peer in peers(4 * RELAYS) {
        reach.offered(peer, address(1), start);
    }
    assert_eq!(reach.relays.len(), RELAYS);
    let (bad, new) = (*reach.relays.keys().next().unwrap(), PeerId::random());
    reach.ended(&bad, start);
    reach.offered(new, address(1), start);
    assert!(reach.relays.contains_key(&new) && !reach.relays.contains_key(&bad));
    for peer in reach.relays.keys().copied().collect::<Vec<_>>() {
        reach.withdrawn(&peer);
    }
    assert_eq!(reach.relays.len(), 0);

    let mut never = Reach::new(false, &limits(), start);
    never.offered(PeerId::random(), address(1), start);
    assert_eq!(never.step(start + GRACE), []);
}

#[test]
fn a_relay_that_says_nothing_is_not_waited_for() {
    let start = Instant::now();
    let mut reach = Reach::new(true, &limits(), start);
    for peer in peers(3) {
        reach.offered(peer, address(1), start);
    }
    let asked = reserved(&reach.step(start + GRACE));
    assert_eq!(asked.len(), RESERVATIONS);
    let later = start + GRACE + PATIENCE + Duration::from_secs(1);
    let instead = reserved(&reach.step(later));
    assert_eq!(instead.len(), 1);
    assert!(!asked.contains(&instead[0]));
}
