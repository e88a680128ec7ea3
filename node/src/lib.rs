//! The shell around `starling-protocol`: network, disk, devices, and the command line.
//!
//! [`node`] puts the parts together, [`driver`] moves inputs and outputs between them. Decisions are the core's.

pub mod api;
pub mod bench;
pub mod blobs;
pub mod cli;
pub mod compute;
pub mod driver;
pub mod genesis;
pub mod heap;
pub mod home;
pub mod jobs;
pub mod key;
pub mod lend;
pub mod log;
pub mod membership;
pub mod neighbours;
pub mod net;
pub mod node;
pub mod product;
pub mod reason;
pub mod recent;
mod restore;
pub mod stage;
pub mod store;
