//! The wire: golden bytes, one encoding per value, and nothing that a stranger sends is believed by its length.

use crate::samples;
use proptest::prelude::*;
use starling_protocol::codec::{self, CodecError};
use starling_protocol::config::MESSAGE_MAX;
use starling_protocol::{Bundle, Genesis, Hash, Message, PeerKey, Receipt};

#[test]
fn the_wire_format_stands() {
    let mut golden = String::new();
    for message in samples::messages(1) {
        let hex: String = message
            .to_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        golden += &format!("{}\n", message.name());
        for line in hex.as_bytes().chunks(112) {
            golden += &format!("  {}\n", std::str::from_utf8(line).expect("hexadecimal"));
        }
    }
    insta::assert_snapshot!(golden);
}

#[test]
fn every_kind_of_message_has_a_sample() {
    for (kind, message) in samples::messages(1).iter().enumerate() {
        assert_eq!(
            usize::from(message.to_bytes()[0]),
            kind,
            "{}",
            message.name()
        );
    }
    let next = samples::messages(1).len() as u8;
    let bytes: Vec<u8> = [next].into_iter().chain([0; 4_096]).collect();
    assert_eq!(
        Message::from_bytes(&bytes),
        Err(CodecError::Malformed),
        "a kind without a sample"
    );
}

#[test]
fn a_value_has_one_encoding() {
    for message in samples::messages(1) {
        let bytes = message.to_bytes();
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(
            Message::from_bytes(&longer),
            Err(CodecError::NotCanonical),
            "{}",
            message.name()
        );
        // The kind as an integer of 2, 4 and 8 bytes.
        for wide in [
            &[251, bytes[0], 0][..],
            &[252, bytes[0], 0, 0, 0],
            &[253, bytes[0], 0, 0, 0, 0, 0, 0, 0],
        ] {
            let padded = [wide, &bytes[1..]].concat();
            assert!(
                Message::from_bytes(&padded).is_err(),
                "{} by {wide:?}",
                message.name()
            );
        }
        for end in 0..bytes.len() {
            assert!(
                Message::from_bytes(&bytes[..end]).is_err(),
                "{} cut at {end}",
                message.name()
            );
        }
    }
}

#[test]
fn claimed_lengths_are_not_believed() {
    let lease = [7; 32];
    for claim in (16..64).map(|bits| 1_u64 << bits).chain([u64::MAX]) {
        let length = [&[253][..], &claim.to_le_bytes()].concat();
        let board_query = [&[0], &length[..], b"abc"].concat();
        let lock_set = [&[10], &lease[..], &length[..], &[1; 200]].concat();
        let seed = [&[13], &lease[..], &length[..], &[0; 200]].concat();
        let opening = [
            &[16],
            &lease[..],
            &lease[..],
            &lease[..],
            &length[..],
            &[0; 200],
        ]
        .concat();
        for bytes in [board_query, lock_set, seed, opening] {
            assert_eq!(
                Message::from_bytes(&bytes),
                Err(CodecError::Malformed),
                "{claim} claimed"
            );
        }
    }
    let long = vec![0; MESSAGE_MAX + 1];
    let expected = CodecError::TooLong {
        len: MESSAGE_MAX + 1,
        limit: MESSAGE_MAX,
    };
    assert_eq!(Message::from_bytes(&long), Err(expected));
}

#[test]
fn hashes_are_hexadecimal_for_people_and_raw_on_the_wire() {
    let key = PeerKey(Hash(core::array::from_fn(|i| i as u8 * 7)));
    let json = serde_json::to_string(&key).expect("a string");
    assert_eq!(json, format!("\"{key}\""));
    assert_eq!(json.len(), 66);
    assert_eq!(
        serde_json::from_str::<PeerKey>(&json).expect("its own"),
        key
    );
    assert_eq!(
        serde_json::from_str::<PeerKey>(&json.to_uppercase()).expect("any case"),
        key
    );
    assert_eq!(codec::encode(&key), key.as_bytes());
    let long = format!("\"{key}00\"");
    for bad in [
        "\"\"",
        "\"00\"",
        "7",
        "null",
        &json.replace('a', "g"),
        &long,
        &json.replace("00", "é"),
    ] {
        assert!(serde_json::from_str::<PeerKey>(bad).is_err(), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_comes_back(seed: u64) {
        for message in samples::messages(seed) {
            prop_assert_eq!(Message::from_bytes(&message.to_bytes()), Ok(message));
        }
    }

    #[test]
    fn whatever_decodes_has_these_very_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        if let Ok(message) = Message::from_bytes(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes);
        }
    }

    #[test]
    fn damage_never_decodes_to_other_bytes(
        seed: u64,
        kind in 0..26_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = samples::messages(seed)[kind].to_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(message) = Message::from_bytes(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes);
        }
    }

    #[test]
    fn arbitrary_files_are_refused_quietly(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        prop_assert!(Bundle::from_bytes(&bytes).is_err());
        let magic = [b"popw\x01\0\0\0", &bytes[..]].concat();
        prop_assert!(Bundle::from_bytes(&magic).is_err());
        prop_assert!(codec::decode::<Receipt>(&bytes, 4_096).is_err());
        let genesis = Genesis::from_bytes(&bytes);
        prop_assert!(genesis.is_err() || genesis.is_ok_and(|g| g.to_bytes() == bytes));
    }
}
