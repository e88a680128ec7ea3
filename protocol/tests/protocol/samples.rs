//! One message of every kind with contents from a seed: for golden bytes, round trips and damage.

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};
use starling_protocol::advert::{Advert, DeviceKind, DeviceProfile, KernelOffer};
use starling_protocol::bits::Bits;
use starling_protocol::crypto::Signature;
use starling_protocol::evidence::{
    Attestation, Commitment, Lease, Lock, LockEntry, LockSet, OpenedTile, Opening, Reveal,
    Revealed, SealEntry, SealList, Stored,
};
use starling_protocol::fraud::FraudClaim;
use starling_protocol::manifest::{
    Appointment, BlobRef, ContextRule, Intensity, JobRecord, Manifest,
};
use starling_protocol::message::{AuditCall, Handover};
use starling_protocol::receipt::{Agreement, Quorum, Storer};
use starling_protocol::signed::Signed;
use starling_protocol::text::cut;
use starling_protocol::{
    BlobId, Hash, JobId, KernelId, LeaseId, Message, PeerKey, Reason, Receipt, Roster, Tier, config,
};

struct Fill(ChaCha12Rng);

impl Fill {
    fn hash(&mut self) -> Hash {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        Hash(bytes)
    }

    /// Small as often as large: varints have five widths.
    fn u64(&mut self) -> u64 {
        let shift = self.0.next_u32() % 64;
        self.0.next_u64() >> shift
    }

    fn u32(&mut self) -> u32 {
        self.u64() as u32
    }

    fn u16(&mut self) -> u16 {
        self.u64() as u16
    }

    fn coin(&mut self) -> bool {
        self.0.next_u32().is_multiple_of(2)
    }

    fn text(&mut self) -> String {
        (0..self.0.next_u32() % 17)
            .map(|_| char::from(b'a' + (self.0.next_u32() % 26) as u8))
            .collect()
    }

    fn some<T>(&mut self, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.0.next_u32() % 4).map(|_| make(self)).collect()
    }

    fn job(&mut self) -> JobId {
        JobId(self.hash())
    }

    fn id(&mut self) -> LeaseId {
        LeaseId(self.hash())
    }

    fn key(&mut self) -> PeerKey {
        PeerKey(self.hash())
    }

    fn signature(&mut self) -> Signature {
        let mut bytes = [0; 64];
        self.0.fill_bytes(&mut bytes);
        Signature::from_bytes(&bytes)
    }

    fn signed<T>(&mut self, body: T) -> Signed<T> {
        Signed {
            body,
            signature: self.signature(),
        }
    }

    fn nonces(&mut self) -> Vec<Option<Revealed>> {
        self.some(|f| {
            f.coin().then(|| Revealed {
                nonce: f.hash(),
                signature: f.signature(),
            })
        })
    }

    fn intensity(&mut self) -> Intensity {
        Intensity {
            k: self.u64() as u8,
            s: self.u16(),
            p_full: self.u16(),
        }
    }

    fn lease(&mut self) -> Signed<Lease> {
        let lease = Lease {
            job: self.job(),
            slice: self.u32(),
            worker: self.key(),
            steward: self.key(),
            ttl_ms: self.u32(),
            intensity: self.intensity(),
            nonce_digest: self.hash(),
            appointment: self.hash(),
        };
        self.signed(lease)
    }

    fn commitment(&mut self) -> Signed<Commitment> {
        let device = DeviceProfile {
            kind: DeviceKind::Discrete,
            name: cut(&self.text()),
        };
        let commitment = Commitment {
            lease: self.id(),
            root: self.hash(),
            tiles: self.u32(),
            device,
        };
        self.signed(commitment)
    }

    fn advert(&mut self) -> Signed<Advert> {
        let device = |f: &mut Self| DeviceProfile {
            kind: DeviceKind::Integrated,
            name: cut(&f.text()),
        };
        let offer = |f: &mut Self| KernelOffer {
            kernel: KernelId(f.hash()),
            class: cut(&f.text()),
            tier: Tier::Exact,
            units_per_s: f.u64(),
            price: f.u64(),
        };
        let advert = Advert {
            peer: self.key(),
            number: self.u64(),
            issued_s: self.u64(),
            goodbye: self.coin(),
            devices: self.some(device),
            kernels: self.some(offer),
            free_slots: self.u16(),
            region: cut(&self.text()),
            software: cut(&self.text()),
        };
        self.signed(advert)
    }

    fn lock_set(&mut self) -> Signed<LockSet> {
        let entry = |f: &mut Self| LockEntry {
            witness: f.u16(),
            nonce_digest: f.hash(),
            signature: f.signature(),
        };
        let set = LockSet {
            lease: self.id(),
            locks: self.some(entry),
            skipped: self.some(Self::u16),
        };
        self.signed(set)
    }

    fn seal_list(&mut self) -> Signed<SealList> {
        let list = SealList {
            lease: self.id(),
            seals: self.some(|f| SealEntry {
                auditor: f.u16(),
                digest: f.hash(),
            }),
            skipped: self.some(Self::u16),
            requester_draw: self.coin(),
        };
        self.signed(list)
    }

    fn opened(&mut self) -> OpenedTile {
        OpenedTile {
            tile: self.u32(),
            salt: self.hash(),
            hash: self.hash(),
        }
    }

    fn opening(&mut self) -> Signed<Opening> {
        let opening = Opening {
            lease: self.id(),
            root: self.hash(),
            seal_list: self.hash(),
            tiles: self.some(Self::opened),
            proof: self.some(Self::hash),
        };
        self.signed(opening)
    }

    fn record(&mut self) -> JobRecord {
        let manifest = Manifest {
            version: self.u16(),
            requester: self.key(),
            kernel: KernelId(self.hash()),
            class: self.text(),
            params: self.some(|f| f.u64() as u8),
            inputs: self.some(|f| BlobRef {
                id: BlobId(f.hash()),
                len: f.u64(),
            }),
            tier: Tier::Canonical,
            context: if self.coin() {
                ContextRule::None
            } else {
                ContextRule::Previous { count: self.u16() }
            },
            tiles: self.u32(),
            tile_bytes: self.u32(),
            units_per_tile: self.u64(),
            slice_tiles: self.u32(),
            bid: self.u64(),
            floor: self.intensity(),
            roster: self.hash(),
            deadline_s: self.u64(),
            recipient: self.coin().then(|| self.hash().0),
            salt: self.hash(),
        };
        let appointment = Appointment {
            job: self.job(),
            stewards: self.some(Self::key),
            until_s: self.u64(),
            number: self.u32(),
        };
        let (manifest, appointment) = (self.signed(manifest), self.signed(appointment));
        JobRecord {
            manifest,
            appointment,
            roster: Roster::new(self.some(Self::key)),
        }
    }

    fn receipt(&mut self) -> Receipt {
        let agreement = |f: &mut Self| Agreement {
            auditor: f.u16(),
            tiles: f.u16(),
            nonce: f.hash(),
            signature: f.signature(),
        };
        Receipt {
            lease: self.lease(),
            commitment: self.commitment(),
            lock_set: self.lock_set(),
            nonces: self.nonces(),
            steward_nonce: self.hash(),
            seal_list: self.seal_list(),
            opening: self.hash(),
            quorum: if self.coin() {
                Quorum::Auditors(self.some(agreement))
            } else {
                Quorum::SelfChecked {
                    tiles: self.u16(),
                    signature: self.signature(),
                }
            },
            stored: self.coin().then(|| Storer {
                peer: self.key(),
                signature: self.signature(),
            }),
        }
    }
}

/// One message of every kind, in the order of the enum.
pub fn messages(seed: u64) -> Vec<Message> {
    let mut fill = Fill(ChaCha12Rng::seed_from_u64(seed));
    let f = &mut fill;
    let stored = Stored {
        lease: f.id(),
        root: f.hash(),
    };
    let reveal = Reveal {
        lease: f.id(),
        lock_set: f.hash(),
        nonce: f.hash(),
    };
    let lock = Lock {
        lease: f.id(),
        root: f.hash(),
        nonce_digest: f.hash(),
    };
    let (seed, opening, nonce) = (f.hash(), f.hash(), f.hash());
    let attestation = Attestation {
        lease: f.id(),
        seed,
        opening,
        agree: f.coin(),
        tiles: f.u16(),
        nonce,
    };
    let (accuser, entry, path) = (f.key(), f.opened(), f.some(Fill::hash));
    let claim = FraudClaim {
        accuser,
        lease: f.lease(),
        commitment: f.commitment(),
        entry,
        path,
    };
    let call = AuditCall {
        lease: f.lease(),
        commitment: f.commitment(),
        lock_set: f.lock_set(),
        nonces: f.nonces(),
        steward_nonce: f.hash(),
        context: f.some(Fill::opening),
    };
    let handover = Handover {
        call: call.clone(),
        seal_list: f.seal_list(),
        opening: f.opening(),
    };
    vec![
        Message::BoardQuery { class: f.text() },
        Message::Record(Box::new(f.record())),
        Message::RecordRequest { job: f.job() },
        Message::LeaseRequest { job: f.job() },
        Message::LeaseGrant(Box::new(f.lease())),
        Message::LeaseRefusal {
            job: f.job(),
            reason: Reason::NothingOpen,
            retry_ms: f.u32(),
        },
        Message::Commit {
            commitment: Box::new(f.commitment()),
            next: true,
        },
        Message::CommitAck { lease: f.id() },
        Message::LockRequest {
            lease: Box::new(f.lease()),
            commitment: Box::new(f.commitment()),
        },
        Message::Locked(f.signed(lock)),
        Message::LockSet(Box::new(f.lock_set())),
        Message::Reveal(f.signed(reveal)),
        Message::AuditCall(Box::new(call)),
        Message::Seed {
            lease: f.id(),
            nonces: f.nonces(),
            steward_nonce: f.hash(),
        },
        Message::Seal {
            lease: f.id(),
            digest: f.hash(),
        },
        Message::SealList(Box::new(f.seal_list())),
        Message::Opening(Box::new(f.opening())),
        Message::OpeningAck { lease: f.id() },
        Message::OpeningRequest { lease: f.id() },
        Message::Attest {
            attestation: Box::new(f.signed(attestation)),
            proof: f.coin().then(|| Box::new(f.signed(claim))),
        },
        Message::Audited { lease: f.id() },
        Message::Output {
            lease: f.id(),
            blob: BlobId(f.hash()),
            secret: f.hash(),
            bytes: b"short".to_vec(),
        },
        Message::Stored(Box::new(f.signed(stored))),
        Message::Receipt(Box::new(f.receipt())),
        Message::LeaseEnded {
            lease: f.id(),
            reason: Reason::FetchFailed,
        },
        Message::JobEnded {
            job: f.job(),
            reason: Reason::NoEligiblePeer,
        },
        Message::Advert(Box::new(f.advert())),
        Message::Progress {
            job: f.job(),
            done: Bits::of(19, [0, 7, 18]),
            busy: Bits::of(19, [1]),
        },
        Message::SettleRequest {
            job: f.job(),
            slices: vec![f.u32(), 3],
        },
        Message::Settle {
            receipt: Box::new(f.receipt()),
            blob: BlobId(f.hash()),
            secret: f.hash(),
        },
        Message::Probe {
            version: config::PROBE_VERSION,
            kernel: KernelId(f.hash()),
            units: 500_000_000,
            probe: f.hash(),
        },
        Message::ProbeReply {
            probe: f.hash(),
            nonce: Some(f.hash()),
        },
        Message::ProbeStart {
            probe: f.hash(),
            nonce: f.hash(),
        },
        Message::ProbeDone {
            probe: f.hash(),
            tiles: vec![f.hash(), f.hash()],
        },
        Message::TakeOver(Box::new(handover)),
    ]
}
