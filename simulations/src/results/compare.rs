//! Two results folders side by side: which metrics differ in which cells, and whether for the better.
//!
//! Cells match by their parameters, not by their numbers. A difference counts when Welch's 95 % interval for it
//! leaves out 0; of many comparisons one in twenty does so by chance, which the text says.

use super::row::{Better, MetricInfo, Row, label};
use super::stats::{Difference, Sample, welch};
use super::summary;
use super::{Folder, ResultsError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// What a difference amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// B is better.
    Better,
    /// B is worse.
    Worse,
    /// B differs, in a metric that only describes.
    Differs,
    /// The interval holds 0.
    NoDifferenceSeen,
    /// Below two runs on a side say nothing of the spread.
    TooFewRuns,
}

impl Verdict {
    fn text(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Differs => "differs",
            Self::NoDifferenceSeen => "no difference seen",
            Self::TooFewRuns => "too few runs",
        }
    }
}

/// One metric of one cell, in both folders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The cell's parameters, as text.
    pub cell: String,
    /// The metric's name.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// A's runs.
    pub a: Sample,
    /// B's runs.
    pub b: Sample,
    /// B's mean less A's over A's, in percent; none where A's mean is 0.
    pub percent: Option<f64>,
    /// B's mean less A's with Welch's 95 % interval, in the unit.
    pub interval: Option<Difference>,
    /// What that amounts to.
    pub verdict: Verdict,
}

/// Two folders side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The first folder.
    pub a: PathBuf,
    /// The second.
    pub b: PathBuf,
    /// What else differs besides the figures: commit, lockfile, experiment; cells and metrics of one side alone.
    pub notes: Vec<String>,
    /// By cell, then metric.
    pub lines: Vec<Compared>,
}

/// Compares B with A.
///
/// # Errors
/// When a folder holds no finished cell or a damaged one, or when the two have no cell or no metric in common.
pub fn compare(a: &Folder, b: &Folder) -> Result<Comparison, ResultsError> {
    let (rows_a, rows_b) = (rows(a)?, rows(b)?);
    let mut notes = provenance_notes(a, b);

    let (cells_a, cells_b) = (by_label(&rows_a), by_label(&rows_b));
    let common: Vec<_> = cells_a
        .keys()
        .filter(|l| cells_b.contains_key(*l))
        .collect();
    let nothing = |what, in_a, in_b| ResultsError::NothingInCommon {
        what,
        a: a.dir().into(),
        b: b.dir().into(),
        in_a,
        in_b,
    };
    if common.is_empty() {
        return Err(nothing("cell", some(cells_a.keys()), some(cells_b.keys())));
    }
    let alone = (cells_a.len() - common.len(), cells_b.len() - common.len());
    if alone != (0, 0) {
        notes.push(format!(
            "{} cells only in A and {} only in B are left out",
            alone.0, alone.1
        ));
    }

    let metrics_a = summary::metrics(&a.about().metrics, &rows_a);
    let metrics_b = summary::metrics(&b.about().metrics, &rows_b);
    let in_b = |m: &&MetricInfo| metrics_b.iter().find(|other| other.name == m.name);
    let mut metrics = Vec::new();
    for metric in &metrics_a {
        match in_b(&metric) {
            Some(other) if other.unit == metric.unit => metrics.push(metric),
            Some(other) => notes.push(format!(
                "{} is left out: its unit is {:?} in A and {:?} in B",
                metric.name, metric.unit, other.unit
            )),
            None => notes.push(format!("{} is only in A", metric.name)),
        }
    }
    let known = |name: &String| metrics_a.iter().any(|m| m.name == *name);
    let only_b = metrics_b.iter().map(|m| &m.name).filter(|n| !known(n));
    notes.extend(only_b.map(|name| format!("{name} is only in B")));
    if metrics.is_empty() {
        let names = |all: &[MetricInfo]| some(all.iter().map(|m| &m.name));
        return Err(nothing("metric", names(&metrics_a), names(&metrics_b)));
    }

    let pairs = common
        .into_iter()
        .flat_map(|l| metrics.iter().map(move |m| (l, *m)));
    let lines = pairs.filter_map(|(l, metric)| one(l, metric, &cells_a[l], &cells_b[l]));
    Ok(Comparison {
        a: a.dir().into(),
        b: b.dir().into(),
        notes,
        lines: lines.collect(),
    })
}

fn rows(folder: &Folder) -> Result<Vec<Row>, ResultsError> {
    let rows = folder.rows()?;
    let dir = || folder.dir().into();
    match rows.is_empty() {
        true => Err(ResultsError::Empty { dir: dir() }),
        false => Ok(rows),
    }
}

fn by_label(rows: &[Row]) -> BTreeMap<String, Vec<&Row>> {
    let mut cells = BTreeMap::<String, Vec<&Row>>::new();
    for row in rows {
        cells.entry(label(&row.params)).or_default().push(row);
    }
    cells
}

fn some<'a>(all: impl Iterator<Item = &'a String>) -> String {
    let all: Vec<_> = all.map(String::as_str).collect();
    let shown = all[..all.len().min(4)].join("; ");
    match all.len() {
        0 => "none".into(),
        1..=4 => shown,
        more => format!("{shown} and {} more", more - 4),
    }
}

fn provenance_notes(a: &Folder, b: &Folder) -> Vec<String> {
    let (a, b) = (a.about(), b.about());
    let facts = [
        ("program version", &a.version, &b.version),
        ("commit", &a.commit, &b.commit),
        ("lockfile", &a.lockfile_blake3, &b.lockfile_blake3),
        ("experiment", &a.experiment_blake3, &b.experiment_blake3),
    ];
    let differing = facts.iter().filter(|(_, a, b)| a != b);
    let mut notes: Vec<_> = differing
        .map(|(what, a, b)| format!("the {what} differs: {a} in A, {b} in B"))
        .collect();
    for (name, commit) in [("A", &a.commit), ("B", &b.commit)] {
        if commit.ends_with("-dirty") || commit == "unknown" {
            notes.push(format!(
                "{name} was made from changed or unknown sources: {commit}"
            ));
        }
    }
    notes
}

/// None where the metric applies to no run of a side.
fn one(cell: &str, metric: &MetricInfo, a: &[&Row], b: &[&Row]) -> Option<Compared> {
    let sample = |rows: &[&Row]| {
        let figures: Vec<_> = rows.iter().filter_map(|r| r.metric(&metric.name)).collect();
        Sample::of(&figures)
    };
    let (a, b) = (sample(a)?, sample(b)?);
    let interval = welch(&a, &b);
    Some(Compared {
        cell: cell.to_owned(),
        metric: metric.name.clone(),
        unit: metric.unit.clone(),
        percent: (a.mean != 0.0).then(|| 100.0 * (b.mean - a.mean) / a.mean.abs()),
        verdict: verdict(interval, metric.better),
        a,
        b,
        interval,
    })
}

fn verdict(interval: Option<Difference>, better: Better) -> Verdict {
    let Some(Difference { low, high, .. }) = interval else {
        return Verdict::TooFewRuns;
    };
    match better {
        _ if low <= 0.0 && high >= 0.0 => Verdict::NoDifferenceSeen,
        Better::Neither => Verdict::Differs,
        Better::Lower if high < 0.0 => Verdict::Better,
        Better::Higher if low > 0.0 => Verdict::Better,
        Better::Lower | Better::Higher => Verdict::Worse,
    }
}

impl Comparison {
    /// For terminals.
    #[must_use]
    pub fn text(&self) -> String {
        let heading = ["cell", "metric", "A", "B", "change", "95 % interval", ""];
        let mut table = vec![heading.map(str::to_owned)];
        table.extend(self.lines.iter().map(|line| {
            let interval = line.interval.map_or("-".into(), |d| {
                format!("{} to {}", signed(d.low), signed(d.high))
            });
            [
                line.cell.clone(),
                super::row::title(&line.metric, &line.unit),
                short(line.a.mean),
                short(line.b.mean),
                line.percent.map_or("-".into(), |p| format!("{p:+.1} %")),
                interval,
                line.verdict.text().into(),
            ]
        }));
        let widths: Vec<usize> = (0..heading.len())
            .map(|c| {
                table
                    .iter()
                    .map(|l| l[c].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = format!("A  {}\nB  {}\n\n", self.a.display(), self.b.display());
        for line in &table {
            let mut all = String::new();
            for (c, (field, width)) in line.iter().zip(&widths).enumerate() {
                // Figures to the right, words to the left. Writing to a string cannot fail.
                let _ = match (2..=4).contains(&c) {
                    true => write!(all, "{field:>width$}  "),
                    false => write!(all, "{field:<width$}  "),
                };
            }
            let _ = writeln!(text, "{}", all.trim_end());
        }
        let seen = |v: Verdict| self.lines.iter().filter(|l| l.verdict == v).count();
        let _ = writeln!(
            text,
            "\n{} comparisons: {} better, {} worse, {} differ, {} without a difference seen, {} with too few runs",
            self.lines.len(),
            seen(Verdict::Better),
            seen(Verdict::Worse),
            seen(Verdict::Differs),
            seen(Verdict::NoDifferenceSeen),
            seen(Verdict::TooFewRuns),
        );
        let _ = writeln!(
            text,
            "Of equal figures one in twenty shows a difference by chance."
        );
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }
}

/// Four digits, with an exponent where that is shorter.
#[must_use]
pub(super) fn short(f: f64) -> String {
    let size = f.abs();
    if f == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{f:.3e}");
    }
    let whole = libm::floor(libm::log10(size)) as i32 + 1;
    let decimals = usize::try_from(4 - whole).unwrap_or(0);
    let text = format!("{f:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn signed(f: f64) -> String {
    format!("{}{}", if f > 0.0 { "+" } else { "" }, short(f))
}
