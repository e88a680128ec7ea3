//! Strategies around an audit: not to compute, to accuse, to choose who may audit.

use super::message;
use crate::backend::invented;
use crate::means::{Identity, KEPT, Means, Shared};
use crate::strategy::Accusation;
use crate::wrap::{Hand, Trick};
use starling_protocol::evidence::{Attestation, Opening, nonces, seal_digest};
use starling_protocol::fraud::{FraudClaim, FraudProof};
use starling_protocol::io::{Input, Output, Topic};
use starling_protocol::message::AuditCall;
use starling_protocol::signed::Signed;
use starling_protocol::{Hash, JobId, LeaseId, Message, PeerKey, codec, config, draw};
use std::collections::{BTreeMap, BTreeSet};

/// An audit that only its paper shows.
struct Sham {
    steward: PeerKey,
    job: JobId,
    slice: u32,
    seed: Hash,
    tiles: u16,
}

/// Answers calls to audit without the core, which never hears of them.
pub(super) struct Shirk {
    identity: Identity,
    seed: Hash,
    copies: Option<Shared>,
    shams: BTreeMap<LeaseId, Sham>,
}

impl Shirk {
    pub(super) fn lazily(means: &Means) -> Self {
        Self {
            identity: Identity::new(means),
            seed: means.seed,
            copies: None,
            shams: BTreeMap::new(),
        }
    }

    pub(super) fn copying(means: &Means) -> Self {
        Self {
            copies: Some(means.shared.clone()),
            ..Self::lazily(means)
        }
    }

    fn nonce(&self, lease: &LeaseId) -> Hash {
        invented(&self.seed, &lease.0, u32::MAX)
    }

    /// Seals what others have shown of this very slice, and inventions for the rest.
    fn seal(&mut self, hand: &mut Hand<'_>, call: &AuditCall) {
        let lease = &call.lease.body;
        let (id, me) = (lease.id(&self.identity.swarm), self.identity.me);
        let root = &call.commitment.body.root;
        let seed = draw::seed(&id, root, &nonces(&call.nonces), &call.steward_nonce);
        let n = call.commitment.body.tiles;
        // It has not looked at the roster: of eight and more others, as many as there may be.
        let e = match lease.intensity.k {
            few @ 0..8 => usize::from(few),
            8.. => starling_protocol::config::ROSTER_MAX,
        };
        let strength = lease.intensity.effective(&seed, e);
        let tiles = draw::tiles(&seed, &me, u32::from(strength.s), n);
        let hash = |tile: &u32| {
            let shown = self.copies.as_ref();
            let shown = shown.and_then(|s| s.shown(lease.job, lease.slice, *tile));
            shown.unwrap_or_else(|| invented(&self.seed, &id.0, *tile))
        };
        let hashes: Vec<_> = tiles.iter().map(hash).collect();
        let digest = seal_digest(&me, &self.nonce(&id), &seed, &hashes);
        hand.send(lease.steward, &Message::Seal { lease: id, digest });
        let sham = Sham {
            steward: lease.steward,
            job: lease.job,
            slice: lease.slice,
            seed,
            tiles: hashes.len() as u16,
        };
        self.shams.insert(id, sham);
        while self.shams.len() > KEPT {
            self.shams.pop_first();
        }
    }

    fn agree(&mut self, hand: &mut Hand<'_>, opening: &Signed<Opening>) {
        let lease = opening.body.lease;
        let Some(sham) = self.shams.remove(&lease) else {
            return;
        };
        if let Some(shared) = &self.copies {
            let tiles = opening.body.tiles.iter().map(|t| (t.tile, t.hash));
            shared.show(sham.job, sham.slice, tiles);
        }
        let attestation = Box::new(self.identity.sign(Attestation {
            lease,
            seed: sham.seed,
            opening: opening.digest(&self.identity.swarm),
            agree: true,
            tiles: sham.tiles,
            nonce: self.nonce(&lease),
        }));
        let proof = None;
        hand.send(sham.steward, &Message::Attest { attestation, proof });
    }
}

impl Trick for Shirk {
    fn on_input(&mut self, hand: &mut Hand<'_>, input: Input) -> Option<Input> {
        match message(&input) {
            Some(Message::AuditCall(call)) => {
                self.seal(hand, &call);
                None
            }
            Some(Message::Opening(opening)) => {
                self.agree(hand, &opening);
                Some(input)
            }
            Some(_) | None => Some(input),
        }
    }
}

/// The device finds the tiles wrong; this makes of the core's honest dissent what it shall be.
pub(super) struct Accuse {
    how: Accusation,
    identity: Identity,
}

impl Accuse {
    pub(super) fn new(how: Accusation, means: &Means) -> Self {
        Self {
            how,
            identity: Identity::new(means),
        }
    }
}

impl Accuse {
    /// The proof with another hash, of which nothing leads to the root.
    fn bent(&self, proof: FraudProof) -> FraudProof {
        let mut entry = proof.body.entry.clone();
        entry.hash = invented(&entry.hash, &entry.salt, entry.tile);
        self.identity.sign(FraudClaim {
            entry,
            ..proof.body
        })
    }
}

impl Trick for Accuse {
    fn on_output(&mut self, _: &mut Hand<'_>, output: Output) -> Option<Output> {
        if let Some(proof) = told(&output) {
            return match self.how {
                Accusation::WellFounded => Some(output),
                Accusation::Bare => None,
                Accusation::Invalid => Some(Output::Publish {
                    topic: Topic::Faults,
                    data: codec::encode(&self.bent(proof)),
                }),
            };
        }
        let Output::Send { to, bytes, after } = &output else {
            return Some(output);
        };
        let Ok(Message::Attest {
            attestation,
            proof: Some(proof),
        }) = Message::from_bytes(bytes)
        else {
            return Some(output);
        };
        let proof = match self.how {
            Accusation::WellFounded => return Some(output),
            Accusation::Bare => None,
            Accusation::Invalid => Some(Box::new(self.bent(*proof))),
        };
        Some(Output::Send {
            to: *to,
            bytes: Message::Attest { attestation, proof }.to_bytes(),
            after: *after,
        })
    }
}

/// The fraud proof that goes round with `output`.
fn told(output: &Output) -> Option<FraudProof> {
    let Output::Publish {
        topic: Topic::Faults,
        data,
    } = output
    else {
        return None;
    };
    codec::decode(data, config::FRAUD_PROOF_MAX).ok()
}

/// One of a ring never testifies against another, whatever its device found: not all may have begun to lie.
pub(super) struct Loyal(BTreeSet<PeerKey>);

impl Loyal {
    pub(super) fn new(means: &Means) -> Self {
        Self(means.friends.clone())
    }
}

impl Trick for Loyal {
    fn on_output(&mut self, _: &mut Hand<'_>, output: Output) -> Option<Output> {
        let proof = match &output {
            Output::Send { bytes, .. } => match Message::from_bytes(bytes) {
                Ok(Message::Attest { proof, .. }) => proof.map(|p| *p),
                Ok(_) | Err(_) => None,
            },
            output => told(output),
        };
        let friend = |p: FraudProof| self.0.contains(&p.body.lease.body.worker);
        (!proof.is_some_and(friend)).then_some(output)
    }
}

/// A collector that lets only its friends audit.
pub(super) struct Censor {
    identity: Identity,
    friends: BTreeSet<PeerKey>,
    /// The workers of its leases: those it has to talk to.
    granted: BTreeMap<LeaseId, PeerKey>,
}

impl Censor {
    pub(super) fn new(means: &Means) -> Self {
        Self {
            identity: Identity::new(means),
            friends: means.friends.clone(),
            granted: BTreeMap::new(),
        }
    }

    /// Whether this peer collects the lease and `peer` is a stranger who has part in it only as an auditor.
    fn unwanted(&self, peer: &PeerKey, lease: &LeaseId) -> bool {
        let worker = self.granted.get(lease);
        worker.is_some_and(|w| w != peer) && !self.friends.contains(peer)
    }
}

impl Trick for Censor {
    fn on_input(&mut self, _: &mut Hand<'_>, input: Input) -> Option<Input> {
        let Input::Message { from, .. } = &input else {
            return Some(input);
        };
        let lease = match message(&input) {
            Some(Message::Seal { lease, .. }) => lease,
            Some(Message::Attest { attestation, .. }) => attestation.body.lease,
            Some(_) | None => return Some(input),
        };
        (!self.unwanted(from, &lease)).then_some(input)
    }

    fn on_output(&mut self, _: &mut Hand<'_>, output: Output) -> Option<Output> {
        let Output::Send { to, bytes, .. } = &output else {
            return Some(output);
        };
        let lease = match Message::from_bytes(bytes) {
            Ok(Message::LeaseGrant(lease)) => {
                // An inner layer may repeat grants of others.
                if lease.body.steward != self.identity.me {
                    return Some(output);
                }
                let id = lease.body.id(&self.identity.swarm);
                self.granted.insert(id, lease.body.worker);
                while self.granted.len() > KEPT {
                    self.granted.pop_first();
                }
                return Some(output);
            }
            Ok(Message::AuditCall(call)) => call.lease.body.id(&self.identity.swarm),
            Ok(Message::SealList(list)) => list.body.lease,
            Ok(Message::Opening(opening)) => opening.body.lease,
            Ok(Message::OpeningRequest { lease }) => lease,
            Ok(_) | Err(_) => return Some(output),
        };
        (!self.unwanted(to, &lease)).then_some(output)
    }
}
