//! One tile on a CPU, cut along the common dimension into pieces that the first cache holds.
//!
//! A piece of both factors is first widened to pairs of i16 and laid out as the loops read it, which costs a tenth of
//! the products. Then four rows by up to four lines of columns are summed in registers. Sums wrap, so their order does
//! not matter.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use super::MAX_EDGE;
use super::product::Factors;
use super::vectors::{LANES, Line, Loops, Vector};

/// Pairs of a piece along the common dimension.
const PAIRS: usize = 128;
const PIECE: usize = 2 * PAIRS;
const EDGE: usize = MAX_EDGE as usize;
/// Lines across a tile.
const ACROSS: usize = EDGE / LANES;
/// Rows that share one reading of a line.
const ROWS: usize = 4;

/// A piece of a row of the first factor.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Row([i16; PIECE]);

/// A piece of [`LANES`] columns of the second factor: a line for each pair of its rows.
type Panel = [Line; PAIRS];

/// What a thread needs to compute a tile: a piece of its rows, one of its columns, and its sums.
pub(super) struct Scratch {
    rows: Vec<Row>,
    panels: Vec<Panel>,
    sums: Vec<[Line; ACROSS]>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self {
            rows: vec![Row::zeroed(); EDGE],
            panels: vec![[Line::zeroed(); PAIRS]; ACROSS],
            sums: vec![[Line::zeroed(); ACROSS]; EDGE],
        }
    }

    /// The last tile's sums, row by row, from the first element of each; beyond its rows, anything.
    pub(super) fn sums(&self) -> &[[i32; EDGE]] {
        bytemuck::cast_slice(&self.sums)
    }
}

/// One tile's loops.
pub(super) struct Tile<'a> {
    pub(super) factors: &'a Factors,
    /// Within the matrices, at most [`EDGE`] each.
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    pub(super) scratch: &'a mut Scratch,
}

impl Loops for Tile<'_> {
    #[inline(always)]
    fn run<S: Vector<PER>, const PER: usize>(self, simd: S) {
        let inner = self.factors.params.inner as usize;
        let rows = &mut self.scratch.rows[..self.rows.len().next_multiple_of(ROWS)];
        let panels = &mut self.scratch.panels[..self.columns.len().div_ceil(LANES)];
        let sums = &mut self.scratch.sums[..rows.len()];
        sums.fill([Line::zeroed(); ACROSS]);
        // Rows beyond the matrix, up to a whole block, hold anything: nobody reads their sums.
        for from in (0..inner).step_by(PIECE) {
            let piece = from..(from + PIECE).min(inner);
            let pairs = piece.len().div_ceil(2);
            self.factors
                .take_rows(self.rows.start, self.rows.len(), piece.clone(), rows);
            self.factors
                .take_columns(self.columns.clone(), piece, panels);
            for (rows, sums) in rows.chunks_exact(ROWS).zip(sums.chunks_exact_mut(ROWS)) {
                let mut at = 0;
                while at < panels.len() {
                    let left = panels.len() - at;
                    at += match left.min(S::TOGETHER) {
                        4.. => add_block::<S, PER, 4>(simd, pairs, rows, &panels[at..], sums, at),
                        2.. => add_block::<S, PER, 2>(simd, pairs, rows, &panels[at..], sums, at),
                        _ => add_block::<S, PER, 1>(simd, pairs, rows, &panels[at..], sums, at),
                    };
                }
            }
        }
    }
}

/// Adds the products of [`ROWS`] rows by `P` panels to their sums, kept in registers meanwhile; returns `P`.
#[inline(always)]
fn add_block<S: Vector<PER>, const PER: usize, const P: usize>(
    simd: S,
    pairs: usize,
    rows: &[Row],
    panels: &[Panel],
    sums: &mut [[Line; ACROSS]],
    at: usize,
) -> usize {
    let mut registers = [[[simd.splat(0); PER]; P]; ROWS];
    let mut a: [&[i32]; ROWS] = [&[]; ROWS];
    for (a, row) in a.iter_mut().zip(rows) {
        *a = &bytemuck::cast_slice(&row.0)[..pairs];
    }
    let mut b: [&[Line]; P] = [&[]; P];
    for (b, panel) in b.iter_mut().zip(panels) {
        *b = &panel[..pairs];
    }
    for k in 0..pairs {
        let mut lines = [[simd.splat(0); PER]; P];
        for (line, b) in lines.iter_mut().zip(b) {
            *line = bytemuck::cast(b[k]);
        }
        for (registers, a) in registers.iter_mut().zip(a) {
            let a = simd.splat(a[k]);
            for (registers, b) in registers.iter_mut().zip(lines) {
                for (sums, b) in registers.iter_mut().zip(b) {
                    *sums = simd.add_products(*sums, a, b);
                }
            }
        }
    }
    for (registers, sums) in registers.into_iter().zip(sums) {
        for (registers, sums) in registers.into_iter().zip(&mut sums[at..at + P]) {
            let more: Line = bytemuck::cast(registers);
            for (sum, more) in sums.0.iter_mut().zip(more.0) {
                *sum = sum.wrapping_add(more);
            }
        }
    }
    P
}

impl Factors {
    /// Widens a piece of consecutive rows of the first factor. What meets the other half of a last, odd pair is zero
    /// in the columns.
    #[inline(always)]
    fn take_rows(&self, top: usize, count: usize, piece: Range<usize>, into: &mut [Row]) {
        let inner = self.params.inner as usize;
        for (row, Row(line)) in into.iter_mut().enumerate().take(count) {
            let from = &self.a[(top + row) * inner..][piece.clone()];
            for (wide, &byte) in line.iter_mut().zip(from) {
                *wide = i16::from(byte as i8);
            }
        }
    }

    /// Widens a piece of consecutive columns of the second factor, two rows at a time.
    #[inline(always)]
    fn take_columns(&self, columns: Range<usize>, piece: Range<usize>, into: &mut [Panel]) {
        let stride = self.params.columns as usize;
        let rows = &self.b[piece.start * stride..piece.end * stride];
        let mut spare = [[0; EDGE]; 2];
        for (pair, rows) in rows.chunks(2 * stride).enumerate() {
            let (first, second) = rows.split_at(stride);
            let [spare, other] = &mut spare;
            let first = whole(&first[columns.clone()], spare);
            // After the last row of all there may be none.
            let second = whole(second.get(columns.clone()).unwrap_or(&[]), other);
            let (first, second) = (first.as_chunks::<LANES>().0, second.as_chunks::<LANES>().0);
            for (panel, (first, second)) in into.iter_mut().zip(first.iter().zip(second)) {
                panel[pair] = Line::widened(first, second);
            }
        }
    }
}

/// A row of a tile: itself, or its copy with zeros behind it.
#[inline(always)]
fn whole<'a>(some: &'a [u8], spare: &'a mut [u8; EDGE]) -> &'a [u8; EDGE] {
    match some.as_array() {
        Some(whole) => whole,
        None => {
            spare[..some.len()].copy_from_slice(some);
            spare[some.len()..].fill(0);
            spare
        }
    }
}
