//! Capacity adverts: what a peer says of itself, signed, numbered and expiring. The table of others' adverts is
//! in `adverts`.

use crate::config;
use crate::hash::{KernelId, PeerKey};
use crate::manifest::Tier;
use crate::signed::Fact;
use crate::text::Text;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What kind of silicon a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The native CPU route.
    Cpu,
    /// A graphics card with memory of its own.
    Discrete,
    /// A graphics unit sharing the CPU's memory.
    Integrated,
    /// A software driver.
    Software,
    /// Anything else.
    Other,
}

/// One device as advertised and as named in commitments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceProfile {
    /// What it is.
    pub kind: DeviceKind,
    /// Its driver's name for it.
    pub name: Text<64>,
}

/// One kernel that a peer offers to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelOffer {
    /// Which kernel.
    pub kernel: KernelId,
    /// Its class, the board it is found under.
    pub class: Text<16>,
    /// The strictest tier that the device was admitted to.
    pub tier: Tier,
    /// Claimed speed, work units per second.
    pub units_per_s: u64,
    /// Asked price per 10^9 work units; credits come later.
    pub price: u64,
}

/// A peer's advert. Refreshed every `Genesis::advert_ms`, forgotten after three of those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advert {
    /// Who speaks; also who signed.
    pub peer: PeerKey,
    /// Grows with every advert of this peer, also over restarts.
    pub number: u64,
    /// When it was signed, Unix seconds.
    pub issued_s: u64,
    /// "I am leaving": forget me now.
    pub goodbye: bool,
    /// What it computes with, at most 8.
    pub devices: Vec<DeviceProfile>,
    /// What it computes, at most 16.
    pub kernels: Vec<KernelOffer>,
    /// Slices it would take now.
    pub free_slots: u16,
    /// Self-declared coarse region; empty if untold.
    pub region: Text<16>,
    /// Software version.
    pub software: Text<32>,
}

impl Fact for Advert {
    const CONTEXT: &'static str = "starling 2026-11 advert v1";
}

impl Advert {
    /// Whether every field is within its bounds.
    #[must_use]
    pub fn well_formed(&self) -> bool {
        self.devices.len() <= 8
            && self.kernels.len() <= 16
            && self.kernels.iter().all(|k| !k.class.is_empty())
    }

    /// Whether its time is within the allowed skew of `now_s`.
    #[must_use]
    pub fn timely(&self, now_s: u64) -> bool {
        self.issued_s.abs_diff(now_s) <= config::CLOCK_SKEW_S
    }

    /// The offer for `kernel`, if any.
    #[must_use]
    pub fn offer(&self, kernel: &KernelId) -> Option<&KernelOffer> {
        self.kernels.iter().find(|k| k.kernel == *kernel)
    }
}
