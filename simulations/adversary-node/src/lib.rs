//! Misbehaviour in real processes: the strategies of `starling-adversaries` around the real node, with its sockets,
//! its disk and its device, and swarms of such processes in which honest peers have to stand it.
//!
//! [`peer`] is one adversary; [`stage`] starts honest peers and adversaries on loopback; [`swarm`], [`detect`] and
//! [`flood`] are the experiments. Nothing is simulated, so nothing repeats to the byte: a seed fixes the misdeeds and
//! the jobs, not when a packet comes. What honest peers saw is counted, never what an adversary says of itself.
//! Invariant: no process outlives its experiment, however that ends, and every wait has an end.
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod detect;
pub mod device;
pub mod flood;
pub mod formula;
pub mod job;
pub mod peer;
pub mod requester;
pub mod stage;
pub mod swarm;
