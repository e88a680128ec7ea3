//! Timings: `cargo test --release -p starling-sim --test models -- --ignored --nocapture speed`.

use crate::{id, secs};
use starling_protocol::Time;
use starling_sim::engine::Streams;
use starling_sim::kademlia::{self, Dht, Kademlia};
use starling_sim::net::{Knobs, Network, Packet, PacketKind, places};
use std::time::Instant;

const PEERS: u32 = 100_000;

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
    let packets = 10_000_000_u32;
    let (began, mut arrived) = (Instant::now(), 0_u64);
    for i in 0..packets {
        let from = i.wrapping_mul(2_654_435_761) % PEERS;
        let packet = Packet {
            from,
            to: (from + i % 1_000 + 1) % PEERS,
            bytes: 300,
            kind: PacketKind::Control,
        };
        arrived += u64::from(network.send(Time(u64::from(i)), &packet).is_some());
    }
    let ns = began.elapsed().as_nanos() as f64 / f64::from(packets);
    println!("Network::send: {ns:.1} ns each, {arrived} of {packets} arrived");
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
    let (began, lookups) = (Instant::now(), 20_000_u32);
    let (mut rpcs, mut hops, mut delay) = (0, 0, 0.0);
    for i in 0..lookups {
        let now = secs(1 + u64::from(i));
        let key = &keys[i as usize % keys.len()];
        let from = i.wrapping_mul(2_654_435_761) % PEERS;
        let found = dht.find_providers(now, from, key, &mut network.at(now));
        (rpcs, hops) = (rpcs + found.rpcs, hops + found.hops);
        delay += found.delay.as_secs_f64();
    }
    let each = f64::from(lookups);
    println!(
        "lookup: {:.1} us each, {:.1} requests, {:.2} hops, {:.3} s",
        began.elapsed().as_secs_f64() * 1e6 / each,
        f64::from(rpcs) / each,
        f64::from(hops) / each,
        delay / each
    );
    let began = Instant::now();
    for i in 0..lookups {
        let peer = i.wrapping_mul(40_503) % PEERS;
        dht.leave(secs(30_000), peer);
        dht.join(secs(30_000), peer, &id(peer));
    }
    println!(
        "leave and join again: {:.2} us each",
        began.elapsed().as_secs_f64() * 1e6 / each
    );
}
