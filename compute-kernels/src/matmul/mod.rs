//! Matrix products of i8 into i32, sums modulo 2^32: the exact tier.
//!
//! Pair of `matmul.wgsl`. Inputs are the two matrices' elements, row by row, one byte each. A tile is a square block
//! of the product, row by row as little-endian i32, zero beyond the matrix; it can be computed alone. Files are
//! [`npy`]'s affair.
//! Invariant: a tile costs at most 2^29 operations, so that any of them is recomputed in a moment.

mod product;
mod tile;
mod vectors;

use std::borrow::Cow;
use std::sync::Arc;

use crate::kernel::{Kernel, KernelError, MAX_TILES, Plan, Prepared, Shape, Tier, Worker};
use product::Factors;

/// Longest common dimension: the shader's loop stays at half of the 65,535 iterations after which Mesa's llvmpipe
/// silently leaves a loop. From 131,072 on, sums may wrap.
pub const MAX_INNER: u32 = 1 << 19;
/// Largest edge of a tile.
const MAX_EDGE: u32 = 64;
/// Most multiplications of a tile: edges shrink where the common dimension is long.
const MAX_PRODUCTS: u64 = 1 << 28;
const ENCODED_LEN: usize = 12;
/// Bytes of the vectors in which the shader reads.
const VECTOR: u64 = 16;

/// The kernel.
pub struct Matmul;

/// The dimensions: (rows x inner) times (inner x columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Rows of the first factor and of the product, at least 1.
    pub rows: u32,
    /// Columns of the first factor and rows of the second, 1 to [`MAX_INNER`].
    pub inner: u32,
    /// Columns of the second factor and of the product, at least 1.
    pub columns: u32,
}

impl Params {
    /// The parameter block: three little-endian words.
    pub fn encode(&self) -> Vec<u8> {
        let words = [self.rows, self.inner, self.columns];
        words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// Decodes and validates a parameter block.
    ///
    /// # Errors
    /// [`KernelError::Params`] for another length, a dimension out of range, or too many tiles.
    pub fn decode(bytes: &[u8]) -> Result<Self, KernelError> {
        let bad = |why: String| Err(KernelError::Params(why));
        let &[a, b, c, d, e, f, g, h, i, j, k, l] = bytes else {
            let got = bytes.len();
            return bad(format!("matmul takes {ENCODED_LEN} bytes, got {got}"));
        };
        let params = Params {
            rows: u32::from_le_bytes([a, b, c, d]),
            inner: u32::from_le_bytes([e, f, g, h]),
            columns: u32::from_le_bytes([i, j, k, l]),
        };
        if params.rows == 0 || params.columns == 0 || params.inner == 0 {
            return bad("a matrix has at least one row and one column".into());
        }
        if params.inner > MAX_INNER {
            return bad(format!(
                "the common dimension is at most {MAX_INNER}; multiply parts of it and add the products"
            ));
        }
        if params.down() * params.across() > u64::from(MAX_TILES) {
            return bad(format!("the product has more than {MAX_TILES} tiles"));
        }
        Ok(params)
    }

    /// Edge of a tile: the largest power of two up to 64 that keeps its cost bounded.
    pub fn edge(&self) -> u32 {
        let fits = |edge: &u32| u64::from(*edge).pow(2) * u64::from(self.inner) <= MAX_PRODUCTS;
        let edges = std::iter::successors(Some(MAX_EDGE), |edge| Some(edge / 2));
        edges.take_while(|&e| e > 1).find(fits).unwrap_or(1)
    }

    /// Tiles one above the other.
    fn down(&self) -> u64 {
        u64::from(self.rows.div_ceil(self.edge()))
    }

    /// Tiles side by side.
    fn across(&self) -> u64 {
        u64::from(self.columns.div_ceil(self.edge()))
    }

    /// Where a tile lies in the product: its rows and columns.
    pub fn block(&self, tile: u32) -> (std::ops::Range<u32>, std::ops::Range<u32>) {
        let (edge, across) = (self.edge(), self.across() as u32);
        let (top, left) = (tile / across * edge, tile % across * edge);
        let bottom = top.saturating_add(edge).min(self.rows);
        let right = left.saturating_add(edge).min(self.columns);
        (top..bottom, left..right)
    }

    fn shape(&self) -> Shape {
        let products = u64::from(self.edge()).pow(2) * u64::from(self.inner);
        Shape {
            // `decode` has seen to it.
            tiles: (self.down() * self.across()) as u32,
            tile_bytes: self.edge().pow(2) * 4,
            units_per_tile: products * 2,
            tier: Tier::Exact,
        }
    }
}

impl Kernel for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn wgsl(&self) -> &'static str {
        include_str!("matmul.wgsl")
    }

    fn shape(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Shape, KernelError> {
        admit(params, inputs).map(|factors| factors.params.shape())
    }

    fn prepare(
        &self,
        params: &[u8],
        inputs: &[Arc<[u8]>],
    ) -> Result<Box<dyn Prepared>, KernelError> {
        Ok(Box::new(admit(params, inputs)?))
    }

    fn plan(&self, params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Plan, KernelError> {
        let factors = admit(params, inputs)?;
        let p = factors.params;
        let vectors = u64::from(p.inner).div_ceil(VECTOR);
        let words = [p.rows, p.inner, p.columns, p.edge(), vectors as u32];
        Ok(Plan {
            groups_per_tile: 1,
            buffers: vec![
                Cow::Owned(words.iter().flat_map(|w| w.to_le_bytes()).collect()),
                Cow::Owned(factors.packed_rows((vectors * VECTOR) as usize)),
                Cow::Owned(factors.packed_columns((vectors * VECTOR) as usize)),
            ],
            turns: 0,
            module: None,
        })
    }
}

fn admit(params: &[u8], inputs: &[Arc<[u8]>]) -> Result<Factors, KernelError> {
    let params = Params::decode(params)?;
    let bad = |index: usize, reason: String| Err(KernelError::Input { index, reason });
    let [a, b] = inputs else {
        return bad(inputs.len(), "matmul takes two matrices".into());
    };
    let shapes = [(params.rows, params.inner), (params.inner, params.columns)];
    for (index, (bytes, (rows, columns))) in [a, b].into_iter().zip(shapes).enumerate() {
        if bytes.len() as u64 != u64::from(rows) * u64::from(columns) {
            let got = bytes.len();
            return bad(
                index,
                format!("a {rows} x {columns} matrix of i8, got {got} bytes"),
            );
        }
    }
    Ok(Factors {
        params,
        a: a.clone(),
        b: b.clone(),
    })
}

impl Prepared for Factors {
    fn shape(&self) -> Shape {
        self.params.shape()
    }

    fn tile(&self, tile: u32, out: &mut [u8]) {
        self.block(tile, out);
    }

    fn worker(&self) -> Worker<'_> {
        Box::new(self.blocks())
    }
}
