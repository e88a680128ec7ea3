//! Who belongs to a closed swarm: certificates, revocations and invitations, and what two peers say to each other
//! about them before anything else.
//!
//! A closed swarm's genesis names an admission key. Whoever holds it is the *issuer*: it signs a [`Certificate`] for
//! each home that redeems an invitation, and a list of those that it takes back. [`Door`] judges; it has no clock, no
//! socket and no file. An open swarm has no admission key, and none of this.
//!
//! The exchange is one message each way, on the first stream of a connection whose ends have proven their keys: the
//! dialer's [`Greeting`], then the listener's [`Answer`]. A stranger learns nothing but that it was refused.

mod code;
mod door;
mod issuer;

use crate::config::{CREDENTIAL_MAX, REVOCATIONS_MAX};
use crate::hash::{Hash, PeerKey, SwarmId};
use crate::signed::{Fact, Signed};
use crate::text::Text;
use crate::{codec, crypto::Verifier};
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

pub use code::{Entrance, Invitation, InvitationError};
pub use door::{Admitted, Door, NotAdmitted, Reply};
pub use issuer::{Enrolled, Invited, Issuer, IssuerError, Ledger};

/// Admits one home: its lending peer, and the requester of the same home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The lending peer.
    pub peer: PeerKey,
    /// The requester beside it.
    pub requester: Option<PeerKey>,
    /// What people call the home.
    pub name: Text<32>,
    /// Seconds since 1970 when it ends.
    pub until_s: u64,
}

impl Fact for Certificate {
    const CONTEXT: &'static str = "starling 2026-11 certificate v1";
}

impl Certificate {
    /// Whether it admits that key.
    #[must_use]
    pub fn names(&self, key: &PeerKey) -> bool {
        self.peer == *key || self.requester == Some(*key)
    }
}

/// A certificate's name: the first half of its digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CertificateId([u8; 16]);

impl CertificateId {
    /// Of a certificate in a swarm.
    #[must_use]
    pub fn of(certificate: &Certificate, swarm: &SwarmId) -> Self {
        let digest = certificate.digest(swarm);
        let mut id = [0; 16];
        id.copy_from_slice(&digest.0[..16]);
        Self(id)
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Certificates that the issuer has taken back. A list replaces every one of a lower number; what has expired anyway
/// is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    /// Counts from 1.
    pub number: u32,
    /// Ascending, at most [`REVOCATIONS_MAX`].
    pub revoked: Vec<CertificateId>,
}

impl Fact for Revocations {
    const CONTEXT: &'static str = "starling 2026-11 revocations v1";
}

/// Whether the admission key has signed a list, and it is one.
///
/// # Errors
/// [`Refusal::Malformed`], [`Refusal::Foreign`].
fn genuine(
    list: &Signed<Revocations>,
    swarm: &SwarmId,
    admission: &PeerKey,
    verifier: &dyn Verifier,
) -> Result<(), Refusal> {
    let revoked = &list.body.revoked;
    if revoked.len() > REVOCATIONS_MAX || !revoked.is_sorted_by(|a, b| a < b) {
        return Err(Refusal::Malformed);
    }
    if list.verify(swarm, verifier, admission) {
        Ok(())
    } else {
        Err(Refusal::Foreign)
    }
}

/// What a member shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Papers {
    /// Its certificate.
    pub certificate: Signed<Certificate>,
    /// The newest list of revocations that it knows: lists reach whoever was away with the first connection.
    pub revocations: Option<Signed<Revocations>>,
}

/// Says that a key belongs to the same home as another; signed by the former.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Companion {
    /// The requester that signs.
    pub requester: PeerKey,
    /// The lending peer.
    pub peer: PeerKey,
}

impl Fact for Companion {
    const CONTEXT: &'static str = "starling 2026-11 companion v1";
}

/// An invitation's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InvitationId(pub [u8; 8]);

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// What opens an invitation.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationSecret(pub [u8; 16]);

impl InvitationSecret {
    /// What the issuer keeps of it.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::derive("starling 2026-11 invitation secret v1", &[&self.0])
    }
}

impl fmt::Debug for InvitationSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationSecret(..)")
    }
}

/// A wish to become a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joining {
    /// By which invitation.
    pub invitation: InvitationId,
    /// The proof of having it.
    pub secret: InvitationSecret,
    /// What people shall call the home.
    pub name: Text<32>,
    /// The home's requester.
    pub companion: Option<Signed<Companion>>,
}

/// The dialer's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Greeting {
    /// A member.
    Member(Papers),
    /// Wants to become one; the connection ends with the answer.
    Joining(Joining),
}

/// The listener's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The dialer is let in, and sees whom it has dialled.
    Member(Papers),
    /// The dialer has become a member.
    Joined(Papers),
    /// Neither. Who was a member is shown the list that says so.
    Refused(Refusal, Option<Signed<Revocations>>),
}

impl Answer {
    fn bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

impl Greeting {
    /// As it travels.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

fn decode<T: Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    codec::decode(bytes, CREDENTIAL_MAX).map_err(|_| Refusal::Malformed)
}

/// A newcomer's part: what the issuer's answer to a [`Joining`] is worth.
///
/// # Errors
/// [`NotAdmitted`].
pub fn on_joined(
    swarm: &SwarmId,
    admission: &PeerKey,
    peer: &PeerKey,
    bytes: &[u8],
) -> Result<Papers, NotAdmitted> {
    let papers = match decode(bytes).map_err(NotAdmitted::ByUs)? {
        Answer::Joined(papers) => papers,
        Answer::Member(_) => return Err(NotAdmitted::ByUs(Refusal::Malformed)),
        Answer::Refused(refusal, _) => return Err(NotAdmitted::ByThem(refusal)),
    };
    let verifier = crate::crypto::Ed25519Verifier;
    let certificate = &papers.certificate;
    if !certificate.verify(swarm, &verifier, admission) {
        return Err(NotAdmitted::ByUs(Refusal::Foreign));
    }
    if certificate.body.peer != *peer {
        return Err(NotAdmitted::ByUs(Refusal::NotYours));
    }
    if let Some(list) = &papers.revocations {
        genuine(list, swarm, admission, &verifier).map_err(NotAdmitted::ByUs)?;
    }
    Ok(papers)
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no greeting: a peer without certificate, or of another swarm.
    #[error("no certificate of this swarm was shown")]
    Malformed,
    /// The admission key has not signed it.
    #[error("the certificate is of another swarm")]
    Foreign,
    /// It names other keys.
    #[error("the certificate belongs to another peer")]
    NotYours,
    /// It has ended, by the clock of who refuses.
    #[error("the certificate has expired: there it is {now_s} s after 1970")]
    Expired {
        /// That clock.
        now_s: u64,
    },
    /// The issuer has taken it back.
    #[error("the certificate was revoked")]
    Revoked,
    /// It does not hold the admission key.
    #[error("the peer does not issue certificates")]
    NotIssuer,
    /// No such invitation, or a wrong secret.
    #[error("the invitation is not known, or was taken back")]
    UnknownInvitation,
    /// As many have joined by it as it was for.
    #[error("the invitation is used up")]
    UsedUp,
    /// It has ended, by the issuer's clock.
    #[error("the invitation has expired: at its issuer it is {now_s} s after 1970")]
    InvitationExpired {
        /// That clock.
        now_s: u64,
    },
    /// As many members as one issuer keeps.
    #[error("the swarm is full")]
    Full,
}

impl Refusal {
    /// Stable, snake case, for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "no_certificate",
            Self::Foreign => "certificate_foreign",
            Self::NotYours => "certificate_not_yours",
            Self::Expired { .. } => "certificate_expired",
            Self::Revoked => "certificate_revoked",
            Self::NotIssuer => "not_issuer",
            Self::UnknownInvitation => "invitation_unknown",
            Self::UsedUp => "invitation_used_up",
            Self::InvitationExpired { .. } => "invitation_expired",
            Self::Full => "swarm_full",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn fix(self) -> &'static str {
        match self {
            Self::Malformed | Self::Foreign | Self::NotYours | Self::Revoked => {
                "ask the swarm's issuer for an invitation, and `starling swarm join CODE`"
            }
            Self::Expired { .. } | Self::InvitationExpired { .. } => {
                "set this machine's clock if it is wrong; else ask the swarm's issuer for an invitation, and `starling swarm join CODE`"
            }
            Self::NotIssuer => {
                "ask the one who invited you for a new invitation: the peer that made it was moved"
            }
            Self::UnknownInvitation | Self::UsedUp => {
                "ask the one who invited you for a new invitation"
            }
            Self::Full => "have the issuer revoke members that are gone",
        }
    }
}

#[cfg(test)]
mod tests;
