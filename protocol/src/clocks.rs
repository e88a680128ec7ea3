//! Whether this machine's clock and most others' differ: then peers take each other's adverts for stale, and nothing else
//! would tell a person why nobody is there.
//!
//! | state | input | next |
//! |---|---|---|
//! | unsuspected | of the peers met lately, more show another time than the same | told, once |
//! | told | no longer | unsuspected |
//!
//! Only what a peer hands over itself counts: what is gossiped may be old. Nobody is believed for more than a warning.

use crate::config;
use crate::context::Context;
use crate::event::Event;
use crate::hash::PeerKey;
use alloc::vec::Vec;

#[derive(Default)]
pub(crate) struct Clocks {
    /// Peers met lately whose clocks differ, and by how many seconds they are ahead.
    apart: Vec<(PeerKey, i64)>,
    /// How many agreed; those that differ outweigh them in time.
    agree: usize,
    told: bool,
}

impl Clocks {
    /// A peer that was just met has handed over its newest advert.
    pub(crate) fn meet(&mut self, ctx: &mut Context, peer: PeerKey, issued_s: u64) {
        let now_s = ctx.unix_s();
        // It was issued up to an interval ago.
        let most_s = config::CLOCK_SKEW_S + ctx.advert_interval().as_secs();
        let before = self.apart.len();
        self.apart.retain(|(known, _)| *known != peer);
        let is_new = self.apart.len() == before;
        if issued_s.abs_diff(now_s) <= most_s {
            self.agree = config::CLOCKS_MET.min(self.agree + 1);
        } else {
            self.agree = self.agree.saturating_sub(usize::from(is_new));
            if self.apart.len() == config::CLOCKS_MET {
                self.apart.remove(0);
            }
            let issued_s = i64::try_from(issued_s).unwrap_or(i64::MAX);
            self.apart
                .push((peer, issued_s.saturating_sub_unsigned(now_s)));
        }
        let peers = self.apart.len();
        if peers <= self.agree {
            self.told = false;
        } else if !core::mem::replace(&mut self.told, true) {
            let mut ahead: Vec<_> = self.apart.iter().map(|(_, ahead_s)| *ahead_s).collect();
            ahead.sort_unstable();
            ctx.notify(Event::ClocksDiffer {
                peers,
                of: peers + self.agree,
                ahead_s: ahead[peers / 2],
            });
        }
    }
}
