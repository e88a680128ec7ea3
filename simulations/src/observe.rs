//! Writes a run down: counters for the report, the history for the checkers, the trace for people.
//!
//! It watches the boundary of the cores from outside and changes nothing.

use crate::check::{Blame, Done, Held, History};
use crate::trace::Trace;
use serde::Serialize;
use starling_protocol::io::{Output, Purpose, Record};
use starling_protocol::{
    BlobId, Event, Hash, JobId, Message, PeerKey, Reason, Receipt, SwarmId, Time,
};
use std::collections::BTreeMap;

/// How many, and how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes as u64;
    }
}

/// How a job went.
#[derive(Clone, Debug)]
pub struct JobStats {
    /// Who submitted it.
    pub requester: u32,
    /// When.
    pub submitted: Time,
    /// When the first worker began.
    pub first_work: Option<Time>,
    /// When it ended, and how if not well.
    pub ended: Option<(Time, Option<Reason>)>,
    /// Slices.
    pub slices: u32,
    /// Slices done.
    pub done: u32,
    /// Leases that ended without a receipt.
    pub reopened: u32,
}

/// What a peer has done.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeerStats {
    /// Index of its device's kind.
    pub kind: u32,
    /// Its device's speed, work units per second.
    pub units_per_s: f64,
    /// Bytes of control messages sent.
    pub sent_bytes: u64,
    /// Slices that it earned a receipt for.
    pub earned: u32,
    /// Work units of those.
    pub earned_units: u64,
    /// Tiles of leases that its device computed; what was made up is none.
    pub worked_tiles: u64,
}

/// Counters of a run.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Control messages by kind, lost ones included.
    pub messages: BTreeMap<&'static str, Tally>,
    /// Control messages that got lost.
    pub lost: u64,
    /// Tiles computed by purpose.
    pub tiles: BTreeMap<&'static str, u64>,
    /// Leases that ended without a receipt, by reason.
    pub reopened: BTreeMap<&'static str, u32>,
    /// Jobs as they went.
    pub jobs: BTreeMap<JobId, JobStats>,
    /// Submissions that were refused at once, by reason.
    pub refused: BTreeMap<&'static str, u32>,
    /// Jobs that ended, well or not.
    pub ended: u32,
    /// By peer.
    pub peers: Vec<PeerStats>,
}

/// Messages that the checkers look into.
const MATTERS: [&str; 13] = [
    "LeaseGrant",
    "Commit",
    "Locked",
    "LockSet",
    "Reveal",
    "AuditCall",
    "Seal",
    "SealList",
    "Opening",
    "Attest",
    "Audited",
    "Output",
    "TakeOver",
];

/// A peer takes note of another, or forgets it.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// When.
    pub at: Time,
    /// Who.
    pub by: u32,
    /// Whom.
    pub of: PeerKey,
    /// Whether it is known from now on.
    pub here: bool,
}

/// Who writes down.
pub struct Observer {
    /// For the checkers.
    pub history: History,
    /// For the report.
    pub counters: Counters,
    /// For people; kept on request.
    pub trace: Option<Trace>,
    /// Who knows whom; kept on request, for it is the square of a shard.
    pub sightings: Option<Vec<Sighting>>,
    now: Time,
    /// When the last commitment to a slice came, at whom.
    bound: BTreeMap<(PeerKey, JobId, u32), Time>,
    /// Messages by the first byte of their encoding, as they are met: their name, and whether the checkers look into them.
    kinds: [Option<(&'static str, bool)>; 64],
}

/// The name of a purpose.
#[must_use]
pub fn purpose_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Work => "work",
        Purpose::Audit => "audit",
        Purpose::SelfCheck => "self_check",
        Purpose::Judge => "judge",
        Purpose::Own => "own",
    }
}

impl Observer {
    /// Of a swarm's run with so many peers. `tracing` keeps every message for people.
    #[must_use]
    pub fn new(swarm: SwarmId, peers: u32, tracing: bool) -> Self {
        let history = History {
            swarm,
            ..History::default()
        };
        let counters = Counters {
            peers: vec![PeerStats::default(); peers as usize],
            ..Counters::default()
        };
        Self {
            history,
            counters,
            trace: tracing.then(Trace::default),
            sightings: None,
            now: Time::default(),
            bound: BTreeMap::new(),
            kinds: [None; 64],
        }
    }

    /// A core asks for something. Most of the time nobody need look up its `key`.
    pub fn asked(&mut self, peer: u32, key: impl Fn() -> PeerKey, now: Time, output: &Output) {
        self.now = now;
        if let Output::Persist { seq, record } = output {
            self.persisted(record);
            self.history.order.persists(key(), *seq, record);
        }
        if let Some(trace) = &mut self.trace {
            trace.step(now, peer, output);
        }
    }

    /// A control message leaves; `lost` ones never arrive.
    pub fn sent(
        &mut self,
        now: Time,
        (from, key): (u32, PeerKey),
        (to, to_key): (u32, PeerKey),
        bytes: &[u8],
        lost: bool,
    ) {
        let tag = usize::from(bytes.first().copied().unwrap_or(u8::MAX)) % self.kinds.len();
        // Most messages need only be counted: they are decoded once per kind.
        let counted = self.kinds[tag].filter(|(_, matters)| !matters && self.trace.is_none());
        let (name, message) = match counted {
            Some((name, _)) => (name, None),
            None => match Message::from_bytes(bytes) {
                Ok(message) => (message.name(), Some(message)),
                Err(_) => ("(malformed)", None),
            },
        };
        if message.is_some() {
            self.kinds[tag] = Some((name, MATTERS.contains(&name)));
        }
        self.counters
            .messages
            .entry(name)
            .or_default()
            .add(bytes.len());
        self.counters.lost += u64::from(lost);
        if let Some(peer) = self.counters.peers.get_mut(from as usize) {
            peer.sent_bytes += bytes.len() as u64;
        }
        if let Some(message) = &message {
            let history = &mut self.history;
            history
                .order
                .sent(now, key, to_key, message, &history.swarm);
            history.deeds.sent(key, to_key, message, &history.swarm);
        }
        if let Some((trace, message)) = self.trace.as_mut().zip(message) {
            trace.message(
                now,
                from,
                to,
                &message,
                bytes.len(),
                lost,
                &self.history.swarm,
            );
        }
    }

    /// Gossip of an advert arrives.
    pub fn gossiped(&mut self, by: PeerKey, data: &[u8]) {
        self.history.order.gossiped(by, data);
    }

    /// A control message arrives: of a kind that was met when it left.
    pub fn arrived(&mut self, now: Time, by: PeerKey, from: PeerKey, bytes: &[u8]) {
        let tag = usize::from(bytes.first().copied().unwrap_or(u8::MAX)) % self.kinds.len();
        if self.kinds[tag].is_some_and(|(name, _)| name == "Progress")
            && let Ok(message) = Message::from_bytes(bytes)
        {
            self.history.order.arrived(now, by, from, &message);
        }
    }

    /// Tiles were computed.
    pub fn computed(&mut self, peer: PeerKey, job: JobId, purpose: Purpose, tiles: &[u32]) {
        let purpose = purpose_name(purpose);
        *self.counters.tiles.entry(purpose).or_default() += tiles.len() as u64;
        self.history.deeds.computed(peer, job, purpose, tiles);
    }

    /// So many tiles of a lease took the device's time.
    pub fn worked(&mut self, peer: u32, tiles: usize) {
        if let Some(peer) = self.counters.peers.get_mut(peer as usize) {
            peer.worked_tiles += tiles as u64;
        }
    }

    /// Tiles of a probe were computed.
    pub fn probed(&mut self, tiles: usize) {
        *self.counters.tiles.entry("probe").or_default() += tiles as u64;
    }

    /// A shell holds something for its core that it should be rid of.
    pub fn hoards(&mut self, peer: PeerKey, what: &'static str) {
        self.history.hoards.insert((peer, what));
    }

    /// A core asked for what its shell cannot do.
    pub fn unprepared(&mut self, peer: PeerKey, purpose: Purpose) {
        self.history.unprepared.push((peer, purpose));
    }

    fn persisted(&mut self, record: &Record) {
        match record {
            Record::Submitted { record } => {
                let job: JobId = record.id(&self.history.swarm);
                self.history.records.insert(job, (**record).clone());
            }
            Record::Committed { .. }
            | Record::Locked { .. }
            | Record::Revealed { .. }
            | Record::Bound { .. }
            | Record::Excluded { .. }
            | Record::SliceDone { .. }
            | Record::Ended { .. }
            | Record::Appointed { .. }
            | Record::Kept { .. }
            | Record::Revoked { .. }
            | Record::Receipted { .. }
            | Record::Standing { .. } => {}
        }
    }

    /// A core tells people something. `tiles` shows what its shell stores.
    pub fn notified(
        &mut self,
        (index, by): (u32, PeerKey),
        event: &Event,
        tiles: impl FnOnce(&BlobId) -> Option<Vec<Hash>>,
    ) {
        let (history, counters, now) = (&mut self.history, &mut self.counters, self.now);
        history.order.notified(by, event);
        let mut hold = |job, receipt: &Receipt| {
            history.receipts.push(Held {
                by,
                job,
                receipt: receipt.clone(),
            });
        };
        match event {
            Event::Submitted { job, slices, .. } => {
                let stats = JobStats {
                    requester: index,
                    submitted: now,
                    first_work: None,
                    ended: None,
                    slices: *slices,
                    done: 0,
                    reopened: 0,
                };
                counters.jobs.insert(*job, stats);
            }
            Event::SubmitRefused { reason } => {
                *counters.refused.entry(reason.code()).or_default() += 1;
                counters.ended += 1;
            }
            Event::Working { job, .. } => {
                if let Some(stats) = counters.jobs.get_mut(job) {
                    stats.first_work.get_or_insert(now);
                }
            }
            Event::SliceDone {
                job,
                slice,
                blob,
                receipt,
                ..
            } => {
                if let Some(receipt) = receipt {
                    hold(*job, receipt);
                }
                if let Some(stats) = counters.jobs.get_mut(job) {
                    stats.done += 1;
                }
                history.done.push(Done {
                    job: *job,
                    slice: *slice,
                    output: tiles(blob).unwrap_or_default(),
                });
            }
            Event::Earned { job, receipt, .. } => {
                hold(*job, receipt);
                let units = history.records.get(job).map_or(0, |record| {
                    let manifest = &record.manifest.body;
                    let tiles = manifest.tiles_of(receipt.lease.body.slice).count();
                    manifest.units_per_tile * tiles as u64
                });
                if let Some(peer) = counters.peers.get_mut(index as usize) {
                    peer.earned += 1;
                    peer.earned_units += units;
                }
            }
            Event::FraudProven {
                job, slice, worker, ..
            } => {
                history.proven.insert((by, *worker, *job, *slice));
            }
            Event::SliceReopened {
                job,
                slice,
                worker,
                reason,
            } => {
                // What its requester took for done is done again, if it has found its worker out.
                let requester = history.records.get(job).map(|r| r.manifest.body.requester);
                let mut proven = history.proven.iter();
                let mut blamed = history.blamed.iter();
                let found_out = proven.any(|(seen, of, ..)| (seen, of) == (&by, worker))
                    || blamed.any(|b| (b.by, b.of) == (by, *worker));
                if requester == Some(by) && found_out {
                    history.done.retain(|d| (d.job, d.slice) != (*job, *slice));
                }
                *counters.reopened.entry(reason.code()).or_default() += 1;
                if let Some(stats) = counters.jobs.get_mut(job) {
                    stats.reopened += 1;
                }
            }
            Event::Committed { job, slice, .. } => {
                self.bound.insert((by, *job, *slice), now);
            }
            Event::CheatCaught {
                job,
                slice,
                worker,
                reason,
                ..
            } => {
                let bound = self.bound.get(&(by, *job, *slice));
                history.blamed.push(Blame {
                    by,
                    of: *worker,
                    reason: *reason,
                    since: bound.copied().unwrap_or(now),
                    at: now,
                });
            }
            Event::FalseAccusation { accuser, .. } => history.false_accusers.push((by, *accuser)),
            Event::JobDone { job } => {
                history.complete.insert(*job);
                self.end(job, None);
            }
            Event::JobFailed { job, reason } => self.end(job, Some(*reason)),
            Event::PeerSeen { peer } => self.sighted(index, *peer, true),
            Event::PeerGone { peer } => self.sighted(index, *peer, false),
            Event::ClaimStruck { peer, .. } => history.struck.push((by, *peer)),
            Event::ClocksDiffer { .. }
            | Event::Leased { .. }
            | Event::TakenOver { .. }
            | Event::Auditing { .. }
            | Event::Resumed { .. }
            | Event::Lost { .. }
            | Event::Held { .. }
            | Event::Found { .. }
            | Event::NotFound { .. }
            | Event::Appointed { .. }
            | Event::Kept { .. }
            | Event::Relieved { .. } => {}
        }
    }

    fn sighted(&mut self, by: u32, of: PeerKey, here: bool) {
        let at = self.now;
        if let Some(sightings) = &mut self.sightings {
            sightings.push(Sighting { at, by, of, here });
        }
    }

    fn end(&mut self, job: &JobId, failed: Option<Reason>) {
        self.counters.ended += 1;
        if let Some(stats) = self.counters.jobs.get_mut(job) {
            stats.ended = Some((self.now, failed));
        }
    }
}
