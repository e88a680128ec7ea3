//! The table of adverts: publishes the own one, judges and keeps those of others.
//!
//! | state of a peer | input | next |
//! |---|---|---|
//! | unknown | valid advert | known |
//! | known | higher number, not too soon | known, refreshed |
//! | known | goodbye, or silent for 3 intervals | gone |
//! | gone | higher number | known |
//!
//! A gone peer's number is kept until its last advert is out of time, so that a replay cannot bring it back.
//!
//! Two peers that meet hand each other their adverts. Were everybody to publish instead whenever somebody joins, a
//! swarm of a hundred that starts would hear of nothing else.

use crate::advert::{Advert, KernelOffer};
use crate::clocks::Clocks;
use crate::codec;
use crate::config;
use crate::context::Context;
use crate::hash::{KernelId, PeerKey};
use crate::io::{Capacity, Event, Output, Proof, Topic, Verdict};
use crate::message::Message;
use crate::proofs::Proofs;
use crate::signed::Signed;
use crate::time::Time;
use crate::timers::Timer;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

struct Known {
    /// What it last said. Boxed: the tree's nodes hold what is looked at all the time, and no room for values to come.
    advert: Box<Advert>,
    number: u64,
    heard: Time,
    /// Since when it has been here without a break.
    since: Time,
    gone: bool,
    /// It came from the peer itself: the same one in gossip is news to others.
    handed: bool,
}

impl Known {
    fn new(advert: Advert, heard: Time, handed: bool) -> Self {
        Self {
            number: advert.number,
            gone: advert.goodbye,
            advert: Box::new(advert),
            heard,
            since: heard,
            handed,
        }
    }

    /// Takes in the next one; its place is used again.
    fn hear(&mut self, advert: Advert, heard: Time, handed: bool) {
        if self.gone {
            self.since = heard;
        }
        self.number = advert.number;
        self.gone = advert.goodbye;
        *self.advert = advert;
        self.heard = heard;
        self.handed = handed;
    }

    /// Whether `advert` comes after it, and not too soon.
    fn is_older_than(&self, advert: &Advert, now: Time) -> bool {
        // Half the spacing: adverts sent one spacing apart may arrive closer together.
        let too_soon = !advert.goodbye && now.since(self.heard) < config::ADVERT_SPACING / 2;
        advert.number > self.number && !too_soon
    }
}

#[derive(Default)]
pub(crate) struct Adverts {
    capacity: Option<Capacity>,
    number: u64,
    published: Option<(Time, Signed<Advert>)>,
    table: BTreeMap<PeerKey, Known>,
    clocks: Clocks,
    /// What was measured of their claims.
    pub(crate) proofs: Proofs,
}

impl Adverts {
    pub(crate) fn start(&mut self, ctx: &mut Context) {
        // Numbers grow over restarts without touching the disk: no peer publishes 2^20 adverts a second.
        self.number = ctx.unix_s() << 20;
        ctx.timers
            .set(Timer::Sweep, ctx.now.after(ctx.advert_interval()));
    }

    pub(crate) fn set_capacity(&mut self, ctx: &mut Context, capacity: Capacity) {
        self.capacity = Some(capacity);
        // Soon, but never faster than the spacing.
        let soon = ctx.now.after(Duration::from_millis(200));
        let spaced = self
            .published
            .as_ref()
            .map_or(soon, |(at, _)| at.after(config::ADVERT_SPACING));
        ctx.timers.set_by(Timer::Advert, soon.max(spaced));
    }

    pub(crate) fn capacity(&self) -> Option<&Capacity> {
        self.capacity.as_ref()
    }

    /// What this peer offers, while it lends.
    pub(crate) fn lent(&self) -> Option<&Capacity> {
        self.capacity().filter(|c| c.slots > 0)
    }

    /// A new connection: hands over the advert that the peer may have missed.
    pub(crate) fn introduce(&self, ctx: &mut Context, peer: PeerKey) {
        if let Some((_, advert)) = &self.published
            && ctx.is_near(&peer)
        {
            ctx.send(peer, &Message::Advert(Box::new(advert.clone())));
        }
    }

    pub(crate) fn publish(&mut self, ctx: &mut Context) {
        self.send_advert(ctx, false);
        ctx.timers
            .set(Timer::Advert, ctx.now.after(ctx.advert_interval()));
    }

    pub(crate) fn goodbye(&mut self, ctx: &mut Context) {
        self.send_advert(ctx, true);
        ctx.timers.clear(Timer::Advert);
    }

    fn send_advert(&mut self, ctx: &mut Context, goodbye: bool) {
        let Some(capacity) = self.capacity.clone() else {
            return;
        };
        self.number += 1;
        let advert = ctx.sign(Advert {
            peer: ctx.me,
            number: self.number,
            issued_s: ctx.unix_s(),
            goodbye,
            devices: capacity.devices,
            kernels: capacity.kernels,
            free_slots: capacity.slots,
            region: capacity.region,
            software: capacity.software,
        });
        ctx.out.push(Output::Publish {
            topic: Topic::Capacity,
            data: codec::encode(&advert),
        });
        self.published = Some((ctx.now, advert));
    }

    /// A peer hands over its own advert.
    pub(crate) fn on_handed(&mut self, ctx: &mut Context, from: PeerKey, signed: Signed<Advert>) {
        // Its length needs no check of its own: what is well formed is shorter than what may be gossiped.
        if signed.body.peer == from {
            self.clocks.meet(ctx, from, signed.body.issued_s);
            let body = codec::encode(&signed.body);
            self.judge(ctx, signed, &body, true);
        }
    }

    /// Judges what was gossiped.
    pub(crate) fn on_gossip(&mut self, ctx: &mut Context, data: &[u8]) -> Verdict {
        match Signed::decode(data, config::ADVERT_MAX) {
            Ok((signed, body)) => self.judge(ctx, signed, body, false),
            Err(_) => Verdict::Reject,
        }
    }

    /// Judges an advert with its `body` as encoded, cheap checks first.
    fn judge(
        &mut self,
        ctx: &mut Context,
        signed: Signed<Advert>,
        body: &[u8],
        handed: bool,
    ) -> Verdict {
        let advert = &signed.body;
        if !advert.well_formed() {
            return Verdict::Reject;
        }
        if advert.peer == ctx.me || !advert.timely(ctx.unix_s()) {
            return Verdict::Ignore;
        }
        let full = self.table.len() >= config::ADVERTS_MAX;
        let mut known = self.table.get_mut(&advert.peer);
        let is_news = match &known {
            Some(known) => known.is_older_than(advert, ctx.now),
            None if !ctx.is_near(&advert.peer) => return Verdict::Reject,
            None => !full,
        };
        let repeats = |known: &Known| !handed && known.handed && *advert == *known.advert;
        let first_in_gossip = known.as_deref().is_some_and(repeats);
        if !is_news && !first_in_gossip {
            return Verdict::Ignore;
        }
        if !ctx.verify_advert(&signed, body) {
            return Verdict::Reject;
        }
        let (peer, gone) = (advert.peer, advert.goodbye);
        for offer in &advert.kernels {
            let claim = offer.units_per_s.max(1);
            self.proofs.claims(&peer, &offer.kernel, claim, ctx.now);
        }
        let was_here = known.as_ref().is_some_and(|k| !k.gone);
        match &mut known {
            Some(known) if first_in_gossip => {
                known.handed = false;
                return Verdict::Accept;
            }
            Some(known) => known.hear(signed.body, ctx.now, handed),
            None => {
                let known = Known::new(signed.body, ctx.now, handed);
                self.table.insert(peer, known);
            }
        }
        match (was_here, gone) {
            (false, false) => ctx.notify(Event::PeerSeen { peer }),
            (true, true) => ctx.notify(Event::PeerGone { peer }),
            (true, false) | (false, true) => {}
        }
        Verdict::Accept
    }

    pub(crate) fn sweep(&mut self, ctx: &mut Context) {
        let lifetime = ctx.advert_interval() * 3;
        let (now, now_s) = (ctx.now, ctx.unix_s());
        for (peer, known) in &mut self.table {
            if !known.gone && now.since(known.heard) >= lifetime {
                known.gone = true;
                ctx.notify(Event::PeerGone { peer: *peer });
            }
        }
        self.table
            .retain(|_, known| !known.gone || known.advert.timely(now_s));
        // The next silence ends in time, not up to half an interval later.
        let first_over = self.here().map(|(_, heard)| heard.after(lifetime)).min();
        let usual = now.after(ctx.advert_interval() / 2);
        let next = first_over.map_or(usual, |over| over.min(usual));
        ctx.timers.set(Timer::Sweep, next);
    }

    /// Peers that are here, ascending by key.
    pub(crate) fn here(&self) -> impl Iterator<Item = (&Advert, Time)> {
        self.table
            .values()
            .filter(|k| !k.gone)
            .map(|k| (&*k.advert, k.heard))
    }

    pub(crate) fn is_here(&self, peer: &PeerKey) -> bool {
        self.table.get(peer).is_some_and(|k| !k.gone)
    }

    /// Since when a peer has been here without a break.
    pub(crate) fn since(&self, peer: &PeerKey) -> Option<Time> {
        let known = self.table.get(peer).filter(|k| !k.gone)?;
        Some(known.since)
    }

    /// Speed of a peer for a kernel, work units per second: as claimed, or less if it was measured.
    pub(crate) fn rate(&self, peer: &PeerKey, kernel: &KernelId) -> Option<u64> {
        let known = self.table.get(peer).filter(|k| !k.gone)?;
        let claim = known.advert.offer(kernel).map(|o| o.units_per_s.max(1))?;
        Some(self.proofs.speed(peer, kernel, claim))
    }

    /// Whether a peer's claim was struck: it is chosen last.
    pub(crate) fn is_struck(&self, peer: &PeerKey, kernel: &KernelId) -> bool {
        let offer = self.table.get(peer).and_then(|k| k.advert.offer(kernel));
        let struck = |o: &KernelOffer| {
            let claim = o.units_per_s.max(1);
            self.proofs.is_struck(peer, kernel, claim)
        };
        offer.is_some_and(struck)
    }

    /// Makes room for measurements of those that are here.
    pub(crate) fn forget_proofs(&mut self) {
        let table = &self.table;
        self.proofs
            .keep(|peer| table.get(peer).is_some_and(|k| !k.gone));
    }

    /// What was measured of a peer's claims.
    pub(crate) fn proofs_of(&self, advert: &Advert) -> Vec<Proof> {
        let of = |o: &KernelOffer| {
            let claim = o.units_per_s.max(1);
            self.proofs.view(&advert.peer, &o.kernel, claim)
        };
        advert.kernels.iter().filter_map(of).collect()
    }
}
