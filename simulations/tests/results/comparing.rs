//! Two folders side by side: planted differences are found, and none are made up.

use crate::{EXPERIMENT, metric, plan, row};
use starling_sim::results::{Better, Folder, Plan, ResultsError, Verdict, compare};
use std::path::Path;

/// A spread of about 3 %, the same in every call.
const NOISE: [f64; 6] = [-3.0, 2.0, -1.0, 4.0, 0.5, -2.5];

fn folder(dir: &Path, factor: f64, experiment: &str) -> Folder {
    let plan = Plan {
        experiment: experiment.into(),
        ..plan()
    };
    let folder = Folder::open_or_create(dir, &plan, false).unwrap();
    for (cell, peers) in [(0, 10), (1, 100)] {
        for (seed, noise) in NOISE.iter().enumerate() {
            // Only the second cell is changed.
            let factor = if cell == 1 { factor } else { 1.0 };
            let wait = (100.0 + noise) * factor;
            folder
                .put(&row(cell, peers, "fair", seed as u64, wait), &[])
                .unwrap();
        }
    }
    folder
}

fn compared(factor: f64) -> Vec<(String, String, Verdict, Option<f64>)> {
    let dir = tempfile::tempdir().unwrap();
    let a = folder(&dir.path().join("a"), 1.0, EXPERIMENT);
    let b = folder(&dir.path().join("b"), factor, EXPERIMENT);
    let lines = compare(&a, &b).unwrap().lines.into_iter();
    lines
        .map(|l| (l.cell, l.metric, l.verdict, l.percent))
        .collect()
}

#[test]
fn a_planted_change_is_found_and_no_other() {
    for (factor, wanted) in [
        (1.2, Verdict::Worse),
        (0.8, Verdict::Better),
        (1.0, Verdict::NoDifferenceSeen),
    ] {
        let lines = compared(factor);
        assert_eq!(lines.len(), 6, "{lines:?}");
        for (cell, metric, verdict, percent) in lines {
            if metric == "wait_ms" && cell.contains("= 100,") {
                assert_eq!(verdict, wanted, "{factor}");
                assert!((percent.unwrap() - (factor - 1.0) * 100.0).abs() < 1e-9);
            } else {
                assert_eq!(verdict, Verdict::NoDifferenceSeen, "{cell} {metric}");
            }
        }
    }
}

#[test]
fn the_text_says_what_differs_besides_the_figures() {
    let dir = tempfile::tempdir().unwrap();
    let a = folder(&dir.path().join("a"), 1.0, EXPERIMENT);
    let b = folder(&dir.path().join("b"), 1.2, &format!("{EXPERIMENT}# more\n"));
    b.put(&row(2, 1000, "fair", 1, 1.0), &[]).unwrap();
    let found = compare(&a, &b).unwrap();
    let text = found.text();
    assert!(
        text.contains("the experiment differs") && !text.contains("the lockfile differs"),
        "{text}"
    );
    assert!(text.contains("0 cells only in A and 1 only in B"), "{text}");
    let line = text
        .lines()
        .find(|l| l.contains("peers = 100,") && l.contains("wait_ms (ms)"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(
        line.contains("+20.0 %") && line.ends_with("worse"),
        "{line}"
    );
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["lines"][3]["verdict"], "worse");
    assert_eq!(json["lines"][3]["a"]["n"], 6);
}

#[test]
fn one_run_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let all = ["a", "b"].map(|name| {
        let folder = Folder::open_or_create(&dir.path().join(name), &plan(), false).unwrap();
        let wait = if name == "a" { 1.0 } else { 100.0 };
        folder.put(&row(0, 10, "fair", 1, wait), &[]).unwrap();
        folder
    });
    let found = compare(&all[0], &all[1]).unwrap();
    assert!(found.lines.iter().all(|l| l.verdict == Verdict::TooFewRuns));
}

#[test]
fn without_anything_in_common_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let a = folder(&dir.path().join("a"), 1.0, EXPERIMENT);
    let b = Folder::open_or_create(&dir.path().join("b"), &plan(), false).unwrap();
    assert!(matches!(compare(&a, &b), Err(ResultsError::Empty { .. })));
    b.put(&row(0, 7, "fair", 1, 1.0), &[]).unwrap();
    let text = compare(&a, &b).unwrap_err().to_string();
    assert!(
        text.contains("no cell is in both") && text.contains("peers = 7, policy = fair"),
        "{text}"
    );

    let other = Plan {
        metrics: vec![metric("hops", "", Better::Lower)],
        ..plan()
    };
    let c = Folder::open_or_create(&dir.path().join("c"), &other, false).unwrap();
    let mut bare = row(0, 10, "fair", 1, 1.0);
    bare.metrics = [("hops".to_owned(), 3.0)].into();
    c.put(&bare, &[]).unwrap();
    let text = compare(&a, &c).unwrap_err().to_string();
    assert!(
        text.contains("no metric is in both") && text.contains("hops"),
        "{text}"
    );
}
