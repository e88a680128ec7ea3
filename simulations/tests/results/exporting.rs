//! What is made of the rows, to the byte where that matters.

use crate::{row, small};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use starling_sim::results::{Stop, export, summarise};
use std::fs::{self, File};
use std::path::Path;

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn csv_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    export(&small(dir.path())).unwrap();
    assert_eq!(
        read(dir.path(), "results.csv"),
        "cell,peers,policy,seed,wait_ms,share,caught_after_s,violations,trace_hash\n\
         0,10,\"fast, \"\"first\"\"\",1,101.0,0.30000000000000004,3.0,0,0001\n\
         0,10,\"fast, \"\"first\"\"\",2,102.0,0.30000000000000004,,0,0002\n\
         1,100,fair,1,201.0,0.30000000000000004,3.0,0,0101\n\
         1,100,fair,2,202.0,0.30000000000000004,,0,0102\n"
    );
    let summary = read(dir.path(), "summary.csv");
    let mut lines = summary.lines();
    assert_eq!(
        lines.next(),
        Some("cell,peers,policy,metric,unit,n,mean,half_width_95,p50,p95,stop_rule_met")
    );
    // t(0.975; 1) times the root of 0.5 / 2.
    let first = lines.next().unwrap();
    assert!(
        first.starts_with("0,10,\"fast, \"\"first\"\"\",wait_ms,ms,2,101.5,6.353102"),
        "{first}"
    );
    assert!(first.ends_with(",101.5,101.95,false"), "{first}");
    assert_eq!(
        lines.nth(1),
        Some("0,10,\"fast, \"\"first\"\"\",caught_after_s,s,1,3.0,,3.0,3.0,false")
    );
    assert_eq!(
        read(dir.path(), "jobs.csv")
            .lines()
            .take(3)
            .collect::<Vec<_>>(),
        [
            "cell,peers,policy,seed,wall_ms,leases",
            "0,10,\"fast, \"\"first\"\"\",1,202.0,1.0",
            "0,10,\"fast, \"\"first\"\"\",1,,2.0",
        ]
    );
}

#[test]
fn parquet_reads_back_with_its_nulls() {
    let dir = tempfile::tempdir().unwrap();
    let folder = small(dir.path());
    // Beyond what a signed number holds.
    let seed = (1 << 63) + 5;
    folder.put(&row(1, 100, "fair", seed, 1.5), &[]).unwrap();
    export(&folder).unwrap();
    let reader = SerializedFileReader::new(File::open(dir.path().join("results.parquet")).unwrap());
    let rows: Vec<_> = reader
        .unwrap()
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let get = |line: usize, name: &str| {
        let (_, field) = rows[line]
            .get_column_iter()
            .find(|(n, _)| *n == name)
            .unwrap();
        field.clone()
    };
    assert_eq!(rows.len(), 5);
    assert_eq!(get(0, "wait_ms"), Field::Double(101.0));
    assert_eq!(get(0, "peers"), Field::Long(10));
    assert_eq!(get(0, "policy"), Field::Str("fast, \"first\"".into()));
    assert_eq!(get(1, "caught_after_s"), Field::Null);
    assert_eq!(get(4, "seed"), Field::ULong(seed));
    assert_eq!(
        get(4, "trace_hash"),
        Field::Str("018000000000000005".into())
    );
    let reader = SerializedFileReader::new(File::open(dir.path().join("jobs.parquet")).unwrap());
    assert_eq!(reader.unwrap().metadata().file_metadata().num_rows(), 8);
}

#[test]
fn json_has_null_where_nothing_applies() {
    let dir = tempfile::tempdir().unwrap();
    export(&small(dir.path())).unwrap();
    let results: serde_json::Value =
        serde_json::from_str(&read(dir.path(), "results.json")).unwrap();
    assert_eq!(results["format"], 1);
    assert_eq!(results["metrics"][0]["better"], "lower");
    assert_eq!(results["rows"][0]["params"]["peers"], 10);
    assert!(results["rows"][1]["metrics"]["caught_after_s"].is_null());
    let summary: serde_json::Value =
        serde_json::from_str(&read(dir.path(), "summary.json")).unwrap();
    assert_eq!(summary["cells"][0]["n"], 2);
    assert!(summary["cells"][2]["half_width_95"].is_null());
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let all = ["one", "two"].map(|_| {
        let dir = tempfile::tempdir().unwrap();
        let exported = export(&small(dir.path())).unwrap();
        let files = exported.files.into_iter();
        let bytes = files.map(|f| (fs::read(dir.path().join(&f)).unwrap(), f));
        // The page names its folder in the commands that it tells.
        let place = dir.path().display().to_string();
        bytes
            .map(|(b, f)| (f, String::from_utf8_lossy(&b).replace(&place, "DIR")))
            .collect::<Vec<_>>()
    });
    assert!(all[0].len() >= 8, "{}", all[0].len());
    assert!(all[0] == all[1]);
}

#[test]
fn a_metric_that_never_applies_is_no_zero() {
    let mut rows: Vec<_> = (0..3).map(|seed| row(0, 1, "a", seed * 2, 5.0)).collect();
    rows[1].metrics.remove("share");
    let all = summarise(&[], &rows);
    let of = |name: &str| all.iter().find(|s| s.metric == name).unwrap();
    assert_eq!(
        (of("caught_after_s").n, of("caught_after_s").mean),
        (0, None)
    );
    assert_eq!(of("caught_after_s").stop, Stop::NotApplicable);
    assert_eq!((of("share").n, of("share").stop), (2, Stop::Met));
    assert_eq!(of("wait_ms").half_width_95, Some(0.0));
}
