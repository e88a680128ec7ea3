//! Timings: `cargo test --release -p starling-sim --test models -- --ignored --nocapture speed`.

use crate::{id, secs};
use starling_protocol::Time;
use starling_sim::engine::Streams;
use starling_sim::kademlia::{self, Dht, Kademlia};
use starling_sim::net::{Knobs, Network, Packet, PacketKind, places};
use std::time::Instant;

const PEERS: u32 = 100_000;

/// Seconds of the fastest of some batches: others use this machine too.
fn best_of(batches: u32, mut batch: impl FnMut()) -> f64 {
    let time = |_| {
        let began = Instant::now();
        batch();
        began.elapsed().as_secs_f64()
    };
    (0..batches).map(time).fold(f64::INFINITY, f64::min)
}

fn everything() -> (Knobs, Network) {
    let streams = Streams::new(1);
    let knobs = Knobs {
        loss_share: 0.01,
        ..Knobs::default()
    };
    let swarm = places(&knobs.mix, PEERS, &streams);
    let began = Instant::now();
    let network = Network::new(&knobs, swarm, &streams);
    println!("Network::new, {PEERS} peers: {:?}", began.elapsed());
    (knobs, network)
}

#[test]
#[ignore = "a timing, for release builds"]
fn speed_of_a_packet() {
    let (_, mut network) = everything();
    let (each, mut i, mut arrived) = (5_000_u32, 0_u32, 0_u64);
    let ns = best_of(1_000, || {
        for _ in 0..each {
            i += 1;
            let from = i.wrapping_mul(2_654_435_761) % PEERS;
            let packet = Packet {
                from,
                to: (from + i % 1_000 + 1) % PEERS,
                bytes: 300,
                kind: PacketKind::Control,
            };
            arrived += u64::from(network.send(Time(u64::from(i)), &packet).is_some());
        }
    }) * 1e9
        / f64::from(each);
    println!("Network::send: {ns:.1} ns each, {arrived} of {i} arrived");
    println!("{:?}", network.counters());
}

#[test]
#[ignore = "a timing, for release builds"]
fn speed_of_a_lookup() {
    let (_, mut network) = everything();
    let mut dht = Kademlia::new(&kademlia::Knobs::default(), &Streams::new(1));
    let began = Instant::now();
    (0..PEERS).for_each(|peer| dht.join(Time(0), peer, &id(peer)));
    dht.closest(secs(1), 0, &id(1), &mut network.at(secs(1)));
    println!("{PEERS} joins and the first lookup: {:?}", began.elapsed());
    let keys: Vec<_> = (0..256).map(|n| id(PEERS + n)).collect();
    let (lookups, mut i) = (20_u32, 0_u32);
    let (mut rpcs, mut hops, mut delay) = (0, 0, 0.0);
    let us = best_of(500, || {
        for _ in 0..lookups {
            i += 1;
            let now = secs(1 + u64::from(i));
            let key = &keys[i as usize % keys.len()];
            let from = i.wrapping_mul(2_654_435_761) % PEERS;
            let found = dht.find_providers(now, from, key, &mut network.at(now));
            (rpcs, hops) = (rpcs + found.rpcs, hops + found.hops);
            delay += found.delay.as_secs_f64();
        }
    }) * 1e6
        / f64::from(lookups);
    let all = f64::from(i);
    println!(
        "lookup: {us:.1} us each, {:.1} requests, {:.2} hops, {:.3} s",
        f64::from(rpcs) / all,
        f64::from(hops) / all,
        delay / all
    );
    let mut i = 0_u32;
    let bare = best_of(500, || {
        for _ in 0..lookups {
            i += 1;
            let from = i.wrapping_mul(2_654_435_761) % PEERS;
            let key = &keys[i as usize % keys.len()];
            let mut steady = |_, _| Some(core::time::Duration::from_millis(40 + u64::from(i) % 7));
            dht.find_providers(secs(40_000), from, key, &mut steady);
        }
    }) * 1e6
        / f64::from(lookups);
    println!("lookup without the network's part: {bare:.1} us each");
    let (began, again) = (Instant::now(), 20_000_u32);
    for i in 0..again {
        let peer = i.wrapping_mul(40_503) % PEERS;
        dht.leave(secs(30_000), peer);
        dht.join(secs(30_000), peer, &id(peer));
    }
    println!(
        "leave and join again: {:.2} us each",
        began.elapsed().as_secs_f64() * 1e6 / f64::from(again)
    );
}
