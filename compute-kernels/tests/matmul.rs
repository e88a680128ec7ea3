//! The product kernel against the definition, its validation of strangers' parameters, and `.npy` files.

use std::sync::Arc;

use proptest::prelude::*;
use starling_kernels::matmul::{MAX_INNER, Matmul, Params};
use starling_kernels::npy::{self, NpyError};
use starling_kernels::{Kernel, KernelError, MAX_TILES, Prepared};

/// The product by its definition.
fn naive(p: Params, a: &[u8], b: &[u8]) -> Vec<i32> {
    let (rows, inner, columns) = (p.rows as usize, p.inner as usize, p.columns as usize);
    let mut product = vec![0_i32; rows * columns];
    for (i, line) in product.chunks_exact_mut(columns).enumerate() {
        for (j, sum) in line.iter_mut().enumerate() {
            for k in 0..inner {
                let one = i32::from(a[i * inner + k] as i8) * i32::from(b[k * columns + j] as i8);
                *sum = sum.wrapping_add(one);
            }
        }
    }
    product
}

/// All tiles put together; what lies beyond the matrix must be zero.
fn assembled(p: Params, job: &dyn Prepared) -> Vec<i32> {
    let edge = p.edge() as usize;
    let mut product = vec![0; p.rows as usize * p.columns as usize];
    for tile in 0..job.shape().tiles {
        let bytes = job.run(&[tile]);
        let (rows, columns) = p.block(tile);
        for (n, word) in bytes.chunks_exact(4).enumerate() {
            let value = i32::from_le_bytes(word.try_into().expect("four bytes"));
            let (row, column) = (
                rows.start as usize + n / edge,
                columns.start as usize + n % edge,
            );
            if row < rows.end as usize && column < columns.end as usize {
                product[row * p.columns as usize + column] = value;
            } else {
                assert_eq!(value, 0, "beyond the matrix");
            }
        }
    }
    product
}

fn check(p: Params, a: Vec<u8>, b: Vec<u8>) {
    let expected = naive(p, &a, &b);
    let job = Matmul
        .prepare(&p.encode(), &[a.into(), b.into()])
        .expect("valid");
    assert_eq!(assembled(p, &*job), expected, "{p:?}");
}

fn params(rows: u32, inner: u32, columns: u32) -> Params {
    Params {
        rows,
        inner,
        columns,
    }
}

#[test]
fn extreme_elements_and_a_long_common_dimension_wrap_like_numpy() {
    for (rows, inner, columns) in [(1, 1, 1), (65, 3, 1), (1, 257, 130), (3, 262_147, 2)] {
        let p = params(rows, inner, columns);
        check(
            p,
            vec![0x80; (rows * inner) as usize],
            vec![0x80; (inner * columns) as usize],
        );
    }
}

#[test]
fn tiles_in_any_company_and_order_are_the_same_as_alone() {
    let p = params(300, 333, 277);
    let bytes = |len: u32| (0..len).map(|i| (i * 89 % 255) as u8).collect();
    let inputs = [bytes(p.rows * p.inner), bytes(p.inner * p.columns)];
    let job = Matmul.prepare(&p.encode(), &inputs).expect("valid");
    let mut tiles: Vec<u32> = (0..job.shape().tiles).rev().collect();
    tiles.extend([3, 3, 0]);
    let alone = |&tile: &u32| {
        let mut out = vec![0; job.shape().tile_bytes as usize];
        job.tile(tile, &mut out);
        out
    };
    let expected: Vec<u8> = tiles.iter().flat_map(alone).collect();
    assert!(job.run(&tiles) == expected);
}

#[test]
fn a_tile_has_a_bounded_cost_whatever_the_shape() {
    for inner in [1, 1 << 16, (1 << 16) + 1, 1 << 18, MAX_INNER] {
        let p = Params::decode(&params(100, inner, 100).encode()).expect("valid");
        assert!(
            u64::from(p.edge()).pow(2) * u64::from(inner) <= 1 << 28,
            "{inner}"
        );
    }
    assert_eq!(params(1, 1 << 16, 1).edge(), 64);
}

#[test]
fn impossible_jobs_are_refused() {
    let refused = |rows, inner, columns| {
        let params = params(rows, inner, columns).encode();
        assert!(
            matches!(Params::decode(&params), Err(KernelError::Params(_))),
            "{rows} {inner} {columns}"
        );
    };
    refused(0, 1, 1);
    refused(1, 0, 1);
    refused(1, 1, 0);
    refused(1, MAX_INNER + 1, 1);
    refused(u32::MAX, 1, u32::MAX);
    refused(MAX_TILES * 64, 1, 65);
    assert!(Params::decode(&[0; 11]).is_err());
    let two: Arc<[u8]> = vec![1, 2].into();
    let shape = |inputs: &[Arc<[u8]>]| Matmul.shape(&params(1, 2, 1).encode(), inputs);
    assert!(shape(&[two.clone(), two.clone()]).is_ok());
    for inputs in [
        vec![],
        vec![two.clone()],
        vec![two.clone(); 3],
        vec![two, vec![1].into()],
    ] {
        assert!(matches!(shape(&inputs), Err(KernelError::Input { .. })));
    }
}

/// Bytes as NumPy 2 writes `np.array([[1, -2, 3], [4, 5, -128]], dtype=np.int8)`.
fn numpys_own() -> Vec<u8> {
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    file.extend(b"{'descr': '|i1', 'fortran_order': False, 'shape': (2, 3), }");
    file.resize(127, b' ');
    file.push(b'\n');
    file.extend([1, 254, 3, 4, 5, 128]);
    file
}

#[test]
fn a_file_that_numpy_wrote_is_read() {
    let matrix = npy::read(&numpys_own()[..], 6).expect("valid");
    assert_eq!((matrix.rows, matrix.columns), (2, 3));
    assert_eq!(matrix.elements, [1, 254, 3, 4, 5, 128]);
}

#[test]
fn the_result_has_the_header_that_numpy_writes() {
    let mut file = Vec::new();
    npy::write_header(&mut file, 2, 3).expect("a vector takes all");
    let mut expected = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    expected.extend(b"{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }");
    expected.resize(127, b' ');
    expected.push(b'\n');
    assert_eq!(file, expected);
}

/// A version 1.0 file with this dictionary and these elements.
fn file(dict: &str, elements: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((dict.len() as u16).to_le_bytes());
    file.extend(dict.as_bytes());
    file.extend(elements);
    file
}

#[test]
fn files_that_are_no_factor_are_refused_with_a_fix() {
    let dict = |descr: &str, order: &str, shape: &str| {
        format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}")
    };
    let good = dict("'|i1'", "False", "(2, 2)");
    let long = {
        let mut file = b"\x93NUMPY\x02\x00".to_vec();
        file.extend(u32::MAX.to_le_bytes());
        file
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "numpy.save"),
        (b"PK\x03\x04 a zip archive".to_vec(), "no .npy"),
        (b"\x93NUMPY\x04\x00".to_vec(), "version 4.0"),
        (b"\x93NUMPY\x01".to_vec(), "numpy.save"),
        (long, "claims 4294967295 bytes"),
        (numpys_own()[..50].to_vec(), "cut short"),
        (file(&good, &[1, 2, 3]), "ends after 3 of 4"),
        (file(&good, &[1, 2, 3, 4, 5]), "one array a file"),
        (
            file(&dict("'<f4'", "False", "(2, 2)"), &[0; 16]),
            "astype(np.int8)",
        ),
        (
            file(&dict("'|u1'", "False", "(2, 2)"), &[0; 4]),
            "astype(np.int8)",
        ),
        (
            file(&dict("[('a', '<i4')]", "False", "(2,)"), &[]),
            "astype(np.int8)",
        ),
        (
            file(&dict("'|i1'", "True", "(2, 2)"), &[0; 4]),
            "ascontiguousarray",
        ),
        (
            file(&dict("'|i1'", "False", "(4,)"), &[0; 4]),
            "1 dimensions",
        ),
        (file(&dict("'|i1'", "False", "()"), &[0]), "0 dimensions"),
        (
            file(&dict("'|i1'", "False", "(2, 2, 1)"), &[0; 4]),
            "3 dimensions",
        ),
        (file(&dict("'|i1'", "False", "(0, 2)"), &[]), "empty"),
        (file(&dict("'|i1'", "False", "(-1, 2)"), &[]), "strange"),
        (
            file(&dict("'|i1'", "False", "(99999999999, 99999999999)"), &[]),
            "too large",
        ),
        (
            file(&dict("'|i1'", "False", "(4294967296, 1)"), &[]),
            "too large",
        ),
        (file(&dict("'|i1'", "maybe", "(2, 2)"), &[]), "strange"),
        (file("{'descr': '|i1', 'shape': (1, 1)}", &[0]), "missing"),
        (file("{'descr': '|i1', 'descr': '|i1'}", &[0]), "strange"),
        (file("{'evil': __import__('os')}", &[0]), "strange"),
        (file(&(good.clone() + " + 1"), &[0; 4]), "text behind"),
        (file("\u{e9}", &[]), "no dictionary"),
    ];
    for (bytes, part) in cases {
        let error = npy::read(&bytes[..], 1 << 20).expect_err(part).to_string();
        assert!(
            error.contains(part) && error.contains("; ") || part == "version 4.0",
            "{part}: {error}"
        );
    }
    let one_row = dict("'|i1'", "True", "(1, 4)");
    assert!(
        npy::read(&file(&one_row, &[0; 4])[..], 4).is_ok(),
        "both orders are one"
    );
    let large = npy::read(&file(&good, &[0; 4])[..], 3);
    assert!(matches!(large, Err(NpyError::Large { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn tiles_are_the_product(
        (rows, inner, columns) in (1_u32..150, 1_u32..600, 1_u32..150),
        seed in any::<u32>(),
    ) {
        let mut state = seed;
        let mut bytes = |len: u32| {
            (0..len).map(|_| {
                state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
                (state >> 24) as u8
            }).collect::<Vec<_>>()
        };
        let (a, b) = (bytes(rows * inner), bytes(inner * columns));
        check(params(rows, inner, columns), a, b);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = npy::read(&bytes[..], 1 << 20);
        let mut file = numpys_own();
        let at = bytes.len() % file.len();
        file[at] ^= bytes.first().copied().unwrap_or(1);
        let _ = npy::read(&file[..], 1 << 20);
    }

    #[test]
    fn any_params_are_accepted_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
        let _ = Matmul.shape(&bytes, &[]);
        let _ = starling_kernels::noop::Noop.shape(&bytes, &[]);
    }
}
