//! Shaders that mean harm, on a device.

use std::sync::LazyLock;

use starling_kernels::runner::{AdapterChoice, DeviceKind, Engine, GuestRunner};
use starling_kernels::shader::program::Program;
use starling_kernels::shader::{Spec, Wgsl};
use starling_kernels::{JobSpec, Kernel as _};

use crate::support;

/// The same on a device, if it is a real one or `STARLING_HOSTILE=device` says so (software Vulkan compiles for a minute
/// and more): what ends here ends there, with the same words; what is at fault ends too, before its deadline, and takes
/// nothing down with it.
pub fn on_device(program: &Program, shader: &str, inputs: &[Vec<u32>], ends: Option<&[u32]>) {
    static DEVICE: LazyLock<Option<u32>> = LazyLock::new(|| {
        let asked = std::env::var("STARLING_HOSTILE").as_deref() == Ok("device");
        let device = support::device()?;
        let fits = asked || device.describe().kind != DeviceKind::Cpu;
        fits.then(|| device.describe().index)
    });
    let Some(index) = *DEVICE else {
        return;
    };
    let spec = Spec {
        program: program.digest(),
        ..program.spec.clone()
    };
    let bytes = |words: &Vec<u32>| words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let job = JobSpec {
        kernel: Wgsl.id(),
        params: spec.encode(),
        inputs: std::iter::once(shader.as_bytes().into())
            .chain(inputs.iter().map(bytes))
            .collect(),
    };
    let engine = Engine::Adapter(AdapterChoice::Nth(index));
    let mut guest = GuestRunner::new(&support::command(), engine);
    let ran = guest
        .load(&job, support::DEADLINE)
        .and_then(|_| guest.run(&[0], support::DEADLINE));
    let ran = ran.unwrap_or_else(|e| panic!("{e}\n{shader}"));
    if let Some(words) = ends {
        let expected: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        assert!(ran == expected, "{shader}");
    }
}
