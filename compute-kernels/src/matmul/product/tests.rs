//! Every way that this processor knows, against the definition.

use super::*;

/// The product by its definition, in 64 bits and cut to 32 at the end.
fn naive(p: Params, a: &[u8], b: &[u8]) -> Vec<i32> {
    let (inner, columns) = (p.inner as usize, p.columns as usize);
    let sum = |(row, column): (&[u8], usize)| {
        let products = row.iter().enumerate().map(|(k, &a)| {
            let b = b[k * columns + column];
            i64::from(a as i8) * i64::from(b as i8)
        });
        products.sum::<i64>() as i32
    };
    let rows = a.chunks_exact(inner);
    rows.flat_map(|row| (0..columns).map(move |column| (row, column)))
        .map(sum)
        .collect()
}

/// The product by its tiles; what lies beyond the matrix must be zero.
fn tiled(factors: &Factors, route: Route, scratch: &mut Scratch) -> Vec<i32> {
    let p = factors.params;
    let edge = p.edge() as usize;
    let mut product = vec![0; (p.rows * p.columns) as usize];
    for tile in 0..p.shape().tiles {
        let mut out = vec![0; p.shape().tile_bytes as usize];
        factors.block_by(route, scratch, tile, &mut out);
        let (rows, columns) = p.block(tile);
        for (at, word) in out.chunks_exact(4).enumerate() {
            let value = i32::from_le_bytes(word.try_into().expect("four bytes"));
            let row = rows.start as usize + at / edge;
            let column = columns.start as usize + at % edge;
            if row < rows.end as usize && column < columns.end as usize {
                product[row * p.columns as usize + column] = value;
            } else {
                assert_eq!(value, 0, "beyond the matrix");
            }
        }
    }
    product
}

fn factors(rows: u32, inner: u32, columns: u32, mut byte: impl FnMut() -> u8) -> Factors {
    let params = Params {
        rows,
        inner,
        columns,
    };
    let mut matrix = |len: u32| (0..len).map(|_| byte()).collect();
    Factors {
        params,
        a: matrix(rows * inner),
        b: matrix(inner * columns),
    }
}

#[test]
fn every_route_gives_the_product() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        state >> 8
    };
    // Around lines, blocks, tiles and pieces; vectors; primes; edges that shrink; sums that wrap.
    let mut shapes = vec![
        (1, 1, 1),
        (1, 255, 1),
        (1, 256, 200),
        (200, 257, 1),
        (1, 513, 64),
        (4, 2, 16),
        (5, 3, 17),
        (64, 512, 64),
        (65, 511, 63),
        (61, 127, 113),
        (128, 1, 129),
        (33, 70_001, 31),
        (17, 131_073, 18),
        (3, crate::matmul::MAX_INNER, 2),
    ];
    shapes.extend((0..30).map(|_| (1 + random() % 140, 1 + random() % 700, 1 + random() % 140)));
    let mut scratches: Vec<_> = Route::all().map(|route| (route, Scratch::new())).collect();
    for (rows, inner, columns) in shapes {
        for extreme in [false, true] {
            let factors = factors(rows, inner, columns, || match extreme {
                true => 0x80,
                false => random() as u8,
            });
            let expected = naive(factors.params, &factors.a, &factors.b);
            for (route, scratch) in &mut scratches {
                // The scratch is dirty from other shapes, as it is in a job.
                let got = tiled(&factors, *route, scratch);
                assert!(got == expected, "{:?} by {route:?}", factors.params);
            }
        }
    }
}
