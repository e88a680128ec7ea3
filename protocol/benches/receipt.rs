//! What proof costs: verifying one receipt of a full committee, and the whole exchange behind it. Run in release.

#[path = "../tests/protocol/world.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod world;

use divan::Bencher;
use divan::counter::ItemsCount;
use starling_protocol::crypto::Ed25519Verifier;
use starling_protocol::receipt::Quorum;
use world::{Nature, SLICE, TILES, World};

fn main() {
    divan::main();
}

/// A finished world with `workers` honest workers.
fn finished(workers: usize) -> World {
    let mut world = World::new(&vec![Nature::Honest; workers]);
    world.submit();
    world.run_job(600_000);
    assert!(world.is_done());
    world
}

/// k = 16, q = 11: the largest committee. The limit is 2 ms.
#[divan::bench]
fn verify_receipt(bencher: Bencher) {
    let bundle = finished(23).bundle();
    let (swarm, receipt) = (bundle.genesis.swarm_id(), &bundle.receipts[0]);
    assert!(matches!(&receipt.quorum, Quorum::Auditors(agreements) if agreements.len() == 11));
    bencher.bench_local(|| {
        receipt
            .verify(&bundle.record, &swarm, &Ed25519Verifier)
            .expect("it is real")
    });
}

/// All peers' signing, verifying, hashing and encoding for one lease, on one core; no tile is computed.
#[divan::bench(args = [1, 4, 23], sample_count = 5, sample_size = 1)]
fn exchange_per_lease(bencher: Bencher, workers: usize) {
    let world = || World::new(&vec![Nature::Honest; workers]);
    bencher
        .with_inputs(world)
        .counter(ItemsCount::new(TILES / SLICE))
        .bench_local_values(|mut world| {
            world.submit();
            world.run_job(600_000);
            world
        });
}
