//! The mesh of one swarm: who is whose neighbour, and how far each message has come.
//!
//! Copies that come to a peer after its first are counted, not delivered. Mending and lazy offers happen at heartbeats.

use super::{Copy, Gossip, GossipTally, ID_BYTES, MeshKnobs, OFFERED_FOR};
use crate::engine::{Purpose, Stream, Streams};
use crate::net::{Network, Packet, PacketKind};
use crate::warm::lines;
use core::time::Duration;
use starling_protocol::Time;
use std::rc::Rc;

const NOBODY: u32 = u32::MAX;
const NEVER: u64 = u64::MAX;

#[derive(Default)]
struct Topic {
    /// Its members by place; places are used again.
    members: Vec<u32>,
    free: Vec<u32>,
    here: u32,
    /// Messages that are still offered or on their way.
    floods: Vec<u32>,
    /// Somebody's mesh may be too small or too large.
    mend: bool,
}

/// A member of a topic, with the place that it has there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seat {
    peer: u32,
    place: u32,
}

/// Where a peer is in the mesh.
#[derive(Clone, Default)]
struct Member {
    topic: u16,
    place: u32,
    here: bool,
    /// With their places: whether they need a copy is asked of the message, not of them.
    neighbours: Vec<Seat>,
}

/// What became of a message at a peer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unseen,
    /// It has arrived.
    Seen,
    /// It was accepted: the peer offers it to others.
    Held,
}

/// A message that spreads.
struct Flood {
    data: Rc<[u8]>,
    topic: u16,
    /// When the first copy comes to each place; `NEVER` if none is on its way.
    first: Vec<u64>,
    /// From whom it comes.
    source: Vec<u32>,
    /// What became of it at each place.
    state: Vec<State>,
    on_their_way: u32,
    heartbeats: u8,
}

/// The mesh of a swarm.
pub struct Mesh {
    knobs: MeshKnobs,
    stream: Stream,
    topics: Vec<Topic>,
    members: Vec<Member>,
    floods: Vec<Option<Flood>>,
    free: Vec<u32>,
    tally: GossipTally,
}

impl Mesh {
    /// Nobody's yet.
    #[must_use]
    pub fn new(knobs: MeshKnobs, peers: u32, topics: u16, streams: &Streams) -> Self {
        Self {
            knobs,
            stream: streams.stream(Purpose::Mesh, 0),
            topics: (0..topics).map(|_| Topic::default()).collect(),
            members: vec![Member::default(); peers as usize],
            floods: Vec::new(),
            free: Vec::new(),
            tally: GossipTally::default(),
        }
    }

    fn neighbours(&self, peer: u32) -> &[Seat] {
        &self.members[peer as usize].neighbours
    }

    /// A random seat of `topic`, perhaps empty.
    fn any_seat(&mut self, topic: u16) -> Seat {
        let members = &self.topics[usize::from(topic)].members;
        let place = self.stream.below(members.len() as u32);
        let peer = members.get(place as usize).copied().unwrap_or(NOBODY);
        Seat { peer, place }
    }

    /// Links `peer` with random members until it has as many neighbours as it aims at.
    fn graft(&mut self, peer: u32) -> Vec<u32> {
        let Member { topic, place, .. } = self.members[peer as usize];
        let others = self.topics[usize::from(topic)].here.saturating_sub(1);
        let aim = self.knobs.degree.min(others) as usize;
        let mut new = Vec::new();
        // Full and known ones are passed over: so many tries find the rest, and the next heartbeat tries again.
        for _ in 0..8 * (aim + 1) {
            if self.neighbours(peer).len() >= aim {
                break;
            }
            let seat = self.any_seat(topic);
            let other = seat.peer;
            let fits = other != NOBODY
                && other != peer
                && self.neighbours(other).len() < self.knobs.high as usize
                && !self.neighbours(peer).contains(&seat);
            if fits {
                self.members[peer as usize].neighbours.push(seat);
                let mine = Seat { peer, place };
                self.members[other as usize].neighbours.push(mine);
                new.push(other);
            }
        }
        new
    }

    fn unlink(&mut self, a: u32, b: u32) {
        let mut forget = |of: u32, other: u32| {
            let neighbours = &mut self.members[of as usize].neighbours;
            neighbours.retain(|seat| seat.peer != other);
        };
        forget(a, b);
        forget(b, a);
    }

    fn spread(
        &mut self,
        network: &mut Network,
        now: Time,
        flood: u32,
        from: u32,
        copies: &mut Vec<Copy>,
    ) {
        let place = self.members[from as usize].place;
        let held = self.floods[flood as usize].as_ref();
        let source = held.and_then(|f| f.source.get(place as usize).copied());
        let neighbours = core::mem::take(&mut self.members[from as usize].neighbours);
        // Nobody sends a message back to where it came from.
        for &to in neighbours.iter().filter(|n| Some(n.peer) != source) {
            self.send(network, now, flood, (from, to), Duration::ZERO, copies);
        }
        self.members[from as usize].neighbours = neighbours;
    }

    fn send(
        &mut self,
        network: &mut Network,
        now: Time,
        index: u32,
        (from, to): (u32, Seat),
        wait: Duration,
        copies: &mut Vec<Copy>,
    ) {
        let place = to.place as usize;
        let Some(flood) = &mut self.floods[index as usize] else {
            return;
        };
        let bytes = flood.data.len() as u32;
        self.tally.copies += 1;
        self.tally.bytes += u64::from(bytes);
        // Who has it cannot hear of it first: this copy is counted, and bothers no queue.
        if flood.first.get(place).is_some_and(|at| *at <= now.0) {
            return;
        }
        let packet = Packet {
            from,
            to: to.peer,
            bytes,
            kind: PacketKind::Gossip,
        };
        // Queued as if it left now: a queue that is told of the future makes the present wait for it.
        let Some(delay) = network.send(now, &packet) else {
            return;
        };
        let delay = delay + wait;
        if flood.first.len() <= place {
            flood.first.resize(place + 1, NEVER);
            flood.source.resize(place + 1, NOBODY);
            flood.state.resize(place + 1, State::Unseen);
        }
        let at = now.after(delay).0;
        // A copy that comes later than another is a duplicate: counted above, and nobody need see it.
        if at < flood.first[place] {
            flood.first[place] = at;
            flood.source[place] = from;
            flood.on_their_way += 1;
            copies.push(Copy {
                flood: index,
                to: to.peer,
                delay,
            });
        }
    }

    /// Peers that have a message offer it to some outside their mesh; whoever misses it asks for it.
    fn offer(&mut self, network: &mut Network, now: Time, index: u32, copies: &mut Vec<Copy>) {
        let Some(flood) = &self.floods[index as usize] else {
            return;
        };
        let topic = &self.topics[usize::from(flood.topic)];
        let holders: Vec<u32> = (0..flood.state.len())
            .filter(|place| flood.state[*place] == State::Held)
            .filter_map(|place| topic.members.get(place).copied())
            .filter(|peer| *peer != NOBODY)
            .collect();
        let outside = topic.here.saturating_sub(self.knobs.degree + 1).max(1);
        // At least `lazy`, or a quarter of those outside (gossipsub's gossip factor).
        let offers = self.knobs.lazy.max(outside / 4).min(outside);
        self.tally.control_bytes += ID_BYTES * u64::from(offers) * holders.len() as u64;
        let missing = |place: u32| {
            let first = flood.first.get(place as usize);
            first.is_none_or(|at| *at == NEVER)
        };
        let seats = (0..).zip(&topic.members);
        let without: Vec<Seat> = seats
            .filter(|(place, peer)| **peer != NOBODY && missing(*place))
            .map(|(place, peer)| Seat { peer: *peer, place })
            .collect();
        if holders.is_empty() {
            return;
        }
        let passed_over = libm::pow(
            1.0 - f64::from(offers) / f64::from(outside),
            holders.len() as f64,
        );
        for seat in without {
            let peer = seat.peer;
            let (chance, who) = (self.stream.unit(), self.stream.below(holders.len() as u32));
            let holder = holders[who as usize];
            if chance < passed_over || holder == peer {
                continue;
            }
            let ask = |from, to| Packet {
                from,
                to,
                bytes: ID_BYTES as u32,
                kind: PacketKind::Gossip,
            };
            self.tally.control_bytes += ID_BYTES;
            let offer = network.send(now, &ask(holder, peer));
            let request = network.send(now, &ask(peer, holder));
            if let Some(wait) = offer.zip(request).map(|(a, b)| a + b) {
                self.tally.recovered += 1;
                self.send(network, now, index, (holder, seat), wait, copies);
            }
        }
    }

    fn mend(&mut self, topic: u16) -> Vec<(u32, u32)> {
        let at = usize::from(topic);
        if !core::mem::take(&mut self.topics[at].mend) {
            return Vec::new();
        }
        let mut new = Vec::new();
        for place in 0..self.topics[at].members.len() {
            let peer = self.topics[at].members[place];
            if peer == NOBODY {
                continue;
            }
            let (low, high) = (self.knobs.low as usize, self.knobs.high as usize);
            while self.neighbours(peer).len() > high {
                let which = self.stream.below(self.neighbours(peer).len() as u32);
                let other = self.neighbours(peer)[which as usize];
                self.unlink(peer, other.peer);
            }
            if self.neighbours(peer).len() < low {
                new.extend(self.graft(peer).into_iter().map(|other| (peer, other)));
                let others = self.topics[at].here.saturating_sub(1) as usize;
                self.topics[at].mend |= self.neighbours(peer).len() < low.min(others);
            }
        }
        new
    }
}

impl Gossip for Mesh {
    fn join(&mut self, peer: u32, topic: u16) -> Vec<u32> {
        let table = &mut self.topics[usize::from(topic)];
        let place = table.free.pop().unwrap_or_else(|| {
            table.members.push(NOBODY);
            table.members.len() as u32 - 1
        });
        table.members[place as usize] = peer;
        table.here += 1;
        table.mend = true;
        self.members[peer as usize] = Member {
            topic,
            place,
            here: true,
            neighbours: Vec::new(),
        };
        self.graft(peer)
    }

    fn leave(&mut self, peer: u32) -> Vec<u32> {
        let member = &mut self.members[peer as usize];
        if !core::mem::take(&mut member.here) {
            return Vec::new();
        }
        let (topic, place) = (usize::from(member.topic), member.place);
        let neighbours = core::mem::take(&mut member.neighbours);
        for other in &neighbours {
            self.unlink(peer, other.peer);
        }
        let table = &mut self.topics[topic];
        table.members[place as usize] = NOBODY;
        table.here -= 1;
        table.free.push(place);
        table.mend = true;
        // Whoever takes the place has nothing of what its former owner had.
        for flood in &table.floods {
            if let Some(flood) = &mut self.floods[*flood as usize]
                && let Some(first) = flood.first.get_mut(place as usize)
            {
                *first = NEVER;
                flood.source[place as usize] = NOBODY;
                flood.state[place as usize] = State::Unseen;
            }
        }
        neighbours.iter().map(|seat| seat.peer).collect()
    }

    fn publish(
        &mut self,
        network: &mut Network,
        now: Time,
        peer: u32,
        data: Vec<u8>,
        copies: &mut Vec<Copy>,
    ) {
        let Member {
            topic, place, here, ..
        } = self.members[peer as usize];
        if !here {
            return;
        }
        let places = self.topics[usize::from(topic)].members.len();
        let mut flood = Flood {
            data: data.into(),
            topic,
            first: vec![NEVER; places],
            source: vec![NOBODY; places],
            state: vec![State::Unseen; places],
            on_their_way: 0,
            heartbeats: 0,
        };
        flood.first[place as usize] = now.0;
        flood.state[place as usize] = State::Held;
        let index = self.free.pop().unwrap_or_else(|| {
            self.floods.push(None);
            self.floods.len() as u32 - 1
        });
        self.floods[index as usize] = Some(flood);
        self.topics[usize::from(topic)].floods.push(index);
        self.tally.published += 1;
        self.spread(network, now, index, peer, copies);
    }

    fn arrives(&mut self, flood: u32, peer: u32) -> Option<Rc<[u8]>> {
        let Member {
            topic, place, here, ..
        } = self.members[peer as usize];
        let flood = self.floods[flood as usize].as_mut()?;
        flood.on_their_way -= 1;
        let state = flood.state.get_mut(place as usize)?;
        if !here || topic != flood.topic || *state != State::Unseen {
            return None;
        }
        *state = State::Seen;
        self.tally.delivered += 1;
        Some(flood.data.clone())
    }

    fn warm(&self, flood: u32, peer: u32) -> usize {
        let member = &self.members[peer as usize];
        let place = member.place as usize;
        let neighbours = member.neighbours.first().map_or(0, |n| n.peer as usize);
        let Some(flood) = &self.floods[flood as usize] else {
            return neighbours;
        };
        let state = flood.state.get(place).map_or(0, |s| *s as usize);
        let source = flood.source.get(place).map_or(0, |s| *s as usize);
        let first = flood.first.get(place).map_or(0, |at| *at as usize);
        neighbours ^ state ^ source ^ first ^ lines(&flood.data)
    }

    fn accept(
        &mut self,
        network: &mut Network,
        now: Time,
        flood: u32,
        peer: u32,
        copies: &mut Vec<Copy>,
    ) {
        let place = self.members[peer as usize].place as usize;
        let held = self.floods[flood as usize].as_mut();
        if let Some(state) = held.and_then(|f| f.state.get_mut(place)) {
            *state = State::Held;
        }
        self.spread(network, now, flood, peer, copies);
    }

    fn heartbeat(
        &mut self,
        network: &mut Network,
        now: Time,
        topic: u16,
        copies: &mut Vec<Copy>,
    ) -> Vec<(u32, u32)> {
        let floods = core::mem::take(&mut self.topics[usize::from(topic)].floods);
        for &index in &floods {
            // One that is still on its way to somebody is kept longer, and offered no more.
            let flood = self.floods[index as usize].as_ref();
            if flood.is_some_and(|flood| flood.heartbeats < OFFERED_FOR) {
                self.offer(network, now, index, copies);
            }
        }
        let mut kept = Vec::with_capacity(floods.len());
        for index in floods {
            let Some(flood) = &mut self.floods[index as usize] else {
                continue;
            };
            flood.heartbeats = flood.heartbeats.saturating_add(1);
            if flood.heartbeats >= OFFERED_FOR && flood.on_their_way == 0 {
                self.floods[index as usize] = None;
                self.free.push(index);
            } else {
                kept.push(index);
            }
        }
        self.topics[usize::from(topic)].floods = kept;
        self.mend(topic)
    }

    fn tally(&self) -> GossipTally {
        self.tally
    }
}
