//! What the tests on devices share: how to reach one, and fresh random numbers with a printed seed.

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use starling_kernels::runner::{AdapterChoice, GpuProcess, RunnerCommand};

/// Software Vulkan compiles large shaders slowly.
pub const DEADLINE: Duration = Duration::from_secs(300);

pub fn command() -> RunnerCommand {
    RunnerCommand {
        exe: env!("CARGO_BIN_EXE_starling-runner").into(),
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
        Err(_) if env::var("STARLING_GPU_TESTS").as_deref() == Ok("skip") => {
            eprintln!("SKIPPED: no adapter, and STARLING_GPU_TESTS=skip");
            None
        }
        Err(error) => panic!("{error} (STARLING_GPU_TESTS=skip does without)"),
    }
}

/// SplitMix64. `STARLING_SEED` repeats a run.
pub struct Random(u64);

impl Random {
    pub fn fresh() -> Self {
        let seed = match env::var("STARLING_SEED") {
            Ok(seed) => seed.parse().expect("STARLING_SEED is a u64"),
            Err(_) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                now.expect("after 1970").as_nanos() as u64
            }
        };
        eprintln!("repeat with STARLING_SEED={seed}");
        Random(seed)
    }

    pub fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn u32(&mut self) -> u32 {
        (self.u64() >> 32) as u32
    }

    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.u32()) * u64::from(bound)) >> 32) as u32
    }
}
