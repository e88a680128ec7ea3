//! Starling kernels: WGSL + Rust pairs with canonical numerics, and the runners for them.
//!
//! The Rust side of every pair is the reference. This crate knows neither peers nor jobs' owners: it turns
//! parameters and input blobs into tile bytes, the same ones on every device.

use std::sync::LazyLock;

pub mod canary;
pub mod canon;
pub mod film;
pub mod fractal;
mod kernel;
pub mod matmul;
pub mod noop;
pub mod npy;
pub mod render;
pub mod runner;
pub mod shader;

pub use kernel::*;

/// Every kernel that this build offers to a swarm.
pub fn kernels() -> &'static [&'static dyn Kernel] {
    &[
        &render::Render,
        &fractal::Fractal,
        &matmul::Matmul,
        &noop::Noop,
        &shader::Wgsl,
    ]
}

/// The kernel with this id, the canary's among them.
pub fn kernel(id: KernelId) -> Result<&'static dyn Kernel, KernelError> {
    static BY_ID: LazyLock<Vec<(KernelId, &'static dyn Kernel)>> = LazyLock::new(|| {
        let canary: &'static dyn Kernel = &canary::Canary;
        let all = kernels().iter().copied().chain([canary]);
        all.map(|k| (k.id(), k)).collect()
    });
    let found = BY_ID.iter().find(|(known, _)| *known == id);
    found.map_or(Err(KernelError::UnknownKernel(id)), |(_, k)| Ok(*k))
}

/// Whether jobs of this kernel bring their own code.
pub fn brings_code(id: KernelId) -> bool {
    static WGSL: LazyLock<KernelId> = LazyLock::new(|| shader::Wgsl.id());
    id == *WGSL
}

/// The kernel of this name.
pub fn kernel_named(name: &str) -> Option<&'static dyn Kernel> {
    kernels().iter().copied().find(|k| k.name() == name)
}
