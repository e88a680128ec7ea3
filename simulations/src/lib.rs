//! Starling under virtual time: the unmodified protocol machines, a modelled shell around each, a modelled network
//! between them.
//!
//! Start with [`experiment`] (what is run), [`world`] (the loop) and [`host`] (one peer). What must hold in every run
//! stands in [`check`], outside the core. The same experiment and seed give the same run, event for event; the trace
//! hash says so.
#![forbid(unsafe_code)]

pub mod bench;
pub mod check;
pub mod churn;
pub mod deeds;
pub mod device;
pub mod engine;
pub mod event;
pub mod experiment;
pub mod forge;
pub mod gossip;
pub mod host;
pub mod judge;
pub mod kademlia;
pub mod light;
pub mod metrics;
pub mod net;
pub mod observe;
pub mod order;
pub mod profile;
pub mod results;
pub mod roles;
pub mod run;
pub mod shared;
pub mod signer;
pub mod study;
pub mod trace;
pub mod trust;
pub mod truth;
pub mod validate;
mod warm;
pub mod world;

pub use experiment::Experiment;
pub use run::{Report, run};
