//! One lease in eight of a job is kept for a newcomer, if one has found nothing open: otherwise whoever is trusted, and
//! asks for its next lease with its last commitment, would leave nothing for anybody else to be trusted by.
//!
//! | seven leases since a newcomer's | input | next |
//! |---|---|---|
//! | no | anybody asks | gets what is open |
//! | yes | a newcomer asks | gets what is open; counted anew |
//! | yes, one waits | anybody else asks | nothing for two seconds, then what is open; counted anew |
//!
//! Invariant: nothing is kept longer than that, so no job waits for whoever has left.

use crate::config;
use crate::hash::PeerKey;
use crate::time::Time;
use alloc::collections::BTreeSet;

#[derive(Default)]
pub(super) struct Reserve {
    /// Leases since the last one of a newcomer.
    others: u32,
    /// Newcomers that found nothing open: peers of the roster.
    waiting: BTreeSet<PeerKey>,
    until: Option<Time>,
}

impl Reserve {
    /// Whether the next lease is kept for one of those who wait.
    pub(super) fn is_due(&self) -> bool {
        self.others + 1 >= config::NEWCOMERS_LEASED && !self.waiting.is_empty()
    }

    pub(super) fn waits(&self, peer: &PeerKey) -> bool {
        self.waiting.contains(peer)
    }

    /// A newcomer found nothing open.
    pub(super) fn wait(&mut self, peer: PeerKey) {
        self.waiting.insert(peer);
    }

    /// Whether what is open is kept from whoever is no newcomer.
    pub(super) fn keeps(&mut self, now: Time) -> bool {
        if !self.is_due() {
            return false;
        }
        let until = *self.until.get_or_insert(now.after(config::KEPT_WAIT));
        let keeps = now < until;
        if !keeps {
            *self = Self::default();
        }
        keeps
    }

    /// `peer` has got a lease.
    pub(super) fn leased(&mut self, peer: &PeerKey, newcomer: bool) {
        self.waiting.remove(peer);
        if newcomer {
            (self.others, self.until) = (0, None);
        } else {
            self.others = self.others.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;

    fn peer(n: u8) -> PeerKey {
        PeerKey(Hash([n; 32]))
    }

    #[test]
    fn every_eighth_lease_is_kept_for_whoever_waits() {
        let (mut reserve, now) = (Reserve::default(), Time::default());
        reserve.wait(peer(1));
        for _ in 1..config::NEWCOMERS_LEASED {
            assert!(!reserve.keeps(now));
            reserve.leased(&peer(2), false);
        }
        assert!(reserve.keeps(now));
        reserve.leased(&peer(1), true);
        assert!(!reserve.keeps(now), "counted anew");
    }

    #[test]
    fn nothing_is_kept_for_nobody_nor_for_long() {
        let (mut reserve, now) = (Reserve::default(), Time::default());
        (0..20).for_each(|_| reserve.leased(&peer(2), false));
        assert!(!reserve.keeps(now), "nobody waits");
        reserve.wait(peer(1));
        assert!(reserve.keeps(now));
        let later = now.after(config::KEPT_WAIT);
        assert!(!reserve.keeps(later), "it does not come");
        assert!(!reserve.is_due());
    }
}
