//! Matrix products: two `.npy` files in, one out.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use starling_kernels::matmul::{Matmul, Params};
use starling_kernels::npy::{self, Matrix, NpyError};
use starling_kernels::{JobSpec, Kernel, MAX_INPUT_BYTES};

use super::{ProductError, Work};
use crate::home::DiskError;

impl Work {
    /// The product of the matrices in two `.npy` files.
    ///
    /// # Errors
    /// [`ProductError::Disk`], [`ProductError::Array`], and those of [`Work::matmul`].
    pub fn matmul_of(a: &Path, b: &Path) -> Result<Self, ProductError> {
        Self::matmul(read(a)?, read(b)?)
    }

    /// The product of two matrices.
    ///
    /// # Errors
    /// [`ProductError::Unequal`] if their sizes do not fit each other, and those of the kernel.
    pub fn matmul(a: Matrix, b: Matrix) -> Result<Self, ProductError> {
        if a.columns != b.rows {
            return Err(ProductError::Unequal {
                rows: a.rows,
                left: a.columns,
                right: b.rows,
                columns: b.columns,
            });
        }
        let params = Params {
            rows: a.rows,
            inner: a.columns,
            columns: b.columns,
        };
        Self::new(JobSpec {
            kernel: Matmul.id(),
            params: params.encode(),
            inputs: vec![Arc::from(a.elements), Arc::from(b.elements)],
        })
    }
}

fn read(path: &Path) -> Result<Matrix, ProductError> {
    let on = |e| ProductError::Disk(DiskError::new("read", path, e));
    let file = File::open(path).map_err(on)?;
    npy::read(BufReader::new(file), MAX_INPUT_BYTES as u64).map_err(|error| match error {
        NpyError::Io(e) => on(e),
        error => ProductError::Array {
            file: path.to_owned(),
            error,
        },
    })
}

/// Writes tiles, all of them in their order, as one array.
pub(super) fn write(params: &Params, tiles: &[u8], to: &mut dyn Write) -> io::Result<()> {
    let mut to = BufWriter::new(to);
    npy::write_header(&mut to, params.rows, params.columns)?;
    let line = params.edge() as usize * 4;
    let tile_bytes = line * params.edge() as usize;
    let across = params.columns.div_ceil(params.edge()) as usize;
    for row in 0..params.rows as usize {
        let (down, within) = (row / params.edge() as usize, row % params.edge() as usize);
        let mut left = params.columns as usize * 4;
        for column in 0..across {
            let at = (down * across + column) * tile_bytes + within * line;
            let some = left.min(line);
            to.write_all(&tiles[at..at + some])?;
            left -= some;
        }
    }
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::Format;

    #[test]
    fn tiles_become_rows() {
        let (rows, inner, columns) = (70, 3, 130);
        let element = |n: u32| (n * 7 % 251) as u8;
        let matrix = |rows: u32, columns: u32| Matrix {
            rows,
            columns,
            elements: (0..rows * columns).map(element).collect(),
        };
        let (a, b) = (matrix(rows, inner), matrix(inner, columns));
        let Work { spec, mut product } = Work::matmul(a.clone(), b.clone()).unwrap();
        let tiles: Vec<u32> = (0..product.shape.tiles).collect();
        product
            .add_tiles(0, &spec.prepare().unwrap().run(&tiles))
            .unwrap();
        let mut file = Vec::new();
        product.write(Format::Npy, &mut file).unwrap();
        let mut expected = Vec::new();
        npy::write_header(&mut expected, rows, columns).unwrap();
        for i in 0..rows {
            for j in 0..columns {
                let at = |m: &Matrix, r: u32, c: u32| {
                    i32::from(m.elements[(r * m.columns + c) as usize] as i8)
                };
                let sum: i32 = (0..inner).map(|k| at(&a, i, k) * at(&b, k, j)).sum();
                expected.extend(sum.to_le_bytes());
            }
        }
        assert!(file == expected);
    }

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        let one = |rows, columns| Matrix {
            rows,
            columns,
            elements: vec![0; (rows * columns) as usize],
        };
        let text = Work::matmul(one(2, 3), one(4, 5)).unwrap_err().to_string();
        assert!(text.starts_with("2 x 3 times 4 x 5"), "{text}");
    }
}
