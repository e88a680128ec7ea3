//! A set of slices as bits, the way stewards tell each other how far they are.
//!
//! Invariant: as many bytes as the job's slices need; whatever else comes from the wire is refused.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One bit for each slice of a job, the first one lowest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bits(Vec<u8>);

impl Bits {
    /// The members among `slices` slices; others are left out.
    #[must_use]
    pub fn of(slices: u32, members: impl IntoIterator<Item = u32>) -> Self {
        let mut bits = Self(alloc::vec![0; Self::bytes(slices)]);
        for slice in members {
            if let Some(byte) = bits.0.get_mut(slice as usize / 8) {
                *byte |= 1 << (slice % 8);
            }
        }
        bits
    }

    fn bytes(slices: u32) -> usize {
        slices.div_ceil(8) as usize
    }

    /// Whether it is one for a job of so many slices.
    #[must_use]
    pub fn fits(&self, slices: u32) -> bool {
        let spare = slices % 8;
        let beyond = |last: &u8| spare > 0 && last >> spare > 0;
        self.0.len() == Self::bytes(slices) && !self.0.last().is_some_and(beyond)
    }

    /// Whether `slice` is in it.
    #[must_use]
    pub fn has(&self, slice: u32) -> bool {
        let byte = self.0.get(slice as usize / 8);
        byte.is_some_and(|b| b >> (slice % 8) & 1 == 1)
    }

    /// Its members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        (0..self.0.len() as u32 * 8).filter(|slice| self.has(*slice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_back_in_order() {
        let bits = Bits::of(19, [18, 0, 7, 8, 7, 40]);
        assert!(bits.fits(19));
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 7, 8, 18]);
        assert!(!bits.has(1) && !bits.has(40));
    }

    #[test]
    fn what_another_job_would_need_is_refused() {
        assert!(!Bits::of(16, []).fits(17));
        assert!(!Bits::of(24, []).fits(16));
        assert!(!Bits::of(24, [23]).fits(23), "a bit beyond the last slice");
        assert!(Bits::of(24, [22]).fits(23));
        assert!(Bits::default().fits(0));
    }
}
