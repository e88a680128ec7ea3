//! Any sources in any order: nothing is lost, nothing is counted twice, and it ends.

use proptest::prelude::*;

use super::{PieceId, Plan, SPAN_BYTES};
use crate::blobs::GROUP_BYTES;

const LONG: u64 = 16 * SPAN_BYTES + 5;

#[test]
fn a_single_source_is_asked_for_everything_at_once() {
    let mut plan = Plan::new(LONG);
    assert!(plan.has_work(false) && !plan.complete());
    let (id, range) = plan.take(false).unwrap();
    assert_eq!(range, 0..LONG);
    assert!(plan.advance(id, GROUP_BYTES) && !plan.proven());
    assert!(!plan.advance(id, LONG), "it is done");
    assert!(plan.complete() && plan.proven());
    assert!(Plan::new(0).complete() && Plan::new(0).proven());
}

#[test]
fn the_largest_piece_is_halved_until_halves_are_short() {
    let mut plan = Plan::new(LONG);
    let mut pieces: Vec<_> = (0..64).map_while(|_| plan.take(false)).collect();
    assert_eq!(pieces.len(), 16, "{pieces:?}");
    assert!(!plan.has_work(false) && plan.has_work(true));
    // The first owner was told to stop where the first half ends.
    assert!(!plan.advance(pieces[0].0, pieces[1].1.start));
    pieces.sort_by_key(|(_, range)| range.start);
    for pair in pieces.windows(2) {
        assert_eq!(pair[0].1.start % GROUP_BYTES, 0);
        assert!(pair[1].1.start - pair[0].1.start >= SPAN_BYTES / 2);
    }
}

#[test]
fn what_is_short_has_one_source_and_a_second_one_only_when_it_is_late() {
    let mut plan = Plan::new(SPAN_BYTES);
    let (id, _) = plan.take(false).unwrap();
    assert_eq!((plan.shares(), plan.take(false)), (1, None));
    plan.advance(id, GROUP_BYTES);
    assert_eq!(plan.take(true), Some((id, GROUP_BYTES..SPAN_BYTES)));
    assert_eq!(plan.take(true), None, "two are enough");
    plan.give_back(id);
    assert!(!plan.has_work(false), "the other one is still at it");
    plan.give_back(id);
    assert_eq!(plan.take(false).unwrap().1, GROUP_BYTES..SPAN_BYTES);
}

#[test]
fn the_last_group_alone_proves_the_length() {
    for len in [1, GROUP_BYTES, GROUP_BYTES + 1, LONG] {
        let mut plan = Plan::last_group(len);
        let (id, range) = plan.take(false).unwrap();
        assert!(range.end - range.start <= GROUP_BYTES && range.end == len);
        assert!(!plan.advance(id, len));
        assert!(plan.proven());
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Take(bool),
    Advance(usize, u64),
    GiveBack(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<bool>().prop_map(Step::Take),
        (any::<usize>(), 1u64..400).prop_map(|(who, groups)| Step::Advance(who, groups)),
        any::<usize>().prop_map(Step::GiveBack),
    ]
}

proptest! {
    #[test]
    fn every_byte_is_brought_whatever_sources_do(len in 0u64..60_000_000, steps in prop::collection::vec(step(), 0..200)) {
        let mut plan = Plan::new(len);
        let mut here = vec![false; len.div_ceil(GROUP_BYTES) as usize];
        // Who fetches what, and how far each one is.
        let mut sources: Vec<(PieceId, u64, u64)> = Vec::new();
        let mut bring = |plan: &mut Plan, (id, at, end): &mut (PieceId, u64, u64), groups: u64| {
            let to = (*at / GROUP_BYTES + groups).saturating_mul(GROUP_BYTES).min(*end);
            for group in *at / GROUP_BYTES..to.div_ceil(GROUP_BYTES) {
                here[group as usize] = true;
            }
            *at = to;
            plan.advance(*id, to)
        };
        for step in steps {
            match step {
                Step::Take(double) => {
                    let had = plan.has_work(double);
                    let taken = plan.take(double);
                    prop_assert_eq!(had, taken.is_some());
                    sources.extend(taken.map(|(id, range)| (id, range.start, range.end)));
                }
                Step::Advance(who, groups) if !sources.is_empty() => {
                    let who = who % sources.len();
                    if !bring(&mut plan, &mut sources[who], groups) {
                        let (id, ..) = sources.swap_remove(who);
                        plan.give_back(id);
                    }
                }
                Step::GiveBack(who) if !sources.is_empty() => {
                    let (id, ..) = sources.swap_remove(who % sources.len());
                    plan.give_back(id);
                }
                Step::Advance(..) | Step::GiveBack(_) => {}
            }
        }
        for (id, ..) in sources.drain(..) {
            plan.give_back(id);
        }
        while let Some((id, range)) = plan.take(false) {
            let mut source = (id, range.start, range.end);
            while bring(&mut plan, &mut source, 50) {}
        }
        prop_assert!(plan.complete());
        prop_assert!(plan.proven());
        prop_assert!(here.iter().all(|group| *group), "a group is missing");
    }
}
