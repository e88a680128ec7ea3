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

/// Whatever else a file holds is named with its fix, before anybody hears of the job.
#[test]
fn no_bad_file_reaches_the_swarm() {
    let place = Place::new();
    factors(&place, 2, 3, 3);
    let dict = |descr: &str, order: &str, shape: &str| {
        format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}")
    };
    let with = |dict: String, elements: usize| {
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((dict.len() as u16).to_le_bytes());
        file.extend(dict.bytes());
        file.resize(file.len() + elements, 1);
        file
    };
    let of = |descr: &str, elements| with(dict(descr, "False", "(2, 3)"), elements);
    let shaped = |shape: &str, elements| with(dict("'|i1'", "False", shape), elements);
    let good = of("'|i1'", 6);
    let claiming = |len: u16| {
        let mut file = good.clone();
        file[8..10].copy_from_slice(&len.to_le_bytes());
        file
    };
    let mut huge_header = b"\x93NUMPY\x02\x00".to_vec();
    huge_header.extend(u32::MAX.to_le_bytes());
    huge_header.extend(&good[10..]);
    let mut no_ascii = good.clone();
    no_ascii[14] = 0xff;
    let future = [&b"\x93NUMPY\x09\x01"[..], &good[8..]].concat();

    let cases: [(&str, Vec<u8>, &str, &str); 31] = [
        ("empty", vec![], "no .npy file", "numpy.save"),
        (
            "zip",
            b"PK\x03\x04zipzip".to_vec(),
            "no .npy file",
            "numpy.save",
        ),
        ("magic only", good[..8].to_vec(), "cut short", "numpy.save"),
        ("cut header", good[..40].to_vec(), "cut short", "numpy.save"),
        ("version", future, "version 9.1", "numpy.save"),
        (
            "header beyond the file",
            claiming(60_000),
            "cut short",
            "numpy.save",
        ),
        (
            "header of 4 GiB",
            huge_header,
            "claims 4294967295 bytes",
            "numpy.save",
        ),
        ("header too short", claiming(30), "damaged", "numpy.save"),
        ("header of none", claiming(0), "no dictionary", "numpy.save"),
        (
            "header over elements",
            claiming(good.len() as u16 - 10),
            "damaged",
            "numpy.save",
        ),
        ("no text", no_ascii, "it is no text", "numpy.save"),
        (
            "other letters",
            with("{'größe': (2, 3)}".into(), 6),
            "strange",
            "numpy.save",
        ),
        (
            "no shape",
            with("{'descr': '|i1', 'fortran_order': False}".into(), 6),
            "missing",
            "numpy.save",
        ),
        (
            "code",
            with("__import__('os').abort()".into(), 6),
            "no dictionary",
            "numpy.save",
        ),
        ("floats", of("'<f4'", 24), "\"<f4\"", "a.astype(np.int8)"),
        (
            "big-endian",
            of("'>i2'", 12),
            "\">i2\"",
            "a.astype(np.int8)",
        ),
        ("unsigned", of("'|u1'", 6), "\"|u1\"", "a.astype(np.int8)"),
        ("truths", of("'|b1'", 6), "\"|b1\"", "a.astype(np.int8)"),
        ("objects", of("'|O'", 6), "\"|O\"", "a.astype(np.int8)"),
        (
            "fields",
            of("[('x', '|i1'), ('y', [('z', '|i1', (2,))])]", 18),
            "'y'",
            "a.astype(np.int8)",
        ),
        (
            "columns first",
            with(dict("'|i1'", "True", "(2, 3)"), 6),
            "Fortran",
            "np.ascontiguousarray(a)",
        ),
        (
            "scalar",
            shaped("()", 1),
            "0 dimensions",
            "a.reshape(rows, columns)",
        ),
        (
            "line",
            shaped("(6,)", 6),
            "1 dimensions",
            "a.reshape(rows, columns)",
        ),
        (
            "cube",
            shaped("(2, 3, 1)", 6),
            "3 dimensions",
            "a.reshape(rows, columns)",
        ),
        (
            "no rows",
            shaped("(0, 3)", 0),
            "empty (0 x 3)",
            "at least 1",
        ),
        (
            "no columns",
            shaped("(3, 0)", 0),
            "empty (3 x 0)",
            "at least 1",
        ),
        ("negative", shaped("(-2, 3)", 6), "strange", "numpy.save"),
        (
            "wraps to nothing",
            shaped("(4294967296, 4294967296)", 6),
            "too large",
            "in blocks",
        ),
        (
            "2^40",
            shaped("(1099511627776, 1)", 6),
            "too large",
            "in blocks",
        ),
        (
            "cut",
            good[..good.len() - 1].to_vec(),
            "ends after 5 of 6",
            "copy it again",
        ),
        (
            "two arrays",
            [&good[..], &good[..]].concat(),
            "bytes follow",
            "one array a file",
        ),
    ];
    for (name, bytes, what, fix) in cases {
        let file = format!("{name}.npy");
        fs::write(place.path(&file), bytes).unwrap();
        for [a, b] in [[&file[..], "b.npy"], ["a.npy", &file[..]]] {
            let args = ["run", "matmul", a, b, "-o", "c.npy", "--json"];
            let said = place.run("h", &args).expect(2).json();
            let has = |key: &str, part: &str| said[key].as_str().is_some_and(|s| s.contains(part));
            assert!(has("error", &file) && has("error", what), "{name}: {said}");
            assert!(
                has("fix", fix) && said["code"] == "bad_input",
                "{name}: {said}"
            );
        }
    }
    for (a, b, says) in [
        ("b.npy", "a.npy", "3 x 3 times 2 x 3 is no product"),
        ("a.npy", "a.npy", "the inner sizes must be equal"),
    ] {
        let args = ["run", "matmul", a, b, "-o", "c.npy"];
        place.run("h", &args).expect(2).says(says);
    }
    assert!(!place.path("c.npy").exists());
    assert!(
        !place.path("h").exists(),
        "no peer was started for any of them"
    );
}
