//! What is said before anybody is let into a closed swarm, and the codes that people paste.

use starling_protocol::admission::{
    Admitted, Answer, Certificate, CertificateId, Companion, Door, Entrance, Greeting, Invitation,
    InvitationId, InvitationSecret, Issuer, Joining, Ledger, Papers, Refusal, on_joined,
};
use starling_protocol::crypto::{Ed25519Signer, Signer as _};
use starling_protocol::signed::Signed;
use starling_protocol::{Genesis, Hash, Scope, codec, text};

use crate::{Target, kind_of, outcome, split};

pub(crate) const ADMISSION: Target = Target {
    name: "admission",
    about: "greetings, answers, revocations and invitations of closed swarms",
    run: admission,
    seeds,
};

const NOW: u64 = 1_800_000_000;
const ID: InvitationId = InvitationId([7; 8]);
const SECRET: InvitationSecret = InvitationSecret([9; 16]);

fn signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[seed; 32])
}

fn genesis() -> Genesis {
    Genesis::new("lab", Scope::Lan, Hash([1; 32])).closed(signer(100).key())
}

fn certificate(peer: u8) -> Certificate {
    Certificate {
        peer: signer(peer).key(),
        requester: None,
        name: text::cut("somebody"),
        until_s: NOW + 1_000,
    }
}

/// The issuer's door, which has one invitation open and one member, of the seed 2, that is revoked.
fn door() -> Door {
    let swarm = genesis().swarm_id();
    let mut issuer = Issuer::new(swarm, Box::new(signer(100)), Ledger::default());
    let own = issuer.enrol(NOW, certificate(1)).expect("room");
    let revoked = issuer.enrol(NOW, certificate(2)).expect("room");
    issuer.enrol(NOW, certificate(3)).expect("room");
    let invited = issuer.invite(NOW, (ID, SECRET), 1, NOW + 1_000, 1_000);
    invited.expect("room");
    let papers = Papers {
        certificate: own,
        revocations: None,
    };
    let mut door = Door::new(swarm, signer(100).key(), papers, Some(issuer));
    let id = CertificateId::of(&revoked.body, &swarm);
    door.revoke(NOW, &[id]).expect("an issuer").expect("room");
    door
}

fn admission(bytes: &[u8]) -> u64 {
    let (kind, bytes) = split(bytes);
    let (mut door, swarm, admission) = (door(), genesis().swarm_id(), signer(100).key());
    let said = match kind % 5 {
        // As the member of the seed 3, or as somebody who wants to be one.
        0 => {
            let reply = door.on_greeting(NOW, &signer(3).key(), bytes);
            assert!(codec::decode::<Answer>(&reply.bytes, 4_096).is_ok());
            if reply.verdict == Ok(Admitted::Member) {
                assert!(door.met().all(|met| met.body == certificate(3)));
            }
            format!("{:?}", reply.verdict.map_err(Refusal::code))
        }
        1 => {
            let said = door.on_answer(NOW, &signer(3).key(), bytes);
            if said.is_ok() {
                assert!(door.met().all(|met| met.body == certificate(3)));
            }
            said.err().map_or("in".into(), |e| e.to_string())
        }
        2 => {
            let said = on_joined(&swarm, &admission, &signer(3).key(), bytes);
            said.err().map_or("joined".into(), |e| e.to_string())
        }
        // Nobody but the admission key makes a list newer.
        3 => {
            let before = door.news();
            let said = door.learn(bytes);
            assert!(said != Ok(true) || door.news() != before);
            format!("{:?}", said.map_err(Refusal::code))
        }
        _ => match Invitation::parse(&String::from_utf8_lossy(bytes)) {
            Ok(invitation) => {
                assert_eq!(Invitation::parse(&invitation.code()), Ok(invitation));
                "an invitation".into()
            }
            Err(error) => error.to_string(),
        },
    };
    outcome(u64::from(kind % 5), &kind_of(&said))
}

fn seeds() -> Vec<Vec<u8>> {
    let (swarm, mut issuer) = (genesis().swarm_id(), door());
    let list = issuer.papers().revocations.clone();
    let papers = |peer: u8, by: u8| Papers {
        certificate: Signed::new(certificate(peer), &swarm, &signer(by)),
        revocations: list.clone(),
    };
    let body = Companion {
        requester: signer(4).key(),
        peer: signer(3).key(),
    };
    let wish = Greeting::Joining(Joining {
        invitation: ID,
        secret: SECRET,
        name: text::cut("bob"),
        companion: Some(Signed::new(body, &swarm, &signer(4))),
    });
    let joined = issuer.on_greeting(NOW, &signer(3).key(), &wish.bytes());
    let entrance = Entrance {
        peer: signer(1).key(),
        addresses: [text::cut("/ip4/192.0.2.7/tcp/4001")].into_iter().collect(),
    };
    let invitation = Invitation {
        genesis: genesis(),
        id: ID,
        secret: SECRET,
        until_s: NOW,
        entrances: [entrance].into_iter().collect(),
    };
    let said = [
        (0, Greeting::Member(papers(3, 100)).bytes()),
        (0, Greeting::Member(papers(3, 5)).bytes()),
        (0, wish.bytes()),
        (1, codec::encode(&Answer::Member(papers(3, 100)))),
        (
            1,
            codec::encode(&Answer::Refused(Refusal::Revoked, list.clone())),
        ),
        (2, joined.bytes),
        (3, issuer.news().unwrap_or_default()),
        (4, invitation.code().into_bytes()),
    ];
    let seed = |(kind, bytes): (u8, Vec<u8>)| [vec![kind], bytes].concat();
    said.map(seed).into()
}
