//! What a folder keeps, what it refuses, and what it says then.

use crate::{EXPERIMENT, jobs, plan, row, small};
use starling_sim::results::{Folder, Plan, ResultsError, Value};
use std::fs;

#[test]
fn rows_come_back_as_they_went() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open_or_create(dir.path(), &plan(), false).unwrap();
    let mut sent = row(7, 10, "a", u64::MAX, 0.1 + 0.7);
    sent.params.insert("loss".into(), Value::Float(2.0));
    sent.params.insert("on".into(), Value::Bool(true));
    sent.violations.push("two receipts for one slice".into());
    // Any bits must come back, and not those nearby.
    for (at, bits) in [
        0x3fb9_9999_9999_999a_u64,
        0x0000_0000_0000_0001,
        0x7fef_ffff_ffff_ffff,
    ]
    .into_iter()
    .enumerate()
    {
        sent.metrics.insert(format!("m{at}"), f64::from_bits(bits));
    }
    folder.put(&sent, &[jobs(5.0)]).unwrap();
    let back = folder.get(7, u64::MAX).unwrap();
    assert_eq!(back.row, sent);
    assert!(matches!(back.row.params["loss"], Value::Float(_)));
    assert!(matches!(back.row.params["peers"], Value::Integer(10)));
    assert_eq!(back.samples[0].rows[0], [5.0, 1.0]);

    sent.seed = 2;
    sent.metrics.insert("never".into(), f64::INFINITY);
    folder.put(&sent, &[jobs(f64::NAN)]).unwrap();
    let text = fs::read_to_string(dir.path().join("cells/00007-2.json")).unwrap();
    assert!(text.contains("\"never\":null"), "{text}");
    let back = folder.get(7, 2).unwrap();
    assert!(back.row.metrics["never"].is_nan() && back.row.metric("never").is_none());
    assert!(back.samples[0].rows[0][0].is_nan());
}

#[test]
fn a_sweep_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    drop(small(dir.path()));
    let cells = dir.path().join("cells");
    fs::remove_file(cells.join("00001-1.json")).unwrap();
    // What a kill leaves behind, and what strangers put there.
    for name in [
        ".00001-1.json.tmp",
        "00001-01.json",
        "1-1.json",
        "notes.txt",
        "00002-1.json.bak",
    ] {
        fs::write(cells.join(name), "{\"half").unwrap();
    }
    let folder = Folder::open_or_create(dir.path(), &plan(), false).unwrap();
    let finished: Vec<_> = folder.finished().unwrap().into_iter().collect();
    assert_eq!(finished, [(0, 1), (0, 2), (1, 2)]);
    folder.put(&row(1, 100, "fair", 1, 201.0), &[]).unwrap();
    assert_eq!(folder.rows().unwrap().len(), 4);
    assert!(
        !cells.join(".00001-1.json.tmp").exists(),
        "overwritten and renamed"
    );
}

#[test]
fn run_json_says_where_results_come_from() {
    let dir = tempfile::tempdir().unwrap();
    let folder = small(dir.path());
    let about = folder.about();
    let lockfile = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    let hash = blake3::hash(&fs::read(lockfile).unwrap()).to_hex();
    assert_eq!(about.lockfile_blake3, hash.as_str());
    assert_eq!(
        about.experiment_blake3,
        blake3::hash(EXPERIMENT.as_bytes()).to_hex().as_str()
    );
    assert_eq!(about.command_line(), "starling-sim sweep 'the scale.toml'");
    assert!(
        about.commit == "unknown" || about.commit.len() >= 40,
        "{}",
        about.commit
    );
    assert_eq!(Folder::open(dir.path()).unwrap().about(), about);
    assert_eq!(folder.experiment().unwrap(), EXPERIMENT);
}

#[test]
fn another_experiment_is_refused_with_the_lines_that_differ_and_replaced_by_force() {
    let dir = tempfile::tempdir().unwrap();
    drop(small(dir.path()));
    let other = Plan {
        experiment: EXPERIMENT.replace("100]", "1000]"),
        ..plan()
    };
    let refused = Folder::open_or_create(dir.path(), &other, false).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.contains("\n- peers = [10, 100]\n+ peers = [10, 1000]\n"),
        "{text}"
    );
    assert!(text.contains("--out") && text.contains("--force"), "{text}");
    assert!(!text.contains("seeds"), "equal lines stay out: {text}");
    assert_eq!(
        Folder::open(dir.path()).unwrap().finished().unwrap().len(),
        4
    );

    let replaced = Folder::open_or_create(dir.path(), &other, true).unwrap();
    assert!(replaced.finished().unwrap().is_empty());
    assert_eq!(replaced.experiment().unwrap(), other.experiment);
}

#[test]
fn strangers_folders_are_never_touched() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.tex"), "x").unwrap();
    for force in [false, true] {
        let refused = Folder::open_or_create(dir.path(), &plan(), force).unwrap_err();
        assert!(
            matches!(refused, ResultsError::NotResults { .. }),
            "{refused}"
        );
    }
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let unread = Folder::open(dir.path()).unwrap_err().to_string();
    assert!(unread.contains("holds no run.json"), "{unread}");

    // Whoever lost run.json does not lose the cells on top of it.
    let dir = tempfile::tempdir().unwrap();
    drop(small(dir.path()));
    fs::remove_file(dir.path().join("run.json")).unwrap();
    assert!(Folder::open_or_create(dir.path(), &plan(), false).is_err());
    assert!(dir.path().join("cells/00000-1.json").exists());
}

#[test]
fn another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(small(dir.path()));
    let run = dir.path().join("run.json");
    let text = fs::read_to_string(&run).unwrap();
    fs::write(&run, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    for refused in [
        Folder::open(dir.path()).unwrap_err(),
        Folder::open_or_create(dir.path(), &plan(), false).unwrap_err(),
    ] {
        let text = refused.to_string();
        assert!(
            text.contains("format 2") && text.contains("reads format 1"),
            "{text}"
        );
    }
    drop(Folder::open_or_create(dir.path(), &plan(), true).expect("replaced by force"));
    assert!(!dir.path().join("cells/00000-1.json").exists());
    fs::write(&run, "{").unwrap();
    let text = Folder::open(dir.path()).unwrap_err().to_string();
    assert!(
        text.contains("run.json is damaged") && text.contains("line 1"),
        "{text}"
    );
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let first = small(dir.path());
    let second = Folder::open_or_create(dir.path(), &plan(), false).unwrap_err();
    assert!(matches!(second, ResultsError::InUse { .. }), "{second}");
    // Readers may look on.
    assert_eq!(Folder::open(dir.path()).unwrap().rows().unwrap().len(), 4);
    drop(first);
    Folder::open_or_create(dir.path(), &plan(), false).unwrap();
}

#[test]
fn damaged_and_misplaced_cells_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = small(dir.path());
    let cells = dir.path().join("cells");
    fs::copy(cells.join("00000-1.json"), cells.join("00000-9.json")).unwrap();
    let text = folder.rows().unwrap_err().to_string();
    assert!(
        text.contains("00000-9.json") && text.contains("it holds cell 0, seed 1"),
        "{text}"
    );
    fs::write(cells.join("00000-9.json"), "{\"commit\": 3}").unwrap();
    let text = folder.rows().unwrap_err().to_string();
    assert!(
        text.contains("line 1") && text.contains("Delete it"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_kept_is_refused_before_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::open_or_create(dir.path(), &plan(), false).unwrap();
    let mut bad = row(0, 1, "a", 1, 1.0);
    bad.params.insert("loss".into(), Value::Float(f64::NAN));
    assert!(
        folder
            .put(&bad, &[])
            .unwrap_err()
            .to_string()
            .contains("loss")
    );
    let good = row(0, 1, "a", 1, 1.0);
    for table in ["results", "../up", "", "a b"] {
        let mut samples = jobs(1.0);
        samples.table = table.into();
        let refused = folder.put(&good, &[samples]).unwrap_err();
        assert!(matches!(refused, ResultsError::BadRow { .. }), "{refused}");
    }
    let mut ragged = jobs(1.0);
    ragged.rows[1].pop();
    let text = folder.put(&good, &[ragged]).unwrap_err().to_string();
    assert!(
        text.contains("line 1 of the table jobs has 1 figures for 2 columns"),
        "{text}"
    );
    assert!(folder.finished().unwrap().is_empty());
}
