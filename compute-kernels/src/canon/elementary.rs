//! exp, ln, sin and cos as fixed sequences of canonical operations: twins of `c_exp`, `c_log`, `c_circle`.
//!
//! Reductions and minimax coefficients are those of the Cephes single-precision library (S. L. Moshier, `expf.c`,
//! `logf.c`, `sinf.c`): ln 2 and pi/2 are split into parts with few bits, so that products with the integer part
//! are exact. The order of operations is part of the canonical rules. Largest errors as `tests/canonical_floats.rs`
//! measures them against f64: exp 0.98 ulp, ln 0.80 ulp, sin and cos 9.3e-8 for |x| <= 8192 (0.77 and 1.24 ulp for
//! |x| <= pi/4).

#![expect(
    clippy::excessive_precision,
    reason = "coefficients stand as published, and as in canon.wgsl"
)]

use super::{Canon, HUGE, Real};

/// ln 2 = LN2_HI + LN2_LO; LN2_HI has 9 significant bits.
const LN2_HI: Canon = Canon(0.693359375);
const LN2_LO: Canon = Canon(-2.12194440e-4);
const HALF: Canon = Canon(0.5);

#[inline(always)]
fn poly(x: Canon, coefficients: &[f32]) -> Canon {
    let mut sum = Canon(coefficients[0]);
    for &c in &coefficients[1..] {
        sum = sum * x + Canon(c);
    }
    sum
}

/// Exact 2^k for -126 <= k <= 127.
fn pow2(k: i32) -> Canon {
    Canon(f32::from_bits(((k + 127) as u32) << 23))
}

/// e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln(2)/2. Beyond +-70 the last product flushes or saturates.
pub fn exp(x: Canon) -> Canon {
    let x = x.max(Canon(-70.0)).min(Canon(70.0));
    let n = (x * Canon(std::f32::consts::LOG2_E) + HALF).floor();
    let r = (x - n * LN2_HI) - n * LN2_LO;
    let p = poly(
        r,
        &[
            1.9875691500e-4,
            1.3981999507e-3,
            8.3334519073e-3,
            4.1665795894e-2,
            1.6666665459e-1,
            5.0000001201e-1,
        ],
    );
    let y = (p * (r * r) + r) + Canon::ONE;
    y * pow2(n.0 as i32)
}

/// ln x = k ln 2 + ln(1 + m) with 1 + m in [sqrt(1/2), sqrt(2)).
pub fn ln(x: Canon) -> Canon {
    if x.0 <= 0.0 {
        return Canon(-f32::from_bits(HUGE));
    }
    let u = x.0.to_bits();
    let mut k = (u >> 23) as i32 - 126;
    let mut m = Canon(f32::from_bits((u & 0x7f_ffff) | 0x3f00_0000));
    if m.0 < std::f32::consts::FRAC_1_SQRT_2 {
        k -= 1;
        m = (m + m) - Canon::ONE;
    } else {
        m = m - Canon::ONE;
    }
    let n = Canon(k as f32);
    let z = m * m;
    let p = poly(
        m,
        &[
            7.0376836292e-2,
            -1.1514610310e-1,
            1.1676998740e-1,
            -1.2420140846e-1,
            1.4249322787e-1,
            -1.6668057665e-1,
            2.0000714765e-1,
            -2.4999993993e-1,
            3.3333331174e-1,
        ],
    );
    let y = ((p * m) * z + n * LN2_LO) - HALF * z;
    (m + y) + n * LN2_HI
}

/// sin(x + quarter pi/2): x = n pi/2 + r with |r| <= pi/4, then the sine or cosine polynomial of r.
pub fn circle(x: Canon, quarter: u32) -> Canon {
    if x.abs().0 > 65536.0 {
        return Canon((quarter & 1) as f32);
    }
    let n = (x * Canon(std::f32::consts::FRAC_2_PI) + HALF).floor();
    let r = ((x - n * Canon(1.5703125)) - n * Canon(4.83751297e-4)) - n * Canon(7.54978995e-8);
    let q = (n.0 as i32 as u32).wrapping_add(quarter);
    let z = r * r;
    let y = if q & 1 == 0 {
        let p = poly(z, &[-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]);
        r + (p * z) * r
    } else {
        let p = poly(z, &[2.4433157118e-5, -1.3887316255e-3, 4.1666645683e-2]);
        (Canon::ONE - HALF * z) + (p * z) * z
    };
    if q & 2 != 0 { -y } else { y }
}
