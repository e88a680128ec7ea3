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
mod issuing;
mod joining;
mod reasons;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use starling_protocol::admission::{Admitted, Certificate, Door, Issuer, Ledger, Papers};
use starling_protocol::crypto::{Ed25519Signer, Signer as _};
use starling_protocol::io::Verdict;
use starling_protocol::signed::Signed;
use starling_protocol::{Genesis, PeerKey, text};
use tokio::sync::watch;

pub(crate) use files::FILES;
pub use issuing::Member;
pub use joining::join;

use crate::driver::unix_s;
use crate::key::Seed;
use crate::net::{Admission, AdmissionError, Handshake};
use crate::reason::Reason;

/// The topic on which revocations are gossiped.
pub const TOPIC: &str = "members/revocations";
/// Seconds for which the issuer's own certificate is good; then it gives itself another.
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
        let swarm = genesis.swarm_id();
        let issuer = issuer(root, genesis)?;
        let papers = files::papers(root)?;
        let papers = papers.ok_or_else(|| reasons::without(genesis, issuer.is_some()))?;
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
        files::save_ledger(root, &Ledger::default())?;
        Self::renew(root, &genesis)?;
        Ok(genesis)
    }

    /// Gives the issuer's own home papers, if it has none that name its keys and count. Whoever calls it holds the home,
    /// or starts what will.
    ///
    /// # Errors
    /// Why the files cannot be used.
    pub fn renew(root: &Path, genesis: &Genesis) -> Result<(), Reason> {
        let Some(mut issuer) = issuer(root, genesis)? else {
            return Ok(());
        };
        let (keys, now_s) = (Keys::of(root)?, unix_s());
        let own = Certificate {
            peer: keys.peer.key(),
            requester: Some(keys.requester.key()),
            name: text::cut("founder"),
            until_s: now_s + FOUNDER_S,
        };
        let is_good = |papers: &Papers| {
            let body = &papers.certificate.body;
            body.peer == own.peer && body.requester == own.requester && body.until_s > now_s
        };
        let old = files::papers(root)?;
        if old.as_ref().is_some_and(is_good) {
            return Ok(());
        }
        let certificate = issuer.enrol(now_s, own);
        let papers = Papers {
            certificate: certificate.map_err(|e| Reason::of("swarm_full", e))?,
            revocations: old.and_then(|papers| papers.revocations),
        };
        files::save_ledger(root, issuer.ledger())?;
        files::save_papers(root, &papers)
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
        own.map_err(|refusal| reasons::own_refused(refusal, &self.genesis))
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

/// The issuer's part of a home, if that holds the swarm's admission key.
fn issuer(root: &Path, genesis: &Genesis) -> Result<Option<Issuer>, Reason> {
    let Some(seed) = files::admission_seed(root)? else {
        return Ok(None);
    };
    let signer = Ed25519Signer::from_seed(seed.as_bytes());
    // Of a swarm that was not founded to the end.
    if genesis.admission != Some(signer.key()) {
        return Ok(None);
    }
    let ledger = files::ledger(root)?;
    let issuer = Issuer::new(genesis.swarm_id(), Box::new(signer), ledger);
    Ok(Some(issuer))
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
