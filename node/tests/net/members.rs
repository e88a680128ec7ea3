//! A closed swarm: whoever shows no certificate that counts gets nothing, on any way to a peer.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{FutureExt, future::BoxFuture};
use starling::membership::Gate;
use starling::net::{Admission, AdmissionError, BlobFailure, Handshake, NetEvent, peer_id};
use starling_protocol::admission::{Answer, Certificate, CertificateId, Papers, Revocations};
use starling_protocol::crypto::{Ed25519Signer, Signer as _};
use starling_protocol::signed::Signed;
use starling_protocol::{Genesis, Hash, PeerKey, Scope, codec, text};
use tempfile::TempDir;

use crate::support::{Node, QUIC, Setup, TCP, TOPIC, secret};
use crate::ways::{RELAY, announced_as, becomes_direct, public, until};

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A closed swarm and its admission key.
struct Club {
    admission: Ed25519Signer,
    genesis: Genesis,
}

/// A seed, and the door of the home that it stands for.
struct Identity {
    secret: [u8; 32],
    papers: Papers,
    gate: Arc<Gate>,
    _home: TempDir,
}

impl Club {
    fn new() -> Self {
        let admission = Ed25519Signer::from_seed(&[200; 32]);
        let genesis = Genesis::new("club", Scope::Local, Hash([1; 32])).closed(admission.key());
        Self { admission, genesis }
    }

    /// A home with a certificate that `by` has signed.
    fn identity(&self, until_s: u64, by: &Ed25519Signer) -> Identity {
        let secret = secret();
        let key = Ed25519Signer::from_seed(&secret).key();
        let papers = self.papers(key, until_s, by);
        Identity {
            secret,
            ..self.with(papers)
        }
    }

    fn papers(&self, peer: PeerKey, until_s: u64, by: &Ed25519Signer) -> Papers {
        let body = Certificate {
            peer,
            requester: None,
            name: text::cut("somebody"),
            until_s,
        };
        Papers {
            certificate: Signed::new(body, &self.genesis.swarm_id(), by),
            revocations: None,
        }
    }

    /// A home with these papers, whosever they are.
    fn with(&self, papers: Papers) -> Identity {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("membership.json");
        std::fs::write(file, serde_json::to_vec(&papers).unwrap()).unwrap();
        let gate = Gate::open(home.path(), &self.genesis).unwrap().unwrap();
        Identity {
            secret: secret(),
            papers,
            gate,
            _home: home,
        }
    }

    fn member(&self) -> Identity {
        self.identity(now_s() + 3600, &self.admission)
    }

    fn setup(&self, of: &Identity) -> Setup {
        Setup {
            secret: Some(of.secret),
            swarm: *self.genesis.swarm_id().as_bytes(),
            admission: Some(of.gate.clone()),
            ..Setup::default()
        }
    }

    /// The list that takes these certificates back, as it is gossiped.
    fn revoking(&self, papers: &Papers) -> Vec<u8> {
        let swarm = self.genesis.swarm_id();
        let id = CertificateId::of(&papers.certificate.body, &swarm);
        let list = Revocations {
            number: 1,
            revoked: vec![id],
        };
        codec::encode(&Signed::new(list, &swarm, &self.admission))
    }

    /// All whom a member must not let in; the last one has been revoked by `list`.
    fn strangers(&self, of_a_member: &Papers) -> (Vec<(&'static str, Setup, Identity)>, Vec<u8>) {
        let forger = Ed25519Signer::from_seed(&[201; 32]);
        let revoked = self.member();
        let list = self.revoking(&revoked.papers);
        let identities = [
            ("without a certificate", self.member()),
            ("with a foreign one", self.identity(now_s() + 3600, &forger)),
            (
                "with an expired one",
                self.identity(now_s() - 1, &self.admission),
            ),
            ("with a member's", self.with(of_a_member.clone())),
            ("with a revoked one", revoked),
        ];
        let strangers = identities.into_iter().map(|(what, identity)| {
            let mut setup = self.setup(&identity);
            if what == "without a certificate" {
                setup.admission = None;
            }
            (what, setup, identity)
        });
        (strangers.collect(), list)
    }
}

/// What a member has that is nobody else's business.
struct Secrets {
    blob: [u8; 32],
    /// None where another member tells strangers of it.
    board: Option<[u8; 32]>,
}

impl Secrets {
    async fn of(node: &Node) -> Self {
        let blob = node.blobs.put(&[7; 50_000]).unwrap();
        let board = [9; 32];
        node.net.subscribe(TOPIC).await.unwrap();
        node.net.provide(board).await.unwrap();
        Self {
            blob,
            board: Some(board),
        }
    }
}

/// Asks for everything, and gets nothing.
async fn gets_nothing(what: &str, stranger: &mut Node, member: &mut Node, secrets: &Secrets) {
    let key = member.key();
    stranger.net.subscribe(TOPIC).await.unwrap();
    stranger.net.send(key, 1, b"hello".to_vec()).await.unwrap();
    if let Some(board) = secrets.board {
        stranger.net.find_providers(2, board).await.unwrap();
    }
    let fetched = stranger.net.fetch_blob(3, secrets.blob, 50_000, vec![key]);
    fetched.await.unwrap();
    let (mut refused, mut empty, mut failed) = (false, secrets.board.is_none(), false);
    stranger
        .wait("the refusals", |event| {
            match event {
                NetEvent::SendFailed { token: 1, .. } => refused = true,
                NetEvent::Providers { peers, done, .. } => {
                    assert!(peers.is_empty(), "{what}: told of a board");
                    empty |= done;
                }
                NetEvent::BlobFailed { reason, .. } => {
                    assert!(!matches!(reason, BlobFailure::Busy), "{what}: {reason:?}");
                    failed = true;
                }
                NetEvent::BlobDone { .. } => panic!("{what}: got a blob"),
                NetEvent::PeerConnected { peer } => assert_ne!(peer, key, "{what}: connected"),
                NetEvent::Gossip { .. } | NetEvent::Sent { .. } => panic!("{what}: {event:?}"),
                _ => {}
            }
            (refused && empty && failed).then_some(())
        })
        .await;
    for n in 0..3 {
        member.net.publish(TOPIC, vec![n; 9]).await.unwrap();
        let gossip = |event| matches!(event, NetEvent::Gossip { .. }).then_some(());
        let quiet = stranger.silent(Duration::from_millis(150), gossip).await;
        assert!(quiet, "{what}: heard gossip");
    }
    let name = stranger.key();
    let heard = |event| match event {
        NetEvent::PeerConnected { peer } | NetEvent::WrongSwarm { peer } => {
            (peer == name).then_some(())
        }
        NetEvent::Message { .. } => Some(()),
        _ => None,
    };
    let quiet = member.silent(Duration::from_millis(200), heard).await;
    assert!(quiet, "{what}: the member's core heard of it");
    assert!(!member.net.connected().await.unwrap().contains(&name));
}

async fn strangers_get_nothing(listen: &'static str) {
    let club = Club::new();
    let (anna, bob) = (club.member(), club.member());
    let mut a = Node::start(Setup {
        listen,
        ..club.setup(&anna)
    })
    .await;
    let secrets = Secrets::of(&a).await;
    let (strangers, list) = club.strangers(&anna.papers);
    assert!(matches!(
        anna.gate.learn(&list),
        starling_protocol::io::Verdict::Accept
    ));
    for (what, setup, _identity) in strangers {
        let mut stranger = Node::start(Setup {
            listen,
            bootstrap: vec![a.address.clone()],
            ..setup
        })
        .await;
        gets_nothing(what, &mut stranger, &mut a, &secrets).await;
    }
    // And a member gets all of it.
    let mut b = Node::start(Setup {
        listen,
        bootstrap: vec![a.address.clone()],
        ..club.setup(&bob)
    })
    .await;
    a.connected(b.key()).await;
    b.connected(a.key()).await;
    b.net
        .fetch_blob(3, secrets.blob, 50_000, vec![a.key()])
        .await
        .unwrap();
    b.net
        .find_providers(2, secrets.board.unwrap())
        .await
        .unwrap();
    let (mut blob, mut board) = (false, false);
    let anna = a.key();
    b.wait("blob and board", |event| {
        match event {
            NetEvent::BlobDone { .. } => blob = true,
            NetEvent::Providers { peers, .. } => board |= peers.contains(&anna),
            _ => {}
        }
        (blob && board).then_some(())
    })
    .await;
    assert!(!bob.gate.welcomes(&[0; 32].into()));
}

#[tokio::test]
async fn strangers_get_nothing_over_tcp() {
    strangers_get_nothing(TCP).await;
}

#[tokio::test]
async fn strangers_get_nothing_over_quic() {
    strangers_get_nothing(QUIC).await;
}

/// A member that lets everybody in: it shows its papers and looks at nobody's.
struct Careless(Identity);

impl Admission for Careless {
    fn admit<'a>(
        &'a self,
        mut handshake: Handshake<'a>,
    ) -> BoxFuture<'a, Result<(), AdmissionError>> {
        async move {
            if handshake.dialed() {
                return self.0.gate.admit(handshake).await;
            }
            handshake.hear().await?;
            let papers = self.0.papers.clone();
            handshake
                .answer(&codec::encode(&Answer::Member(papers)))
                .await
        }
        .boxed()
    }
}

#[tokio::test]
async fn strangers_get_nothing_through_a_relay_that_lets_them_in() {
    let club = Club::new();
    let (anna, rudi) = (club.member(), club.member());
    let relay = announced_as(Setup {
        secret: Some(rudi.secret),
        swarm: *club.genesis.swarm_id().as_bytes(),
        admission: Some(Arc::new(Careless(rudi))),
        ..public(starling::net::Services {
            autonat: true,
            ..RELAY
        })
    })
    .await;
    // Its only address is the one that the relay lends it.
    let behind = |setup: Setup| Setup {
        listen: "",
        bootstrap: vec![relay.address.clone()],
        secret: setup.secret,
        swarm: setup.swarm,
        admission: setup.admission,
        ..public(RELAY)
    };
    let mut hidden = Node::start(behind(club.setup(&anna))).await;
    let secrets = Secrets {
        board: None,
        ..Secrets::of(&hidden).await
    };
    let (strangers, list) = club.strangers(&anna.papers);
    assert!(matches!(
        anna.gate.learn(&list),
        starling_protocol::io::Verdict::Accept
    ));
    // A peer without the hook does not get as far as the relay: it would not speak first.
    for (what, setup, _identity) in strangers.into_iter().skip(1) {
        let mut stranger = Node::start(behind(setup)).await;
        until(&stranger, "the relay", |s| s.peers == 1).await;
        let id = peer_id(&hidden.key()).unwrap();
        let circuit = hidden.address.to_string();
        let circuit = circuit
            .strip_suffix(&format!("/p2p/{id}"))
            .unwrap_or(&circuit);
        let circuit = format!("{circuit}/p2p/{id}").parse().unwrap();
        stranger.net.dial(circuit).await.unwrap();
        let reason = stranger
            .wait("a refusal", |event| match event {
                NetEvent::DialFailed { reason, .. } => Some(reason),
                _ => None,
            })
            .await;
        assert!(reason.contains("not admitted"), "{what}: {reason}");
        let status = stranger.net.status().await.unwrap();
        assert_eq!(status.relayed_peers, 0, "{what}");
        gets_nothing(what, &mut stranger, &mut hidden, &secrets).await;
    }
    let bob = club.member();
    let mut b = Node::start(behind(club.setup(&bob))).await;
    b.net
        .fetch_blob(3, secrets.blob, 50_000, vec![hidden.key()])
        .await
        .unwrap();
    b.wait("the blob", |event| match event {
        NetEvent::BlobDone { .. } => Some(()),
        _ => None,
    })
    .await;
    until(&b, "a relayed peer", |s| s.relayed_peers == 1).await;
}

#[tokio::test]
async fn members_punch_holes_and_agree_on_who_speaks_first() {
    let club = Club::new();
    let [rudi, anna, bob] = [club.member(), club.member(), club.member()];
    let as_member = |identity: &Identity, services, bootstrap: Vec<_>| Setup {
        bootstrap,
        secret: Some(identity.secret),
        swarm: *club.genesis.swarm_id().as_bytes(),
        admission: Some(identity.gate.clone()),
        ..public(services)
    };
    let services = starling::net::Services {
        autonat: true,
        ..RELAY
    };
    let relay = announced_as(as_member(&rudi, services, Vec::new())).await;
    let behind = |identity| as_member(identity, RELAY, vec![relay.address.clone()]);
    becomes_direct(behind(&anna), behind(&bob)).await;
}
