//! kill -9 of real peers at random instants, as workers, auditors, witnesses and stewards at once. Afterwards their
//! logs are held against each other: every job ended right, nothing that left a peer is missing in its log, and nobody
//! signed twice. `STARLING_KILLS` says how many (`scripts/soak kills`: 200), `STARLING_SEED` which.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use starling::key::Seed;
use starling::log::{Log, MAX_RECORD};
use starling_protocol::crypto::{Ed25519Signer, Ed25519Verifier, Signer as _};
use starling_protocol::io::Record;
use starling_protocol::manifest::JobRecord;
use starling_protocol::{Hash, JobId, LeaseId, PeerKey, Receipt, SwarmId, codec};

use crate::support::{Place, Up, read};

const HOMES: [&str; 4] = ["a", "b", "c", "d"];
const PICTURE: [&str; 7] = [
    "run",
    "fractal",
    "--size",
    "1024x768",
    "--iterations",
    "6000",
    "-o",
];
/// Kills for each job.
const PER_JOB: u64 = 6;
/// A job has to be over so long after the last kill.
const PATIENCE: Duration = Duration::from_secs(300);

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Uniform below `n`, from seed and counter.
fn draw(seed: u64, counter: u64, n: u64) -> u64 {
    let words = [seed.to_le_bytes(), counter.to_le_bytes()].concat();
    let hash = blake3::hash(&words);
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight")) % n
}

#[test]
fn jobs_and_promises_outlive_kill_9() {
    let (kills, seed) = (number("STARLING_KILLS", 5), number("STARLING_SEED", 1));
    let place = Place::new();
    let create = ["swarm", "create", "kills", "--scope", "local"];
    let create = [&create[..], &["--slice-ms", "150"]].concat();
    place.run("a", &create).expect(0);
    HOMES[1..].iter().for_each(|home| place.member(home, "a"));
    let mut peers: Vec<Up> = Vec::new();
    for home in HOMES {
        let known: Vec<_> = peers
            .iter()
            .flat_map(|p| ["--bootstrap", &p.address])
            .collect();
        let peer = place.up(home, &known);
        peers.push(peer);
    }
    let whole = [&PICTURE[..], &["alone.png", "--local"]].concat();
    place.run("alone", &whole).expect(0);

    let mut jobs: Vec<(usize, String)> = Vec::new();
    for kill in 0..kills {
        if kill % PER_JOB == 0 {
            let home = draw(seed, 3 * kill, HOMES.len() as u64) as usize;
            jobs.push((home, submit(&place, HOMES[home])));
        }
        std::thread::sleep(Duration::from_millis(draw(seed, 3 * kill + 1, 1_200)));
        let victim = draw(seed, 3 * kill + 2, HOMES.len() as u64) as usize;
        peers[victim].process.signal(Signal::KILL);
        let next = (victim + 1) % HOMES.len();
        let known = ["--bootstrap", &peers[next].address.clone()];
        // Dropped first: its home is locked as long as the process is there.
        let dead = peers.remove(victim);
        drop(dead);
        peers.insert(victim, place.up(HOMES[victim], &known));
    }

    let end = Instant::now() + PATIENCE;
    for (home, job) in &jobs {
        let state = || {
            let shown = place.run(HOMES[*home], &["job", "show", job, "--json"]);
            shown.expect(0).json()["state"].clone()
        };
        while state() == "running" {
            assert!(Instant::now() < end, "seed {seed}: {job} does not end");
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(state(), "done", "seed {seed}: {job}");
        place
            .run(HOMES[*home], &["job", "get", job, "-o", "got.png"])
            .expect(0);
        let same = read(&place.path("got.png")) == read(&place.path("alone.png"));
        assert!(same, "seed {seed}: {job} is another picture");
        std::fs::remove_file(place.path("got.png")).expect("just written");
    }
    for peer in peers {
        peer.process.signal(Signal::TERM);
        peer.process.end().expect(0);
    }
    let ledger = Ledger::read(&place);
    let receipts = ledger.check();
    println!(
        "{kills} kills with seed {seed}: {} jobs done, {receipts} receipts, {} records",
        jobs.len(),
        ledger.records
    );
}

fn submit(place: &Place, home: &str) -> String {
    let args = [&PICTURE[..], &["net.png", "--detach", "--wait", "60"]].concat();
    place.run(home, &args).expect(0).stdout.trim().to_owned()
}

/// What the logs of all peers say together.
#[derive(Default)]
struct Ledger {
    swarm: Option<SwarmId>,
    records: usize,
    jobs: BTreeMap<JobId, JobRecord>,
    committed: BTreeMap<(PeerKey, LeaseId), Hash>,
    locked: BTreeMap<(PeerKey, LeaseId), Hash>,
    revealed: BTreeSet<(PeerKey, LeaseId)>,
    /// By the requester, and by whom it was earned.
    collected: BTreeMap<LeaseId, Receipt>,
    earned: BTreeMap<LeaseId, Receipt>,
    done: BTreeSet<(JobId, u32)>,
    ended: BTreeSet<(PeerKey, JobId)>,
}

impl Ledger {
    fn read(place: &Place) -> Self {
        let mut ledger = Self::default();
        let genesis = starling::genesis::load(&place.path("a").join("genesis.toml"));
        let swarm = genesis.expect("a genesis").swarm_id();
        ledger.swarm = Some(swarm);
        let lenders = HOMES.map(|home| place.path(home));
        let requesters = HOMES.map(|home| place.path(home).join("requester"));
        for home in lenders
            .iter()
            .chain(&requesters)
            .filter(|h| h.join("log").exists())
        {
            let (key, _) = Seed::load_or_create(&home.join("identity.key")).expect("a key");
            let key = Ed25519Signer::from_seed(key.as_bytes()).key();
            let (_, recovery) = Log::open(&home.join("log"), swarm.as_bytes(), |_, bytes| {
                let record = codec::decode::<Record>(bytes, MAX_RECORD).expect("a record");
                ledger.take(key, record);
            })
            .expect("a log");
            assert!(recovery.is_clean(), "{recovery:?}");
        }
        ledger
    }

    /// Takes a record of peer `me`. Nobody may say two things about one lease or slice.
    fn take(&mut self, me: PeerKey, record: Record) {
        self.records += 1;
        match record {
            Record::Committed { lease, root } => {
                let first = *self.committed.entry((me, lease)).or_insert(root);
                assert_eq!(first, root, "two roots for {lease}");
            }
            Record::Locked { lease, root, .. } => {
                let first = *self.locked.entry((me, lease)).or_insert(root);
                assert_eq!(first, root, "two locks for {lease}");
            }
            Record::Revealed { lease, .. } => {
                assert!(self.revealed.insert((me, lease)), "two reveals for {lease}");
            }
            Record::Submitted { record } => {
                let job = record.id(&self.swarm.expect("set"));
                assert!(self.jobs.insert(job, *record).is_none());
            }
            Record::Receipted { receipt, .. } | Record::Kept { receipt, .. } => {
                let lease = receipt.id(&self.swarm.expect("set"));
                let mine = receipt.lease.body.worker == me;
                let side = if mine {
                    &mut self.earned
                } else {
                    &mut self.collected
                };
                side.insert(lease, *receipt);
            }
            Record::SliceDone { job, slice, .. } => {
                assert!(self.done.insert((job, slice)), "slice {slice} done twice");
            }
            Record::Ended { job, .. } => {
                assert!(self.ended.insert((me, job)), "a job ended twice");
            }
            Record::Bound { .. }
            | Record::Excluded { .. }
            | Record::Appointed { .. }
            | Record::Revoked { .. }
            | Record::Standing { .. } => {}
        }
    }

    /// Everything that one peer holds from another is in that other's log. How many receipts there are.
    fn check(&self) -> usize {
        let swarm = self.swarm.expect("set");
        for (lease, receipt) in &self.collected {
            let body = &receipt.lease.body;
            let record = &self.jobs[&body.job];
            receipt
                .verify(record, &swarm, &Ed25519Verifier)
                .expect("a receipt");
            let root = receipt.commitment.body.root;
            assert_eq!(self.committed.get(&(body.worker, *lease)), Some(&root));
            let locks = &receipt.lock_set.body.locks;
            for (lock, nonce) in locks.iter().zip(&receipt.nonces) {
                let witness = record.roster.peer(lock.witness).expect("in the roster");
                assert_eq!(self.locked.get(&(witness, *lease)), Some(&root));
                if nonce.is_some() {
                    assert!(self.revealed.contains(&(witness, *lease)));
                }
            }
        }
        for lease in self.earned.keys() {
            assert!(
                self.collected.contains_key(lease),
                "a receipt that nobody gave"
            );
        }
        let slices: u32 = self.jobs.values().map(|r| r.manifest.body.slices()).sum();
        assert_eq!(self.done.len(), slices as usize);
        for (job, record) in &self.jobs {
            let owner = record.manifest.body.requester;
            assert!(self.ended.contains(&(owner, *job)), "{job} is not over");
        }
        self.collected.len()
    }
}
