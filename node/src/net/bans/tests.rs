//! The ladder of bans, what patience covers, and whose record goes when room is short.

use super::*;

const POLICY: BanPolicy = BanPolicy {
    patience: Rate {
        per_s: 0.1,
        burst: 10.0,
    },
    terms: [
        Duration::from_secs(60),
        Duration::from_secs(600),
        Duration::from_secs(3600),
        Duration::from_secs(86_400),
    ],
    forgive: Duration::from_secs(86_400),
    peers: 8,
};

fn bans() -> (Bans<u32>, Instant) {
    (Bans::new(POLICY), Instant::now())
}

/// Offends until banned; the term, and after how many offences.
fn provoke(bans: &mut Bans<u32>, peer: u32, offence: Offence, now: Instant) -> (Duration, usize) {
    for n in 1..100 {
        if let Some(term) = bans.offend(peer, offence, now).banned {
            return (term, n);
        }
    }
    panic!("never banned")
}

#[test]
fn one_invalid_message_of_somebody_else_costs_no_ban() {
    let (mut bans, t) = bans();
    let once = bans.offend(1, Offence::Gossip, t);
    assert_eq!(once, Sentence::default());
    // Nor one every ten seconds, for ever.
    for n in 1..10_000 {
        let now = t + Duration::from_secs(10 * n);
        assert_eq!(bans.offend(1, Offence::Gossip, now), Sentence::default());
    }
    assert_eq!(provoke(&mut bans, 2, Offence::Gossip, t).1, 11);
}

#[test]
fn worse_offences_take_fewer() {
    let (mut bans, t) = bans();
    assert_eq!(provoke(&mut bans, 1, Offence::Flood, t).1, 11);
    assert_eq!(provoke(&mut bans, 2, Offence::Foreign, t).1, 6);
    assert_eq!(provoke(&mut bans, 3, Offence::Frame, t).1, 3);
}

#[test]
fn each_ban_is_longer_than_the_one_before_and_ends_once() {
    let (mut bans, mut t) = bans();
    for term in POLICY.terms.into_iter().chain([POLICY.terms[3]]) {
        assert_eq!(provoke(&mut bans, 1, Offence::Frame, t).0, term);
        let more = bans.offend(1, Offence::Frame, t).banned;
        assert_eq!(more, None, "it is banned already");
        assert!(bans.over(t + term - Duration::from_secs(1)).is_empty());
        t += term;
        assert_eq!(bans.over(t), [1]);
        assert!(bans.over(t).is_empty());
    }
}

#[test]
fn good_behaviour_is_rewarded() {
    let (mut bans, t) = bans();
    let (first, _) = provoke(&mut bans, 1, Offence::Frame, t);
    bans.over(t + first);
    let soon = t + first + POLICY.forgive - Duration::from_secs(1);
    let (second, _) = provoke(&mut bans, 1, Offence::Frame, soon);
    assert_eq!(second, POLICY.terms[1]);
    bans.over(soon + second);
    let late = soon + second + POLICY.forgive;
    let (again, _) = provoke(&mut bans, 1, Offence::Frame, late);
    assert_eq!(again, POLICY.terms[0]);
    // Nobody is remembered for ever.
    bans.over(late + again);
    bans.over(late + again + POLICY.forgive);
    assert!(bans.records.is_empty());
    bans.offend(2, Offence::Gossip, late);
    bans.over(late + Duration::from_secs(10));
    assert!(bans.records.is_empty());
}

#[test]
fn a_crowd_of_names_fills_the_memory_but_bans_no_innocent() {
    let (mut bans, t) = bans();
    for peer in 0..4 {
        let now = t + Duration::from_millis(u64::from(peer));
        assert!(bans.ban(peer, now).banned.is_some());
        assert!(bans.ban(peer, now).banned.is_none());
    }
    let t = t + Duration::from_secs(1);
    for peer in 100..10_000 {
        let sentence = bans.offend(peer, Offence::Frame, t);
        assert_eq!(sentence, Sentence::default(), "those who are banned stay");
        assert!(bans.records.len() <= POLICY.peers);
    }
    // Only bans push out bans, the oldest first.
    let pushed: Vec<_> = (200..208).map(|peer| bans.ban(peer, t).forgotten).collect();
    let expected = [None, None, None, None, Some(0), Some(1), Some(2), Some(3)];
    assert_eq!(pushed, expected);
    assert_eq!(bans.records.len(), POLICY.peers);
}
