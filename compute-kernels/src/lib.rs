//! Starling kernels.
