//! Judges who comes in: one for each closed swarm that a home is a member of.

use super::{
    Answer, Certificate, CertificateId, Greeting, Issuer, Papers, Refusal, Revocations, decode,
    genuine,
};
use crate::config::MET_MAX;
use crate::crypto::{Ed25519Verifier, Verifier};
use crate::hash::{PeerKey, SwarmId};
use crate::signed::Signed;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What the door knows: own papers, the newest revocations, whom it has met, and the issuer's part if this home is one.
pub struct Door {
    swarm: SwarmId,
    admission: PeerKey,
    verifier: Ed25519Verifier,
    papers: Papers,
    met: BTreeMap<CertificateId, Signed<Certificate>>,
    issuer: Option<Issuer>,
}

/// Who comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// A member: the connection goes on.
    Member,
    /// Somebody has become one, and comes again: the connection ends.
    Joined,
}

/// What a listener answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The answer, to be sent whatever it is.
    pub bytes: Vec<u8>,
    /// Whether the dialer is let in.
    pub verdict: Result<Admitted, Refusal>,
    /// What this door knows has changed, and must be durable before the answer leaves.
    pub changed: bool,
}

/// Why two peers do not come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The other one does not want this peer.
    #[error("the other side refuses: {0}")]
    ByThem(Refusal),
    /// This peer does not want the other one.
    #[error("{0}")]
    ByUs(Refusal),
}

impl Door {
    /// A door of the swarm whose certificates `admission` signs. Own papers are not judged here: see [`Door::own`].
    #[must_use]
    pub fn new(swarm: SwarmId, admission: PeerKey, papers: Papers, issuer: Option<Issuer>) -> Self {
        let issuer = issuer.filter(|issuer| issuer.key() == admission);
        Self {
            swarm,
            admission,
            verifier: Ed25519Verifier,
            papers,
            met: BTreeMap::new(),
            issuer,
        }
    }

    /// Own papers.
    #[must_use]
    pub fn papers(&self) -> &Papers {
        &self.papers
    }

    /// The issuer's part, if this home holds the admission key.
    #[must_use]
    pub fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }

    /// The same, to invite by it.
    pub fn issuer_mut(&mut self) -> Option<&mut Issuer> {
        self.issuer.as_mut()
    }

    /// Takes certificates back.
    ///
    /// # Errors
    /// As [`Issuer::revoke`]; none if this home is no issuer.
    pub fn revoke(
        &mut self,
        now_s: u64,
        which: &[CertificateId],
    ) -> Option<Result<(), super::IssuerError>> {
        let list = self.issuer.as_mut()?.revoke(now_s, which);
        Some(list.map(|list| self.papers.revocations = Some(list)))
    }

    /// Certificates that were shown at this door since it was made.
    pub fn met(&self) -> impl Iterator<Item = &Signed<Certificate>> {
        self.met.values()
    }

    /// The dialer's word.
    #[must_use]
    pub fn greeting(&self) -> Vec<u8> {
        Greeting::Member(self.papers.clone()).bytes()
    }

    /// The listener's part: what the dialer's word is worth. `remote` has proven its key.
    pub fn on_greeting(&mut self, now_s: u64, remote: &PeerKey, bytes: &[u8]) -> Reply {
        let number = self.number();
        let (verdict, answer) = match self.judge(now_s, remote, bytes) {
            Ok((admitted, answer)) => (Ok(admitted), answer),
            Err(refusal) => {
                let list = self.papers.revocations.clone();
                let list = list.filter(|_| refusal == Refusal::Revoked);
                (Err(refusal), Answer::Refused(refusal, list))
            }
        };
        Reply {
            bytes: answer.bytes(),
            changed: verdict == Ok(Admitted::Joined) || self.number() != number,
            verdict,
        }
    }

    fn judge(
        &mut self,
        now_s: u64,
        remote: &PeerKey,
        bytes: &[u8],
    ) -> Result<(Admitted, Answer), Refusal> {
        match decode(bytes)? {
            Greeting::Member(papers) => {
                self.admit(now_s, remote, papers)?;
                Ok((Admitted::Member, Answer::Member(self.papers.clone())))
            }
            Greeting::Joining(wish) => {
                let issuer = self.issuer.as_mut().ok_or(Refusal::NotIssuer)?;
                let certificate = issuer.redeem(now_s, remote, &wish)?;
                let papers = Papers {
                    certificate,
                    revocations: self.papers.revocations.clone(),
                };
                Ok((Admitted::Joined, Answer::Joined(papers)))
            }
        }
    }

    /// The dialer's part: what the listener's answer is worth. [`Door::number`] tells whether it brought newer
    /// revocations.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub fn on_answer(
        &mut self,
        now_s: u64,
        remote: &PeerKey,
        bytes: &[u8],
    ) -> Result<(), NotAdmitted> {
        match decode(bytes).map_err(NotAdmitted::ByUs)? {
            Answer::Member(papers) => self.admit(now_s, remote, papers).map_err(NotAdmitted::ByUs),
            // Nobody asked for a certificate.
            Answer::Joined(_) => Err(NotAdmitted::ByUs(Refusal::Malformed)),
            Answer::Refused(refusal, list) => {
                list.map(|list| self.learn_from(list));
                Err(NotAdmitted::ByThem(refusal))
            }
        }
    }

    /// Takes a list for its own if it is newer and genuine.
    fn learn_from(&mut self, list: Signed<Revocations>) -> bool {
        let newer = list.body.number > self.number();
        let learned = newer && genuine(&list, &self.swarm, &self.admission, &self.verifier).is_ok();
        if learned {
            self.papers.revocations = Some(list);
        }
        learned
    }

    /// Checks papers from the cheap to the dear, and learns from them what is newer.
    fn admit(&mut self, now_s: u64, remote: &PeerKey, papers: Papers) -> Result<(), Refusal> {
        if !papers.certificate.body.names(remote) {
            return Err(Refusal::NotYours);
        }
        self.standing(now_s, &papers.certificate)?;
        // Who is a member may tell: a stranger would only cost time.
        if papers.revocations.is_some_and(|list| self.learn_from(list)) {
            self.standing(now_s, &papers.certificate)?;
        }
        let id = CertificateId::of(&papers.certificate.body, &self.swarm);
        if self.met.len() >= MET_MAX && !self.met.contains_key(&id) {
            self.met.pop_first();
        }
        self.met.insert(id, papers.certificate);
        Ok(())
    }

    /// What a certificate is worth at this moment.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn standing(&self, now_s: u64, certificate: &Signed<Certificate>) -> Result<(), Refusal> {
        let body = &certificate.body;
        if body.until_s <= now_s {
            return Err(Refusal::Expired { now_s });
        }
        if self.is_revoked(&CertificateId::of(body, &self.swarm)) {
            return Err(Refusal::Revoked);
        }
        if certificate.verify(
            &self.swarm,
            &self.verifier as &dyn Verifier,
            &self.admission,
        ) {
            Ok(())
        } else {
            Err(Refusal::Foreign)
        }
    }

    /// What the own certificate is worth, for `key`.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn own(&self, now_s: u64, key: &PeerKey) -> Result<(), Refusal> {
        if !self.papers.certificate.body.names(key) {
            return Err(Refusal::NotYours);
        }
        self.standing(now_s, &self.papers.certificate)
    }

    /// Whether a connected peer may stay: its certificate may have ended since it came.
    #[must_use]
    pub fn welcomes(&self, now_s: u64, key: &PeerKey) -> bool {
        let mut own = core::iter::once(&self.papers.certificate).chain(self.met.values());
        own.any(|signed| {
            let body = &signed.body;
            body.names(key)
                && body.until_s > now_s
                && !self.is_revoked(&CertificateId::of(body, &self.swarm))
        })
    }

    /// A list of revocations that came by gossip: true if it is new, false if it is known.
    ///
    /// # Errors
    /// [`Refusal`] if the admission key has not signed it.
    pub fn learn(&mut self, bytes: &[u8]) -> Result<bool, Refusal> {
        let list: Signed<Revocations> = decode(bytes)?;
        if list.body.number <= self.number() {
            // Known, or older; whether it is genuine does not matter any more.
            return Ok(false);
        }
        genuine(&list, &self.swarm, &self.admission, &self.verifier)?;
        self.papers.revocations = Some(list);
        Ok(true)
    }

    /// The newest list, as it travels by gossip.
    #[must_use]
    pub fn news(&self) -> Option<Vec<u8>> {
        self.papers.revocations.as_ref().map(crate::codec::encode)
    }

    /// Number of the newest list; 0 before the first.
    #[must_use]
    pub fn number(&self) -> u32 {
        let list = self.papers.revocations.as_ref();
        list.map_or(0, |list| list.body.number)
    }

    fn is_revoked(&self, id: &CertificateId) -> bool {
        let list = self.papers.revocations.as_ref();
        list.is_some_and(|list| list.body.revoked.binary_search(id).is_ok())
    }
}
