//! The `starling-sim` binary.
fn main() {}
