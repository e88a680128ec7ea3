//! A device process on its own, for this crate's tests and benchmarks. The node serves from a hidden subcommand.

use std::process::ExitCode;

fn main() -> ExitCode {
    let confined = std::env::args_os().any(|a| a == "--confined");
    starling_kernels::runner::child::serve(std::io::stdin(), std::io::stdout(), confined)
}
