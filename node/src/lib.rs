//! Starling node.

pub mod blobs;
pub mod home;
pub mod key;
pub mod log;
pub mod net;
pub mod store;
