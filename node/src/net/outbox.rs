//! Control messages on their way out: which token belongs to which request, and who waits for whom.
//!
//! Per peer a fixed number of envelopes is on the wire. What comes meanwhile waits in line and goes together: the more
//! there is to say, the fewer streams each message costs. A message to a peer whose addresses failed waits aside while
//! they are looked up, once. Every message that enters leaves exactly once, acknowledged or failed.

use std::collections::{HashMap, VecDeque};

use libp2p::{PeerId, bytes::Bytes, request_response::OutboundRequestId};

use super::{PeerKey, behaviour::SENDS_IN_FLIGHT, codec::Envelope};

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
    flying: HashMap<OutboundRequestId, Vec<Letter>>,
    lines: HashMap<PeerId, Line>,
    aside: HashMap<PeerId, Vec<Letter>>,
    total: usize,
    max_total: usize,
    max_per_peer: usize,
}

#[derive(Debug, Default)]
struct Line {
    /// Envelopes on the wire, and the letters in them.
    flying: usize,
    letters: usize,
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
            Some(line) => line.letters + line.waiting.len() + aside,
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

    /// The next letters for this peer with their envelope, if one may fly.
    pub(crate) fn next(&mut self, peer: &PeerId) -> Option<(Envelope, Vec<Letter>)> {
        let line = self.lines.get_mut(peer)?;
        if line.flying >= SENDS_IN_FLIGHT || line.waiting.is_empty() {
            return None;
        }
        let (mut envelope, mut letters) = (Envelope::default(), Vec::new());
        while let Some(letter) = line
            .waiting
            .pop_front_if(|letter| envelope.push(letter.bytes.clone()))
        {
            letters.push(letter);
        }
        line.flying += 1;
        line.letters += letters.len();
        Some((envelope, letters))
    }

    /// The letters are on the wire under this id.
    pub(crate) fn flown(&mut self, id: OutboundRequestId, letters: Vec<Letter>) {
        self.flying.insert(id, letters);
    }

    /// The letters under this id have landed or failed, and leave the outbox.
    pub(crate) fn landed(&mut self, peer: &PeerId, id: &OutboundRequestId) -> Vec<Letter> {
        let Some(letters) = self.flying.remove(id) else {
            return Vec::new();
        };
        self.total = self.total.saturating_sub(letters.len());
        if let Some(line) = self.lines.get_mut(peer) {
            line.flying = line.flying.saturating_sub(1);
            line.letters = line.letters.saturating_sub(letters.len());
            if line.flying == 0 && line.waiting.is_empty() {
                self.lines.remove(peer);
            }
        }
        letters
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

    fn tokens(next: Option<(Envelope, Vec<Letter>)>) -> Vec<(u64, bool)> {
        let letters = next.into_iter().flat_map(|(_, letters)| letters);
        letters.map(|l| (l.token, l.looked_up)).collect()
    }

    #[test]
    fn lines_are_bounded() {
        let mut outbox = Outbox::new(60, 40);
        let (a, b) = (PeerId::random(), PeerId::random());
        let taken = |outbox: &mut Outbox, peer| {
            (0..100)
                .filter(|n| outbox.push(peer, letter(*n)).is_ok())
                .count()
        };
        assert_eq!(taken(&mut outbox, a), 40);
        assert_eq!(taken(&mut outbox, b), 20, "the total is bounded too");
        assert_eq!(tokens(outbox.next(&a)).len(), 40, "all go together");
        assert_eq!(taken(&mut outbox, a), 0, "those on the wire count");
    }

    #[test]
    fn only_so_many_envelopes_fly() {
        let mut outbox = Outbox::new(60, 40);
        let peer = PeerId::random();
        let alone = (0..).take_while(|n| {
            outbox.push(peer, letter(*n)).unwrap();
            outbox.next(&peer).is_some()
        });
        assert_eq!(alone.count(), SENDS_IN_FLIGHT);
    }

    #[test]
    fn what_does_not_fit_flies_with_the_next_envelope() {
        let mut outbox = Outbox::new(60, 40);
        let peer = PeerId::random();
        let long = |token| Letter {
            bytes: vec![0; 30_000].into(),
            ..letter(token)
        };
        for token in 0..3 {
            outbox.push(peer, long(token)).unwrap();
        }
        assert_eq!(tokens(outbox.next(&peer)), [(0, false), (1, false)]);
        assert_eq!(tokens(outbox.next(&peer)), [(2, false)]);
    }

    #[test]
    fn letters_set_aside_go_first_and_are_looked_up_once() {
        let mut outbox = Outbox::new(10, 10);
        let peer = PeerId::random();
        assert!(outbox.put_aside(peer, letter(1)));
        assert!(!outbox.put_aside(peer, letter(2)));
        outbox.push(peer, letter(3)).unwrap();
        outbox.looked_up(&peer);
        assert_eq!(
            tokens(outbox.next(&peer)),
            [(1, true), (2, true), (3, false)]
        );
    }
}
