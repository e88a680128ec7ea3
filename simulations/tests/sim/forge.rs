//! What a requester that owns a share of its roster can make by itself.

use starling_protocol::manifest::Intensity;
use starling_sim::forge::{Forger, Strengths, Wanted};

fn wanted(k: u8, s: u16) -> Wanted {
    let intensity = Intensity { k, s, p_full: 0 };
    let weak = false;
    Wanted { intensity, weak }
}

/// Keys that stand together are drawn together: no flag shows it, only that nobody knows the committee.
#[test]
fn a_receipt_for_nothing_is_valid_without_a_flag_and_has_no_strength() {
    let forger = Forger::new(64, 0.33, 1);
    let forged = forger.forge(wanted(8, 1)).expect("it verifies");
    let forged = forged.expect("it takes some tries");
    assert_eq!(forged.verified.flags.names().next(), None);
    assert!(forged.verified.committee.len() >= 6);
    let strengths = Strengths::of([(&forged.verified, &forger.honest)].into_iter());
    assert_eq!((strengths.all, strengths.least), (0.0, 0));
}

#[test]
fn who_has_fewer_keys_than_a_quorum_forges_nothing() {
    let forger = Forger::new(41, 0.1, 1);
    let forged = forger.forge(wanted(16, 2));
    assert!(forged.expect("nothing that fails to verify").is_none());
}
