//! The target that `STARLING_FUZZ_TARGET` names, under libFuzzer.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use starling_fuzz::{Target, target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("STARLING_FUZZ_TARGET").expect("STARLING_FUZZ_TARGET names a target");
    target(&name).expect("a target of that name")
});

fuzz_target!(|data: &[u8]| {
    (TARGET.run)(data);
});
