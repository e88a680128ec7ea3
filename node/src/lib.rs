//! Starling node.

pub mod blobs;
pub mod net;
