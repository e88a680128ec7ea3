//! Kademlia lookups: so many at once, so many waiting, each one remembered by what it was asked for.

use std::collections::{HashMap, VecDeque};

use libp2p::{PeerId, kad::QueryId};

/// What a lookup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// The core looks for providers.
    Providers { query_id: u64, key: [u8; 32] },
    /// The core looks for the peers closest to a key.
    Closest { query_id: u64, key: [u8; 32] },
    /// This peer announces itself.
    Provide { key: [u8; 32] },
    /// The outbox looks for the addresses of a peer.
    Address { of: PeerId },
}

/// Running and waiting lookups.
#[derive(Debug)]
pub(crate) struct Lookups {
    running: HashMap<QueryId, Lookup>,
    waiting: VecDeque<Lookup>,
    max_running: usize,
    max_waiting: usize,
}

impl Lookups {
    pub(crate) fn new(max_running: usize, max_waiting: usize) -> Self {
        Lookups {
            running: HashMap::new(),
            waiting: VecDeque::new(),
            max_running,
            max_waiting,
        }
    }

    /// Puts a lookup in line; gives it back if the line is full.
    pub(crate) fn push(&mut self, lookup: Lookup) -> Result<(), Lookup> {
        if self.waiting.len() >= self.max_waiting {
            return Err(lookup);
        }
        self.waiting.push_back(lookup);
        Ok(())
    }

    /// The lookup whose turn it is, if one may start.
    pub(crate) fn next(&mut self) -> Option<Lookup> {
        if self.running.len() >= self.max_running {
            return None;
        }
        self.waiting.pop_front()
    }

    /// A lookup has begun.
    pub(crate) fn started(&mut self, query: QueryId, lookup: Lookup) {
        self.running.insert(query, lookup);
    }

    /// What a query was for; `None` if Kademlia began it by itself.
    pub(crate) fn get(&self, query: &QueryId) -> Option<Lookup> {
        self.running.get(query).copied()
    }

    /// A lookup has ended.
    pub(crate) fn finished(&mut self, query: &QueryId) {
        self.running.remove(query);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_bounded_and_waits_for_a_free_place() {
        let mut lookups = Lookups::new(0, 3);
        let refused = (0..10)
            .map(|n| Lookup::Provide { key: [n; 32] })
            .filter(|lookup| lookups.push(*lookup).is_err())
            .count();
        assert_eq!(refused, 7);
        assert_eq!(lookups.next(), None);
        lookups.max_running = 1;
        assert_eq!(lookups.next(), Some(Lookup::Provide { key: [0; 32] }));
    }
}
