//! Networks that lose and delay messages: every job ends, every receipt verifies, and nobody honest is blamed.

use crate::model;
use crate::world::Nature::Honest;
use crate::world::{Faults, NOBODY, World};
use starling_protocol::crypto::Ed25519Verifier;

fn survives(faults: Faults) {
    let mut world = World::with_faults(&[Honest; 5], faults);
    world.submit();
    world.run_job(3_600_000);
    assert!(world.is_done(), "{faults:?}: {:?}", world.events.last());
    assert_eq!(world.caught(), NOBODY, "{faults:?}: {:?}", world.events);
    assert_eq!(world.falsely_accused(), 0, "{faults:?}");
    for receipt in world
        .bundle()
        .verify(&Ed25519Verifier)
        .expect("the record holds")
    {
        receipt.unwrap_or_else(|e| panic!("{faults:?}: {e}"));
    }
    model::check(&world);
}

#[test]
fn one_message_in_twenty_lost_blames_nobody() {
    (0..20).for_each(|seed| {
        survives(Faults {
            loss: 5,
            delay_ms: 0,
            seed,
        })
    });
}

#[test]
fn every_fifth_message_lost_still_ends_the_job() {
    for seed in 0..5 {
        let faults = Faults {
            loss: 20,
            delay_ms: 100,
            seed,
        };
        let mut world = World::with_faults(&[Honest; 5], faults);
        world.submit();
        world.run_job(3_600_000);
        assert!(world.is_done(), "{faults:?}: {:?}", world.events.last());
        model::check(&world);
    }
}

#[test]
fn messages_that_overtake_each_other_blame_nobody() {
    (0..10).for_each(|seed| {
        survives(Faults {
            loss: 0,
            delay_ms: 2_000,
            seed,
        })
    });
}
