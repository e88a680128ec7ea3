//! Boards: the Kademlia keys under which a kernel class's stewards are found.

use crate::hash::{Hash, SwarmId};

/// The board of a kernel class. `shard` spreads a large class over several keys; small swarms use shard 0.
#[must_use]
pub fn key(swarm: &SwarmId, class: &str, shard: u16) -> Hash {
    Hash::derive(
        "starling 2026-11 board v1",
        &[swarm.as_bytes(), &shard.to_le_bytes(), class.as_bytes()],
    )
}
