//! Peers that die and come back with their log: bound to what they signed before.

use crate::model;
use crate::world::Nature::{Fakes, Honest, Withholds};
use crate::world::{Faults, NOBODY, World, signer};
use starling_protocol::evidence::{Commitment, Lease, LockSet, Reveal};
use starling_protocol::io::{Purpose, Record};
use starling_protocol::signed::Signed;
use starling_protocol::{Event, Hash, Input, Message, Output, Reason};

fn messages(outputs: &[Output]) -> Vec<Message> {
    let sent = outputs.iter().filter_map(|o| {
        if let Output::Send { bytes, .. } = o {
            Some(bytes)
        } else {
            None
        }
    });
    sent.map(|b| Message::from_bytes(b).expect("peers send what they can read"))
        .collect()
}

/// The first message of `name` that reached `to`.
fn received(world: &World, to: usize, name: &str) -> Option<(usize, Message)> {
    world.sent.iter().filter(|s| s.to == to).find_map(|s| {
        let message = Message::from_bytes(&s.bytes).expect("peers send what they can read");
        (message.name() == name).then_some((s.from, message))
    })
}

/// A world with a witness that has locked and revealed, with what it was told.
struct Witnessed {
    world: World,
    witness: usize,
    lease: Signed<Lease>,
    commitment: Signed<Commitment>,
    lock_set: Message,
}

impl Witnessed {
    fn new() -> Self {
        let mut world = World::new(&[Honest; 4]);
        world.submit();
        world.run_job(600_000);
        let (witness, message) = (1..5)
            .find_map(|i| received(&world, i, "LockRequest").map(|(_, m)| (i, m)))
            .expect("somebody witnessed");
        let Message::LockRequest { lease, commitment } = message else {
            unreachable!("by name")
        };
        let about = commitment.body.lease;
        let lock_set = world.sent.iter().filter(|s| s.to == witness).find_map(|s| {
            let message = Message::from_bytes(&s.bytes).expect("readable");
            matches!(&message, Message::LockSet(set) if set.body.lease == about).then_some(message)
        });
        let lock_set = lock_set.expect("it was told the locks");
        Self {
            world,
            witness,
            lease: *lease,
            commitment: *commitment,
            lock_set,
        }
    }

    fn ask(&mut self, message: &Message) -> Vec<Message> {
        let input = Input::Message {
            from: self.world.keys[0],
            bytes: message.to_bytes(),
        };
        messages(&self.world.probe(self.witness, input))
    }

    fn request(&mut self, lease: &Signed<Lease>, root: Hash) -> Vec<Message> {
        let swarm = self.world.genesis.swarm_id();
        let worker = self
            .world
            .keys
            .iter()
            .position(|k| *k == lease.body.worker)
            .expect("known");
        let body = Commitment {
            lease: lease.body.id(&swarm),
            root,
            ..self.commitment.body.clone()
        };
        let commitment = Box::new(Signed::new(body, &swarm, &signer(worker)));
        self.ask(&Message::LockRequest {
            lease: Box::new(lease.clone()),
            commitment,
        })
    }

    /// The requester's second lease on the same slice for the same worker.
    fn second_lease(&self) -> Signed<Lease> {
        let body = Lease {
            nonce_digest: Hash([5; 32]),
            ..self.lease.body.clone()
        };
        Signed::new(body, &self.world.genesis.swarm_id(), &signer(0))
    }

    /// The lock set that makes the witness reveal, if it ever would.
    fn lock_set(&self, locked: &Message) -> Message {
        let Message::Locked(lock) = locked else {
            panic!("{locked:?}")
        };
        let witness = self
            .world
            .bundle()
            .record
            .roster
            .index(&self.world.keys[self.witness])
            .expect("in the roster");
        let (nonce_digest, signature) = (lock.body.nonce_digest, lock.signature);
        let locks = vec![starling_protocol::evidence::LockEntry {
            witness,
            nonce_digest,
            signature,
        }];
        let set = LockSet {
            lease: lock.body.lease,
            locks,
            skipped: Vec::new(),
        };
        Message::LockSet(Box::new(Signed::new(
            set,
            &self.world.genesis.swarm_id(),
            &signer(0),
        )))
    }

    fn restart(&mut self) {
        self.world.restart(self.witness);
        let record = Box::new(self.world.bundle().record);
        assert_eq!(self.ask(&Message::Record(record)), []);
    }

    /// The same root is locked again in the same words; no other is; no second lease of the slice is revealed.
    fn holds(&mut self) {
        let (lease, root) = (self.lease.clone(), self.commitment.body.root);
        let [again] = &self.request(&lease, root)[..] else {
            panic!("the stored lock was asked for")
        };
        let set = self.lock_set(again);
        let first = self.world.logs[self.witness].iter().find_map(|r| match r {
            Record::Locked { lease, nonce, .. } if *lease == self.commitment.body.lease => {
                Some(*nonce)
            }
            Record::Locked { .. }
            | Record::Committed { .. }
            | Record::Revealed { .. }
            | Record::Submitted { .. }
            | Record::Bound { .. }
            | Record::Excluded { .. }
            | Record::SliceDone { .. }
            | Record::Ended { .. }
            | Record::Receipted { .. }
            | Record::Appointed { .. }
            | Record::Kept { .. }
            | Record::Revoked { .. }
            | Record::Standing { .. } => None,
        });
        let nonce = first.expect("it was logged");
        let Message::LockSet(shown) = self.lock_set.clone() else {
            panic!("kept as one")
        };
        let swarm = self.world.genesis.swarm_id();
        let reveal = Reveal {
            lease: self.commitment.body.lease,
            lock_set: shown.digest(&swarm),
            nonce,
        };
        let reveal = Signed::new(reveal, &swarm, &signer(self.witness));
        assert_eq!(self.ask(&self.lock_set.clone()), [Message::Reveal(reveal)]);
        assert_eq!(self.ask(&set), [], "another set of locks");
        assert_eq!(self.request(&lease, Hash([1; 32])), [], "a second root");
        let second = self.second_lease();
        let locked = self.request(&second, root);
        assert_eq!(locked.len(), 1, "a lock alone does no harm");
        let set = self.lock_set(&locked[0]);
        assert_eq!(self.ask(&set), [], "a second seed for the slice");
    }
}

#[test]
fn a_witness_stays_bound() {
    let mut case = Witnessed::new();
    case.holds();
    case.restart();
    case.holds();
}

#[test]
fn a_restarted_witness_stays_bound_as_long_as_the_job_may_live() {
    let mut case = Witnessed::new();
    // The log of a job whose deadline is 30 days away.
    for record in &mut case.world.logs[case.witness] {
        if let Record::Locked { until_s, .. } = record {
            *until_s += 30 * 24 * 3_600;
        }
    }
    case.restart();
    let unix_s = case.world.unix_s() + 1_800;
    // Two days later, as far as the wall clock tells, with the job known again.
    case.world.now += 60_000_000;
    case.world.probe(
        case.witness,
        Input::Tick {
            unix_s: unix_s + 2 * 24 * 3_600,
        },
    );
    case.world.now += 60_000_000;
    case.world.probe(case.witness, Input::Tick { unix_s });
    let record = Box::new(case.world.bundle().record);
    case.ask(&Message::Record(record));
    case.holds();
}

#[test]
fn a_worker_never_takes_up_a_lease_that_it_has_committed_to() {
    let mut world = World::new(&[Withholds("Commit"), Honest, Honest, Honest]);
    world.submit();
    assert!(world.run_until(1, "LeaseRequest", 60_000));
    // Committed in the log, though the commitment was lost on its way.
    while !world.logs[1]
        .iter()
        .any(|r| matches!(r, Record::Committed { .. }))
    {
        world.run_for(10);
    }
    let (_, grant) = received(&world, 1, "LeaseGrant").expect("it was granted");
    world.restart(1);
    // Once it has heard enough of the roster's adverts, it asks for work again, and its steward repeats the lease.
    let record = Message::Record(Box::new(world.bundle().record));
    world.give(
        1,
        Input::Message {
            from: world.keys[0],
            bytes: record.to_bytes(),
        },
    );
    world.run_for(12_000);
    let asked = world
        .trace
        .iter()
        .filter(|(from, _, name)| (*from, *name) == (1, "LeaseRequest"))
        .count();
    assert!(asked >= 2, "{asked}");
    let outputs = world.probe(
        1,
        Input::Message {
            from: world.keys[0],
            bytes: grant.to_bytes(),
        },
    );
    let computes = |o: &Output| {
        matches!(
            o,
            Output::Compute {
                purpose: Purpose::Work,
                ..
            }
        )
    };
    assert!(!outputs.iter().any(computes), "{outputs:?}");
    world.run_job(600_000);
    assert!(world.is_done());
    model::check(&world);
}

#[test]
fn a_job_outlives_the_crash_of_any_worker_at_any_step() {
    for name in [
        "LeaseRequest",
        "Commit",
        "Locked",
        "Reveal",
        "Seal",
        "Opening",
        "Attest",
        "Output",
    ] {
        for peer in 1..=4 {
            let mut world = World::with_faults(
                &[Honest; 4],
                Faults {
                    loss: 0,
                    delay_ms: 20,
                    seed: 7,
                },
            );
            world.submit();
            if !world.run_until(peer, name, 60_000) {
                continue;
            }
            world.restart(peer);
            world.run_job(600_000);
            assert!(world.is_done(), "peer {peer} died after {name}");
            assert!(
                world.caught().iter().all(|c| *c == peer),
                "only who died may have missed its opening"
            );
            model::check(&world);
        }
    }
}

#[test]
fn a_job_outlives_the_crash_of_its_requester_at_any_step() {
    for name in [
        "Record",
        "LeaseGrant",
        "CommitAck",
        "LockRequest",
        "LockSet",
        "AuditCall",
        "Seed",
        "SealList",
        "Opening",
        "Audited",
        "Stored",
        "Receipt",
    ] {
        for workers in [1, 2, 4] {
            let mut world = World::new(&vec![Honest; workers]);
            world.submit();
            if !world.run_until(0, name, 60_000) {
                continue;
            }
            world.restart(0);
            world.run_job(600_000);
            assert!(world.is_done(), "{workers} workers, died after {name}");
            assert_eq!(world.caught(), NOBODY, "{workers} workers, {name}");
            model::check(&world);
            // What has ended stays so.
            let events = world.events.len();
            world.restart(0);
            world.run_for(60_000);
            let mut later = world.events[events..].iter().map(|(_, e)| e);
            assert!(!later.any(|e| matches!(e, Event::Resumed { .. } | Event::Leased { .. })));
        }
    }
}

#[test]
fn a_requester_that_comes_back_too_late_says_so() {
    let mut world = World::new(&[Honest; 2]);
    world.submit();
    world.run_for(100);
    // The job's hour passes while nobody is there.
    world.now += 4_000 * 1_000_000;
    world.restart(0);
    let end = world.events.last().map(|(_, e)| e);
    assert!(
        matches!(
            end,
            Some(Event::JobFailed {
                reason: Reason::DeadlinePassed,
                ..
            })
        ),
        "{end:?}"
    );
}

#[test]
fn a_liar_gets_no_second_chance_from_a_requester_that_forgot_nothing() {
    let mut world = World::new(&[Fakes, Honest, Honest, Honest]);
    world.submit();
    while world.caught() != [1] {
        world.run_for(10);
    }
    world.restart(0);
    world.run_for(60_000);
    let job = world
        .events
        .iter()
        .rposition(|(_, e)| matches!(e, Event::Resumed { .. }));
    let later = &world.events[job.expect("it goes on")..];
    assert!(world.is_done());
    let liar = world.keys[1];
    assert!(
        !later
            .iter()
            .any(|(_, e)| matches!(e, Event::Leased { worker, .. } if *worker == liar))
    );
}
