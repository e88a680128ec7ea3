//! The product on a CPU: one tile at a time, cut along the common dimension into pieces that a cache holds.
//!
//! Elements are widened to i16 first, because multiplying pairs of i16 into i32 is one instruction everywhere;
//! `pulp` chooses the widest vectors that this processor has. Integers: the order of sums does not matter.

use std::sync::Arc;

use super::{MAX_EDGE, Params};

/// Elements of a piece along the common dimension: two pieces of 64 rows of i16 fill 64 KiB.
const PIECE: usize = 256;
const EDGE: usize = MAX_EDGE as usize;
/// Columns of the product that share one reading of a row.
const TOGETHER: usize = 4;

/// Two matrices whose lengths fit the parameters.
pub(super) struct Factors {
    pub(super) params: Params,
    pub(super) a: Arc<[u8]>,
    pub(super) b: Arc<[u8]>,
}

/// As many i16 as a tile's piece has, row by row.
type Piece = [[i16; PIECE]; EDGE];

impl Factors {
    /// Computes the tile's elements into `out`, which is zero.
    pub(super) fn block(&self, tile: u32, out: &mut [u8]) {
        let (rows, columns) = self.params.block(tile);
        let mut sums = vec![0_i32; EDGE * EDGE];
        let mut left = Box::new([[0; PIECE]; EDGE]);
        let mut right = Box::new([[0; PIECE]; EDGE]);
        let inner = self.params.inner as usize;
        let arch = pulp::Arch::new();
        let (height, width) = (rows.len(), columns.len());
        for from in (0..inner).step_by(PIECE) {
            let piece = from..(from + PIECE).min(inner);
            self.take_rows(rows.start as usize, height, piece.clone(), &mut left);
            self.take_columns(columns.start as usize, width, piece, &mut right);
            arch.dispatch(|| multiply(&left[..height], &right[..width], &mut sums));
        }
        let edge = self.params.edge() as usize;
        for (line, sums) in out.chunks_exact_mut(edge * 4).zip(sums.chunks_exact(EDGE)) {
            for (word, sum) in line.chunks_exact_mut(4).zip(sums) {
                word.copy_from_slice(&sum.to_le_bytes());
            }
        }
    }

    /// Widens a piece of consecutive rows of the first factor.
    fn take_rows(&self, top: usize, count: usize, piece: std::ops::Range<usize>, into: &mut Piece) {
        let inner = self.params.inner as usize;
        for (row, line) in into.iter_mut().enumerate().take(count) {
            let from = &self.a[(top + row) * inner..][piece.clone()];
            line[from.len()..].fill(0);
            for (wide, &byte) in line.iter_mut().zip(from) {
                *wide = i16::from(byte as i8);
            }
        }
    }

    /// Widens a piece of consecutive columns of the second factor, and lays each out as a row.
    fn take_columns(
        &self,
        left: usize,
        count: usize,
        piece: std::ops::Range<usize>,
        into: &mut Piece,
    ) {
        let columns = self.params.columns as usize;
        if piece.len() < PIECE {
            into.iter_mut().for_each(|line| line[piece.len()..].fill(0));
        }
        for (k, row) in piece.enumerate() {
            let from = &self.b[row * columns + left..][..count];
            for (line, &byte) in into.iter_mut().zip(from) {
                line[k] = i16::from(byte as i8);
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

/// Adds the products of all rows of both pieces. Inlined into code for this processor's vectors.
#[inline(always)]
fn multiply(left: &[[i16; PIECE]], right: &[[i16; PIECE]], sums: &mut [i32]) {
    for (row, sums) in left.iter().zip(sums.chunks_exact_mut(EDGE)) {
        for (columns, sums) in right.chunks(TOGETHER).zip(sums.chunks_mut(TOGETHER)) {
            if let [c0, c1, c2, c3] = columns {
                let mut four = [0_i32; TOGETHER];
                for k in 0..PIECE {
                    let a = i32::from(row[k]);
                    four[0] = four[0].wrapping_add(a * i32::from(c0[k]));
                    four[1] = four[1].wrapping_add(a * i32::from(c1[k]));
                    four[2] = four[2].wrapping_add(a * i32::from(c2[k]));
                    four[3] = four[3].wrapping_add(a * i32::from(c3[k]));
                }
                for (sum, more) in sums.iter_mut().zip(four) {
                    *sum = sum.wrapping_add(more);
                }
            } else {
                for (sum, column) in sums.iter_mut().zip(columns) {
                    let products = row.iter().zip(column);
                    let more = products.fold(0_i32, |sum, (&a, &b)| {
                        sum.wrapping_add(i32::from(a) * i32::from(b))
                    });
                    *sum = sum.wrapping_add(more);
                }
            }
        }
    }
}
