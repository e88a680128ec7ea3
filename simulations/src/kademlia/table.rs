//! Whom a peer knows: buckets that are computed when they are asked for, not kept.
//!
//! Ids lie sorted in one array, and a bucket of a peer is a contiguous range of them. Which `k` of the range it holds is
//! drawn by a hash of peer, bucket and index, uniformly and without repetition: the state of a routing table that many
//! lookups and refreshes have filled, at no memory per peer and no work per join. The price is that a join or a departure
//! shifts what the hash points at by a place or so; single entries are therefore less lasting than real ones.
//! Staleness: who joined is known at once, as its own first lookup makes it known; who left stays in a bucket until its
//! owner's next refresh, at an instant between 0 and `refresh` after the departure that depends on both.

use crate::net::{mix, room, unit};
use core::time::Duration;
use starling_protocol::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub id: u64,
    pub peer: u32,
    /// When it left, ms; `LIVE` while it is there.
    left_ms: u32,
}

impl Entry {
    /// Whether it is still there.
    pub fn is_there(&self) -> bool {
        self.left_ms == LIVE
    }
}

const LIVE: u32 = u32::MAX;

fn ms(time: Time) -> u32 {
    u32::try_from(time.0 / 1_000).unwrap_or(LIVE - 1)
}

#[derive(Clone, Copy, Default)]
struct Peer {
    id: u64,
    /// When it last came; `None` when it is not there.
    since: Option<Time>,
}

pub(super) struct Table {
    entries: Vec<Entry>,
    /// Joined since `entries` was sorted last.
    pending: Vec<Entry>,
    peers: Vec<Peer>,
    departed: usize,
    k: usize,
    refresh_ms: u32,
    salt: u64,
}

/// Most entries of a bucket, and of an answer.
pub(super) const MOST: usize = 64;

/// Up to `MOST` entries, each at most once.
pub(super) struct Few {
    len: usize,
    entries: [Entry; MOST],
}

impl Default for Few {
    fn default() -> Self {
        let none = Entry {
            id: 0,
            peer: 0,
            left_ms: LIVE,
        };
        Self {
            len: 0,
            entries: [none; MOST],
        }
    }
}

impl Few {
    pub fn as_slice(&self) -> &[Entry] {
        &self.entries[..self.len]
    }

    fn push(&mut self, entry: Entry) {
        if self.len < MOST {
            self.entries[self.len] = entry;
            self.len += 1;
        }
    }

    fn keep_closest(&mut self, target: u64, most: usize) {
        if self.len > most {
            let key = |e: &Entry| (e.id ^ target, e.peer);
            self.entries[..self.len].select_nth_unstable_by_key(most, key);
            self.len = most;
        }
    }
}

impl Table {
    pub fn new(k: usize, refresh: Duration, salt: u64) -> Self {
        Self {
            entries: Vec::new(),
            pending: Vec::new(),
            peers: Vec::new(),
            departed: 0,
            k,
            refresh_ms: u32::try_from(refresh.as_millis()).unwrap_or(u32::MAX),
            salt,
        }
    }

    pub fn join(&mut self, now: Time, peer: u32, id: u64) {
        let at = peer as usize;
        if self.peers.len() <= at {
            self.peers.resize(at + 1, Peer::default());
        }
        if self.peers[at].since.is_some() {
            return;
        }
        self.peers[at] = Peer {
            id,
            since: Some(now),
        };
        match self.find(id, peer) {
            Some(at) => {
                self.entries[at].left_ms = LIVE;
                self.departed -= 1;
            }
            None => self.pending.push(Entry {
                id,
                peer,
                left_ms: LIVE,
            }),
        }
    }

    pub fn leave(&mut self, now: Time, peer: u32) {
        let Some(known) = self.peers.get_mut(peer as usize) else {
            return;
        };
        if known.since.take().is_none() {
            return;
        }
        let id = known.id;
        match self.find(id, peer) {
            Some(at) => {
                self.entries[at].left_ms = ms(now);
                self.departed += 1;
            }
            // Nobody has looked anything up since it joined: nobody knows it.
            None => self.pending.retain(|e| e.peer != peer),
        }
    }

    /// Memory, bytes.
    pub fn heap_bytes(&self) -> usize {
        room(&self.entries) + room(&self.pending) + room(&self.peers)
    }

    /// When `peer`'s session began, if it is there.
    pub fn since(&self, peer: u32) -> Option<Time> {
        self.peers.get(peer as usize)?.since
    }

    pub fn id(&self, peer: u32) -> u64 {
        self.peers[peer as usize].id
    }

    fn find(&self, id: u64, peer: u32) -> Option<usize> {
        let key = |e: &Entry| (e.id, e.peer);
        self.entries.binary_search_by_key(&(id, peer), key).ok()
    }

    /// Takes in who joined, and drops who is in nobody's bucket any more once they outnumber the living: each drop
    /// then pays for itself.
    pub fn settle(&mut self, now: Time) {
        if self.departed * 2 > self.entries.len() {
            let (now, refresh) = (ms(now), self.refresh_ms);
            let lasts = |e: &Entry| e.left_ms == LIVE || e.left_ms.saturating_add(refresh) > now;
            self.entries.retain(lasts);
            self.departed = self.entries.iter().filter(|e| e.left_ms != LIVE).count();
        }
        if self.pending.len() > 8 {
            self.entries.append(&mut self.pending);
            self.entries.sort_unstable();
        }
        for entry in self.pending.drain(..) {
            let at = self.entries.partition_point(|e| *e < entry);
            self.entries.insert(at, entry);
        }
    }

    /// Where ids from `low` on begin. Ids are uniform, so that the guess is off by `sqrt(n) / 2` on average.
    fn start(&self, low: u64) -> usize {
        let n = self.entries.len();
        let guess = ((u128::from(low) * n as u128) >> 64) as usize;
        let mut off = 8;
        while off < n {
            let (from, to) = (guess.saturating_sub(off), (guess + off).min(n));
            let fits = (from == 0 || self.entries[from - 1].id < low)
                && (to == n || self.entries[to].id >= low);
            if fits {
                return from + self.entries[from..to].partition_point(|e| e.id < low);
            }
            off *= 4;
        }
        self.entries.partition_point(|e| e.id < low)
    }

    /// The range of ids that share their first `bits` bits with `id`.
    fn range(&self, id: u64, bits: u32) -> &[Entry] {
        let rest = u64::MAX.checked_shr(bits).unwrap_or(0);
        let (low, high) = (id & !rest, id | rest);
        let after = &self.entries[self.start(low)..];
        // Uniform ids: the range is about so long, which makes a good first guess.
        let mut span = (self.entries.len() >> bits.min(63)).max(8) * 2;
        while span < after.len() && after[span].id <= high {
            span *= 2;
        }
        let after = &after[..span.min(after.len())];
        &after[..after.partition_point(|e| e.id <= high)]
    }

    fn knows(&self, owner: u32, entry: &Entry, now_ms: u32) -> bool {
        if entry.is_there() {
            return true;
        }
        let pair = (u64::from(owner) << 32) | u64::from(entry.peer);
        let until_refresh = unit(mix(self.salt ^ mix(pair))) * f64::from(self.refresh_ms);
        f64::from(now_ms) < f64::from(entry.left_ms) + until_refresh
    }

    /// `owner`'s entries of bucket number `bucket`, which holds peers of `range`.
    fn bucket(&self, owner: u32, bucket: u32, range: &[Entry], now_ms: u32, into: &mut Few) {
        if range.len() <= self.k {
            for entry in range {
                if entry.peer != owner && self.knows(owner, entry, now_ms) {
                    into.push(*entry);
                }
            }
            return;
        }
        let seed = mix(self.salt ^ (u64::from(owner) << 8) ^ u64::from(bucket));
        let mut taken = [0_u32; MOST];
        let (mut count, mut full) = (0, into.len + self.k);
        full = full.min(MOST);
        // Enough even when half of the range is gone; then whoever comes next, so that it ends.
        let tries = 8 * self.k as u64;
        let mut try_at = |at: usize, into: &mut Few| {
            let (entry, place) = (range[at], at as u32);
            if self.knows(owner, &entry, now_ms) && !taken[..count].contains(&place) {
                taken[count] = place;
                count += 1;
                into.push(entry);
            }
        };
        for i in 0..tries {
            if into.len == full {
                return;
            }
            let draw = mix(seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            try_at((((draw >> 32) * range.len() as u64) >> 32) as usize, into);
        }
        let first = (seed % range.len() as u64) as usize;
        for i in 0..range.len() {
            if into.len == full {
                return;
            }
            try_at((first + i) % range.len(), into);
        }
    }

    /// Puts the `most` peers closest to `target` that `owner`, whose id is `id`, knows into `few`, in no order: the
    /// answer to a FIND_NODE.
    pub fn closest(
        &self,
        (owner, id): (u32, u64),
        target: u64,
        most: usize,
        now: Time,
        few: &mut Few,
    ) {
        let now_ms = ms(now);
        few.len = 0;
        let shared = (id ^ target).leading_zeros();
        // First the bucket that the target falls into: all of it is closer than the rest.
        if shared < 64 {
            let range = self.range(target, shared + 1);
            self.bucket(owner, shared, range, now_ms, few);
        }
        // Then those nearer to the owner itself, which share exactly as many bits with the target as the owner does.
        if few.len < most && shared < 63 {
            let near = self.range(id, shared + 1);
            if near.len() <= self.k {
                // Every bucket in it is whole.
                self.bucket(owner, shared + 1, near, now_ms, few);
            } else {
                self.deeper((owner, id), shared + 1, now_ms, few);
            }
        }
        few.keep_closest(target, most);
        // Then those further and further away.
        for bit in (0..shared.min(64)).rev() {
            if few.len >= most {
                break;
            }
            let range = self.range(id ^ (1 << (63 - bit)), bit + 1);
            self.bucket(owner, bit, range, now_ms, few);
            few.keep_closest(target, most);
        }
    }

    /// All of `owner`'s buckets from number `from` on, deepest last.
    fn deeper(&self, (owner, id): (u32, u64), from: u32, now_ms: u32, into: &mut Few) {
        for bit in from..64 {
            if self.range(id, bit).len() <= 1 || into.len == MOST {
                return;
            }
            let range = self.range(id ^ (1 << (63 - bit)), bit + 1);
            self.bucket(owner, bit, range, now_ms, into);
        }
    }
}
