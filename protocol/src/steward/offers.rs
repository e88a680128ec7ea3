//! Who is told of a job: at first few, then all, and whoever asks. All of them are told of its end.

use super::{Job, Steward};
use crate::config;
use crate::context::Context;
use crate::hash::{JobId, PeerKey};
use crate::message::Message;
use crate::reason::Reason;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Peers that get a job offered directly; the others find it on the board.
pub(super) const MAX: usize = 64;
/// At first it is offered to this many for each slice, and some to spare: whoever finds nothing open has been dialled,
/// told and refused for nothing. If they do not take it, to all.
const PER_SLICE: usize = 2;
/// See [`PER_SLICE`].
const SPARE: usize = 8;

/// Leaves out whoever was caught, as a worker or as an auditor, or claims much more than it does, as far as there are
/// enough others for full committees.
pub(crate) fn leave_out(
    ctx: &mut Context,
    struck: &dyn Fn(&PeerKey) -> bool,
    able: &mut Vec<(u64, PeerKey, u64)>,
) {
    let now_s = ctx.unix_s();
    let mut bad = |p: &PeerKey| {
        let reputation = &mut ctx.reputation;
        let avoided = reputation.avoids(p);
        avoided || reputation.is_convicted(p, now_s) || reputation.is_unfit(p, now_s) || struck(p)
    };
    let peers = able.iter().map(|(_, peer, _)| *peer);
    let marked: BTreeSet<PeerKey> = peers.filter(|p| bad(p)).collect();
    let marked = |p: &PeerKey| marked.contains(p);
    let good = able.iter().filter(|(_, peer, _)| !marked(peer)).count();
    let mut room = config::ROSTER_ENOUGH.saturating_sub(good);
    able.retain(|(_, peer, _)| {
        let stays = !marked(peer) || room > 0;
        room -= usize::from(stays && marked(peer));
        stays
    });
}

/// Whom a job is offered, in this order: of each four the three fastest that are left, and a newcomer at random, or else
/// nobody slow would ever be trusted; whoever was caught, or claims much more than it does, comes last.
pub(crate) fn order(
    ctx: &mut Context,
    class: &str,
    struck: &dyn Fn(&PeerKey) -> bool,
    fastest_first: impl Iterator<Item = PeerKey>,
) -> Vec<PeerKey> {
    let now_s = ctx.unix_s();
    let caught = |p: &PeerKey| ctx.reputation.is_convicted(p, now_s) || struck(p);
    let (caught, good): (Vec<_>, Vec<_>) = fastest_first.partition(caught);
    let newcomer = |p: &PeerKey| ctx.reputation.is_newcomer(p, class, now_s);
    let mut newcomers: Vec<_> = good.iter().copied().filter(newcomer).collect();
    let (mut order, mut taken) = (Vec::new(), BTreeSet::new());
    let mut fastest = good.iter();
    while order.len() < MAX {
        newcomers.retain(|p| !taken.contains(p));
        // The second of four, so that a quarter of however many are newcomers.
        let drawn = order.len() % config::NEWCOMERS_OFFERED == 1 && !newcomers.is_empty();
        let next = if drawn {
            let at = ctx.below(newcomers.len() as u32) as usize;
            Some(newcomers.swap_remove(at))
        } else {
            fastest.find(|p| !taken.contains(*p)).copied()
        };
        let Some(next) = next else { break };
        taken.insert(next);
        order.push(next);
    }
    order.extend(caught);
    order.truncate(MAX);
    order
}

/// Those that are offered a job of so many slices at first, and those that are if they do not take it.
pub(super) fn first(slices: u32, mut peers: Vec<PeerKey>) -> (Vec<PeerKey>, Vec<PeerKey>) {
    let first = (slices as usize)
        .saturating_mul(PER_SLICE)
        .saturating_add(SPARE);
    let others = peers.split_off(first.min(peers.len()));
    (peers, others)
}

impl Job {
    pub(super) fn involve(&mut self, peer: PeerKey) {
        if !self.involved.contains(&peer) && self.involved.len() < config::ROSTER_MAX {
            self.involved.push(peer);
        }
    }

    /// It is to be offered to all that it can be offered to.
    pub(super) fn involve_others(&mut self) {
        for peer in core::mem::take(&mut self.others) {
            self.involve(peer);
        }
    }
}

impl Steward {
    /// Offers the job to those who may take it, once the log has it.
    pub(super) fn offer(&self, ctx: &mut Context, job: &JobId) {
        let Some(entry) = self.jobs.get(job) else {
            return;
        };
        let message = Message::Record(Box::new((*entry.table.record).clone()));
        for peer in entry.involved.iter().filter(|p| entry.table.accepts(p)) {
            ctx.send_again(*peer, &message);
        }
        // Nobody needs to wait for what no life of this peer knows any more.
        for (lease, worker) in &entry.void {
            let (lease, reason) = (*lease, Reason::LeaseExpired);
            ctx.send(*worker, &Message::LeaseEnded { lease, reason });
        }
    }

    /// The open jobs of a class that name the asker in their roster and would lease to it.
    pub(crate) fn on_board_query(&self, ctx: &mut Context, from: PeerKey, class: &str) {
        let open = self.jobs.values().filter(|j| {
            j.ready
                && j.record().manifest.body.class == class
                && j.record().roster.index(&from).is_some()
                && j.table.accepts(&from)
                && j.table.has_open()
        });
        let found: Vec<_> = open.take(4).map(|j| (**j.record()).clone()).collect();
        for record in found {
            ctx.send_again(from, &Message::Record(Box::new(record)));
        }
    }

    /// `peer` has asked for the record of a job.
    pub(crate) fn told(&mut self, job: &JobId, peer: PeerKey) {
        if let Some(entry) = self.jobs.get_mut(job) {
            entry.involve(peer);
        }
    }
}
