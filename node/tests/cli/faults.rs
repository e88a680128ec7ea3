//! Real peers under faults that a seed draws, while jobs are submitted all the time: kill -9, processes that stand still,
//! refused connections, restarts and a full disk.
//!
//! Every peer is lender, auditor, witness, steward and requester at once; visitors submit too, and leave, and collect
//! elsewhere. Afterwards every job is complete and right or says why not, every receipt verifies, and all logs are held
//! against each other. `STARLING_FAULT_SECONDS` says how long (`scripts/soak faults`: 900), `STARLING_SEED` which: it
//! fixes what is drawn, in its order, not when a packet comes.

mod jobs;
mod ledger;
mod lenders;

use std::time::{Duration, Instant};

use self::jobs::Jobs;
use self::ledger::Ledger;
use self::lenders::Lenders;
use crate::room::Room;
use crate::support::{Ended, Place, Process, Up};

/// Peers that lend: enough for stewards beside a committee while some are in trouble. The last one's disk is the small
/// one, if there is one.
const HOMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "small/h"];
/// Of the small disk: several times what a quarter of an hour needs.
const DISK_MIB: u32 = 256;
/// Between two looks at everybody.
const LOOK: Duration = Duration::from_millis(20);
/// All jobs have to be over so long after the last fault.
const PATIENCE: Duration = Duration::from_secs(300);

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// What a seed draws, one number after another.
struct Draws {
    seed: u64,
    counter: u64,
}

impl Draws {
    /// Draws of its own for each use: how many jobs were drawn then says nothing about the faults.
    fn new(seed: u64, of: &str) -> Self {
        let hash = blake3::hash(format!("{of} {seed}").as_bytes());
        let seed = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight"));
        Self { seed, counter: 0 }
    }

    /// Uniform below `n`.
    fn below(&mut self, n: usize) -> usize {
        let words = [self.seed.to_le_bytes(), self.counter.to_le_bytes()].concat();
        self.counter += 1;
        let hash = blake3::hash(&words);
        let drawn = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight"));
        usize::try_from(drawn % n as u64).expect("below n")
    }

    /// A time up to that.
    fn up_to(&mut self, ms: usize) -> Duration {
        Duration::from_millis(self.below(ms) as u64)
    }
}

/// Where it happens.
struct Scene {
    place: Place,
    room: Option<Room>,
    enter: Vec<String>,
}

impl Scene {
    fn new() -> Self {
        let place = Place::new();
        let room = Room::with_disk_and_network(&place.path("small"), DISK_MIB);
        let enter = room.as_ref().map(Room::enter).unwrap_or_default();
        Self { place, room, enter }
    }

    fn enter(&self) -> Vec<&str> {
        self.enter.iter().map(String::as_str).collect()
    }

    /// Starts a command in a home.
    fn start(&self, home: &str, args: &[&str]) -> Process {
        self.place.start_through(&self.enter(), home, args)
    }

    /// Runs a command in a home.
    fn run(&self, home: &str, args: &[&str]) -> Ended {
        self.start(home, args).end()
    }

    fn join(&self, home: &str) {
        let genesis = self.place.text("a/genesis.toml");
        self.run(home, &["swarm", "join", &genesis]).expect(0);
    }

    /// A home's folder, as seen from here.
    fn folder(&self, home: &str) -> std::path::PathBuf {
        match (&self.room, home.strip_prefix("small/")) {
            (Some(room), Some(inside)) => room.outside.join(inside),
            _ => self.place.path(home),
        }
    }
}

#[test]
fn jobs_and_promises_outlive_faults() {
    let seconds = number("STARLING_FAULT_SECONDS", 60);
    let seed = number("STARLING_SEED", 1);
    println!("faults for {seconds} s with seed {seed}");
    let scene = Scene::new();
    let create = ["swarm", "create", "faults", "--open", "--scope", "local"];
    let create = [&create[..], &["--slice-ms", "150"]].concat();
    scene.run("a", &create).expect(0);
    HOMES[1..].iter().for_each(|home| scene.join(home));
    let mut lenders = Lenders::start(&scene, seed);
    let mut jobs = Jobs::new(&scene, seed);

    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        lenders.step(true);
        jobs.step(&lenders, true);
        std::thread::sleep(LOOK);
    }
    let end = Instant::now() + PATIENCE;
    while !lenders.are_well() || !jobs.are_over() {
        lenders.step(false);
        jobs.step(&lenders, false);
        let left = || format!("seed {seed}: {}", jobs.left());
        assert!(Instant::now() < end, "{}", left());
        std::thread::sleep(LOOK);
    }
    jobs.sweep(end);
    let bundles = jobs.verify();
    let counts = lenders.end();

    let genesis = starling::genesis::load(&scene.place.path("a").join("genesis.toml"));
    let swarm = genesis.expect("a genesis").swarm_id();
    let homes: Vec<_> = jobs.homes().iter().map(|home| scene.folder(home)).collect();
    let ledger = Ledger::read(swarm, &homes);
    let receipts = ledger.check();
    jobs.promises()
        .for_each(|(job, held_by)| ledger.check_promise(job, held_by));
    ledger.check_bundles(&bundles);
    let (bundled, records) = (bundles.len(), ledger.records);
    println!("faults {counts:?}");
    println!("{jobs}");
    println!("{bundled} receipts in bundles, {receipts} in logs, {records} records");
    let orphans = ledger.orphans();
    assert_eq!(orphans, 0, "jobs at stewards that no requester remembers");
    assert!(jobs.right() > 0, "no job was complete");
    let unexplained = jobs.unexplained().join("\n");
    assert!(unexplained.is_empty(), "no reason:\n{unexplained}");
}
