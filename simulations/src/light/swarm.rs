//! The loop of a light run: who comes, publishes, looks up and goes.
//!
//! `build` makes the swarm, `outcome` writes down how it goes. Peers are numbered shard by shard, so that one shard's
//! lie together in every array.

mod build;
mod outcome;

use super::Knobs;
use super::flood::Flood;
use super::shard::{Recent, Shard};
use crate::churn::{FOR_EVER, Session};
use crate::engine::{Engine, Stream};
use crate::gossip::{HEARTBEAT, ID_BYTES, MeshKnobs, OFFERED_FOR};
use crate::kademlia::{Dht, Kademlia};
use crate::net::{Draw, Network, Packet, PacketKind, mix};
use core::time::Duration;
use outcome::Counts;
use starling_protocol::{Hash, Time, config};

/// From start to first advert: `Adverts::set_capacity` of the protocol.
const FIRST_ADVERT: Duration = Duration::from_millis(200);
/// From start to first lookup: `Peer::start` of the protocol.
const FIRST_LOOKUP: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
enum Event {
    /// A peer comes.
    Start(u32),
    /// What a peer does in one of its lives.
    Do(u32, u8, What),
    /// A shard's mesh may need mending.
    Heartbeat(u16),
    /// A look at what everybody knows.
    Census,
}

#[derive(Clone, Copy)]
enum What {
    Stop,
    Publish,
    LookUp,
    Provide,
}

/// A peer. Peers are numbered shard by shard.
#[derive(Clone, Copy)]
struct Light {
    /// First bits of its position.
    id: u64,
    since: Time,
    /// Its session under way, or the next one, and the end of all of them.
    session: u32,
    sessions: u32,
    shard: u16,
    place: u16,
    life: u8,
    here: bool,
    published: bool,
    provides: bool,
    looks_up: bool,
    watched: bool,
    /// Lookups of this life, as far as they matter to the next.
    in_vain: u8,
}

impl Light {
    fn position(&self) -> Hash {
        let mut position = Hash::default();
        position.0[..8].copy_from_slice(&self.id.to_be_bytes());
        position
    }
}

pub(super) struct Swarm {
    engine: Engine<Event>,
    network: Network,
    dht: Kademlia,
    flood: Flood,
    mesh: MeshKnobs,
    stream: Stream,
    knobs: Knobs,
    peers: Vec<Light>,
    sessions: Vec<Session>,
    shards: Vec<Shard>,
    interval: Duration,
    lifetime_ms: u32,
    advert_bytes: u32,
    horizon: Time,
    salt: u64,
    trace: u64,
    events: u64,
    counts: Counts,
}

impl Swarm {
    pub fn run(&mut self) {
        while let Some(event) = self.engine.next(self.horizon) {
            self.events += 1;
            let now = self.engine.now();
            self.note(now.0);
            match event {
                Event::Start(peer) => self.start(now, peer),
                Event::Do(peer, life, what) => {
                    let light = self.peers[peer as usize];
                    if light.here && light.life == life {
                        self.note(u64::from(peer) << 8 | what as u64);
                        match what {
                            What::Stop => self.stop(now, peer),
                            What::Publish => self.publish(now, peer),
                            What::LookUp => self.look_up(now, peer),
                            What::Provide => self.provide(now, peer),
                        }
                    }
                }
                Event::Heartbeat(shard) => self.heartbeat(now, shard),
                Event::Census => self.census(now),
            }
        }
        for peer in 0..self.peers.len() {
            if self.peers[peer].here {
                self.lived(self.horizon, peer as u32);
            }
        }
    }

    fn note(&mut self, what: u64) {
        self.trace = mix(self.trace.rotate_left(5) ^ what);
    }

    fn mine(&mut self, at: Time, peer: u32, what: What) {
        let life = self.peers[peer as usize].life;
        self.engine.at(at, Event::Do(peer, life, what));
    }

    fn start(&mut self, now: Time, number: u32) {
        let peer = &mut self.peers[number as usize];
        let session = self.sessions[peer.session as usize];
        peer.session += 1;
        peer.life = peer.life.wrapping_add(1);
        (peer.here, peer.published, peer.since) = (true, false, now);
        peer.in_vain = 0;
        let peer = *peer;
        self.note(u64::from(number));
        self.dht.join(now, number, &peer.position());
        let shard = &mut self.shards[usize::from(peer.shard)];
        let met = shard.join(peer.place, &self.mesh, &self.network, &mut self.stream);
        for other in met {
            self.meet(now, peer.shard, (peer.place, other));
        }
        self.catch_up(now, peer.shard, peer.place);
        self.await_heartbeat(now, peer.shard);
        self.mine(now.after(FIRST_ADVERT), number, What::Publish);
        if peer.provides {
            self.mine(now.after(FIRST_LOOKUP), number, What::Provide);
        } else if peer.looks_up && peer.watched {
            self.mine(now.after(FIRST_LOOKUP), number, What::LookUp);
        }
        if session.down < self.horizon {
            self.mine(session.down, number, What::Stop);
        }
    }

    fn stop(&mut self, now: Time, number: u32) {
        let light = self.peers[number as usize];
        let says = Draw::new(self.salt, number, u32::from(light.life)).unit(1);
        let next = self.sessions[..light.sessions as usize].get(light.session as usize);
        let back = next.map_or(FOR_EVER, |session| session.up);
        if says < self.knobs.goodbye_share {
            self.spread(now, number, 0);
            let recent = &mut self.shards[usize::from(light.shard)].recent;
            recent.retain(|recent| recent.place != light.place);
        } else {
            self.leaves_in_silence(now, &light, back);
        }
        self.lived(now, number);
        self.peers[number as usize].here = false;
        self.shards[usize::from(light.shard)].leave(light.place);
        self.dht.leave(now, number);
        self.await_heartbeat(now, light.shard);
        if back < self.horizon {
            self.engine.at(back, Event::Start(number));
        }
    }

    /// When others forget it is certain already, unless it comes back before.
    fn leaves_in_silence(&mut self, now: Time, light: &Light, back: Time) {
        let shard = &self.shards[usize::from(light.shard)];
        let (now_ms, back_ms) = (ms(now), back.0 / 1_000);
        for place in shard.present() {
            let until_ms = shard.known(light.place)[usize::from(*place)];
            if until_ms > now_ms && u64::from(until_ms) < back_ms {
                self.counts
                    .forgotten
                    .add(f64::from(until_ms - now_ms) / 1e3);
            }
        }
    }

    fn lived(&mut self, now: Time, number: u32) {
        let peer = &self.peers[number as usize];
        let span = now.since(peer.since);
        self.counts.lived_us += span.as_micros() as u64;
        if peer.looks_up && span >= FIRST_LOOKUP {
            self.counts.lookups.all += lookups_in(span - FIRST_LOOKUP);
        }
    }

    fn publish(&mut self, now: Time, number: u32) {
        self.spread(now, number, self.lifetime_ms);
        let light = &mut self.peers[number as usize];
        light.published = true;
        let (shard, place) = (light.shard, light.place);
        let until_us = self.heartbeat_after(now, shard).0
            + (u64::from(OFFERED_FOR) - 1) * HEARTBEAT.as_micros() as u64;
        let recent = &mut self.shards[usize::from(shard)].recent;
        while recent.front().is_some_and(|first| first.until_us <= now.0) {
            recent.pop_front();
        }
        recent.push_back(Recent {
            place,
            since_us: now.0,
            until_us,
        });
        self.mine(now.after(self.interval), number, What::Publish);
    }

    fn spread(&mut self, now: Time, number: u32, kept_ms: u32) {
        let light = self.peers[number as usize];
        let offer = self.heartbeat_after(now, light.shard).since(now);
        let (got, last_us) = self.flood.run(
            &mut self.shards[usize::from(light.shard)],
            &mut self.network,
            &mut self.stream,
            (now, light.place),
            (kept_ms, offer.as_micros() as u32),
        );
        self.note((got as u64) << 32 | u64::from(last_us));
    }

    /// A shard's next heartbeat; not all of them come at one instant.
    fn heartbeat_after(&self, now: Time, shard: u16) -> Time {
        let every = HEARTBEAT.as_micros() as u64;
        let offset = every * u64::from(shard) / self.shards.len().max(1) as u64;
        let gone = (now.0 + every - offset) % every;
        Time(now.0 + every - gone)
    }

    fn await_heartbeat(&mut self, now: Time, shard: u16) {
        let Shard { mend, awaited, .. } = &mut self.shards[usize::from(shard)];
        if *mend && !core::mem::replace(awaited, true) {
            let at = self.heartbeat_after(now, shard);
            self.engine.at(at, Event::Heartbeat(shard));
        }
    }

    fn heartbeat(&mut self, now: Time, number: u16) {
        let shard = &mut self.shards[usize::from(number)];
        shard.awaited = false;
        let met = shard.mend(&self.mesh, &self.network, &mut self.stream);
        self.note(met.len() as u64);
        for pair in met {
            self.meet(now, number, pair);
        }
        self.await_heartbeat(now, number);
    }

    /// Two peers that meet hand each other their adverts.
    fn meet(&mut self, now: Time, number: u16, (a, b): (u16, u16)) {
        let shard = &mut self.shards[usize::from(number)];
        for (from, to) in [(a, b), (b, a)] {
            if !self.peers[shard.peer(from) as usize].published {
                continue;
            }
            self.counts.handed += 1;
            let packet = Packet {
                from: shard.peer(from),
                to: shard.peer(to),
                bytes: self.advert_bytes + 1,
                kind: PacketKind::Control,
            };
            let Some(delay) = self.network.send(now, &packet) else {
                continue;
            };
            let until_ms = &mut shard.known_mut(from)[usize::from(to)];
            // One that is known has come by gossip: the same number is no news.
            if *until_ms <= ms(now) {
                *until_ms = ms(now.after(delay)) + self.lifetime_ms;
            }
        }
    }

    /// What is still offered, a newcomer asks for at its next heartbeat, and forwards.
    fn catch_up(&mut self, now: Time, number: u16, place: u16) {
        let at = self.heartbeat_after(now, number);
        let shard = &mut self.shards[usize::from(number)];
        let degree = shard.links(place).len() as u64;
        let Some(link) = shard.links(place).first() else {
            return;
        };
        // Offer, request and copy.
        let takes_us = 3 * (u64::from(link.way.least_us) + u64::from(link.way.spread_us));
        let until_ms = ms(Time(at.0 + takes_us)).saturating_add(self.lifetime_ms);
        let offered: Vec<_> = shard
            .recent
            .iter()
            .filter(|recent| recent.until_us >= at.0 && recent.place != place)
            .copied()
            .collect();
        for Recent {
            place: of,
            since_us,
            ..
        } in offered
        {
            shard.known_mut(of)[usize::from(place)] = until_ms;
            self.flood.delay.add((at.0 + takes_us - since_us) as f64);
            let tally = &mut self.flood.tally;
            tally.delivered += 1;
            tally.recovered += 1;
            tally.copies += 1 + degree;
            tally.control_bytes += ID_BYTES;
        }
    }

    fn look_up(&mut self, now: Time, number: u32) {
        let board = self.shards[usize::from(self.peers[number as usize].shard)].board;
        let net = &mut self.network.at(now);
        let found = self.dht.find_providers(now, number, &board, net);
        let takes = self.counts.walked(&found);
        self.note(takes.as_micros() as u64);
        let in_vain = &mut self.peers[number as usize].in_vain;
        let next = now.after(until_next_lookup(*in_vain));
        *in_vain = in_vain.saturating_add(1);
        self.mine(next, number, What::LookUp);
    }

    fn provide(&mut self, now: Time, number: u32) {
        let board = self.shards[usize::from(self.peers[number as usize].shard)].board;
        let net = &mut self.network.at(now);
        let stored = self.dht.provide(now, number, &board, net);
        self.counts.lookups.provided += 1;
        self.counts.provide_bytes += stored.bytes;
        self.note(stored.delay.as_micros() as u64);
        let again = now.after(self.dht.republish_after());
        self.mine(again, number, What::Provide);
    }
}

/// From one lookup to the next, after so many before it that led to no job: `Peer::look_boards_up` of the protocol.
fn until_next_lookup(in_vain: u8) -> Duration {
    config::BOARD_LOOKUP * (1 << u32::from(in_vain).min(config::BOARD_LOOKUP_DOUBLINGS))
}

/// How many lookups a peer makes within `span` from its first one on, that one included.
fn lookups_in(span: Duration) -> u64 {
    let (mut left, mut lookups) = (span, 1);
    for in_vain in 0..config::BOARD_LOOKUP_DOUBLINGS as u8 {
        let Some(rest) = left.checked_sub(until_next_lookup(in_vain)) else {
            return lookups;
        };
        (left, lookups) = (rest, lookups + 1);
    }
    let every = until_next_lookup(u8::MAX).as_micros().max(1);
    lookups + (left.as_micros() / every) as u64
}

fn ms(time: Time) -> u32 {
    u32::try_from(time.0 / 1_000).unwrap_or(u32::MAX)
}
