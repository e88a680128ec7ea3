//! The ways in which a peer can misbehave, as an experiment's file names them. Data only: what each does is in
//! `tricks` and `backend`, and what it may be blamed for is in [`Forfeits`].

use serde::{Deserialize, Serialize};

/// One way to misbehave. A peer has a list of them; see the crate for what goes with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Strategy {
    /// Worker: fakes every tile, and the self-check that would tell.
    FakeAll,
    /// Worker: fakes this share of the tiles, 0 to 1, the same ones at every try.
    FakeShare(f64),
    /// Does no work of its own: commits to what openings of others have shown and to garbage elsewhere; audits like
    /// [`Strategy::AuditLazily`], but with what it has copied.
    Copy,
    /// Worker: takes leases, never commits and never gives one back.
    IdleOnLeases,
    /// Worker: never opens what was drawn.
    WithholdOpenings,
    /// Worker: opens only draws that show none of its fakes, and is silent otherwise. Nothing without a strategy that fakes.
    OpenWhenLucky,
    /// Sends commitments, locks, nonces, seals, verdicts and outputs so much later. What it opens it opens in time.
    SlowWalk {
        /// 0 to 600.
        delay_s: f64,
    },
    /// Witness: locks for everybody and reveals its nonces for friends alone.
    WithholdNonces,
    /// Steward: drops the lease of a friend, as if nobody answered, when a stranger is drawn for one of the ring's fakes.
    AbandonUnlucky,
    /// Steward: leases to its friends although the requester is there. Worker: asks such a friend where there is one.
    Usurp,
    /// Worker: computes and commits as it should, but spoils what has to lead to its root.
    Spoil(Spoilt),
    /// Worker: signs a second root for every lease, and shows it to the steward and to half of the roster. Witness: signs
    /// a second lock for every lease. Auditor: sends a second seal. Which of the two comes first is drawn per lease.
    Equivocate,
    /// Auditor: seals invented tile hashes without computing, and attests agreement.
    AuditLazily,
    /// Auditor: finds every tile of peers that are no friends wrong, and says so.
    AccuseFalsely(Accusation),
    /// One of a ring (its friends): fakes this share of the tiles as all of the ring do; as auditor or requester of
    /// another member's work it finds just that, and never testifies against one. Honest to everybody else. Friends should all be of
    /// the ring and equally far in [`Strategy::BehaveUntil`]: who is audited as a liar before it lies gets no seal that
    /// fits.
    Ring {
        /// Share of faked tiles, 0 to 1.
        fake_share: f64,
    },
    /// Adverts claim so many times the real speed; above 0.
    LieAboutCapacity(f64),
    /// Sends random and valid-looking messages to random known peers.
    Flood {
        /// In all, 1 to 100,000.
        messages_per_s: u32,
    },
    /// Sends old messages again, its own and others', also adverts.
    Replay {
        /// In all, 1 to 100,000.
        messages_per_s: u32,
    },
    /// Its wall clock is wrong by so many seconds.
    SkewClock(i64),
    /// Misbehaves only in slices leased, and in everything else, after it has earned `cv` receipts.
    BehaveUntil {
        /// Receipts, at least 1.
        cv: u32,
        /// What then begins.
        then: Vec<Strategy>,
    },
    /// Requester: knows nobody but its friends, so that they alone work and audit. As worker it takes no job whose
    /// roster is mostly strangers.
    StuffRoster,
    /// Collector: calls no auditor but its friends and hears no other, as if they were silent.
    CensorAuditors,
    /// Publishes adverts and hears everything, but never sends a message.
    Silent,
}

/// What a worker spoils.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spoilt {
    /// The path of every opening: its tiles are right, but lead nowhere.
    Path,
    /// The salt secret that it hands over with its output.
    Secret,
}

/// How a false accuser goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accusation {
    /// With a proof whose signatures and path hold; only that the tile is right.
    WellFounded,
    /// With a proof whose path leads nowhere.
    Invalid,
    /// With no proof.
    Bare,
}

/// A value that means nothing, or two strategies that exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// Out of its range.
    #[error("`{field}` is out of range: it should be {range}")]
    Range {
        /// Which, as the file names it.
        field: &'static str,
        /// What it should be.
        range: &'static str,
    },
    /// Both want to do the same thing differently.
    #[error("`{one}` and `{other}` exclude each other")]
    Conflict {
        /// One.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
}

fn within(ok: bool, field: &'static str, range: &'static str) -> Result<(), StrategyError> {
    if ok {
        Ok(())
    } else {
        Err(StrategyError::Range { field, range })
    }
}

impl Strategy {
    /// Its name in a file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::FakeAll => "fake_all",
            Self::FakeShare(_) => "fake_share",
            Self::Copy => "copy",
            Self::IdleOnLeases => "idle_on_leases",
            Self::WithholdOpenings => "withhold_openings",
            Self::OpenWhenLucky => "open_when_lucky",
            Self::SlowWalk { .. } => "slow_walk",
            Self::WithholdNonces => "withhold_nonces",
            Self::AbandonUnlucky => "abandon_unlucky",
            Self::Usurp => "usurp",
            Self::Spoil(_) => "spoil",
            Self::Equivocate => "equivocate",
            Self::AuditLazily => "audit_lazily",
            Self::AccuseFalsely(_) => "accuse_falsely",
            Self::Ring { .. } => "ring",
            Self::LieAboutCapacity(_) => "lie_about_capacity",
            Self::Flood { .. } => "flood",
            Self::Replay { .. } => "replay",
            Self::SkewClock(_) => "skew_clock",
            Self::BehaveUntil { .. } => "behave_until",
            Self::StuffRoster => "stuff_roster",
            Self::CensorAuditors => "censor_auditors",
            Self::Silent => "silent",
        }
    }

    /// Whether its values mean something.
    ///
    /// # Errors
    /// [`StrategyError::Range`], and what [`check`] says of an inner list.
    pub fn check(&self) -> Result<(), StrategyError> {
        const SHARE: &str = "0 to 1";
        const RATE: &str = "1 to 100,000";
        match self {
            Self::FakeShare(share) => within((0.0..=1.0).contains(share), "fake_share", SHARE),
            Self::Ring { fake_share } => {
                within((0.0..=1.0).contains(fake_share), "ring.fake_share", SHARE)
            }
            Self::LieAboutCapacity(factor) => within(
                *factor > 0.0 && factor.is_finite(),
                "lie_about_capacity",
                "above 0",
            ),
            Self::Flood { messages_per_s } => within(
                (1..=100_000).contains(messages_per_s),
                "flood.messages_per_s",
                RATE,
            ),
            Self::Replay { messages_per_s } => within(
                (1..=100_000).contains(messages_per_s),
                "replay.messages_per_s",
                RATE,
            ),
            Self::BehaveUntil { cv, then } => {
                within(*cv > 0, "behave_until.cv", "at least 1")?;
                within(!then.is_empty(), "behave_until.then", "not empty")?;
                check(then)
            }
            Self::SlowWalk { delay_s } => within(
                (0.0..=600.0).contains(delay_s),
                "slow_walk.delay_s",
                "0 to 600",
            ),
            Self::FakeAll
            | Self::Copy
            | Self::IdleOnLeases
            | Self::WithholdOpenings
            | Self::OpenWhenLucky
            | Self::WithholdNonces
            | Self::AbandonUnlucky
            | Self::Usurp
            | Self::Spoil(_)
            | Self::Equivocate
            | Self::AuditLazily
            | Self::AccuseFalsely(_)
            | Self::SkewClock(_)
            | Self::StuffRoster
            | Self::CensorAuditors
            | Self::Silent => Ok(()),
        }
    }

    /// What it forfeits.
    #[must_use]
    pub fn forfeits(&self) -> Forfeits {
        let none = Forfeits::default();
        match self {
            Self::FakeAll | Self::FakeShare(_) => Forfeits { work: true, ..none },
            Self::Copy => Forfeits {
                work: true,
                audits: true,
                ..none
            },
            // As requester it takes its members' lies.
            Self::Ring { .. } => Forfeits {
                work: true,
                audits: true,
                own_jobs: true,
                ..none
            },
            // A second root that comes first is one that cannot be opened; a late one its core has given up.
            Self::WithholdOpenings
            | Self::OpenWhenLucky
            | Self::SlowWalk { .. }
            | Self::Spoil(_)
            | Self::Equivocate => Forfeits {
                blame: true,
                ..none
            },
            Self::AuditLazily => Forfeits {
                audits: true,
                ..none
            },
            Self::AccuseFalsely(_) => Forfeits {
                accuses: true,
                audits: true,
                ..none
            },
            // A collector that repeats an old ending to its worker ends a lease that it still waits for.
            // So does one that abandons leases.
            Self::Replay { .. }
            | Self::StuffRoster
            | Self::CensorAuditors
            | Self::AbandonUnlucky => Forfeits {
                own_jobs: true,
                ..none
            },
            // Where a slice is leased to a friend and to a stranger a ring takes the one's work for the other's.
            Self::Usurp => Forfeits {
                own_jobs: true,
                accuses: true,
                ..none
            },
            // Whatever begins in the middle of a lease may keep it from being opened.
            Self::BehaveUntil { then, .. } => Forfeits {
                blame: true,
                ..forfeits(then)
            },
            Self::IdleOnLeases
            | Self::WithholdNonces
            | Self::LieAboutCapacity(_)
            | Self::Flood { .. }
            | Self::SkewClock(_)
            | Self::Silent => none,
        }
    }
}

/// Which guarantees a peer has given up by what it does. None at all for mere faults (silence, a wrong clock, an
/// advert that exaggerates, noise): a peer with those must not be blamed any more than an honest one. What any peer
/// does never takes a guarantee from another; only its own jobs are its own affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forfeits {
    /// It commits to wrong tiles: it may be blamed, and what it stored may be wrong if it audited itself.
    pub work: bool,
    /// It does not finish what it committed to: it may be blamed, although its tiles are right.
    pub blame: bool,
    /// Its attestations say nothing about the tiles.
    pub audits: bool,
    /// It may be named as a false accuser.
    pub accuses: bool,
    /// What it says about its own jobs counts for nothing: it may blame the innocent there, and its receipts may rest
    /// on friends alone.
    pub own_jobs: bool,
}

impl Forfeits {
    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            work: self.work || other.work,
            blame: self.blame || other.blame,
            audits: self.audits || other.audits,
            accuses: self.accuses || other.accuses,
            own_jobs: self.own_jobs || other.own_jobs,
        }
    }

    /// Whether it may rightly be called a cheat as a worker.
    #[must_use]
    pub fn blamable(self) -> bool {
        self.work || self.blame
    }

    /// Whether there is anything; a peer without is faulty at most.
    #[must_use]
    pub fn dishonest(self) -> bool {
        self != Self::default()
    }
}

/// What a list forfeits together.
#[must_use]
pub fn forfeits(strategies: &[Strategy]) -> Forfeits {
    let each = strategies.iter().map(Strategy::forfeits);
    each.fold(Forfeits::default(), Forfeits::and)
}

/// Checks each, and that no two exclude each other.
///
/// # Errors
/// [`StrategyError`].
pub fn check(strategies: &[Strategy]) -> Result<(), StrategyError> {
    strategies.iter().try_for_each(Strategy::check)?;
    // An auditor computes, or invents, or accuses: one of these.
    let audits: Vec<_> = strategies
        .iter()
        .filter(|s| {
            matches!(
                s,
                Strategy::Copy | Strategy::AuditLazily | Strategy::AccuseFalsely(_)
            )
        })
        .map(Strategy::name)
        .collect();
    match audits[..] {
        [one, other, ..] => Err(StrategyError::Conflict { one, other }),
        [] | [_] => Ok(()),
    }
}
