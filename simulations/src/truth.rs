//! What a device computes when nobody lies: a function of kernel, job and tile, the same on every device.

use starling_adversaries::Backend;
use starling_protocol::io::Purpose;
use starling_protocol::{Hash, Manifest};

/// An honest device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Truth;

impl Backend for Truth {
    fn tile(&self, manifest: &Manifest, tile: u32, _: Purpose) -> Hash {
        self::tile(manifest, tile)
    }
}

/// BLAKE3 of a job's tile. The job's salt is in it, so that no two jobs have the same output.
#[must_use]
pub fn tile(manifest: &Manifest, tile: u32) -> Hash {
    Hash::derive(
        "starling-sim 2026-11 tile v1",
        &[
            manifest.kernel.as_bytes(),
            &tile.to_le_bytes(),
            &manifest.salt.0,
        ],
    )
}
