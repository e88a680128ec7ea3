//! Fuzzing of everything that takes bytes from strangers.
//!
//! A [`Target`] takes any bytes and must neither panic nor break what it asserts. It answers with an *outcome*, a
//! number that tells kinds of result apart; whoever drives it keeps inputs with new outcomes and mutates those, which
//! stands in for coverage where the compiler gives none. Two drivers: this crate's binary, on stable, and
//! `fuzz/libfuzzer`, which needs cargo-fuzz and a nightly compiler. Not a place for assertions about good input:
//! those are tests.

mod admission;
mod arena;
mod facts;
mod files;
mod jobs;
pub mod mutate;
mod shaders;
mod streams;

/// Something that takes bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, also of its folder in `corpus`.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Takes bytes; the outcome's kind.
    pub run: fn(&[u8]) -> u64,
    /// Good inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 13] = [
    facts::MESSAGE,
    facts::FACTS,
    facts::BUNDLE,
    admission::ADMISSION,
    arena::PEERS,
    jobs::KERNELS,
    shaders::SHADER,
    files::LOG,
    files::SCENE,
    files::NPY,
    files::SETTINGS,
    streams::BLOBS,
    streams::FRAMES,
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|t| t.name == name)
}

/// Splits bytes into a first byte and the rest; zero and nothing at the end.
fn split(bytes: &[u8]) -> (u8, &[u8]) {
    bytes
        .split_first()
        .map_or((0, bytes), |(first, rest)| (*first, rest))
}

/// An outcome from a few small numbers and a text that has no particulars in it.
fn outcome(kind: u64, text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    let bytes = hash.as_bytes();
    kind << 32 | u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// A message without the particulars that its input put there: numbers, and what is quoted.
fn kind_of(text: &str) -> String {
    let plain = text.split(['`', '\'', '"']).next().unwrap_or_default();
    plain
        .chars()
        .filter(|c| !c.is_ascii_digit())
        .take(120)
        .collect()
}
