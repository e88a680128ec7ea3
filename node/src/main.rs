//! The `starling` binary.

fn main() -> std::process::ExitCode {
    starling::heap::settle();
    starling::cli::main()
}
