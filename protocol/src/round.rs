//! A round of questions to several peers: who has not answered yet, and how long to wait for them.
//!
//! | state of a peer in a step | input | next |
//! |---|---|---|
//! | waited for | silent or out of reach twice in a row, whatever it was asked | hardly waited for in any step |
//! | waited for | often silent in one step: more than one answer in three missing, two at least | hardly waited for in any step |
//! | hardly waited for, twice silent in a row | any answer | waited for, unless it is often silent in a step |
//! | hardly waited for, often silent in a step | enough answers in that step | waited for |
//! | hardly waited for, often silent in a step | a while after its last full wait there | waited for once more, unless twice silent in a row |
//!
//! Such peers are still asked, but not waited for: otherwise one sleeping laptop would add seconds to every slice of a
//! small swarm. Steps count by themselves, because whoever answers cheap questions alone would else be waited for at the
//! next one for ever; and by shares, because whoever answers every other time would be too. Somebody slow seems silent
//! while it is hardly waited for; so what one step makes of it ends by itself.

use crate::config;
use crate::hash::PeerKey;
use crate::time::Time;
use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

/// What a member of a committee owes its collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Owed {
    #[default]
    Lock,
    Reveal,
    Seal,
    Verdict,
}

const STEPS: usize = 4;
/// What a silence adds, of which an answer takes one away.
const SILENCE: u32 = 2;
const OFTEN: u32 = 2 * SILENCE;
/// So many answers at most make good for any number of silences.
const MOST: u32 = 4 * SILENCE;

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    score: u32,
    /// When it was last waited for in full, and was silent.
    at: Option<Time>,
}

impl Step {
    fn is_often(&self, now: Time) -> bool {
        let kept = |at: Time| now < at.after(config::SILENT_KEPT);
        self.score >= OFTEN && self.at.is_some_and(kept)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Silence {
    /// In a row, whatever was asked.
    any: u32,
    of: [Step; STEPS],
}

/// Silences per peer: in a row, and by step.
#[derive(Debug, Default)]
pub(crate) struct Silences(BTreeMap<PeerKey, Silence>);

impl Silences {
    /// It answered what it owed.
    pub(crate) fn heard(&mut self, peer: &PeerKey, step: Owed) {
        let Some(silence) = self.0.get_mut(peer) else {
            return;
        };
        silence.any = 0;
        let score = &mut silence.of[step as usize].score;
        *score = score.saturating_sub(1);
        if silence.of.iter().all(|s| s.score == 0) {
            self.0.remove(peer);
        }
    }

    /// It could not be reached.
    pub(crate) fn missed(&mut self, peer: PeerKey) {
        let silence = self.entry(peer);
        silence.any = silence.any.saturating_add(1);
    }

    /// It answered with what counts as silence.
    pub(crate) fn void(&mut self, peer: PeerKey, step: Owed, now: Time) {
        self.silent(peer, step, true, now);
    }

    /// It did not answer, `in_full` the time that it has.
    fn silent(&mut self, peer: PeerKey, step: Owed, in_full: bool, now: Time) {
        let step = &mut self.entry(peer).of[step as usize];
        step.score = (step.score + SILENCE).min(MOST);
        if in_full {
            step.at = Some(now);
        }
    }

    /// Rosters bound the map: only peers that were asked enter it.
    fn entry(&mut self, peer: PeerKey) -> &mut Silence {
        while self.0.len() >= config::ADVERTS_MAX && !self.0.contains_key(&peer) {
            self.0.pop_first();
        }
        self.0.entry(peer).or_default()
    }

    /// Whether it was silent in `step` too often to be relied on.
    pub(crate) fn often_in(&self, peer: &PeerKey, step: Owed, now: Time) -> bool {
        self.0
            .get(peer)
            .is_some_and(|silence| silence.of[step as usize].is_often(now))
    }

    fn often(&self, peer: &PeerKey, now: Time) -> bool {
        let in_step = |step: &Step| step.is_often(now);
        self.0
            .get(peer)
            .is_some_and(|silence| silence.any >= 2 || silence.of.iter().any(in_step))
    }
}

/// One round.
#[derive(Debug, Default)]
pub(crate) struct Round {
    step: Owed,
    asked_at: Time,
    waiting: BTreeSet<PeerKey>,
    patience: Duration,
}

impl Round {
    pub(crate) fn new(
        now: Time,
        step: Owed,
        asked: impl IntoIterator<Item = PeerKey>,
        patience: Duration,
    ) -> Self {
        Self {
            step,
            asked_at: now,
            waiting: asked.into_iter().collect(),
            patience,
        }
    }

    /// Whether `peer`'s answer was still awaited; it is not any more.
    pub(crate) fn answered(&mut self, peer: &PeerKey) -> bool {
        self.waiting.remove(peer)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &PeerKey> {
        self.waiting.iter()
    }

    /// When those still waited for count as silent.
    pub(crate) fn deadline(&self, silences: &Silences) -> Time {
        // Not by the present: otherwise a wait could become longer while it lasts.
        let often = |p: &PeerKey| silences.often(p, self.asked_at);
        self.asked_at.after(if self.waiting.iter().all(often) {
            config::SILENT_WAIT.min(self.patience)
        } else {
            self.patience
        })
    }

    /// Gives up on everybody who has not answered. Whether somebody of them was waited for too often.
    pub(crate) fn close(&mut self, silences: &mut Silences, now: Time) -> bool {
        let in_full = now >= self.asked_at.after(self.patience);
        let mut learnt = false;
        for peer in core::mem::take(&mut self.waiting) {
            let before = silences.often(&peer, now);
            silences.missed(peer);
            silences.silent(peer, self.step, in_full, now);
            learnt |= !before && silences.often(&peer, now);
        }
        learnt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = config::LOCK_WAIT;

    /// How long a peer is waited for that was asked at `now`.
    fn patience(silences: &Silences, step: Owed, now: Time) -> Duration {
        let peer = PeerKey::from([1; 32]);
        let round = Round::new(now, step, [peer], WAIT);
        round.deadline(silences).since(now)
    }

    /// It is asked at `now`, and says nothing.
    fn silent(silences: &mut Silences, step: Owed, now: Time) -> Time {
        let peer = PeerKey::from([1; 32]);
        let mut round = Round::new(now, step, [peer], WAIT);
        let over = round.deadline(silences);
        round.close(silences, over);
        over
    }

    #[test]
    fn an_answer_to_one_question_is_none_to_another() {
        let (mut silences, mut now) = (Silences::default(), Time::default());
        let peer = PeerKey::from([1; 32]);
        for _ in 0..2 {
            assert_eq!(patience(&silences, Owed::Reveal, now), WAIT);
            silences.heard(&peer, Owed::Lock);
            now = silent(&mut silences, Owed::Reveal, now);
        }
        silences.heard(&peer, Owed::Lock);
        assert_eq!(patience(&silences, Owed::Reveal, now), config::SILENT_WAIT);
        assert_eq!(patience(&silences, Owed::Seal, now), config::SILENT_WAIT);
        silences.heard(&peer, Owed::Reveal);
        assert_eq!(patience(&silences, Owed::Reveal, now), WAIT);
        (1..OFTEN).for_each(|_| silences.heard(&peer, Owed::Reveal));
        assert!(silences.0.is_empty(), "nothing is remembered of the good");
    }

    #[test]
    fn who_answers_every_other_time_is_soon_not_waited_for() {
        let (mut silences, mut now) = (Silences::default(), Time::default());
        let peer = PeerKey::from([1; 32]);
        let mut full = 0;
        for _ in 0..100 {
            full += u32::from(patience(&silences, Owed::Reveal, now) == WAIT);
            now = silent(&mut silences, Owed::Reveal, now);
            silences.heard(&peer, Owed::Reveal);
        }
        assert!(full <= 4, "{full} full waits");
    }

    #[test]
    fn who_answers_most_of_the_time_is_always_waited_for() {
        let (mut silences, mut now) = (Silences::default(), Time::default());
        let peer = PeerKey::from([1; 32]);
        for _ in 0..100 {
            assert_eq!(patience(&silences, Owed::Reveal, now), WAIT);
            now = silent(&mut silences, Owed::Reveal, now);
            (0..3).for_each(|_| silences.heard(&peer, Owed::Reveal));
        }
    }

    #[test]
    fn who_never_answers_anything_is_soon_not_waited_for_at_all() {
        let (mut silences, mut now) = (Silences::default(), Time::default());
        now = silent(&mut silences, Owed::Lock, now);
        now = silent(&mut silences, Owed::Seal, now);
        for step in [Owed::Lock, Owed::Reveal, Owed::Seal, Owed::Verdict] {
            assert_eq!(patience(&silences, step, now), config::SILENT_WAIT);
        }
    }

    #[test]
    fn the_slow_are_waited_for_again_now_and_then_whatever_happens_meanwhile() {
        let (mut silences, mut now) = (Silences::default(), Time::default());
        let peer = PeerKey::from([1; 32]);
        let mut full = 0;
        while now < Time::default().after(config::SILENT_KEPT * 3) {
            full += u32::from(patience(&silences, Owed::Seal, now) == WAIT);
            now = silent(&mut silences, Owed::Seal, now);
            silences.heard(&peer, Owed::Lock);
        }
        assert_eq!(full, 2 + 2);
    }
}
