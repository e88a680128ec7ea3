//! What is to be computed and among whom: manifest, roster, appointment, and the three together as a job's record.

use crate::codec;
use crate::config;
use crate::crypto::Verifier;
use crate::draw;
use crate::hash::{BlobId, Hash, JobId, KernelId, PeerKey, SwarmId};
use crate::signed::{Fact, Signed};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use serde::{Deserialize, Serialize};

/// How results of different devices are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Native floats within an error bound. Not yet offered: peers refuse such jobs.
    Tolerance,
    /// Canonical floats: byte for byte, on devices that passed the canary.
    Canonical,
    /// Integers: byte for byte.
    Exact,
}

/// What a tile needs besides the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContextRule {
    /// Nothing: tiles stand alone.
    None,
    /// The outputs of the `count` tiles before it in the same slice, opened by the worker for whoever recomputes it.
    Previous {
        /// How many.
        count: u16,
    },
}

/// A blob by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// Its address.
    pub id: BlobId,
    /// Its length in bytes: bounds the fetch before it begins.
    pub len: u64,
}

/// How strongly a slice is audited: `k` auditors draw `s` tiles each. `p_full` is the chance, in 1/65536, that the
/// seed makes it at least a newcomer's audit all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intensity {
    /// Auditors.
    pub k: u8,
    /// Tiles per auditor.
    pub s: u16,
    /// Chance of a full audit, in 1/65536.
    pub p_full: u16,
}

impl Intensity {
    /// The newcomer rule among `e` eligible peers: k = min(16, e), s = ceil(32 / k), always in full.
    #[must_use]
    pub fn newcomer(e: usize) -> Self {
        let k = e.min(16);
        let s = if k == 0 { 0 } else { 32_usize.div_ceil(k) };
        Self {
            k: k as u8,
            s: s as u16,
            p_full: u16::MAX,
        }
    }

    /// The rule for a worker with `cv` consecutive valid slices that its steward trusts: k = min(8, e), s = ceil(8 / k),
    /// and in full with p = max(0.05, 1 / cv).
    #[must_use]
    pub fn trusted(e: usize, cv: u32) -> Self {
        let k = e.min(8);
        let s = if k == 0 { 0 } else { 8_usize.div_ceil(k) };
        let p_full = 65_536_u32.div_ceil(cv.max(1)).min(u32::from(u16::MAX)) as u16;
        Self {
            k: k as u8,
            s: s as u16,
            p_full: p_full.max(config::P_FULL_MIN),
        }
    }

    /// The least that any worker is audited with: a trusted one's audit.
    #[must_use]
    pub fn least(e: usize) -> Self {
        Self::trusted(e, u32::MAX)
    }

    /// What a lease's intensity comes to among `e` peers once the seed is known: as stated, or at least a newcomer's if
    /// the seed says so. Collector, worker, auditors and verifier all go by this, and none by what the lease states.
    #[must_use]
    pub fn effective(&self, seed: &Hash, e: usize) -> Self {
        if draw::audit_coin(seed) >= self.p_full {
            return *self;
        }
        let full = Self::newcomer(e);
        Self {
            k: self.k.max(full.k),
            s: self.s.max(full.s),
            p_full: self.p_full,
        }
    }

    /// So many tiles, at most, are drawn for auditors, whatever the seed says of it.
    pub(crate) fn tiles_at_most(&self, e: usize) -> u32 {
        let full = Self::newcomer(e);
        u32::from(self.k.max(full.k)) * u32::from(self.s.max(full.s))
    }

    /// Attestations that make a quorum: ceil(2k / 3).
    #[must_use]
    pub fn quorum(&self) -> usize {
        (2 * usize::from(self.k)).div_ceil(3)
    }

    /// Ranks that may be asked to audit: min(2k, e).
    #[must_use]
    pub fn ranks(&self, e: usize) -> usize {
        (2 * usize::from(self.k)).min(e)
    }

    /// Whether it is at least as strict as `floor`, and possible among `e` peers.
    #[must_use]
    pub fn meets(&self, floor: &Self, e: usize) -> bool {
        self.k >= floor.k
            && self.s >= floor.s
            && self.p_full >= floor.p_full
            && usize::from(self.k) <= e
    }
}

/// A job, content-addressed: its id is the digest of this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the rules.
    pub version: u16,
    /// Who asks, signs and collects.
    pub requester: PeerKey,
    /// What runs.
    pub kernel: KernelId,
    /// The kernel's class: the board it is found under.
    pub class: String,
    /// The kernel's parameters, opaque here.
    pub params: Vec<u8>,
    /// Input blobs.
    pub inputs: Vec<BlobRef>,
    /// How results are compared.
    pub tier: Tier,
    /// What a tile needs besides the inputs.
    pub context: ContextRule,
    /// Tiles of the whole job.
    pub tiles: u32,
    /// Output bytes of every tile.
    pub tile_bytes: u32,
    /// Declared cost of a tile in work units.
    pub units_per_tile: u64,
    /// Tiles per slice; the last slice may be shorter.
    pub slice_tiles: u32,
    /// Offered price per 10^9 work units.
    pub bid: u64,
    /// The least audit that a worker must see in its lease.
    pub floor: Intensity,
    /// Digest of the roster.
    pub roster: Hash,
    /// Unix second after which nothing is computed any more.
    pub deadline_s: u64,
    /// X25519 key that outputs are sealed to, in sealed jobs (a later step).
    pub recipient: Option<[u8; 32]>,
    /// Random: two submissions of one thing are two jobs.
    pub salt: Hash,
}

impl Fact for Manifest {
    const CONTEXT: &'static str = "starling 2026-11 manifest v1";
}

/// Why a record is not acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A field out of its range.
    #[error("manifest field `{0}` is out of range")]
    Range(&'static str),
    /// Written by other rules.
    #[error("manifest follows rules version {0}")]
    Version(u16),
    /// A signature does not verify.
    #[error("the {0} is not signed by the requester")]
    Signature(&'static str),
    /// Roster or appointment do not belong to the manifest.
    #[error("the {0} does not belong to the manifest")]
    Mismatch(&'static str),
}

impl Manifest {
    /// The job's id.
    #[must_use]
    pub fn id(&self, swarm: &SwarmId) -> JobId {
        JobId(self.digest(swarm))
    }

    /// Number of slices.
    #[must_use]
    pub fn slices(&self) -> u32 {
        self.tiles.div_ceil(self.slice_tiles.max(1))
    }

    /// The job's tiles that make up `slice`.
    #[must_use]
    pub fn tiles_of(&self, slice: u32) -> Range<u32> {
        let start = slice.saturating_mul(self.slice_tiles).min(self.tiles);
        start..start.saturating_add(self.slice_tiles).min(self.tiles)
    }

    /// Number of tiles in `slice`.
    #[must_use]
    pub fn tiles_in(&self, slice: u32) -> u32 {
        self.tiles_of(slice).len() as u32
    }

    /// Bytes of the finished `slice`.
    #[must_use]
    pub fn slice_len(&self, slice: u32) -> u64 {
        u64::from(self.tiles_in(slice)) * u64::from(self.tile_bytes)
    }

    /// Bytes of its inputs and of its whole output.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let inputs = self.inputs.iter().map(|i| i.len);
        let output = u64::from(self.tiles) * u64::from(self.tile_bytes);
        inputs.fold(output, u64::saturating_add)
    }

    fn check(&self) -> Result<(), RecordError> {
        let in_range = |ok, field| {
            if ok {
                Ok(())
            } else {
                Err(RecordError::Range(field))
            }
        };
        if self.version != config::RULES_VERSION {
            return Err(RecordError::Version(self.version));
        }
        in_range((1..=16).contains(&self.class.len()), "class")?;
        in_range(self.params.len() <= config::PARAMS_MAX, "params")?;
        in_range(self.inputs.len() <= config::INPUTS_MAX, "inputs")?;
        in_range(
            self.inputs.iter().all(|i| i.len <= config::INPUT_LEN_MAX),
            "inputs",
        )?;
        in_range(self.tier != Tier::Tolerance, "tier")?;
        in_range(self.context == ContextRule::None, "context")?;
        in_range(
            (1..=config::TILE_MAX).contains(&self.tile_bytes),
            "tile_bytes",
        )?;
        in_range(
            self.units_per_tile > 0 && self.units_per_tile < 1 << 48,
            "units_per_tile",
        )?;
        in_range(self.tiles > 0, "tiles")?;
        in_range(
            (1..=config::SLICE_TILES_MAX).contains(&self.slice_tiles),
            "slice_tiles",
        )?;
        in_range(self.slices() <= config::SLICES_MAX, "tiles")?;
        in_range(codec::encode(self).len() <= config::MANIFEST_MAX, "params")
    }
}

/// The peers among which witnesses and auditors are drawn: ascending, without the requester.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster(Vec<PeerKey>);

impl Roster {
    /// From any order of peers; duplicates collapse.
    #[must_use]
    pub fn new(mut peers: Vec<PeerKey>) -> Self {
        peers.sort_unstable();
        peers.dedup();
        Self(peers)
    }

    /// Ascending.
    #[must_use]
    pub fn peers(&self) -> &[PeerKey] {
        &self.0
    }

    /// What the manifest pins.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let bytes: Vec<u8> = self.0.iter().flat_map(|p| *p.as_bytes()).collect();
        Hash::derive("starling 2026-11 roster v1", &[&bytes])
    }

    /// The index that stands for `peer` in receipts.
    #[must_use]
    pub fn index(&self, peer: &PeerKey) -> Option<u16> {
        self.0.binary_search(peer).ok().map(|i| i as u16)
    }

    /// The peer at an index.
    #[must_use]
    pub fn peer(&self, index: u16) -> Option<PeerKey> {
        self.0.get(usize::from(index)).copied()
    }

    fn well_formed(&self) -> bool {
        (1..=config::ROSTER_MAX).contains(&self.0.len()) && self.0.windows(2).all(|w| w[0] < w[1])
    }
}

/// Who may lease a job's slices, said by the requester.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appointment {
    /// Which job.
    pub job: JobId,
    /// 1 to 8 stewards.
    pub stewards: Vec<PeerKey>,
    /// Unix second of its end.
    pub until_s: u64,
    /// A later appointment has a higher number.
    pub number: u32,
}

impl Fact for Appointment {
    const CONTEXT: &'static str = "starling 2026-11 appointment v1";
}

/// All that a stranger needs to take part in a job. Fits one control message with a full roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Signed by the requester.
    pub manifest: Signed<Manifest>,
    /// Signed by the requester.
    pub appointment: Signed<Appointment>,
    /// Pinned by the manifest.
    pub roster: Roster,
}

impl JobRecord {
    /// The job's id.
    #[must_use]
    pub fn id(&self, swarm: &SwarmId) -> JobId {
        self.manifest.body.id(swarm)
    }

    /// Those who may judge `worker`, in rank order under `target` ([`draw::ranks`]). Not the worker, and no steward: whoever
    /// may gather an audit must not be drawn for it.
    #[must_use]
    pub fn ranks(&self, worker: &PeerKey, target: &Hash) -> Vec<PeerKey> {
        let peers: Vec<_> = self.judges().copied().collect();
        draw::ranks(&peers, worker, target)
    }

    /// e: how many peers may judge `worker`.
    #[must_use]
    pub fn eligible(&self, worker: &PeerKey) -> usize {
        self.judges().filter(|p| *p != worker).count()
    }

    /// e of a worker that is no steward: the least, and what the intensity of all leases is made for.
    #[must_use]
    pub fn committee(&self) -> usize {
        self.judges().count().saturating_sub(1)
    }

    fn judges(&self) -> impl Iterator<Item = &PeerKey> {
        self.roster.0.iter().filter(|p| !self.is_steward(p))
    }

    /// Who has the inputs: `first`, then the stewards, the requester among them.
    #[must_use]
    pub fn sources(&self, first: &[PeerKey]) -> Vec<PeerKey> {
        let mut sources = first.to_vec();
        let stewards = self.appointment.body.stewards.iter();
        for peer in stewards.chain([&self.manifest.body.requester]) {
            if !sources.contains(peer) {
                sources.push(*peer);
            }
        }
        sources
    }

    /// Whether the appointment lets `peer` lease.
    #[must_use]
    pub fn is_steward(&self, peer: &PeerKey) -> bool {
        self.appointment.body.stewards.contains(peer)
    }

    /// Checks ranges, signatures and that the three parts belong together. Times are for the caller.
    ///
    /// # Errors
    /// [`RecordError`], cheap checks first.
    pub fn check(&self, swarm: &SwarmId, verifier: &dyn Verifier) -> Result<(), RecordError> {
        let manifest = &self.manifest.body;
        let appointment = &self.appointment.body;
        manifest.check()?;
        if !self.roster.well_formed()
            || self.roster.digest() != manifest.roster
            || self.roster.index(&manifest.requester).is_some()
        {
            return Err(RecordError::Mismatch("roster"));
        }
        if !(1..=config::STEWARDS_MAX).contains(&appointment.stewards.len())
            || appointment.job != self.id(swarm)
        {
            return Err(RecordError::Mismatch("appointment"));
        }
        // No requester may have less audited than anybody would, nor more than an opening holds.
        let c = self.committee();
        if !manifest.floor.meets(&Intensity::least(c), c)
            || manifest.floor.tiles_at_most(c) > config::AUDITED_TILES_MAX
        {
            return Err(RecordError::Range("floor"));
        }
        if !self.manifest.verify(swarm, verifier, &manifest.requester) {
            return Err(RecordError::Signature("manifest"));
        }
        if !self
            .appointment
            .verify(swarm, verifier, &manifest.requester)
        {
            return Err(RecordError::Signature("appointment"));
        }
        Ok(())
    }
}
