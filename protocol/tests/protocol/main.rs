//! The protocol's tests: whole jobs among real peers in virtual time, and every part of it against hostile input.

mod adverts;
mod book;
mod clocks;
mod codec;
mod crash;
mod draws;
mod faults;
mod faults_told;
mod genesis;
mod hostile;
mod jobs;
mod leases;
mod lending;
mod merkle;
mod model;
mod prices;
mod probe;
mod real;
mod receipt;
mod reputation;
mod samples;
mod silence;
mod stewards;
mod world;
