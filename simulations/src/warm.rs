//! Reads what the events of the next moment will need, all of it at once, so that they find it in the cache.
//!
//! Every event is for another of up to 10^5 peers, whose memory nothing has touched for a virtual second: one by one,
//! events spend most of their time waiting for one cache line after another. Reads that do not depend on each other
//! wait together. Nothing is changed, and what the reads find is thrown away.

use crate::event::{Event, What};
use crate::host::Host;
use crate::shared::Shared;
use core::hint::black_box;

/// Bytes of a cache line.
const LINE: usize = 64;

/// A byte of every cache line of `bytes`.
pub(crate) fn lines(bytes: &[u8]) -> usize {
    bytes.iter().step_by(LINE).map(|b| usize::from(*b)).sum()
}

/// Room for the peers that are next.
#[derive(Default)]
pub(crate) struct Warmer(Vec<u32>);

impl Warmer {
    /// Warms what the events of the engine's window need.
    pub(crate) fn warm(&mut self, hosts: &[Option<Host>], shared: &Shared) {
        self.0.clear();
        let mut read = 0;
        for event in shared.engine.in_window() {
            let Event::Peer { peer, what, .. } = event else {
                continue;
            };
            self.0.push(*peer);
            read ^= match what {
                What::Gossip(flood) => shared.gossip.warm(*flood, *peer),
                What::Message(_, bytes) => lines(bytes),
                _ => 0,
            };
        }
        // Step by step: what one step reads does not depend on what it has just read.
        let hosts = || {
            self.0
                .iter()
                .filter_map(|peer| hosts[*peer as usize].as_ref())
        };
        read ^= hosts().map(Host::warm).fold(0, |a, b| a ^ b);
        read ^= hosts().map(Host::warm_core).fold(0, |a, b| a ^ b);
        black_box(read);
    }
}
