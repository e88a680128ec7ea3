//! A run's loop: all peers of an experiment, the events between them, and the hash over every event in order.

use crate::churn::{Churn, FOR_EVER, Session};
use crate::engine::{Engine, Purpose, Stream, Streams};
use crate::event::{ANY_LIFE, Event, What};
use crate::experiment::{CLASS, Drawn, Experiment, ExperimentError, Population, Source, kernel};
use crate::gossip::{HEARTBEAT, Mesh};
use crate::host::{Disk, EPOCH_S, Host, Parts, UNREACHABLE};
use crate::kademlia::Kademlia;
use crate::net::{self, Network};
use crate::observe::Observer;
use crate::profile::Profile;
use crate::roles::Roles;
use crate::shared::{Keys, LookupTally, Shared};
use crate::truth::Truth;
use crate::warm::Warmer;
use core::time::Duration;
use starling_protocol::advert::{self, DeviceProfile, KernelOffer};
use starling_protocol::io::{Capacity, Setup};
use starling_protocol::text::{Text, cut};
use starling_protocol::{Genesis, Hash, Peer, Tier, Time, board};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use twox_hash::XxHash3_64;

/// After the last job has ended the run goes on for so long: last receipts and farewells travel.
const AFTERMATH: Duration = Duration::from_secs(5);
/// More events than this without the clock moving is a core that never settles.
const SAME_INSTANT_MAX: u64 = 2_000_000;

/// A core asks to be woken again and again at one instant, or peers answer each other without delay for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("virtual time stands still at {at:?}: peer {peer} never settles ({kind})")]
pub struct Stuck {
    /// Where time stands.
    pub at: Time,
    /// Whom the last event was for.
    pub peer: u32,
    /// What kind of event it was.
    pub kind: &'static str,
}

/// An experiment under way.
pub struct World {
    /// What the peers share.
    pub shared: Shared,
    hosts: Vec<Option<Host>>,
    lives: Vec<u16>,
    experiment: Experiment,
    genesis: Genesis,
    streams: Streams,
    /// Who misbehaves, and how.
    roles: Roles,
    /// What peers that are down have left on their disks.
    disks: BTreeMap<u32, Disk>,
    submissions: u32,
    trace: u64,
    events: u64,
    /// The engine's, as last seen.
    window: u64,
    warmer: Warmer,
    /// Filled if it is there.
    pub profile: Option<Profile>,
}

impl World {
    /// All peers of `experiment`, about to start. `tracing` keeps every message for people.
    ///
    /// # Errors
    /// [`ExperimentError::Trace`] when the churn's trace cannot be used any more.
    pub fn new(experiment: &Experiment, seed: u64, tracing: bool) -> Result<Self, ExperimentError> {
        let streams = Streams::new(seed);
        let salt = Hash(streams.bytes(Purpose::Identity, u32::MAX, 0));
        let genesis = experiment.genesis(salt);
        let population = &experiment.population;
        let peers = population.peers;
        let roles = Roles::draw(experiment, &genesis, &streams);
        let names: Vec<_> = (0..peers).map(|peer| roles.signer(peer)().key()).collect();
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
            outputs: Vec::new(),
        };
        let mut world = Self {
            shared,
            hosts: (0..peers).map(|_| None).collect(),
            lives: vec![ANY_LIFE; peers as usize],
            roles,
            disks: BTreeMap::new(),
            experiment: experiment.clone(),
            genesis,
            streams,
            submissions: 0,
            trace: seed,
            events: 0,
            window: 0,
            warmer: Warmer::default(),
            profile: None,
        };
        world.schedule()?;
        Ok(world)
    }

    fn schedule(&mut self) -> Result<(), ExperimentError> {
        let population = &self.experiment.population;
        let horizon = Time::default().after(Duration::from_secs_f64(self.experiment.run.horizon_s));
        let sessions = self
            .experiment
            .churn
            .sessions(population.peers, horizon, &self.streams)?;
        for (peer, sessions) in (0..).zip(sessions) {
            if let Some(forfeits) = self.roles.forfeits(peer) {
                let key = self.shared.names[peer as usize];
                self.shared.observer.history.dishonest.insert(key, forfeits);
            }
            if self.roles.denies_records(peer) {
                self.shared.dht.deny(peer);
            }
            let mut stream = self.streams.stream(Purpose::Start, peer);
            let start = Time((stream.unit() * population.start_s * 1e6) as u64);
            // Clients do not come and go: somebody must be there to collect.
            let stays = [Session {
                up: start,
                down: FOR_EVER,
            }];
            let sessions = if peer < population.clients {
                &stays[..]
            } else {
                &sessions[..]
            };
            for session in sessions {
                let event = |what| Event::Peer {
                    peer,
                    life: ANY_LIFE,
                    what,
                };
                self.shared
                    .engine
                    .at(session.up.max(start), event(What::Start));
                if session.down < horizon {
                    self.shared
                        .engine
                        .at(session.down.max(start), event(What::Kill));
                }
            }
        }
        let time = |s: f64| Time((s * 1e6) as u64);
        for window in &self.experiment.network.partitions {
            let window = (time(window.start_s), time(window.end_s));
            self.shared.observer.history.partitions.push(window);
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
        Ok(())
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
        let life = self.lives[peer as usize];
        let setup = Setup {
            genesis: self.genesis.clone(),
            rng_seed: self.streams.bytes(Purpose::Core, peer, u32::from(life)),
            guests: Vec::new(),
        };
        let honest = Peer::new(setup, self.roles.signer(peer)());
        let (core, backend) = self.roles.wrap(peer, honest, Truth, &self.shared.names);
        let drawn = population.device(peer, &self.streams);
        let kind = &population.devices[drawn.kind];
        if let Some(stats) = self.shared.observer.counters.peers.get_mut(peer as usize) {
            stats.kind = drawn.kind as u32;
            stats.units_per_s = drawn.units_per_s as f64;
        }
        let parts = Parts {
            disk: self.disks.remove(&peer).unwrap_or_default(),
            keeps_log: self.experiment.churn != Churn::None,
            core,
            backend,
            capacity: capacity(population, peer, &drawn),
            units_per_s: drawn.units_per_s,
            reference_units_per_s: (kind.reference_gunits_per_s * 1e9) as u64,
            prepare: Duration::from_secs_f64(kind.prepare_ms / 1000.0),
            topic: board::home(&self.shared.names[peer as usize], self.genesis.shards),
        };
        Host::new(peer, life, parts)
    }

    /// Runs until all jobs have ended and a little longer, or to the horizon.
    ///
    /// False when `stop` was set before.
    ///
    /// # Errors
    /// [`Stuck`] when virtual time stands still.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<bool, Stuck> {
        let horizon = Duration::from_secs_f64(self.experiment.run.horizon_s);
        let mut until = Time::default().after(horizon);
        let (mut instant, mut at_instant) = (Time::default(), 0);
        let mut waiting = self.experiment.run.until_jobs_end;
        while let Some(event) = self.shared.engine.next(until) {
            let now = self.shared.engine.now();
            if self.window != self.shared.engine.window() {
                self.window = self.shared.engine.window();
                self.warmer.warm(&self.hosts, &self.shared);
            }
            at_instant = if now == instant { at_instant + 1 } else { 0 };
            instant = now;
            if at_instant > SAME_INSTANT_MAX {
                let (peer, kind) = (event.peer(), event.kind());
                return Err(Stuck {
                    at: now,
                    peer,
                    kind,
                });
            }
            if self.profile.is_some() && Profile::is_due(self.events) {
                let kind = event.kind();
                let begun = std::time::Instant::now();
                self.dispatch(event);
                if let Some(profile) = &mut self.profile {
                    profile.add(kind, begun.elapsed());
                }
            } else {
                self.dispatch(event);
            }
            if waiting && self.shared.observer.counters.ended >= self.submissions {
                waiting = false;
                until = until.min(now.after(AFTERMATH));
            }
            if self.events.is_multiple_of(1 << 14) && stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
        self.look_for_hoards();
        Ok(true)
    }

    /// What peers whose clocks and cores are sound should have let go by the end.
    fn look_for_hoards(&mut self) {
        let now = self.shared.engine.now();
        for (peer, host) in (0..).zip(&self.hosts) {
            let unix_s = self.shared.network.unix_s(peer, now, EPOCH_S);
            let keeps = host.as_ref().is_some_and(|h| h.keeps_the_past(unix_s));
            if keeps && !self.roles.misbehaves(peer) {
                let key = self.shared.names[peer as usize];
                let observer = &mut self.shared.observer;
                observer.hoards(key, "a job whose deadline has long passed");
            }
        }
    }

    fn dispatch(&mut self, event: Event) {
        self.events += 1;
        let now = self.shared.engine.now();
        let (peer, tag) = match &event {
            Event::Heartbeat(topic) => (u32::from(*topic), u8::MAX),
            Event::Peer { peer, what, .. } => (*peer, what.tag()),
        };
        let mut head = [0; 13];
        head[..8].copy_from_slice(&now.0.to_le_bytes());
        head[8..12].copy_from_slice(&peer.to_le_bytes());
        head[12] = tag;
        let mut write = |bytes: &[u8]| {
            self.trace = XxHash3_64::oneshot_with_seed(self.trace, bytes);
        };
        write(&head);
        match event {
            Event::Heartbeat(topic) => {
                self.heartbeat(now, topic);
            }
            Event::Peer { peer, life, what } => {
                what.write(&mut write);
                self.happen(peer, life, what);
            }
        }
    }

    fn happen(&mut self, peer: u32, life: u16, what: What) {
        let at = peer as usize;
        if matches!(what, What::Start) && self.hosts[at].is_none() {
            self.lives[at] += 1;
            let key = self.shared.names[at];
            let down = self.shared.observer.history.down.get_mut(&key);
            if let Some(last) = down.and_then(|d| d.last_mut()) {
                last.1 = self.shared.engine.now();
            }
            self.hosts[at] = Some(self.host(peer));
            self.shared.observer.history.order.up(key);
        }
        if matches!(what, What::Kill) {
            return self.kill(peer);
        }
        if let What::Message(from, _) = what
            && self.hosts[at].is_none()
        {
            return self
                .shared
                .reach(UNREACHABLE, from, What::Undelivered(peer));
        }
        // Nobody is at home, or not the one who asked for this.
        let host = self.hosts[at].as_mut();
        if let Some(host) = host.filter(|h| life == ANY_LIFE || life == h.life()) {
            host.on(&mut self.shared, what);
        }
    }

    fn kill(&mut self, peer: u32) {
        let Some(host) = self.hosts[peer as usize].take() else {
            return;
        };
        self.disks.insert(peer, host.kill());
        let (now, key) = (self.shared.engine.now(), self.shared.names[peer as usize]);
        let history = &mut self.shared.observer.history;
        let down = history.down.entry(key).or_default();
        down.push((now, FOR_EVER));
        let undone = history.order.killed(key, now);
        history.done.retain(|d| !undone.contains(&(d.job, d.slice)));
        self.shared.dht.leave(now, peer);
        for neighbour in self.shared.gossip.leave(peer) {
            self.shared.reach(UNREACHABLE, neighbour, What::Lost(peer));
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

    /// Whether a peer is in any group of adversaries.
    #[must_use]
    pub fn misbehaves(&self, peer: &starling_protocol::PeerKey) -> bool {
        let index = self.shared.keys.get(peer);
        index.is_some_and(|index| self.roles.misbehaves(*index))
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }
}

/// What `peer` offers with the device that it has drawn.
pub(crate) fn capacity(population: &Population, peer: u32, drawn: &Drawn) -> Capacity {
    let kind = &population.devices[drawn.kind];
    let slots = if peer < population.clients {
        0
    } else {
        kind.slots
    };
    Capacity {
        devices: vec![DeviceProfile {
            kind: advert::DeviceKind::Other,
            name: cut(&kind.name),
        }],
        kernels: vec![KernelOffer {
            kernel: kernel(),
            class: cut(CLASS),
            tier: Tier::Exact,
            units_per_s: drawn.units_per_s,
            price: 0,
        }],
        slots,
        region: Text::new(),
        software: cut(concat!("starling-sim ", env!("CARGO_PKG_VERSION"))),
    }
}
