//! A home's place in a closed swarm: its certificate on disk, and the door that a connection has to pass.
//!
//! ```text
//! membership.json   the certificate, and the newest revocations
//! admission.key     the admission key, mode 0600      admission.json   invitations and members: only at the issuer
//! ```
//!
//! It decides nothing; [`starling_protocol::admission`] does. Invariant: a certificate that was given is on disk before
//! it leaves, and so is every use of an invitation.

mod files;
mod joining;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use starling_protocol::admission::{
    Admitted, Certificate, CertificateId, Door, Invitation, InvitationError, InvitationId,
    InvitationSecret, Issuer, Ledger, NotAdmitted, Papers, Refusal,
};
use starling_protocol::crypto::{Ed25519Signer, Signer as _};
use starling_protocol::io::Verdict;
use starling_protocol::signed::Signed;
use starling_protocol::{Genesis, PeerKey, text};
use tokio::sync::watch;

pub(crate) use files::FILES;
pub use joining::{Newcomer, join};

use crate::driver::unix_s;
use crate::key::Seed;
use crate::net::{Admission, AdmissionError, Handshake};
use crate::reason::Reason;

/// The topic on which revocations are gossiped.
pub const TOPIC: &str = "members/revocations";
/// Seconds for which the founder's own certificate is good: it can make itself another.
const FOUNDER_S: u64 = 20 * 365 * 86_400;

/// The door of one home, shared by its lending peer and its requester.
pub struct Gate {
    genesis: Genesis,
    root: PathBuf,
    door: Mutex<Door>,
    /// One writer at a time, each of the newest state.
    saving: Mutex<()>,
    /// The number of the newest revocations.
    news: watch::Sender<u32>,
}

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

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("root", &self.root).finish()
    }
}

impl Gate {
    /// The door of the home in `root`; none if its swarm is open.
    ///
    /// # Errors
    /// `no_certificate`, and why the files cannot be used.
    pub fn open(root: &Path, genesis: &Genesis) -> Result<Option<Arc<Self>>, Reason> {
        let Some(admission) = genesis.admission else {
            return Ok(None);
        };
        let papers = files::papers(root)?.ok_or_else(|| without(genesis))?;
        let swarm = genesis.swarm_id();
        let issuer = match files::admission_seed(root)? {
            Some(seed) => {
                let signer = Ed25519Signer::from_seed(seed.as_bytes());
                let ledger = files::ledger(root)?;
                Some(Issuer::new(swarm, Box::new(signer), ledger))
            }
            None => None,
        };
        let door = Door::new(swarm, admission, papers, issuer);
        let news = watch::Sender::new(door.number());
        Ok(Some(Arc::new(Self {
            genesis: genesis.clone(),
            root: root.to_owned(),
            door: Mutex::new(door),
            saving: Mutex::new(()),
            news,
        })))
    }

    /// Makes the home in `root` the first member of a closed swarm, and its issuer: the genesis names the new key.
    ///
    /// # Errors
    /// Why the files cannot be written.
    pub fn found(root: &Path, genesis: Genesis) -> Result<Genesis, Reason> {
        let seed = files::new_admission_seed(root)?;
        let signer = Ed25519Signer::from_seed(seed.as_bytes());
        let genesis = genesis.closed(signer.key());
        let keys = Keys::of(root)?;
        let swarm = genesis.swarm_id();
        let mut issuer = Issuer::new(swarm, Box::new(signer), Ledger::default());
        let now_s = unix_s();
        let founder = Certificate {
            peer: keys.peer.key(),
            requester: Some(keys.requester.key()),
            name: text::cut("founder"),
            until_s: now_s + FOUNDER_S,
        };
        let certificate = issuer.enrol(now_s, founder);
        let certificate = certificate.map_err(|e| Reason::of("error", e))?;
        files::save_ledger(root, issuer.ledger())?;
        let papers = Papers {
            certificate,
            revocations: None,
        };
        files::save_papers(root, &papers)?;
        Ok(genesis)
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this home may connect as `key`.
    ///
    /// # Errors
    /// What is wrong with its certificate.
    pub fn check(&self, key: &PeerKey) -> Result<(), Reason> {
        let own = self.door().own(unix_s(), key);
        own.map_err(|refusal| own_refused(refusal, &self.genesis))
    }

    /// Whether a connected peer may stay.
    pub fn welcomes(&self, key: &PeerKey) -> bool {
        self.door().welcomes(unix_s(), key)
    }

    /// Tells when a list of revocations is new.
    pub fn news(&self) -> watch::Receiver<u32> {
        self.news.subscribe()
    }

    /// The newest list, to be gossiped.
    pub fn bulletin(&self) -> Option<Vec<u8>> {
        self.door().news()
    }

    /// A list that came by gossip.
    pub fn learn(&self, bytes: &[u8]) -> Verdict {
        let learned = self.door().learn(bytes);
        match learned {
            Ok(true) => {
                self.remember();
                Verdict::Accept
            }
            Ok(false) => Verdict::Ignore,
            Err(_) => Verdict::Reject,
        }
    }

    /// Writes down what was learned. If the disk fails, the next connection brings it again.
    fn remember(&self) {
        if let Err(error) = self.save() {
            tracing::warn!(%error, "the swarm's revocations were not written down");
        }
        self.announce();
    }

    fn announce(&self) {
        let number = self.door().number();
        self.news.send_if_modified(|known| {
            let newer = number > *known;
            *known = number.max(*known);
            newer
        });
    }

    fn save(&self) -> Result<(), Reason> {
        let _one = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let (papers, ledger) = {
            let door = self.door();
            let ledger = door.issuer().map(|issuer| issuer.ledger().clone());
            (door.papers().clone(), ledger)
        };
        if let Some(ledger) = ledger {
            files::save_ledger(&self.root, &ledger)?;
        }
        files::save_papers(&self.root, &papers)
    }

    /// Whether this home issues certificates.
    pub fn issues(&self) -> bool {
        self.door().issuer().is_some()
    }

    /// Own certificate.
    pub fn certificate(&self) -> Signed<Certificate> {
        self.door().papers().certificate.clone()
    }

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

    async fn admit_dialer(
        &self,
        remote: &PeerKey,
        handshake: &mut Handshake<'_>,
    ) -> Result<(), AdmissionError> {
        let greeting = handshake.hear().await?;
        let reply = self.door().on_greeting(unix_s(), remote, &greeting);
        if reply.changed {
            // Nothing leaves that this home could forget.
            if let Err(error) = self.save() {
                tracing::error!(%error, "somebody could not be admitted");
                return Err(AdmissionError::Refused(error.to_string()));
            }
            self.announce();
        }
        match reply.verdict {
            Ok(Admitted::Member) => handshake.answer(&reply.bytes).await,
            Ok(Admitted::Joined) => {
                tracing::info!(peer = %remote, "a new member has joined");
                handshake.dismiss(&reply.bytes).await?;
                Err(AdmissionError::Refused(
                    "has just joined, and comes again".into(),
                ))
            }
            Err(refusal) => {
                handshake.dismiss(&reply.bytes).await?;
                Err(AdmissionError::Refused(refusal.to_string()))
            }
        }
    }

    async fn admit_dialed(
        &self,
        remote: &PeerKey,
        handshake: &mut Handshake<'_>,
    ) -> Result<(), AdmissionError> {
        let greeting = self.door().greeting();
        let answer = handshake.greet(&greeting).await?;
        let (admitted, newer) = {
            let mut door = self.door();
            let number = door.number();
            let admitted = door.on_answer(unix_s(), remote, &answer);
            (admitted, door.number() > number)
        };
        if newer {
            self.remember();
        }
        admitted.map_err(|e| AdmissionError::Refused(e.to_string()))
    }
}

impl Admission for Gate {
    fn admit<'a>(
        &'a self,
        mut handshake: Handshake<'a>,
    ) -> BoxFuture<'a, Result<(), AdmissionError>> {
        async move {
            let remote = handshake.remote().into();
            if handshake.dialed() {
                self.admit_dialed(&remote, &mut handshake).await
            } else {
                self.admit_dialer(&remote, &mut handshake).await
            }
        }
        .boxed()
    }
}

/// The two identities of a home.
pub(crate) struct Keys {
    pub(crate) peer: Ed25519Signer,
    pub(crate) requester: Ed25519Signer,
    pub(crate) seed: Seed,
}

impl Keys {
    /// Those in `root`, made if they are missing.
    pub(crate) fn of(root: &Path) -> Result<Self, Reason> {
        let requester = root.join("requester");
        crate::home::disk::create_private_dir(&requester)?;
        let (seed, _) = Seed::load_or_create(&root.join("identity.key"))?;
        let (second, _) = Seed::load_or_create(&requester.join("identity.key"))?;
        Ok(Self {
            peer: Ed25519Signer::from_seed(seed.as_bytes()),
            requester: Ed25519Signer::from_seed(second.as_bytes()),
            seed,
        })
    }
}

/// Whether a home has a certificate, whatever it is worth.
pub fn is_member(root: &Path) -> bool {
    files::papers(root).is_ok_and(|papers| papers.is_some())
}

fn without(genesis: &Genesis) -> Reason {
    let what = format!(
        "the swarm {:?} is closed, and this home has no certificate of it",
        genesis.name
    );
    Reason::new("no_certificate", what, Refusal::Malformed.fix())
}

/// What is wrong with a home's own certificate.
fn own_refused(refusal: Refusal, genesis: &Genesis) -> Reason {
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
