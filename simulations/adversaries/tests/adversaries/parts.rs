//! What a world is made of: identities, means, peers, the truth.

use starling_adversaries::{Backend, Means};
use starling_protocol::advert::{DeviceKind, DeviceProfile, KernelOffer};
use starling_protocol::crypto::{BoxedSigner, Signature, Signer, Verifier};
use starling_protocol::io::{Capacity, Purpose, Setup};
use starling_protocol::text::{Text, cut};
use starling_protocol::{Genesis, Hash, KernelId, Manifest, Peer, PeerKey, Tier};
use std::sync::Arc;

/// An identity whose signatures anybody can make, so that tests are fast.
pub struct Cheap(pub Hash);

fn signature(key: &PeerKey, digest: &Hash) -> Signature {
    let half = Hash::derive(
        "starling-adversaries test signature",
        &[key.as_bytes(), &digest.0],
    );
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&half.0);
    Signature::from_bytes(&bytes)
}

impl Verifier for Cheap {
    fn verify(&self, key: &PeerKey, digest: &Hash, given: &Signature) -> bool {
        *given == signature(key, digest)
    }
}

impl Signer for Cheap {
    fn key(&self) -> PeerKey {
        PeerKey(Hash::derive("starling-adversaries test key", &[&self.0.0]))
    }
    fn sign(&self, digest: &Hash) -> Signature {
        signature(&self.key(), digest)
    }
    fn prf(&self, context: &'static str, input: &[u8]) -> Hash {
        Hash::derive(context, &[&self.0.0, input])
    }
    fn verifier(&self) -> &dyn Verifier {
        self
    }
}

pub fn signer(i: usize) -> BoxedSigner {
    Box::new(Cheap(Hash([i as u8 + 1; 32])))
}

pub fn key(i: usize) -> PeerKey {
    signer(i).key()
}

/// The means of peer `i`.
pub fn means(i: usize, genesis: &Genesis, friends: &[PeerKey]) -> Means {
    let seed = Hash([0x40 + i as u8; 32]);
    let means = Means::new(Arc::new(move || signer(i)), genesis.swarm_id(), seed);
    means.among(friends.iter().copied(), Hash([0xEE; 32]))
}

/// An unmodified peer.
pub fn peer(i: usize, genesis: &Genesis) -> Peer {
    let setup = Setup {
        genesis: genesis.clone(),
        rng_seed: [i as u8; 32],
        guests: Vec::new(),
    };
    Peer::new(setup, signer(i))
}

/// The truth about a tile.
pub struct Truth;

impl Backend for Truth {
    fn tile(&self, manifest: &Manifest, tile: u32, _: Purpose) -> Hash {
        Hash::derive(
            "starling-adversaries test tile",
            &[&tile.to_le_bytes(), &manifest.params],
        )
    }
}

/// What every lending peer offers.
pub fn capacity() -> Capacity {
    Capacity {
        devices: vec![DeviceProfile {
            kind: DeviceKind::Cpu,
            name: cut("test"),
        }],
        kernels: vec![KernelOffer {
            kernel: KernelId::from([7; 32]),
            class: cut("test"),
            tier: Tier::Exact,
            units_per_s: 1_000_000,
            price: 0,
        }],
        slots: 1,
        region: Text::new(),
        software: cut("test"),
    }
}
