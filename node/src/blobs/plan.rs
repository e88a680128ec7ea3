//! Which bytes of a blob are here, which are being fetched, and what the next idle source gets.
//!
//! The first source is asked for everything: one blob, one source, one stream. Whoever comes later takes what another
//! one left, else the second half of the largest piece under way, whose owner stops there. What is too short to halve
//! may be asked of a second source when the first one lets everybody wait. So a source costs at most the piece that it
//! holds, and nobody holds up the end. Knows no sockets, files or clock.
//!
//! Invariant: every byte is here, in exactly one piece, or open; and it is counted as here only once it was verified
//! and written.

use std::{collections::BTreeMap, ops::Range};

use super::GROUP_BYTES;

/// A piece shorter than twice this is not halved: asking costs two round trips, and what was on its way is sent twice.
pub(crate) const SPAN_BYTES: u64 = 4 << 20;
/// Sources that may be busy with one piece.
const MAX_DOUBLES: usize = 2;

/// Names a piece.
pub(crate) type PieceId = u64;

/// The ranges of one blob.
#[derive(Debug)]
pub(crate) struct Plan {
    len: u64,
    /// The last group was verified, and with it the length.
    proven: bool,
    /// Nobody fetches these.
    open: Vec<Range<u64>>,
    pieces: BTreeMap<PieceId, Piece>,
    next: PieceId,
}

#[derive(Debug)]
struct Piece {
    /// What it still lacks.
    rest: Range<u64>,
    sources: usize,
}

impl Plan {
    /// Nothing of a blob of `len` bytes is here.
    pub(crate) fn new(len: u64) -> Self {
        Self::of(len, 0)
    }

    /// Only the last group of a blob of `len` bytes is wanted: it proves the length.
    pub(crate) fn last_group(len: u64) -> Self {
        Self::of(len, len.saturating_sub(1) / GROUP_BYTES * GROUP_BYTES)
    }

    fn of(len: u64, start: u64) -> Self {
        Plan {
            len,
            // The hash of nothing is known.
            proven: len == 0,
            open: Some(start..len)
                .into_iter()
                .filter(|r| !r.is_empty())
                .collect(),
            pieces: BTreeMap::new(),
            next: 0,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn proven(&self) -> bool {
        self.proven
    }

    pub(crate) fn prove(&mut self) {
        self.proven = true;
    }

    /// Everything is here.
    pub(crate) fn complete(&self) -> bool {
        self.open.is_empty() && self.pieces.is_empty()
    }

    /// Sources that could be busy at once without doubling any piece.
    pub(crate) fn shares(&self) -> usize {
        let halves = |rest: &Range<u64>| ((rest.end - rest.start) / SPAN_BYTES).max(1);
        let pieces = self.pieces.values().map(|p| halves(&p.rest));
        let shares: u64 = self.open.iter().map(halves).chain(pieces).sum();
        usize::try_from(shares).unwrap_or(usize::MAX)
    }

    /// Whether [`Plan::take`] would give anything.
    pub(crate) fn has_work(&self, double: bool) -> bool {
        !self.open.is_empty() || self.longest(1, 2 * SPAN_BYTES).is_some() || {
            double && self.longest(MAX_DOUBLES - 1, 1).is_some()
        }
    }

    /// The piece that lacks most, at least `least` bytes, of those with at most so many sources.
    fn longest(&self, sources: usize, least: u64) -> Option<PieceId> {
        let lacks = |piece: &Piece| piece.rest.end - piece.rest.start;
        self.pieces
            .iter()
            .filter(|(_, p)| p.sources <= sources && lacks(p) >= least)
            .max_by_key(|(_, p)| lacks(p))
            .map(|(id, _)| *id)
    }

    /// What an idle source fetches next. With `double` that may be what another source is already asked for.
    pub(crate) fn take(&mut self, double: bool) -> Option<(PieceId, Range<u64>)> {
        let rest = if let Some(open) = self.open.pop() {
            open
        } else if let Some(id) = self.longest(1, 2 * SPAN_BYTES) {
            let rest = &mut self.pieces.get_mut(&id)?.rest;
            let half = rest.start + (rest.end - rest.start) / 2;
            let half = half / GROUP_BYTES * GROUP_BYTES;
            let second = half..rest.end;
            rest.end = half;
            second
        } else if let Some(id) = self.longest(MAX_DOUBLES - 1, 1).filter(|_| double) {
            let piece = self.pieces.get_mut(&id)?;
            piece.sources += 1;
            return Some((id, piece.rest.clone()));
        } else {
            return None;
        };
        let id = self.next;
        self.next += 1;
        let piece = Piece {
            rest: rest.clone(),
            sources: 1,
        };
        self.pieces.insert(id, piece);
        Some((id, rest))
    }

    /// A source of the piece has brought everything up to `to`; whether it is to go on.
    pub(crate) fn advance(&mut self, id: PieceId, to: u64) -> bool {
        self.proven |= to == self.len;
        let Some(piece) = self.pieces.get_mut(&id) else {
            return false;
        };
        piece.rest.start = piece.rest.start.max(to);
        if piece.rest.start >= piece.rest.end {
            self.pieces.remove(&id);
            return false;
        }
        true
    }

    /// A source of the piece has gone; what it lacks is open, unless another one is at it.
    pub(crate) fn give_back(&mut self, id: PieceId) {
        let Some(piece) = self.pieces.get_mut(&id) else {
            return;
        };
        piece.sources -= 1;
        if piece.sources == 0
            && let Some(piece) = self.pieces.remove(&id)
        {
            self.open.push(piece.rest);
        }
    }

    /// Another length was proven: nothing of this is wanted any more.
    pub(crate) fn abandon(&mut self) {
        self.open.clear();
        self.pieces.clear();
    }
}

#[cfg(test)]
mod tests;
