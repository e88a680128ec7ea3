//! The rules of canonical form on the CPU, and how far the fixed polynomials are from the truth.

use proptest::prelude::*;
use starling_kernels::canon::{Canon, Real, Vec3, sum32};

const HUGE: f32 = 1.267_650_6e30; // 2^100
const TINY: f32 = 1.0 / HUGE;
const UNIT: f64 = 1.0 / (1u128 << 123) as f64;

fn canon(x: f32) -> Canon {
    Canon::new(x)
}

/// What products, quotients and loads give.
fn is_flushed(x: Canon) -> bool {
    x.to_bits() == 0 || (TINY..=HUGE).contains(&x.to_f32().abs())
}

/// What every canonical value is.
fn is_canonical(x: Canon) -> bool {
    let x = x.to_f32();
    x.is_finite() && x.to_bits() != 0x8000_0000 && (f64::from(x) / UNIT).fract() == 0.0
}

#[test]
fn loading() {
    let below = f32::from_bits(TINY.to_bits() - 1);
    for x in [
        0.0,
        -0.0,
        1e-45,
        -1e-45,
        1e-37,
        below,
        -below,
        f32::NAN,
        -f32::NAN,
    ] {
        assert_eq!(canon(x).to_bits(), 0, "{x:e}");
    }
    for x in [TINY, -TINY, 1.0, -1.0, HUGE, -HUGE] {
        assert_eq!(canon(x).to_bits(), x.to_bits(), "{x:e}");
    }
    for x in [f32::from_bits(HUGE.to_bits() + 1), f32::MAX, f32::INFINITY] {
        assert_eq!(canon(x).to_f32(), HUGE, "{x:e}");
        assert_eq!(canon(-x).to_f32(), -HUGE, "{x:e}");
    }
}

#[test]
fn there_is_no_nan_no_infinity_and_no_negative_zero() {
    let (zero, one, huge, tiny) = (canon(0.0), canon(1.0), canon(HUGE), canon(TINY));
    let zeros = [
        zero / zero,
        huge - huge,
        (-one).sqrt(),
        -zero,
        -one * zero,
        zero / -one,
        tiny * tiny,
        tiny / -huge,
        canon(-0.3) - canon(-0.3),
        (-zero).floor(),
        canon(0.5).floor(),
        canon(-80.0).exp(),
    ];
    for (x, i) in zeros.into_iter().zip(0..) {
        assert_eq!(x.to_bits(), 0, "case {i}");
    }
    assert_eq!(huge * huge, huge);
    assert_eq!(-huge / tiny, -huge);
    assert_eq!(-one / -zero, -huge, "zero has no sign");
    assert_eq!(canon(80.0).exp(), huge);
    assert_eq!(zero.ln(), -huge);
    assert_eq!((-one).ln(), -huge);
    assert_eq!(Vec3::<Canon>::ZERO.normalize(), Vec3::ZERO);
}

#[test]
fn integers() {
    assert_eq!(Canon::from_u32(u32::MAX).to_f32(), 4_294_967_296.0);
    assert_eq!(
        Canon::from_u32(0x0100_0001).to_f32(),
        16_777_216.0,
        "ties to even"
    );
    assert_eq!(
        Canon::from_u32(0x0100_0003).to_f32(),
        16_777_220.0,
        "ties to even"
    );
    assert_eq!(canon(-3.7).to_u32(), 0);
    assert_eq!(canon(3.7).to_u32(), 3);
    assert_eq!(canon(HUGE).to_u32(), 4_294_967_040);
}

#[test]
fn the_tree_of_a_sum_is_fixed() {
    // 2^24 swallows a one, so that the order of the additions shows in the result.
    let at = |pairs: &[(usize, f32)]| {
        let mut v = [canon(0.0); 32];
        for &(i, x) in pairs {
            v[i] = canon(x);
        }
        sum32(v).to_f32()
    };
    let big = 16_777_216.0;
    assert_eq!(
        at(&[(0, big), (16, 1.0), (1, 1.0)]),
        big,
        "each one meets the big one alone"
    );
    assert_eq!(
        at(&[(0, big), (1, 1.0), (17, 1.0)]),
        big + 2.0,
        "the ones meet first"
    );
}

fn any_f32() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_are_canonical(x in any_f32(), y in any_f32()) {
        let (x, y) = (canon(x), canon(y));
        // Sums as operands reach farther than loaded values.
        for (a, b) in [(x, y), (x + y, x - y)] {
            let flushed = [a * b, a / b, a.exp()];
            let others = [
                a + b, a - b, -a, a.sqrt(), a.ln(), a.sin(), a.cos(), a.floor(), a.abs(), a.min(b), a.max(b),
                Canon::from_u32(x.to_bits()),
            ];
            for (r, i) in flushed.into_iter().chain(others).zip(0..) {
                prop_assert!(is_canonical(r), "operation {} of {:?}, {:?}: {:?}", i, a, b, r);
                prop_assert!(i >= flushed.len() || is_flushed(r), "operation {} of {:?}, {:?}: {:?}", i, a, b, r);
            }
        }
    }

    #[test]
    fn within_range_operations_are_the_ieee_ones(x in any_f32(), y in any_f32()) {
        let (a, b) = (canon(x), canon(y));
        let (x, y) = (a.to_f32(), b.to_f32());
        prop_assert_eq!((a + b).to_f32(), x + y);
        prop_assert_eq!((a - b).to_f32(), x - y);
        prop_assert_eq!(a.abs().sqrt().to_f32(), x.abs().sqrt());
        for (canonical, native) in [(a * b, x * y), (a / b, x / y)] {
            if (TINY..=HUGE).contains(&native.abs()) {
                prop_assert_eq!(canonical.to_f32(), native);
            }
        }
    }
}

/// Distance in units of the last place of the nearest f32 to the truth.
fn ulps(got: f32, truth: f64) -> f64 {
    let nearest = truth as f32;
    let ulp = f64::from(f32::from_bits(nearest.abs().to_bits() + 1)) - f64::from(nearest.abs());
    (f64::from(got) - truth).abs() / ulp
}

/// Largest error over `n` arguments spread over a range, and where.
fn worst(range: (f32, f32), error: impl Fn(f32) -> f64) -> (f64, f32) {
    let n = 2_000_000;
    let at = |i: i32| range.0 + (range.1 - range.0) * (i as f32 / n as f32);
    let errors = (0..=n).map(|i| (error(at(i)), at(i)));
    errors.fold((0.0, 0.0), |worst, e| if e.0 > worst.0 { e } else { worst })
}

#[test]
fn accuracy_of_the_polynomials() {
    let measure = |name: &str, range, bound: f64, error: &dyn Fn(f32) -> f64| {
        let (worst, at) = worst(range, error);
        eprintln!("{name} on {range:?}: {worst:.3e} at {at:e}");
        assert!(worst <= bound, "{name}: {worst} at {at:e}");
    };
    measure("exp ulp", (-69.3, 69.3), 1.5, &|x| {
        ulps(canon(x).exp().to_f32(), f64::from(x).exp())
    });
    measure("log ulp", (1e-30, 4.0), 1.0, &|x| {
        ulps(canon(x).ln().to_f32(), f64::from(x).ln())
    });
    measure("log ulp", (0.5, 1e30), 1.0, &|x| {
        ulps(canon(x).ln().to_f32(), f64::from(x).ln())
    });
    for range in [(-7.0, 7.0), (-8192.0, 8192.0)] {
        measure("sin absolute", range, 1.2e-7, &|x| {
            (f64::from(canon(x).sin().to_f32()) - f64::from(x).sin()).abs()
        });
        measure("cos absolute", range, 1.2e-7, &|x| {
            (f64::from(canon(x).cos().to_f32()) - f64::from(x).cos()).abs()
        });
    }
    let quarter = std::f32::consts::FRAC_PI_4;
    measure("sin ulp", (1e-3, quarter), 1.5, &|x| {
        ulps(canon(x).sin().to_f32(), f64::from(x).sin())
    });
    measure("cos ulp", (-quarter, quarter), 1.5, &|x| {
        ulps(canon(x).cos().to_f32(), f64::from(x).cos())
    });
}
