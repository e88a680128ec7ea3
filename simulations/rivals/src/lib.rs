//! The workload that README.md describes, as far as it is the same upon every simulator, and how a run is measured.
//! `simgrid/flood.cpp` says the same in C++: a change here is a change there.
#![forbid(unsafe_code)]

use nix::sys::resource::{UsageWho, getrusage};
use std::io::Write;

/// Messages that each node starts with.
pub const STARTS: u32 = 4;
/// Bytes of a message.
pub const BYTES: usize = 300;
/// A message. Its first eight bytes are a number, which its receiver reads.
pub type Payload = [u8; BYTES];

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The choices of `node`.
    #[must_use]
    pub fn new(node: u32) -> Self {
        Self(mix(u64::from(node).wrapping_add(1)))
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What a node does: its n-th message goes to the same peer upon every simulator.
pub struct Node {
    index: u32,
    nodes: u32,
    choices: SplitMix64,
}

impl Node {
    /// Node `index` of `nodes`.
    #[must_use]
    pub fn new(index: u32, nodes: u32) -> Self {
        Self {
            index,
            nodes,
            choices: SplitMix64::new(index),
        }
    }

    /// Whom the next message goes to, never itself; and the number that it carries.
    pub fn choose(&mut self) -> (u32, u64) {
        let drawn = self.choices.next();
        let to = (drawn % u64::from(self.nodes - 1)) as u32;
        (to + u32::from(to >= self.index), drawn)
    }
}

/// A message that carries `number`.
#[must_use]
pub fn payload(number: u64) -> Payload {
    let mut payload = [0x5a; BYTES];
    payload[..8].copy_from_slice(&number.to_le_bytes());
    payload
}

/// The number that a message carries.
#[must_use]
pub fn number(payload: &Payload) -> u64 {
    u64::from_le_bytes(payload[..8].try_into().unwrap_or_default())
}

/// One-way latency of a pair, the same both ways: 20 to 80 ms, evenly by a hash, in microseconds.
#[must_use]
pub fn latency_us(a: u32, b: u32) -> u64 {
    let pair = u64::from(a.min(b)) << 32 | u64::from(a.max(b));
    20_000 + mix(pair.wrapping_add(0x9e37_79b9_7f4a_7c15)) % 60_001
}

/// The command line: `PROGRAM VARIANT NODES MESSAGES`.
pub struct Task {
    /// Which way of running it.
    pub variant: String,
    /// Nodes.
    pub nodes: u32,
    /// Messages to deliver in all.
    pub messages: u64,
}

impl Task {
    /// What the command line says.
    ///
    /// # Panics
    /// When it says it wrongly.
    #[must_use]
    pub fn from_args() -> Self {
        let args: Vec<_> = std::env::args().skip(1).collect();
        let [variant, nodes, messages] = &args[..] else {
            panic!("usage: PROGRAM VARIANT NODES MESSAGES")
        };
        Self {
            variant: variant.clone(),
            nodes: nodes.parse().ok().filter(|n| *n >= 2).expect("NODES"),
            messages: messages.parse().expect("MESSAGES"),
        }
    }
}

/// Says on stdout how a run went, for scripts/rivals: messages, virtual seconds, CPU seconds, peak KiB, mean latency.
///
/// # Panics
/// When the system does not say what the process used, or nobody reads.
pub fn report(messages: u64, virtual_s: f64, mean_ms: f64) {
    let used = getrusage(UsageWho::RUSAGE_SELF).expect("getrusage");
    let s = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    let cpu_s = s(used.user_time()) + s(used.system_time());
    let kib = peak_kib().unwrap_or(0);
    writeln!(
        std::io::stdout(),
        "{messages} {virtual_s:.6} {cpu_s:.3} {kib} {mean_ms:.2}"
    )
    .expect("stdout");
}

/// Peak resident memory. From Linux' /proc, since that of getrusage also counts who started the program.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
