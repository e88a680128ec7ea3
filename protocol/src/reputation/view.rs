//! What people are shown of a peer's reputation: the figures as they count now, and what follows from them.

use super::Standing;
use crate::config;
use crate::hash::PeerKey;
use crate::reason::Reason;
use crate::text::Text;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// A worker in one class of kernels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassView {
    /// Which.
    pub class: Text<16>,
    /// Consecutive valid slices, half for every seven days without one.
    pub cv: u32,
    /// Requesters among those, counted up to three.
    pub requesters: u8,
    /// Whether it is audited less than a newcomer.
    pub trusted: bool,
    /// Receipts that this peer collected of it.
    pub valid: u32,
    /// Own audits of it that agreed.
    pub audited: u32,
    /// Times that it was blamed.
    pub failed: u32,
}

/// A witness and auditor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditorView {
    /// Answers.
    pub answered: u32,
    /// Silences.
    pub silent: u32,
    /// Agreements to what it had not sealed.
    pub void: u32,
    /// Accusations of honest workers.
    pub false_accusations: u32,
}

/// Why a peer is treated as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// It was caught lying.
    Lied {
        /// So often, half for every thirty days.
        times: u32,
        /// The last time.
        reason: Reason,
        /// Unix second of the last time.
        at_s: u64,
    },
    /// It withheld its opening.
    Withheld {
        /// So often, half for every thirty days.
        times: u32,
        /// Unix second of the last time.
        at_s: u64,
    },
    /// As an auditor it agrees to what it has not computed.
    Lazy {
        /// So often, half for every thirty days.
        times: u32,
    },
    /// As an auditor it accused honest workers.
    FalseAccuser {
        /// So often, half for every thirty days.
        times: u32,
    },
    /// As a witness or auditor it is silent more often than not.
    OftenSilent,
    /// It is audited less than a newcomer.
    Trusted {
        /// In which class.
        class: Text<16>,
    },
    /// Too few consecutive valid slices to be trusted.
    FewSlices {
        /// In which class.
        class: Text<16>,
        /// It has so many.
        cv: u32,
    },
    /// Its slices were for too few requesters to be trusted.
    FewRequesters {
        /// In which class.
        class: Text<16>,
        /// For so many.
        requesters: u8,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lied { times, reason, .. } => write!(f, "caught lying ({times}x): {reason}"),
            Self::Withheld { times, .. } => write!(f, "withheld its opening ({times}x)"),
            Self::Lazy { times } => write!(f, "agreed to what it had not computed ({times}x)"),
            Self::FalseAccuser { times } => write!(f, "accused honest workers ({times}x)"),
            Self::OftenSilent => f.write_str("often silent as a witness or auditor"),
            Self::Trusted { class } => write!(f, "trusted in {class}: audited less"),
            Self::FewSlices { class, cv } => write!(
                f,
                "newcomer in {class}: {cv} of {} consecutive valid slices",
                config::TRUSTED_CV
            ),
            Self::FewRequesters { class, requesters } => write!(
                f,
                "newcomer in {class}: slices for {requesters} of {} requesters",
                config::TRUSTED_REQUESTERS
            ),
        }
    }
}

/// What one peer thinks of another, from what it saw itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReputationView {
    /// Of whom.
    pub peer: PeerKey,
    /// Caught not long ago: offered work last, and kept out of rosters that are full without it.
    pub convicted: bool,
    /// Its word as an auditor counts for nothing: kept out of such rosters too.
    pub unfit: bool,
    /// As a worker.
    pub classes: Vec<ClassView>,
    /// As a witness and auditor.
    pub auditor: AuditorView,
    /// What follows, the worst first.
    pub causes: Vec<Cause>,
}

impl ReputationView {
    pub(crate) fn new(peer: PeerKey, standing: &Standing, now_s: u64) -> Self {
        let class = |w: &super::Work| ClassView {
            class: w.class,
            cv: w.cv(now_s),
            requesters: w.requesters.len() as u8,
            trusted: standing.trust(&w.class, now_s).is_some(),
            valid: w.valid,
            audited: w.audited,
            failed: w.failed,
        };
        let (duty, word) = (standing.duty.at(now_s), standing.word.at(now_s));
        let mut view = Self {
            peer,
            convicted: standing.is_convicted(now_s),
            unfit: standing.is_unfit(now_s),
            classes: standing.work.iter().map(class).collect(),
            auditor: AuditorView {
                answered: duty.answered,
                silent: duty.silent,
                void: word.void,
                false_accusations: word.false_accusations,
            },
            causes: Vec::new(),
        };
        view.causes = view.why(standing, now_s);
        view
    }

    fn why(&self, standing: &Standing, now_s: u64) -> Vec<Cause> {
        let (marks, duty) = (standing.marks.at(now_s), self.auditor);
        let at_s = marks.marked_s;
        let reason = marks.last.unwrap_or(Reason::Refuted);
        let (lied, withheld) = (marks.lied, marks.withheld);
        let of_all = [
            (lied > 0).then_some(Cause::Lied {
                times: lied,
                reason,
                at_s,
            }),
            (withheld > 0).then_some(Cause::Withheld {
                times: withheld,
                at_s,
            }),
            (duty.void > 0).then_some(Cause::Lazy { times: duty.void }),
            (duty.false_accusations > 0).then_some(Cause::FalseAccuser {
                times: duty.false_accusations,
            }),
            (duty.silent > duty.answered).then_some(Cause::OftenSilent),
        ];
        let in_class = |of: &ClassView| {
            let (class, cv, requesters) = (of.class, of.cv, of.requesters);
            if of.trusted {
                Cause::Trusted { class }
            } else if cv < config::TRUSTED_CV {
                Cause::FewSlices { class, cv }
            } else {
                Cause::FewRequesters { class, requesters }
            }
        };
        let classes = self.classes.iter();
        // Whoever was caught is none the better for enough slices.
        let classes = classes.filter(|c| !self.convicted || c.cv < config::TRUSTED_CV);
        of_all
            .into_iter()
            .flatten()
            .chain(classes.map(in_class))
            .collect()
    }
}
