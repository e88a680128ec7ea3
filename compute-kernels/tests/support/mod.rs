//! What the tests on devices share: how to reach one.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use starling_kernels::runner::{AdapterChoice, GpuProcess, RunnerCommand, RunnerError};

/// Software Vulkan compiles large shaders slowly.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// The runner that was built beside this test, or `STARLING_TEST_RUNNER` on a machine that has no toolchain.
pub fn command() -> RunnerCommand {
    let elsewhere = env::var_os("STARLING_TEST_RUNNER");
    RunnerCommand {
        exe: elsewhere.map_or(env!("CARGO_BIN_EXE_starling-runner").into(), PathBuf::from),
        args: Vec::new(),
    }
}

/// A real GPU if there is one, else software Vulkan. Without either the test fails,
/// unless `STARLING_GPU_TESTS=skip` says that this machine is to do without.
pub fn device() -> Option<GpuProcess> {
    let open = |choice| GpuProcess::spawn(command(), choice, DEADLINE);
    match open(AdapterChoice::Hardware).or_else(|_| open(AdapterChoice::Software)) {
        Ok(gpu) => {
            eprintln!("device: {:?}", gpu.describe());
            Some(gpu)
        }
        Err(RunnerError::NoAdapter { .. })
            if env::var("STARLING_GPU_TESTS").as_deref() == Ok("skip") =>
        {
            eprintln!("SKIPPED: no adapter, and STARLING_GPU_TESTS=skip");
            None
        }
        Err(error) => panic!("{error} (STARLING_GPU_TESTS=skip does without)"),
    }
}
