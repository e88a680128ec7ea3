//! Canonical f32: arithmetic that gives the same bits on every CPU and GPU.
//!
//! Pair of `canon.wgsl`; this side is the reference. It is not a general float library: only what kernels use.
//! Invariant: a canonical value is +0, a normal number above 2^-126 in magnitude, or an infinity. The rules:
//! - Each operation is the correctly rounded (nearest-even) IEEE one, then flushed. No contraction, no reassociation.
//! - **Flush**: magnitudes up to and including 2^-126 (bits <= 0x00800000) become +0. Subnormals, because devices
//!   may flush them; the smallest normal, because devices differ in whether a result that rounds up to it is tiny;
//!   -0, because compilers for shaders may ignore the sign of a zero.
//! - **NaN** becomes +0: 0/0, inf - inf, 0 * inf, inf/inf, sqrt and log of a negative number are all +0.
//!   So comparisons are total and no kernel can leak a NaN payload.
//! - Infinities are IEEE: overflow and x/0 give one. Kernels compare against finite constants, never against infinity.

mod elementary;
mod vec3;

use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Sub};

pub use vec3::Vec3;

/// The WGSL side, prepended to every kernel.
pub const WGSL: &str = include_str!("canon.wgsl");

/// Version of the rules above and of the polynomials; part of every kernel id.
pub const VERSION: u32 = 1;

/// Arithmetic a kernel is written against: [`Canon`] for results that count,
/// plain `f32` to measure what canonical form costs.
pub trait Real:
    Copy
    + Send
    + Sync
    + fmt::Debug
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;

    /// Canonical value of `x` (flushed).
    fn from_f32(x: f32) -> Self;
    /// Nearest value of any integer.
    fn from_u32(x: u32) -> Self;
    /// The value as a plain float.
    fn to_f32(self) -> f32;
    /// Truncation, saturating at 0 and at 4294967040 (the largest f32 below 2^32).
    fn to_u32(self) -> u32;
    /// Square root; 0 of a negative number in canonical form.
    fn sqrt(self) -> Self;
    /// e^self
    fn exp(self) -> Self;
    /// Natural logarithm; -inf of 0, 0 of a negative number in canonical form.
    fn ln(self) -> Self;
    /// Sine of radians; accurate for |x| <= 8192, 0 beyond 65536 in canonical form.
    fn sin(self) -> Self;
    /// Cosine of radians; accurate for |x| <= 8192, 1 beyond 65536 in canonical form.
    fn cos(self) -> Self;
    /// Largest integer not above self.
    fn floor(self) -> Self;
    /// Magnitude.
    fn abs(self) -> Self;

    /// The smaller one; `other` if they are equal.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self < other { self } else { other }
    }

    /// The larger one; `other` if they are equal.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
}

/// An f32 in canonical form. See the module for the rules.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Canon(f32);

impl Canon {
    /// Canonical form of `x`.
    #[inline(always)]
    pub fn new(x: f32) -> Self {
        // One comparison and one mask, and false for NaN: the cheapest form on SSE2, and it vectorises.
        let keep = x.abs() > f32::MIN_POSITIVE;
        Canon(if keep { x } else { 0.0 })
    }

    /// The bits of the value.
    #[inline(always)]
    pub fn to_bits(self) -> u32 {
        self.0.to_bits()
    }
}

/// Sum of 32 values as a fixed tree: halves 16, 8, 4, 2, 1 apart. Twin of `c_sum32`.
pub fn sum32<R: Real>(mut v: [R; 32]) -> R {
    for step in [16, 8, 4, 2, 1] {
        for i in 0..step {
            v[i] = v[i] + v[i + step];
        }
    }
    v[0]
}

impl Add for Canon {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Canon::new(self.0 + other.0)
    }
}

impl Sub for Canon {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Canon::new(self.0 - other.0)
    }
}

impl Mul for Canon {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Canon::new(self.0 * other.0)
    }
}

impl Div for Canon {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Canon::new(self.0 / other.0)
    }
}

impl Neg for Canon {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        // Exact, and +0 for +0, so there is nothing to flush.
        Canon(0.0 - self.0)
    }
}

impl Real for Canon {
    const ZERO: Self = Canon(0.0);
    const ONE: Self = Canon(1.0);

    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        Canon::new(x)
    }
    #[inline(always)]
    fn from_u32(x: u32) -> Self {
        Canon(x as f32)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self.0
    }
    #[inline(always)]
    fn to_u32(self) -> u32 {
        self.max(Canon(0.0)).min(Canon(4_294_967_040.0)).0 as u32
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Canon::new(self.0.sqrt())
    }
    fn exp(self) -> Self {
        elementary::exp(self)
    }
    fn ln(self) -> Self {
        elementary::ln(self)
    }
    fn sin(self) -> Self {
        elementary::circle(self, 0)
    }
    fn cos(self) -> Self {
        elementary::circle(self, 1)
    }
    #[inline(always)]
    fn floor(self) -> Self {
        Canon::new(self.0.floor())
    }
    #[inline(always)]
    fn abs(self) -> Self {
        Canon(self.0.abs())
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }
    #[inline(always)]
    fn from_u32(x: u32) -> Self {
        x as f32
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn to_u32(self) -> u32 {
        self as u32
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    fn exp(self) -> Self {
        f32::exp(self)
    }
    fn ln(self) -> Self {
        f32::ln(self)
    }
    fn sin(self) -> Self {
        f32::sin(self)
    }
    fn cos(self) -> Self {
        f32::cos(self)
    }
    #[inline(always)]
    fn floor(self) -> Self {
        f32::floor(self)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
}
