//! Who comes in and who does not, without a socket.

use super::*;
use crate::crypto::{Ed25519Signer, Signer as _};
use crate::genesis::{Genesis, Scope};
use crate::text::cut;
use alloc::boxed::Box;
use alloc::string::String;
use std::format;

const NOW: u64 = 1_800_000_000;
const YEAR: u64 = 365 * 24 * 60 * 60;
const ID: InvitationId = InvitationId([7; 8]);
const SECRET: InvitationSecret = InvitationSecret([9; 16]);

fn signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[seed; 32])
}

fn genesis() -> Genesis {
    Genesis::new("lab", Scope::Lan, Hash([1; 32])).closed(signer(100).key())
}

fn certificate(peer: u8, until_s: u64) -> Certificate {
    Certificate {
        peer: signer(peer).key(),
        requester: None,
        name: cut("somebody"),
        until_s,
    }
}

/// The door of a home that holds the admission key; its lending peer has the seed `peer`.
fn issuer(peer: u8) -> Door {
    let swarm = genesis().swarm_id();
    let mut issuer = Issuer::new(swarm, Box::new(signer(100)), Ledger::default());
    let certificate = issuer.enrol(NOW, certificate(peer, NOW + YEAR)).unwrap();
    let papers = Papers {
        certificate,
        revocations: None,
    };
    Door::new(swarm, signer(100).key(), papers, Some(issuer))
}

fn door(papers: Papers) -> Door {
    Door::new(genesis().swarm_id(), signer(100).key(), papers, None)
}

fn invite(door: &mut Door, uses: u16) {
    let issuer = door.issuer_mut().unwrap();
    issuer
        .invite(NOW, (ID, SECRET), uses, NOW + 3600, YEAR)
        .unwrap();
}

fn wish(peer: u8, requester: u8) -> Joining {
    let body = Companion {
        requester: signer(requester).key(),
        peer: signer(peer).key(),
    };
    Joining {
        invitation: ID,
        secret: SECRET,
        name: cut("bob"),
        companion: Some(Signed::new(body, &genesis().swarm_id(), &signer(requester))),
    }
}

fn join(issuer: &mut Door, now_s: u64, peer: u8, wish: Joining) -> Result<Papers, NotAdmitted> {
    let key = signer(peer).key();
    let reply = issuer.on_greeting(now_s, &key, &Greeting::Joining(wish).bytes());
    let admission = signer(100).key();
    on_joined(&genesis().swarm_id(), &admission, &key, &reply.bytes)
}

/// Both ends of a connection that `dialer` opens; what each of them thinks.
fn meet(
    now_s: u64,
    (dialer, from): (&mut Door, u8),
    (listener, to): (&mut Door, u8),
) -> (Result<(), NotAdmitted>, Result<Admitted, Refusal>) {
    let reply = listener.on_greeting(now_s, &signer(from).key(), &dialer.greeting());
    let answer = dialer.on_answer(now_s, &signer(to).key(), &reply.bytes);
    (answer, reply.verdict)
}

#[test]
fn an_invited_home_becomes_a_member_with_both_its_keys() {
    let mut issuer = issuer(1);
    invite(&mut issuer, 1);
    let papers = join(&mut issuer, NOW, 2, wish(2, 3)).unwrap();
    assert_eq!(papers.certificate.body.until_s, NOW + YEAR);
    let mut bob = door(papers);
    for key in [2, 3] {
        assert_eq!(bob.own(NOW, &signer(key).key()), Ok(()));
        let met = meet(NOW, (&mut bob, key), (&mut issuer, 1));
        assert_eq!(met, (Ok(()), Ok(Admitted::Member)));
        assert!(issuer.welcomes(NOW, &signer(key).key()));
    }
    assert!(bob.welcomes(NOW, &signer(1).key()));
    assert!(!bob.welcomes(NOW, &signer(4).key()));
    assert_eq!(bob.own(NOW, &signer(4).key()), Err(Refusal::NotYours));
}

#[test]
fn an_invitation_is_good_for_so_many_and_no_more() {
    let mut issuer = issuer(1);
    invite(&mut issuer, 2);
    let first = join(&mut issuer, NOW, 2, wish(2, 3)).unwrap();
    // The answer was lost: asking again costs no use, and gives the same.
    assert_eq!(join(&mut issuer, NOW, 2, wish(2, 3)), Ok(first));
    join(&mut issuer, NOW, 4, wish(4, 5)).unwrap();
    let third = join(&mut issuer, NOW, 6, wish(6, 7));
    assert_eq!(third, Err(NotAdmitted::ByThem(Refusal::UsedUp)));
}

#[test]
fn wishes_that_do_not_hold_are_refused() {
    let mut issuer = issuer(1);
    invite(&mut issuer, 9);
    let refused = |result, why| assert_eq!(result, Err(NotAdmitted::ByThem(why)));
    let wrong = Joining {
        secret: InvitationSecret([8; 16]),
        ..wish(2, 3)
    };
    refused(join(&mut issuer, NOW, 2, wrong), Refusal::UnknownInvitation);
    // Somebody else's requester.
    refused(join(&mut issuer, NOW, 4, wish(2, 3)), Refusal::NotYours);
    let mut forged = wish(2, 3);
    forged.companion = Some(Signed::new(
        forged.companion.unwrap().body,
        &genesis().swarm_id(),
        &signer(4),
    ));
    refused(join(&mut issuer, NOW, 2, forged), Refusal::NotYours);
    let late = NOW + 3600;
    let expired = Refusal::InvitationExpired { now_s: late };
    refused(join(&mut issuer, late, 2, wish(2, 3)), expired);
    assert!(issuer.issuer_mut().unwrap().withdraw(ID));
    refused(
        join(&mut issuer, NOW, 2, wish(2, 3)),
        Refusal::UnknownInvitation,
    );
    // Nobody but the issuer admits.
    let mut member = door(issuer.papers().clone());
    refused(join(&mut member, NOW, 2, wish(2, 3)), Refusal::NotIssuer);
}

#[test]
fn strangers_hear_that_they_are_refused_and_nothing_else() {
    let mut issuer = issuer(1);
    let swarm = genesis().swarm_id();
    let papers = |body: Certificate, by: u8| Papers {
        certificate: Signed::new(body, &swarm, &signer(by)),
        revocations: None,
    };
    let expired = Refusal::Expired { now_s: NOW };
    let cases = [
        (papers(certificate(2, NOW + 1), 2), Refusal::Foreign),
        (papers(certificate(2, NOW), 100), expired),
        (papers(certificate(3, NOW + 1), 100), Refusal::NotYours),
    ];
    for (papers, why) in cases {
        let bytes = Greeting::Member(papers).bytes();
        let reply = issuer.on_greeting(NOW, &signer(2).key(), &bytes);
        assert_eq!(reply.verdict, Err(why));
        assert_eq!(reply.bytes, Answer::Refused(why, None).bytes());
        assert!(!reply.changed);
    }
    for bytes in [&b""[..], b"/multistream/1.0.0\n", &[0; 5000]] {
        let reply = issuer.on_greeting(NOW, &signer(2).key(), bytes);
        assert_eq!(reply.verdict, Err(Refusal::Malformed));
    }
    assert_eq!(issuer.met().count(), 0);
    // A certificate of another swarm with the same admission key.
    let other = Genesis::new("other", Scope::Lan, Hash([1; 32])).closed(signer(100).key());
    let body = certificate(2, NOW + 1);
    let foreign = Papers {
        certificate: Signed::new(body, &other.swarm_id(), &signer(100)),
        revocations: None,
    };
    let bytes = Greeting::Member(foreign).bytes();
    let reply = issuer.on_greeting(NOW, &signer(2).key(), &bytes);
    assert_eq!(reply.verdict, Err(Refusal::Foreign));
}

#[test]
fn a_dialer_does_not_take_anybody_for_a_member() {
    let mut issuer = issuer(1);
    let swarm = genesis().swarm_id();
    let mut member = door(issuer.papers().clone());
    let stranger = Papers {
        certificate: Signed::new(certificate(2, NOW + 1), &swarm, &signer(2)),
        revocations: None,
    };
    let answer = Answer::Member(stranger).bytes();
    let to = signer(2).key();
    let by_us = |why| Err(NotAdmitted::ByUs(why));
    assert_eq!(member.on_answer(NOW, &to, &answer), by_us(Refusal::Foreign));
    assert_eq!(member.on_answer(NOW, &to, b""), by_us(Refusal::Malformed));
    let joined = Answer::Joined(issuer.papers().clone()).bytes();
    let key = signer(1).key();
    assert_eq!(
        member.on_answer(NOW, &key, &joined),
        by_us(Refusal::Malformed)
    );
    let refused = Answer::Refused(Refusal::Revoked, None).bytes();
    let by_them = Err(NotAdmitted::ByThem(Refusal::Revoked));
    assert_eq!(member.on_answer(NOW, &key, &refused), by_them);
    // A newcomer that is given somebody else's certificate.
    let admission = signer(100).key();
    let given = on_joined(&swarm, &admission, &signer(2).key(), &joined);
    assert_eq!(given, Err(NotAdmitted::ByUs(Refusal::NotYours)));
    invite(&mut issuer, 1);
    let other = signer(101).key();
    let reply = issuer.on_greeting(NOW, &to, &Greeting::Joining(wish(2, 3)).bytes());
    assert!(reply.changed);
    assert!(on_joined(&swarm, &other, &to, &reply.bytes).is_err());
}

#[test]
fn revocations_travel_with_greetings_and_by_gossip() {
    let mut issuer = issuer(1);
    invite(&mut issuer, 5);
    let [mut bob, mut carol, mut dave, mut erin] = [2, 4, 6, 8].map(|peer| {
        let papers = join(&mut issuer, NOW, peer, wish(peer, peer + 1)).unwrap();
        door(papers)
    });
    let met = meet(NOW, (&mut bob, 2), (&mut carol, 4));
    assert_eq!(met, (Ok(()), Ok(Admitted::Member)));
    assert!(carol.welcomes(NOW, &signer(2).key()));
    let swarm = genesis().swarm_id();
    let id = CertificateId::of(&bob.papers().certificate.body, &swarm);
    issuer.revoke(NOW, &[id]).unwrap().unwrap();
    // By gossip: carol lets go of whom she has met.
    let news = issuer.news().unwrap();
    assert_eq!(carol.learn(&news), Ok(true));
    assert_eq!(carol.learn(&news), Ok(false));
    assert!(!carol.welcomes(NOW, &signer(2).key()));
    assert!(!carol.welcomes(NOW, &signer(3).key()));
    // By a greeting: dave was away. Bob, who knows nothing of it, is not let in by him.
    let met = meet(NOW, (&mut carol, 4), (&mut dave, 6));
    assert_eq!(met, (Ok(()), Ok(Admitted::Member)));
    assert_eq!(dave.number(), 1);
    let met = meet(NOW, (&mut bob, 2), (&mut dave, 6));
    let refused = Err(NotAdmitted::ByThem(Refusal::Revoked));
    assert_eq!(met, (refused, Err(Refusal::Revoked)));
    // He is shown why, and knows it from now on.
    assert_eq!(bob.own(NOW, &signer(2).key()), Err(Refusal::Revoked));
    // And whoever learns it from the answer is told so.
    let met = meet(NOW, (&mut erin, 8), (&mut dave, 6));
    assert_eq!(met, (Ok(()), Ok(Admitted::Member)));
    assert_eq!(erin.number(), 1);
    // The invitation had a use left; bob does not come back by it.
    let again = join(&mut issuer, NOW, 2, wish(2, 9));
    assert_eq!(again, Err(NotAdmitted::ByThem(Refusal::UnknownInvitation)));
}

#[test]
fn lists_that_the_admission_key_has_not_signed_change_nothing() {
    let mut issuer = issuer(1);
    let swarm = genesis().swarm_id();
    let mut member = door(issuer.papers().clone());
    let id = CertificateId::of(&member.papers().certificate.body, &swarm);
    let list = |number, revoked: &[CertificateId], by: u8| {
        let body = Revocations {
            number,
            revoked: revoked.into(),
        };
        codec::encode(&Signed::new(body, &swarm, &signer(by)))
    };
    let other = CertificateId([0; 16]);
    assert_eq!(member.learn(&list(1, &[id], 2)), Err(Refusal::Foreign));
    let unsorted = list(1, &[id, other], 100);
    assert_eq!(member.learn(&unsorted), Err(Refusal::Malformed));
    assert_eq!(member.learn(b"?"), Err(Refusal::Malformed));
    assert_eq!(member.number(), 0);
    assert_eq!(member.learn(&list(3, &[other], 100)), Ok(true));
    assert_eq!(member.learn(&list(2, &[id], 100)), Ok(false));
    assert_eq!(member.own(NOW, &signer(1).key()), Ok(()));
    assert_eq!(member.learn(&list(4, &[id], 100)), Ok(true));
    assert_eq!(member.own(NOW, &signer(1).key()), Err(Refusal::Revoked));
    assert!(issuer.revoke(NOW, &[id]).unwrap().is_ok());
}

#[test]
fn what_has_expired_leaves_the_list() {
    let mut issuer = issuer(1);
    invite(&mut issuer, 2);
    let swarm = genesis().swarm_id();
    let [one, two] = [2, 4].map(|peer| {
        let papers = join(&mut issuer, NOW, peer, wish(peer, peer + 1)).unwrap();
        CertificateId::of(&papers.certificate.body, &swarm)
    });
    issuer.revoke(NOW, &[one]).unwrap().unwrap();
    issuer.revoke(NOW, &[two]).unwrap().unwrap();
    let listed = |door: &Door| door.papers().revocations.as_ref().unwrap().body.clone();
    assert_eq!(listed(&issuer).revoked.len(), 2);
    issuer.revoke(NOW + YEAR, &[]).unwrap().unwrap();
    assert_eq!(listed(&issuer).number, 3);
    assert!(listed(&issuer).revoked.is_empty());
}

#[test]
fn the_longest_papers_fit_their_bound() {
    let swarm = genesis().swarm_id();
    let mut body = certificate(2, u64::MAX);
    body.requester = Some(signer(3).key());
    body.name = cut(&"x".repeat(32));
    let revoked = (0..REVOCATIONS_MAX).map(|i| CertificateId([i as u8; 16]));
    let list = Revocations {
        number: u32::MAX,
        revoked: revoked.collect(),
    };
    let papers = Papers {
        certificate: Signed::new(body, &swarm, &signer(100)),
        revocations: Some(Signed::new(list, &swarm, &signer(100))),
    };
    assert!(Greeting::Member(papers).bytes().len() <= CREDENTIAL_MAX);
}

fn invitation() -> Invitation {
    let entrance = |seed| Entrance {
        peer: signer(seed).key(),
        addresses: ["/ip4/192.0.2.7/udp/4001/quic-v1", "/ip4/192.0.2.7/tcp/4001"]
            .map(cut)
            .into_iter()
            .collect(),
    };
    Invitation {
        genesis: genesis(),
        id: ID,
        secret: SECRET,
        until_s: NOW + 3600,
        entrances: [1, 2].map(entrance).into_iter().collect(),
    }
}

#[test]
fn a_code_survives_what_people_do_to_it() {
    let code = invitation().code();
    assert!(code.len() < 600, "{} letters", code.len());
    assert_eq!(Invitation::parse(&code), Ok(invitation()));
    let folded: String = code
        .to_lowercase()
        .as_bytes()
        .chunks(40)
        .map(|c| format!("  {}\n", core::str::from_utf8(c).unwrap()))
        .collect();
    assert_eq!(Invitation::parse(&folded), Ok(invitation()));
}

#[test]
fn a_code_that_is_not_whole_is_no_invitation() {
    let code = invitation().code();
    for end in 0..code.len() {
        let cut = Invitation::parse(&code[..end]);
        let expected = if end < PREFIX_LEN {
            InvitationError::Prefix
        } else {
            InvitationError::Cut
        };
        assert_eq!(cut, Err(expected), "{end}");
    }
    let mut wrong = code.clone().into_bytes();
    wrong[100] = if wrong[100] == b'A' { b'B' } else { b'A' };
    let wrong = String::from_utf8(wrong).unwrap();
    assert_eq!(Invitation::parse(&wrong), Err(InvitationError::Cut));
    assert_eq!(
        Invitation::parse("friends.toml"),
        Err(InvitationError::Prefix)
    );
    let open = Invitation {
        genesis: Genesis::new("lab", Scope::Lan, Hash([1; 32])),
        ..invitation()
    };
    assert_eq!(Invitation::parse(&open.code()), Err(InvitationError::Open));
}

const PREFIX_LEN: usize = "STARLING1".len();
