//! A swarm of light peers does what the same swarm of unmodified protocol peers does.

use crate::{experiment, near};
use core::time::Duration;
use starling_protocol::Time;
use starling_sim::churn::Churn;
use starling_sim::gossip::{Copy, Gossip, GossipTally};
use starling_sim::light;
use starling_sim::net::Network;
use starling_sim::observe::Sighting;
use starling_sim::world::World;
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

const PEERS: u32 = 500;
/// Peers that are killed, all at once.
const KILLED: core::ops::Range<u32> = 100..150;
/// All have published twice.
const KILLED_S: f64 = 50.0;
const HORIZON_S: f64 = 112.0;
/// Meshes are random: delivery times of one and the next differ by a few percent.
const SEEDS: [u64; 2] = [1, 2];

/// Writes down how long adverts take, and leaves all else to the mesh.
struct Clocked {
    mesh: Box<dyn Gossip>,
    published: Vec<Time>,
    took_us: Rc<RefCell<Vec<u64>>>,
}

impl Gossip for Clocked {
    fn join(&mut self, peer: u32, topic: u16) -> Vec<u32> {
        self.mesh.join(peer, topic)
    }

    fn leave(&mut self, peer: u32) -> Vec<u32> {
        self.mesh.leave(peer)
    }

    fn publish(
        &mut self,
        network: &mut Network,
        now: Time,
        peer: u32,
        data: Vec<u8>,
        copies: &mut Vec<Copy>,
    ) {
        self.mesh.publish(network, now, peer, data, copies);
        if let Some(copy) = copies.first() {
            let at = copy.flood as usize;
            self.published.resize(self.published.len().max(at + 1), now);
            self.published[at] = now;
        }
    }

    fn arrives(&mut self, flood: u32, peer: u32) -> Option<Rc<[u8]>> {
        self.mesh.arrives(flood, peer)
    }

    fn accept(
        &mut self,
        network: &mut Network,
        now: Time,
        flood: u32,
        peer: u32,
        copies: &mut Vec<Copy>,
    ) {
        let took = now.since(self.published[flood as usize]);
        self.took_us.borrow_mut().push(took.as_micros() as u64);
        self.mesh.accept(network, now, flood, peer, copies);
    }

    fn heartbeat(
        &mut self,
        network: &mut Network,
        now: Time,
        topic: u16,
        copies: &mut Vec<Copy>,
    ) -> Vec<(u32, u32)> {
        self.mesh.heartbeat(network, now, topic, copies)
    }

    fn tally(&self) -> GossipTally {
        self.mesh.tally()
    }
}

/// What the two are compared by.
struct Figures {
    known: f64,
    forgotten_s: f64,
    delivery_ms: f64,
    copies: f64,
    advert_bytes: f64,
    control_bytes: f64,
    published: f64,
}

fn of_protocol_peers(more: &str, churn: Churn, seed: u64) -> Figures {
    let mut experiment = experiment(PEERS, HORIZON_S, more);
    (experiment.churn, experiment.population.light) = (churn, false);
    let mut world = World::new(&experiment, seed, false).expect("a readable trace");
    let took_us = Rc::new(RefCell::new(Vec::new()));
    let nobody = starling_sim::gossip::Mesh::new(
        experiment.gossip.clone(),
        0,
        1,
        &starling_sim::engine::Streams::new(0),
    );
    let mesh = core::mem::replace(&mut world.shared.gossip, Box::new(nobody));
    world.shared.gossip = Box::new(Clocked {
        mesh,
        published: Vec::new(),
        took_us: took_us.clone(),
    });
    world.shared.observer.sightings = Some(Vec::new());
    let stop = core::sync::atomic::AtomicBool::new(false);
    world.run(&stop).expect("it settles");

    let killed = Time::default().after(Duration::from_secs_f64(KILLED_S));
    let sightings = world.shared.observer.sightings.take().unwrap_or_default();
    let seen_by = |until: Time| {
        let count = |n: i64, s: &Sighting| n + if s.here { 1 } else { -1 };
        sightings.iter().filter(|s| s.at < until).fold(0, count)
    };
    let gone: Vec<_> = sightings
        .iter()
        .filter(|s| !s.here && s.at >= killed)
        .map(|s| s.at.since(killed).as_secs_f64())
        .collect();
    let took_us = took_us.borrow();
    let tally = world.shared.gossip.tally();
    Figures {
        known: seen_by(killed) as f64 / f64::from(PEERS),
        forgotten_s: gone.iter().sum::<f64>() / gone.len() as f64,
        delivery_ms: took_us.iter().sum::<u64>() as f64 / took_us.len() as f64 / 1e3,
        copies: tally.copies as f64 / tally.delivered as f64,
        advert_bytes: tally.bytes as f64 / tally.copies as f64,
        control_bytes: tally.control_bytes as f64 / tally.published as f64,
        published: tally.published as f64,
    }
}

fn of_light_peers(more: &str, churn: Churn, seed: u64) -> Figures {
    let mut all_there = experiment(PEERS, KILLED_S + 40.0, more);
    let known = light::run(&all_there, seed).expect("no trace").knowledge;
    all_there.run.horizon_s = HORIZON_S;
    all_there.churn = churn;
    let report = light::run(&all_there, seed).expect("a readable trace");
    let adverts = &report.adverts;
    Figures {
        known: known.adverts.expect("samples"),
        forgotten_s: report.forgotten_s.mean.expect("leaves"),
        delivery_ms: adverts.delivery_ms.mean.expect("deliveries"),
        copies: adverts.copies_per_delivery,
        advert_bytes: f64::from(adverts.bytes),
        control_bytes: adverts.control_bytes as f64 / adverts.published as f64,
        published: adverts.published as f64,
    }
}

fn compare(more: &str) {
    let mut trace = tempfile::NamedTempFile::new().expect("a file");
    writeln!(trace, "peer,up_s,down_s").expect("written");
    for peer in 0..PEERS {
        let down_s = if KILLED.contains(&peer) {
            KILLED_S
        } else {
            1e9
        };
        writeln!(trace, "{peer},0,{down_s}").expect("written");
    }
    let churn = Churn::Trace {
        file: trace.path().to_owned(),
    };
    let full = SEEDS.map(|seed| of_protocol_peers(more, churn.clone(), seed));
    let light = SEEDS.map(|seed| of_light_peers(more, churn.clone(), seed));
    let compare = |what: &str, figure: fn(&Figures) -> f64, share: f64| {
        let mean = |of: &[Figures]| of.iter().map(figure).sum::<f64>() / SEEDS.len() as f64;
        near(what, mean(&light), mean(&full), share);
    };
    compare("adverts known per peer", |f| f.known, 0.0);
    compare("s until forgotten", |f| f.forgotten_s, 0.01);
    compare("ms to deliver", |f| f.delivery_ms, 0.1);
    compare("copies per delivery", |f| f.copies, 0.1);
    compare("bytes of an advert", |f| f.advert_bytes, 0.02);
    compare("control bytes per advert", |f| f.control_bytes, 0.1);
    compare("adverts", |f| f.published, 0.01);
}

#[test]
fn a_light_swarm_is_like_one_of_protocol_peers() {
    compare("");
}

#[test]
fn with_loss_too() {
    compare("network.loss_share = 0.05");
}
