//! A device that lies. It wraps one that tells the truth, and knows from the core's wrapper whose work it judges.
//!
//! Invariant: a lie is a function of a secret, the job and the tile, so the work and the look at it before the
//! commitment agree, a repeated run repeats, and two of a ring tell the same. A job is named by its salt here, which
//! is random and costs nothing to read.

use crate::means::{Judge, Means};
use crate::strategy::Strategy;
use starling_protocol::io::Purpose;
use starling_protocol::{Hash, JobId, Manifest};

/// What a device computes: the hash of one tile.
pub trait Backend: Send {
    /// BLAKE3 of tile `tile` of the job, as this backend tells it. `tile` counts within the job.
    fn tile(&self, manifest: &Manifest, tile: u32, purpose: Purpose) -> Hash;

    /// Whether that costs the device its time. What is made up does not.
    fn works(&self, manifest: &Manifest, tile: u32, purpose: Purpose) -> bool {
        let _ = (manifest, tile, purpose);
        true
    }
}

impl<B: Backend + ?Sized> Backend for Box<B> {
    fn tile(&self, manifest: &Manifest, tile: u32, purpose: Purpose) -> Hash {
        (**self).tile(manifest, tile, purpose)
    }

    fn works(&self, manifest: &Manifest, tile: u32, purpose: Purpose) -> bool {
        (**self).works(manifest, tile, purpose)
    }
}

/// The device of a peer with these strategies: `truth` itself if none of them lies.
#[must_use]
pub fn backend(
    truth: impl Backend + 'static,
    strategies: &[Strategy],
    means: &Means,
) -> Box<dyn Backend> {
    let lies = Lies::new(strategies, means);
    if lies.lies.is_empty() {
        Box::new(truth)
    } else {
        Box::new(Lying { truth, lies })
    }
}

struct Lying<B> {
    truth: B,
    lies: Lies,
}

impl<B: Backend> Backend for Lying<B> {
    fn tile(&self, manifest: &Manifest, tile: u32, purpose: Purpose) -> Hash {
        self.lies
            .about(manifest, tile, purpose)
            .unwrap_or_else(|| self.truth.tile(manifest, tile, purpose))
    }

    fn works(&self, manifest: &Manifest, tile: u32, purpose: Purpose) -> bool {
        self.lies.about(manifest, tile, purpose).is_none()
            && self.truth.works(manifest, tile, purpose)
    }
}

#[derive(Clone, Copy)]
enum Lie {
    /// Own tiles, this share of them.
    Share(f64),
    /// Own tiles and those of friends, by the ring's secret.
    Ring(f64),
    /// Own tiles: what others have shown, else garbage.
    Copy,
    /// Tiles of everybody but friends, when they are audited.
    Accuse,
}

/// What a peer says instead of the truth. A shell that computes bytes instead of hashes asks it too.
#[derive(Clone)]
pub struct Lies {
    means: Means,
    /// With the number of receipts after which each begins.
    lies: Vec<(Lie, u32)>,
}

impl Lies {
    /// Those among `strategies` that a device tells.
    #[must_use]
    pub fn new(strategies: &[Strategy], means: &Means) -> Self {
        let mut lies = Vec::new();
        collect(strategies, 0, &mut lies);
        Self {
            means: means.clone(),
            lies,
        }
    }

    /// The hash to tell instead of the truth; `None`: the truth. The first strategy of the list that lies decides.
    #[must_use]
    pub fn about(&self, manifest: &Manifest, tile: u32, purpose: Purpose) -> Option<Hash> {
        self.lies
            .iter()
            .filter(|(_, after)| *after == 0 || *after <= self.earned(manifest, tile, purpose))
            .find_map(|(lie, _)| self.tell(*lie, manifest, tile, purpose))
    }

    /// Receipts that count for this tile.
    fn earned(&self, manifest: &Manifest, tile: u32, purpose: Purpose) -> u32 {
        let shared = &self.means.shared;
        match purpose {
            Purpose::Work | Purpose::SelfCheck => {
                let (job, slice) = self.place(manifest, tile);
                shared.earned_before(job, slice)
            }
            Purpose::Audit | Purpose::Judge | Purpose::Own => shared.earned(),
        }
    }

    fn place(&self, manifest: &Manifest, tile: u32) -> (JobId, u32) {
        let job = manifest.id(&self.means.swarm);
        (job, tile / manifest.slice_tiles.max(1))
    }

    fn tell(&self, lie: Lie, manifest: &Manifest, tile: u32, purpose: Purpose) -> Option<Hash> {
        let own = matches!(purpose, Purpose::Work | Purpose::SelfCheck);
        let judging = matches!(purpose, Purpose::Audit | Purpose::Judge);
        let (seed, ring) = (&self.means.seed, &self.means.ring);
        match lie {
            Lie::Share(share) => own.then(|| faked(seed, manifest, tile, share)).flatten(),
            Lie::Ring(share) => {
                let vouches = || {
                    let (job, slice) = self.place(manifest, tile);
                    let judged = self.means.shared.judge(job, slice);
                    judged.is_some_and(|(worker, _)| self.means.friends.contains(&worker))
                };
                (own || judging && vouches())
                    .then(|| faked(ring, manifest, tile, share))
                    .flatten()
            }
            Lie::Copy => own.then(|| {
                let (job, slice) = self.place(manifest, tile);
                let within = tile - slice.saturating_mul(manifest.slice_tiles).min(tile);
                let shown = self.means.shared.shown(job, slice, within);
                shown.unwrap_or_else(|| invented(seed, &manifest.salt, tile))
            }),
            Lie::Accuse => {
                let accuses = || {
                    let (job, slice) = self.place(manifest, tile);
                    let judged = self.means.shared.judge(job, slice);
                    judged.is_some_and(|(worker, judge)| {
                        judge == Judge::Auditor && !self.means.friends.contains(&worker)
                    })
                };
                (judging && accuses()).then(|| invented(seed, &manifest.salt, tile))
            }
        }
    }
}

fn collect(strategies: &[Strategy], after: u32, lies: &mut Vec<(Lie, u32)>) {
    for strategy in strategies {
        let lie = match strategy {
            Strategy::FakeAll => Lie::Share(1.0),
            Strategy::FakeShare(share) => Lie::Share(*share),
            Strategy::Ring { fake_share } => Lie::Ring(*fake_share),
            Strategy::Copy => Lie::Copy,
            Strategy::AccuseFalsely(_) => Lie::Accuse,
            Strategy::BehaveUntil { cv, then } => {
                collect(then, after.max(*cv), lies);
                continue;
            }
            Strategy::IdleOnLeases
            | Strategy::WithholdOpenings
            | Strategy::OpenWhenLucky
            | Strategy::SlowWalk { .. }
            | Strategy::WithholdNonces
            | Strategy::AbandonUnlucky
            | Strategy::Usurp
            | Strategy::Spoil(_)
            | Strategy::Equivocate
            | Strategy::AuditLazily
            | Strategy::LieAboutCapacity(_)
            | Strategy::Flood { .. }
            | Strategy::Replay { .. }
            | Strategy::SkewClock(_)
            | Strategy::StuffRoster
            | Strategy::CensorAuditors
            | Strategy::Silent => continue,
        };
        lies.push((lie, after));
    }
}

/// A false hash, if the coin of this tile falls so.
fn faked(secret: &Hash, manifest: &Manifest, tile: u32, share: f64) -> Option<Hash> {
    let coin = Hash::derive(
        "starling-adversaries 2026-11 coin v1",
        &[&secret.0, &manifest.salt.0, &tile.to_le_bytes()],
    );
    let word = coin.0[..8]
        .iter()
        .fold(0_u64, |w, b| w << 8 | u64::from(*b));
    // 53 bits: what a double holds, so that it is below 1.
    let drawn = (word >> 11) as f64 / (1_u64 << 53) as f64;
    (drawn < share).then(|| invented(secret, &manifest.salt, tile))
}

/// What no device computes.
pub(crate) fn invented(secret: &Hash, about: &Hash, tile: u32) -> Hash {
    Hash::derive(
        "starling-adversaries 2026-11 lie v1",
        &[&secret.0, &about.0, &tile.to_le_bytes()],
    )
}
