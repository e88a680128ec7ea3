//! Whole jobs among real peers: every size of swarm, one peer silent, lying or withholding at each step.

use crate::world::Nature::{self, Accuses, Broken, Fakes, Honest, Silent, Withholds};
use crate::world::{NOBODY, SLICE, TILES, World};
use starling_protocol::crypto::Ed25519Verifier;
use starling_protocol::receipt::{Flags, Verified};

fn run(natures: &[Nature]) -> (World, u64) {
    let mut world = World::new(natures);
    world.submit();
    let ms = world.run_job(600_000);
    assert!(world.is_done(), "{natures:?}: {:?}", world.events.last());
    (world, ms)
}

fn verified(world: &World) -> Vec<Verified> {
    let results = world
        .bundle()
        .verify(&Ed25519Verifier)
        .expect("the record holds");
    results
        .into_iter()
        .map(|r| r.expect("every receipt verifies"))
        .collect()
}

fn flags(world: &World) -> Flags {
    let all = verified(world);
    assert!(!all.is_empty());
    assert!(all.iter().all(|v| v.flags == all[0].flags), "{all:?}");
    all[0].flags
}

#[test]
fn honest_swarms_of_two_to_six_earn_a_receipt_per_slice() {
    for workers in 1..=5 {
        let (world, ms) = run(&vec![Honest; workers]);
        assert_eq!(world.receipts().len() as u32, TILES / SLICE);
        assert_eq!(world.caught(), NOBODY);
        assert!(
            ms < 10_000,
            "{workers} workers took {ms} ms: some timer had to fire"
        );
        let expected = Flags {
            self_checked: workers == 1,
            ..Flags::default()
        };
        assert_eq!(flags(&world), expected, "{workers} workers");
    }
}

#[test]
fn a_silent_peer_costs_time_but_no_slice() {
    for workers in 1..=4 {
        let mut natures = vec![Honest; workers];
        natures[0] = Silent;
        let (world, _) = run(&natures);
        assert_eq!(world.caught(), NOBODY);
        if workers == 1 {
            assert!(
                world.receipts().is_empty(),
                "the requester computed it all itself"
            );
            continue;
        }
        for v in verified(&world) {
            assert!(v.flags.weak, "a missing lock or auditor must show: {v:?}");
            // With two judges or fewer, one silent judge leaves no quorum.
            assert_eq!(v.flags.self_checked, workers <= 3, "{v:?}");
        }
    }
}

#[test]
fn a_faker_is_caught_in_every_size_of_swarm() {
    for workers in 1..=4 {
        let mut natures = vec![Honest; workers];
        natures[workers - 1] = Fakes;
        let (world, _) = run(&natures);
        assert_eq!(world.caught(), [workers], "{workers} workers");
        assert_eq!(world.falsely_accused(), 0);
        let faker = world.keys[workers];
        assert!(verified(&world).iter().all(|v| v.worker != faker));
    }
}

#[test]
fn withholding_at_any_step_never_ends_the_job_and_blames_only_missing_openings() {
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
        let (world, _) = run(&[Withholds(name), Honest, Honest, Honest]);
        let blamed: &[usize] = if name == "Opening" { &[1] } else { &[] };
        assert_eq!(world.caught(), blamed, "{name}");
        verified(&world);
    }
}

#[test]
fn a_lone_worker_that_never_commits_does_not_hold_the_job_up_for_ever() {
    let (world, _) = run(&[Withholds("Commit")]);
    assert_eq!(world.caught(), NOBODY);
    assert!(
        world.receipts().is_empty(),
        "the requester computed it all itself"
    );
}

#[test]
fn a_false_accuser_harms_nobody() {
    let (world, _) = run(&[Accuses, Honest, Honest, Honest]);
    assert_eq!(world.caught(), NOBODY);
    assert!(!world.receipts().is_empty());
    for v in verified(&world) {
        assert!(!v.flags.self_checked, "two of three still agree: {v:?}");
    }
}

#[test]
fn a_broken_device_leaves_the_job_to_others() {
    let (world, ms) = run(&[Broken, Honest, Honest]);
    assert_eq!(world.caught(), NOBODY);
    let granted = world
        .trace
        .iter()
        .filter(|(_, to, name)| (*to, *name) == (1, "LeaseGrant"))
        .count();
    assert!((1..=3).contains(&granted), "{granted} leases");
    assert!(ms < 10_000, "{ms} ms: a lease had to lapse");
}
