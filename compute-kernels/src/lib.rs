//! Starling kernels: WGSL + Rust pairs with canonical numerics, and the runners for them.
//!
//! The Rust side of every pair is the reference. This crate knows neither peers nor jobs' owners: it turns
//! parameters and input blobs into tile bytes, the same ones on every device.

pub mod canon;
mod kernel;

pub use kernel::*;

/// Every kernel of this build.
pub fn kernels() -> &'static [&'static dyn Kernel] {
    &[]
}

/// The kernel with this id.
pub fn kernel(id: KernelId) -> Result<&'static dyn Kernel, KernelError> {
    let found = kernels().iter().copied().find(|k| k.id() == id);
    found.ok_or(KernelError::UnknownKernel(id))
}

/// The kernel of this name.
pub fn kernel_named(name: &str) -> Option<&'static dyn Kernel> {
    kernels().iter().copied().find(|k| k.name() == name)
}
