use super::*;
use crate::codec;
use crate::hash::Hash;
use alloc::format;

const DAY_S: u64 = 24 * 60 * 60;

fn key(n: u32) -> PeerKey {
    PeerKey(Hash::of(&n.to_le_bytes()))
}

/// A standing after `slices` valid ones for so many requesters.
fn worker(slices: u32, requesters: u32) -> Standing {
    let mut standing = Standing::default();
    for n in 0..slices {
        standing.saw("render", key(n % requesters), Deed::Valid, 0);
    }
    standing
}

#[test]
fn trust_needs_ten_slices_for_three_requesters_in_the_class() {
    assert_eq!(worker(9, 3).trust("render", 0), None);
    assert_eq!(worker(10, 2).trust("render", 0), None);
    assert_eq!(worker(10, 3).trust("render", 0), Some(10));
    assert_eq!(worker(10, 3).trust("matmul", 0), None);
    assert_eq!(worker(10, 9).work[0].requesters.len(), 3, "bounded");
}

#[test]
fn an_own_audit_counts_as_a_receipt_does() {
    let mut standing = worker(9, 3);
    standing.saw("render", key(0), Deed::Audited, 0);
    assert_eq!(standing.trust("render", 0), Some(10));
}

#[test]
fn whoever_is_caught_starts_again_and_is_not_trusted_before_its_mark_is_gone() {
    for (reason, forgiven) in [
        (Reason::Refuted, false),
        (Reason::WrongOutput, false),
        (Reason::TwoRoots, false),
        (Reason::NoOpening, true),
    ] {
        let mut standing = worker(50, 3);
        standing.saw("render", key(0), Deed::Caught(reason), 0);
        assert_eq!(standing.trust("render", 0), None);
        assert_eq!(standing.is_convicted(0), !forgiven, "{reason:?}");
        (0..10).for_each(|n| standing.saw("render", key(n % 3), Deed::Valid, 0));
        assert_eq!(standing.trust("render", 0).is_some(), forgiven);
        assert!(standing.trust("render", 0).is_none() || standing.work[0].cv == 10);
    }
    let mut twice = worker(50, 3);
    (0..2).for_each(|_| twice.saw("render", key(0), Deed::Caught(Reason::NoOpening), 0));
    assert!(twice.is_convicted(0));
}

#[test]
fn trust_halves_in_a_week_and_marks_in_a_month() {
    let mut standing = worker(40, 3);
    standing.saw("matmul", key(0), Deed::Caught(Reason::Refuted), 0);
    let cv = |days: u64| standing.work[0].cv(days * DAY_S);
    assert_eq!([6, 7, 14, 21, 365].map(cv), [40, 20, 10, 5, 0]);
    assert!(standing.is_convicted(29 * DAY_S));
    assert!(!standing.is_convicted(30 * DAY_S));
    let mut auditor = Standing::default();
    auditor.saw("render", key(0), Deed::Void, 0);
    // What comes later does not make the mark younger.
    auditor.saw("render", key(0), Deed::Answered, 29 * DAY_S);
    assert!(auditor.is_unfit(29 * DAY_S));
    assert!(!auditor.is_unfit(30 * DAY_S));
}

#[test]
fn the_table_is_bounded_and_forgets_no_liar_for_a_stranger() {
    let mut table = BTreeMap::new();
    let mut liar = Standing::default();
    liar.saw("render", key(0), Deed::Caught(Reason::Refuted), 0);
    keep(&mut table, key(u32::MAX), liar, 0);
    keep(&mut table, key(u32::MAX - 1), worker(20, 3), 0);
    for n in 0..config::REPUTATION_MAX as u32 + 100 {
        let mut stranger = Standing::default();
        stranger.saw("render", key(0), Deed::Answered, u64::from(n));
        keep(&mut table, key(n), stranger, u64::from(n));
    }
    assert_eq!(table.len(), config::REPUTATION_MAX);
    assert!(table.contains_key(&key(u32::MAX)), "who lied");
    assert!(table.contains_key(&key(u32::MAX - 1)), "who is known best");
    assert!(!table.contains_key(&key(0)), "the oldest of the others");
    // In a year nothing is left of either.
    for n in 0..config::REPUTATION_MAX as u32 {
        let mut stranger = Standing::default();
        let later = 365 * DAY_S + u64::from(n);
        stranger.saw("render", key(0), Deed::Answered, later);
        keep(&mut table, key(1_000_000 + n), stranger, later);
    }
    assert!(!table.contains_key(&key(u32::MAX)));
    assert!(!table.contains_key(&key(u32::MAX - 1)));
    let mut classes = Standing::default();
    for n in 0..100 {
        classes.saw(&format!("class {n}"), key(0), Deed::Valid, n);
    }
    assert_eq!(classes.work.len(), config::REPUTATION_CLASSES_MAX);
}

#[test]
fn a_record_gives_the_standing_back() {
    let mut standing = worker(12, 3);
    standing.saw("matmul", key(0), Deed::Caught(Reason::TwoRoots), 7);
    standing.saw("matmul", key(0), Deed::FalseAccusation, 8);
    let (peer, boxed) = (key(9), Box::new(standing.clone()));
    let record = Record::Standing {
        peer,
        standing: boxed,
    };
    let bytes = codec::encode(&record);
    assert!(bytes.len() < 256, "{}", bytes.len());
    let mut reputation = Reputation::default();
    reputation.restore(&codec::decode(&bytes, 4096).expect("what was encoded"), 9);
    assert_eq!(reputation.get(&peer), Some(&standing));
    assert!(reputation.is_convicted(&peer, 9));
    assert!(reputation.is_unfit(&peer, 9));
}

#[test]
fn reasons_say_what_is_missing() {
    let said = |s: &Standing| {
        let view = ReputationView::new(key(1), s, 0);
        view.causes.first().map(|c| format!("{c}"))
    };
    assert_eq!(
        said(&worker(4, 3)).as_deref(),
        Some("newcomer in render: 4 of 10 consecutive valid slices")
    );
    assert_eq!(
        said(&worker(12, 2)).as_deref(),
        Some("newcomer in render: slices for 2 of 3 requesters")
    );
    assert_eq!(
        said(&worker(12, 3)).as_deref(),
        Some("trusted in render: audited less")
    );
    let mut liar = worker(12, 3);
    liar.saw("render", key(0), Deed::Caught(Reason::Refuted), 0);
    assert_eq!(
        said(&liar).as_deref(),
        Some("caught lying (1x): a recomputed tile differs from the worker's")
    );
}
