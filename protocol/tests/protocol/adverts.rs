//! Adverts: what a peer believes of others, and what it does not.

use proptest::prelude::*;
use starling_protocol::advert::{Advert, DeviceKind, DeviceProfile, KernelOffer};
use starling_protocol::config::{ADVERT_MAX, ADVERTS_MAX};
use starling_protocol::crypto::{Ed25519Signer, Signer as _};
use starling_protocol::io::{Capacity, GossipId, Setup, Topic, Verdict};
use starling_protocol::signed::Signed;
use starling_protocol::text::{Text, cut};
use starling_protocol::{
    Core as _, Event, Genesis, Hash, Input, KernelId, Message, Output, Peer, Scope, Tier, Time,
    board, codec,
};
use std::time::Duration;

const START_S: u64 = 1_800_000_000;

/// One peer that hears gossip, on a clock that a test moves.
struct Ear {
    peer: Peer,
    genesis: Genesis,
    now: Time,
    /// Adverts of its own.
    published: usize,
}

fn speaker(i: u32) -> Ed25519Signer {
    Ed25519Signer::from_seed(Hash::of(&i.to_le_bytes()).as_bytes())
}

impl Ear {
    fn new() -> Self {
        Self::of(Genesis::new("test", Scope::Local, Hash::default()))
    }

    fn of(genesis: Genesis) -> Self {
        let setup = Setup {
            genesis: genesis.clone(),
            rng_seed: [1; 32],
            guests: Vec::new(),
        };
        let mut ear = Self {
            peer: Peer::new(setup, Box::new(speaker(0))),
            genesis,
            now: Time(0),
            published: 0,
        };
        ear.give(Input::Started {
            unix_s: START_S,
            restored: Vec::new(),
        });
        ear
    }

    fn give(&mut self, input: Input) -> Vec<Output> {
        let outputs: Vec<_> = self.peer.handle(self.now, input).collect();
        let published = |o: &&Output| matches!(o, Output::Publish { .. });
        self.published += outputs.iter().filter(published).count();
        outputs
    }

    fn unix_s(&self) -> u64 {
        START_S + self.now.0 / 1_000_000
    }

    fn wait(&mut self, span: Duration) {
        let end = self.now.after(span);
        while let Some(deadline) = self.peer.next_deadline().filter(|d| d.at <= end) {
            self.now = deadline.at;
            let unix_s = self.unix_s();
            self.give(Input::Tick { unix_s });
        }
        self.now = end;
    }

    fn advert(&self, from: u32, number: u64) -> Advert {
        Advert {
            peer: speaker(from).key(),
            number,
            issued_s: self.unix_s(),
            goodbye: false,
            devices: Vec::new(),
            kernels: Vec::new(),
            free_slots: 1,
            region: Text::new(),
            software: Text::new(),
        }
    }

    fn signed(&self, from: u32, advert: Advert) -> Vec<u8> {
        codec::encode(&Signed::new(
            advert,
            &self.genesis.swarm_id(),
            &speaker(from),
        ))
    }

    fn hear(&mut self, data: Vec<u8>) -> Verdict {
        let outputs = self.give(Input::Gossip {
            id: GossipId(1),
            topic: Topic::Capacity,
            data,
        });
        let verdict = outputs.iter().find_map(|o| {
            if let Output::Verdict { verdict, .. } = o {
                Some(*verdict)
            } else {
                None
            }
        });
        verdict.expect("every gossip is judged")
    }

    /// `from` hands over what it signed.
    fn hand(&mut self, from: u32, advert: &Advert) -> Vec<Output> {
        let signed = Signed::new(advert.clone(), &self.genesis.swarm_id(), &speaker(from));
        self.give(Input::Message {
            from: speaker(from).key(),
            bytes: Message::Advert(Box::new(signed)).to_bytes(),
        })
    }

    /// `from`, whose clock is so many seconds ahead, hands over its advert; what is told of clocks.
    fn meet(&mut self, from: u32, ahead_s: i64) -> Option<(usize, usize, i64)> {
        let mut advert = self.advert(from, 1);
        advert.issued_s = advert.issued_s.saturating_add_signed(ahead_s);
        self.hand(from, &advert)
            .iter()
            .find_map(|output| match output {
                Output::Notify(Event::ClocksDiffer { peers, of, ahead_s }) => {
                    Some((*peers, *of, *ahead_s))
                }
                _ => None,
            })
    }

    fn hear_advert(&mut self, from: u32, advert: Advert) -> Verdict {
        let data = self.signed(from, advert);
        self.hear(data)
    }

    fn knows(&self, who: u32) -> bool {
        let key = speaker(who).key();
        self.peer.known_peers().any(|p| p.advert.peer == key)
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn numbers_only_grow() {
    let mut ear = Ear::new();
    assert_eq!(ear.hear_advert(1, ear.advert(1, 5)), Verdict::Accept);
    assert!(ear.knows(1));
    ear.wait(SECOND);
    for stale in [0, 4, 5] {
        assert_eq!(
            ear.hear_advert(1, ear.advert(1, stale)),
            Verdict::Ignore,
            "number {stale}"
        );
    }
    assert_eq!(ear.hear_advert(1, ear.advert(1, 6)), Verdict::Accept);
    assert_eq!(
        ear.hear_advert(1, ear.advert(1, 7)),
        Verdict::Ignore,
        "too soon after the last"
    );
}

#[test]
fn a_silent_peer_is_forgotten_after_three_intervals_and_no_replay_brings_it_back() {
    let mut ear = Ear::new();
    let first = ear.signed(1, ear.advert(1, 1));
    ear.hear(first.clone());
    ear.wait(SECOND);
    let last = ear.signed(1, ear.advert(1, 2));
    ear.hear(last.clone());
    ear.wait(29 * SECOND);
    assert!(ear.knows(1));
    ear.wait(SECOND);
    assert!(!ear.knows(1));
    for _ in 0..30 {
        assert_eq!(ear.hear(first.clone()), Verdict::Ignore);
        assert_eq!(ear.hear(last.clone()), Verdict::Ignore);
        assert!(!ear.knows(1));
        ear.wait(10 * SECOND);
    }
    assert_eq!(
        ear.hear_advert(1, ear.advert(1, 3)),
        Verdict::Accept,
        "it may come back by itself"
    );
}

#[test]
fn an_advert_that_was_handed_over_is_news_once_more_in_gossip() {
    let mut ear = Ear::new();
    let advert = ear.advert(1, 5);
    ear.hand(2, &advert);
    assert!(!ear.knows(1), "it is not the carrier's own");
    ear.hand(1, &advert);
    assert!(ear.knows(1));
    let other = Advert {
        free_slots: 2,
        ..advert.clone()
    };
    assert_eq!(ear.hear_advert(1, other), Verdict::Ignore);
    let forged = ear.signed(2, advert.clone());
    assert_eq!(ear.hear(forged), Verdict::Reject);
    assert_eq!(ear.hear_advert(1, advert.clone()), Verdict::Accept);
    assert_eq!(ear.hear_advert(1, advert), Verdict::Ignore);
}

#[test]
fn peers_that_meet_hand_each_other_their_last_adverts() {
    let mut ear = Ear::new();
    let stranger = speaker(1).key();
    let meet = Input::PeerConnected { peer: stranger };
    assert!(ear.give(meet.clone()).is_empty(), "nothing to tell yet");
    ear.give(Input::Capacity(Capacity {
        devices: Vec::new(),
        kernels: Vec::new(),
        slots: 1,
        region: Text::new(),
        software: Text::new(),
    }));
    ear.wait(SECOND);
    let outputs = ear.give(meet);
    let [Output::Send { to, bytes, .. }] = &outputs[..] else {
        panic!("one message: {outputs:?}");
    };
    let Ok(Message::Advert(advert)) = Message::from_bytes(bytes) else {
        panic!("an advert");
    };
    assert_eq!((*to, advert.body.peer), (stranger, speaker(0).key()));
    ear.wait(20 * SECOND);
    let published = |o: &Output| matches!(o, Output::Publish { .. });
    let meet = Input::PeerConnected { peer: stranger };
    assert!(!ear.give(meet).iter().any(published));
    assert_eq!(ear.published, 3, "at its pace, whoever comes");
}

#[test]
fn a_shard_keeps_to_itself() {
    let mut genesis = Genesis::new("test", Scope::Local, Hash::default());
    genesis.shards = 3;
    let mut ear = Ear::of(genesis);
    let home = |i| board::home(&speaker(i).key(), 3);
    let near = (1..50).find(|i| home(*i) == home(0)).expect("one of three");
    let far = (1..50).find(|i| home(*i) != home(0)).expect("two of three");
    let (a, b) = (ear.advert(near, 1), ear.advert(far, 1));
    assert_eq!(ear.hear_advert(near, a), Verdict::Accept);
    assert_eq!(ear.hear_advert(far, b.clone()), Verdict::Reject);
    ear.hand(far, &b);
    assert!(ear.knows(near) && !ear.knows(far));

    ear.give(Input::Capacity(Capacity::default()));
    ear.wait(SECOND);
    let mut greeted = |who| {
        let peer = speaker(who).key();
        ear.give(Input::PeerConnected { peer }).len()
    };
    assert_eq!((greeted(near), greeted(far)), (1, 0));
}

#[test]
fn shards_are_even() {
    let mut counts = [0_u32; 10];
    for i in 0..2_000 {
        counts[usize::from(board::home(&speaker(i).key(), 10))] += 1;
    }
    assert!(counts.iter().all(|n| (150..250).contains(n)), "{counts:?}");
    assert_eq!(board::home(&speaker(1).key(), 1), 0);
}

#[test]
fn a_goodbye_holds_against_replays() {
    let mut ear = Ear::new();
    let hello = ear.signed(1, ear.advert(1, 1));
    ear.hear(hello.clone());
    // A goodbye may follow at once.
    assert_eq!(
        ear.hear_advert(
            1,
            Advert {
                goodbye: true,
                ..ear.advert(1, 2)
            }
        ),
        Verdict::Accept
    );
    assert!(!ear.knows(1));
    for _ in 0..30 {
        assert_eq!(ear.hear(hello.clone()), Verdict::Ignore);
        assert!(!ear.knows(1));
        ear.wait(10 * SECOND);
    }
}

#[test]
fn nobody_speaks_for_others_or_from_another_time_or_swarm() {
    let mut ear = Ear::new();
    assert_eq!(
        ear.hear_advert(2, ear.advert(1, 1)),
        Verdict::Reject,
        "signed by another"
    );
    let mut altered = ear.signed(1, ear.advert(1, 1));
    altered[40] ^= 1;
    assert_eq!(ear.hear(altered), Verdict::Reject, "altered");
    let other = Genesis::new("other", Scope::Local, Hash::default()).swarm_id();
    let foreign = codec::encode(&Signed::new(ear.advert(1, 1), &other, &speaker(1)));
    assert_eq!(ear.hear(foreign), Verdict::Reject, "another swarm's");
    let now_s = ear.unix_s();
    for issued_s in [0, now_s - 121, now_s + 121, u64::MAX] {
        let advert = Advert {
            issued_s,
            ..ear.advert(1, 1)
        };
        assert_eq!(
            ear.hear_advert(1, advert),
            Verdict::Ignore,
            "issued at {issued_s}"
        );
    }
    assert_eq!(
        ear.hear_advert(0, ear.advert(0, 9)),
        Verdict::Ignore,
        "the own one"
    );
    let device = DeviceProfile {
        kind: DeviceKind::Other,
        name: Text::new(),
    };
    let advert = Advert {
        devices: vec![device; 9],
        ..ear.advert(1, 1)
    };
    assert_eq!(ear.hear_advert(1, advert), Verdict::Reject, "nine devices");
    assert!(!ear.knows(1));
}

#[test]
fn a_clock_that_differs_from_most_is_told_once() {
    const HOUR: i64 = 3_600;
    let mut ear = Ear::new();
    assert_eq!([1, 2].map(|peer| ear.meet(peer, 0)), [None; 2]);
    assert_eq!(ear.meet(3, 3 * HOUR), None, "others outweigh it");
    assert_eq!(ear.meet(4, -60), None, "within the skew");
    // With each of them, one that agreed is forgotten.
    assert_eq!(ear.meet(5, 3 * HOUR + 7), Some((2, 3, 3 * HOUR + 7)));
    assert_eq!(ear.meet(6, 3 * HOUR - 7), None, "once is enough");
    assert!(!ear.knows(5));

    let mut ear = Ear::new();
    assert_eq!([1, 2, 3].map(|peer| ear.meet(peer, 0)), [None; 3]);
    let again = [9; 5].map(|peer| ear.meet(peer, -HOUR));
    assert_eq!(again, [None; 5], "the same one is one, however often");

    let mut ear = Ear::new();
    assert_eq!(ear.meet(1, -HOUR), Some((1, 1, -HOUR)));
    assert_eq!(ear.meet(1, 0), None, "it was set right");
    assert_eq!(ear.meet(2, i64::MAX).map(|told| told.0), Some(1));
    assert_eq!(ear.meet(2, 0), None);
}

#[test]
fn the_table_is_bounded_and_frees_itself() {
    let mut ear = Ear::new();
    for i in 1..=ADVERTS_MAX as u32 {
        assert_eq!(ear.hear_advert(i, ear.advert(i, 1)), Verdict::Accept);
    }
    let next = ADVERTS_MAX as u32 + 1;
    assert_eq!(ear.hear_advert(next, ear.advert(next, 1)), Verdict::Ignore);
    assert_eq!(ear.peer.known_peers().count(), ADVERTS_MAX);
    ear.wait(SECOND);
    assert_eq!(
        ear.hear_advert(1, ear.advert(1, 2)),
        Verdict::Accept,
        "known ones stay fresh"
    );
    ear.wait(300 * SECOND);
    assert_eq!(ear.peer.known_peers().count(), 0);
    assert_eq!(ear.hear_advert(next, ear.advert(next, 1)), Verdict::Accept);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of each peer the advert with the highest number stands, in whatever order they come.
    #[test]
    fn adverts_merge_to_one_state_whatever_their_order(
        order in Just((0..12_u32).collect::<Vec<_>>()).prop_shuffle(),
        goodbyes in prop::collection::vec(any::<bool>(), 12),
    ) {
        let mut ear = Ear::new();
        // Three peers with four adverts each, all of which are in time when the last one comes.
        let adverts: Vec<_> = (0..12)
            .map(|i| Advert {
                goodbye: goodbyes[i as usize],
                ..ear.advert(1 + i % 3, 1 + u64::from(i / 3))
            })
            .collect();
        for i in order {
            ear.hear_advert(1 + i % 3, adverts[i as usize].clone());
            ear.wait(SECOND);
        }
        let here: Vec<_> = ear.peer.known_peers().map(|p| p.advert.clone()).collect();
        let mut last: Vec<_> = adverts[9..].iter().filter(|a| !a.goodbye).cloned().collect();
        last.sort_by_key(|a| a.peer);
        prop_assert_eq!(here, last);
    }
}

#[test]
fn what_is_well_formed_is_shorter_than_what_may_be_gossiped() {
    let ear = Ear::new();
    let long = "x".repeat(100);
    let device = DeviceProfile {
        kind: DeviceKind::Other,
        name: cut(&long),
    };
    let offer = KernelOffer {
        kernel: KernelId::from([255; 32]),
        class: cut(&long),
        tier: Tier::Exact,
        units_per_s: u64::MAX,
        price: u64::MAX,
    };
    let advert = Advert {
        number: u64::MAX,
        issued_s: u64::MAX,
        devices: vec![device; 8],
        kernels: vec![offer; 16],
        free_slots: u16::MAX,
        region: cut(&long),
        software: cut(&long),
        ..ear.advert(1, 1)
    };
    assert!(advert.well_formed());
    let len = ear.signed(1, advert).len();
    assert!(len <= ADVERT_MAX, "{len} bytes");
}
