//! Gossip: how a published message reaches everybody of its topic. A model of gossipsub's mesh, with its promises and
//! no more: a message goes hop by hop, no further than peers accept it, and a lost copy is made good by the lazy
//! gossip of a later heartbeat.
//!
//! It schedules nothing: it says which copies go where and how long they take, and `world` makes events of them.

mod mesh;

pub use mesh::Mesh;

use crate::experiment::{ExperimentError, first_fault};
use crate::net::Network;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use starling_protocol::Time;
use std::rc::Rc;

/// From one heartbeat to the next.
pub const HEARTBEAT: Duration = Duration::from_secs(1);
/// Messages are offered lazily at this many heartbeats after they were published (gossipsub's `history_gossip`).
pub(crate) const OFFERED_FOR: u8 = 3;
/// Bytes of a message's id in a lazy offer or a request, framing included.
pub(crate) const ID_BYTES: u64 = 40;

/// Sizes of the mesh; the defaults are libp2p's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeshKnobs {
    /// Neighbours that a peer aims at.
    pub degree: u32,
    /// Below this it looks for more at a heartbeat.
    pub low: u32,
    /// Above this it drops some at a heartbeat.
    pub high: u32,
    /// Peers outside its mesh that it offers recent messages to at a heartbeat, at least.
    pub lazy: u32,
}

impl Default for MeshKnobs {
    fn default() -> Self {
        Self {
            degree: 6,
            low: 5,
            high: 12,
            lazy: 6,
        }
    }
}

impl MeshKnobs {
    /// Refuses sizes that do not go together.
    ///
    /// # Errors
    /// [`ExperimentError::Range`] naming the first that is out.
    pub fn check(&self) -> Result<(), ExperimentError> {
        let rules = [
            ((1..=64).contains(&self.degree), "degree", "1 to 64"),
            (
                (1..=self.degree).contains(&self.low),
                "low",
                "1 to `degree`",
            ),
            (
                (self.degree..=128).contains(&self.high),
                "high",
                "`degree` to 128",
            ),
            (self.lazy <= 64, "lazy", "0 to 64"),
        ];
        first_fault("gossip", &rules)
    }
}

/// A copy of a message on its way.
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    /// The message.
    pub flood: u32,
    /// To whom.
    pub to: u32,
    /// How long it takes.
    pub delay: Duration,
}

/// What gossip has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GossipTally {
    /// Messages published.
    pub published: u64,
    /// First copies that arrived.
    pub delivered: u64,
    /// Copies sent, lost and superfluous ones included.
    pub copies: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of lazy offers and requests.
    pub control_bytes: u64,
    /// Copies that only lazy gossip brought.
    pub recovered: u64,
}

/// How messages spread.
pub trait Gossip {
    /// `peer` subscribes to `topic`. Tells its new neighbours.
    fn join(&mut self, peer: u32, topic: u16) -> Vec<u32>;
    /// `peer` is gone from its topic. Tells who its neighbours were.
    fn leave(&mut self, peer: u32) -> Vec<u32>;
    /// `peer` publishes to its topic.
    fn publish(
        &mut self,
        network: &mut Network,
        now: Time,
        peer: u32,
        data: Vec<u8>,
        copies: &mut Vec<Copy>,
    );
    /// A copy arrives: the message, if it is the first one.
    fn arrives(&mut self, flood: u32, peer: u32) -> Option<Rc<[u8]>>;
    /// Reads what the arrival of a copy will need: see [`crate::warm`].
    fn warm(&self, _flood: u32, _peer: u32) -> usize {
        0
    }
    /// `peer` accepts a message and forwards it.
    fn accept(
        &mut self,
        network: &mut Network,
        now: Time,
        flood: u32,
        peer: u32,
        copies: &mut Vec<Copy>,
    );
    /// Upkeep of `topic`: mends the mesh, offers what is recent. Tells pairs that became neighbours.
    fn heartbeat(
        &mut self,
        network: &mut Network,
        now: Time,
        topic: u16,
        copies: &mut Vec<Copy>,
    ) -> Vec<(u32, u32)>;
    /// The costs so far.
    fn tally(&self) -> GossipTally;
}
