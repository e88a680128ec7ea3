//! The real binary, as people and scripts meet it: exit codes, messages, files, signals, and whole jobs over loopback.
//!
//! Every process has a home of its own in a temporary folder, is waited for with a bound, and is killed when its test
//! ends early.

#![cfg(unix)]

mod daemon;
mod disk;
mod doctor;
mod faults;
mod files;
mod foreign;
#[cfg(target_os = "linux")]
mod idle;
mod jobs;
#[cfg(target_os = "linux")]
mod lab;
mod lending;
mod matrices;
mod members;
mod network;
mod room;
#[cfg(target_os = "linux")]
mod routers;
#[cfg(target_os = "linux")]
mod service;
mod settings;
mod shaders;
mod stewards;
mod support;
mod usage;
