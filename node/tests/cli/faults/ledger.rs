//! What the logs of all peers of a swarm say together: nothing that left a peer is missing in its log, nobody signed
//! twice, and every job that was submitted is over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use starling::key::Seed;
use starling::log::{Log, MAX_RECORD};
use starling_protocol::crypto::{Ed25519Signer, Ed25519Verifier, Signer as _};
use starling_protocol::io::Record;
use starling_protocol::manifest::JobRecord;
use starling_protocol::{Hash, JobId, LeaseId, PeerKey, Reason, Receipt, SwarmId, codec};

/// A log: of which peer, and which of the homes, because an identity may be at home in several, one after another.
type Place = (PeerKey, usize);

pub struct Ledger {
    swarm: SwarmId,
    pub records: usize,
    /// Submitted.
    jobs: BTreeMap<JobId, JobRecord>,
    submitted: BTreeSet<(Place, JobId)>,
    appointed: BTreeSet<(PeerKey, JobId)>,
    committed: BTreeMap<(PeerKey, LeaseId), Hash>,
    locked: BTreeMap<(PeerKey, LeaseId), (Hash, SliceKey)>,
    revealed: BTreeMap<(PeerKey, SliceKey), LeaseId>,
    /// By stewards, and by whom it was earned.
    collected: BTreeMap<(PeerKey, LeaseId), Receipt>,
    earned: BTreeMap<LeaseId, Receipt>,
    /// By whom.
    done: BTreeMap<(Place, JobId, u32), PeerKey>,
    ended: BTreeMap<(Place, JobId), Reason>,
}

type SliceKey = (JobId, u32, PeerKey);

impl Ledger {
    /// Reads the logs below these homes.
    pub fn read(swarm: SwarmId, homes: &[PathBuf]) -> Self {
        let mut ledger = Self {
            swarm,
            records: 0,
            jobs: BTreeMap::new(),
            submitted: BTreeSet::new(),
            appointed: BTreeSet::new(),
            committed: BTreeMap::new(),
            locked: BTreeMap::new(),
            revealed: BTreeMap::new(),
            collected: BTreeMap::new(),
            earned: BTreeMap::new(),
            done: BTreeMap::new(),
            ended: BTreeMap::new(),
        };
        let both = |home: &PathBuf| [home.clone(), home.join("requester")];
        let logs = homes.iter().flat_map(both);
        for (number, home) in logs.enumerate().filter(|(_, h)| h.join("log").exists()) {
            ledger.read_one(&home, number);
        }
        ledger
    }

    fn read_one(&mut self, home: &Path, number: usize) {
        let place = (key(home), number);
        let swarm = self.swarm;
        let (_, recovery) = Log::open(&home.join("log"), swarm.as_bytes(), |_, bytes| {
            let record = codec::decode::<Record>(bytes, MAX_RECORD).expect("a record");
            self.take(place, record);
        })
        .expect("a log");
        assert!(recovery.is_clean(), "{}: {recovery:?}", home.display());
    }

    /// Takes a record. Nobody may say two things about one lease or slice.
    fn take(&mut self, place: Place, record: Record) {
        self.records += 1;
        let me = place.0;
        match record {
            Record::Committed { lease, root } => {
                let first = *self.committed.entry((me, lease)).or_insert(root);
                assert_eq!(first, root, "two roots for {lease}");
            }
            Record::Locked {
                job,
                slice,
                worker,
                lease,
                root,
                ..
            } => {
                let lock = (root, (job, slice, worker));
                let first = *self.locked.entry((me, lease)).or_insert(lock);
                assert_eq!(first, lock, "two locks for {lease}");
            }
            Record::Revealed { lease, .. } => {
                let (_, slice) = self.locked[&(me, lease)];
                let first = self.revealed.insert((me, slice), lease);
                assert_eq!(first, None, "two reveals for a slice of {}", slice.0);
            }
            Record::Submitted { record } => {
                let job = record.id(&self.swarm);
                assert!(self.submitted.insert((place, job)), "{job} came twice");
                self.jobs.insert(job, *record);
            }
            Record::Appointed { record } => {
                let job = record.id(&self.swarm);
                self.appointed.insert((me, job));
            }
            Record::Receipted { receipt, .. } | Record::Kept { receipt, .. } => {
                let lease = receipt.id(&self.swarm);
                if receipt.lease.body.worker == me {
                    self.earned.insert(lease, *receipt);
                } else {
                    self.collected.insert((me, lease), *receipt);
                }
            }
            Record::SliceDone {
                job, slice, worker, ..
            } => {
                let first = self.done.insert((place, job, slice), worker);
                assert_eq!(first, None, "slice {slice} of {job} is done twice");
            }
            Record::Revoked { job, slice, .. } => {
                self.done.remove(&(place, job, slice));
            }
            Record::Ended { job, reason } => {
                let first = self.ended.insert((place, job), reason);
                // A steward may be told of a job again, and of its end.
                let own = self.submitted.contains(&(place, job));
                assert!(first.is_none() || !own, "{job} ended twice");
            }
            Record::Bound { .. } | Record::Excluded { .. } | Record::Standing { .. } => {}
        }
    }

    /// Everything that one peer holds from another is in that other's log, and every job ended. How many receipts
    /// there are.
    pub fn check(&self) -> usize {
        let mut leases = BTreeSet::new();
        for ((_, lease), receipt) in &self.collected {
            self.check_receipt(lease, receipt);
            leases.insert(*lease);
        }
        for lease in self.earned.keys() {
            assert!(leases.contains(lease), "{lease}: nobody gave this receipt");
        }
        for (job, record) in &self.jobs {
            let body = &record.manifest.body;
            let mut ends = self.ended.keys();
            let over = ends.any(|((owner, _), ended)| (*owner, *ended) == (body.requester, *job));
            assert!(over, "{job} is not over");
        }
        for ((place, job), reason) in &self.ended {
            let record = self.jobs.get(job).filter(|_| *reason == Reason::JobDone);
            let own = self.submitted.contains(&(*place, *job));
            let Some(record) = record.filter(|_| own) else {
                continue;
            };
            for slice in 0..record.manifest.body.slices() {
                let done = self.done.contains_key(&(*place, *job, slice));
                assert!(done, "{job} ended without slice {slice}");
            }
        }
        leases.len()
    }

    fn check_receipt(&self, lease: &LeaseId, receipt: &Receipt) {
        let body = &receipt.lease.body;
        let record = self.jobs.get(&body.job);
        let record = record.unwrap_or_else(|| panic!("{} was never submitted", body.job));
        receipt
            .verify(record, &self.swarm, &Ed25519Verifier)
            .expect("a receipt");
        let root = receipt.commitment.body.root;
        assert_eq!(self.committed.get(&(body.worker, *lease)), Some(&root));
        let slice = (body.job, body.slice, body.worker);
        let locks = &receipt.lock_set.body.locks;
        for (lock, nonce) in locks.iter().zip(&receipt.nonces) {
            let witness = record.roster.peer(lock.witness).expect("in the roster");
            assert_eq!(self.locked.get(&(witness, *lease)), Some(&(root, slice)));
            if nonce.is_some() {
                assert_eq!(self.revealed.get(&(witness, slice)), Some(lease));
            }
        }
    }

    /// Jobs that stewards have and that no requester remembers: nobody hears of a job before its log has it.
    pub fn orphans(&self) -> usize {
        let held: BTreeSet<&JobId> = self.appointed.iter().map(|(_, job)| job).collect();
        held.iter()
            .filter(|job| !self.jobs.contains_key(job))
            .count()
    }

    /// What people are handed as proofs of their jobs: whoever computed a slice has its receipt there.
    pub fn check_bundles(&self, bundles: &BTreeSet<(String, u64, String)>) {
        for (((me, _), job, slice), worker) in &self.done {
            let here = (job.to_string(), u64::from(*slice), worker.to_string());
            let held = worker == me || bundles.contains(&here);
            assert!(
                held,
                "the receipt of slice {slice} of {job} is in no bundle"
            );
        }
    }

    /// A job of which a person was told that it was submitted, and that these hold it.
    pub fn check_promise(&self, job: &str, held_by: &[String]) {
        let job: JobId = job.parse().expect("a job's id");
        assert!(self.jobs.contains_key(&job), "{job} was never submitted");
        for steward in held_by {
            let key: PeerKey = steward.parse().expect("a key");
            let holds = self.appointed.contains(&(key, job));
            assert!(holds, "{steward} said that it holds {job}, and does not");
        }
    }
}

/// Whose home that is.
fn key(home: &Path) -> PeerKey {
    let (seed, _) = Seed::load_or_create(&home.join("identity.key")).expect("a key");
    Ed25519Signer::from_seed(seed.as_bytes()).key()
}
