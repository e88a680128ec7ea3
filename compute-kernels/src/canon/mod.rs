//! Canonical f32: arithmetic that gives the same bits on every CPU and GPU.
//!
//! Pair of `canon.wgsl`; this side is the reference. It is not a general float library: only what kernels use.
//! Each operation is the correctly rounded (nearest-even) IEEE one, without contraction or reassociation, and then:
//! - **Products**, quotients, and values from outside are flushed: magnitudes below 2^-100 and NaN become +0, those
//!   above 2^100 become 2^100 with their sign. So x/0 is 2^100 with the sign of x, and 0/0 is 0.
//! - **Sums** need nothing: operands that are multiples of 2^-123 give multiples of 2^-123, which are never subnormal,
//!   so that it does not matter whether a device flushes subnormals, or when it finds a result tiny.
//! - **Zero** has no sign. Here it is always +0; shaders may meet a -0, which no operation distinguishes and
//!   `c_store` removes, because compilers for shaders may ignore the sign of a zero.
//!
//! Invariant: values are finite multiples of 2^-123, so comparisons are total and nothing can be infinite or NaN.
//! For that a kernel lets no value double by additions alone 27 times in a row: sums of up to 2^26 products.

mod elementary;
mod vec3;

use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Sub};

pub use vec3::Vec3;

/// The WGSL side, prepended to every kernel.
pub const WGSL: &str = include_str!("canon.wgsl");

/// Version of the rules above and of the polynomials; part of every kernel id.
pub const VERSION: u32 = 1;

/// Bits of 2^-100: products below it are flushed.
const TINY: u32 = 0x0d80_0000;
/// Bits of 2^100: products above it are this.
const HUGE: u32 = 0x7180_0000;

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

    /// Canonical form of `x`.
    fn from_f32(x: f32) -> Self;
    /// Nearest value of any integer.
    fn from_u32(x: u32) -> Self;
    /// The value as a plain float.
    fn to_f32(self) -> f32;
    /// Truncation, saturating at 0 and at 4294967040 (the largest f32 below 2^32).
    fn to_u32(self) -> u32;
    /// Square root; 0 of a negative number in canonical form.
    fn sqrt(self) -> Self;
    /// e^self; within 2^-100 to 2^100, or 0, in canonical form.
    fn exp(self) -> Self;
    /// Natural logarithm; -2^100 of 0 and of negative numbers in canonical form.
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

/// A canonical f32. See the module for the rules.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Canon(f32);

impl Canon {
    /// Canonical form of `x`.
    #[inline(always)]
    pub fn new(x: f32) -> Self {
        // The shift drops the sign, and the wrapping subtraction makes one comparison of two. A branch, because it
        // is almost never taken and, unlike a mask, adds nothing to the latency of dependent operations.
        if (x.to_bits() << 1).wrapping_sub(TINY << 1) <= (HUGE - TINY) << 1 {
            Canon(x)
        } else {
            Canon::out_of_range(x)
        }
    }

    #[cold]
    #[inline(never)]
    fn out_of_range(x: f32) -> Self {
        Canon(if x.abs() >= 1.0 {
            f32::from_bits(HUGE).copysign(x)
        } else {
            0.0
        })
    }

    /// The canonical value with these bits; of others, nonsense.
    #[inline(always)]
    pub(crate) fn from_bits(bits: u32) -> Self {
        Canon(f32::from_bits(bits))
    }

    /// A sum of any two canonical values, within their range again: shaders may add as often as they like.
    #[inline(always)]
    pub(crate) fn limited(self) -> Self {
        let huge = f32::from_bits(HUGE);
        Canon(self.0.clamp(-huge, huge))
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
        Canon(self.0 + other.0)
    }
}

impl Sub for Canon {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Canon(self.0 - other.0)
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
        // Unlike -x, this is +0 for +0.
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
        Canon(if self.0 > 0.0 { self.0.sqrt() } else { 0.0 })
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
        // The sum turns -0 into +0.
        Canon(self.0.floor() + 0.0)
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
