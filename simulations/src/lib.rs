//! Starling simulations.
