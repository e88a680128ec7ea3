//! A run's loop: all peers of an experiment, the events between them, and the hash over every event in order.

use crate::adversary::{Backend, Honest, Lying, Silent};
use crate::engine::{Engine, Purpose, Stream, Streams};
use crate::experiment::{CLASS, Experiment, Source, kernel};
use crate::gossip::{HEARTBEAT, Mesh};
use crate::host::{ANY_LIFE, Event, Host, Keys, LookupTally, Parts, Shared, What};
use crate::kademlia::Kademlia;
use crate::net::{self, Network};
use crate::observe::Observer;
use core::time::Duration;
use starling_protocol::advert::{self, DeviceProfile, KernelOffer};
use starling_protocol::io::{Capacity, Setup};
use starling_protocol::{Core, Genesis, Hash, Peer, Tier, Time, board};
use twox_hash::XxHash3_64;

/// After the last job has ended the run goes on for so long: last receipts and farewells travel.
const AFTERMATH: Duration = Duration::from_secs(5);
/// More events than this without the clock moving is a core that never settles.
const SAME_INSTANT_MAX: u64 = 5_000_000;

/// A core asks to be woken again and again at one instant, or peers answer each other without delay for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("virtual time stands still at {0:?}: a peer never settles")]
pub struct Stuck(pub Time);

/// An experiment under way.
pub struct World {
    /// What the peers share.
    pub shared: Shared,
    hosts: Vec<Option<Host>>,
    lives: Vec<u16>,
    experiment: Experiment,
    genesis: Genesis,
    streams: Streams,
    /// Which group of adversaries a peer belongs to.
    roles: Vec<Option<u8>>,
    submissions: u32,
    trace: u64,
    events: u64,
}

impl World {
    /// All peers of `experiment`, about to start. `tracing` keeps every message for people.
    #[must_use]
    pub fn new(experiment: &Experiment, seed: u64, tracing: bool) -> Self {
        let streams = Streams::new(seed);
        let salt = Hash(streams.bytes(Purpose::Identity, u32::MAX, 0));
        let genesis = experiment.swarm.genesis(salt);
        let population = &experiment.population;
        let peers = population.peers;
        let signer = |peer| {
            let secret = streams.bytes(Purpose::Identity, peer, 0);
            population.signatures.signer(&secret)
        };
        let names: Vec<_> = (0..peers).map(|peer| signer(peer).key()).collect();
        let keys: Keys = names.iter().copied().zip(0..).collect();
        let shared = Shared {
            engine: Engine::default(),
            network: Network::new(
                &experiment.network,
                net::places(&experiment.network.mix, peers, &streams),
                &streams,
            ),
            gossip: Box::new(Mesh::new(
                experiment.gossip.clone(),
                peers,
                genesis.shards,
                &streams,
            )),
            dht: Box::new(Kademlia::new(&experiment.kademlia, &streams)),
            lookups: LookupTally::default(),
            observer: Observer::new(genesis.swarm_id(), peers, tracing),
            keys,
            names,
            copies: Vec::new(),
        };
        let mut world = Self {
            shared,
            hosts: (0..peers).map(|_| None).collect(),
            lives: vec![ANY_LIFE; peers as usize],
            roles: roles(experiment, &streams),
            experiment: experiment.clone(),
            genesis,
            streams,
            submissions: 0,
            trace: seed,
            events: 0,
        };
        world.schedule();
        world
    }

    fn schedule(&mut self) {
        let population = &self.experiment.population;
        for peer in 0..population.peers {
            if self.roles[peer as usize].is_some() {
                let key = self.shared.names[peer as usize];
                self.shared.observer.history.dishonest.insert(key);
            }
            let mut stream = self.streams.stream(Purpose::Start, peer);
            let at = Duration::from_secs_f64(stream.unit() * population.start_s);
            self.shared.reach(at, peer, What::Start);
        }
        for topic in 0..self.genesis.shards {
            // Not all topics at one instant.
            let offset = HEARTBEAT * u32::from(topic) / u32::from(self.genesis.shards);
            self.shared
                .engine
                .after(HEARTBEAT + offset, Event::Heartbeat(topic));
        }
        for (i, source) in self.experiment.workload.clone().iter().enumerate() {
            if source.is_stream() {
                self.schedule_stream(source, self.streams.stream(Purpose::Workload, i as u32));
            } else {
                for job in 0..source.jobs {
                    let at = source.at_s + source.every_s * f64::from(job);
                    self.submit(at, source.requester, source);
                }
            }
        }
    }

    /// Arrivals of a Poisson process of the whole population, each from a random peer.
    fn schedule_stream(&mut self, source: &Source, mut stream: Stream) {
        let peers = self.experiment.population.peers;
        let per_s = source.per_peer_hour * f64::from(peers) / 3600.0;
        let mut at = source.at_s;
        loop {
            at -= libm::log(1.0 - stream.unit()) / per_s;
            if at >= self.experiment.run.horizon_s {
                return;
            }
            let requester = stream.below(peers);
            self.submit(at, requester, source);
        }
    }

    fn submit(&mut self, at_s: f64, requester: u32, source: &Source) {
        self.submissions += 1;
        let what = What::Submit(Box::new(source.job.clone()));
        self.shared
            .reach(Duration::from_secs_f64(at_s), requester, what);
    }

    fn host(&mut self, peer: u32) -> Host {
        let population = &self.experiment.population;
        let secret = self.streams.bytes(Purpose::Identity, peer, 0);
        let setup = Setup {
            genesis: self.genesis.clone(),
            rng_seed: self
                .streams
                .bytes(Purpose::Core, peer, u32::from(self.lives[peer as usize])),
        };
        let mut core: Box<dyn Core> =
            Box::new(Peer::new(setup, population.signatures.signer(&secret)));
        let mut backend: Box<dyn Backend> = Box::new(Honest);
        if let Some(group) = self.roles[peer as usize] {
            for strategy in &self.experiment.adversaries[usize::from(group)].strategies {
                match strategy.as_str() {
                    "silent" => core = Box::new(Silent::new(core)),
                    _ => backend = Box::new(Lying(Honest)),
                }
            }
        }
        let drawn = population.device(peer, &self.streams);
        let kind = &population.devices[drawn.kind];
        let slots = if peer < population.clients {
            0
        } else {
            kind.slots
        };
        let capacity = Capacity {
            devices: vec![DeviceProfile {
                kind: advert::DeviceKind::Other,
                name: kind.name.clone(),
            }],
            kernels: vec![KernelOffer {
                kernel: kernel(),
                class: CLASS.into(),
                tier: Tier::Exact,
                units_per_s: drawn.units_per_s,
                price: 0,
            }],
            slots,
            region: String::new(),
            software: concat!("starling-sim ", env!("CARGO_PKG_VERSION")).into(),
        };
        let parts = Parts {
            core,
            backend,
            capacity,
            units_per_s: drawn.units_per_s,
            reference_units_per_s: (kind.reference_gunits_per_s * 1e9) as u64,
            prepare: Duration::from_secs_f64(kind.prepare_ms / 1000.0),
            topic: board::home(&self.shared.names[peer as usize], self.genesis.shards),
        };
        Host::new(peer, self.lives[peer as usize], parts)
    }

    /// Runs until all jobs have ended and a little longer, or to the horizon.
    ///
    /// # Errors
    /// [`Stuck`] when virtual time stands still.
    pub fn run(&mut self) -> Result<(), Stuck> {
        let horizon = Duration::from_secs_f64(self.experiment.run.horizon_s);
        let mut until = Time::default().after(horizon);
        let (mut instant, mut at_instant) = (Time::default(), 0);
        let mut waiting = self.experiment.run.until_jobs_end;
        while let Some(event) = self.shared.engine.next(until) {
            let now = self.shared.engine.now();
            at_instant = if now == instant { at_instant + 1 } else { 0 };
            instant = now;
            if at_instant > SAME_INSTANT_MAX {
                return Err(Stuck(now));
            }
            self.dispatch(event);
            if waiting && self.shared.observer.counters.ended >= self.submissions {
                waiting = false;
                until = until.min(now.after(AFTERMATH));
            }
        }
        Ok(())
    }

    fn dispatch(&mut self, event: Event) {
        self.events += 1;
        let now = self.shared.engine.now();
        let mut write = |tag: u8, bytes: &[u8]| {
            let seed = self.trace.rotate_left(5) ^ u64::from(tag);
            self.trace = XxHash3_64::oneshot_with_seed(seed, bytes);
        };
        write(0xff, &now.0.to_le_bytes());
        match event {
            Event::Heartbeat(topic) => {
                write(0xfe, &topic.to_le_bytes());
                self.heartbeat(now, topic);
            }
            Event::Peer { peer, life, what } => {
                write(0xfd, &peer.to_le_bytes());
                what.write(&mut write);
                self.happen(peer, life, what);
            }
        }
    }

    fn happen(&mut self, peer: u32, life: u16, what: What) {
        let at = peer as usize;
        if matches!(what, What::Start) && self.hosts[at].is_none() {
            self.lives[at] += 1;
            self.hosts[at] = Some(self.host(peer));
        }
        // Nobody is at home, or not the one who asked for this.
        let host = self.hosts[at].as_mut();
        if let Some(host) = host.filter(|h| life == ANY_LIFE || life == h.life()) {
            host.on(&mut self.shared, what);
        }
    }

    fn heartbeat(&mut self, now: Time, topic: u16) {
        let Shared {
            gossip,
            network,
            copies,
            ..
        } = &mut self.shared;
        let met = gossip.heartbeat(network, now, topic, copies);
        self.shared.deliver_copies();
        for (a, b) in met {
            self.shared.reach(Duration::ZERO, a, What::Connected(b));
            self.shared.reach(Duration::ZERO, b, What::Connected(a));
        }
        self.shared.engine.after(HEARTBEAT, Event::Heartbeat(topic));
    }

    /// A hash over all events so far, in order.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.trace
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }
}

/// Who misbehaves: groups draw their members from all peers but the clients.
fn roles(experiment: &Experiment, streams: &Streams) -> Vec<Option<u8>> {
    let population = &experiment.population;
    let mut roles = vec![None; population.peers as usize];
    let mut free: Vec<u32> = (population.clients..population.peers).collect();
    let mut stream = streams.stream(Purpose::Adversary, 0);
    for (group, adversaries) in experiment.adversaries.iter().enumerate() {
        let of_share = (adversaries.share * f64::from(population.peers)) as u32;
        for _ in 0..adversaries.count.max(of_share) {
            if free.is_empty() {
                break;
            }
            let member = free.swap_remove(stream.below(free.len() as u32) as usize);
            roles[member as usize] = Some(group as u8);
        }
    }
    roles
}
