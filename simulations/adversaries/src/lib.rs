//! Misbehaving peers for experiments, as wrappers around the unmodified protocol core and around what a device
//! computes. No clock, no I/O: the same code runs in the simulator and around real peers.
//!
//! The core has no switch for misbehaviour. [`wrap()`] changes what goes in and comes out of it, [`backend()`] what its
//! device finds; both get clones of one [`Means`], through which they tell each other what they need.
//!
//! A peer's list of [`Strategy`]s may combine anything, with these rules:
//!
//! - The first of the list is next to the core. So [`Strategy::Silent`] gags all strategies before it, and a
//!   [`Strategy::Flood`] after it is heard; [`Strategy::Replay`] repeats what those before it say.
//! - Of several that fake tiles the first one that lies about a tile decides: a share and a ring add up.
//! - [`Strategy::Copy`], [`Strategy::AuditLazily`] and [`Strategy::AccuseFalsely`] exclude each other: one auditor
//!   cannot do two of them. The first two also keep a [`Strategy::Ring`]'s member from vouching for the others,
//!   because it never computes.
//! - [`Strategy::AccuseFalsely`] and [`Strategy::CensorAuditors`] spare friends; [`Strategy::StuffRoster`] knows
//!   nobody else. With a ring's friends these make the worst requester there is.
//! - [`Strategy::IdleOnLeases`] leaves nothing to fake, to open or to sign twice as a worker.
//! - [`Strategy::BehaveUntil`] nests: the greatest number of receipts on the way in counts. What begins while a slice
//!   is at work fakes none of its tiles.
//!
//! Invariant: strategies, seed and inputs determine every output.
#![forbid(unsafe_code)]

mod backend;
mod grind;
mod means;
pub mod strategy;
mod wrap;

mod tricks;

pub use backend::{Backend, Lies, backend};
pub use grind::grind;
pub use means::{Means, Shared, SignerFactory};
pub use strategy::{Accusation, Forfeits, Spoilt, Strategy, StrategyError, forfeits};
pub use wrap::{Adversary, wrap};
