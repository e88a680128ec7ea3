//! All randomness of a run, from its seed: a stream of its own for each purpose and peer, so that whoever draws more
//! often than before disturbs nobody else.
//!
//! Streams are counter-based (Philox 4x32-10; Salmon, Moraes, Dror and Shaw, SC 2011): a key and a counter of 16
//! bytes together, whose n-th value needs none of those before it. A hundred thousand peers can have several each.

use core::convert::Infallible;
use rand_core::TryRng;

/// What a random stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A peer's identity key.
    Identity,
    /// The core's own randomness.
    Core,
    /// When a peer starts.
    Start,
    /// What its devices are.
    Device,
    /// Whom a peer gossips with.
    Mesh,
    /// When and of what size jobs are.
    Workload,
    /// Who misbehaves, and how.
    Adversary,
    /// Where a peer is: region, tier, NAT, clock, disk.
    Place,
    /// Numbers each packet, so that the models below draw from it.
    Packet,
    /// The spread of latencies between regions.
    Latency,
    /// Jitter of the last mile.
    Access,
    /// Independent loss.
    Loss,
    /// Bursts of loss.
    Burst,
    /// Which pairs of NATs let each other through, and which relay serves the others.
    Nat,
    /// Who is on which side of a partition.
    Partition,
    /// How long slow disks take.
    Disk,
    /// When a peer comes and goes.
    Churn,
    /// Whom a Kademlia bucket holds.
    Dht,
    /// Whom an infected peer tells, in the check against epidemic theory.
    Epidemic,
    /// What light peers draw: who provides boards, who says goodbye, how long copies take.
    Light,
}

/// The seed of a run, from which every stream is derived by (purpose, peer).
#[derive(Clone, Debug)]
pub struct Streams([u8; 32]);

impl Streams {
    /// All streams of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(blake3::derive_key(
            "starling-sim 2026-11 run seed v1",
            &seed.to_le_bytes(),
        ))
    }

    /// 32 bytes for `(purpose, a, b)`: of a peer `(peer, 0)`, of a pair both its ends. For keys and secrets.
    #[must_use]
    pub fn bytes(&self, purpose: Purpose, a: u32, b: u32) -> [u8; 32] {
        let mut input = [0; 9];
        input[0] = purpose as u8;
        input[1..5].copy_from_slice(&a.to_le_bytes());
        input[5..].copy_from_slice(&b.to_le_bytes());
        *blake3::keyed_hash(&self.0, &input).as_bytes()
    }

    /// `peer`'s stream for `purpose`.
    #[must_use]
    pub fn stream(&self, purpose: Purpose, peer: u32) -> Stream {
        Stream {
            key: self.key(purpose),
            peer,
            drawn: 0,
        }
    }

    fn key(&self, purpose: Purpose) -> [u32; 2] {
        let word = |i: usize| {
            let bytes = &self.0[4 * i..];
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        // The purpose in bits of its own, so that no two purposes share a key.
        [word(0), (word(1) & 0x00ff_ffff) | (purpose as u32) << 24]
    }
}

/// One random stream.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    peer: u32,
    drawn: u32,
}

impl Stream {
    /// The next 64 bits. After 2^32 of them the stream begins anew.
    pub fn bits(&mut self) -> u64 {
        let block = philox([self.drawn, self.peer, 0, 0], self.key);
        self.drawn = self.drawn.wrapping_add(1);
        u64::from(block[0]) | u64::from(block[1]) << 32
    }

    /// A number in 0..1 of 53 bits, so that every value is exact on every machine.
    pub fn unit(&mut self) -> f64 {
        unit(self.bits())
    }

    /// A number below `bound` (0 for 0). Lemire's multiplication; off uniform by at most 2^-32.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u32
    }
}

/// A number in 0..1 from 64 random bits.
#[must_use]
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.bits() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits())
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Ten rounds of Philox 4x32.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let (a, b) = (
            u64::from(counter[0]) * 0xD251_1F53,
            u64::from(counter[2]) * 0xCD9E_8D57,
        );
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [
            key[0].wrapping_add(0x9E37_79B9),
            key[1].wrapping_add(0xBB67_AE85),
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of Random123 1.14, kat_vectors.
    #[test]
    fn philox_gives_its_known_answers() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn streams_differ_by_seed_purpose_and_peer_and_repeat() {
        let draw = |seed, purpose, peer| Streams::new(seed).stream(purpose, peer).bits();
        let one = draw(1, Purpose::Loss, 7);
        assert_eq!(one, draw(1, Purpose::Loss, 7));
        let others = [
            draw(2, Purpose::Loss, 7),
            draw(1, Purpose::Core, 7),
            draw(1, Purpose::Loss, 8),
        ];
        assert!(others.iter().all(|d| *d != one));
    }

    #[test]
    fn draws_are_even() {
        let mut stream = Streams::new(5).stream(Purpose::Mesh, 1);
        let mut counts = [0_u32; 10];
        (0..100_000).for_each(|_| counts[stream.below(10) as usize] += 1);
        assert!(
            counts.iter().all(|n| (9_600..10_400).contains(n)),
            "{counts:?}"
        );
        let mean = (0..100_000).map(|_| stream.unit()).sum::<f64>() / 100_000.0;
        assert!((0.497..0.503).contains(&mean), "{mean}");
    }
}
