//! The gossip topics of a shard, by the core's names and by the network's.

use starling_protocol::io::Topic;

/// Those of one shard.
pub(crate) struct Topics {
    capacity: String,
    faults: String,
}

impl Topics {
    /// What each of them begins with.
    pub(crate) const PREFIXES: [&'static str; 2] = ["capacity/", "faults/"];

    pub(crate) fn of_shard(shard: u16) -> Self {
        let [capacity, faults] = Self::PREFIXES.map(|prefix| format!("{prefix}{shard}"));
        Self { capacity, faults }
    }

    /// All of them.
    pub(crate) fn names(&self) -> [&str; 2] {
        [&self.capacity, &self.faults]
    }

    pub(super) fn name(&self, topic: Topic) -> &str {
        match topic {
            Topic::Capacity => &self.capacity,
            Topic::Faults => &self.faults,
        }
    }

    /// The network lets no other ones pass.
    pub(super) fn of(&self, name: &str) -> Topic {
        if name == self.faults {
            Topic::Faults
        } else {
            Topic::Capacity
        }
    }
}
