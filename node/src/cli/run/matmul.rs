//! `run matmul`: two `.npy` files in, their product out.

use std::path::PathBuf;

use clap::Args;

use super::{Asked, How, To, refused};
use crate::product::{Format, Target, Work};

/// Multiply two matrices of 8-bit integers, exactly.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  starling run matmul a.npy b.npy -o c.npy
  starling run matmul a.npy b.npy -o c.npy --local

The files hold int8 arrays of two dimensions, as numpy.save writes them; the result holds int32. Sums of more than
131,071 products may wrap, as they do in NumPy's int32.

The matrices are visible to the swarm's peers: they need them to compute and to check.")]
pub(super) struct Matmul {
    /// The first factor: M x K, int8.
    #[arg(value_name = "A.npy")]
    a: PathBuf,
    /// The second factor: K x N, int8.
    #[arg(value_name = "B.npy")]
    b: PathBuf,
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    how: How,
}

impl Matmul {
    pub(super) fn asked(self) -> Asked {
        let Self { a, b, to, how } = self;
        let outputs = vec![Target::new(Format::Npy, to.output)];
        Asked::new(how, outputs, move || {
            Work::matmul_of(&a, &b).map_err(refused)
        })
    }
}
