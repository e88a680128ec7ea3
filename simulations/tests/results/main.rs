//! Results folders: what is kept whatever happens, what is refused, and what is made of the rows.

mod comparing;
mod exporting;
mod folders;
#[cfg(target_os = "linux")]
mod full_disk;
mod pages;
mod statistics;

use starling_sim::results::{Better, Folder, MetricInfo, Plan, Row, Samples, Value};
use std::collections::BTreeMap;
use std::path::Path;

const EXPERIMENT: &str = "about = \"Why <so>?\"\npeers = [10, 100]\nseeds = 2\n";

fn metric(name: &str, unit: &str, better: Better) -> MetricInfo {
    MetricInfo {
        name: name.into(),
        unit: unit.into(),
        help: format!("What {name} is."),
        better,
    }
}

fn plan() -> Plan {
    Plan {
        experiment: EXPERIMENT.into(),
        command: ["starling-sim", "sweep", "the scale.toml"]
            .map(str::to_owned)
            .into(),
        metrics: vec![
            metric("wait_ms", "ms", Better::Lower),
            metric("share", "", Better::Higher),
            metric("caught_after_s", "s", Better::Neither),
        ],
        swept: vec!["peers".into(), "policy".into()],
        stop: vec!["wait_ms".into()],
        distributions: vec![("jobs".into(), "wall_ms".into())],
    }
}

/// `caught_after_s` applies to odd seeds alone.
fn row(cell: u32, peers: i64, policy: &str, seed: u64, wait_ms: f64) -> Row {
    let metrics = BTreeMap::from([
        ("wait_ms".into(), wait_ms),
        ("share".into(), 0.1 + 0.2),
        (
            "caught_after_s".into(),
            if seed % 2 == 1 { 3.0 } else { f64::NAN },
        ),
    ]);
    let params = BTreeMap::from([
        ("peers".into(), Value::Integer(peers)),
        ("policy".into(), Value::Text(policy.into())),
    ]);
    Row {
        cell,
        params,
        seed,
        metrics,
        trace_hash: format!("{cell:02x}{seed:02x}"),
        violations: Vec::new(),
    }
}

fn jobs(first_ms: f64) -> Samples {
    Samples {
        table: "jobs".into(),
        columns: vec![
            ("wall_ms".into(), "ms".into()),
            ("leases".into(), String::new()),
        ],
        rows: vec![vec![first_ms, 1.0], vec![f64::NAN, 2.0]],
    }
}

/// Two cells with two seeds each.
fn small(dir: &Path) -> Folder {
    let folder = Folder::open_or_create(dir, &plan(), false).expect("a new folder");
    for (cell, peers, policy) in [(0, 10, "fast, \"first\""), (1, 100, "fair")] {
        for seed in [1, 2] {
            let wait = 100.0 * f64::from(cell + 1) + seed as f64;
            folder
                .put(&row(cell, peers, policy, seed, wait), &[jobs(wait * 2.0)])
                .expect("a row");
        }
    }
    folder
}
