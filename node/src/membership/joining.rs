//! Becomes a member: knocks at the addresses of an invitation until the issuer answers.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use starling_protocol::admission::{
    Companion, Entrance, Greeting, Invitation, Joining, NotAdmitted, Papers, on_joined,
};
use starling_protocol::crypto::Signer as _;
use starling_protocol::signed::Signed;
use starling_protocol::{PeerKey, SwarmId, text};

use super::{Keys, files};
use crate::net::{Admission, AdmissionError, Handshake, Multiaddr, Scope, knock};
use crate::reason::Reason;

/// What a newcomer says, and what it heard.
struct Newcomer {
    swarm: SwarmId,
    admission: PeerKey,
    me: PeerKey,
    /// Whom it tells the secret.
    issuer: PeerKey,
    greeting: Vec<u8>,
    heard: Mutex<Option<Result<Papers, NotAdmitted>>>,
}

impl Admission for Newcomer {
    fn admit<'a>(
        &'a self,
        mut handshake: Handshake<'a>,
    ) -> BoxFuture<'a, Result<(), AdmissionError>> {
        async move {
            let over = |what: &str| AdmissionError::Refused(what.into());
            if !handshake.dialed() || handshake.remote() != *self.issuer.as_bytes() {
                return Err(over("another peer answers at this address"));
            }
            let answer = handshake.greet(&self.greeting).await?;
            let heard = on_joined(&self.swarm, &self.admission, &self.me, &answer);
            let mut slot = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            *slot = Some(heard);
            Err(over("the knock was answered"))
        }
        .boxed()
    }
}

/// Redeems an invitation for the home in `root`, and writes down what it got. The home's keys are made if it has none.
///
/// # Errors
/// The issuer's refusal; `unreachable` with what happened at each address; why the certificate could not be written.
pub async fn join(root: &Path, invitation: &Invitation, name: &str) -> Result<Papers, Reason> {
    let genesis = &invitation.genesis;
    let (swarm, scope) = (genesis.swarm_id(), Scope::from(genesis.scope));
    let Some(admission) = genesis.admission else {
        return Err(Reason::of(
            "bad_invitation",
            "the invitation's swarm is open",
        ));
    };
    let keys = Keys::of(root)?;
    let body = Companion {
        requester: keys.requester.key(),
        peer: keys.peer.key(),
    };
    let wish = Joining {
        invitation: invitation.id,
        secret: invitation.secret,
        name: text::cut(name),
        companion: Some(Signed::new(body, &swarm, &keys.requester)),
    };
    let greeting = Greeting::Joining(wish).bytes();
    let mut tried = Vec::new();
    // Only the issuer is told the secret: the others are for later.
    if let Some(Entrance { peer, addresses }) = invitation.entrances.first() {
        let newcomer = Arc::new(Newcomer {
            swarm,
            admission,
            me: keys.peer.key(),
            issuer: *peer,
            greeting: greeting.clone(),
            heard: Mutex::default(),
        });
        for address in addresses {
            let Ok(address) = address.parse::<Multiaddr>() else {
                continue;
            };
            let knocked = knock(
                *keys.seed.as_bytes(),
                scope,
                address.clone(),
                newcomer.clone(),
            );
            let knocked = knocked.await;
            let mut heard = newcomer
                .heard
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match heard.take() {
                Some(Ok(papers)) => {
                    files::save_papers(root, &papers)?;
                    return Ok(papers);
                }
                Some(Err(refusal)) => return Err(refusal.into()),
                None => tried.extend(knocked.err().map(|e| e.to_string())),
            }
        }
    }
    Err(nobody(&tried))
}

fn nobody(tried: &[String]) -> Reason {
    let what = match tried {
        [] => "the invitation names no address that can be dialled".to_owned(),
        tried => format!("the swarm's issuer does not answer: {}", tried.join("; ")),
    };
    let reason = Reason::new(
        "unreachable",
        what,
        "see that `starling up` runs where the invitation was made, and that this machine reaches it; the invitation stays good",
    );
    reason.with("tried", tried.len())
}
