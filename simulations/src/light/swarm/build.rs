//! How a light swarm begins: who there is, in which shard, when they come and go, and how long their adverts are.

use super::outcome::Counts;
use super::{Event, FIRST_ADVERT, Light, Swarm};
use crate::churn::{FOR_EVER, Session};
use crate::engine::{Engine, Purpose, Streams};
use crate::experiment::{CLASS, Experiment, ExperimentError};
use crate::kademlia::{Dht, Kademlia};
use crate::light::flood::Flood;
use crate::light::shard::Shard;
use crate::net::{self, Network, salt};
use crate::world;
use core::time::Duration;
use starling_protocol::io::Setup;
use starling_protocol::{Core, Hash, Input, Output, Peer, Time, board, config};

/// A peer's shard, its number in the experiment, and the first bits of its position.
type Ordered = (u16, u32, u64);

/// All peers, shard by shard.
fn order(experiment: &Experiment, streams: &Streams) -> Vec<Ordered> {
    let population = &experiment.population;
    let place = |peer| {
        let secret = streams.bytes(Purpose::Identity, peer, 0);
        let key = population.signatures.signer(&secret).key();
        let id = crate::kademlia::prefix(&key.position());
        (board::home(&key, experiment.shards()), peer, id)
    };
    let mut order: Vec<_> = (0..population.peers).map(place).collect();
    order.sort_unstable();
    order
}

impl Swarm {
    /// The swarm of `experiment`, about to start.
    pub fn new(experiment: &Experiment, seed: u64) -> Result<Self, ExperimentError> {
        let streams = Streams::new(seed);
        let population = &experiment.population;
        let horizon = Time::default().after(Duration::from_secs_f64(experiment.run.horizon_s));
        let interval = Duration::from_millis((experiment.swarm.advert_s * 1000.0) as u64);
        let lifetime = interval * 3;
        let order = order(experiment, &streams);
        let places = net::places(&experiment.network.mix, population.peers, &streams);
        let by_shard = order.iter().map(|(_, peer, _)| places[*peer as usize]);
        let network = Network::new(&experiment.network, by_shard.collect(), &streams);
        let advert_bytes = advert_bytes(experiment, &streams);
        let salt = salt(&streams, Purpose::Light);
        let flood = Flood::new(
            &experiment.gossip,
            &experiment.network,
            &network,
            advert_bytes,
            salt,
        );
        let start = Duration::from_secs_f64(population.start_s);
        let mut swarm = Self {
            engine: Engine::default(),
            flood,
            network,
            dht: Kademlia::new(&experiment.kademlia, &streams),
            mesh: experiment.gossip.clone(),
            stream: streams.stream(Purpose::Mesh, 0),
            knobs: experiment.light.clone(),
            peers: Vec::with_capacity(order.len()),
            sessions: Vec::new(),
            shards: Vec::with_capacity(usize::from(experiment.shards())),
            interval,
            lifetime_ms: lifetime.as_millis() as u32,
            advert_bytes,
            horizon,
            salt,
            trace: seed,
            events: 0,
            counts: Counts::new(lifetime),
        };
        swarm.enrol(experiment, &order, &streams)?;
        swarm.schedule(start);
        let warm = Time::default().after(start).after(lifetime);
        swarm.engine.at(warm, Event::Census);
        Ok(swarm)
    }

    fn enrol(
        &mut self,
        experiment: &Experiment,
        order: &[Ordered],
        streams: &Streams,
    ) -> Result<(), ExperimentError> {
        let genesis_salt = Hash(streams.bytes(Purpose::Identity, u32::MAX, 0));
        let id = experiment.genesis(genesis_salt).swarm_id();
        let peers = experiment.population.peers;
        let churn = experiment.churn.sessions(peers, self.horizon, streams)?;
        let mut left = order;
        for shard in 0..experiment.shards() {
            let (members, others) = left.split_at(left.partition_point(|peer| peer.0 <= shard));
            left = others;
            let key = board::key(&id, CLASS, shard);
            let (first, count) = (self.peers.len() as u32, members.len() as u16);
            self.shards
                .push(Shard::new(first, count, key, &experiment.gossip));
            for (place, peer) in (0..).zip(members) {
                self.enlist(experiment, (peer, place), &churn[peer.1 as usize], streams);
            }
        }
        self.sessions.shrink_to_fit();
        Ok(())
    }

    fn enlist(
        &mut self,
        experiment: &Experiment,
        (&(shard, peer, id), place): (&Ordered, u16),
        sessions: &[Session],
        streams: &Streams,
    ) {
        let population = &experiment.population;
        let mut start = streams.stream(Purpose::Start, peer);
        let start = Time((start.unit() * population.start_s * 1e6) as u64);
        // As in a world: clients stay, and nobody comes before its start.
        let client = peer < population.clients;
        let stays = [Session {
            up: start,
            down: FOR_EVER,
        }];
        let sessions = if client { &stays } else { sessions };
        let session = self.sessions.len() as u32;
        let later = sessions.iter().filter(|s| s.down > start);
        self.sessions.extend(later.map(|s| Session {
            up: s.up.max(start),
            down: s.down,
        }));
        let mut draw = streams.stream(Purpose::Light, peer);
        let (provider, watched) = (draw.unit(), draw.unit());
        let provides = provider < self.knobs.provider_share;
        let watched_share = f64::from(self.knobs.watched) / f64::from(population.peers);
        self.peers.push(Light {
            id,
            since: Time::default(),
            session,
            sessions: self.sessions.len() as u32,
            shard,
            place,
            life: 0,
            here: false,
            published: false,
            provides,
            looks_up: !provides && !client,
            watched: watched < watched_share,
            in_vain: 0,
        });
    }

    fn schedule(&mut self, start: Duration) {
        let first_moment = Time::default().after(start);
        for (number, peer) in (0..).zip(&self.peers) {
            let sessions = &self.sessions[peer.session as usize..peer.sessions as usize];
            let Some(first) = sessions.first() else {
                continue;
            };
            if first.up <= first_moment {
                // One by one they would have Kademlia's table sorted anew thousands of times.
                self.dht.join(Time::default(), number, &peer.position());
            }
            self.engine.at(first.up, Event::Start(number));
        }
    }
}

/// The length of an advert, as a real peer of this experiment publishes it.
fn advert_bytes(experiment: &Experiment, streams: &Streams) -> u32 {
    let population = &experiment.population;
    let peer = population.clients;
    let secret = streams.bytes(Purpose::Identity, peer, 0);
    let setup = Setup {
        genesis: experiment.genesis(Hash::default()),
        rng_seed: streams.bytes(Purpose::Core, peer, 0),
        guests: Vec::new(),
    };
    let mut core = Peer::new(setup, population.signatures.signer(&secret));
    let (unix_s, restored) = (crate::host::EPOCH_S, Vec::new());
    let inputs = [
        (Duration::ZERO, Input::Started { unix_s, restored }),
        (
            Duration::ZERO,
            Input::Capacity(world::capacity(
                population,
                peer,
                &population.device(peer, streams),
            )),
        ),
        (FIRST_ADVERT, Input::Tick { unix_s }),
    ];
    let published = inputs.into_iter().find_map(|(after, input)| {
        let mut outputs = core.handle(Time::default().after(after), input);
        outputs.find_map(|output| match output {
            Output::Publish { data, .. } => Some(data.len() as u32),
            _ => None,
        })
    });
    published.unwrap_or(config::ADVERT_MAX as u32)
}
