//! The checkers catch a broken world: a sound history passes, and every falsification of it is found.

use crate::shipped;
use starling_adversaries::{Forfeits, Strategy};
use starling_protocol::evidence::{self, Attestation, Lock};
use starling_protocol::io::Purpose;
use starling_protocol::manifest::JobRecord;
use starling_protocol::receipt::Quorum;
use starling_protocol::signed::{Fact, Signed};
use starling_protocol::{Hash, JobId, Message, PeerKey, Reason, Receipt, SwarmId, Time, draw};
use starling_sim::Experiment;
use starling_sim::check::{Blame, History, Violation, check};
use starling_sim::experiment::Adversaries;
use starling_sim::signer::{CheapVerifier, Scheme, signature};
use starling_sim::world::World;
use std::sync::atomic::AtomicBool;

fn run_of(experiment: &Experiment) -> History {
    let mut world = World::new(experiment, 1, false).expect("it can be run");
    world
        .run(&AtomicBool::new(false))
        .expect("virtual time moves");
    core::mem::take(&mut world.shared.observer.history)
}

fn sound() -> History {
    let history =
        run_of(&Experiment::load(&shipped("small_job.toml")).expect("the shipped scenario loads"));
    assert_eq!(check(&history, &CheapVerifier).violations, []);
    // The tests below must have something to falsify.
    assert_eq!(
        (
            history.records.len(),
            history.receipts.len(),
            history.done.len()
        ),
        (1, 2, 1)
    );
    assert_eq!(history.receipts[0].receipt.lock_set.body.locks.len(), 3);
    history
}

/// What the checkers say of a sound history after `falsify`.
fn after(falsify: impl FnOnce(&mut History)) -> Vec<Violation> {
    let mut history = sound();
    falsify(&mut history);
    check(&history, &CheapVerifier).violations
}

/// The rules written a second time see it too; what the others see.
fn judged_too(found: Vec<Violation>) -> Vec<Violation> {
    let judged = |v: &Violation| matches!(v, Violation::Judged { .. });
    assert!(found.iter().any(judged), "{found:?}");
    found.into_iter().filter(|v| !judged(v)).collect()
}

#[test]
fn a_changed_receipt() {
    let found = judged_too(after(|h| {
        h.receipts[0].receipt.steward_nonce = Hash::of(b"another")
    }));
    assert!(
        matches!(found[..], [Violation::Receipt { .. }]),
        "{found:?}"
    );
    let found = after(|h| {
        if let Quorum::Auditors(quorum) = &mut h.receipts[1].receipt.quorum {
            quorum.pop();
        }
    });
    assert!(
        matches!(found[..], [Violation::Receipt { .. }]),
        "{found:?}"
    );
}

/// The same receipt, of another opening that its auditors have signed, too.
fn of_another_opening(record: &JobRecord, swarm: &SwarmId, receipt: &mut Receipt) {
    let (lease, root) = (receipt.commitment.body.lease, receipt.commitment.body.root);
    let shares = evidence::nonces(&receipt.nonces);
    let seed = draw::seed(&lease, &root, &shares, &receipt.steward_nonce);
    receipt.opening = Hash::of(b"another");
    let Quorum::Auditors(quorum) = &mut receipt.quorum else {
        panic!("auditors agreed");
    };
    for agreement in quorum {
        let attestation = Attestation {
            lease,
            seed,
            opening: receipt.opening,
            agree: true,
            tiles: agreement.tiles,
            nonce: agreement.nonce,
        };
        let auditor = record.roster.peer(agreement.auditor).expect("a member");
        agreement.signature = signature(&auditor, &attestation.digest(swarm));
    }
}

/// A bundle may come from anybody: what it names need not exist.
#[test]
fn a_receipt_of_nothing() {
    let strange: [fn(&mut History); 3] = [
        |h| h.receipts[0].receipt.lease.body.slice = u32::MAX,
        |h| h.receipts[0].receipt.lease.body.slice = 1,
        |h| h.receipts[0].receipt.lease.body.worker = PeerKey::default(),
    ];
    for falsify in strange {
        let found = judged_too(after(falsify));
        assert!(
            matches!(found[..], [Violation::Receipt { .. }]),
            "{found:?}"
        );
    }
}

#[test]
fn two_receipts_for_one_lease() {
    let found = after(|h| {
        let (record, swarm) = (h.records.values().next().expect("one job").clone(), h.swarm);
        of_another_opening(&record, &swarm, &mut h.receipts[1].receipt);
    });
    assert!(
        matches!(found[..], [Violation::TwoReceipts { .. }]),
        "{found:?}"
    );
    // Another steward may have stored it, and from other agreements.
    let found = after(|h| h.receipts[1].receipt.stored = None);
    assert_eq!(found, []);
}

#[test]
fn a_receipt_without_its_job() {
    let found = after(|h| h.receipts[0].job = JobId::from([7; 32]));
    assert!(
        matches!(found[..], [Violation::ReceiptWithoutJob { .. }]),
        "{found:?}"
    );
    let found = after(|h| {
        h.records
            .values_mut()
            .for_each(|r| r.manifest.body.bid += 1)
    });
    assert!(
        found
            .iter()
            .filter(|v| matches!(v, Violation::ReceiptWithoutJob { .. }))
            .count()
            == 2,
        "{found:?}"
    );
}

#[test]
fn blame_that_hits_the_honest() {
    let (by, of) = (PeerKey::from([1; 32]), PeerKey::from([2; 32]));
    let reason = Reason::NoOpening;
    let at = Time(200_000_000);
    let blame = Blame {
        by,
        of,
        reason,
        since: Time(140_000_000),
        at,
    };
    let worker = of;
    let blamed = after(|h| h.blamed.push(blame.clone()));
    assert_eq!(blamed, [Violation::HonestBlamed { worker, reason }]);
    let (job, refuted) = (JobId::default(), Reason::Refuted);
    let proven = after(|h| {
        h.proven.insert((by, of, job, 0));
    });
    assert_eq!(
        proven,
        [Violation::HonestBlamed {
            worker,
            reason: refuted
        }]
    );
    let accuser = after(|h| h.false_accusers.push((by, of)));
    assert_eq!(accuser, [Violation::HonestAccuser(of)]);
    // It may have been down when it was to open.
    let down = |from, until| {
        after(|h| {
            h.blamed.push(blame.clone());
            h.down.insert(of, vec![(Time(from), Time(until))]);
        })
    };
    assert_eq!(down(150_000_000, 160_000_000), []);
    assert_eq!(down(199_000_000, u64::MAX), []);
    let before = down(100_000_000, 130_000_000);
    assert_eq!(before, [Violation::HonestBlamed { worker, reason }]);
    // With what the blamed one, or the one who blames, has forfeited.
    let with = |peer, forfeits| {
        after(|h| {
            h.blamed.push(blame.clone());
            h.dishonest.insert(peer, forfeits);
        })
    };
    let none = Forfeits::default();
    assert_eq!(with(of, Forfeits { work: true, ..none }), []);
    assert_eq!(
        with(
            of,
            Forfeits {
                blame: true,
                ..none
            }
        ),
        []
    );
    assert_eq!(
        with(
            by,
            Forfeits {
                own_jobs: true,
                ..none
            }
        ),
        []
    );
    let lazy = with(
        of,
        Forfeits {
            audits: true,
            ..none
        },
    );
    assert_eq!(
        lazy,
        [Violation::HonestBlamed { worker, reason }],
        "laziness is no fault of a worker"
    );
}

#[test]
fn a_slice_done_twice_or_never_or_wrongly() {
    assert_eq!(
        after(|h| h.done.push(h.done[0].clone())),
        [Violation::Slice { slice: 0, times: 2 }]
    );
    assert_eq!(
        after(|h| h.done.clear()),
        [Violation::Slice { slice: 0, times: 0 }]
    );
    let honest = |how| [Violation::WrongOutput { slice: 0, how }];
    assert_eq!(
        judged_too(after(|h| h.done[0].output[63] = Hash::default())),
        honest("its worker is honest")
    );
    assert_eq!(
        judged_too(after(|h| h.done[0].output.truncate(63))),
        honest("its worker is honest")
    );
}

#[test]
fn a_wrong_output_is_excused_only_where_no_honest_auditor_looked() {
    let dishonest = |h: &mut History, work, audits| {
        let lease = h.receipts[0].receipt.lease.body.worker;
        let none = Forfeits::default();
        h.dishonest.insert(lease, Forfeits { work, ..none });
        if audits {
            let roster = h.records.values().flat_map(|r| r.roster.peers());
            for peer in roster {
                h.dishonest.insert(
                    *peer,
                    Forfeits {
                        audits,
                        work,
                        ..none
                    },
                );
            }
        }
    };
    // Three auditors of eleven tiles each look at half of the slice together: somebody saw one of these.
    let all_wrong = |h: &mut History| h.done[0].output.fill(Hash::default());
    let found = judged_too(after(|h| {
        dishonest(h, true, false);
        all_wrong(h);
    }));
    let how = "an honest auditor agreed to a wrong tile";
    assert_eq!(found, [Violation::WrongOutput { slice: 0, how }]);
    let found = judged_too(after(|h| {
        dishonest(h, true, true);
        all_wrong(h);
    }));
    assert_eq!(
        found,
        [],
        "a collusion of everybody is none of the protocol's promises"
    );
}

/// What the order of a sound run says of `message` by `from` beside it.
fn said_too(from: PeerKey, message: &Message) -> Vec<&'static str> {
    let how = |v| match v {
        Violation::Order { peer, how } if peer == from => how,
        other => panic!("{other}"),
    };
    let said = after(|h| {
        let swarm = h.swarm;
        h.order.sent(Time::default(), from, from, message, &swarm);
    });
    said.into_iter().map(how).collect()
}

#[test]
fn two_roots_for_one_lease() {
    let history = sound();
    let (receipt, swarm) = (&history.receipts[0].receipt, history.swarm);
    let record = history.records.values().next().expect("one job");
    let (lease, commitment) = (receipt.id(&swarm), receipt.commitment.clone());
    let first = &receipt.lock_set.body.locks[0];
    let witness = record
        .roster
        .peer(first.witness)
        .expect("one of the roster");
    let signer = Scheme::Cheap.signer(&[1; 32]);
    let lock = |root| {
        let nonce_digest = first.nonce_digest;
        let body = Lock {
            lease,
            root,
            nonce_digest,
        };
        Message::Locked(Signed::new(body, &swarm, &*signer))
    };
    let root = commitment.body.root;
    assert!(
        said_too(witness, &lock(root)).is_empty(),
        "a repetition is no equivocation"
    );
    let two = said_too(witness, &lock(Hash::default()));
    assert!(two.contains(&"signed two locks for one lease"), "{two:?}");

    let worker = receipt.lease.body.worker;
    let commit = |root| {
        let mut commitment = commitment.clone();
        commitment.body.root = root;
        let (commitment, next) = (Box::new(commitment), false);
        Message::Commit { commitment, next }
    };
    assert!(said_too(worker, &commit(root)).is_empty());
    let two = said_too(worker, &commit(Hash::default()));
    assert!(
        two.contains(&"committed to two roots under one lease"),
        "{two:?}"
    );
}

#[test]
fn a_computation_without_its_job() {
    let (peer, purpose) = (PeerKey::from([1; 32]), Purpose::Audit);
    assert_eq!(
        after(|h| h.unprepared.push((peer, purpose))),
        [Violation::Unprepared { peer, purpose }]
    );
}

/// Not a falsified history but a broken world: a device that lies although nobody said so.
#[test]
fn a_run_with_an_undeclared_liar() {
    let mut experiment =
        Experiment::load(&shipped("small_job.toml")).expect("the shipped scenario loads");
    experiment.workload[0].job.tiles = 512;
    experiment.adversaries.push(Adversaries {
        count: 1,
        share: 0.0,
        requester: false,
        eclipse_tries: 0,
        strategies: vec![Strategy::FakeAll],
    });
    let mut history = run_of(&experiment);
    assert_eq!(check(&history, &CheapVerifier).violations, []);
    history.dishonest.clear();
    let found = check(&history, &CheapVerifier).violations;
    let blamed = |v: &Violation| {
        let Violation::HonestBlamed { reason, .. } = v else {
            return false;
        };
        *reason == Reason::Refuted
    };
    assert!(found.iter().any(blamed), "{found:?}");
}
