//! Strangers and roster members that send anything: no panic, no blame on honest peers, nothing grows without bound.

use crate::model;
use crate::samples;
use crate::world::Nature::Honest;
use crate::world::{Faults, NOBODY, Sent, World, kernel, shape, signer};
use proptest::prelude::*;
use starling_protocol::config::{
    AUDITS_MAX, AUDITS_PER_COLLECTOR, BOOK_JOBS_MAX, LOCKS_PER_COLLECTOR, MESSAGE_MAX,
    OWN_JOBS_MAX, PARKED_BYTES, PARKED_BYTES_PER_JOB, RULES_VERSION, WORKER_JOBS_MAX,
};
use starling_protocol::crypto::{Ed25519Signer, Signer as _};
use starling_protocol::evidence::{Commitment, Lease, Lock, LockEntry, LockSet, Reveal, Revealed};
use starling_protocol::io::{GossipId, Purpose, Submission, Topic, Verdict};
use starling_protocol::manifest::{Appointment, ContextRule, Intensity, JobRecord, Manifest};
use starling_protocol::message::AuditCall;
use starling_protocol::signed::Signed;
use starling_protocol::{Event, Hash, Input, JobId, Message, Output, PeerKey, Roster, draw};
use std::sync::LazyLock;

/// Everything that was sent for a job of the same world, and of one with another seed, and of another swarm.
static RECORDED: LazyLock<Vec<Sent>> = LazyLock::new(|| {
    let sent = |seed| {
        let mut world = World::with_faults(
            &[Honest; 5],
            Faults {
                seed,
                ..Faults::default()
            },
        );
        world.submit();
        world.run_job(600_000);
        world.sent
    };
    [sent(0), sent(1)].concat()
});

/// Who attacks: a member of the roster, which also does its own work.
const ATTACKER: usize = 5;

fn stranger(i: u32) -> Ed25519Signer {
    Ed25519Signer::from_seed(Hash::derive("stranger", &[&i.to_le_bytes()]).as_bytes())
}

/// One message that an attacker sends at some time.
#[derive(Clone)]
struct Attack {
    after_ms: u64,
    to: usize,
    from_roster: bool,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Attack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = Message::from_bytes(&self.bytes).map_or("noise", |m| m.name());
        let who = if self.from_roster {
            "member"
        } else {
            "stranger"
        };
        write!(f, "{} ms: {who} -> {}: {name}", self.after_ms, self.to)
    }
}

fn attack() -> impl Strategy<Value = Attack> {
    let recorded = any::<prop::sample::Index>().prop_map(|i| i.get(&RECORDED).bytes.clone());
    let damaged = (recorded.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut bytes, at, byte)| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        },
    );
    let made_up = (any::<u64>(), 0..26_usize)
        .prop_map(|(seed, kind)| samples::messages(seed)[kind].to_bytes());
    let noise = prop::collection::vec(any::<u8>(), 0..300);
    let bytes = prop_oneof![6 => recorded, 2 => damaged, 1 => made_up, 1 => noise];
    (0..300_u64, 0..6_usize, any::<bool>(), bytes).prop_map(|(after_ms, to, from_roster, bytes)| {
        Attack {
            after_ms,
            to,
            from_roster,
            bytes,
        }
    })
}

fn besieged(attacks: &[Attack]) -> World {
    let mut world = World::new(&[Honest; 5]);
    world.submit();
    for a in attacks.iter().filter(|a| a.to != ATTACKER) {
        world.run_job(a.after_ms);
        let from = if a.from_roster {
            world.keys[ATTACKER]
        } else {
            stranger(0).key()
        };
        world.give(
            a.to,
            Input::Message {
                from,
                bytes: a.bytes.clone(),
            },
        );
        // Gossip is as open.
        for topic in [Topic::Capacity, Topic::Faults] {
            let (id, data) = (GossipId(1), a.bytes.clone());
            world.give(a.to, Input::Gossip { id, topic, data });
        }
    }
    world.run_job(3_600_000);
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_an_attacker_sends_hurts_honest_peers(attacks in prop::collection::vec(attack(), 1..150)) {
        let world = besieged(&attacks);
        prop_assert!(world.is_done(), "{:?}", world.events.last());
        prop_assert!(world.caught().iter().all(|c| *c == ATTACKER), "{:?}", world.caught());
        model::check(&world);
    }

    #[test]
    fn noise_makes_a_peer_say_nothing(bytes in prop::collection::vec(any::<u8>(), 0..2_000), from: u32) {
        let mut world = World::new(&[Honest]);
        let data = bytes.clone();
        for topic in [Topic::Capacity, Topic::Faults] {
            let (id, data) = (GossipId(1), data.clone());
            let outputs = world.probe(1, Input::Gossip { id, topic, data });
            let rejected = matches!(outputs[..], [Output::Verdict { verdict: Verdict::Reject, .. }]);
            prop_assert!(rejected, "{:?}", outputs);
        }
        prop_assume!(Message::from_bytes(&bytes).is_err());
        let outputs = world.probe(1, Input::Message { from: stranger(from).key(), bytes });
        prop_assert!(outputs.is_empty());
    }
}

#[test]
fn a_whole_other_swarms_job_leaves_a_swarm_cold() {
    let mut world = World::new(&[Honest; 3]);
    // The same peers and the same job, signed under another genesis.
    let mut requester = Attacker::new(&world, signer(0));
    requester.swarm = other_swarm();
    let record = requester.record(1, &[world.keys[1], world.keys[2], world.keys[3]]);
    let bytes = Message::Record(Box::new(record)).to_bytes();
    assert!(
        world
            .probe(
                1,
                Input::Message {
                    from: world.keys[0],
                    bytes
                }
            )
            .is_empty()
    );
    world.submit();
    world.run_job(600_000);
    assert!(world.is_done());
    assert_eq!(world.caught(), NOBODY);
}

fn other_swarm() -> starling_protocol::SwarmId {
    starling_protocol::SwarmId(Hash([4; 32]))
}

#[test]
fn an_overlong_message_is_not_read() {
    let mut world = World::new(&[Honest]);
    let bytes = vec![0; MESSAGE_MAX + 1];
    assert!(
        world
            .probe(
                1,
                Input::Message {
                    from: world.keys[0],
                    bytes
                }
            )
            .is_empty()
    );
}

/// A requester that signs whatever it likes.
struct Attacker {
    signer: Ed25519Signer,
    swarm: starling_protocol::SwarmId,
    unix_s: u64,
}

impl Attacker {
    fn new(world: &World, signer: Ed25519Signer) -> Self {
        Self {
            signer,
            swarm: world.genesis.swarm_id(),
            unix_s: world.unix_s(),
        }
    }

    fn key(&self) -> PeerKey {
        self.signer.key()
    }

    fn sign<T: starling_protocol::signed::Fact>(&self, body: T) -> Signed<T> {
        Signed::new(body, &self.swarm, &self.signer)
    }

    fn record(&self, salt: u32, roster: &[PeerKey]) -> JobRecord {
        self.record_until(salt, roster, self.unix_s + 3_600)
    }

    fn record_until(&self, salt: u32, roster: &[PeerKey], deadline_s: u64) -> JobRecord {
        // It is its only steward, and in no roster.
        let floor = Intensity::newcomer(roster.len() - 1);
        let (roster, shape) = (Roster::new(roster.to_vec()), shape());
        let manifest = self.sign(Manifest {
            version: RULES_VERSION,
            requester: self.key(),
            kernel: kernel(),
            class: "test".into(),
            params: Vec::new(),
            inputs: Vec::new(),
            tier: shape.tier,
            context: ContextRule::None,
            tiles: 64 * 10_000,
            tile_bytes: shape.tile_bytes,
            units_per_tile: shape.units_per_tile,
            slice_tiles: 64,
            bid: 0,
            floor,
            roster: roster.digest(),
            deadline_s,
            recipient: None,
            salt: Hash::of(&salt.to_le_bytes()),
        });
        let job = manifest.body.id(&self.swarm);
        let stewards = vec![self.key()];
        let appointment = self.sign(Appointment {
            job,
            stewards,
            until_s: u64::MAX,
            number: 0,
        });
        JobRecord {
            manifest,
            appointment,
            roster,
        }
    }

    fn lease(&self, record: &JobRecord, slice: u32, worker: PeerKey) -> Signed<Lease> {
        self.sign(Lease {
            job: record.id(&self.swarm),
            slice,
            worker,
            steward: self.key(),
            ttl_ms: 1_000,
            intensity: record.manifest.body.floor,
            nonce_digest: draw::nonce_digest(&Hash::default()),
            appointment: record.appointment.digest(&self.swarm),
        })
    }
}

fn sends(outputs: &[Output], name: &str) -> usize {
    let named = |o: &&Output| matches!(o, Output::Send { bytes, .. } if Message::from_bytes(bytes).is_ok_and(|m| m.name() == name));
    outputs.iter().filter(named).count()
}

fn tell(world: &mut World, to: usize, from: PeerKey, message: &Message) -> Vec<Output> {
    world.probe(
        to,
        Input::Message {
            from,
            bytes: message.to_bytes(),
        },
    )
}

#[test]
fn strangers_jobs_fill_the_book_only_so_far() {
    let mut world = World::new(&[Honest]);
    let me = world.keys[1];
    let (mut known, mut prepared) = (0, 0);
    for i in 0..6 {
        let attacker = Attacker::new(&world, stranger(i));
        let mut of_this = 0;
        for salt in 0..80 {
            let record = attacker.record(salt, &[me]);
            let job: JobId = record.id(&attacker.swarm);
            let outputs = tell(
                &mut world,
                1,
                attacker.key(),
                &Message::Record(Box::new(record)),
            );
            prepared += outputs
                .iter()
                .filter(|o| matches!(o, Output::Prepare { .. }))
                .count();
            of_this += usize::from(world.peers[1].record(&job).is_some());
        }
        assert!(of_this <= OWN_JOBS_MAX, "{of_this} jobs of one requester");
        known += of_this;
    }
    assert_eq!(known, BOOK_JOBS_MAX);
    assert_eq!(prepared, WORKER_JOBS_MAX);
}

#[test]
fn a_job_without_end_is_not_taken_up() {
    let mut world = World::new(&[Honest, Honest]);
    let attacker = Attacker::new(&world, stranger(0));
    let roster = [world.keys[1], world.keys[2]];
    let record = attacker.record_until(0, &roster, u64::MAX);
    tell(
        &mut world,
        1,
        attacker.key(),
        &Message::Record(Box::new(record.clone())),
    );
    let lease = Box::new(attacker.lease(&record, 0, world.keys[2]));
    let commitment = commit(&world, &lease, 2, 64);
    let locked = tell(
        &mut world,
        1,
        attacker.key(),
        &Message::LockRequest { lease, commitment },
    );
    assert_eq!(sends(&locked, "Locked"), 0, "its deadline is out of range");
    world.run_for(60_000);
}

fn commit(
    world: &World,
    lease: &Signed<Lease>,
    worker: usize,
    tiles: u32,
) -> Box<Signed<Commitment>> {
    let swarm = world.genesis.swarm_id();
    let device = starling_protocol::advert::DeviceProfile {
        kind: starling_protocol::advert::DeviceKind::Cpu,
        name: starling_protocol::text::Text::new(),
    };
    let body = Commitment {
        lease: lease.body.id(&swarm),
        root: Hash([2; 32]),
        tiles,
        device,
    };
    Box::new(Signed::new(body, &swarm, &signer(worker)))
}

#[test]
fn messages_without_a_record_wait_within_bounds() {
    let mut world = World::new(&[Honest, Honest]);
    let attacker = Attacker::new(&world, stranger(0));
    let mut records = Vec::new();
    for salt in 0..8 {
        let record = attacker.record(salt, &[world.keys[1], world.keys[2]]);
        let mut asked = 0;
        for slice in 0..1_000 {
            let lease = Box::new(attacker.lease(&record, slice, world.keys[2]));
            let commitment = commit(&world, &lease, 2, 64);
            let request = Message::LockRequest { lease, commitment };
            let outputs = tell(&mut world, 1, attacker.key(), &request);
            asked += sends(&outputs, "RecordRequest");
        }
        assert!(asked <= 10, "asked {asked} times for one record");
        records.push(record);
    }
    let mut replayed = Vec::new();
    for record in records {
        let record = Message::Record(Box::new(record));
        let outputs = tell(&mut world, 1, attacker.key(), &record);
        replayed.push(sends(&outputs, "Locked"));
    }
    let fit = |bytes| bytes / 900..=bytes / 250;
    assert!(
        fit(PARKED_BYTES_PER_JOB).contains(&replayed[0]),
        "{replayed:?}"
    );
    assert!(
        fit(PARKED_BYTES).contains(&replayed.iter().sum()),
        "{replayed:?}"
    );
    assert_eq!(replayed.last(), Some(&0), "no room was left");
}

#[test]
fn one_collector_fills_only_its_share_of_locks() {
    let mut world = World::new(&[Honest, Honest]);
    let attacker = Attacker::new(&world, stranger(0));
    let record = attacker.record(0, &[world.keys[1], world.keys[2]]);
    tell(
        &mut world,
        1,
        attacker.key(),
        &Message::Record(Box::new(record.clone())),
    );
    let mut locked = 0;
    for slice in 0..LOCKS_PER_COLLECTOR as u32 + 10 {
        let lease = Box::new(attacker.lease(&record, slice, world.keys[2]));
        let commitment = commit(&world, &lease, 2, 64);
        let outputs = tell(
            &mut world,
            1,
            attacker.key(),
            &Message::LockRequest { lease, commitment },
        );
        locked += sends(&outputs, "Locked");
    }
    assert_eq!(locked, LOCKS_PER_COLLECTOR);
}

#[test]
fn collectors_fill_only_their_share_of_audits() {
    let mut world = World::new(&[Honest, Honest]);
    let mut audits = 0;
    for i in 0..5 {
        let attacker = Attacker::new(&world, stranger(i));
        let record = attacker.record(0, &[world.keys[1], world.keys[2]]);
        let job = record.id(&attacker.swarm);
        tell(
            &mut world,
            1,
            attacker.key(),
            &Message::Record(Box::new(record.clone())),
        );
        let m = &record.manifest.body;
        let shape = starling_protocol::io::Shape {
            tiles: m.tiles,
            tile_bytes: m.tile_bytes,
            units_per_tile: m.units_per_tile,
            tier: m.tier,
        };
        world.probe(
            1,
            Input::Prepared {
                job,
                shape: Ok(shape),
            },
        );
        let mut of_this = 0;
        for slice in 0..AUDITS_PER_COLLECTOR as u32 + 10 {
            let lease = attacker.lease(&record, slice, world.keys[2]);
            let commitment = *commit(&world, &lease, 2, 64);
            // The only witness of the other's work is the one who is called.
            let nonce = Hash([6; 32]);
            let id = commitment.body.lease;
            let lock = Lock {
                lease: id,
                root: commitment.body.root,
                nonce_digest: draw::nonce_digest(&nonce),
            };
            let entry = LockEntry {
                witness: record.roster.index(&world.keys[1]).expect("in the roster"),
                nonce_digest: lock.nonce_digest,
                signature: Signed::new(lock, &attacker.swarm, &signer(1)).signature,
            };
            let lock_set = attacker.sign(LockSet {
                lease: id,
                locks: vec![entry],
                skipped: Vec::new(),
            });
            let shown = lock_set.digest(&attacker.swarm);
            let reveal = Reveal {
                lease: id,
                lock_set: shown,
                nonce,
            };
            let signature = Signed::new(reveal, &attacker.swarm, &signer(1)).signature;
            let nonces = vec![Some(Revealed { nonce, signature })];
            let steward_nonce = Hash::default();
            let call = AuditCall {
                lease,
                commitment,
                lock_set,
                nonces,
                steward_nonce,
                context: Vec::new(),
            };
            let outputs = tell(
                &mut world,
                1,
                attacker.key(),
                &Message::AuditCall(Box::new(call)),
            );
            let audit = |o: &&Output| {
                matches!(
                    o,
                    Output::Compute {
                        purpose: Purpose::Audit,
                        ..
                    }
                )
            };
            of_this += outputs.iter().filter(audit).count();
        }
        assert!(of_this <= AUDITS_PER_COLLECTOR);
        audits += of_this;
    }
    assert_eq!(audits, AUDITS_MAX);
}

#[test]
fn jobs_that_have_ended_make_room_for_others() {
    let mut world = World::new(&[Honest]);
    for job in 0..OWN_JOBS_MAX + 2 {
        world.events.clear();
        world.submit();
        world.run_job(60_000);
        assert!(world.is_done(), "job {job} of one requester");
    }
}

#[test]
fn a_requester_runs_only_so_many_jobs() {
    let mut world = World::new(&[Honest]);
    let submission = || Submission {
        kernel: kernel(),
        class: "test".into(),
        params: Vec::new(),
        inputs: Vec::new(),
        shape: shape(),
        slice_tiles: None,
        max_price: None,
        deadline_in_s: 3_600,
        stewards: None,
        full_audits: false,
    };
    let accepted = (0..OWN_JOBS_MAX + 5).filter(|_| {
        let outputs = world.probe(0, Input::Submit(Box::new(submission())));
        outputs
            .iter()
            .any(|o| matches!(o, Output::Notify(Event::Submitted { .. })))
    });
    assert_eq!(accepted.count(), OWN_JOBS_MAX);
}
