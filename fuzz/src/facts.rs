//! Messages, signed facts and bundles: what decodes has these very bytes, and verifying it ends.

use std::sync::LazyLock;

use serde::{Serialize, de::DeserializeOwned};
use starling_protocol::advert::Advert;
use starling_protocol::fraud::FraudProof;
use starling_protocol::io::Record;
use starling_protocol::manifest::JobRecord;
use starling_protocol::signed::Signed;
use starling_protocol::{Bundle, Genesis, Message, Receipt, codec, config};
use starling_sim::signer::CheapVerifier;

use crate::{Target, arena, kind_of, outcome, split};

pub(crate) const MESSAGE: Target = Target {
    name: "message",
    about: "control messages",
    run: message,
    seeds: || arena::story().0,
};

pub(crate) const FACTS: Target = Target {
    name: "facts",
    about: "adverts, job records, receipts, fraud proofs, genesis, log records",
    run: facts,
    seeds: fact_seeds,
};

pub(crate) const BUNDLE: Target = Target {
    name: "bundle",
    about: "receipt bundles and their verification",
    run: bundle,
    seeds: || vec![story_bundle().to_bytes()],
};

fn message(bytes: &[u8]) -> u64 {
    match Message::from_bytes(bytes) {
        Ok(message) => {
            assert_eq!(message.to_bytes(), bytes);
            outcome(1, arena::kind(&message))
        }
        Err(error) => outcome(0, &kind_of(&error.to_string())),
    }
}

/// Decodes, and makes sure that the encoding is the only one.
fn decoded<T: Serialize + DeserializeOwned>(bytes: &[u8], limit: usize) -> Option<T> {
    let value = codec::decode(bytes, limit).ok()?;
    assert_eq!(codec::encode(&value), bytes);
    Some(value)
}

fn facts(bytes: &[u8]) -> u64 {
    let (kind, bytes) = split(bytes);
    let swarm = arena::genesis().swarm_id();
    let found = match kind % 6 {
        0 => decoded::<Signed<Advert>>(bytes, config::ADVERT_MAX)
            .map(|a| a.verify(&swarm, &CheapVerifier, &a.body.peer).to_string()),
        1 => decoded::<JobRecord>(bytes, config::MESSAGE_MAX)
            .map(|r| format!("{:?}", r.check(&swarm, &CheapVerifier))),
        2 => decoded::<Receipt>(bytes, config::RECEIPT_MAX).map(|receipt| {
            let verified = receipt.verify(&story_bundle().record, &swarm, &CheapVerifier);
            match verified {
                Ok(verified) => format!("{:?}", verified.flags),
                Err(error) => error.to_string(),
            }
        }),
        3 => decoded::<FraudProof>(bytes, config::FRAUD_PROOF_MAX)
            .map(|proof| proof.is_well_founded(&swarm, &CheapVerifier).to_string()),
        4 => Genesis::from_bytes(bytes)
            .ok()
            .map(|g| format!("{:?}", g.check())),
        _ => decoded::<Record>(bytes, config::MESSAGE_MAX)
            .map(|r| format!("{:?}", std::mem::discriminant(&r))),
    };
    let text = found.as_deref().map_or(String::new(), kind_of);
    outcome(u64::from(kind % 6) << 1 | u64::from(found.is_some()), &text)
}

fn fact_seeds() -> Vec<Vec<u8>> {
    let (told, records) = arena::story();
    let mut seeds = Vec::new();
    let mut push = |kind: u8, bytes: Vec<u8>| seeds.push([vec![kind], bytes].concat());
    for bytes in &told {
        match Message::from_bytes(bytes) {
            Ok(Message::Attest {
                proof: Some(proof), ..
            }) => push(3, codec::encode(&proof)),
            Ok(_) => {}
            // What is no message is an advert.
            Err(_) => push(0, bytes.clone()),
        }
    }
    push(4, codec::encode(&arena::genesis()));
    for record in &records {
        match record {
            Record::Submitted { record } => push(1, codec::encode(&**record)),
            Record::Receipted { receipt, .. } => push(2, codec::encode(&**receipt)),
            _ => {}
        }
        push(5, codec::encode(record));
    }
    seeds
}

fn story_bundle() -> &'static Bundle {
    static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| {
        let (_, records) = arena::story();
        let record = records.iter().find_map(|r| match r {
            Record::Submitted { record } => Some((**record).clone()),
            _ => None,
        });
        let receipts = records.iter().filter_map(|r| match r {
            Record::Receipted { receipt, .. } => Some((**receipt).clone()),
            _ => None,
        });
        Bundle {
            genesis: arena::genesis(),
            record: record.expect("the story begins with a job"),
            receipts: receipts.collect(),
        }
    });
    &BUNDLE
}

fn bundle(bytes: &[u8]) -> u64 {
    let bundle = match Bundle::from_bytes(bytes) {
        Ok(bundle) => bundle,
        Err(error) => return outcome(0, &kind_of(&error.to_string())),
    };
    assert_eq!(bundle.to_bytes(), bytes);
    match bundle.verify(&CheapVerifier) {
        Err(error) => outcome(1, &kind_of(&error.to_string())),
        Ok(receipts) => {
            let said = receipts.iter().map(|r| match r {
                Ok(verified) => format!("{:?}", verified.flags),
                Err(error) => error.to_string(),
            });
            let said: Vec<_> = said.map(|s| kind_of(&s)).collect();
            outcome(2, &said.concat())
        }
    }
}
