use starling_sim::validate::{epidemic, final_share, hops_with, mean_hops};

#[test]
fn the_hop_theory_agrees_with_cases_done_by_hand() {
    // Everybody fits into a bucket: one hop.
    assert!((mean_hops(20, 20) - 1.0).abs() < 1e-12);
    // Three peers, buckets of one. The other peer shares the asker's bucket for the target with probability 1/3:
    // it agrees with the target and not with the asker, sum of 4^-j / 4. Then it is asked first half the time.
    assert!((mean_hops(3, 1) - (1.0 + 1.0 / 3.0 / 2.0)).abs() < 1e-9);
    // More peers, more hops; larger buckets, fewer.
    assert!(mean_hops(4_000, 8) > mean_hops(1_000, 8));
    assert!(mean_hops(4_000, 20) < mean_hops(4_000, 8));
}

#[test]
fn lookups_take_as_many_hops_as_theory_says() {
    for (n, k) in [(1_000, 1), (1_000, 8), (3_000, 20)] {
        let check = hops_with(n, k, 10_000, 11).check();
        assert!(check.ok(), "{check:?}");
    }
}

#[test]
fn the_final_share_solves_its_equation() {
    assert_eq!(final_share(0.9), 0.0);
    for r0 in [1.2, 2.0, 5.0] {
        let r = final_share(r0);
        assert!(r > 0.0 && (r - 1.0 + (-r0 * r).exp()).abs() < 1e-9);
    }
    // The textbook value for two.
    assert!((final_share(2.0) - 0.796_812).abs() < 1e-6);
}

#[test]
fn gossip_reaches_as_many_as_epidemic_theory_says() {
    let check = epidemic(10_000, 3, 0.2, 5, 12);
    assert!(check.taken_off >= 6, "{check:?}");
    assert!(check.check().ok(), "{check:?}");
    // Without loss it would reach more: the check sees the loss model.
    assert!(final_share(3.0) / check.theory > 1.05);
}
