//! A reference model of one job, told only what everybody can see: the requester's events and all peers' messages
//! and logs. Whatever the network did, these stayed true.

use crate::world::{Faults, Nature, World};
use proptest::prelude::*;
use starling_protocol::crypto::Ed25519Verifier;
use starling_protocol::io::Record;
use starling_protocol::{Event, JobId, LeaseId, Message, PeerKey};
use std::collections::{BTreeMap, BTreeSet};

/// What a slice may be, as the requester's events tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slice {
    Leased(PeerKey),
    Committed(PeerKey),
    Done,
    /// Another steward handed it over, whatever became of its lease here.
    Settled,
}

/// Asserts every invariant that holds for a world at any time.
pub fn check(world: &World) {
    one_live_lease_per_slice(world);
    one_root_per_lease(world);
    one_reveal_per_slice_and_worker(world);
    receipts_stand_for_what_happened(world);
}

fn one_live_lease_per_slice(world: &World) {
    let mut slices: BTreeMap<(JobId, u32), Slice> = BTreeMap::new();
    let (mut over, mut taken) = (BTreeSet::new(), BTreeSet::new());
    let over_here = |state: &Slice| matches!(state, Slice::Done | Slice::Settled);
    for event in world.events.iter().filter(|(i, _)| *i == 0).map(|(_, e)| e) {
        if let Event::Committed { job, slice, .. } = event
            && slices.get(&(*job, *slice)) == Some(&Slice::Settled)
        {
            continue;
        }
        match event {
            Event::Leased { job, slice, worker } => {
                let before = slices.insert((*job, *slice), Slice::Leased(*worker));
                assert_eq!(before, None, "slice {slice} was leased twice");
            }
            Event::Committed { job, slice, worker } => {
                let before = slices.insert((*job, *slice), Slice::Committed(*worker));
                assert_eq!(
                    before,
                    Some(Slice::Leased(*worker)),
                    "slice {slice} was committed without a lease"
                );
            }
            Event::TakenOver { job, slice, .. } => drop(taken.insert((*job, *slice))),
            // Its worker was found out later.
            Event::SliceReopened { job, slice, .. }
                if slices.get(&(*job, *slice)).is_some_and(over_here) =>
            {
                slices.remove(&(*job, *slice));
            }
            Event::SliceReopened { job, slice, .. } if taken.contains(&(*job, *slice)) => {}
            Event::SliceReopened {
                job, slice, worker, ..
            } => {
                let before = slices.remove(&(*job, *slice));
                let live = [
                    Some(Slice::Leased(*worker)),
                    Some(Slice::Committed(*worker)),
                ];
                assert!(
                    live.contains(&before),
                    "slice {slice} was reopened from {before:?}"
                );
            }
            Event::SliceDone {
                job,
                slice,
                worker,
                receipt,
                ..
            } => {
                let stored = receipt.as_ref().and_then(|r| r.stored.as_ref());
                let settled = stored.is_some_and(|storer| storer.peer != world.keys[0])
                    || taken.contains(&(*job, *slice));
                let state = if settled { Slice::Settled } else { Slice::Done };
                let before = slices.insert((*job, *slice), state);
                let expected = receipt.as_ref().map(|_| Slice::Committed(*worker));
                assert!(
                    if settled {
                        before.is_none_or(|s| s != Slice::Done)
                    } else {
                        before == expected
                    },
                    "slice {slice} was done out of turn"
                );
            }
            Event::Resumed { job, done, .. } => {
                // Leases of the former life are void; what was done stays done.
                let stays = |state: &Slice| matches!(state, Slice::Done | Slice::Settled);
                slices.retain(|(of, _), state| of != job || stays(state));
                let kept = slices.keys().filter(|(of, _)| of == job).count();
                assert_eq!(
                    kept, *done as usize,
                    "done slices were forgotten or made up"
                );
            }
            // Another life, without a log.
            Event::Found { job } => slices.retain(|(of, _), _| of != job),
            Event::JobDone { job } | Event::JobFailed { job, .. } => {
                assert!(over.insert(*job), "a job ended twice")
            }
            Event::ClocksDiffer { .. }
            | Event::PeerSeen { .. }
            | Event::PeerGone { .. }
            | Event::Submitted { .. }
            | Event::SubmitRefused { .. }
            | Event::Auditing { .. }
            | Event::CheatCaught { .. }
            | Event::FalseAccusation { .. }
            | Event::FraudProven { .. }
            | Event::Working { .. }
            | Event::Earned { .. }
            | Event::Lost { .. }
            | Event::Held { .. }
            | Event::NotFound { .. }
            | Event::Appointed { .. }
            | Event::Kept { .. }
            | Event::Relieved { .. }
            | Event::ClaimStruck { .. } => {}
        }
    }
    if world.is_done() {
        assert!(
            slices
                .values()
                .all(|s| matches!(s, Slice::Done | Slice::Settled)),
            "a job was done before its slices: {slices:?}"
        );
    }
}

/// Over messages and logs, crashes included.
fn one_root_per_lease(world: &World) {
    let mut roots = BTreeMap::new();
    for sent in &world.sent {
        if let Ok(Message::Commit { commitment: c, .. }) = Message::from_bytes(&sent.bytes) {
            let first = *roots.entry(c.body.lease).or_insert(c.body.root);
            assert_eq!(
                first, c.body.root,
                "a worker signed two roots for {:?}",
                c.body.lease
            );
        }
    }
    for (i, log) in world.logs.iter().enumerate() {
        let mut locked = BTreeMap::new();
        for record in log {
            if let Record::Locked { lease, root, .. } = record {
                assert_eq!(
                    *locked.entry(*lease).or_insert(*root),
                    *root,
                    "witness {i} locked two roots"
                );
            }
        }
    }
}

fn one_reveal_per_slice_and_worker(world: &World) {
    let mut slice_of: BTreeMap<LeaseId, (JobId, u32, PeerKey)> = BTreeMap::new();
    let mut revealed = BTreeMap::new();
    for sent in &world.sent {
        match Message::from_bytes(&sent.bytes) {
            Ok(Message::LeaseGrant(lease)) => {
                let body = &lease.body;
                slice_of.insert(
                    body.id(&world.genesis.swarm_id()),
                    (body.job, body.slice, body.worker),
                );
            }
            Ok(Message::Reveal(reveal)) => {
                let lease = reveal.body.lease;
                let key = (sent.from, slice_of[&lease]);
                assert_eq!(
                    *revealed.entry(key).or_insert(lease),
                    lease,
                    "a witness revealed twice for {key:?}"
                );
            }
            Ok(_) | Err(_) => {}
        }
    }
}

fn receipts_stand_for_what_happened(world: &World) {
    let receipts = world.receipts();
    let verified = world
        .bundle()
        .verify(&Ed25519Verifier)
        .expect("the record holds");
    for (receipt, v) in receipts.iter().zip(verified) {
        let v = v.expect("every receipt verifies");
        let attested = world.sent.iter().filter(|s| {
            matches!(Message::from_bytes(&s.bytes), Ok(Message::Attest { attestation, .. })
                if attestation.body.lease == v.lease && attestation.body.agree)
        });
        let agreed: BTreeSet<_> = attested.map(|s| s.from).collect();
        let quorum = receipt.lease.body.intensity.quorum();
        assert!(
            v.flags.self_checked || agreed.len() >= quorum,
            "{agreed:?} agreed, {quorum} make a quorum"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_small_swarm_on_any_network_keeps_the_invariants(
        natures in prop::collection::vec(
            prop_oneof![
                6 => Just(Nature::Honest),
                1 => Just(Nature::Fakes),
                1 => Just(Nature::Silent),
                1 => Just(Nature::Accuses),
                1 => prop::sample::select(vec!["Commit", "Locked", "Reveal", "Seal", "Opening", "Attest", "Output"])
                    .prop_map(Nature::Withholds),
            ],
            1..=5,
        ),
        loss in 0..10_u32,
        delay_ms in 0..1_500_u32,
        crashes in prop::collection::vec((0..6_usize, 1..20_000_u64), 0..4),
        seed: u64,
    ) {
        let mut world = World::with_faults(&natures, Faults { loss, delay_ms, seed });
        world.submit();
        for (peer, after_ms) in crashes {
            world.run_job(after_ms);
            world.restart(peer % (1 + natures.len()));
        }
        world.run_job(3_600_000);
        prop_assert!(world.is_done(), "{:?}", world.events.last());
        check(&world);
    }
}
