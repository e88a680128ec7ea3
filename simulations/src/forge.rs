//! What a receipt is worth to a stranger: how strong honest receipts are whose requester has filled a share of its roster
//! with its own keys, and what it costs such a requester to make receipts of work that nobody did.
//!
//! The forger owns the requester, which is the only steward, and a share f of the roster, the worker among it. It asks
//! nobody else for anything: it tries salts until the witnesses of a slice are its own, so that it knows all nonces, and
//! then roots until enough of the auditors are. Honest peers that are drawn it passes over, or lists with invented seals,
//! for these are not signed. Every receipt is verified as `proof verify` does it, with real signatures. Beside what it
//! took stands what it should take: draws are without replacement from a roster in which some are its own.

use crate::engine::{Purpose, Streams};
use crate::experiment::{CLASS, Study, kernel};
use crate::run::RunError;
use crate::world::World;
use serde::Serialize;
use starling_protocol::advert::{DeviceKind, DeviceProfile};
use starling_protocol::crypto::{BoxedSigner, Ed25519Signer, Ed25519Verifier, Signature, Signer};
use starling_protocol::evidence::{
    Attestation, Commitment, Lease, Lock, LockEntry, LockSet, Reveal, Revealed, SealEntry,
    SealList, Stored,
};
use starling_protocol::manifest::{Appointment, ContextRule, Intensity, JobRecord, Roster};
use starling_protocol::receipt::{Agreement, Quorum, ReceiptError, Storer, Verified};
use starling_protocol::signed::{Fact, Signed};
use starling_protocol::text::Text;
use starling_protocol::{Hash, LeaseId, Manifest, PeerKey, Receipt, SwarmId, Tier, config, draw};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Which receipts are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// As the lease states it; the manifest's floor is the same.
    pub intensity: Intensity,
    /// Whether any flag will do.
    pub weak: bool,
}

impl Wanted {
    /// Auditors, those that must agree, and those that may be passed over.
    fn audit(&self, strength: Intensity, e: usize) -> (usize, usize, usize, usize) {
        let (k, q) = (usize::from(strength.k), strength.quorum());
        let most = (2 * k).min(e);
        (k, q, most, if self.weak { most } else { k - q })
    }

    /// Salts and roots that it takes on average, if `own` of `e` are the forger's: the inverse of the chance that a draw
    /// falls well. Infinite where no draw can.
    #[must_use]
    pub fn expected(&self, e: usize, own: usize) -> (f64, f64) {
        let witnesses = match self.weak {
            true => 1.0,
            false => at_least(e, own, config::WITNESSES + 1, config::WITNESSES),
        };
        let audit = |strength| {
            let (k, q, most, spare) = self.audit(strength, e);
            at_least(e, own, (k + spare).min(most), q)
        };
        let (stated, full) = (self.intensity, Intensity::newcomer(e));
        let in_full = Intensity {
            k: stated.k.max(full.k),
            ..stated
        };
        let coin = f64::from(stated.p_full) / 65_536.0;
        let auditors = coin * audit(in_full) + (1.0 - coin) * audit(stated);
        (witnesses.recip(), auditors.recip())
    }
}

/// Chance that of `drawn` peers, drawn among `all` without replacement, at least so many are of the `own`.
#[must_use]
pub fn at_least(all: usize, own: usize, drawn: usize, least: usize) -> f64 {
    let ways = |n: usize, k: usize| -> f64 {
        let each = (0..k).map(|i| ((n.saturating_sub(i)) as f64 / (i + 1) as f64).ln());
        each.sum::<f64>()
    };
    let drawn = drawn.min(all);
    let lucky = (least..=drawn.min(own)).filter(|i| drawn - i <= all - own);
    let chance = |i| (ways(own, i) + ways(all - own, drawn - i) - ways(all, drawn)).exp();
    // The sum of nothing is -0.
    lucky.map(chance).sum::<f64>().abs()
}

/// What it took to forge a receipt, or not to.
pub struct Attempt {
    /// Salts of manifests tried.
    pub ids: u64,
    /// Roots tried.
    pub roots: u64,
    /// What offline verification says of the receipt, if there is one.
    pub verified: Option<Verified>,
}

/// Peers in rank order, and whether they are the forger's.
type Ranks = Vec<(PeerKey, bool)>;

/// One who owns a share of a roster.
pub struct Forger {
    /// Peers of the roster that are not its own.
    pub honest: BTreeSet<PeerKey>,
    swarm: SwarmId,
    requester: BoxedSigner,
    own: BTreeMap<PeerKey, BoxedSigner>,
    roster: Roster,
    worker: PeerKey,
    /// Everybody but the worker.
    others: Ranks,
    secret: Hash,
}

impl Forger {
    /// With a share of a roster of so many.
    #[must_use]
    pub fn new(peers: u32, share: f64, seed: u64) -> Self {
        let streams = Streams::new(seed);
        let signer = |i| Ed25519Signer::from_seed(&streams.bytes(Purpose::Identity, i, 0));
        let count = (f64::from(peers) * share).round() as u32;
        let owned =
            (1..=count).map(|i| -> (_, BoxedSigner) { (signer(i).key(), Box::new(signer(i))) });
        let own: BTreeMap<_, _> = owned.collect();
        let honest: BTreeSet<_> = (count + 1..=peers).map(|i| signer(i).key()).collect();
        let worker = own.keys().next().copied().unwrap_or_default();
        let all: Vec<_> = own.keys().chain(&honest).copied().collect();
        let others = all.iter().filter(|k| **k != worker);
        Self {
            swarm: SwarmId(Hash(streams.bytes(Purpose::Workload, 0, 0))),
            requester: Box::new(signer(0)),
            others: others.map(|k| (*k, own.contains_key(k))).collect(),
            honest,
            roster: Roster::new(all),
            own,
            worker,
            secret: Hash(streams.bytes(Purpose::Adversary, 0, 0)),
        }
    }

    /// The next number that nobody else has a say in.
    fn draw(&self, purpose: &str, n: u64) -> Hash {
        Hash::derive(
            "starling-sim 2026-11 forger v1",
            &[&self.secret.0, purpose.as_bytes(), &n.to_le_bytes()],
        )
    }

    /// What `wanted` should take: salts and roots.
    #[must_use]
    pub fn expected(&self, wanted: Wanted) -> (f64, f64) {
        let own = self.others.iter().filter(|(_, own)| *own).count();
        wanted.expected(self.others.len(), own)
    }

    /// The first `most` peers in the order that `target` gives, as [`draw::ranks`] has it, and whether they are the
    /// forger's.
    fn ranks(&self, target: &Hash, most: usize) -> Ranks {
        let others = self.others.iter();
        let mut all: Vec<_> = others
            .map(|(k, own)| (target.keyed(k.as_bytes()), *k, *own))
            .collect();
        if most < all.len() {
            all.select_nth_unstable(most);
            all.truncate(most);
        }
        all.sort_unstable();
        all.into_iter().map(|(_, k, own)| (k, own)).collect()
    }

    fn sign<T: Fact>(&self, by: &dyn Signer, body: T) -> Signed<T> {
        Signed::new(body, &self.swarm, by)
    }

    fn signature<T: Fact>(&self, by: &PeerKey, body: &T) -> Signature {
        self.own[by].sign(&body.digest(&self.swarm))
    }

    fn index(&self, peer: &PeerKey) -> u16 {
        self.roster.index(peer).unwrap_or(u16::MAX)
    }

    fn manifest(&self, intensity: Intensity, try_number: u64) -> Manifest {
        Manifest {
            version: config::RULES_VERSION,
            requester: self.requester.key(),
            kernel: kernel(),
            class: CLASS.into(),
            params: Vec::new(),
            inputs: Vec::new(),
            tier: Tier::Exact,
            context: ContextRule::None,
            tiles: 512,
            tile_bytes: 64,
            units_per_tile: 1_000_000,
            slice_tiles: 512,
            bid: 0,
            floor: intensity,
            roster: self.roster.digest(),
            deadline_s: 1_900_000_000,
            recipient: None,
            salt: self.draw("salt", try_number),
        }
    }

    /// Salts until three of the witnesses, of those not passed over, are the forger's; with any flag none need be. Tries,
    /// manifest, who, skipped.
    fn witnesses(
        &self,
        wanted: Wanted,
        tries: u64,
    ) -> Option<(u64, Manifest, Vec<PeerKey>, Vec<PeerKey>)> {
        let most = if wanted.weak {
            config::WITNESS_RANKS
        } else {
            config::WITNESSES + 1
        };
        (0..tries).find_map(|tried| {
            let manifest = self.manifest(wanted.intensity, tried);
            let job = manifest.id(&self.swarm);
            let target = draw::witness_target(&job, 0, &self.worker);
            let (mut present, mut skipped) = (Vec::new(), Vec::new());
            for (peer, own) in self.ranks(&target, most) {
                if present.len() < config::WITNESSES {
                    if own { &mut present } else { &mut skipped }.push(peer);
                }
            }
            let enough = wanted.weak || present.len() == config::WITNESSES;
            enough.then_some((tried + 1, manifest, present, skipped))
        })
    }

    /// Whether these ranks make a list under which enough own auditors agree: who is listed, and who is passed over.
    fn list(
        wanted: Wanted,
        strength: Intensity,
        e: usize,
        ranks: &[(PeerKey, bool)],
    ) -> Option<(Ranks, Vec<PeerKey>)> {
        let (k, q, most, spare) = wanted.audit(strength, e);
        for pass in 0..=spare {
            let asked = &ranks[..(k + pass).min(most)];
            let own = asked.iter().filter(|(_, own)| *own).count();
            if own < q || asked.len() - own < pass || asked.len() - pass > k {
                continue;
            }
            let honest = asked.iter().filter(|(_, own)| !own);
            let skipped: Vec<_> = honest.take(pass).map(|(peer, _)| *peer).collect();
            let listed = asked.iter().filter(|(p, _)| !skipped.contains(p));
            return Some((listed.copied().collect(), skipped));
        }
        None
    }

    /// Forges a receipt; none if it takes more than `tries` salts or roots.
    ///
    /// # Errors
    /// [`ReceiptError`] if it does not verify.
    pub fn forge(&self, wanted: Wanted, tries: u64) -> Result<Attempt, ReceiptError> {
        let gave_up = |ids, roots| Attempt {
            ids,
            roots,
            verified: None,
        };
        let Some((ids, manifest, witnesses, passed)) = self.witnesses(wanted, tries) else {
            return Ok(gave_up(tries, 0));
        };
        let (swarm, e) = (self.swarm, self.others.len());
        let (me, worker) = (self.requester.key(), self.worker);
        let job = manifest.id(&swarm);
        let appointment = self.sign(
            &*self.requester,
            Appointment {
                job,
                stewards: vec![me],
                until_s: manifest.deadline_s,
                number: 0,
            },
        );
        let steward_nonce = self.draw("steward nonce", 0);
        let lease = Lease {
            job,
            slice: 0,
            worker,
            steward: me,
            ttl_ms: 60_000,
            intensity: wanted.intensity,
            nonce_digest: draw::nonce_digest(&steward_nonce),
            appointment: appointment.digest(&swarm),
        };
        let id = lease.id(&swarm);
        let nonces: Vec<_> = (0..)
            .zip(&witnesses)
            .map(|(n, _)| self.draw("nonce", n))
            .collect();
        let known: Vec<_> = nonces.iter().map(|n| Some(*n)).collect();
        let found = (0..tries).find_map(|tried| {
            let root = self.draw("root", tried);
            let seed = draw::seed(&id, &root, &known, &steward_nonce);
            let strength = wanted.intensity.effective(&seed, e);
            let most = (2 * usize::from(strength.k)).min(e);
            let ranks = self.ranks(&draw::auditor_target(&seed), most);
            let (listed, skipped) = Self::list(wanted, strength, e, &ranks)?;
            Some((tried + 1, root, seed, strength, listed, skipped))
        });
        let Some((roots, root, seed, strength, listed, skipped)) = found else {
            return Ok(gave_up(ids, tries));
        };
        let locks = witnesses.iter().zip(&nonces).map(|(w, nonce)| {
            let nonce_digest = draw::nonce_digest(nonce);
            let signature = self.signature(
                w,
                &Lock {
                    lease: id,
                    root,
                    nonce_digest,
                },
            );
            LockEntry {
                witness: self.index(w),
                nonce_digest,
                signature,
            }
        });
        let lock_set = LockSet {
            lease: id,
            locks: locks.collect(),
            skipped: passed.iter().map(|p| self.index(p)).collect(),
        };
        let bound = lock_set.digest(&swarm);
        let reveals = witnesses.iter().zip(&nonces).map(|(w, nonce)| {
            let reveal = Reveal {
                lease: id,
                lock_set: bound,
                nonce: *nonce,
            };
            Some(Revealed {
                nonce: *nonce,
                signature: self.signature(w, &reveal),
            })
        });
        let opening = self.draw("opening", 0);
        let tiles = strength.s.min(512);
        let agreeing = listed
            .iter()
            .filter(|(_, own)| *own)
            .take(strength.quorum());
        let agreements = agreeing.map(|(auditor, _)| {
            let nonce = self.draw("auditor", 0);
            let attestation = Attestation {
                lease: id,
                seed,
                opening,
                agree: true,
                tiles,
                nonce,
            };
            let signature = self.signature(auditor, &attestation);
            Agreement {
                auditor: self.index(auditor),
                tiles,
                nonce,
                signature,
            }
        });
        let commitment = Commitment {
            lease: id,
            root,
            tiles: 512,
            device: nothing(),
        };
        let seal = |(p, _): &(PeerKey, bool)| SealEntry {
            auditor: self.index(p),
            digest: self.draw("seal", 0),
        };
        let receipt = Receipt {
            commitment: self.sign(&*self.own[&worker], commitment),
            lock_set: self.sign(&*self.requester, lock_set),
            nonces: reveals.collect(),
            steward_nonce,
            seal_list: self.sign(
                &*self.requester,
                SealList {
                    lease: id,
                    seals: listed.iter().map(seal).collect(),
                    skipped: skipped.iter().map(|p| self.index(p)).collect(),
                    requester_draw: true,
                },
            ),
            opening,
            quorum: Quorum::Auditors(agreements.collect()),
            stored: Some(self.stored(id, root)),
            lease: self.sign(&*self.requester, lease),
        };
        let record = JobRecord {
            manifest: self.sign(&*self.requester, manifest),
            appointment,
            roster: self.roster.clone(),
        };
        debug_assert_eq!(record.check(&swarm, &Ed25519Verifier), Ok(()));
        Ok(Attempt {
            ids,
            roots,
            verified: Some(receipt.verify(&record, &swarm, &Ed25519Verifier)?),
        })
    }

    fn stored(&self, lease: LeaseId, root: Hash) -> Storer {
        let digest = Stored { lease, root }.digest(&self.swarm);
        Storer {
            peer: self.requester.key(),
            signature: self.requester.sign(&digest),
        }
    }
}

fn nothing() -> DeviceProfile {
    DeviceProfile {
        kind: DeviceKind::Other,
        name: Text::new(),
    }
}

/// Strengths of receipts to somebody who knows all, half and none of the honest peers: means of known committee members.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Strengths {
    /// Receipts.
    pub receipts: u32,
    /// Mean size of a committee.
    pub committee: f64,
    /// Known of it, on average, to who knows all honest peers.
    pub all: f64,
    /// ... half of them.
    pub half: f64,
    /// ... none.
    pub none: f64,
    /// The least that was known of a committee to who knows all.
    pub least: usize,
}

impl Strengths {
    /// Of receipts that verify, each with the honest peers of its roster.
    #[must_use]
    pub fn of<'a>(receipts: impl Iterator<Item = (&'a Verified, &'a BTreeSet<PeerKey>)>) -> Self {
        let mut sums = Self::default();
        let mut least: Option<usize> = None;
        for (verified, honest) in receipts {
            // As good as any half: keys are hashes.
            let half: BTreeSet<_> = honest.iter().step_by(2).copied().collect();
            let known = |who: &BTreeSet<PeerKey>| verified.committee.intersection(who).count();
            let all = known(honest);
            sums.receipts += 1;
            sums.committee += verified.committee.len() as f64;
            sums.all += all as f64;
            sums.half += known(&half) as f64;
            sums.none += known(&BTreeSet::new()) as f64;
            least = Some(least.map_or(all, |l| l.min(all)));
        }
        sums.least = least.unwrap_or(0);
        let n = f64::from(sums.receipts.max(1));
        for sum in [
            &mut sums.committee,
            &mut sums.all,
            &mut sums.half,
            &mut sums.none,
        ] {
            *sum /= n;
        }
        sums
    }
}

/// Honest receipts: jobs of a requester that has stuffed this share of its roster with peers that do as they should.
///
/// # Errors
/// [`RunError`].
pub fn honest(share: f64, seeds: u32) -> Result<Strengths, RunError> {
    let text = format!(
        "run = {{ horizon_s = 600 }}\n\
         [population]\npeers = 42\nsignatures = \"cheap\"\n\
         [[workload]]\n\
         [workload.job]\ntiles = 2048\nslice_tiles = 64\ntile_bytes = 64\nunits_per_tile = 1000000\n\
         [[adversaries]]\nshare = {share:?}\nstrategies = []\n"
    );
    let study = Study::parse(&text, Path::new("(stuffed)"))?;
    let experiment = &study.cells[0].experiment;
    let verifier = experiment.population.signatures.verifier();
    let mut all = Vec::new();
    for seed in 1..=u64::from(seeds) {
        let mut world = World::new(experiment, seed, false)?;
        world.run(&AtomicBool::new(false))?;
        let history = &world.shared.observer.history;
        for held in &history.receipts {
            let Some(record) = history.records.get(&held.job) else {
                continue;
            };
            let of_requester = held.by == record.manifest.body.requester;
            let verified = held.receipt.verify(record, &history.swarm, verifier);
            if let Ok(verified) = verified
                && of_requester
            {
                let roster = record.roster.peers().iter().copied();
                let honest: BTreeSet<_> = roster.filter(|p| !world.misbehaves(p)).collect();
                all.push((verified, honest));
            }
        }
    }
    Ok(Strengths::of(all.iter().map(|(v, h)| (v, h))))
}
