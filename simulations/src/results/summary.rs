//! A line per cell and metric: how many runs, their mean, how sure that is, and the spread.

use super::row::{MetricInfo, Params, Row};
use super::stats::{Sample, quantile};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The stop rule: a cell has enough seeds when the mean's 95 % half-width is at most this share of the mean.
pub const STOP_SHARE: f64 = 0.05;

/// How sure a mean is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The half-width is at most [`STOP_SHARE`] of the mean.
    Met,
    /// It is more, or there are below two runs.
    NotMet,
    /// The metric applies to no run of the cell.
    NotApplicable,
}

/// A metric over the runs of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The cell.
    pub cell: u32,
    /// Its swept parameters.
    pub params: Params,
    /// The metric's name.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// Runs to which it applies.
    pub n: usize,
    /// Their mean, in the unit, as everything below.
    pub mean: Option<f64>,
    /// Half the width of the mean's 95 % interval by Student's t.
    pub half_width_95: Option<f64>,
    /// The median.
    pub p50: Option<f64>,
    /// The 95th percentile.
    pub p95: Option<f64>,
    /// Whether the cell has enough seeds for this metric.
    pub stop: Stop,
}

impl Summary {
    /// Half-width over mean; infinite where that says nothing.
    #[must_use]
    pub fn relative(&self) -> f64 {
        match (self.mean, self.half_width_95) {
            // All runs agree: nothing is uncertain, even about 0.
            (Some(_), Some(0.0)) => 0.0,
            (Some(mean), Some(half)) if mean != 0.0 => half / mean.abs(),
            _ => f64::INFINITY,
        }
    }
}

/// The described metrics in their order, then those that only rows know, by name.
#[must_use]
pub fn metrics(described: &[MetricInfo], rows: &[Row]) -> Vec<MetricInfo> {
    let known: BTreeSet<&str> = described.iter().map(|m| m.name.as_str()).collect();
    let found: BTreeSet<&str> = rows
        .iter()
        .flat_map(|r| r.metrics.keys().map(String::as_str))
        .collect();
    let further = found.difference(&known).map(|name| MetricInfo {
        name: (*name).to_owned(),
        unit: String::new(),
        help: String::new(),
        better: super::Better::Neither,
    });
    described.iter().cloned().chain(further).collect()
}

/// Rows by cell, in order.
#[must_use]
pub fn by_cell(rows: &[Row]) -> BTreeMap<u32, Vec<&Row>> {
    let mut cells = BTreeMap::<u32, Vec<&Row>>::new();
    for row in rows {
        cells.entry(row.cell).or_default().push(row);
    }
    cells
}

/// A summary per cell and metric, by cell, then in the order of [`metrics`].
#[must_use]
pub fn summarise(described: &[MetricInfo], rows: &[Row]) -> Vec<Summary> {
    let metrics = metrics(described, rows);
    let cells = by_cell(rows);
    let all = cells.iter().flat_map(|(cell, runs)| {
        metrics
            .iter()
            .map(move |metric| one(*cell, &runs[0].params, metric, runs))
    });
    all.collect()
}

fn one(cell: u32, params: &Params, metric: &MetricInfo, runs: &[&Row]) -> Summary {
    let figures: Vec<f64> = runs.iter().filter_map(|r| r.metric(&metric.name)).collect();
    let sample = Sample::of(&figures);
    let mut summary = Summary {
        cell,
        params: params.clone(),
        metric: metric.name.clone(),
        unit: metric.unit.clone(),
        n: figures.len(),
        mean: sample.map(|s| s.mean),
        half_width_95: sample.and_then(|s| s.half_width()),
        p50: quantile(&figures, 0.5),
        p95: quantile(&figures, 0.95),
        stop: Stop::NotApplicable,
    };
    if summary.n > 0 {
        summary.stop = match summary.relative() <= STOP_SHARE {
            true => Stop::Met,
            false => Stop::NotMet,
        };
    }
    summary
}

/// The figure of a metric that is the same in every one of several runs.
pub fn constant(metric: &MetricInfo, rows: &[Row]) -> Option<f64> {
    let [first, others @ ..] = rows else {
        return None;
    };
    let figure = first.metric(&metric.name)?;
    let same = |row: &Row| row.metric(&metric.name) == Some(figure);
    (!others.is_empty() && others.iter().all(same)).then_some(figure)
}

/// Which metrics are worth a column or a plot: those that differ from run to run, and first those of the stop rule.
pub fn in_order(metrics: &[MetricInfo], stop: &[String], rows: &[Row]) -> Vec<usize> {
    let differs = |at: &usize| constant(&metrics[*at], rows).is_none();
    let mut shown: Vec<_> = (0..metrics.len()).filter(differs).collect();
    shown.sort_by_key(|at| !stop.contains(&metrics[*at].name));
    shown
}
