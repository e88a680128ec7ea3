//! A run's loop: all hosts of a scenario, the events between them, and the hash over every event in order.

use crate::adversary::{Backend, Honest, Lying, Silent};
use crate::engine::{Engine, Purpose, Streams};
use crate::host::{Event, Host, Surroundings, What};
use crate::network::Network;
use crate::observe::Observer;
use crate::scenario::{Role, Scenario};
use core::time::Duration;
use rand_core::Rng;
use starling_protocol::advert::{DeviceKind, DeviceProfile, KernelOffer};
use starling_protocol::io::{Capacity, Setup, Shape, Submission};
use starling_protocol::{Core, Genesis, Hash, KernelId, Peer, PeerKey, Scope, Tier, Time};
use std::collections::BTreeMap;

/// Peers start within this span.
const START_SPREAD_MS: u64 = 200;
/// After the job has ended the run goes on for so long: last receipts and farewells travel.
const AFTERMATH: Duration = Duration::from_secs(5);
/// More events than this without the clock moving is a core that never settles.
const SAME_INSTANT_MAX: u64 = 1_000_000;

/// A core asks to be woken again and again at one instant, or peers answer each other without delay for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("virtual time stands still at {0:?}: a peer never settles")]
pub struct Stuck(pub Time);

/// A scenario under way.
pub struct World {
    engine: Engine<Event>,
    network: Network,
    hosts: Vec<Host>,
    keys: BTreeMap<PeerKey, u32>,
    scenario: Scenario,
    /// What was written down so far.
    pub observer: Observer,
    hasher: blake3::Hasher,
    events: u64,
}

fn kernel() -> KernelId {
    KernelId(Hash::of(b"starling-sim kernel"))
}

impl World {
    /// All peers of `scenario`, about to start. `tracing` keeps every message for people.
    #[must_use]
    pub fn new(scenario: &Scenario, seed: u64, tracing: bool) -> Self {
        let streams = Streams::new(seed);
        let genesis = Genesis::new(
            "simulation",
            Scope::Public,
            Hash(streams.bytes(Purpose::Identity, u32::MAX, 0)),
        );
        let mut world = Self {
            engine: Engine::default(),
            network: Network::new(scenario.network.clone(), scenario.peers, &streams),
            hosts: Vec::new(),
            keys: BTreeMap::new(),
            scenario: scenario.clone(),
            observer: Observer::new(genesis.swarm_id(), tracing),
            hasher: blake3::Hasher::new_derive_key("starling-sim 2026-11 trace hash v1"),
            events: 0,
        };
        (0..scenario.peers).for_each(|peer| world.add(peer, &genesis, &streams));
        let submit = Event {
            peer: 0,
            what: What::Submit(Box::new(submission(scenario))),
        };
        world
            .engine
            .after(Duration::from_millis(scenario.job.submit_at_ms), submit);
        world
    }

    fn add(&mut self, index: u32, genesis: &Genesis, streams: &Streams) {
        let role = self.scenario.role(index);
        let signer = self
            .scenario
            .signatures
            .signer(&streams.bytes(Purpose::Identity, index, 0));
        let key = signer.key();
        let setup = Setup {
            genesis: genesis.clone(),
            rng_seed: streams.bytes(Purpose::Core, index, 0),
        };
        let peer = Peer::new(setup, signer);
        let core: Box<dyn Core> = if role == Role::Silent {
            Box::new(Silent::new(peer))
        } else {
            Box::new(peer)
        };
        let backend: Box<dyn Backend> = if role == Role::Cheat {
            Box::new(Lying(Honest))
        } else {
            Box::new(Honest)
        };
        if matches!(role, Role::Cheat | Role::Silent) {
            self.observer.history.dishonest.insert(key);
        }
        let devices = &self.scenario.devices;
        let rate = speed(
            devices.units_per_s,
            devices.spread,
            streams.stream(Purpose::Device, index).next_u32(),
        );
        self.keys.insert(key, index);
        self.hosts
            .push(Host::new(index, key, core, backend, rate, devices));
        let slots = u16::from(role != Role::Requester);
        let start =
            u64::from(streams.stream(Purpose::Start, index).next_u32()) % (START_SPREAD_MS * 1000);
        let what = What::Start(Box::new(capacity(rate, slots)));
        self.engine.at(Time(start), Event { peer: index, what });
    }

    /// Runs until the job has ended and a little longer, or to the horizon.
    ///
    /// # Errors
    /// [`Stuck`] when virtual time stands still.
    pub fn run(&mut self) -> Result<(), Stuck> {
        let mut until = Time::default().after(Duration::from_secs(self.scenario.horizon_s));
        let (mut instant, mut at_instant) = (Time::default(), 0);
        while let Some(event) = self.engine.next(until) {
            let now = self.engine.now();
            at_instant = if now == instant { at_instant + 1 } else { 0 };
            instant = now;
            if at_instant > SAME_INSTANT_MAX {
                return Err(Stuck(now));
            }
            self.dispatch(event);
            if let Some((ended, _)) = self.observer.counters.ended {
                until = until.min(ended.after(AFTERMATH));
            }
        }
        Ok(())
    }

    fn dispatch(&mut self, event: Event) {
        self.events += 1;
        let now = self.engine.now();
        self.hasher
            .update(&now.0.to_le_bytes())
            .update(&event.peer.to_le_bytes());
        event.what.write(&mut |bytes| {
            self.hasher.update(bytes);
        });
        let mut around = Surroundings {
            engine: &mut self.engine,
            network: &mut self.network,
            observer: &mut self.observer,
            keys: &self.keys,
            devices: &self.scenario.devices,
        };
        self.hosts[event.peer as usize].on(&mut around, event.what);
    }

    /// BLAKE3 over all events so far, in order.
    #[must_use]
    pub fn trace_hash(&self) -> Hash {
        Hash(*self.hasher.finalize().as_bytes())
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }
}

/// Between the slowest and the fastest, by a 32-bit draw.
fn speed(slowest: u64, spread: f64, draw: u32) -> u64 {
    let factor = 1.0 + (spread - 1.0) * f64::from(draw) / f64::from(u32::MAX);
    (slowest as f64 * factor) as u64
}

fn capacity(units_per_s: u64, slots: u16) -> Capacity {
    Capacity {
        devices: vec![DeviceProfile {
            kind: DeviceKind::Other,
            name: "virtual".into(),
        }],
        kernels: vec![KernelOffer {
            kernel: kernel(),
            class: "sim".into(),
            tier: Tier::Exact,
            units_per_s,
            price: 0,
        }],
        slots,
        region: String::new(),
        software: concat!("starling-sim ", env!("CARGO_PKG_VERSION")).into(),
    }
}

fn submission(scenario: &Scenario) -> Submission {
    let job = &scenario.job;
    Submission {
        kernel: kernel(),
        class: "sim".into(),
        params: Vec::new(),
        inputs: Vec::new(),
        shape: Shape {
            tiles: job.tiles,
            tile_bytes: job.tile_bytes,
            units_per_tile: job.units_per_tile,
            tier: Tier::Exact,
        },
        slice_tiles: Some(job.slice_tiles),
        max_price: None,
        deadline_in_s: scenario.horizon_s,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_span_the_spread() {
        assert_eq!(speed(100, 4.0, 0), 100);
        assert_eq!(speed(100, 4.0, u32::MAX), 400);
        assert_eq!(speed(100, 1.0, 12345), 100);
    }
}
