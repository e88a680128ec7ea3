//! The checkers catch a broken world: a sound history passes, and every falsification of it is found.

use crate::shipped;
use starling_protocol::io::Purpose;
use starling_protocol::receipt::Quorum;
use starling_protocol::{Hash, JobId, PeerKey, Reason};
use starling_sim::Scenario;
use starling_sim::check::{History, Violation, check};
use starling_sim::signer::CheapVerifier;
use starling_sim::world::World;

fn run_of(scenario: &Scenario) -> History {
    let mut world = World::new(scenario, 1, false);
    world.run().expect("virtual time moves");
    core::mem::take(&mut world.observer.history)
}

fn sound() -> History {
    let history =
        run_of(&Scenario::load(&shipped("small_job.toml")).expect("the shipped scenario loads"));
    assert_eq!(check(&history, &CheapVerifier), []);
    // The tests below must have something to falsify.
    assert_eq!(
        (
            history.records.len(),
            history.receipts.len(),
            history.done.len()
        ),
        (1, 2, 1)
    );
    assert_eq!((history.locks.len(), history.roots.len()), (3, 1));
    history
}

/// What the checkers say of a sound history after `falsify`.
fn after(falsify: impl FnOnce(&mut History)) -> Vec<Violation> {
    let mut history = sound();
    falsify(&mut history);
    check(&history, &CheapVerifier)
}

#[test]
fn a_changed_receipt() {
    let found = after(|h| h.receipts[0].receipt.steward_nonce = Hash::of(b"another"));
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
    let worker = PeerKey::from([1; 32]);
    let reason = Reason::NoOpening;
    assert_eq!(
        after(|h| h.blamed.push((worker, reason))),
        [Violation::HonestBlamed { worker, reason }]
    );
    assert_eq!(
        after(|h| h.false_accusers.push(worker)),
        [Violation::HonestAccuser(worker)]
    );
    let deserved = after(|h| {
        h.blamed.push((worker, reason));
        h.dishonest.insert(worker);
    });
    assert_eq!(deserved, []);
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
    assert_eq!(
        after(|h| h.done[0].output[63] = Hash::default()),
        [Violation::WrongOutput { slice: 0 }]
    );
    assert_eq!(
        after(|h| h.done[0].output.truncate(63)),
        [Violation::WrongOutput { slice: 0 }]
    );
}

#[test]
fn two_roots_for_one_lease() {
    let (witness, lease, root) = sound().locks[0];
    assert_eq!(
        after(|h| h.locks.push((witness, lease, root))),
        [],
        "a repetition is no equivocation"
    );
    assert_eq!(
        after(|h| h.locks.push((witness, lease, Hash::default()))),
        [Violation::TwoLocks(witness)]
    );
    let (worker, lease, _) = sound().roots[0];
    assert_eq!(
        after(|h| h.roots.push((worker, lease, Hash::default()))),
        [Violation::TwoRoots(worker)]
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
    let mut scenario =
        Scenario::load(&shipped("small_job.toml")).expect("the shipped scenario loads");
    (scenario.cheats, scenario.job.tiles) = (1, 512);
    let mut history = run_of(&scenario);
    assert_eq!(check(&history, &CheapVerifier), []);
    history.dishonest.clear();
    let found = check(&history, &CheapVerifier);
    assert!(
        matches!(
            found[..],
            [
                Violation::HonestBlamed {
                    reason: Reason::Refuted,
                    ..
                },
                ..
            ]
        ),
        "{found:?}"
    );
}
