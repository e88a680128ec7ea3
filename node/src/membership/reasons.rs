//! Why somebody does not get in, as one of this program's reasons.

use starling_protocol::Genesis;
use starling_protocol::admission::{InvitationError, NotAdmitted, Refusal};

use crate::driver::unix_s;
use crate::reason::Reason;

pub(super) fn without(genesis: &Genesis, issues: bool) -> Reason {
    let what = format!(
        "the swarm {:?} is closed, and this home has no certificate of it",
        genesis.name
    );
    let fix = match issues {
        true => "`starling up` gives it another: it holds the admission key",
        false => Refusal::Malformed.fix(),
    };
    Reason::new("no_certificate", what, fix)
}

/// What is wrong with a home's own certificate.
pub(super) fn own_refused(refusal: Refusal, genesis: &Genesis) -> Reason {
    let what = format!(
        "this home does not get into the swarm {:?}: {refusal}",
        genesis.name
    );
    Reason::new(refusal.code(), what, refusal.fix())
}

impl From<InvitationError> for Reason {
    fn from(error: InvitationError) -> Self {
        let fix = match error {
            InvitationError::Cut | InvitationError::Prefix => {
                "copy the whole code, from STARLING1 on"
            }
            InvitationError::Version | InvitationError::Genesis(_) => {
                "use the same version of starling on both machines"
            }
            InvitationError::Open => "ask for the swarm's file, and `starling swarm join FILE`",
        };
        Self::new("bad_invitation", error.to_string(), fix)
    }
}

impl From<NotAdmitted> for Reason {
    fn from(error: NotAdmitted) -> Self {
        let (NotAdmitted::ByThem(refusal) | NotAdmitted::ByUs(refusal)) = error;
        let reason = Self::new(refusal.code(), error.to_string(), refusal.fix());
        match refusal {
            Refusal::Expired { now_s } | Refusal::InvitationExpired { now_s } => reason
                .with("their_clock_s", now_s)
                .with("clock_s", unix_s()),
            _ => reason,
        }
    }
}
