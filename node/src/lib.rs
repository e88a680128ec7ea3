//! Starling node.

pub mod home;
pub mod key;
pub mod log;
pub mod store;
