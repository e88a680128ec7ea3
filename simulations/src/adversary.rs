//! Adversaries, as wrappers around honest parts: a compute backend that lies, a core that never speaks.
//!
//! The core has no switch for misbehaviour. Wrappers compose, and adding one touches nothing in `protocol`.

use starling_protocol::io::{Input, Output, Outputs, Purpose};
use starling_protocol::time::Deadline;
use starling_protocol::{Core, Hash, Manifest, Time};

/// What a device computes: the hash of one tile.
pub trait Backend {
    /// BLAKE3 of tile `tile` of the job, as this backend tells it.
    fn tile(&self, manifest: &Manifest, tile: u32, purpose: Purpose) -> Hash;
}

/// The truth: a function of kernel, job and tile alone, the same on every device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Honest;

impl Backend for Honest {
    fn tile(&self, manifest: &Manifest, tile: u32, _: Purpose) -> Hash {
        Hash::derive(
            "starling-sim 2026-11 tile v1",
            &[
                manifest.kernel.as_bytes(),
                &tile.to_le_bytes(),
                &manifest.salt.0,
            ],
        )
    }
}

/// Fakes every tile that it is paid for, and the self-check that would give it away. Audits honestly: a cheat that
/// also accuses is another adversary.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lying<B>(pub B);

impl<B: Backend> Backend for Lying<B> {
    fn tile(&self, manifest: &Manifest, tile: u32, purpose: Purpose) -> Hash {
        let truth = self.0.tile(manifest, tile, purpose);
        match purpose {
            Purpose::Work | Purpose::SelfCheck => {
                Hash::derive("starling-sim 2026-11 lie v1", &[&truth.0])
            }
            Purpose::Audit | Purpose::Judge | Purpose::Own => truth,
        }
    }
}

/// Publishes adverts and hears everything, but never sends a message: a peer behind a broken uplink, or one that
/// wants to be drawn and to stall.
pub struct Silent {
    core: Box<dyn Core>,
    outputs: Vec<Output>,
}

impl Silent {
    /// Gags `core`.
    pub fn new(core: Box<dyn Core>) -> Self {
        Self {
            core,
            outputs: Vec::new(),
        }
    }
}

impl Core for Silent {
    fn handle(&mut self, now: Time, input: Input) -> Outputs<'_> {
        let spoken = self
            .core
            .handle(now, input)
            .filter(|output| !matches!(output, Output::Send { .. }));
        self.outputs.extend(spoken);
        Outputs::from(&mut self.outputs)
    }

    fn next_deadline(&self) -> Option<Deadline> {
        self.core.next_deadline()
    }
}
