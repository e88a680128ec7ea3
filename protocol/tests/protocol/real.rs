//! Receipts of real worlds, and ways to change them.

use crate::world::Nature::Honest;
use crate::world::{World, signer};
use starling_protocol::crypto::Ed25519Verifier;
use starling_protocol::evidence::nonces;
use starling_protocol::receipt::{Quorum, ReceiptError, Verified};
use starling_protocol::signed::{Fact, Signed};
use starling_protocol::{Bundle, Hash, PeerKey, Receipt, draw};
use std::sync::LazyLock;

/// Finished worlds of 2, 3, 4, 5 and 24 peers, the requester among them.
pub static WORLDS: LazyLock<Vec<Real>> =
    LazyLock::new(|| [2, 3, 4, 5, 24].into_iter().map(Real::new).collect());

/// One job's bundle, and who is who in it.
pub struct Real {
    pub keys: Vec<PeerKey>,
    pub bundle: Bundle,
}

impl Real {
    fn new(peers: usize) -> Self {
        let mut world = World::new(&vec![Honest; peers - 1]);
        world.submit();
        world.run_job(600_000);
        assert!(world.is_done());
        Self {
            keys: world.keys.clone(),
            bundle: world.bundle(),
        }
    }

    pub fn first(&self) -> &Receipt {
        &self.bundle.receipts[0]
    }

    /// The bundle with `receipt` alone.
    pub fn with(&self, receipt: Receipt) -> Bundle {
        Bundle {
            receipts: vec![receipt],
            ..self.bundle.clone()
        }
    }

    pub fn verify(&self, receipt: Receipt) -> Result<Verified, ReceiptError> {
        verify_in(&self.with(receipt))
    }

    /// The first receipt after `change`.
    pub fn changed(&self, change: impl FnOnce(&mut Receipt)) -> Result<Verified, ReceiptError> {
        let mut receipt = self.first().clone();
        change(&mut receipt);
        assert_ne!(receipt, *self.first(), "nothing was changed");
        self.verify(receipt)
    }

    pub fn sign<T: Fact>(&self, who: &PeerKey, body: T) -> Signed<T> {
        let who = self
            .keys
            .iter()
            .position(|k| k == who)
            .expect("one of the world's");
        Signed::new(body, &self.bundle.genesis.swarm_id(), &signer(who))
    }

    pub fn steward(&self) -> PeerKey {
        self.first().lease.body.steward
    }

    pub fn seed(&self) -> Hash {
        let r = self.first();
        draw::seed(
            &r.commitment.body.lease,
            &r.commitment.body.root,
            &nonces(&r.nonces),
            &r.steward_nonce,
        )
    }
}

/// Accepts the bundle's record and judges its only receipt.
pub fn verify_in(bundle: &Bundle) -> Result<Verified, ReceiptError> {
    bundle
        .verify(&Ed25519Verifier)
        .expect("the record holds")
        .remove(0)
}

/// The worlds large enough for a quorum of two and more.
pub fn with_quorum() -> impl Iterator<Item = &'static Real> {
    WORLDS
        .iter()
        .filter(|r| matches!(&r.first().quorum, Quorum::Auditors(a) if a.len() >= 2))
}

pub fn agreements(receipt: &mut Receipt) -> &mut Vec<starling_protocol::receipt::Agreement> {
    match &mut receipt.quorum {
        Quorum::Auditors(agreements) => agreements,
        Quorum::SelfChecked { .. } => panic!("no auditors here"),
    }
}
