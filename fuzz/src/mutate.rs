//! Small changes to bytes, drawn from a seed.

use rand_chacha::ChaCha8Rng;
use rand_core::Rng as _;

/// Longest input that is made.
pub const MAX_LEN: usize = 64 * 1024;
/// Values at which decoders change their minds.
const EDGES: [u8; 12] = [
    0, 1, 2, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0x20,
];

/// A number below `n`, which is at least 1.
pub fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    (rng.next_u64() % n.max(1) as u64) as usize
}

/// Changes `bytes` in one to eight places; `other` is an input to take parts from.
pub fn mutate(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=below(rng, 8) {
        once(rng, bytes, other);
    }
    bytes.truncate(MAX_LEN);
}

fn once(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let len = bytes.len();
    let at = below(rng, len);
    match below(rng, 10) {
        0 if len > 0 => bytes[at] ^= 1 << below(rng, 8),
        1 if len > 0 => bytes[at] = EDGES[below(rng, EDGES.len())],
        2 if len > 0 => bytes[at] = rng.next_u32() as u8,
        3 if len > 0 => {
            let end = (at + 1 + below(rng, 16)).min(len);
            bytes.drain(at..end);
        }
        4 => {
            let more: Vec<u8> = (0..=below(rng, 8)).map(|_| rng.next_u32() as u8).collect();
            bytes.splice(at..at, more);
        }
        // A piece once more, somewhere else.
        5 if len > 0 => {
            let piece = bytes[at..(at + 1 + below(rng, 64)).min(len)].to_vec();
            let to = below(rng, len);
            bytes.splice(to..to, piece);
        }
        // A piece of another input, in place or in between.
        6 | 7 if !other.is_empty() => {
            let from = below(rng, other.len());
            let piece = &other[from..(from + 1 + below(rng, 256)).min(other.len())];
            let over = if below(rng, 2) == 0 { 0 } else { piece.len() };
            let end = (at + over).min(len);
            bytes.splice(at..end, piece.iter().copied());
        }
        8 => bytes.truncate(below(rng, len + 1)),
        // A number, little-endian, one off or at an edge.
        _ if len >= 4 => {
            let at = below(rng, len - 3);
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            let number = u32::from_le_bytes(word);
            let number = match below(rng, 4) {
                0 => number.wrapping_add(1),
                1 => number.wrapping_sub(1),
                2 => u32::MAX >> below(rng, 32),
                _ => 1 << below(rng, 32),
            };
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        _ => bytes.push(rng.next_u32() as u8),
    }
}
