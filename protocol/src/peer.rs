//! One peer: routes inputs to the sub-machines and nothing more. Policy is theirs.

mod messages;

use crate::advert::Advert;
use crate::adverts::Adverts;
use crate::auditor::Auditor;
use crate::book::{Book, Prepared};
use crate::collector::Collector;
use crate::config;
use crate::context::{Context, Waiting};
use crate::crypto::BoxedSigner;
use crate::faults::Faults;
use crate::hash::{Hash, JobId, LeaseId, PeerKey};
use crate::io::{
    Computed, Input, KnownPeer, Output, Outputs, Proof, Record, Setup, Shape, TaskId, Topic,
};
use crate::manifest::JobRecord;
use crate::message::Message;
use crate::parked::Parked;
use crate::probe::{Probed, Prober};
use crate::reason::Reason;
use crate::reputation::ReputationView;
use crate::requester::Requester;
use crate::steward::Steward;
use crate::time::{Deadline, Time};
use crate::timers::Timer;
use crate::witness::Witness;
use crate::worker::Worker;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// What the shell drives: the real peer, or something wrapped around it.
pub trait Core {
    /// Takes one input. The outputs borrow the core: perform them in order before the next call.
    fn handle(&mut self, now: Time, input: Input) -> Outputs<'_>;
    /// When to call with `Input::Tick` if nothing else happens before.
    fn next_deadline(&self) -> Option<Deadline>;
}

/// The protocol's state machines for one identity.
pub struct Peer {
    ctx: Context,
    adverts: Adverts,
    book: Book,
    parked: Parked,
    requester: Requester,
    steward: Steward,
    collector: Collector,
    worker: Worker,
    witness: Witness,
    auditor: Auditor,
    faults: Faults,
    prober: Prober,
    probed: Probed,
    /// Looks at the boards since one last led to a job, at most [`config::BOARD_LOOKUP_DOUBLINGS`].
    in_vain: u32,
}

impl Core for Peer {
    fn handle(&mut self, now: Time, input: Input) -> Outputs<'_> {
        self.ctx.now = now.max(self.ctx.now);
        self.on_input(input);
        self.settle();
        self.faults.judge(&mut self.ctx, &mut self.book);
        self.probed.yields(&mut self.ctx);
        Outputs::from(&mut self.ctx.out)
    }

    fn next_deadline(&self) -> Option<Deadline> {
        self.ctx.timers.next()
    }
}

impl Peer {
    /// A peer of `setup`'s swarm. Begin with `Input::Started`.
    #[must_use]
    pub fn new(setup: Setup, signer: BoxedSigner) -> Self {
        Self {
            ctx: Context::new(setup, signer),
            adverts: Adverts::default(),
            book: Book::default(),
            parked: Parked::default(),
            requester: Requester::default(),
            steward: Steward::default(),
            collector: Collector::default(),
            worker: Worker::default(),
            witness: Witness::default(),
            auditor: Auditor::default(),
            faults: Faults::default(),
            prober: Prober::default(),
            probed: Probed::default(),
            in_vain: 0,
        }
    }

    /// Its name.
    #[must_use]
    pub fn key(&self) -> PeerKey {
        self.ctx.me
    }

    /// The peers whose adverts are valid now, ascending by key.
    pub fn known_peers(&self) -> impl Iterator<Item = KnownPeer<'_>> {
        let now = self.ctx.now;
        self.adverts.here().map(move |(advert, heard)| {
            let age_ms = u64::try_from(now.since(heard).as_millis()).unwrap_or(u64::MAX);
            KnownPeer { advert, age_ms }
        })
    }

    /// What this peer has measured of an advert's claims, in the order of its kernels; those that it has probed.
    #[must_use]
    pub fn proofs(&self, advert: &Advert) -> Vec<Proof> {
        self.adverts.proofs_of(advert)
    }

    /// A job's record, if this peer knows it.
    #[must_use]
    pub fn record(&self, job: &JobId) -> Option<&Arc<JobRecord>> {
        self.book.get(job)
    }

    /// What this peer thinks of another, if it has seen anything of it.
    #[must_use]
    pub fn reputation(&self, peer: &PeerKey) -> Option<ReputationView> {
        let standing = self.ctx.reputation.get(peer)?;
        Some(ReputationView::new(*peer, standing, self.ctx.unix_s()))
    }

    fn on_input(&mut self, input: Input) {
        match input {
            Input::Started { unix_s, restored } => self.on_started(unix_s, &restored),
            Input::Tick { unix_s } => {
                self.ctx.set_unix(unix_s);
                self.on_timers();
            }
            Input::Capacity(capacity) => {
                self.adverts.set_capacity(&mut self.ctx, capacity);
                if self.adverts.lent().is_some() {
                    self.worker.ask_soon(&mut self.ctx);
                } else {
                    self.stop_lending();
                }
            }
            Input::Submit(submission) => {
                self.prober.uses(&mut self.ctx, submission.kernel);
                self.requester.submit(
                    &mut self.ctx,
                    &self.adverts,
                    &mut self.book,
                    &mut self.steward,
                    *submission,
                );
            }
            Input::Cancel { job } => {
                self.steward
                    .cancel(&mut self.ctx, &mut self.book, &mut self.collector, job);
            }
            Input::Collect { job } => self.requester.collect(&mut self.ctx, &self.book, job),
            Input::Leave => {
                self.worker.leave(&mut self.ctx);
                self.adverts.goodbye(&mut self.ctx);
                self.ctx.save_reputation();
            }
            Input::Gossip { id, topic, data } => {
                let (steward, collector) = (&self.steward, &self.collector);
                let has_done = |job: &JobId, lease: &LeaseId| {
                    // What is being audited here is judged with that.
                    steward.serves(job) && !collector.is_at(lease)
                };
                let (ctx, book) = (&mut self.ctx, &self.book);
                let verdict = match topic {
                    Topic::Capacity => self.adverts.on_gossip(ctx, &data),
                    Topic::Faults => self.faults.on_gossip(ctx, book, &has_done, &data),
                };
                self.ctx.out.push(Output::Verdict { id, verdict });
            }
            Input::Message { from, bytes } => {
                if let Ok(message) = Message::from_bytes(&bytes) {
                    self.on_message(from, message);
                }
            }
            Input::Undelivered { to } | Input::PeerLost { peer: to } => {
                self.collector.on_undelivered(&mut self.ctx, &to);
                self.steward.on_lost(&to);
            }
            Input::PeerConnected { peer } => self.adverts.introduce(&mut self.ctx, peer),
            Input::Providers { board, peers } => self.on_providers(board, &peers),
            Input::Prepared { job, shape } => self.on_prepared(job, shape),
            Input::Computed { task, result } => self.on_result(task, result),
            Input::Recalled { to, receipt } => {
                self.steward.on_recalled(&mut self.ctx, to, receipt);
            }
            Input::Fetched { task, result } => {
                self.on_result(task, result.map(Computed::tiles));
            }
        }
    }

    /// The device is its owner's again, at once. What has been computed is still witnessed, opened and handed over.
    fn stop_lending(&mut self) {
        self.worker.stop_lending(&mut self.ctx);
        self.auditor.stop_lending(&mut self.ctx);
        self.probed.give_up(&mut self.ctx);
    }

    fn on_started(&mut self, unix_s: u64, restored: &[Record]) {
        self.ctx.set_unix(unix_s);
        for record in restored {
            self.witness.restore(record);
            self.worker.restore(record);
            self.ctx.reputation.restore(record, unix_s);
            self.steward.restore(&mut self.ctx, &mut self.book, record);
        }
        self.steward
            .resume(&mut self.ctx, &mut self.book, &mut self.collector);
        self.adverts.start(&mut self.ctx);
        self.ctx
            .timers
            .set(Timer::Boards, self.ctx.now.after(Duration::from_secs(1)));
    }

    fn on_timers(&mut self) {
        while let Some(timer) = self.ctx.timers.pop(self.ctx.now) {
            match timer {
                Timer::Advert => self.adverts.publish(&mut self.ctx),
                Timer::Sweep => {
                    self.adverts.sweep(&mut self.ctx);
                    let (worker, steward) = (&self.worker, &self.steward);
                    let serves = |job: &JobId| worker.serves(job) || steward.serves(job);
                    self.book.sweep(&mut self.ctx, &serves);
                    self.parked.sweep(self.ctx.now);
                    self.release_ended();
                    self.witness.sweep(self.ctx.unix_s());
                    self.ctx.save_reputation_now_and_then();
                    self.faults.sweep(&mut self.ctx);
                }
                Timer::Boards => self.look_boards_up(),
                Timer::Job(job) => {
                    self.steward.on_timer(
                        &mut self.ctx,
                        &self.adverts,
                        &mut self.book,
                        &mut self.collector,
                        job,
                    );
                }
                Timer::Tell(job) => self.steward.tell(&mut self.ctx, job),
                Timer::Seek(job) => self.requester.seek(&mut self.ctx, job),
                Timer::Case(id) => self.collector.on_timer(&mut self.ctx, &self.adverts, id),
                Timer::Ask(job) => {
                    self.worker.stop_asking(&mut self.ctx, &job);
                    self.ask(job);
                }
                Timer::Work(id) => self.worker.on_timer(&mut self.ctx, id),
                Timer::Audit(id) => self.auditor.forget(&mut self.ctx, id),
                Timer::Probe => self.prober.on_timer(&mut self.ctx, &mut self.adverts),
                Timer::Probed => self.probed.give_up(&mut self.ctx),
            }
            self.settle();
        }
    }

    /// An idle worker looks for jobs that nobody offered it.
    fn look_boards_up(&mut self) {
        self.ctx.timers.set(
            Timer::Boards,
            self.ctx
                .now
                .after(config::BOARD_LOOKUP * (1 << self.in_vain)),
        );
        let Some(capacity) = self.adverts.lent().filter(|_| self.worker.idle()) else {
            return;
        };
        self.in_vain = (self.in_vain + 1).min(config::BOARD_LOOKUP_DOUBLINGS);
        for kernel in &capacity.kernels {
            let board = self.ctx.board(&kernel.class);
            self.ctx.out.push(Output::FindProviders { board });
        }
    }

    fn on_providers(&mut self, board: Hash, peers: &[PeerKey]) {
        if self.requester.on_providers(&mut self.ctx, &board, peers) {
            return;
        }
        let Some(capacity) = self.adverts.capacity() else {
            return;
        };
        let class = capacity.kernels.iter().map(|k| &k.class);
        let Some(class) = class.into_iter().find(|c| self.ctx.board(c) == board) else {
            return;
        };
        let query = Message::BoardQuery {
            class: class.as_str().into(),
        };
        let me = self.ctx.me;
        for peer in peers.iter().filter(|p| **p != me).take(16) {
            self.ctx.send(*peer, &query);
        }
    }

    fn ask(&mut self, job: JobId) {
        let Some(capacity) = self.adverts.capacity() else {
            return;
        };
        let adverts = &self.adverts;
        self.worker
            .ask(&mut self.ctx, job, capacity, &|peer| adverts.is_here(peer));
    }

    fn on_prepared(&mut self, job: JobId, shape: Result<Shape, Reason>) {
        let prepared = self.book.set_prepared(&job, shape) == Prepared::Yes;
        self.worker.on_prepared(&mut self.ctx, &job, prepared);
        if prepared {
            self.steward.on_prepared(&mut self.ctx, &mut self.book, job);
        }
        let own = self.steward.owns(&job);
        self.collector.set_prepared(job, prepared && own);
        for id in self.auditor.of_job(&job) {
            if prepared {
                self.auditor.compute(&mut self.ctx, id);
            } else {
                self.auditor.forget(&mut self.ctx, id);
            }
        }
        if !prepared {
            self.book.forget_failure(&job);
            self.faults.on_unprepared(&mut self.ctx, &job);
        }
    }

    fn on_result(&mut self, task: TaskId, result: Result<Computed, Reason>) {
        match self.ctx.take_task(task) {
            Some(Waiting::Worker(id)) => {
                let Some(capacity) = self.adverts.capacity() else {
                    return;
                };
                let adverts = &self.adverts;
                let knows = |peer: &PeerKey| adverts.is_here(peer);
                self.worker
                    .on_computed(&mut self.ctx, id, result, capacity, &knows);
            }
            Some(Waiting::Auditor(id)) => self.auditor.on_computed(&mut self.ctx, id, result),
            Some(Waiting::Collector(id)) => self.collector.on_result(&mut self.ctx, id, result),
            Some(Waiting::Steward(job, slice)) => {
                let slice = (job, slice);
                self.steward.on_arrived(
                    &mut self.ctx,
                    &mut self.book,
                    &mut self.collector,
                    slice,
                    result,
                );
            }
            Some(Waiting::Ringers(id)) => self.collector.on_ringers(&mut self.ctx, id, result),
            Some(Waiting::Requester(job, slice)) => {
                let slice = (job, slice);
                self.steward.on_computed(
                    &mut self.ctx,
                    &self.adverts,
                    &mut self.book,
                    &mut self.collector,
                    slice,
                    result,
                );
            }
            Some(Waiting::Faults) => {
                let proven = self.faults.on_judged(&mut self.ctx, &self.book, result);
                if let Some(proven) = proven {
                    self.collector.on_refuted(&mut self.ctx, proven.lease);
                    self.settle();
                    self.steward
                        .revoke(&mut self.ctx, proven.worker, proven.job);
                }
            }
            Some(Waiting::Prober) => {
                self.prober
                    .on_checked(&mut self.ctx, &mut self.adverts, result);
            }
            Some(Waiting::Probed) => self.probed.on_computed(&mut self.ctx, result),
            None => {}
        }
    }

    /// What the collector has found out changes the steward's table.
    fn settle(&mut self) {
        loop {
            let outcomes = self.collector.take_outcomes();
            if outcomes.is_empty() {
                return;
            }
            for (id, outcome) in outcomes {
                self.steward.on_outcome(
                    &mut self.ctx,
                    &self.adverts,
                    &mut self.book,
                    &mut self.collector,
                    id,
                    outcome,
                );
            }
        }
    }

    /// Jobs that have ended may go from the shell's memory once the last receipt is in, and the last verdict given: for
    /// another steward, an audit may go on after its requester has ended the job.
    fn release_ended(&mut self) {
        for job in self.book.ended() {
            let audits = !self.auditor.of_job(&job).is_empty();
            if !audits && !self.worker.serves(&job) && !self.steward.serves(&job) {
                self.book.release(&mut self.ctx, &job);
            }
        }
    }
}
