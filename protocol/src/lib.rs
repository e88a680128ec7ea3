//! The Starling protocol: what peers say to each other, and when, as pure state machines.
//!
//! No clock, no sockets, no files, no hash-map order: a shell feeds [`Input`]s to a [`Peer`] and performs the
//! [`Output`]s it returns. The same machines therefore run in the daemon and, unmodified, in the simulator.
//!
//! Start with [`message`] (what is said), [`peer`] (who handles it) and PROTOCOL.md (why).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod admission;
pub mod advert;
pub mod bits;
pub mod board;
pub mod bundle;
pub mod codec;
pub mod config;
pub mod crypto;
pub mod draw;
pub mod evidence;
pub mod fraud;
pub mod genesis;
pub mod hash;
pub mod io;
pub mod lending;
pub mod manifest;
pub mod merkle;
pub mod message;
pub mod peer;
pub mod reason;
pub mod receipt;
pub mod reputation;
pub mod signed;
pub mod text;
pub mod time;

mod adverts;
mod auditor;
mod book;
mod clocks;
mod collector;
mod context;
mod event;
mod faults;
mod memo;
mod parked;
mod probe;
mod proofs;
mod record;
mod requester;
mod round;
mod rules;
mod steward;
mod table;
mod timers;
mod witness;
mod worker;

pub use advert::Advert;
pub use bundle::Bundle;
pub use genesis::{Genesis, Limits, Scope};
pub use hash::{BlobId, Hash, JobId, KernelId, LeaseId, PeerKey, SwarmId};
pub use io::{Event, Input, Output, Outputs};
pub use manifest::{Manifest, Roster, Tier};
pub use message::Message;
pub use peer::{Core, Peer};
pub use reason::Reason;
pub use receipt::Receipt;
pub use time::{Deadline, Time};
