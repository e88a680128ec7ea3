//! What this peer has seen of others itself: as workers by class of kernels, and as witnesses and auditors.
//!
//! | seen of a worker, in a class | its consecutive valid slices (CV) |
//! |---|---|
//! | a receipt that this peer collected, with its bytes | one more |
//! | an audit of its own that agreed | one more |
//! | refuted, wrong output, two roots, no opening | 0 |
//! | nothing valid for seven days, and for each seven more | half |
//!
//! Nothing is taken from anybody's word, and nothing is told to others. Invariants: a table of this size is all that
//! strangers can fill, and room for somebody unknown is never made by forgetting whoever was caught lying; the log's
//! latest record of each peer gives the table back.

mod view;

pub use view::{AuditorView, Cause, ClassView, ReputationView};

use crate::config;
use crate::context::Context;
use crate::hash::PeerKey;
use crate::io::Record;
use crate::manifest::{Intensity, JobRecord, Manifest};
use crate::reason::Reason;
use crate::text::{Text, cut};
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One thing that this peer saw another do in a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// A worker: this peer collected its slice, whose audit or own recomputation held.
    Valid,
    /// A worker: the tiles that this peer drew as an auditor were right.
    Audited,
    /// A worker: blamed for this reason.
    Caught(Reason),
    /// A witness or an auditor: it did what it owed.
    Answered,
    /// A witness or an auditor: it said nothing in time.
    Silent,
    /// An auditor: it agreed to what it had not sealed, so it had not computed it.
    Void,
    /// An auditor: it accused an honest worker.
    FalseAccusation,
}

/// A worker in one class of kernels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Work {
    class: Text<16>,
    cv: u32,
    /// For whom those were, as many as trust needs.
    requesters: Vec<PeerKey>,
    /// Receipts, own audits and blame of all time.
    valid: u32,
    audited: u32,
    failed: u32,
    /// Unix second of the last valid one.
    seen_s: u64,
}

impl Work {
    fn cv(&self, now_s: u64) -> u32 {
        halved(self.cv, self.seen_s, config::CV_HALVES_S, now_s)
    }
}

/// A witness and auditor: whether it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Duty {
    answered: u32,
    silent: u32,
    seen_s: u64,
}

impl Duty {
    /// As it counts now.
    fn at(&self, now_s: u64) -> Self {
        let left = |n| halved(n, self.seen_s, config::CV_HALVES_S, now_s);
        Self {
            answered: left(self.answered),
            silent: left(self.silent),
            ..*self
        }
    }
}

/// An auditor: what its word is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Word {
    void: u32,
    false_accusations: u32,
    marked_s: u64,
}

impl Word {
    fn at(&self, now_s: u64) -> Self {
        let left = |n| halved(n, self.marked_s, config::MARKS_HALVE_S, now_s);
        Self {
            void: left(self.void),
            false_accusations: left(self.false_accusations),
            ..*self
        }
    }
}

/// Blame of a worker, in whatever class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Marks {
    lied: u32,
    /// No opening: a peer that was killed at the wrong moment looks like one that hides what was drawn.
    withheld: u32,
    marked_s: u64,
    last: Option<Reason>,
}

impl Marks {
    fn at(&self, now_s: u64) -> Self {
        let left = |n| halved(n, self.marked_s, config::MARKS_HALVE_S, now_s);
        Self {
            lied: left(self.lied),
            withheld: left(self.withheld),
            ..*self
        }
    }
}

/// `count` as it is now: half for every `span_s` since. A clock that was set back takes nothing away.
fn halved(count: u32, since_s: u64, span_s: u64, now_s: u64) -> u32 {
    let times = u32::try_from(now_s.saturating_sub(since_s) / span_s).unwrap_or(u32::MAX);
    count.checked_shr(times).unwrap_or(0)
}

/// All that is known of one peer; opaque to the shell, which keeps it in its log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    work: Vec<Work>,
    duty: Duty,
    word: Word,
    marks: Marks,
}

impl Standing {
    fn class(&self, class: &str) -> Option<&Work> {
        self.work.iter().find(|w| &*w.class == class)
    }

    /// The worker's entry of a class; of too many classes the one with the least to tell goes.
    fn class_mut(&mut self, class: &str) -> &mut Work {
        let at = self.work.iter().position(|w| &*w.class == class);
        let at = at.unwrap_or_else(|| {
            if self.work.len() >= config::REPUTATION_CLASSES_MAX {
                let told = |w: &Work| (w.failed, w.valid.saturating_add(w.audited), w.seen_s);
                let least = self.work.iter().enumerate().min_by_key(|(_, w)| told(w));
                let least = least.map_or(0, |(i, _)| i);
                self.work.remove(least);
            }
            self.work.push(Work {
                class: cut(class),
                ..Work::default()
            });
            self.work.len() - 1
        });
        &mut self.work[at]
    }

    fn saw(&mut self, class: &str, requester: PeerKey, deed: Deed, now_s: u64) {
        let plus = |n: &mut u32| *n = n.saturating_add(1);
        match deed {
            Deed::Valid | Deed::Audited => {
                let work = self.class_mut(class);
                work.cv = work.cv(now_s).saturating_add(1);
                work.seen_s = now_s;
                plus(if deed == Deed::Valid {
                    &mut work.valid
                } else {
                    &mut work.audited
                });
                let known = work.requesters.contains(&requester);
                if !known && work.requesters.len() < config::TRUSTED_REQUESTERS {
                    work.requesters.push(requester);
                }
            }
            Deed::Caught(reason) => {
                let work = self.class_mut(class);
                work.cv = 0;
                work.requesters.clear();
                plus(&mut work.failed);
                self.marks = self.marks.at(now_s);
                plus(if reason == Reason::NoOpening {
                    &mut self.marks.withheld
                } else {
                    &mut self.marks.lied
                });
                (self.marks.marked_s, self.marks.last) = (now_s, Some(reason));
            }
            Deed::Answered | Deed::Silent => {
                self.duty = self.duty.at(now_s);
                self.duty.seen_s = now_s;
                plus(if deed == Deed::Answered {
                    &mut self.duty.answered
                } else {
                    &mut self.duty.silent
                });
            }
            Deed::Void | Deed::FalseAccusation => {
                self.word = self.word.at(now_s);
                self.word.marked_s = now_s;
                plus(if deed == Deed::Void {
                    &mut self.word.void
                } else {
                    &mut self.word.false_accusations
                });
            }
        }
    }

    /// Caught lying, or hiding what was drawn more than once, and not long ago.
    fn is_convicted(&self, now_s: u64) -> bool {
        let marks = self.marks.at(now_s);
        marks.lied > 0 || marks.withheld >= config::WITHHELD_FORGIVEN
    }

    /// What it says as an auditor is worth nothing.
    fn is_unfit(&self, now_s: u64) -> bool {
        let word = self.word.at(now_s);
        word.void > 0 || word.false_accusations > 0
    }

    /// The CV of whoever is audited less than a newcomer.
    fn trust(&self, class: &str, now_s: u64) -> Option<u32> {
        let work = self.class(class).filter(|_| !self.is_convicted(now_s))?;
        let cv = work.cv(now_s);
        let enough =
            cv >= config::TRUSTED_CV && work.requesters.len() >= config::TRUSTED_REQUESTERS;
        enough.then_some(cv)
    }

    /// By how much it would be missed now: whoever lied most of all, then by all that was seen, then by how lately. What
    /// was seen fades as marks do: else nobody new would take the place of whoever was busy years ago.
    fn worth(&self, now_s: u64) -> (bool, bool, u64, u64) {
        let (marks, duty, said) = (
            self.marks.at(now_s),
            self.duty.at(now_s),
            self.word.at(now_s),
        );
        let sum = |w: &Work| {
            let all = w.valid.saturating_add(w.audited).saturating_add(w.failed);
            u64::from(halved(all, w.seen_s, config::MARKS_HALVE_S, now_s))
        };
        let seen: u64 = self.work.iter().map(sum).sum();
        let answers = u64::from(duty.answered) + u64::from(duty.silent);
        let last = self.work.iter().map(|w| w.seen_s).max().unwrap_or(0);
        let last = last.max(duty.seen_s).max(said.marked_s);
        (
            marks.lied > 0,
            marks.withheld > 0 || said.void > 0 || said.false_accusations > 0,
            seen + answers,
            last.max(marks.marked_s),
        )
    }

    /// What a damaged log may hold is cut to what this peer would have noted.
    fn within_bounds(mut self) -> Self {
        self.work.truncate(config::REPUTATION_CLASSES_MAX);
        for work in &mut self.work {
            work.requesters.truncate(config::TRUSTED_REQUESTERS);
        }
        self
    }
}

/// Puts a standing into a table of at most [`config::REPUTATION_MAX`]; the one of least worth now goes, maybe this one.
/// The shell uses it for what it hands back at start.
pub fn keep(
    table: &mut BTreeMap<PeerKey, Standing>,
    peer: PeerKey,
    standing: Standing,
    now_s: u64,
) {
    table.insert(peer, standing);
    if table.len() > config::REPUTATION_MAX {
        let least = table.iter().min_by_key(|(_, s)| s.worth(now_s));
        if let Some(least) = least.map(|(peer, _)| *peer) {
            table.remove(&least);
        }
    }
}

#[derive(Default)]
pub(crate) struct Reputation {
    table: BTreeMap<PeerKey, Standing>,
    /// Whose latest standing the log does not have yet.
    unsaved: BTreeSet<PeerKey>,
    /// When it was told last.
    saved: Time,
    /// Accused by proofs that this peer has not recomputed, and whether somebody here has to deal with them.
    suspects: BTreeMap<PeerKey, bool>,
}

impl Reputation {
    /// Takes back what the log holds.
    pub(crate) fn restore(&mut self, record: &Record, now_s: u64) {
        if let Record::Standing { peer, standing } = record {
            let standing = (**standing).clone().within_bounds();
            keep(&mut self.table, *peer, standing, now_s);
        }
    }

    pub(crate) fn get(&self, peer: &PeerKey) -> Option<&Standing> {
        self.table.get(peer)
    }

    pub(crate) fn is_convicted(&self, peer: &PeerKey, now_s: u64) -> bool {
        self.get(peer).is_some_and(|s| s.is_convicted(now_s))
    }

    /// It stands accused: it is avoided until this peer knows.
    pub(crate) fn suspect(&mut self, peer: PeerKey) {
        self.suspects.entry(peer).or_default();
    }

    pub(crate) fn clear(&mut self, peer: &PeerKey) {
        self.suspects.remove(peer);
    }

    /// Whether it stands accused; whoever asks has to deal with it, so that the accusation is looked into.
    pub(crate) fn avoids(&mut self, peer: &PeerKey) -> bool {
        self.suspects.get_mut(peer).map(|w| *w = true).is_some()
    }

    pub(crate) fn wants(&mut self, peer: PeerKey) {
        self.suspects.insert(peer, true);
    }

    /// Those that somebody here has to deal with.
    pub(crate) fn wanted(&self) -> Vec<PeerKey> {
        let wanted = self.suspects.iter().filter(|(_, wanted)| **wanted);
        wanted.map(|(peer, _)| *peer).collect()
    }

    /// Whether nobody should rest a receipt on its word.
    pub(crate) fn is_unfit(&self, peer: &PeerKey, now_s: u64) -> bool {
        self.get(peer).is_some_and(|s| s.is_unfit(now_s))
    }

    /// Nothing bad is known of it, and too little good to trust it.
    pub(crate) fn is_newcomer(&self, peer: &PeerKey, class: &str, now_s: u64) -> bool {
        self.get(peer)
            .is_none_or(|s| !s.is_convicted(now_s) && s.trust(class, now_s).is_none())
    }

    /// How strongly `worker` is to be audited by `e` others: less than a newcomer if it is trusted, and its job's floor
    /// allows it.
    pub(crate) fn intensity(
        &self,
        worker: &PeerKey,
        manifest: &Manifest,
        e: usize,
        now_s: u64,
    ) -> Intensity {
        let trust = |s: &Standing| s.trust(&manifest.class, now_s);
        let cv = self.get(worker).and_then(trust);
        let trusted = cv.map(|cv| Intensity::trusted(e, cv));
        trusted
            .filter(|i| i.meets(&manifest.floor, e))
            .unwrap_or_else(|| Intensity::newcomer(e))
    }

    fn saw(&mut self, peer: PeerKey, record: &JobRecord, deed: Deed, now_s: u64) {
        let manifest = &record.manifest.body;
        let mut standing = self.table.remove(&peer).unwrap_or_default();
        standing.saw(&manifest.class, manifest.requester, deed, now_s);
        keep(&mut self.table, peer, standing, now_s);
        if self.unsaved.len() >= config::REPUTATION_MAX {
            self.unsaved.retain(|peer| self.table.contains_key(peer));
        }
        self.unsaved.insert(peer);
    }

    /// What the log does not have yet.
    fn take_unsaved(&mut self) -> Vec<Record> {
        let unsaved = core::mem::take(&mut self.unsaved).into_iter();
        let record = |peer| {
            let standing = Box::new(self.table.get(&peer)?.clone());
            Some(Record::Standing { peer, standing })
        };
        unsaved.filter_map(record).collect()
    }
}

impl Context {
    /// Notes what this peer saw `peer` do in a job. Blame is logged at once, all else within minutes: what a crash
    /// takes then only makes this peer more careful.
    pub(crate) fn saw(&mut self, peer: PeerKey, record: &JobRecord, deed: Deed) {
        let now_s = self.unix_s();
        self.reputation.saw(peer, record, deed, now_s);
        match deed {
            Deed::Caught(_) | Deed::Void | Deed::FalseAccusation => self.save_reputation(),
            Deed::Valid | Deed::Audited | Deed::Answered | Deed::Silent => {}
        }
    }

    /// Logs what was seen since the last time, unless that was a moment ago.
    pub(crate) fn save_reputation_now_and_then(&mut self) {
        if self.now >= self.reputation.saved.after(config::REPUTATION_SAVE) {
            self.save_reputation();
        }
    }

    /// Logs what was seen since it was last called.
    pub(crate) fn save_reputation(&mut self) {
        self.reputation.saved = self.now;
        for record in self.reputation.take_unsaved() {
            self.persist(record);
        }
    }
}

#[cfg(test)]
mod tests;
