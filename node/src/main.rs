//! The `starling` binary.
fn main() -> std::process::ExitCode {
    starling::cli::main()
}
