//! Who is asked at what price, and who declines.

use starling_protocol::{Event, Input, Reason};

use crate::world::Nature::Honest;
use crate::world::{World, capacity};

/// Three workers that ask 5, 7 and 9.
fn market() -> World {
    let mut world = World::new(&[Honest; 3]);
    for (peer, price) in [(1, 5), (2, 7), (3, 9)] {
        ask(&mut world, peer, price);
    }
    world.run_for(20_000);
    world
}

fn ask(world: &mut World, peer: usize, price: u64) {
    let mut capacity = capacity();
    capacity.kernels[0].price = price;
    world.give(peer, Input::Capacity(capacity));
}

#[test]
fn only_peers_within_the_price_are_asked_and_the_dearest_of_them_is_bid() {
    let mut world = market();
    world.submit_at(Some(7));
    world.run_job(60_000);
    assert!(world.is_done());
    let manifest = world.bundle().record;
    assert_eq!(manifest.manifest.body.bid, 7);
    let dear = world.keys[3];
    assert!(manifest.roster.index(&dear).is_none(), "it asks 9");
    let worked = |(_, event): &(usize, Event)| matches!(event, Event::SliceDone { worker, .. } if *worker == dear);
    assert!(!world.events.iter().any(worked));
}

#[test]
fn nobody_within_the_price_is_nobody_eligible() {
    let mut world = market();
    world.submit_at(Some(4));
    let refused = |(_, event): &(usize, Event)| {
        matches!(
            event,
            Event::SubmitRefused {
                reason: Reason::NoEligiblePeer
            }
        )
    };
    assert!(world.events.iter().any(refused));
}

#[test]
fn a_peer_whose_price_has_risen_declines() {
    let mut world = market();
    // The requester has not heard of it yet.
    ask(&mut world, 1, 100);
    world.events.clear();
    world.submit_at(Some(5));
    world.run_for(3_000);
    let working =
        |(peer, event): &(usize, Event)| *peer == 1 && matches!(event, Event::Working { .. });
    assert!(
        !world.events.iter().any(working),
        "it would work below its price"
    );
}
