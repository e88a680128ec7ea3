//! `run matmul`: files in, files out, here alone and among peers.

use std::fs;

use crate::jobs::two_peers;
use crate::support::{Place, read};

/// A `.npy` file of i8.
fn npy(rows: usize, columns: usize, element: impl Fn(usize) -> i8) -> Vec<u8> {
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    file.extend(
        format!("{{'descr': '|i1', 'fortran_order': False, 'shape': ({rows}, {columns}), }}")
            .bytes(),
    );
    file.resize(127, b' ');
    file.push(b'\n');
    file.extend((0..rows * columns).map(|i| element(i) as u8));
    file
}

fn factors(place: &Place, rows: usize, inner: usize, columns: usize) -> Vec<i32> {
    let (a, b) = (
        |i: usize| (i * 89 % 255) as i8,
        |i: usize| (i * 57 % 253) as i8,
    );
    fs::write(place.path("a.npy"), npy(rows, inner, a)).unwrap();
    fs::write(place.path("b.npy"), npy(inner, columns, b)).unwrap();
    let sum = |at: usize| {
        let (i, j) = (at / columns, at % columns);
        let products =
            (0..inner).map(|k| i32::from(a(i * inner + k)) * i32::from(b(k * columns + j)));
        products.sum()
    };
    (0..rows * columns).map(sum).collect()
}

/// The elements of a result, behind a header that says what it is.
fn elements(file: &[u8]) -> Vec<i32> {
    assert!(file.starts_with(b"\x93NUMPY\x01\x00\x76\x00{'descr': '<i4'"));
    let words = file[128..].chunks_exact(4);
    words
        .map(|w| i32::from_le_bytes(w.try_into().unwrap()))
        .collect()
}

#[test]
fn peers_multiply_as_one_process_does_and_as_the_definition_says() {
    let place = Place::new();
    let expected = factors(&place, 515, 301, 259);
    let run = ["run", "matmul", "a.npy", "b.npy", "-o"];
    let alone = [&run[..], &["alone.npy", "--local", "--json"]].concat();
    assert_eq!(
        place.run("h", &alone).expect(0).json()["output"],
        "alone.npy"
    );
    assert_eq!(elements(&read(&place.path("alone.npy"))), expected);

    let peers = two_peers(&place);
    let net = [
        &run[..],
        &["net.npy", "--peers", "2", "--device", "cpu", "--json"],
    ]
    .concat();
    let result = place.run("a", &net).expect(0).json();
    assert_eq!(result["receipts"], result["slices"], "{result}");
    assert_eq!(read(&place.path("net.npy")), read(&place.path("alone.npy")));
    drop(peers);
}

#[test]
fn files_that_do_not_fit_are_refused_with_the_line_of_python_that_helps() {
    let place = Place::new();
    factors(&place, 2, 3, 4);
    let run = |a: &str, b: &str, code: i32, says: &str| {
        let args = ["run", "matmul", a, b, "-o", "c.npy", "--local"];
        place.run("h", &args).expect(code).says(says);
    };
    run("b.npy", "a.npy", 2, "inner sizes must be equal");
    run("a.npy", "missing.npy", 1, "missing.npy");
    let mut file = read(&place.path("a.npy"));
    file.truncate(130);
    fs::write(place.path("short.npy"), &file).unwrap();
    run("short.npy", "b.npy", 2, "ends after 2 of 6");
    let whole = read(&place.path("a.npy"));
    for (name, from, to, says) in [
        ("fortran.npy", "False", "True ", "np.ascontiguousarray"),
        ("floats.npy", "|i1", "<f4", "astype(np.int8)"),
        ("line.npy", "(2, 3)", "(6   )", "a.reshape"),
    ] {
        let mut bytes = whole.clone();
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes());
        bytes[at.unwrap()..][..to.len()].copy_from_slice(to.as_bytes());
        fs::write(place.path(name), bytes).unwrap();
        run(name, "b.npy", 2, says);
    }
    assert!(!place.path("c.npy").exists());
}
