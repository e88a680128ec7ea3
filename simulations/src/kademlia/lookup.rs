//! One iterative lookup, from the first request to the last answer.
//!
//! Follows the closest-peers iterator of libp2p-kad: up to `alpha` requests in flight, always to the closest peer that
//! has not been asked; after `alpha` answers without progress up to `results` in flight; the end comes when the
//! `results` closest peers have answered, or nobody is left. A departed or unreachable peer costs its asker a timeout.
//! Tables are read as they stand when the lookup begins: it lasts a second, a refresh minutes.

use super::records::Records;
use super::table::{Few, MOST, Table};
use super::{Knobs, Lookup, Rtt, s};
use core::time::Duration;
use starling_protocol::{Hash, Time};

/// A request: message framing, a 34 byte key, and what QUIC adds. Estimate.
pub(super) const REQUEST_BYTES: u64 = 100;
/// A peer named in an answer: a 38 byte id and two addresses. Estimate.
pub(super) const PEER_BYTES: u64 = 90;

/// Candidates kept: those beyond are too far away to matter unless most of the closest are gone.
const KEPT: usize = 2 * MOST;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Waiting,
    Answered,
    GivenUp,
}

#[derive(Clone, Copy)]
struct Candidate {
    distance: u64,
    peer: u32,
    depth: u32,
    state: State,
    there: bool,
}

/// A request in flight: when it is over, to whom, and whether an answer comes.
#[derive(Clone, Copy)]
struct Flight {
    /// ns since the lookup began.
    over: u64,
    peer: u32,
    distance: u64,
    answers: bool,
}

/// Where the peer at `distance` stands among candidates, or would: no two share their first 64 bits.
fn search(candidates: &[Candidate], distance: u64) -> Result<usize, usize> {
    candidates.binary_search_by_key(&distance, |c| c.distance)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// What is looked up.
pub(super) struct Query<'a> {
    pub now: Time,
    pub peer: u32,
    pub target: u64,
    pub providers_of: Option<&'a Hash>,
}

/// What a lookup needs while it runs, kept from one to the next to spare allocations.
#[derive(Default)]
pub(super) struct Walk {
    candidates: Vec<Candidate>,
    flights: Vec<Flight>,
    answer: Few,
}

impl Walk {
    pub fn run(
        &mut self,
        query: &Query<'_>,
        (knobs, table, records): (&Knobs, &Table, &Records),
        net: &mut dyn Rtt,
    ) -> Lookup {
        self.candidates.clear();
        self.flights.clear();
        let mut found = Lookup::default();
        let board = query.providers_of.map(|key| records.board(key));
        let (k_response, results) = (knobs.k_response as usize, knobs.results as usize);
        let kept = (2 * results).min(KEPT);
        let (timeout, deadline) = (s(knobs.timeout_s), s(knobs.query_timeout_s));
        if table.since(query.peer).is_none() {
            found.failed = true;
            return found;
        }
        // One's own table, and one's own records, cost nothing.
        let own = knobs.bucket_size as usize;
        table.closest(
            (query.peer, table.id(query.peer)),
            query.target,
            own,
            query.now,
            &mut self.answer,
        );
        self.learn(query, 1, kept, results);
        if let Some(board) = board {
            found
                .providers
                .extend(board.providers(table, query.peer, query.now));
            found.first = (!found.providers.is_empty()).then_some(Duration::ZERO);
        }
        let (mut at, mut no_progress, mut finished) = (Duration::ZERO, 0, false);
        loop {
            let stalled = no_progress >= knobs.alpha;
            let most = if stalled {
                results.max(knobs.alpha as usize)
            } else {
                knobs.alpha as usize
            };
            match self.next(most, results) {
                Next::Ask(i) => {
                    let candidate = &mut self.candidates[i];
                    candidate.state = State::Waiting;
                    let (peer, distance) = (candidate.peer, candidate.distance);
                    found.rpcs += 1;
                    found.bytes += REQUEST_BYTES;
                    let there = candidate.there;
                    let rtt = net
                        .rtt(query.peer, peer)
                        .filter(|rtt| there && *rtt < timeout);
                    self.flights.push(Flight {
                        over: nanos(at + rtt.unwrap_or(timeout)),
                        peer,
                        distance,
                        answers: rtt.is_some(),
                    });
                    continue;
                }
                Next::Finished => {
                    finished = true;
                    break;
                }
                Next::Wait => {}
            }
            let Some(flight) = self.land() else { break };
            at = Duration::from_nanos(flight.over);
            if at > deadline {
                at = deadline;
                break;
            }
            let Ok(i) = search(&self.candidates, flight.distance) else {
                continue;
            };
            if !flight.answers {
                self.candidates[i].state = State::GivenUp;
                continue;
            }
            self.candidates[i].state = State::Answered;
            let depth = self.candidates[i].depth;
            if let Some(board) = board {
                for provider in board.providers(table, flight.peer, query.now.after(at)) {
                    found.bytes += PEER_BYTES;
                    if !found.providers.contains(&provider) {
                        found.providers.push(provider);
                        found.first.get_or_insert(at);
                    }
                }
            }
            table.closest(
                (flight.peer, flight.distance ^ query.target),
                query.target,
                k_response,
                query.now,
                &mut self.answer,
            );
            found.bytes += PEER_BYTES * self.answer.as_slice().len() as u64;
            let progress = self.learn(query, depth + 1, kept, results);
            no_progress = match (progress, stalled) {
                (true, _) => 0,
                (false, true) => no_progress,
                (false, false) => no_progress + 1,
            };
        }
        found.delay = at;
        let answered = self
            .candidates
            .iter()
            .filter(|c| c.state == State::Answered);
        found.hops = answered.clone().next().map_or(0, |c| c.depth);
        found.closest.extend(answered.take(results).map(|c| c.peer));
        found.failed = found.providers.is_empty() && (found.closest.is_empty() || !finished);
        found
    }

    /// Takes in whom the answer names; whether that brings the lookup on, by libp2p's rule: it had fewer than `results`
    /// candidates, or one of the new ones is closer than the last of those.
    fn learn(&mut self, query: &Query<'_>, depth: u32, kept: usize, results: usize) -> bool {
        let (candidates, answer) = (&mut self.candidates, &self.answer);
        let last = candidates.get(results - 1).map(|c| c.distance);
        let mut progress = last.is_none();
        for entry in answer.as_slice().iter().filter(|e| e.peer != query.peer) {
            let distance = entry.id ^ query.target;
            let full = candidates.len() >= kept;
            if full && candidates.last().is_some_and(|c| c.distance <= distance) {
                continue;
            }
            let Err(at) = search(candidates, distance) else {
                continue;
            };
            progress |= last.is_some_and(|last| distance < last);
            // One that is waited for stays in the flights; its answer is then of no more use.
            if full {
                candidates.pop();
            }
            candidates.insert(
                at,
                Candidate {
                    distance,
                    peer: entry.peer,
                    depth,
                    state: State::New,
                    there: entry.is_there(),
                },
            );
        }
        progress
    }

    fn next(&self, most: usize, results: usize) -> Next {
        let at_capacity = self.flights.len() >= most;
        // How many of the closest have answered, as long as none of them is being waited for.
        let mut answered = Some(0);
        for (i, candidate) in self.candidates.iter().enumerate() {
            match candidate.state {
                State::Waiting if at_capacity => return Next::Wait,
                State::Waiting => answered = None,
                State::Answered => {
                    answered = answered.map(|n| n + 1);
                    if answered.is_some_and(|n| n >= results) {
                        return Next::Finished;
                    }
                }
                State::New if at_capacity => return Next::Wait,
                State::New => return Next::Ask(i),
                State::GivenUp => {}
            }
        }
        if self.flights.is_empty() {
            Next::Finished
        } else {
            Next::Wait
        }
    }

    /// The flight that is over first.
    fn land(&mut self) -> Option<Flight> {
        let first = self.flights.iter().enumerate();
        let first = first.min_by_key(|(_, f)| (f.over, f.distance, f.peer))?.0;
        Some(self.flights.swap_remove(first))
    }
}

enum Next {
    Ask(usize),
    Wait,
    Finished,
}
