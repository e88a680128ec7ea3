//! The Starling protocol.
#![no_std]
