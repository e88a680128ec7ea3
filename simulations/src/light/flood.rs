//! One advert's way through its shard's mesh, computed in one go when it is published.
//!
//! The walk goes over places by the time at which the advert reaches them, as events would, but in buckets of about a
//! millisecond (Dial, CACM 1969): no hop is shorter than that unless knobs say so, and within a bucket order is not
//! kept. As in [`crate::gossip`], a place sends one copy to each neighbour but the one that it has the advert from, and
//! whoever misses it at one of the next heartbeats is offered it. The walk knows the shard as it is at the beginning:
//! who comes or goes within that second is not seen.

use super::report::Histogram;
use super::shard::{NO_WAY, Shard};
use crate::engine::Stream;
use crate::gossip::{HEARTBEAT, ID_BYTES, MeshKnobs, OFFERED_FOR};
use crate::net::{self, Network, Packet, PacketKind, Way, mix, room};
use starling_protocol::Time;

const NEVER: u32 = u32::MAX;
const NOBODY: u16 = u16::MAX;
/// Buckets that the walk looks ahead.
const BUCKETS: usize = 4_096;
/// A bucket is 2^10 us wide, or wider where hops are long.
const BUCKET_BITS: u32 = 10;
/// Cells of the exponential distribution's table.
const CELLS: usize = 1_024;

/// What adverts have cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub published: u64,
    pub delivered: u64,
    pub copies: u64,
    pub lost: u64,
    pub recovered: u64,
    pub control_bytes: u64,
}

/// A copy that arrives: where, when, and the next one of its bucket.
#[derive(Clone, Copy)]
struct Arrival {
    place: u16,
    at_us: u32,
    next: u32,
}

/// The walk, and what it needs from one flood to the next.
pub(super) struct Flood {
    knobs: MeshKnobs,
    bytes: u32,
    jitter_us: u64,
    /// Of 2^32 copies, so many are lost.
    loss: u64,
    /// Ask the network for every copy: it has bursts or partitions.
    exact: bool,
    /// The exponential distribution with mean 1 in cells of equal probability: means of the cells, of 2^12.
    tail: Vec<u64>,
    bits: u32,
    salt: u64,
    draws: u64,
    // Of the flood under way:
    now: Time,
    first_us: Vec<u32>,
    /// From whom it comes first.
    sources: Vec<u16>,
    settled: Vec<bool>,
    heads: Vec<u32>,
    arrivals: Vec<Arrival>,
    cursor: u32,
    waiting: u32,
    reached: usize,
    holders: usize,
    pub tally: Tally,
    /// From publication to delivery, us.
    pub delay: Histogram,
}

/// Means of `-ln(1 - u)` over cells of `u`, of 2^12. The integral is `(1 - u) ln(1 - u) + u`.
fn exponential() -> Vec<u64> {
    let integral = |i: usize| {
        let rest = 1.0 - i as f64 / CELLS as f64;
        let log = if rest > 0.0 { libm::log(rest) } else { 0.0 };
        rest * log + 1.0 - rest
    };
    let cell = |i: usize| (integral(i + 1) - integral(i)) * CELLS as f64;
    (0..CELLS).map(|i| (cell(i) * 4_096.0) as u64).collect()
}

impl Flood {
    /// For adverts of so many `bytes`, through a network with these knobs.
    pub fn new(
        mesh: &MeshKnobs,
        knobs: &net::Knobs,
        network: &Network,
        bytes: u32,
        salt: u64,
    ) -> Self {
        // A relayed hop takes thrice a direct one at most; the table's longest is below 500 ms.
        let hop_ms = 3.0 * knobs.one_way_ms.unwrap_or(500.0) + 2.0 * knobs.access_ms;
        let longest_us = (hop_ms * 1e3) as u64 + u64::from(network.jitter_us());
        let narrow = |bits: &u32| (BUCKETS as u64) << bits <= longest_us;
        Self {
            knobs: mesh.clone(),
            bytes,
            jitter_us: u64::from(network.jitter_us()),
            loss: (knobs.loss_share * 2_f64.powi(32)) as u64,
            exact: knobs.burst_loss_share > 0.0 || !knobs.partitions.is_empty(),
            tail: exponential(),
            bits: (BUCKET_BITS..22).find(|b| !narrow(b)).unwrap_or(22),
            salt,
            draws: 0,
            now: Time::default(),
            first_us: Vec::new(),
            sources: Vec::new(),
            settled: Vec::new(),
            heads: vec![NEVER; BUCKETS],
            arrivals: Vec::new(),
            cursor: 0,
            waiting: 0,
            reached: 0,
            holders: 0,
            tally: Tally::default(),
            delay: Histogram::new(1_000.0),
        }
    }

    /// `source` publishes at `now`; who gets it keeps it for `kept_ms`. The shard's next heartbeat comes `offer_us`
    /// later. How many get it, and when the last of them, us.
    pub fn run(
        &mut self,
        shard: &mut Shard,
        network: &mut Network,
        stream: &mut Stream,
        (now, source): (Time, u16),
        (kept_ms, offer_us): (u32, u32),
    ) -> (usize, u32) {
        self.begin(shard, now, source);
        self.settle(shard, network, source, 0);
        let (mut offers, mut offer_us) = (u32::from(OFFERED_FOR), offer_us);
        loop {
            let at_us = self.cursor << self.bits;
            let over = self.waiting == 0;
            if over && (offers == 0 || self.reached == shard.present().len()) {
                // Whatever is still offered, nobody asks for.
                self.offer_ids(shard, u64::from(offers));
                break;
            }
            if offers > 0 && (over || at_us >= offer_us) {
                self.cursor = self.cursor.max(offer_us >> self.bits);
                self.offer(shard, network, stream, offer_us);
                offers -= 1;
                offer_us = offer_us.saturating_add(HEARTBEAT.as_micros() as u32);
                continue;
            }
            while let Some(arrival) = self.pop() {
                let Arrival { place, at_us, .. } = arrival;
                let at = usize::from(place);
                if at_us == self.first_us[at] && !self.settled[at] {
                    self.tally.delivered += 1;
                    self.delay.add(f64::from(at_us));
                    self.settle(shard, network, place, at_us);
                }
            }
            self.cursor += 1;
        }
        self.write_down(shard, source, kept_ms)
    }

    fn begin(&mut self, shard: &Shard, now: Time, source: u16) {
        self.tally.published += 1;
        self.now = now;
        self.first_us.clear();
        self.first_us.resize(shard.members(), NEVER);
        self.sources.clear();
        self.sources.resize(shard.members(), NOBODY);
        self.settled.clear();
        self.settled.resize(shard.members(), false);
        self.arrivals.clear();
        (self.cursor, self.waiting) = (0, 0);
        (self.reached, self.holders) = (1, 0);
        self.first_us[usize::from(source)] = 0;
    }

    fn write_down(&self, shard: &mut Shard, source: u16, kept_ms: u32) -> (usize, u32) {
        let now_ms = (self.now.0 / 1_000) as u32;
        let mut last = 0;
        let reached = self.first_us.iter().zip(&self.settled);
        for (until_ms, (at_us, settled)) in shard.known_mut(source).iter_mut().zip(reached) {
            if *settled && *at_us > 0 {
                *until_ms = now_ms + at_us / 1_000 + kept_ms;
                last = last.max(*at_us);
            }
        }
        (self.holders - 1, last)
    }

    /// `place` has the advert, and sends it to all its neighbours but the one that it has it from.
    fn settle(&mut self, shard: &Shard, network: &mut Network, place: u16, at_us: u32) {
        self.settled[usize::from(place)] = true;
        self.holders += 1;
        let mut leaves_us = at_us;
        let takes_us = network.leaves_us(shard.peer(place), self.bytes);
        let source = self.sources[usize::from(place)];
        for link in shard.links(place).iter().filter(|l| l.to != source) {
            leaves_us = leaves_us.saturating_add(takes_us);
            let times = (at_us, leaves_us);
            self.copy(shard, network, (place, link.to, link.way), times);
        }
    }

    /// One copy, of which `from` disposes at one time and which leaves its link at another.
    fn copy(
        &mut self,
        shard: &Shard,
        network: &mut Network,
        (from, to, way): (u16, u16, Way),
        (at_us, leaves_us): (u32, u32),
    ) {
        self.tally.copies += 1;
        let arrives = if self.exact {
            let packet = Packet {
                from: shard.peer(from),
                to: shard.peer(to),
                bytes: self.bytes,
                kind: PacketKind::Gossip,
            };
            // Queued as if it left now: a queue that is told of the future makes the present wait for it.
            let takes = network.send(self.now, &packet);
            takes.map(|takes| at_us.saturating_add(takes.as_micros() as u32))
        } else {
            self.draw_us(way)
                .map(|takes| leaves_us.saturating_add(takes))
        };
        let Some(arrives_us) = arrives else {
            self.tally.lost += 1;
            return;
        };
        let place = usize::from(to);
        let first_us = &mut self.first_us[place];
        if arrives_us < *first_us && !self.settled[place] {
            self.reached += usize::from(*first_us == NEVER);
            *first_us = arrives_us;
            self.sources[place] = from;
            self.push(to, arrives_us);
        }
    }

    /// How long one packet takes; `None` when it is lost.
    fn draw_us(&mut self, way: Way) -> Option<u32> {
        self.draws += 1;
        let bits = mix(self.salt ^ self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if bits & 0xffff_ffff < self.loss || way == NO_WAY {
            return None;
        }
        let jitter_us = (((bits >> 32) & 0xffff) * self.jitter_us) >> 16;
        let tail = self.tail[(bits >> 54) as usize];
        let more = ((u64::from(way.spread_us) * tail) >> 12) + jitter_us;
        Some(way.least_us.saturating_add(more as u32))
    }

    fn push(&mut self, place: u16, at_us: u32) {
        let last = self.cursor + BUCKETS as u32 - 1;
        let bucket = (at_us >> self.bits).clamp(self.cursor, last) as usize % BUCKETS;
        self.arrivals.push(Arrival {
            place,
            at_us,
            next: self.heads[bucket],
        });
        self.heads[bucket] = self.arrivals.len() as u32 - 1;
        self.waiting += 1;
    }

    /// Of the bucket that the walk has come to.
    fn pop(&mut self) -> Option<Arrival> {
        let head = &mut self.heads[self.cursor as usize % BUCKETS];
        let arrival = *self.arrivals.get(*head as usize)?;
        *head = arrival.next;
        self.waiting -= 1;
        Some(arrival)
    }

    /// Peers outside its mesh that a holder offers the advert to, and how many there are: `gossip::Mesh::offer`.
    fn offers(&self, shard: &Shard) -> (u64, u64) {
        let outside = shard.present().len() as u64;
        let outside = outside
            .saturating_sub(u64::from(self.knobs.degree) + 1)
            .max(1);
        let offers = u64::from(self.knobs.lazy).max(outside / 4).min(outside);
        (offers, outside)
    }

    fn offer_ids(&mut self, shard: &Shard, times: u64) {
        let (offers, _) = self.offers(shard);
        self.tally.control_bytes += times * ID_BYTES * offers * self.holders as u64;
    }

    /// A heartbeat: those that have the advert offer it, and those to whom no copy is on its way ask for it.
    fn offer(&mut self, shard: &Shard, network: &mut Network, stream: &mut Stream, at_us: u32) {
        self.offer_ids(shard, 1);
        if self.reached == shard.present().len() {
            return;
        }
        let settled = |place: &&u16| self.settled[usize::from(**place)];
        let holders: Vec<u16> = shard.present().iter().filter(settled).copied().collect();
        let (offers, outside) = self.offers(shard);
        let offered = offers as f64 / outside as f64;
        let passed_over = libm::pow(1.0 - offered, holders.len() as f64);
        for &place in shard.present() {
            if self.first_us[usize::from(place)] != NEVER {
                continue;
            }
            let holder = holders[stream.below(holders.len() as u32) as usize];
            if stream.unit() < passed_over {
                continue;
            }
            self.tally.control_bytes += ID_BYTES;
            let there = shard.way(network, holder, place);
            let back = shard.way(network, place, holder);
            let offer = self.draw_us(there);
            let request = self.draw_us(back);
            if let Some((offer, request)) = offer.zip(request) {
                self.tally.recovered += 1;
                let asked_us = at_us.saturating_add(offer).saturating_add(request);
                let leaves_us = asked_us + network.leaves_us(shard.peer(holder), self.bytes);
                self.copy(
                    shard,
                    network,
                    (holder, place, there),
                    (asked_us, leaves_us),
                );
            }
        }
    }

    /// Memory, bytes.
    pub fn heap_bytes(&self) -> usize {
        room(&self.first_us)
            + room(&self.sources)
            + room(&self.settled)
            + room(&self.heads)
            + room(&self.arrivals)
            + room(&self.tail)
    }
}
