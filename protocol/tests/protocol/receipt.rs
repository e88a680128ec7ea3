//! Receipts: those of real worlds verify, and no changed one does.

use crate::real::{Real, WORLDS, agreements, verify_in, with_quorum};
use crate::world::Nature::Honest;
use crate::world::{Nature, World, signer};
use starling_protocol::config::RECEIPT_MAX;
use starling_protocol::crypto::{Ed25519Verifier, Signature, Signer as _, Verifier};
use starling_protocol::evidence::{Attestation, Lock, Reveal, Stored};
use starling_protocol::manifest::Intensity;
use starling_protocol::receipt::{Quorum, ReceiptError, Storer};
use starling_protocol::{Bundle, Hash, PeerKey, Receipt, Roster, codec, draw};
use std::collections::BTreeSet;

#[test]
fn receipts_of_every_size_of_swarm_verify_and_fit() {
    for real in WORLDS.iter() {
        for receipt in &real.bundle.receipts {
            let bytes = codec::encode(receipt).len();
            let verified = real.verify(receipt.clone()).expect("it is real");
            println!(
                "{} peers: {bytes} bytes, {} in the committee",
                real.keys.len(),
                verified.committee.len()
            );
            assert!(bytes <= RECEIPT_MAX);
        }
        let bytes = real.bundle.to_bytes();
        assert_eq!(Bundle::from_bytes(&bytes).as_ref(), Ok(&real.bundle));
    }
}

/// The largest that the rules allow: 3 locks, 16 seals and 16 skipped, 11 agreements, 3-byte indices, a long name.
#[test]
fn the_largest_receipt_fits() {
    let mut r = WORLDS.last().expect("five worlds").first().clone();
    r.lease.body.slice = u32::MAX;
    r.lease.body.ttl_ms = u32::MAX;
    r.commitment.body.device.name = starling_protocol::text::cut(&"n".repeat(64));
    r.lock_set
        .body
        .locks
        .iter_mut()
        .for_each(|l| l.witness = 1023);
    r.seal_list
        .body
        .seals
        .iter_mut()
        .for_each(|s| s.auditor = 1023);
    r.seal_list.body.skipped = vec![1023; 16];
    agreements(&mut r).iter_mut().for_each(|a| a.auditor = 1023);
    let shape = (
        r.lock_set.body.locks.len(),
        r.seal_list.body.seals.len(),
        agreements(&mut r).len(),
    );
    assert_eq!(shape, (3, 16, 11));
    assert!(
        codec::encode(&r).len() <= RECEIPT_MAX,
        "{} bytes",
        codec::encode(&r).len()
    );
}

/// Real ed25519 that remembers what it accepted once: otherwise 100,000 flipped bits would take minutes.
struct Remembers(BTreeSet<(PeerKey, Hash, Signature)>);

impl Remembers {
    fn all_of(bundle: &Bundle) -> Self {
        struct Notes(std::cell::RefCell<BTreeSet<(PeerKey, Hash, Signature)>>);
        impl Verifier for Notes {
            fn verify(&self, key: &PeerKey, digest: &Hash, signature: &Signature) -> bool {
                let ok = Ed25519Verifier.verify(key, digest, signature);
                assert!(
                    ok && self.0.borrow_mut().insert((*key, *digest, *signature)),
                    "each signature counts once"
                );
                ok
            }
        }
        let notes = Notes(std::cell::RefCell::default());
        assert!(
            bundle
                .verify(&notes)
                .expect("the record holds")
                .iter()
                .all(Result::is_ok)
        );
        Self(notes.0.into_inner())
    }
}

impl Verifier for Remembers {
    fn verify(&self, key: &PeerKey, digest: &Hash, signature: &Signature) -> bool {
        self.0.contains(&(*key, *digest, *signature))
            || Ed25519Verifier.verify(key, digest, signature)
    }
}

#[test]
fn no_bit_of_a_bundle_can_be_flipped() {
    for real in WORLDS.iter() {
        let bundle = real.with(real.first().clone());
        let verifier = Remembers::all_of(&bundle);
        let mut bytes = bundle.to_bytes();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let accepted = Bundle::from_bytes(&bytes).is_ok_and(|b| {
                b.verify(&verifier)
                    .is_ok_and(|all| all.iter().any(Result::is_ok))
            });
            assert!(
                !accepted,
                "{} peers: bit {} of byte {}",
                real.keys.len(),
                bit % 8,
                bit / 8
            );
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn parts_of_two_receipts_do_not_mix() {
    for real in WORLDS.iter() {
        let [a, b] = &real.bundle.receipts[..2] else {
            unreachable!("a slice of two")
        };
        let mixes: [fn(&mut Receipt, &Receipt); 9] = [
            |r, o| r.lease = o.lease.clone(),
            |r, o| r.commitment = o.commitment.clone(),
            |r, o| r.lock_set = o.lock_set.clone(),
            |r, o| r.nonces = o.nonces.clone(),
            |r, o| r.steward_nonce = o.steward_nonce,
            |r, o| r.seal_list = o.seal_list.clone(),
            |r, o| r.opening = o.opening,
            |r, o| r.quorum = o.quorum.clone(),
            |r, o| r.stored = o.stored.clone(),
        ];
        for (i, mix) in mixes.iter().enumerate() {
            let mut mixed = a.clone();
            mix(&mut mixed, b);
            // Alone with the requester, a worker has no witnesses, so neither receipt has nonces.
            assert!(mixed != *a || (i == 3 && real.keys.len() == 2));
            assert!(
                mixed == *a || real.verify(mixed).is_err(),
                "{} peers, part {i}",
                real.keys.len()
            );
        }
    }
}

#[test]
fn attestations_count_once_in_order_and_from_drawn_peers_only() {
    for real in with_quorum() {
        let need = real.first().lease.body.intensity.quorum();
        let below = Err(ReceiptError::BelowQuorum {
            got: need - 1,
            need,
        });
        assert_eq!(real.changed(|r| agreements(r).truncate(need - 1)), below);
        assert_eq!(
            real.changed(|r| agreements(r).clear()),
            Err(ReceiptError::BelowQuorum { got: 0, need })
        );
        let not_drawn = Err(ReceiptError::NotDrawn("attesting auditor"));
        assert_eq!(
            real.changed(|r| agreements(r).swap(0, 1)),
            not_drawn,
            "swapped"
        );
        assert_eq!(
            real.changed(|r| agreements(r)[1] = agreements(r)[0].clone()),
            not_drawn,
            "doubled"
        );
        let one_more = real.changed(|r| {
            let last = agreements(r).last().expect("not empty").clone();
            agreements(r).push(last);
        });
        assert_eq!(
            one_more,
            Err(ReceiptError::BelowQuorum {
                got: need + 1,
                need
            })
        );
        let fewer_tiles = real.changed(|r| agreements(r)[0].tiles -= 1);
        assert_eq!(fewer_tiles, Err(ReceiptError::Mismatch("attestation")));
        // The worker attests to itself, with a good signature.
        let itself = real.changed(|r| {
            let worker = r.lease.body.worker;
            let Attestation { lease, opening, .. } = attestation(real, r);
            let (tiles, nonce) = (agreements(r)[0].tiles, Hash::default());
            let body = Attestation {
                lease,
                seed: real.seed(),
                opening,
                agree: true,
                tiles,
                nonce,
            };
            let auditor = real
                .bundle
                .record
                .roster
                .index(&worker)
                .expect("in the roster");
            let signature = real.sign(&worker, body).signature;
            agreements(r)[0] = starling_protocol::receipt::Agreement {
                auditor,
                tiles,
                nonce,
                signature,
            };
        });
        assert_eq!(itself, not_drawn);
    }
}

/// The first agreement's attestation, as it was signed.
fn attestation(real: &Real, receipt: &mut Receipt) -> Attestation {
    let (lease, opening) = (receipt.commitment.body.lease, receipt.opening);
    let first = &agreements(receipt)[0];
    Attestation {
        lease,
        seed: real.seed(),
        opening,
        agree: true,
        tiles: first.tiles,
        nonce: first.nonce,
    }
}

#[test]
fn a_dissent_is_no_agreement() {
    for real in with_quorum() {
        let dissent = real.changed(|r| {
            let body = Attestation {
                agree: false,
                ..attestation(real, r)
            };
            let auditor = agreements(r)[0].auditor;
            let auditor = real
                .bundle
                .record
                .roster
                .peer(auditor)
                .expect("in the roster");
            agreements(r)[0].signature = real.sign(&auditor, body).signature;
        });
        assert_eq!(dissent, Err(ReceiptError::Signature("auditor")));
    }
}

#[test]
fn nonces_cannot_be_dropped_swapped_or_made_up() {
    for real in WORLDS.iter().filter(|r| !r.first().nonces.is_empty()) {
        let n = real.first().nonces.len();
        for i in 0..n {
            assert!(
                real.changed(|r| r.nonces[i] = None).is_err(),
                "{} peers, nonce {i} dropped",
                real.keys.len()
            );
            let made_up = real.changed(|r| {
                if let Some(revealed) = &mut r.nonces[i] {
                    revealed.nonce = Hash([1; 32]);
                }
            });
            assert_eq!(made_up, Err(ReceiptError::Nonce("witness")));
            // The true nonce, said against another set of locks: the steward showed two.
            let root = real.first().commitment.body.root;
            let witness = real.first().lock_set.body.locks[i].witness;
            let witness = real.bundle.record.roster.peer(witness).expect("drawn");
            let elsewhere = real.changed(|r| {
                if let Some(revealed) = &mut r.nonces[i] {
                    let (lease, nonce) = (r.commitment.body.lease, revealed.nonce);
                    let lock_set = root;
                    let reveal = Reveal {
                        lease,
                        lock_set,
                        nonce,
                    };
                    revealed.signature = real.sign(&witness, reveal).signature;
                }
            });
            assert_eq!(elsewhere, Err(ReceiptError::Signature("reveal")));
        }
        assert_eq!(
            real.changed(|r| r.nonces.truncate(n - 1)),
            Err(ReceiptError::Mismatch("nonces"))
        );
        assert_eq!(
            real.changed(|r| r.steward_nonce = Hash([1; 32])),
            Err(ReceiptError::Nonce("steward"))
        );
        if n >= 2 {
            assert_eq!(
                real.changed(|r| r.nonces.swap(0, 1)),
                Err(ReceiptError::Nonce("witness"))
            );
            let two = real.changed(|r| (r.nonces[0], r.nonces[1]) = (None, None));
            assert_eq!(two, Err(ReceiptError::NoncesMissing));
        }
    }
}

#[test]
fn the_lease_must_be_the_records_and_as_strict() {
    for real in WORLDS.iter() {
        let changed = |change: &dyn Fn(&mut starling_protocol::evidence::Lease)| {
            real.changed(|r| {
                change(&mut r.lease.body);
                r.lease = real.sign(&real.steward(), r.lease.body.clone());
            })
        };
        let mismatch = |what| Err(ReceiptError::Mismatch(what));
        let floor = real.bundle.record.manifest.body.floor;
        if floor.k > 0 {
            let weaker = |of: u16| of - 1;
            assert_eq!(
                changed(&|l| l.intensity.k = weaker(floor.k.into()) as u8),
                mismatch("intensity")
            );
            assert_eq!(
                changed(&|l| l.intensity.s = weaker(floor.s)),
                mismatch("intensity")
            );
            assert_eq!(
                changed(&|l| l.intensity.p_full = weaker(floor.p_full)),
                mismatch("intensity"),
                "a full audit less often than one in twenty"
            );
        }
        assert_eq!(
            changed(&|l| l.intensity.k = 200),
            mismatch("intensity"),
            "more auditors than peers"
        );
        assert_eq!(changed(&|l| l.slice = u32::MAX), mismatch("lease"));
        assert_eq!(changed(&|l| l.job.0.0[0] ^= 1), mismatch("lease"));
        assert_eq!(
            changed(&|l| l.appointment.0[0] ^= 1),
            mismatch("appointment")
        );
        assert_eq!(changed(&|l| l.steward = l.worker), mismatch("steward"));
        let stranger = signer(200).key();
        assert_eq!(changed(&|l| l.worker = stranger), mismatch("worker"));
        // Allowed by the record, but another lease than the one that was committed to.
        assert_eq!(changed(&|l| l.intensity.s += 1), mismatch("commitment"));
        assert_eq!(changed(&|l| l.ttl_ms += 1), mismatch("commitment"));
        let tiles = real.changed(|r| {
            r.commitment.body.tiles -= 1;
            r.commitment = real.sign(&r.lease.body.worker, r.commitment.body.clone());
        });
        assert_eq!(tiles, mismatch("commitment"));
    }
}

#[test]
fn the_seal_list_accounts_for_every_rank() {
    let mismatch = Err(ReceiptError::Mismatch("seal list"));
    for real in with_quorum() {
        let k = usize::from(real.first().lease.body.intensity.k);
        let relisted = |change: &dyn Fn(&mut starling_protocol::evidence::SealList)| {
            real.changed(|r| {
                change(&mut r.seal_list.body);
                r.seal_list = real.sign(&real.steward(), r.seal_list.body.clone());
            })
        };
        assert_eq!(
            relisted(&|l| l.seals.truncate(k - 1)),
            mismatch,
            "a seal left out"
        );
        assert_eq!(
            relisted(&|l| l.seals.push(l.seals[0].clone())),
            mismatch,
            "more than k"
        );
        let both = relisted(&|l| l.skipped.push(l.seals[0].auditor));
        assert_eq!(both, mismatch, "sealed and skipped");
        let not_drawn = Err(ReceiptError::NotDrawn("auditor"));
        assert_eq!(relisted(&|l| l.seals.swap(0, 1)), not_drawn, "out of order");
        assert_eq!(
            relisted(&|l| l.seals[0].auditor = 9_999),
            not_drawn,
            "nobody"
        );
        // A later rank in place of the first, which is passed over in silence.
        let roster = &real.bundle.record.roster;
        let worker = real.first().lease.body.worker;
        let ranks = real
            .bundle
            .record
            .ranks(&worker, &draw::auditor_target(&real.seed()));
        if let Some(friend) = ranks.get(k) {
            let friend = roster.index(friend).expect("in the roster");
            let picked = relisted(&|l| {
                let mut seal = l.seals.remove(0);
                seal.auditor = friend;
                l.seals.push(seal);
            });
            assert_eq!(picked, mismatch, "a friend picked");
        }
    }
}

#[test]
fn witnesses_are_the_drawn_ones_in_order() {
    let real = WORLDS.last().expect("five worlds");
    let relocked = |change: &dyn Fn(&mut starling_protocol::evidence::LockSet)| {
        real.changed(|r| {
            change(&mut r.lock_set.body);
            r.nonces.truncate(r.lock_set.body.locks.len());
            r.lock_set = real.sign(&real.steward(), r.lock_set.body.clone());
        })
    };
    let not_drawn = Err(ReceiptError::NotDrawn("witness"));
    assert_eq!(relocked(&|s| s.locks.swap(0, 1)), not_drawn);
    assert_eq!(relocked(&|s| s.locks[1] = s.locks[0].clone()), not_drawn);
    assert!(
        relocked(&|s| s.locks.truncate(2)).is_err(),
        "a lock left out after the draw"
    );
    // Someone beyond the ten ranks, with a good signature.
    let lease = &real.first().lease.body;
    let target = draw::witness_target(&lease.job, lease.slice, &lease.worker);
    let far = real.bundle.record.ranks(&lease.worker, &target)[15];
    let stranger = relocked(&|s| {
        let nonce_digest = s.locks[2].nonce_digest;
        let lock = Lock {
            lease: s.lease,
            root: real.first().commitment.body.root,
            nonce_digest,
        };
        s.locks[2].witness = real
            .bundle
            .record
            .roster
            .index(&far)
            .expect("in the roster");
        s.locks[2].signature = real.sign(&far, lock).signature;
    });
    assert_eq!(stranger, not_drawn);
}

#[test]
fn only_stewards_and_the_requester_store() {
    for real in WORLDS.iter() {
        let by = |who: PeerKey| {
            real.changed(|r| {
                let stored = Stored {
                    lease: r.commitment.body.lease,
                    root: r.commitment.body.root,
                };
                r.stored = Some(Storer {
                    peer: who,
                    signature: real.sign(&who, stored).signature,
                });
            })
        };
        assert_eq!(
            by(real.first().lease.body.worker),
            Err(ReceiptError::Mismatch("storer"))
        );
        let without = real
            .changed(|r| r.stored = None)
            .expect("valid, but nobody keeps the output");
        assert!(without.flags.not_stored);
    }
}

#[test]
fn a_self_check_needs_the_requesters_signature_and_its_own_draw() {
    let real = &WORLDS[0];
    let relisted = real.changed(|r| {
        r.seal_list.body.requester_draw = false;
        r.seal_list = real.sign(&real.steward(), r.seal_list.body.clone());
    });
    assert_eq!(relisted, Err(ReceiptError::Mismatch("self-check")));
    let fewer = real.changed(|r| {
        let Quorum::SelfChecked { tiles, .. } = &mut r.quorum else {
            panic!("self-checked")
        };
        *tiles = 31;
    });
    assert_eq!(fewer, Err(ReceiptError::Mismatch("self-check")));
    let by_worker = real.changed(|r| {
        let (lease, opening, seed) = (r.commitment.body.lease, r.opening, real.seed());
        let worker = r.lease.body.worker;
        let Quorum::SelfChecked { tiles, signature } = &mut r.quorum else {
            panic!("self-checked")
        };
        let body = Attestation {
            lease,
            seed,
            opening,
            agree: true,
            tiles: *tiles,
            nonce: Hash::default(),
        };
        *signature = real.sign(&worker, body).signature;
    });
    assert_eq!(by_worker, Err(ReceiptError::Signature("requester")));
}

#[test]
fn another_record_does_not_carry_the_receipt() {
    for real in WORLDS.iter() {
        let requester = real.keys[0];
        // A later appointment, signed by the requester: the lease names the old one.
        let mut later = real.with(real.first().clone());
        later.record.appointment.body.number += 1;
        later.record.appointment = real.sign(&requester, later.record.appointment.body.clone());
        assert_eq!(
            verify_in(&later),
            Err(ReceiptError::Mismatch("appointment"))
        );
        // Unsigned, it is no record at all.
        later.record.appointment.signature = real.bundle.record.appointment.signature;
        assert!(later.verify(&Ed25519Verifier).is_err());

        // Another roster does not belong to the manifest; with a manifest of its own it is another job.
        let mut other = real.with(real.first().clone());
        let mut peers = other.record.roster.peers().to_vec();
        peers.push(signer(200).key());
        other.record.roster = Roster::new(peers);
        assert!(other.verify(&Ed25519Verifier).is_err());
        let swarm = other.genesis.swarm_id();
        other.record.manifest.body.roster = other.record.roster.digest();
        let c = other.record.committee();
        other.record.manifest.body.floor = Intensity::newcomer(c);
        other.record.manifest = real.sign(&requester, other.record.manifest.body.clone());
        other.record.appointment.body.job = other.record.id(&swarm);
        other.record.appointment = real.sign(&requester, other.record.appointment.body.clone());
        assert_eq!(verify_in(&other), Err(ReceiptError::Mismatch("lease")));

        let mut elsewhere = real.bundle.clone();
        elsewhere.genesis.name.push('!');
        assert!(elsewhere.verify(&Ed25519Verifier).is_err(), "another swarm");
    }
}

/// The receipts of one job twice over: once with its fastest worker, once with that one silent.
fn done_twice() -> Bundle {
    let bundle = |natures: &[Nature]| {
        let mut world = World::new(natures);
        world.submit();
        world.run_job(600_000);
        world.bundle()
    };
    let mut first = bundle(&[Honest; 5]);
    let second = bundle(&[Nature::Silent, Honest, Honest, Honest, Honest]);
    assert_eq!(first.record, second.record, "chance is the same in both");
    first.receipts.extend(second.receipts);
    first
}

#[test]
fn of_two_receipts_for_a_slice_one_is_credited_whatever_their_order() {
    let mut bundle = done_twice();
    let credited = |bundle: &Bundle| {
        let all = bundle.verify(&Ed25519Verifier).expect("the record holds");
        let all: Vec<_> = all.into_iter().filter_map(Result::ok).collect();
        let credited = all.iter().filter(|v| v.is_credited());
        let slices: Vec<_> = credited.clone().map(|v| (v.slice, v.lease)).collect();
        (all, slices)
    };
    let (all, mut slices) = credited(&bundle);
    // Whoever calls its friends alone displaces nobody.
    let mut weak = all[0].clone();
    weak.flags.weak = true;
    let strong = all.iter().filter(|v| !v.flags.weak);
    assert!(
        strong.clone().count() > 0 && strong.clone().all(|v| v.precedence() < weak.precedence())
    );
    assert!(all.len() > 4, "some slices were done under two leases");
    assert_eq!(slices.len(), 4, "each slice once");
    let duplicates = all.iter().filter(|v| v.flags.duplicate).count();
    assert_eq!(duplicates, all.len() - 4);
    assert!(all.iter().all(|v| !v.flags.not_stored));
    bundle.receipts.reverse();
    let (_, mut again) = credited(&bundle);
    slices.sort_unstable();
    again.sort_unstable();
    // Of two for one lease the first one stands; of two leases, always the same one.
    assert_eq!(again, slices);
    // What nobody stores takes no credit from what is.
    for receipt in &mut bundle.receipts {
        receipt.stored = None;
    }
    let (all, slices) = credited(&bundle);
    assert!(slices.is_empty() && all.iter().all(|v| !v.flags.duplicate));
}
