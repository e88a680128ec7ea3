//! Draws: distinct, uniform, the same for everybody, and different wherever they should be.

use proptest::prelude::*;
use starling_protocol::draw::{ranks, rendezvous, seed, tiles, witness_target};
use starling_protocol::{Hash, JobId, LeaseId, PeerKey};
use std::collections::BTreeSet;

fn key(i: u16) -> PeerKey {
    PeerKey(Hash::of(&i.to_le_bytes()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_draw_is_ascending_distinct_and_complete(seed: [u8; 32], peer: u16, s in 0..200_u32, n in 1..=1024_u32) {
        let drawn = tiles(&Hash(seed), &key(peer), s, n);
        prop_assert_eq!(drawn.len() as u32, s.min(n));
        prop_assert!(drawn.windows(2).all(|w| w[0] < w[1]));
        prop_assert!(drawn.iter().all(|t| *t < n));
    }

    #[test]
    fn ranks_do_not_depend_on_the_order_of_the_roster(target: [u8; 32], n in 2..60_u16, turn in 0..60_usize) {
        let peers: Vec<_> = (0..n).map(key).collect();
        let mut turned = peers.clone();
        turned.rotate_left(turn % usize::from(n));
        let ranked = ranks(&peers, &peers[0], &Hash(target));
        prop_assert_eq!(&ranked, &ranks(&turned, &peers[0], &Hash(target)));
        let all: BTreeSet<_> = ranked.iter().copied().chain([peers[0]]).collect();
        prop_assert_eq!(all.len(), peers.len(), "everybody but the worker, once");
        prop_assert!(!ranked.contains(&peers[0]));
        // Without one peer the others keep their order.
        let fewer = ranks(&peers[..peers.len() - 1], &peers[0], &Hash(target));
        let expected: Vec<_> = ranked.into_iter().filter(|p| *p != peers[peers.len() - 1]).collect();
        prop_assert_eq!(fewer, expected);
    }

    #[test]
    fn every_part_of_the_seed_counts(parts: [[u8; 32]; 5], bit in 0..1280_usize) {
        let make = |p: &[[u8; 32]; 5]| {
            seed(&LeaseId::from(p[0]), &Hash(p[1]), &[Some(Hash(p[2])), Some(Hash(p[3]))], &Hash(p[4]))
        };
        let mut flipped = parts;
        flipped[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(make(&parts), make(&flipped));
        let swapped = [parts[0], parts[1], parts[3], parts[2], parts[4]];
        prop_assert!(parts[2] == parts[3] || make(&parts) != make(&swapped), "the order of nonces counts");
    }
}

/// Pearson's statistic of `counts` against equal expectations.
fn chi_square(counts: &[u32]) -> f64 {
    let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    counts
        .iter()
        .map(|c| (f64::from(*c) - expected).powi(2) / expected)
        .sum()
}

#[test]
fn every_tile_is_equally_likely() {
    for (s, n) in [(1, 7), (3, 100), (16, 64), (60, 64)] {
        let mut counts = vec![0_u32; n as usize];
        for i in 0..4_000_u32 {
            for tile in tiles(&Hash::of(&i.to_le_bytes()), &key(1), s, n) {
                counts[tile as usize] += 1;
            }
        }
        // Mean n - 1, deviation sqrt(2 (n - 1)); drawing without repetition only narrows it.
        let freedom = f64::from(n - 1);
        let limit = freedom + 5.0 * (2.0 * freedom).sqrt();
        assert!(
            chi_square(&counts) < limit,
            "{s} of {n}: {} > {limit}",
            chi_square(&counts)
        );
    }
}

#[test]
fn no_peer_is_first_witness_never_or_most_of_the_time() {
    let peers: Vec<_> = (0..20).map(key).collect();
    let mut counts = vec![0_u32; peers.len()];
    let job = JobId(Hash::of(b"job"));
    for i in 0..20_000_u32 {
        let target = witness_target(&job, i, &key(1_000));
        let first = ranks(&peers, &key(1_000), &target)[0];
        counts[peers.iter().position(|p| *p == first).expect("one of them")] += 1;
    }
    // 1,000 each, and a standard deviation of 31.
    assert!(
        counts.iter().all(|c| (800..1_200).contains(c)),
        "{counts:?}"
    );
}

#[test]
fn keys_that_were_looked_for_are_not_drawn_together() {
    // Of 100 peers ten whose positions begin with the same byte: 2,560 keys give as many.
    let near = |n: &u16| key(*n).position().0[0] == 7;
    let ground: Vec<_> = (1_000..u16::MAX).filter(near).take(10).map(key).collect();
    let peers: Vec<_> = (0..90).map(key).chain(ground.iter().copied()).collect();
    let job = JobId(Hash::of(b"job"));
    let drawn = |slice: u32| {
        let target = witness_target(&job, slice, &key(999));
        let first = ranks(&peers, &key(999), &target);
        first[..8].iter().filter(|p| ground.contains(p)).count()
    };
    let most = (0..10_000).map(drawn).max();
    // Of independent draws six or more of eight are one in 200,000; by distance all eight were.
    assert!(most <= Some(6), "{most:?} of eight");
}

#[test]
fn stewards_hand_out_slices_in_different_orders() {
    let job = JobId(Hash::of(b"job"));
    let order = |steward: u16| {
        let mut slices: Vec<u32> = (0..100).collect();
        slices.sort_by_key(|s| rendezvous(&key(steward), &job, *s));
        slices
    };
    assert_eq!(order(1), order(1));
    let (a, b) = (order(1), order(2));
    let same = a.iter().zip(&b).filter(|(x, y)| x == y).count();
    assert!(same < 10, "{same} of 100 places are equal");
}
