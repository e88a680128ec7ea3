//! A job whose requester is gone from its submission to its collection, with processes and sockets: it is finished and
//! kept by its stewards, any one of which is enough, and handed to whoever comes with the requester's identity.

use rustix::process::Signal;
use starling::key::Seed;
use starling_protocol::crypto::{Ed25519Signer, Signer as _};

use crate::support::{Place, Up, read};

/// Enough for three stewards, and a committee for everybody's work with two of them dead.
const LENDERS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
const PICTURE: [&str; 7] = [
    "run",
    "fractal",
    "--size",
    "1024x512",
    "--iterations",
    "4000",
    "-o",
];

struct Swarm {
    place: Place,
    lenders: Vec<(String, Up)>,
}

impl Swarm {
    fn start() -> Self {
        let place = Place::new();
        let create = ["swarm", "create", "outlive", "--open", "--scope", "local"];
        place
            .run("a", &[&create[..], &["--slice-ms", "150"]].concat())
            .expect(0);
        LENDERS[1..].iter().for_each(|home| place.member(home, "a"));
        let mut lenders: Vec<(String, Up)> = Vec::new();
        for home in LENDERS {
            let first = lenders.first().map(|(_, up)| up.address.clone());
            let known: Vec<_> = first.iter().flat_map(|a| ["--bootstrap", a]).collect();
            let up = place.up(home, &known);
            lenders.push((key(&place, home), up));
        }
        let whole = [&PICTURE[..], &["alone.png", "--local"]].concat();
        place.run("alone", &whole).expect(0);
        Self { place, lenders }
    }

    fn address(&self) -> String {
        self.lenders[0].1.address.clone()
    }

    /// Kills the lender with this key.
    fn kill(&mut self, key: &str) {
        let at = self.lenders.iter().position(|(k, _)| k == key);
        let (_, up) = self.lenders.remove(at.expect("a lender"));
        up.process.signal(Signal::KILL);
    }

    /// The identity of home `from` collects job `id` in another home.
    fn collect_elsewhere(&self, from: &str, id: &str) {
        let home = format!("{from}-elsewhere");
        self.place.member(&home, "a");
        let there = self.place.path(&home).join("requester");
        std::fs::create_dir_all(&there).expect("a folder");
        let identity = self.place.path(from).join("requester/identity.key");
        std::fs::copy(identity, there.join("identity.key")).expect("copied");
        self.collect(&home, id);
    }

    /// It does so at home, where the account still is, but neither log nor index.
    fn collect_with_account(&self, home: &str, id: &str) {
        let requester = self.place.path(home).join("requester");
        for lost in ["log", "index"] {
            std::fs::remove_dir_all(requester.join(lost)).expect("removed");
        }
        self.collect(home, id);
    }

    fn collect(&self, home: &str, id: &str) {
        let (file, known) = (format!("{home}.png"), self.address());
        let get = [
            "job",
            "get",
            id,
            "-o",
            &file,
            "--bootstrap",
            &known,
            "--json",
        ];
        let got = self.place.run(home, &get).expect(0).json();
        let picture = read(&self.place.path(&file));
        assert!(
            picture == read(&self.place.path("alone.png")),
            "other bytes"
        );
        assert!(got["receipts"].as_u64() > Some(0), "with its proofs: {got}");
    }
}

/// The key of home `home`'s lender.
fn key(place: &Place, home: &str) -> String {
    let (seed, _) = Seed::load_or_create(&place.path(home).join("identity.key")).expect("a key");
    Ed25519Signer::from_seed(seed.as_bytes()).key().to_string()
}

/// The job's id, and who holds it.
fn detached(told: &serde_json::Value) -> (String, Vec<String>) {
    let held = told["held_by"].as_array().expect("a list").iter();
    let text = |v: &serde_json::Value| v.as_str().expect("text").to_owned();
    (text(&told["job"]), held.map(text).collect())
}

/// Which of three stewards die, a bit for each: two of them, or with `STARLING_STEWARDS=all` any one and any two.
fn dead() -> Vec<usize> {
    match std::env::var("STARLING_STEWARDS").as_deref() {
        Ok("all") => vec![0b001, 0b010, 0b100, 0b011, 0b101, 0b110],
        _ => vec![0b011],
    }
}

#[test]
fn a_job_outlives_its_requester_and_two_of_its_three_stewards() {
    for dead in dead() {
        outlives(dead);
    }
}

fn outlives(dead: usize) {
    let mut swarm = Swarm::start();
    let known = swarm.address();

    // A command without a daemon submits and is gone.
    swarm.place.member("visitor", "a");
    let rest = [
        "net.png", "--detach", "--peers", "8", "--wait", "60", "--json",
    ];
    let alone = [&PICTURE[..], &rest, &["--bootstrap", &known]].concat();
    let told = swarm.place.run("visitor", &alone).expect(0).json();
    let (first, stewards) = detached(&told);
    assert_eq!(stewards.len(), 3, "{told}");

    // A daemon submits and is killed.
    swarm.place.member("victim", "a");
    let args = ["--bootstrap", &known, "--no-lend"];
    let daemon = swarm.place.up("victim", &args);
    let submit = [&PICTURE[..], &rest].concat();
    let told = swarm.place.run("victim", &submit).expect(0).json();
    let (second, _) = detached(&told);
    daemon.process.signal(Signal::KILL);
    drop(daemon);

    let die = (0..3).filter(|i| dead >> i & 1 == 1);
    die.for_each(|i| swarm.kill(&stewards[i]));
    swarm.collect_elsewhere("visitor", &first);
    swarm.collect_with_account("victim", &second);
    println!("collected with stewards {dead:03b} of 111 dead");
}
