//! How fast the simulator is, and how much a peer takes: what `starling-sim bench` prints.
//!
//! Swarms are measured in processes of their own, because a process's peak memory only grows.

use crate::engine::{Purpose, Streams, heap::Heap, wheel::Wheel};
use crate::experiment::{Experiment, ExperimentError, Study};
use crate::kademlia::{self, Dht as _, Kademlia};
use crate::light;
use crate::net;
use crate::profile::Profile;
use crate::world::{Stuck, World};
use core::fmt;
use serde::{Deserialize, Serialize};
use starling_protocol::{Hash, Time};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What the measured swarms do; they differ by size alone.
pub const WORKLOAD: &str = include_str!("../scenarios/scale.toml");

const PENDING: usize = 100_000;
const EVENTS: usize = 20_000_000;

/// The kernel alone, with 10^5 events pending: one comes out, and goes in again after a random span.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kernel {
    /// Events pending.
    pub pending: usize,
    /// The timing wheel, spans up to one virtual second.
    pub kernel_events_per_s: f64,
    /// The same, spans up to a minute.
    pub kernel_events_per_s_minute: f64,
    /// A binary heap in its place, spans up to one virtual second.
    pub heap_events_per_s: f64,
}

/// A swarm of unmodified peers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Swarm {
    /// Peers.
    pub peers: u32,
    /// Virtual seconds.
    pub virtual_s: f64,
    /// Seconds it took, and how many more to set up.
    pub wall_s: f64,
    /// Setting up.
    pub setup_s: f64,
    /// Virtual over real time.
    pub speedup: f64,
    /// Peak memory of the process, by peer.
    pub kib_per_peer: f64,
    /// Events.
    pub events: u64,
    /// Jobs submitted, by peer and hour.
    pub jobs_per_peer_hour: f64,
    /// Jobs done.
    pub jobs_done: u32,
    /// Adverts that reached a peer, by peer and second.
    pub adverts_per_peer_s: f64,
    /// Where the time went, by kind of event; sampled.
    pub profile: Vec<(String, f64)>,
}

/// A swarm of light peers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LightSwarm {
    /// Peers.
    pub peers: u32,
    /// Virtual over real time, setting up included.
    pub speedup: f64,
    /// Peak memory of the process, by peer.
    pub kib_per_peer: f64,
    /// Adverts that reached a peer, by peer and second.
    pub adverts_per_peer_s: f64,
}

/// What a swarm of light peers does; its size aside.
pub const LIGHT_WORKLOAD: &str = include_str!("../scenarios/light.toml");

/// Measures a swarm of light peers in this process.
///
/// # Errors
/// [`BenchError`].
pub fn light_swarm(peers: u32) -> Result<LightSwarm, BenchError> {
    let experiment = resized(LIGHT_WORKLOAD, peers)?;
    let begun = Instant::now();
    let report = light::run(&experiment, 1)?;
    let each = |n: u64| n as f64 / f64::from(peers) / report.virtual_s;
    Ok(LightSwarm {
        peers,
        speedup: report.virtual_s / begun.elapsed().as_secs_f64(),
        kib_per_peer: peak_kib() / f64::from(peers),
        adverts_per_peer_s: each(report.adverts.delivered),
    })
}

/// Measures the kernel.
#[must_use]
pub fn kernel() -> Kernel {
    type Event = (u32, u32, u64);
    let spans = |longest: u64| -> Vec<u64> {
        let mut stream = Streams::new(1).stream(Purpose::Workload, 0);
        (0..1 << 16).map(|_| stream.bits() % longest).collect()
    };
    fn hold(spans: &[u64], mut push: impl FnMut(u64, Event), mut pop_push: impl FnMut(u64)) -> f64 {
        let span = |i: usize| spans[i % spans.len()];
        (0..PENDING).for_each(|i| push(span(i), (i as u32, 0, 0)));
        let begun = Instant::now();
        (0..EVENTS).for_each(|i| pop_push(span(i)));
        EVENTS as f64 / begun.elapsed().as_secs_f64()
    }
    let wheel = |longest| {
        let queue = core::cell::RefCell::new(Wheel::<Event>::default());
        let again = |span| {
            let mut queue = queue.borrow_mut();
            if let Some((at, event)) = queue.pop(u64::MAX) {
                queue.push(at + span, event);
            }
        };
        hold(
            &spans(longest),
            |at, e| queue.borrow_mut().push(at, e),
            again,
        )
    };
    let heap = core::cell::RefCell::new(Heap::<Event>::default());
    let again = |span| {
        let mut heap = heap.borrow_mut();
        if let Some((at, event)) = heap.pop(u64::MAX) {
            heap.push(at + span, event);
        }
    };
    Kernel {
        pending: PENDING,
        kernel_events_per_s: wheel(1_000_000),
        kernel_events_per_s_minute: wheel(60_000_000),
        heap_events_per_s: hold(
            &spans(1_000_000),
            |at, e| heap.borrow_mut().push(at, e),
            again,
        ),
    }
}

/// The models beneath a swarm of 10^5 peers, alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Models {
    /// Peers.
    pub peers: u32,
    /// One packet through the whole network model, ns.
    pub packet_ns: f64,
    /// One look-up of a board, its requests' way through the network included, us.
    pub lookup_us: f64,
    /// Requests of a look-up.
    pub lookup_requests: f64,
}

/// Measures the models.
#[must_use]
pub fn models() -> Models {
    const PEERS: u32 = 100_000;
    const PACKETS: u32 = 5_000_000;
    const LOOKUPS: u32 = 10_000;
    let streams = Streams::new(1);
    let knobs = net::Knobs::default();
    let places = net::places(&knobs.mix, PEERS, &streams);
    let mut network = net::Network::new(&knobs, places, &streams);
    let somebody = |i: u32| i.wrapping_mul(2_654_435_761) % PEERS;
    let begun = Instant::now();
    for i in 0..PACKETS {
        let packet = net::Packet {
            from: somebody(i),
            to: (somebody(i) + i % 1_000 + 1) % PEERS,
            bytes: 300,
            kind: net::PacketKind::Control,
        };
        core::hint::black_box(network.send(Time(u64::from(i)), &packet));
    }
    let packets_s = begun.elapsed().as_secs_f64();
    let mut dht = Kademlia::new(&kademlia::Knobs::default(), &streams);
    let id = |n: u32| Hash::of(&n.to_le_bytes());
    let now = |i: u32| Time(u64::from(i + 1) * 1_000_000);
    (0..PEERS).for_each(|peer| dht.join(Time(0), peer, &id(peer)));
    // The first one sorts the table.
    dht.closest(now(0), 0, &id(1), &mut network.at(now(0)));
    let begun = Instant::now();
    let mut requests = 0;
    for i in 0..LOOKUPS {
        let board = id(PEERS + i % 256);
        let found = dht.find_providers(now(i), somebody(i), &board, &mut network.at(now(i)));
        requests += found.rpcs;
    }
    Models {
        peers: PEERS,
        packet_ns: packets_s * 1e9 / f64::from(PACKETS),
        lookup_us: begun.elapsed().as_secs_f64() * 1e6 / f64::from(LOOKUPS),
        lookup_requests: f64::from(requests) / f64::from(LOOKUPS),
    }
}

impl fmt::Display for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "models   {:.0} ns a packet, {:.1} us a look-up of {:.0} requests, among {} peers",
            self.packet_ns, self.lookup_us, self.lookup_requests, self.peers
        )
    }
}

/// Why a swarm was not measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Its experiment cannot be run.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// Its virtual time stands still.
    #[error(transparent)]
    Stuck(#[from] Stuck),
    /// The measuring process could not be started, or was killed.
    #[error("the process that measures {0} peers failed: {1}")]
    Child(u32, String),
}

/// The experiment of a file with another number of peers.
fn resized(text: &str, peers: u32) -> Result<Experiment, BenchError> {
    let mut study = Study::parse(text, Path::new("(bench)"))?;
    let mut experiment = study.cells.remove(0).experiment;
    experiment.population.peers = peers;
    experiment.check()?;
    Ok(experiment)
}

/// Measures a swarm in this process.
///
/// # Errors
/// [`BenchError`].
pub fn swarm(peers: u32) -> Result<Swarm, BenchError> {
    let experiment = resized(WORKLOAD, peers)?;
    let begun = Instant::now();
    let mut world = World::new(&experiment, 1, false)?;
    world.profile = Some(Profile::default());
    let setup_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    world.run(&AtomicBool::new(false))?;
    let wall_s = begun.elapsed().as_secs_f64();
    let virtual_s = world.shared.engine.now().0 as f64 / 1e6;
    let counters = &world.shared.observer.counters;
    let source = &experiment.workload[0];
    let profile = world.profile.take().unwrap_or_default();
    Ok(Swarm {
        peers,
        virtual_s,
        wall_s,
        setup_s,
        speedup: virtual_s / wall_s,
        kib_per_peer: peak_kib() / f64::from(peers),
        events: world.events(),
        jobs_per_peer_hour: source.per_peer_hour,
        jobs_done: counters
            .jobs
            .values()
            .filter(|j| matches!(j.ended, Some((_, None))))
            .count() as u32,
        adverts_per_peer_s: world.shared.gossip.tally().delivered as f64
            / f64::from(peers)
            / virtual_s,
        profile: profile.shares(),
    })
}

/// Measures in a process of its own: `bench WHAT PEERS` of this program prints JSON.
///
/// # Errors
/// [`BenchError`].
pub fn in_child<T: serde::de::DeserializeOwned>(what: &str, peers: u32) -> Result<T, BenchError> {
    let failed = |why: String| BenchError::Child(peers, why);
    let exe = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
    let output = Command::new(exe)
        .args(["bench", what, &peers.to_string()])
        .output();
    let output = output.map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}; {}", output.status, why.trim())));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))
}

/// The most memory that this process has had, KiB; 0 where the system does not tell.
fn peak_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse().ok());
    kib.unwrap_or(0.0)
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let million = |x: f64| x / 1e6;
        write!(
            f,
            "kernel   {:.1} M events/s with {} pending (spans to a minute: {:.1}); binary heap {:.1} M/s",
            million(self.kernel_events_per_s),
            self.pending,
            million(self.kernel_events_per_s_minute),
            million(self.heap_events_per_s)
        )
    }
}

impl fmt::Display for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:>7} peers: {:.1} x real time, {:.0} KiB a peer; {:.0} virtual s in {:.1} s (+ {:.1} s to set up), {:.2} M events/s",
            self.peers,
            self.speedup,
            self.kib_per_peer,
            self.virtual_s,
            self.wall_s,
            self.setup_s,
            self.events as f64 / self.wall_s / 1e6
        )?;
        write!(f, "        ")?;
        for (kind, share) in self.profile.iter().take(6) {
            write!(f, " {kind} {:.0} %", share * 100.0)?;
        }
        Ok(())
    }
}

impl fmt::Display for LightSwarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>7} light peers: {:.1} x real time, {:.2} KiB a peer, {:.1} adverts a second to each",
            self.peers, self.speedup, self.kib_per_peer, self.adverts_per_peer_s
        )
    }
}
