//! x86's registers, through `pulp`: a token of it proves that this processor has what it stands for.

use std::arch::x86_64::{__m256i, __m512i};

use pulp::x86::{V3, V4};

use super::Vector;

pulp::simd_type! {
    /// AVX-512 that multiplies and sums in one instruction.
    pub struct Vnni {
        pub avx512f: "avx512f",
        pub avx512bw: "avx512bw",
        pub avx512vl: "avx512vl",
        pub avx512vnni: "avx512vnni",
    }
}

impl Vector<2> for V3 {
    type Register = __m256i;
    const TOGETHER: usize = 1;

    #[inline(always)]
    fn splat(self, pair: i32) -> __m256i {
        self.avx._mm256_set1_epi32(pair)
    }

    #[inline(always)]
    fn add_products(self, sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        let products = self.avx2._mm256_madd_epi16(a, b);
        self.avx2._mm256_add_epi32(sums, products)
    }
}

macro_rules! sixteen_lanes {
    ($($token:ty),*) => {$(
        impl Vector<1> for $token {
            type Register = __m512i;
            const TOGETHER: usize = 4;

            #[inline(always)]
            fn splat(self, pair: i32) -> __m512i {
                self.avx512f._mm512_set1_epi32(pair)
            }

            // With VNNI the compiler makes one `vpdpwssd` of these two.
            #[inline(always)]
            fn add_products(self, sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
                let products = self.avx512bw._mm512_madd_epi16(a, b);
                self.avx512f._mm512_add_epi32(sums, products)
            }
        }
    )*};
}

sixteen_lanes!(V4, Vnni);
