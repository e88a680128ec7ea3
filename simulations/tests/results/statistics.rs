//! Statistics against published tables.

use starling_sim::results::binomial_interval;
use starling_sim::results::stats::{
    Sample, incomplete_beta, quantile, t_quantile, welch, wilson_interval,
};

#[track_caller]
fn near(found: f64, wanted: f64, within: f64) {
    assert!(
        (found - wanted).abs() <= within,
        "{found} is not {wanted} within {within}"
    );
}

#[test]
fn students_t_is_that_of_the_tables() {
    // Abramowitz and Stegun, table 26.10, with more digits from R's qt.
    for (freedom, wanted) in [
        (1.0, 12.706_205),
        (2.0, 4.302_653),
        (3.0, 3.182_446),
        (10.0, 2.228_139),
        (30.0, 2.042_272),
        (120.0, 1.979_930),
        (f64::INFINITY, 1.959_964),
    ] {
        near(t_quantile(0.975, freedom), wanted, 1e-6);
        near(t_quantile(0.025, freedom), -wanted, 1e-6);
    }
    near(t_quantile(0.95, 5.0), 2.015_048, 1e-6);
    // Either side of the switch to the normal distribution.
    near(t_quantile(0.975, 0.9e8), t_quantile(0.975, 1.1e8), 4e-8);
    near(t_quantile(0.975, 1e6), 1.959_966, 1e-6);
    near(t_quantile(0.5, 4.0), 0.0, 1e-9);
}

#[test]
fn the_incomplete_beta_function_has_its_known_values() {
    // I_x(1, 1) = x, I_x(2, 3) = 6x^2 - 8x^3 + 3x^4, and symmetry.
    near(incomplete_beta(1.0, 1.0, 0.3), 0.3, 1e-14);
    let x: f64 = 0.4;
    near(
        incomplete_beta(2.0, 3.0, x),
        6.0 * x * x - 8.0 * x * x * x + 3.0 * x * x * x * x,
        1e-14,
    );
    near(
        incomplete_beta(7.5, 0.5, 0.9),
        1.0 - incomplete_beta(0.5, 7.5, 0.1),
        1e-13,
    );
}

#[test]
fn means_have_their_spread() {
    let sample = Sample::of(&[2.0, 4.0, f64::NAN, 6.0]).unwrap();
    assert_eq!(
        (sample.n, sample.mean, sample.variance),
        (3, 4.0, Some(4.0))
    );
    near(
        sample.half_width().unwrap(),
        4.302_653 * 2.0 / 3.0_f64.sqrt(),
        1e-5,
    );
    assert_eq!(Sample::of(&[5.0]).unwrap().half_width(), None);
    assert_eq!(Sample::of(&[f64::NAN]), None);
    // A spread that is small beside the mean must not drown.
    let far = Sample::of(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0]).unwrap();
    assert_eq!(far.variance, Some(1.0));
}

#[test]
fn quantiles_lie_between_neighbours() {
    let figures = [4.0, 1.0, 3.0, 2.0, f64::NAN];
    assert_eq!(quantile(&figures, 0.5), Some(2.5));
    near(quantile(&figures, 0.95).unwrap(), 3.85, 1e-12);
    assert_eq!(
        (quantile(&figures, 0.0), quantile(&figures, 1.0)),
        (Some(1.0), Some(4.0))
    );
    assert_eq!(quantile(&[], 0.5), None);
}

#[test]
fn welch_is_that_of_r() {
    // R's sleep data, t.test(extra ~ group): t = -1.8608, df = 17.776, interval -3.3654832 to 0.2054832 for 1 less 2.
    let first = Sample::of(&[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]).unwrap();
    let second = Sample::of(&[1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]).unwrap();
    let found = welch(&first, &second).unwrap();
    near(found.difference, 1.58, 1e-12);
    near(found.low, -0.205_483_2, 1e-7);
    near(found.high, 3.365_483_2, 1e-7);
    assert_eq!(welch(&first, &Sample::of(&[1.0]).unwrap()), None);
    let same = Sample::of(&[2.0, 2.0]).unwrap();
    assert_eq!(
        welch(&same, &same).map(|d| (d.low, d.high)),
        Some((0.0, 0.0))
    );
}

#[test]
fn intervals_for_shares_are_those_of_the_books() {
    // R: binom.test(7, 20) gives 0.1539092 to 0.5921885; binom.test(0, 10) gives 0 to 0.3084971.
    let (low, high) = binomial_interval(7, 20, 1);
    near(low, 0.153_909_2, 1e-7);
    near(high, 0.592_188_5, 1e-7);
    let (low, high) = binomial_interval(0, 10, 1);
    assert_eq!(low, 0.0);
    near(high, 0.308_497_1, 1e-7);
    // None of n: 1 - 0.025^(1/n), whatever the n.
    let (_, high) = binomial_interval(0, 1_000_000, 1);
    near(high, 3.688_872_6e-6, 1e-12);
    assert_eq!(binomial_interval(10, 10, 1).1, 1.0);
    assert_eq!(binomial_interval(0, 0, 1), (0.0, 1.0));
    // Of eight together: where the binomial sums are 0.025 / 8.
    let (low, high) = binomial_interval(7, 20, 8);
    near(low, 0.104_803_956, 1e-8);
    near(high, 0.672_483_422, 1e-8);
    let (low, high) = binomial_interval(500_000_000, 1_000_000_000, 1);
    near(high - low, 2.0 * 1.959_964 * 0.5 / 1e9_f64.sqrt(), 1e-8);

    // Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, and 0 of 20.
    let (low, high) = wilson_interval(81, 263);
    near(low, 0.2553, 5e-5);
    near(high, 0.3662, 5e-5);
    let (low, high) = wilson_interval(0, 20);
    assert_eq!(low, 0.0);
    near(high, 0.1611, 5e-5);
}

/// Counts, over every outcome, how often the exact interval holds the true share.
#[test]
fn the_exact_interval_holds_the_truth_as_often_as_it_says() {
    let n = 30_u64;
    for share in [0.01_f64, 0.1, 0.37, 0.5, 0.9] {
        let mut held = 0.0;
        let mut chance = (1.0 - share).powi(30);
        for k in 0..=n {
            let (low, high) = binomial_interval(k, n, 1);
            if (low..=high).contains(&share) {
                held += chance;
            }
            chance *= (n - k) as f64 / (k + 1) as f64 * share / (1.0 - share);
        }
        assert!(held >= 0.95, "{share}: {held}");
    }
}
