//! The small pure parts: names, addresses, topics, the control codec.

use futures::executor::block_on;
use libp2p::{
    StreamProtocol, bytes::Bytes, identity::Keypair, multihash::Multihash, request_response::Codec,
};
use proptest::prelude::*;

use super::{
    ControlCodec, Envelope, MAX_MESSAGE_BYTES, MAX_TOPIC_BYTES, Multiaddr, Protocols, Scope,
    behaviour::TopicFilter, peer_id, peer_key,
};

const CONTROL: StreamProtocol = StreamProtocol::new("/test/control/1");

fn read(wire: &[u8]) -> std::io::Result<Envelope> {
    let read = block_on(Envelope::read(&mut futures::io::Cursor::new(wire)));
    // The codec says the same in its own words.
    let envelope =
        block_on(ControlCodec.read_request(&CONTROL, &mut futures::io::Cursor::new(wire)));
    match &read {
        Ok(read) => assert_eq!(envelope.unwrap(), *read),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            let envelope = envelope.unwrap();
            assert!(envelope.is_malformed() && envelope.is_empty());
        }
        Err(error) => assert_eq!(envelope.unwrap_err().kind(), error.kind()),
    }
    read
}

#[test]
fn keys_and_peer_ids_name_each_other() {
    for _ in 0..50 {
        let keypair = Keypair::generate_ed25519();
        let id = keypair.public().to_peer_id();
        let key = peer_key(&id).unwrap();
        assert_eq!(key, keypair.try_into_ed25519().unwrap().public().to_bytes());
        assert_eq!(peer_id(&key), Some(id));
    }
    let hashed = Multihash::wrap(0x12, &[7; 32]).unwrap();
    let hashed = libp2p::PeerId::from_multihash(hashed).unwrap();
    assert_eq!(
        peer_key(&hashed),
        None,
        "a hash of a key does not hold the key"
    );
}

#[test]
fn scopes_tell_addresses_apart() {
    let dials = |address: &str| {
        let address: Multiaddr = address.parse().unwrap();
        [Scope::Local, Scope::Lan, Scope::Public].map(|scope| scope.may_dial(&address))
    };
    assert_eq!(dials("/ip4/127.0.0.1/tcp/1"), [true, true, true]);
    assert_eq!(dials("/ip6/::1/udp/1/quic-v1"), [true, true, true]);
    assert_eq!(dials("/ip6/::ffff:10.0.0.1/tcp/1"), [false, true, true]);
    assert_eq!(dials("/ip4/192.168.1.9/udp/1/quic-v1"), [false, true, true]);
    assert_eq!(dials("/ip4/100.64.0.1/tcp/1"), [false, true, true]);
    assert_eq!(dials("/ip6/fd00::1/tcp/1"), [false, true, true]);
    assert_eq!(dials("/ip4/8.8.8.8/tcp/1"), [false, false, true]);
    for never in [
        "/dns4/localhost/tcp/1",
        "/ip4/0.0.0.0/tcp/1",
        "/ip4/127.0.0.1/udp/1",
        "/ip4/127.0.0.1",
        "/ip4/127.0.0.1/tcp/1/ws",
        "/memory/1",
    ] {
        assert_eq!(dials(never), [false; 3], "{never}");
    }
    let listens = |address: &str| {
        let address: Multiaddr = address.parse().unwrap();
        [Scope::Local, Scope::Lan, Scope::Public].map(|scope| scope.may_listen(&address))
    };
    assert_eq!(listens("/ip4/127.0.0.1/tcp/0"), [true, true, true]);
    assert_eq!(listens("/ip4/0.0.0.0/tcp/0"), [false, true, true]);
    assert_eq!(listens("/ip4/8.8.8.8/tcp/0"), [false, false, true]);
}

#[test]
fn strangers_cannot_send_us_to_the_neighbours() {
    let [home, far, near]: [Multiaddr; 3] = [
        "/ip4/192.168.1.1/tcp/80",
        "/ip4/8.8.8.8/tcp/1",
        "/ip4/192.168.1.7/tcp/1",
    ]
    .map(|address| address.parse().unwrap());
    assert!(!Scope::Public.may_learn(&home, &far));
    assert!(Scope::Public.may_learn(&home, &near));
    assert!(Scope::Public.may_learn(&far, &far));
    assert!(!Scope::Lan.may_learn(&far, &near));
}

#[test]
fn every_protocol_names_the_swarm() {
    let (ours, theirs) = (Protocols::of(&[1; 32]), Protocols::of(&[2; 32]));
    let names = |p: &Protocols| {
        let of = |name: &StreamProtocol| name.as_ref().to_owned();
        [
            p.gossip.clone(),
            of(&p.kad),
            of(&p.control),
            of(&p.blob),
            p.version.clone(),
        ]
    };
    for (ours, theirs) in names(&ours).iter().zip(names(&theirs)) {
        assert!(ours.contains(&"01".repeat(16)), "{ours}");
        assert_ne!(*ours, theirs);
    }
}

#[test]
fn only_the_swarms_topics_are_topics() {
    let filter = TopicFilter::new(&["capacity/".into(), "fraud".into()]);
    assert!(filter.allows("capacity/render/0"));
    assert!(filter.allows("fraud"));
    assert!(!filter.allows("spam"));
    assert!(!filter.allows(&format!("capacity/{}", "x".repeat(MAX_TOPIC_BYTES))));
}

#[test]
fn an_announced_length_is_not_believed() {
    let long = (MAX_MESSAGE_BYTES as u32 + 5).to_le_bytes();
    assert!(read(&long).is_err());
    assert!(read(&u32::MAX.to_le_bytes()).is_err());
    let mut short = 10u32.to_le_bytes().to_vec();
    short.extend([0; 9]);
    assert!(read(&short).is_err());
    let mut most = (MAX_MESSAGE_BYTES as u32 + 4).to_le_bytes().to_vec();
    most.extend((MAX_MESSAGE_BYTES as u32).to_le_bytes());
    most.extend(vec![7; MAX_MESSAGE_BYTES]);
    let most: Vec<_> = read(&most).unwrap().into_iter().collect();
    assert_eq!(most, [Bytes::from(vec![7; MAX_MESSAGE_BYTES])]);
}

#[test]
fn an_envelope_is_as_long_as_the_longest_message_makes_it() {
    let mut envelope = Envelope::default();
    assert!(envelope.push(vec![0; MAX_MESSAGE_BYTES].into()));
    assert!(!envelope.push(Bytes::new()), "none fits beside it");
    let mut envelope = Envelope::default();
    let empty = (0..1000).take_while(|_| envelope.push(Bytes::new()));
    assert_eq!(empty.count(), 255, "the answer counts them in a byte");
}

#[test]
fn lengths_that_do_not_add_up_are_refused() {
    assert!(read(&[5, 0, 0, 0, 1, 0, 0, 0, 9]).is_ok());
    let beyond = [5, 0, 0, 0, 2, 0, 0, 0, 9];
    assert!(read(&beyond).is_err(), "a message longer than its envelope");
    let half = [6, 0, 0, 0, 1, 0, 0, 0, 9, 0];
    assert!(read(&half).is_err(), "half a length");
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(wire in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(envelope) = read(&wire) {
            let mut again = futures::io::Cursor::new(Vec::new());
            block_on(ControlCodec.write_request(&CONTROL, &mut again, envelope)).unwrap();
            prop_assert!(wire.starts_with(again.get_ref()));
        }
        let mut answer = futures::io::Cursor::new(&wire[..]);
        let taken = block_on(ControlCodec.read_response(&CONTROL, &mut answer)).ok();
        prop_assert_eq!(taken.as_ref(), wire.first());
    }

    #[test]
    fn messages_come_back_as_they_were(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..5),
    ) {
        let mut envelope = Envelope::default();
        for message in &messages {
            prop_assert!(envelope.push(message.clone().into()));
        }
        let mut wire = futures::io::Cursor::new(Vec::new());
        block_on(ControlCodec.write_request(&CONTROL, &mut wire, envelope)).unwrap();
        let back: Vec<_> = read(wire.get_ref()).unwrap().into_iter().collect();
        prop_assert_eq!(back, messages);
    }
}
