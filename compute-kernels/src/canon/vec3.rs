//! Three-component vectors over [`Real`]: twins of the `c3_*` functions, with the same order of operations.

use std::ops::{Add, Mul, Neg, Sub};

use super::Real;

/// A point, direction or colour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vec3<R> {
    /// First component.
    pub x: R,
    /// Second component.
    pub y: R,
    /// Third component.
    pub z: R,
}

impl<R: Real> Vec3<R> {
    /// The origin.
    pub const ZERO: Self = Vec3 {
        x: R::ZERO,
        y: R::ZERO,
        z: R::ZERO,
    };

    /// From components.
    #[inline(always)]
    pub fn new(x: R, y: R, z: R) -> Self {
        Vec3 { x, y, z }
    }

    /// All components the same.
    #[inline(always)]
    pub fn splat(s: R) -> Self {
        Vec3 { x: s, y: s, z: s }
    }

    /// From plain floats, flushed.
    #[inline(always)]
    pub fn from_f32(v: [f32; 3]) -> Self {
        Vec3::new(R::from_f32(v[0]), R::from_f32(v[1]), R::from_f32(v[2]))
    }

    /// As plain floats.
    #[inline(always)]
    pub fn to_f32(self) -> [f32; 3] {
        [self.x.to_f32(), self.y.to_f32(), self.z.to_f32()]
    }

    /// Every component times `s`.
    #[inline(always)]
    pub fn scale(self, s: R) -> Self {
        Vec3::new(self.x * s, self.y * s, self.z * s)
    }

    /// (x x + y y) + z z
    #[inline(always)]
    pub fn dot(self, o: Self) -> R {
        (self.x * o.x + self.y * o.y) + self.z * o.z
    }

    /// Cross product.
    #[inline(always)]
    pub fn cross(self, o: Self) -> Self {
        Vec3::new(
            self.y * o.z - self.z * o.y,
            self.z * o.x - self.x * o.z,
            self.x * o.y - self.y * o.x,
        )
    }

    /// Euclidean length.
    #[inline(always)]
    pub fn length(self) -> R {
        self.dot(self).sqrt()
    }

    /// self / |self|, by one division and three products; the zero vector stays zero in canonical form.
    #[inline(always)]
    pub fn normalize(self) -> Self {
        self.scale(R::ONE / self.length())
    }

    /// Smaller component by component.
    #[inline(always)]
    pub fn min(self, o: Self) -> Self {
        Vec3::new(self.x.min(o.x), self.y.min(o.y), self.z.min(o.z))
    }

    /// Larger component by component.
    #[inline(always)]
    pub fn max(self, o: Self) -> Self {
        Vec3::new(self.x.max(o.x), self.y.max(o.y), self.z.max(o.z))
    }
}

impl<R: Real> Add for Vec3<R> {
    type Output = Self;
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        Vec3::new(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl<R: Real> Sub for Vec3<R> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        Vec3::new(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

/// Component by component.
impl<R: Real> Mul for Vec3<R> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, o: Self) -> Self {
        Vec3::new(self.x * o.x, self.y * o.y, self.z * o.z)
    }
}

impl<R: Real> Neg for Vec3<R> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Vec3::new(-self.x, -self.y, -self.z)
    }
}
