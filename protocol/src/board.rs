//! Boards: the Kademlia keys under which a kernel class's stewards are found, and those of one job; the shards of a
//! large swarm.
//!
//! A peer gossips with those of its own shard, knows their adverts, and finds workers and jobs among them. A swarm of
//! a hundred thousand in a thousand shards costs each peer about what a swarm of a hundred does.

use crate::hash::{Hash, JobId, PeerKey, SwarmId};

/// The board of a kernel class in one shard.
#[must_use]
pub fn key(swarm: &SwarmId, class: &str, shard: u16) -> Hash {
    Hash::derive(
        "starling 2026-11 board v1",
        &[swarm.as_bytes(), &shard.to_le_bytes(), class.as_bytes()],
    )
}

/// Where the stewards of one job are found by whoever knows its id: its requester, come back on another machine.
#[must_use]
pub fn job(swarm: &SwarmId, job: &JobId) -> Hash {
    Hash::derive(
        "starling 2026-11 job board v1",
        &[swarm.as_bytes(), job.as_bytes()],
    )
}

/// The shard of a peer among `shards`: its position's first four bytes, modulo. Nobody assigns it, everybody can tell
/// it from the key, and an identity that was ground into a shard gains no more than one that waited for its chance.
#[must_use]
pub fn home(peer: &PeerKey, shards: u16) -> u16 {
    let position = peer.position().0;
    let first = u32::from_le_bytes([position[0], position[1], position[2], position[3]]);
    (first % u32::from(shards.max(1))) as u16
}
