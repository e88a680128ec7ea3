//! A device process on its own, for this crate's tests and benchmarks. The node serves from a hidden subcommand.

use std::process::ExitCode;

fn main() -> ExitCode {
    starling_kernels::runner::child::serve(std::io::stdin(), std::io::stdout())
}
