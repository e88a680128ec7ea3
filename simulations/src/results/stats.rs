//! The statistics of the reports: means with their intervals, Welch's test, intervals for shares.
//!
//! It knows nothing of cells or metrics. Transcendental functions come from `libm`, sums run in the order given and
//! quantiles are found by bisection, so that the same figures give the same bits on every platform.

use serde::{Deserialize, Serialize};

/// The normal quantile of 0.975.
const Z: f64 = 1.959_963_984_540_054;

/// Mean and spread of some figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// How many figures.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their unbiased variance; none below two figures.
    pub variance: Option<f64>,
}

impl Sample {
    /// Of the finite ones of `figures`; nothing where none is.
    #[must_use]
    pub fn of(figures: &[f64]) -> Option<Self> {
        let finite: Vec<f64> = figures.iter().copied().filter(|f| f.is_finite()).collect();
        let n = finite.len();
        let mean = (n > 0).then(|| finite.iter().sum::<f64>() / n as f64)?;
        // Two passes: the one-pass formula loses everything when the mean is large beside the spread.
        let squares: f64 = finite.iter().map(|f| (f - mean) * (f - mean)).sum();
        let variance = (n > 1).then(|| squares / (n - 1) as f64);
        Some(Self { n, mean, variance })
    }

    /// Half the width of the mean's 95 % interval by Student's t; none below two figures.
    #[must_use]
    pub fn half_width(&self) -> Option<f64> {
        let variance = self.variance?;
        let quantile = t_quantile(0.975, (self.n - 1) as f64);
        Some(quantile * (variance / self.n as f64).sqrt())
    }
}

/// The `p` quantile (0 to 1) of the finite ones of `figures`, between neighbours in a straight line (Hyndman and
/// Fan's type 7, which numpy and R use too).
#[must_use]
pub fn quantile(figures: &[f64], p: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = figures.iter().copied().filter(|f| f.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = p.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (at - at.floor()) * (sorted[above] - sorted[below]))
}

/// A 95 % interval for the difference of two means.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The second mean less the first.
    pub difference: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// Welch's interval for `b`'s mean less `a`'s (B. L. Welch, Biometrika 34, 1947, with Satterthwaite's degrees of
/// freedom). None where either has below two figures. Without any spread the interval is a point.
#[must_use]
pub fn welch(a: &Sample, b: &Sample) -> Option<Difference> {
    let (va, vb) = (a.variance? / a.n as f64, b.variance? / b.n as f64);
    let difference = b.mean - a.mean;
    let half = if va + vb > 0.0 {
        let freedom =
            (va + vb) * (va + vb) / (va * va / (a.n - 1) as f64 + vb * vb / (b.n - 1) as f64);
        t_quantile(0.975, freedom) * (va + vb).sqrt()
    } else {
        0.0
    };
    Some(Difference {
        difference,
        low: difference - half,
        high: difference + half,
    })
}

/// Wilson's 95 % interval for a share (E. B. Wilson, JASA 22, 1927): short, and right on average. (0, 1) of none.
#[must_use]
pub fn wilson_interval(successes: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = trials as f64;
    let share = successes.min(trials) as f64 / n;
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

/// The exact interval for one of `shares` that are compared together (C. J. Clopper and E. S. Pearson, Biometrika 26,
/// 1934): all of them hold the true shares at least 95 times in 100, whatever those are (Bonferroni's inequality; O. J.
/// Dunn, JASA 56, 1961). (0, 1) of no trials; more successes than trials count as all.
#[must_use]
pub fn binomial_interval(successes: u64, trials: u64, shares: usize) -> (f64, f64) {
    let tail = 0.025 / shares.max(1) as f64;
    let successes = successes.min(trials);
    let (k, rest) = (successes as f64, (trials - successes) as f64);
    // The interval's ends are quantiles of beta distributions.
    let low = match successes {
        0 => 0.0,
        _ => bisect(0.0, 1.0, |p| incomplete_beta(k, rest + 1.0, p) < tail),
    };
    let high = match trials - successes {
        0 => 1.0,
        _ => bisect(0.0, 1.0, |p| incomplete_beta(k + 1.0, rest, p) < 1.0 - tail),
    };
    (low, high)
}

/// The `p` quantile (0 to 1, exclusive) of Student's t with `freedom` degrees of freedom, which need not be whole and
/// may be infinite.
#[must_use]
pub fn t_quantile(p: f64, freedom: f64) -> f64 {
    if p < 0.5 {
        return -t_quantile(1.0 - p, freedom);
    }
    let mut top = 2.0;
    while t_distribution(top, freedom) < p && top < 1e300 {
        top *= 2.0;
    }
    bisect(0.0, top, |t| t_distribution(t, freedom) < p)
}

/// The chance of Student's t to be at most `t`, which is at least 0.
fn t_distribution(t: f64, freedom: f64) -> f64 {
    // Beyond this the fraction loses more digits than the normal distribution is off, which is 3e-8.
    if freedom > 1e8 {
        return 1.0 - 0.5 * libm::erfc(t / core::f64::consts::SQRT_2);
    }
    // Abramowitz and Stegun 26.7.1 and 26.5.27, from the side on which x keeps its digits.
    let square = t * t;
    0.5 + 0.5 * incomplete_beta(0.5, 0.5 * freedom, square / (freedom + square))
}

/// Where `below` turns from true to false between `low` and `high`, to the last bit.
fn bisect(mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function I_x(a, b), by the continued fraction of DLMF 8.17.22 with Lentz's method
/// as in Press et al., Numerical Recipes, 3rd edition, section 6.4.
#[must_use]
pub fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return f64::from(u8::from(x >= 1.0));
    }
    let front = a * libm::log(x) + b * libm::log1p(-x) - ln_beta(a, b);
    // The fraction converges fast on one side of the mean; the other side comes by symmetry.
    if x < (a + 1.0) / (a + b + 2.0) {
        libm::exp(front) * beta_fraction(a, b, x) / a
    } else {
        1.0 - libm::exp(front) * beta_fraction(b, a, 1.0 - x) / b
    }
}

/// The logarithm of the beta function. Differences of large lgamma lose all digits, so Stirling's series (DLMF 5.11.1)
/// is subtracted by hand.
fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    if large < 10.0 {
        return libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
    }
    let rest = |x: f64| {
        let square = x * x;
        (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * square)) / square) / square)
            / x
    };
    let sum = large + small;
    let grown =
        (sum - 0.5) * libm::log1p(small / large) + small * (libm::log(large) - 1.0) + rest(sum)
            - rest(large);
    libm::lgamma(small) - grown
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    // Steps grow with the root of the larger parameter: enough for 10^9.
    for step in 1..200_000_u32 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        value *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        value *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}
