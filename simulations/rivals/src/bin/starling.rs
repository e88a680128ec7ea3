//! The flood upon Starling's simulator: its kernel and its network model with trivial nodes (`kernel`, `network`), or
//! unmodified protocol peers instead of the flood (`peers`).
#![forbid(unsafe_code)]

use starling_rivals::{BYTES, Node, Payload, STARTS, Task, latency_us, number, payload, report};
use starling_sim::Experiment;
use starling_sim::engine::{Engine, Streams};
use starling_sim::net::{self, Knobs, Network, Packet, PacketKind};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let task = Task::from_args();
    match task.variant.as_str() {
        "kernel" => flood(&task, &bare(), true),
        "network" => flood(&task, &Knobs::default(), false),
        "peers" => peers(&task),
        other => panic!("no variant {other}: kernel, network or peers"),
    }
}

/// Every model of the network adds nothing; packets go through all of them all the same.
fn bare() -> Knobs {
    let mut knobs = Knobs {
        one_way_ms: Some(0.0),
        access_ms: 0.0,
        jitter_ms: 0.0,
        limit_bandwidth: false,
        ..Knobs::default()
    };
    let nats = &mut knobs.mix.nats;
    (nats.public, nats.punchable, nats.symmetric) = (1.0, 0.0, 0.0);
    knobs
}

struct Arrival {
    to: u32,
    payload: Box<Payload>,
}

struct Flood {
    engine: Engine<Arrival>,
    network: Network,
    nodes: Vec<Node>,
    by_pair: bool,
    sent: u64,
    latency: Duration,
}

impl Flood {
    fn send(&mut self, from: u32) {
        let (to, drawn) = self.nodes[from as usize].choose();
        let packet = Packet {
            from,
            to,
            bytes: BYTES as u32,
            kind: PacketKind::Control,
        };
        let now = self.engine.now();
        let mut delay = self.network.send(now, &packet).expect("nothing is lost");
        if self.by_pair {
            delay += Duration::from_micros(latency_us(from, to));
        }
        self.sent += 1;
        self.latency += delay;
        let payload = Box::new(payload(drawn));
        self.engine.after(delay, Arrival { to, payload });
    }
}

/// `by_pair`: latencies by the hash of the pair, not those of `knobs`.
fn flood(task: &Task, knobs: &Knobs, by_pair: bool) {
    let streams = Streams::new(1);
    let places = net::places(&knobs.mix, task.nodes, &streams);
    let mut flood = Flood {
        engine: Engine::default(),
        network: Network::new(knobs, places, &streams),
        nodes: (0..task.nodes).map(|n| Node::new(n, task.nodes)).collect(),
        by_pair,
        sent: 0,
        latency: Duration::ZERO,
    };
    for node in 0..task.nodes {
        (0..STARTS).for_each(|_| flood.send(node));
    }
    let mut delivered = 0;
    while delivered < task.messages {
        let until = flood.engine.now().after(Duration::from_secs(1));
        let Some(Arrival { to, payload }) = flood.engine.next(until) else {
            continue;
        };
        delivered += 1;
        black_box(number(&payload));
        flood.send(to);
    }
    let mean_ms = flood.latency.as_secs_f64() * 1e3 / flood.sent as f64;
    report(delivered, flood.engine.now().0 as f64 / 1e6, mean_ms);
}

/// As `starling-sim run peers.toml`, with so many peers. Messages are those that a peer's protocol machine was given.
fn peers(task: &Task) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers.toml");
    let mut experiment = Experiment::load(&path).expect("peers.toml");
    experiment.population.peers = task.nodes;
    experiment.check().expect("NODES");
    let done = starling_sim::run(&experiment, 1, false).expect("a run");
    let r = done.report;
    assert!(r.is_good(), "{:?} {:?}", r.violations, r.jobs_failed);
    let control: u64 = r.messages.values().map(|tally| tally.count).sum();
    report(
        control - r.messages_lost + r.gossip.delivered,
        r.virtual_s,
        f64::NAN,
    );
}
