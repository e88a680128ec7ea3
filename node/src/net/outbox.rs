//! Control messages on their way out: which token belongs to which request, and who waits for whom.
//!
//! Per peer a fixed number is on the wire, the rest waits in line. A message to a peer whose addresses failed waits
//! aside while they are looked up, once. Every message that enters leaves exactly once, acknowledged or failed.

use std::collections::{HashMap, VecDeque};

use libp2p::{PeerId, bytes::Bytes, request_response::OutboundRequestId};

use super::{PeerKey, behaviour::SENDS_IN_FLIGHT};

/// One control message.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) token: u64,
    pub(crate) to: PeerKey,
    pub(crate) bytes: Bytes,
    /// Whether the addresses of its addressee have been looked up already.
    pub(crate) looked_up: bool,
}

/// All messages that are not acknowledged yet.
#[derive(Debug)]
pub(crate) struct Outbox {
    flying: HashMap<OutboundRequestId, Letter>,
    lines: HashMap<PeerId, Line>,
    aside: HashMap<PeerId, Vec<Letter>>,
    total: usize,
    max_total: usize,
    max_per_peer: usize,
}

#[derive(Debug, Default)]
struct Line {
    flying: usize,
    waiting: VecDeque<Letter>,
}

impl Outbox {
    pub(crate) fn new(max_total: usize, max_per_peer: usize) -> Self {
        Outbox {
            flying: HashMap::new(),
            lines: HashMap::new(),
            aside: HashMap::new(),
            total: 0,
            max_total,
            max_per_peer,
        }
    }

    /// Puts a letter in line; gives it back if the line is full. Call [`next`](Self::next) afterwards.
    pub(crate) fn push(&mut self, peer: PeerId, letter: Letter) -> Result<(), Letter> {
        let aside = self.aside.get(&peer).map_or(0, Vec::len);
        let of_peer = match self.lines.get(&peer) {
            Some(line) => line.flying + line.waiting.len() + aside,
            None => aside,
        };
        if self.total >= self.max_total || of_peer >= self.max_per_peer {
            return Err(letter);
        }
        self.total += 1;
        self.lines
            .entry(peer)
            .or_default()
            .waiting
            .push_back(letter);
        Ok(())
    }

    /// The next letter for this peer, if one may fly.
    pub(crate) fn next(&mut self, peer: &PeerId) -> Option<Letter> {
        let line = self.lines.get_mut(peer)?;
        if line.flying >= SENDS_IN_FLIGHT {
            return None;
        }
        let letter = line.waiting.pop_front()?;
        line.flying += 1;
        Some(letter)
    }

    /// The letter is on the wire under this id.
    pub(crate) fn flown(&mut self, id: OutboundRequestId, letter: Letter) {
        self.flying.insert(id, letter);
    }

    /// The letter under this id has landed or failed, and leaves the outbox.
    pub(crate) fn landed(&mut self, peer: &PeerId, id: &OutboundRequestId) -> Option<Letter> {
        let letter = self.flying.remove(id)?;
        self.total = self.total.saturating_sub(1);
        if let Some(line) = self.lines.get_mut(peer) {
            line.flying = line.flying.saturating_sub(1);
            if line.flying == 0 && line.waiting.is_empty() {
                self.lines.remove(peer);
            }
        }
        Some(letter)
    }

    /// Puts a failed letter aside until its addressee's addresses are known; `true` if a lookup must be started.
    pub(crate) fn put_aside(&mut self, peer: PeerId, letter: Letter) -> bool {
        self.total += 1;
        let aside = self.aside.entry(peer).or_default();
        aside.push(letter);
        aside.len() == 1
    }

    /// The lookup is over: the letters set aside go to the head of the line.
    pub(crate) fn looked_up(&mut self, peer: &PeerId) {
        let Some(letters) = self.aside.remove(peer) else {
            return;
        };
        let line = self.lines.entry(*peer).or_default();
        for mut letter in letters.into_iter().rev() {
            letter.looked_up = true;
            line.waiting.push_front(letter);
        }
    }

    /// No lookup is possible: the letters set aside leave the outbox.
    pub(crate) fn give_up(&mut self, peer: &PeerId) -> Vec<Letter> {
        let letters = self.aside.remove(peer).unwrap_or_default();
        self.total = self.total.saturating_sub(letters.len());
        letters
    }

    /// Whether letters to this peer are on their way.
    pub(crate) fn is_waiting_for(&self, peer: &PeerId) -> bool {
        self.lines.contains_key(peer) || self.aside.contains_key(peer)
    }

    /// Whether every letter has left.
    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(token: u64) -> Letter {
        Letter {
            token,
            to: [0; 32],
            bytes: Bytes::new(),
            looked_up: false,
        }
    }

    #[test]
    fn lines_are_bounded_and_only_so_many_fly() {
        let mut outbox = Outbox::new(60, 40);
        let (a, b) = (PeerId::random(), PeerId::random());
        let taken = |outbox: &mut Outbox, peer| {
            (0..100)
                .filter(|n| outbox.push(peer, letter(*n)).is_ok())
                .count()
        };
        assert_eq!(taken(&mut outbox, a), 40);
        assert_eq!(taken(&mut outbox, b), 20, "the total is bounded too");
        let flying = std::iter::from_fn(|| outbox.next(&a)).count();
        assert_eq!(flying, SENDS_IN_FLIGHT);
    }

    #[test]
    fn letters_set_aside_go_first_and_are_looked_up_once() {
        let mut outbox = Outbox::new(10, 10);
        let peer = PeerId::random();
        assert!(outbox.put_aside(peer, letter(1)));
        assert!(!outbox.put_aside(peer, letter(2)));
        outbox.push(peer, letter(3)).unwrap();
        outbox.looked_up(&peer);
        let order: Vec<_> = std::iter::from_fn(|| outbox.next(&peer))
            .map(|l| (l.token, l.looked_up))
            .collect();
        assert_eq!(order, [(1, true), (2, true), (3, false)]);
    }
}
