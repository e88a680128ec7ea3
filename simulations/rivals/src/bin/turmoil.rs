//! The flood upon turmoil: hosts with UDP sockets in one simulation, as <https://docs.rs/turmoil/0.7> shows them.
//! VARIANT is the tick in milliseconds: 1 is turmoil's default.
#![forbid(unsafe_code)]

use starling_rivals::{BYTES, Node, STARTS, Task, latency_us, number, payload, report};
use std::cell::Cell;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;
use turmoil::net::UdpSocket;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PORT: u16 = 9000;

fn main() -> turmoil::Result {
    let task = Task::from_args();
    let tick = Duration::from_millis(task.variant.parse()?);
    let ms = Duration::from_millis;
    let mut sim = turmoil::Builder::new()
        .rng_seed(1)
        .tick_duration(tick)
        .simulation_duration(Duration::from_secs(1_000_000))
        .min_message_latency(ms(20))
        .max_message_latency(ms(80))
        // Never full: a flood must not lose messages.
        .udp_capacity(4096)
        .build();
    let (delivered, sent, latency) = (
        Rc::new(Cell::new(0_u64)),
        Rc::new(Cell::new(0_u64)),
        Rc::new(Cell::new(0_u64)),
    );
    // Addresses in order, so that nobody asks for names while it runs.
    let addresses: Rc<[IpAddr]> = (0..task.nodes).map(address).collect();
    for index in 0..task.nodes {
        let (nodes, addresses) = (task.nodes, addresses.clone());
        let (delivered, sent, latency) = (delivered.clone(), sent.clone(), latency.clone());
        sim.host(address(index), move || {
            let mut node = Node::new(index, nodes);
            let (addresses, delivered) = (addresses.clone(), delivered.clone());
            let (sent, latency) = (sent.clone(), latency.clone());
            async move {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
                let mut send = async || {
                    let (to, drawn) = node.choose();
                    sent.set(sent.get() + 1);
                    latency.set(latency.get() + latency_us(index, to));
                    let target = (addresses[to as usize], PORT);
                    socket.send_to(&payload(drawn), target).await
                };
                for _ in 0..STARTS {
                    send().await?;
                }
                let mut buffer = [0; BYTES];
                loop {
                    socket.recv_from(&mut buffer).await?;
                    black_box(number(&buffer));
                    delivered.set(delivered.get() + 1);
                    send().await?;
                }
            }
        });
    }
    for a in 0..task.nodes {
        for b in 0..a {
            let latency = Duration::from_micros(latency_us(a, b));
            sim.set_link_latency(addresses[a as usize], addresses[b as usize], latency);
        }
    }
    // Whole ticks: a few messages more than asked for.
    while delivered.get() < task.messages {
        sim.step()?;
    }
    let mean_ms = latency.get() as f64 / 1e3 / sent.get() as f64;
    report(delivered.get(), sim.elapsed().as_secs_f64(), mean_ms);
    Ok(())
}

fn address(index: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0001 + index))
}
