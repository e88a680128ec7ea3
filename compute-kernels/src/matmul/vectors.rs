//! What the innermost loops of the product are made of: the widest vectors that this processor has.
//!
//! A lane holds a pair of i16. Multiplying pairs and adding both products is one instruction on x86 (`pmaddwd`; with
//! the sum, one more or, as `vpdpwssd`, none). Two products of i8 fit an i32 by far and sums wrap, so that every
//! [`Route`] gives the same bits. Not here: how a product is cut into loops ([`super::product`]).

#[cfg(target_arch = "x86_64")]
mod x86;

use bytemuck::{Pod, Zeroable};
use pulp::NullaryFnOnce;

/// Lanes of a [`Line`].
pub(super) const LANES: usize = 16;

/// Sixteen pairs, or sixteen sums: one register or several.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [i32; LANES]);

impl Line {
    /// Pairs of two rows' elements.
    #[inline(always)]
    pub(super) fn widened(first: &[u8; LANES], second: &[u8; LANES]) -> Self {
        let mut line = Self([0; LANES]);
        for (lane, (&a, &b)) in line.0.iter_mut().zip(first.iter().zip(second)) {
            *lane = bytemuck::cast([i16::from(a as i8), i16::from(b as i8)]);
        }
        line
    }
}

/// What a processor does with one register, `PER` of which make a [`Line`].
pub(super) trait Vector<const PER: usize>: Copy {
    /// Its contents.
    type Register: Pod;
    /// Lines whose sums stay in registers for four rows together: 1, 2 or 4.
    const TOGETHER: usize;

    /// The same pair in all lanes.
    fn splat(self, pair: i32) -> Self::Register;

    /// Multiplies pairs, and adds both products to the sums.
    fn add_products(
        self,
        sums: Self::Register,
        a: Self::Register,
        b: Self::Register,
    ) -> Self::Register;
}

/// A computation that can be compiled for any vectors. Inline all of it, or it is compiled for none.
pub(super) trait Loops {
    /// Computes.
    fn run<S: Vector<PER>, const PER: usize>(self, simd: S);
}

/// Which instructions are used.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route {
    /// Those that the compiler finds.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    #[cfg(target_arch = "x86_64")]
    Vnni(x86::Vnni),
}

impl Route {
    /// All that this processor can take, the best one last.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let special = [
            pulp::x86::V3::try_new().map(Self::Avx2),
            pulp::x86::V4::try_new().map(Self::Avx512),
            x86::Vnni::try_new().map(Self::Vnni),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let special: [Option<Self>; 0] = [];
        std::iter::once(Self::Portable).chain(special.into_iter().flatten())
    }

    /// The fastest.
    pub(super) fn best() -> Self {
        Self::all().last().unwrap_or(Self::Portable)
    }

    /// Runs `loops` with these instructions.
    pub(super) fn run(self, loops: impl Loops) {
        match self {
            Self::Portable => loops.run(Plain),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.vectorize(With { simd, loops }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.vectorize(With { simd, loops }),
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(simd) => simd.vectorize(With { simd, loops }),
        }
    }
}

/// Loops and their instructions, for `vectorize`.
struct With<S, L, const PER: usize> {
    simd: S,
    loops: L,
}

impl<S: Vector<PER>, L: Loops, const PER: usize> NullaryFnOnce for With<S, L, PER> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.loops.run(self.simd);
    }
}

/// No particular processor: what the compiler makes of short arrays.
#[derive(Clone, Copy)]
struct Plain;

impl Vector<4> for Plain {
    type Register = [i32; 4];
    const TOGETHER: usize = 1;

    #[inline(always)]
    fn splat(self, pair: i32) -> [i32; 4] {
        [pair; 4]
    }

    #[inline(always)]
    fn add_products(self, mut sums: [i32; 4], a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        // Which half comes first does not matter: both factors have the same.
        let halves = |pair: i32| [(pair << 16) >> 16, pair >> 16];
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
            *sum = sum.wrapping_add(a0 * b0 + a1 * b1);
        }
        sums
    }
}
