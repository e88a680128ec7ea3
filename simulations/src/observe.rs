//! Writes a run down: counters for the report, the history for the checkers, the trace for people.
//!
//! It watches the boundary of the cores from outside and changes nothing.

use crate::check::{Done, Held, History};
use crate::trace::Trace;
use serde::Serialize;
use starling_protocol::io::{Output, Purpose, Record};
use starling_protocol::{BlobId, Event, Hash, JobId, Message, PeerKey, Reason, SwarmId, Time};
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

/// Counters of a run.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Control messages by kind, lost ones included.
    pub messages: BTreeMap<&'static str, Tally>,
    /// Control messages that got lost.
    pub lost: u64,
    /// Hops of gossip messages.
    pub gossip: Tally,
    /// Tiles computed by purpose.
    pub tiles: BTreeMap<&'static str, u64>,
    /// Leases that ended without a receipt, by reason.
    pub reopened: BTreeMap<&'static str, u32>,
    /// When the first worker began.
    pub first_work: Option<Time>,
    /// When the job was submitted.
    pub submitted: Option<Time>,
    /// When it ended, and how if not well.
    pub ended: Option<(Time, Option<Reason>)>,
}

/// Who writes down.
#[derive(Default)]
pub struct Observer {
    /// For the checkers.
    pub history: History,
    /// For the report.
    pub counters: Counters,
    /// For people; kept on request.
    pub trace: Option<Trace>,
    now: Time,
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
    /// Of a swarm's run. `tracing` keeps every message for people.
    #[must_use]
    pub fn new(swarm: SwarmId, tracing: bool) -> Self {
        let history = History {
            swarm,
            ..History::default()
        };
        Self {
            history,
            trace: tracing.then(Trace::default),
            ..Self::default()
        }
    }

    /// A core asks for something.
    pub fn asked(&mut self, peer: u32, now: Time, output: &Output) {
        self.now = now;
        if let Output::Persist { record, .. } = output {
            self.persisted(record);
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
        to: u32,
        bytes: &[u8],
        lost: bool,
    ) {
        let Ok(message) = Message::from_bytes(bytes) else {
            return;
        };
        self.counters
            .messages
            .entry(message.name())
            .or_default()
            .add(bytes.len());
        self.counters.lost += u64::from(lost);
        match &message {
            Message::Locked(lock) => {
                self.history
                    .locks
                    .push((key, lock.body.lease, lock.body.root))
            }
            Message::Commit { commitment, .. } => {
                self.history
                    .roots
                    .push((key, commitment.body.lease, commitment.body.root));
            }
            _ => {}
        }
        if let Some(trace) = &mut self.trace {
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

    /// A gossip message goes one hop.
    pub fn gossiped(&mut self, bytes: usize) {
        self.counters.gossip.add(bytes);
    }

    /// Tiles were computed.
    pub fn computed(&mut self, purpose: Purpose, tiles: usize) {
        *self
            .counters
            .tiles
            .entry(purpose_name(purpose))
            .or_default() += tiles as u64;
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
            | Record::Receipted { .. } => {}
        }
    }

    /// A core tells people something. `tiles` shows what its shell stores.
    pub fn notified(
        &mut self,
        by: PeerKey,
        event: &Event,
        tiles: impl Fn(&BlobId) -> Option<Vec<Hash>>,
    ) {
        let history = &mut self.history;
        match event {
            Event::Submitted { .. } => self.counters.submitted = Some(self.now),
            Event::Working { .. } => {
                self.counters.first_work.get_or_insert(self.now);
            }
            Event::SliceDone {
                job,
                slice,
                blob,
                receipt,
                ..
            } => {
                history.done.push(Done {
                    job: *job,
                    slice: *slice,
                    output: tiles(blob).unwrap_or_default(),
                });
                if let Some(receipt) = receipt {
                    history.receipts.push(Held {
                        by,
                        job: *job,
                        receipt: (**receipt).clone(),
                    });
                }
            }
            Event::Earned { job, receipt, .. } => {
                history.receipts.push(Held {
                    by,
                    job: *job,
                    receipt: (**receipt).clone(),
                });
            }
            Event::SliceReopened { reason, .. } => {
                *self.counters.reopened.entry(reason.code()).or_default() += 1;
            }
            Event::CheatCaught { worker, reason, .. } => history.blamed.push((*worker, *reason)),
            Event::FalseAccusation { accuser, .. } => history.false_accusers.push(*accuser),
            Event::JobDone { job } => {
                history.complete.insert(*job);
                self.counters.ended = Some((self.now, None));
            }
            Event::JobFailed { reason, .. } | Event::SubmitRefused { reason } => {
                self.counters.ended = Some((self.now, Some(*reason)));
            }
            Event::PeerSeen { .. }
            | Event::PeerGone { .. }
            | Event::Leased { .. }
            | Event::Committed { .. }
            | Event::Auditing { .. }
            | Event::Resumed { .. }
            | Event::Lost { .. } => {}
        }
    }
}
