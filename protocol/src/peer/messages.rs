//! Messages on their way to the machine that they are for, and what has to be known first.

use super::Peer;
use crate::bits::Bits;
use crate::book::Prepared;
use crate::config;
use crate::evidence::Commitment;
use crate::hash::{JobId, PeerKey};
use crate::manifest::JobRecord;
use crate::message::{AuditCall, Message};
use crate::reason::Reason;
use crate::signed::Signed;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::sync::Arc;

impl Peer {
    fn on_record(&mut self, from: PeerKey, record: JobRecord) {
        let job = record.id(&self.ctx.swarm);
        let own = record.manifest.body.requester == self.ctx.me;
        if own && !self.requester.seeks(&job) {
            return;
        }
        let fresh = self.book.learn(&self.ctx, record).is_some();
        if fresh {
            // Where there is one job there may be others.
            self.in_vain = 0;
            let soon = self.ctx.now.after(config::BOARD_LOOKUP);
            self.ctx.timers.set_by(Timer::Boards, soon);
        }
        let Some(record) = self
            .book
            .get(&job)
            .filter(|_| fresh || !self.book.is_ended(&job))
            .cloned()
        else {
            return;
        };
        let capacity = self.adverts.lent();
        let lends = capacity.is_some();
        if capacity.is_some_and(|c| self.worker.consider(&self.ctx, &from, job, &record, c)) {
            // Also a second time: what could not be fetched before may be there now.
            let sources = record.sources(&[from]);
            if self.book.prepare(&mut self.ctx, &job, &sources) == Prepared::Yes {
                self.worker.on_prepared(&mut self.ctx, &job, true);
            }
        } else {
            self.worker.reconsider(&mut self.ctx, &from, &job);
        }
        if fresh && own {
            let (ctx, book) = (&mut self.ctx, &mut self.book);
            self.requester
                .found(ctx, book, &mut self.steward, job, &record);
        } else if fresh && lends {
            self.steward
                .appoint(&mut self.ctx, &mut self.book, job, &record);
        }
        for (from, message) in self.parked.take(&job) {
            self.on_message(from, message);
        }
    }

    /// The record of a message's job. Without it the message waits and the sender is asked for it.
    fn record_for(
        &mut self,
        from: PeerKey,
        job: JobId,
        message: &dyn Fn() -> Message,
    ) -> Option<Arc<JobRecord>> {
        let record = self.book.get(&job).cloned();
        if record.is_none()
            && !self.book.is_ended(&job)
            && self.parked.park(self.ctx.now, job, from, message())
        {
            self.ctx.send(from, &Message::RecordRequest { job });
        }
        record
    }

    pub(super) fn on_message(&mut self, from: PeerKey, message: Message) {
        let ctx = &mut self.ctx;
        match message {
            Message::BoardQuery { class } => {
                self.steward.on_board_query(ctx, from, &class);
            }
            Message::Record(record) => self.on_record(from, *record),
            Message::RecordRequest { job } => {
                let record = self.book.get(&job).filter(|r| {
                    r.roster.index(&from).is_some() || r.manifest.body.requester == from
                });
                if let Some(record) = record {
                    self.steward.told(&job, from);
                    ctx.send_again(from, &Message::Record(Box::new((**record).clone())));
                }
            }
            Message::LeaseRequest { job } => {
                self.steward
                    .on_lease_request(ctx, &self.adverts, &mut self.collector, from, job);
            }
            Message::LeaseGrant(lease) => {
                let lends = self.adverts.lent().is_some();
                self.worker.on_grant(ctx, from, *lease, lends);
            }
            Message::LeaseRefusal {
                job,
                reason: _,
                retry_ms,
            } => self.worker.on_refusal(ctx, from, job, retry_ms),
            Message::Commit { commitment, next } => self.on_commit(from, *commitment, next),
            Message::CommitAck { lease } => self.worker.on_commit_ack(ctx, from, lease),
            Message::LockRequest { lease, commitment } => {
                let again = || Message::LockRequest {
                    lease: lease.clone(),
                    commitment: commitment.clone(),
                };
                if let Some(record) = self.record_for(from, lease.body.job, &again) {
                    self.witness
                        .on_lock_request(&mut self.ctx, from, &record, &lease, &commitment);
                }
            }
            Message::Locked(lock) => self.collector.on_locked(ctx, &self.adverts, from, lock),
            Message::LockSet(set) => {
                self.witness.on_lock_set(ctx, from, &set);
                self.worker.on_lock_set(ctx, from, *set);
            }
            Message::Reveal(reveal) => {
                self.collector.on_reveal(ctx, &self.adverts, from, &reveal);
            }
            Message::AuditCall(call) => {
                let job = call.lease.body.job;
                if let Some(record) =
                    self.record_for(from, job, &|| Message::AuditCall(call.clone()))
                {
                    self.on_audit_call(from, &record, *call);
                }
            }
            Message::Seed {
                lease,
                nonces,
                steward_nonce,
            } => {
                self.worker.on_seed(ctx, from, lease, nonces, steward_nonce);
            }
            Message::Seal { lease, digest } => {
                self.collector
                    .on_seal(ctx, &self.adverts, from, lease, digest)
            }
            Message::SealList(list) => {
                self.auditor.on_seal_list(ctx, from, &list);
                self.worker.on_seal_list(ctx, from, *list);
            }
            Message::Opening(opening) => {
                self.auditor.on_opening(ctx, from, &opening);
                self.collector.on_opening(ctx, from, *opening);
            }
            Message::OpeningAck { lease } => self.worker.on_opening_ack(ctx, from, lease),
            Message::OpeningRequest { lease } => self.auditor.on_opening_request(ctx, from, lease),
            Message::Attest { attestation, proof } => {
                let told = proof.clone().filter(|_| !attestation.body.agree);
                let counts = self.collector.on_attest(ctx, from, &attestation, proof);
                if let Some(proof) = told.filter(|_| counts) {
                    self.faults.is_judged_elsewhere(ctx, &proof);
                }
            }
            Message::Audited { lease } => self.worker.on_audited(ctx, from, lease),
            Message::Output {
                lease,
                blob,
                secret,
                bytes,
            } => self
                .collector
                .on_output(ctx, from, lease, blob, secret, bytes),
            Message::Stored(stored) => self.worker.on_stored(ctx, from, &stored),
            Message::Receipt(receipt) => self.worker.on_receipt(ctx, from, receipt),
            Message::LeaseEnded { lease, reason } => {
                self.worker.on_lease_ended(ctx, from, lease, reason);
                self.auditor.on_lease_ended(ctx, from, lease);
                self.collector.on_give_up(ctx, from, lease, reason);
            }
            Message::Advert(advert) => self.adverts.on_handed(ctx, from, *advert),
            Message::JobEnded { job, reason } => self.on_job_ended(from, job, reason),
            Message::Progress { job, done, busy } => self.on_progress(from, job, done, busy),
            Message::SettleRequest { job, slices } => {
                self.steward.on_settle_request(ctx, from, job, &slices);
            }
            Message::Settle {
                receipt,
                blob,
                secret,
            } => self.steward.on_settle(ctx, from, receipt, blob, secret),
            Message::TakeOver(handover) => {
                self.steward
                    .on_take_over(ctx, &self.adverts, &mut self.collector, from, *handover);
            }
            Message::Probe {
                version,
                kernel,
                units,
                probe,
            } => {
                let lent = self.adverts.lent();
                let offer = lent.and_then(|c| c.kernels.iter().find(|k| k.kernel == kernel));
                let claim = offer.map(|k| k.units_per_s.max(1));
                let asked = (version, kernel, units, probe);
                self.probed.on_probe(ctx, from, claim, asked);
            }
            Message::ProbeReply { probe, nonce } => {
                self.prober
                    .on_reply(ctx, &mut self.adverts, from, probe, nonce);
            }
            Message::ProbeStart { probe, nonce } => {
                self.probed.on_start(ctx, from, probe, nonce);
            }
            Message::ProbeDone { probe, tiles } => {
                self.prober
                    .on_done(ctx, &mut self.adverts, from, probe, &tiles);
            }
        }
    }

    /// A job is over when its requester says so; when another steward does, there is nothing more to ask that one for.
    fn on_job_ended(&mut self, from: PeerKey, job: JobId, reason: Reason) {
        let record = self.book.get(&job).filter(|r| r.is_steward(&from));
        let Some(record) = record.cloned() else {
            return;
        };
        let by_requester = record.manifest.body.requester == from;
        if by_requester {
            self.worker.end_job(&mut self.ctx, &job);
            let (ctx, book) = (&mut self.ctx, &mut self.book);
            let ended = (job, reason);
            self.steward
                .on_job_ended(ctx, book, &mut self.collector, from, ended);
        } else {
            self.worker.close(&mut self.ctx, &from, &job);
        }
        let requester = &record.manifest.body.requester;
        let in_use = self.worker.considers(&job) || self.steward.serves(&job);
        // Whom the requester leads no other steward sends home.
        if by_requester || !(in_use || self.adverts.is_here(requester)) {
            self.book.end(&self.ctx, &job);
        }
        self.release_ended();
    }

    /// Another steward tells how far a job is, maybe before the record that appoints this peer has come.
    fn on_progress(&mut self, from: PeerKey, job: JobId, done: Bits, busy: Bits) {
        let again = || Message::Progress {
            job,
            done: done.clone(),
            busy: busy.clone(),
        };
        if self.book.is_ended(&job) {
            let reason = Reason::JobDone;
            self.ctx.send(from, &Message::JobEnded { job, reason });
        } else if self.record_for(from, job, &again).is_some() {
            self.steward
                .on_progress(&mut self.ctx, from, job, (done, busy));
        }
    }

    /// A commitment may ask for the next lease: for the steward as if a request had come right after it.
    fn on_commit(&mut self, from: PeerKey, commitment: Signed<Commitment>, next: bool) {
        let ctx = &mut self.ctx;
        let job = self
            .collector
            .on_commit(ctx, &self.adverts, from, commitment);
        if let Some(job) = job.filter(|_| next) {
            self.settle();
            self.steward.on_lease_request(
                &mut self.ctx,
                &self.adverts,
                &mut self.collector,
                from,
                job,
            );
        }
    }

    fn on_audit_call(&mut self, from: PeerKey, record: &Arc<JobRecord>, call: AuditCall) {
        let id = call.lease.body.id(&self.ctx.swarm);
        let (job, worker) = (call.lease.body.job, call.lease.body.worker);
        let lends = self.adverts.lent().is_some();
        if !self
            .auditor
            .on_call(&mut self.ctx, from, record, call, lends)
        {
            return;
        }
        let sources = record.sources(&[from, worker]);
        match self.book.prepare(&mut self.ctx, &job, &sources) {
            Prepared::Yes => self.auditor.compute(&mut self.ctx, id),
            Prepared::No | Prepared::Asked => {}
            Prepared::Failed => self.auditor.forget(&mut self.ctx, id),
        }
    }
}
