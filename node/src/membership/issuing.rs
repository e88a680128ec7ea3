//! What the issuer does for its people, and what everybody sees of the members.

use starling_protocol::admission::{
    Certificate, CertificateId, Invitation, InvitationId, InvitationSecret, Refusal,
};
use starling_protocol::signed::Signed;

use super::Gate;
use crate::driver::unix_s;
use crate::reason::Reason;

/// Somebody with a certificate, for people.
#[derive(Clone, Debug)]
pub struct Member {
    /// Names the certificate.
    pub id: CertificateId,
    /// What it says.
    pub certificate: Certificate,
    /// Seconds since 1970 when it was given, as the issuer remembers.
    pub at_s: Option<u64>,
    /// What it is worth now.
    pub standing: Result<(), Refusal>,
}

impl Gate {
    /// Opens an invitation for `uses` homes until `until_s`, whose certificates are good for `member_s` seconds. Whom to
    /// dial is left to the caller.
    ///
    /// # Errors
    /// `not_issuer`, `too_many`; why it could not be written down.
    pub fn invite(&self, uses: u16, until_s: u64, member_s: u64) -> Result<Invitation, Reason> {
        let mut random = [0; 24];
        getrandom::fill(&mut random)
            .map_err(|e| Reason::of("error", format!("the system gave no randomness: {e}")))?;
        let id = InvitationId(std::array::from_fn(|i| random[i]));
        let secret = InvitationSecret(std::array::from_fn(|i| random[8 + i]));
        {
            let mut door = self.door();
            let issuer = door.issuer_mut().ok_or_else(|| self.not_issuer())?;
            issuer
                .invite(unix_s(), (id, secret), uses, until_s, member_s)
                .map_err(|e| Reason::new("too_many", e.to_string(), "revoke one of them"))?;
        }
        self.save()?;
        Ok(Invitation {
            genesis: self.genesis.clone(),
            id,
            secret,
            until_s,
            entrances: Default::default(),
        })
    }

    /// Invitations that somebody can still join by: name, uses left, end.
    pub fn invitations(&self) -> Vec<(InvitationId, u16, u64)> {
        let (door, now_s) = (self.door(), unix_s());
        let Some(issuer) = door.issuer() else {
            return Vec::new();
        };
        let open = issuer.ledger().invitations.iter();
        open.filter(|i| i.uses > 0 && i.until_s > now_s)
            .map(|i| (i.id, i.uses, i.until_s))
            .collect()
    }

    /// Whom the issuer has admitted; elsewhere, whom this home has met since it started, and itself.
    pub fn members(&self) -> Vec<Member> {
        let (door, now_s) = (self.door(), unix_s());
        let swarm = self.genesis.swarm_id();
        let member = |signed: &Signed<Certificate>, at_s| Member {
            id: CertificateId::of(&signed.body, &swarm),
            certificate: signed.body.clone(),
            at_s,
            standing: door.standing(now_s, signed),
        };
        if let Some(issuer) = door.issuer() {
            let all = issuer.ledger().members.iter();
            return all.map(|m| member(&m.certificate, Some(m.at_s))).collect();
        }
        let own = &door.papers().certificate;
        let met = door.met().filter(|met| met.body != own.body);
        std::iter::once(own)
            .chain(met)
            .map(|signed| member(signed, None))
            .collect()
    }

    /// Takes back a certificate or an invitation: by name of the home, by the beginning of its key, of the certificate's
    /// name, or of the invitation's. Answers with what was taken back.
    ///
    /// # Errors
    /// `not_issuer`, `not_found`, `bad_request` if several are meant; why it could not be written down.
    pub fn revoke(&self, whom: &str) -> Result<String, Reason> {
        if !self.issues() {
            return Err(self.not_issuer());
        }
        let fits = |text: String| whom.len() >= 4 && text.starts_with(whom);
        let members = self.members().into_iter();
        let alive = members.filter(|m| m.standing.is_ok());
        let meant: Vec<_> = alive
            .filter(|m| {
                let body = &m.certificate;
                let requester = body.requester.map(|key| key.to_string());
                body.name.as_str() == whom
                    || fits(m.id.to_string())
                    || fits(body.peer.to_string())
                    || requester.is_some_and(fits)
            })
            .collect();
        let open = self.invitations().into_iter();
        let open: Vec<_> = open.filter(|(id, ..)| fits(id.to_string())).collect();
        match (&meant[..], &open[..]) {
            ([member], []) => self.expel(member),
            ([], [(id, ..)]) => {
                self.door().issuer_mut().map(|i| i.withdraw(*id));
                self.save()?;
                Ok(format!("invitation {id}"))
            }
            ([], []) => Err(Reason::new(
                "not_found",
                format!("no member and no invitation is called {whom:?}"),
                "`starling swarm members` lists them; names, keys and ids count, from four digits on",
            )),
            _ => Err(Reason::new(
                "bad_request",
                format!("several are called {whom:?}"),
                "say whom by the key or the id that `starling swarm members` shows",
            )),
        }
    }

    fn expel(&self, member: &Member) -> Result<String, Reason> {
        let name = member.certificate.name;
        if member.certificate == self.certificate().body {
            let what = "that is this home's own certificate: nobody would be left to give another";
            return Err(Reason::new(
                "bad_request",
                what,
                "leave with `starling swarm leave`",
            ));
        }
        let revoked = self.door().revoke(unix_s(), &[member.id]);
        revoked
            .ok_or_else(|| self.not_issuer())?
            .map_err(|e| Reason::new("too_many", e.to_string(), "found another swarm"))?;
        self.save()?;
        self.announce();
        Ok(format!(
            "member {name} ({})",
            member.certificate.peer.short()
        ))
    }

    fn not_issuer(&self) -> Reason {
        let what = format!(
            "this home does not hold the admission key of {:?}",
            self.genesis.name
        );
        Reason::new("not_issuer", what, "ask the one who founded the swarm")
    }
}
