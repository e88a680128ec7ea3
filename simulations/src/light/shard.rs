//! The peers of one shard: their mesh, and what they know of each other.
//!
//! A peer keeps its place in the shard for the whole run, whether it is there or not. The mesh is made and mended by
//! the rules of [`crate::gossip`]; beside every neighbour stands the way to it, so that a copy needs no look at the
//! network. Invariant: a peer that is not there has no neighbours and knows nobody.

use crate::engine::Stream;
use crate::gossip::MeshKnobs;
use crate::net::{Network, Way, room};
use starling_protocol::Hash;
use std::collections::VecDeque;

/// Between two peers that cannot reach each other.
pub(super) const NO_WAY: Way = Way {
    least_us: u32::MAX,
    spread_us: 0,
};

/// A neighbour.
#[derive(Clone, Copy, Default)]
pub(super) struct Link {
    /// Its place.
    pub to: u16,
    /// The way to it.
    pub way: Way,
}

/// An advert that is still offered.
#[derive(Clone, Copy)]
pub(super) struct Recent {
    /// Whose.
    pub place: u16,
    /// Since when, us.
    pub since_us: u64,
    /// Nobody offers it after this, us.
    pub until_us: u64,
}

/// One shard.
pub(super) struct Shard {
    /// The number of its first member in the network; the others follow.
    pub first: u32,
    /// Its board.
    pub board: Hash,
    /// What was published within the last heartbeats.
    pub recent: VecDeque<Recent>,
    /// Somebody may have too few neighbours, and a heartbeat will see to it.
    pub mend: bool,
    /// That heartbeat is scheduled.
    pub awaited: bool,
    members: usize,
    high: usize,
    degrees: Vec<u8>,
    links: Vec<Link>,
    /// Places of those that are there, in no order, and where each stands among them.
    present: Vec<u16>,
    spots: Vec<u16>,
    /// When an advert is forgotten, ms; row by row of whose it is, column by column of who knows it.
    until_ms: Vec<u32>,
}

impl Shard {
    pub fn new(first: u32, members: u16, board: Hash, knobs: &MeshKnobs) -> Self {
        let (high, members) = (knobs.high as usize, usize::from(members));
        Self {
            first,
            board,
            recent: VecDeque::new(),
            mend: false,
            awaited: false,
            members,
            high,
            degrees: vec![0; members],
            links: vec![Link::default(); members * high],
            present: Vec::new(),
            spots: vec![0; members],
            until_ms: vec![0; members * members],
        }
    }

    /// All of its members, those that are not there included.
    pub fn members(&self) -> usize {
        self.members
    }

    /// Those that are there.
    pub fn present(&self) -> &[u16] {
        &self.present
    }

    /// A place's number in the network.
    pub fn peer(&self, place: u16) -> u32 {
        self.first + u32::from(place)
    }

    pub fn links(&self, place: u16) -> &[Link] {
        let at = usize::from(place);
        &self.links[at * self.high..][..usize::from(self.degrees[at])]
    }

    /// When each place forgets `of`, ms.
    pub fn known(&self, of: u16) -> &[u32] {
        &self.until_ms[usize::from(of) * self.members..][..self.members]
    }

    pub fn known_mut(&mut self, of: u16) -> &mut [u32] {
        &mut self.until_ms[usize::from(of) * self.members..][..self.members]
    }

    /// The way between two of its members.
    pub fn way(&self, network: &Network, from: u16, to: u16) -> Way {
        let way = network.way(self.peer(from), self.peer(to));
        way.unwrap_or(NO_WAY)
    }

    /// `place` comes. Tells its new neighbours.
    pub fn join(
        &mut self,
        place: u16,
        knobs: &MeshKnobs,
        network: &Network,
        stream: &mut Stream,
    ) -> Vec<u16> {
        self.spots[usize::from(place)] = self.present.len() as u16;
        self.present.push(place);
        self.mend = true;
        self.graft(place, knobs, network, stream)
    }

    /// `place` goes, its neighbours lose it, and what it knew is gone.
    pub fn leave(&mut self, place: u16) {
        let (at, members) = (usize::from(place), self.members);
        while let Some(link) = self.links(place).last() {
            let other = link.to;
            self.drop_link(place, other);
            self.drop_link(other, place);
        }
        let spot = self.spots[at];
        self.present.swap_remove(usize::from(spot));
        if let Some(moved) = self.present.get(usize::from(spot)) {
            self.spots[usize::from(*moved)] = spot;
        }
        self.mend = true;
        let column = self.until_ms.iter_mut().skip(at).step_by(members);
        column.for_each(|until| *until = 0);
    }

    fn drop_link(&mut self, from: u16, to: u16) {
        let at = usize::from(from);
        if let Some(slot) = self.links(from).iter().position(|link| link.to == to) {
            self.degrees[at] -= 1;
            let last = usize::from(self.degrees[at]);
            self.links[at * self.high..].swap(slot, last);
        }
    }

    fn add_link(&mut self, from: u16, to: u16, network: &Network) {
        let (at, way) = (usize::from(from), self.way(network, from, to));
        let slot = at * self.high + usize::from(self.degrees[at]);
        self.links[slot] = Link { to, way };
        self.degrees[at] += 1;
    }

    /// Links `place` with random others until it has as many neighbours as it aims at: `gossip::Mesh::graft`.
    fn graft(
        &mut self,
        place: u16,
        knobs: &MeshKnobs,
        network: &Network,
        stream: &mut Stream,
    ) -> Vec<u16> {
        let aim = (knobs.degree as usize).min(self.present.len().saturating_sub(1));
        let mut new = Vec::new();
        for _ in 0..8 * (aim + 1) {
            if self.links(place).len() >= aim {
                break;
            }
            let other = self.present[stream.below(self.present.len() as u32) as usize];
            let fits = other != place
                && self.links(other).len() < self.high
                && self.links(place).iter().all(|link| link.to != other);
            if fits {
                self.add_link(place, other, network);
                self.add_link(other, place, network);
                new.push(other);
            }
        }
        new
    }

    /// Finds neighbours for those that have too few. Tells the pairs.
    pub fn mend(
        &mut self,
        knobs: &MeshKnobs,
        network: &Network,
        stream: &mut Stream,
    ) -> Vec<(u16, u16)> {
        self.mend = false;
        let low = (knobs.low as usize).min(self.present.len().saturating_sub(1));
        let mut new = Vec::new();
        for at in 0..self.present.len() {
            let place = self.present[at];
            if self.links(place).len() < low {
                let others = self.graft(place, knobs, network, stream);
                new.extend(others.into_iter().map(|other| (place, other)));
                self.mend |= self.links(place).len() < low;
            }
        }
        new
    }

    /// How many others its members know at `now_ms`: of those that are there, and of those that are not.
    pub fn census(&self, now_ms: u32) -> (u64, u64) {
        let mut there = vec![false; self.members];
        for place in &self.present {
            there[usize::from(*place)] = true;
        }
        let (mut living, mut gone) = (0, 0);
        for (row, there) in self.until_ms.chunks_exact(self.members.max(1)).zip(there) {
            let known: u32 = row.iter().map(|until| u32::from(*until > now_ms)).sum();
            *(if there { &mut living } else { &mut gone }) += u64::from(known);
        }
        (living, gone)
    }

    /// Memory, bytes.
    pub fn heap_bytes(&self) -> usize {
        let recent = self.recent.capacity() * size_of::<Recent>();
        recent
            + room(&self.degrees)
            + room(&self.links)
            + room(&self.present)
            + room(&self.spots)
            + room(&self.until_ms)
    }
}
