//! Fresh random numbers with a printed seed.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64. `STARLING_SEED` repeats a run.
pub struct Random(u64);

impl Random {
    pub fn fresh() -> Self {
        let seed = match env::var("STARLING_SEED") {
            Ok(seed) => seed.parse().expect("STARLING_SEED is a u64"),
            Err(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                now.expect("after 1970").as_nanos() as u64
            }
        };
        eprintln!("repeat with STARLING_SEED={seed}");
        Random(seed)
    }

    pub fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn u32(&mut self) -> u32 {
        (self.u64() >> 32) as u32
    }

    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.u32()) * u64::from(bound)) >> 32) as u32
    }
}
