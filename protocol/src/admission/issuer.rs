//! Who gives certificates and takes them back: the holder of a swarm's admission key, and its ledger.

use super::{
    Certificate, CertificateId, InvitationId, InvitationSecret, Joining, Refusal, Revocations,
};
use crate::config::{INVITATIONS_MAX, MEMBERS_MAX, REVOCATIONS_MAX};
use crate::crypto::BoxedSigner;
use crate::hash::{Hash, PeerKey, SwarmId};
use crate::signed::Signed;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An invitation that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// Its name.
    pub id: InvitationId,
    /// Of its secret.
    digest: Hash,
    /// So many more may join by it.
    pub uses: u16,
    /// Seconds since 1970 when it ends.
    pub until_s: u64,
    /// Seconds for which its certificates are good.
    pub member_s: u64,
}

/// A home with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Its certificate.
    pub certificate: Signed<Certificate>,
    /// By which invitation; none for the issuer's own.
    pub invitation: Option<InvitationId>,
    /// Seconds since 1970 when it joined.
    pub at_s: u64,
    /// Whether the certificate was taken back.
    pub revoked: bool,
}

/// All that an issuer must not forget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Open invitations; those that are used up or too old are kept until others need the room, to say so.
    pub invitations: Vec<Invited>,
    /// In the order of joining.
    pub members: Vec<Enrolled>,
    /// Number of the newest list of revocations.
    number: u32,
}

/// Why the issuer cannot do that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// [`INVITATIONS_MAX`] are open.
    #[error("{INVITATIONS_MAX} invitations are open already")]
    TooManyInvitations,
    /// [`REVOCATIONS_MAX`] members are revoked whose certificates have not expired.
    #[error("{REVOCATIONS_MAX} certificates are revoked already that have not expired")]
    TooManyRevoked,
    /// [`MEMBERS_MAX`] members, all of them with certificates that count.
    #[error("the swarm has {MEMBERS_MAX} members already")]
    Full,
}

/// The holder of an admission key.
pub struct Issuer {
    swarm: SwarmId,
    signer: BoxedSigner,
    ledger: Ledger,
}

impl Issuer {
    /// One that goes on from its ledger.
    #[must_use]
    pub fn new(swarm: SwarmId, signer: BoxedSigner, ledger: Ledger) -> Self {
        Self {
            swarm,
            signer,
            ledger,
        }
    }

    /// The admission key.
    #[must_use]
    pub fn key(&self) -> PeerKey {
        self.signer.key()
    }

    /// What it must not forget.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Gives a certificate to its own home.
    ///
    /// # Errors
    /// [`IssuerError::Full`].
    pub fn enrol(
        &mut self,
        now_s: u64,
        certificate: Certificate,
    ) -> Result<Signed<Certificate>, IssuerError> {
        self.take_up(now_s, certificate, None)
    }

    fn take_up(
        &mut self,
        now_s: u64,
        certificate: Certificate,
        invitation: Option<InvitationId>,
    ) -> Result<Signed<Certificate>, IssuerError> {
        let members = &mut self.ledger.members;
        if members.len() >= MEMBERS_MAX {
            members.retain(|m| m.certificate.body.until_s > now_s);
        }
        if members.len() >= MEMBERS_MAX {
            return Err(IssuerError::Full);
        }
        let certificate = Signed::new(certificate, &self.swarm, &*self.signer);
        members.push(Enrolled {
            certificate: certificate.clone(),
            invitation,
            at_s: now_s,
            revoked: false,
        });
        Ok(certificate)
    }

    /// Opens an invitation.
    ///
    /// # Errors
    /// [`IssuerError::TooManyInvitations`].
    pub fn invite(
        &mut self,
        now_s: u64,
        (id, secret): (InvitationId, InvitationSecret),
        uses: u16,
        until_s: u64,
        member_s: u64,
    ) -> Result<(), IssuerError> {
        let open = &mut self.ledger.invitations;
        if open.len() >= INVITATIONS_MAX {
            open.retain(|i| i.uses > 0 && i.until_s > now_s);
        }
        if open.len() >= INVITATIONS_MAX {
            return Err(IssuerError::TooManyInvitations);
        }
        open.push(Invited {
            id,
            digest: secret.digest(),
            uses,
            until_s,
            member_s,
        });
        Ok(())
    }

    /// Closes an invitation; false if there is none of that name.
    pub fn withdraw(&mut self, id: InvitationId) -> bool {
        let before = self.ledger.invitations.len();
        self.ledger.invitations.retain(|i| i.id != id);
        self.ledger.invitations.len() < before
    }

    /// Admits a home for good. Who asks again, because the answer was lost, gets the same certificate.
    ///
    /// # Errors
    /// [`Refusal`]: the invitation is unknown, used up or expired; the companion's signature is wrong; the swarm is full.
    pub fn redeem(
        &mut self,
        now_s: u64,
        peer: &PeerKey,
        wish: &Joining,
    ) -> Result<Signed<Certificate>, Refusal> {
        let requester = self.companion(peer, wish)?;
        let mut open = self.ledger.invitations.iter_mut();
        let invited = open
            .find(|i| i.id == wish.invitation && i.digest == wish.secret.digest())
            .ok_or(Refusal::UnknownInvitation)?;
        let before = self.ledger.members.iter().find(|m| {
            let body = &m.certificate.body;
            let same = body.peer == *peer && body.requester == requester;
            same && m.invitation == Some(wish.invitation) && !m.revoked
        });
        if let Some(enrolled) = before {
            return Ok(enrolled.certificate.clone());
        }
        if invited.until_s <= now_s {
            return Err(Refusal::InvitationExpired { now_s });
        }
        if invited.uses == 0 {
            return Err(Refusal::UsedUp);
        }
        let certificate = Certificate {
            peer: *peer,
            requester,
            name: wish.name,
            until_s: now_s.saturating_add(invited.member_s),
        };
        let id = invited.id;
        let given = self.take_up(now_s, certificate, Some(id));
        let given = given.map_err(|_| Refusal::Full)?;
        let mut open = self.ledger.invitations.iter_mut();
        if let Some(invited) = open.find(|i| i.id == id) {
            invited.uses -= 1;
        }
        Ok(given)
    }

    /// The requester that the wish names, if it says itself that it belongs to `peer`.
    fn companion(&self, peer: &PeerKey, wish: &Joining) -> Result<Option<PeerKey>, Refusal> {
        let Some(signed) = &wish.companion else {
            return Ok(None);
        };
        let requester = signed.body.requester;
        let theirs = signed.body.peer == *peer
            && signed.verify(&self.swarm, self.signer.verifier(), &requester);
        if theirs {
            Ok(Some(requester))
        } else {
            Err(Refusal::NotYours)
        }
    }

    /// Takes certificates back, closes the invitations by which their homes came, and makes the list that says so.
    ///
    /// # Errors
    /// [`IssuerError::TooManyRevoked`].
    pub fn revoke(
        &mut self,
        now_s: u64,
        which: &[CertificateId],
    ) -> Result<Signed<Revocations>, IssuerError> {
        let swarm = self.swarm;
        let id = |m: &Enrolled| CertificateId::of(&m.certificate.body, &swarm);
        let members = self.ledger.members.iter();
        // What has expired needs no list.
        let alive = members.filter(|m| m.certificate.body.until_s > now_s);
        let revoked = alive.filter(|m| m.revoked || which.contains(&id(m)));
        let revoked: BTreeSet<_> = revoked.map(id).collect();
        if revoked.len() > REVOCATIONS_MAX {
            return Err(IssuerError::TooManyRevoked);
        }
        let Ledger {
            members,
            invitations,
            number,
        } = &mut self.ledger;
        for member in members.iter_mut().filter(|m| which.contains(&id(m))) {
            member.revoked = true;
            // It may have uses left, and its holder would be back.
            invitations.retain(|i| Some(i.id) != member.invitation);
        }
        *number += 1;
        let list = Revocations {
            number: *number,
            revoked: revoked.into_iter().collect(),
        };
        Ok(Signed::new(list, &self.swarm, &*self.signer))
    }
}
