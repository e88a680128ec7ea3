//! The tree: what is opened proves itself, and nothing else does.

use proptest::prelude::*;
use proptest::sample::subsequence;
use starling_protocol::merkle::{leaves, path, prove, root, verify};
use starling_protocol::{Hash, LeaseId};

const LEASE: LeaseId = LeaseId(Hash([9; 32]));

fn tree(n: u32) -> Vec<Hash> {
    let hashes: Vec<_> = (0..n).map(|t| Hash::of(&t.to_le_bytes())).collect();
    leaves(&Hash([3; 32]), &hashes)
}

/// Leaves, root, and a subset of the tiles with its proof.
#[derive(Debug)]
struct Case {
    leaves: Vec<Hash>,
    root: Hash,
    opened: Vec<(u32, Hash)>,
    proof: Vec<Hash>,
}

impl Case {
    fn holds(&self, opened: &[(u32, Hash)], proof: &[Hash]) -> bool {
        verify(&LEASE, &self.root, self.leaves.len() as u32, opened, proof)
    }
}

fn case() -> impl Strategy<Value = Case> {
    (1..=1024_u32)
        .prop_flat_map(|n| {
            (
                Just(n),
                subsequence((0..n).collect::<Vec<_>>(), 1..=(n as usize).min(80)),
            )
        })
        .prop_map(|(n, tiles)| {
            let leaves = tree(n);
            let root = root(&LEASE, &leaves).expect("n > 0");
            let opened = tiles.iter().map(|t| (*t, leaves[*t as usize])).collect();
            Case {
                root,
                opened,
                proof: prove(&leaves, &tiles),
                leaves,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn opens_what_was_committed(case in case()) {
        prop_assert!(case.holds(&case.opened, &case.proof));
    }

    #[test]
    fn any_other_proof_fails(case in case(), at: prop::sample::Index, bit in 0..256_usize) {
        let mut longer = case.proof.clone();
        longer.insert(at.index(case.proof.len() + 1), Hash([1; 32]));
        prop_assert!(!case.holds(&case.opened, &longer), "an added hash");
        if case.proof.is_empty() {
            return Ok(());
        }
        let at = at.index(case.proof.len());
        let mut altered = case.proof.clone();
        altered[at].0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!case.holds(&case.opened, &altered), "an altered hash");
        let mut shorter = case.proof.clone();
        shorter.remove(at);
        prop_assert!(!case.holds(&case.opened, &shorter), "a dropped hash");
        if case.proof.len() > 1 {
            let mut swapped = case.proof.clone();
            swapped.swap(at, (at + 1) % case.proof.len());
            prop_assert!(!case.holds(&case.opened, &swapped), "reordered hashes");
        }
    }

    #[test]
    fn any_other_leaves_fail(case in case(), at: prop::sample::Index, bit in 0..256_usize) {
        let n = case.leaves.len() as u32;
        let at = at.index(case.opened.len());
        let mut altered = case.opened.clone();
        altered[at].1.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!case.holds(&altered, &case.proof), "another leaf");
        let mut moved = case.opened.clone();
        moved[at].0 = n;
        prop_assert!(!case.holds(&moved, &case.proof), "a tile that does not exist");
        let mut doubled = case.opened.clone();
        doubled.insert(at, doubled[at]);
        prop_assert!(!case.holds(&doubled, &case.proof), "a tile twice");
        prop_assert!(!case.holds(&[], &case.proof), "nothing opened");
        prop_assert!(!verify(&LEASE, &case.root, n + 1, &case.opened, &case.proof), "another number of tiles");
        let other = LeaseId(Hash([8; 32]));
        prop_assert!(!verify(&other, &case.root, n, &case.opened, &case.proof), "another lease");
    }

    #[test]
    fn the_path_of_one_tile_is_its_own_proof(case in case(), at: prop::sample::Index) {
        let n = case.leaves.len() as u32;
        let (tile, leaf) = case.opened[at.index(case.opened.len())];
        let path = path(n, &case.opened, &case.proof, tile).expect("it is open");
        prop_assert_eq!(&path, &prove(&case.leaves, &[tile]));
        prop_assert!(case.holds(&[(tile, leaf)], &path));
    }
}

#[test]
fn the_largest_opening_of_the_newcomer_rule_fits() {
    use starling_protocol::config::{OPENING_MAX, SELF_CHECK_TILES, SLICE_TILES_MAX};
    use starling_protocol::manifest::Intensity;
    let most = (1..=64)
        .map(Intensity::newcomer)
        .map(|i| u32::from(i.k) * u32::from(i.s))
        .max();
    let tiles = most.expect("not empty") + SELF_CHECK_TILES;
    // Evenly spread leaves share the fewest siblings.
    let spread: Vec<_> = (0..tiles).map(|i| i * SLICE_TILES_MAX / tiles).collect();
    let proof = prove(&tree(SLICE_TILES_MAX), &spread);
    // A tile takes at most 3 + 32 + 32 bytes; the rest of an opening is three hashes, a signature and two lengths.
    let bytes = proof.len() * 32 + spread.len() * 67 + 96 + 64 + 6;
    assert!(bytes <= OPENING_MAX, "{tiles} tiles need {bytes} bytes");
}
