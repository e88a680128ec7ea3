//! Two factors, and what of their product is asked for: tiles for a CPU, all of it packed for a GPU.
//!
//! Invariant: on a CPU a tile alone costs what it costs among others, and no copy of a whole factor is made: factors
//! have up to a GiB each, and who checks a job computes single tiles of it.

use std::sync::Arc;

use super::tile::{Scratch, Tile};
use super::vectors::Route;
use super::{MAX_EDGE, Params};

const EDGE: usize = MAX_EDGE as usize;

/// Two matrices whose lengths fit the parameters.
pub(super) struct Factors {
    pub(super) params: Params,
    pub(super) a: Arc<[u8]>,
    pub(super) b: Arc<[u8]>,
}

impl Factors {
    /// Computes the tile's elements into `out`, which is zero.
    pub(super) fn block(&self, tile: u32, out: &mut [u8]) {
        self.blocks()(tile, out);
    }

    /// The same for one thread that computes many.
    pub(super) fn blocks(&self) -> impl FnMut(u32, &mut [u8]) {
        let (route, mut scratch) = (Route::best(), Scratch::new());
        move |tile, out| self.block_by(route, &mut scratch, tile, out)
    }

    fn block_by(&self, route: Route, scratch: &mut Scratch, tile: u32, out: &mut [u8]) {
        let (rows, columns) = self.params.block(tile);
        route.run(Tile {
            factors: self,
            rows: rows.start as usize..rows.end as usize,
            columns: columns.start as usize..columns.end as usize,
            scratch,
        });
        let edge = self.params.edge() as usize;
        let lines = out.chunks_exact_mut(edge * 4).zip(scratch.sums());
        for (line, sums) in lines.take(rows.len()) {
            for (word, sum) in line.chunks_exact_mut(4).zip(sums) {
                word.copy_from_slice(&sum.to_le_bytes());
            }
        }
    }

    /// The first factor with rows of `stride` bytes, filled up with zeros.
    pub(super) fn packed_rows(&self, stride: usize) -> Vec<u8> {
        let inner = self.params.inner as usize;
        let mut packed = vec![0; stride * self.params.rows as usize];
        let lines = packed.chunks_exact_mut(stride);
        for (line, row) in lines.zip(self.a.chunks_exact(inner)) {
            line[..inner].copy_from_slice(row);
        }
        packed
    }

    /// The second factor's columns as rows of `stride` bytes, filled up with zeros.
    pub(super) fn packed_columns(&self, stride: usize) -> Vec<u8> {
        let columns = self.params.columns as usize;
        let mut packed = vec![0; stride * columns];
        // In squares, so that neither side is read or written with a cache miss for each byte.
        for left in (0..columns).step_by(EDGE) {
            for (k, row) in self.b.chunks_exact(columns).enumerate() {
                let some = &row[left..(left + EDGE).min(columns)];
                for (column, &byte) in (left..).zip(some) {
                    packed[column * stride + k] = byte;
                }
            }
        }
        packed
    }
}

#[cfg(test)]
mod tests;
