//! What one run yields: a row of figures, and tables of samples where one figure is not enough.
//!
//! A figure that is not finite means "does not apply": it is null in files and no part of any mean, never 0.

use super::ResultsError;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// The value of a swept parameter.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number; finite.
    Float(f64),
    /// A name.
    Text(String),
}

impl Value {
    /// As a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(i) => Some(*i as f64),
            Self::Float(f) => Some(*f),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Integer(_) => 1,
            Self::Float(_) => 2,
            Self::Text(_) => 3,
        }
    }
}

/// Numbers by size whatever their kind, then everything else by kind.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_kind = self.rank().cmp(&other.rank());
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a.total_cmp(&b).then(by_kind),
                _ => by_kind,
            },
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Bool(b) => b.fmt(f),
            Self::Integer(i) => i.fmt(f),
            Self::Float(v) => v.fmt(f),
            Self::Text(t) => f.write_str(t),
        }
    }
}

/// Parameter names with their values.
pub type Params = BTreeMap<String, Value>;

/// `a = 1, b = x`; "the only cell" without parameters.
#[must_use]
pub fn label(params: &Params) -> String {
    let parts: Vec<_> = params.iter().map(|(k, v)| format!("{k} = {v}")).collect();
    if parts.is_empty() {
        "the only cell".into()
    } else {
        parts.join(", ")
    }
}

/// One finished run: a cell with a seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The cell's number in the experiment.
    pub cell: u32,
    /// Its swept parameters.
    pub params: Params,
    /// The seed.
    pub seed: u64,
    /// Figures by metric, in the metric's unit. Absent or not finite: it does not apply to this run.
    #[serde(with = "map_of_floats")]
    pub metrics: BTreeMap<String, f64>,
    /// BLAKE3 over every event in order, in hex.
    pub trace_hash: String,
    /// What must never happen and did.
    pub violations: Vec<String>,
}

impl Row {
    /// A metric's figure, if it applies.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.get(name).copied().filter(|f| f.is_finite())
    }
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// It only describes.
    Neither,
}

/// What a metric is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricInfo {
    /// Its name in rows and files, such as `placement_p50_ms`.
    pub name: String,
    /// Its unit for people, such as `ms`; empty for a bare number.
    pub unit: String,
    /// One sentence.
    pub help: String,
    /// Which way is good.
    pub better: Better,
}

impl MetricInfo {
    /// `name (unit)`.
    #[must_use]
    pub fn title(&self) -> String {
        title(&self.name, &self.unit)
    }
}

/// `name (unit)`, or the name alone where there is no unit.
#[must_use]
pub(crate) fn title(name: &str, unit: &str) -> String {
    if unit.is_empty() {
        name.to_owned()
    } else {
        format!("{name} ({unit})")
    }
}

/// A further table of a run: a line per job, a time series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// The table's name, which names its files: letters, digits, `-` and `_`.
    pub table: String,
    /// Names and units of its columns.
    pub columns: Vec<(String, String)>,
    /// Its lines, each as long as `columns`. Not finite: does not apply.
    #[serde(with = "rows_of_floats")]
    pub rows: Vec<Vec<f64>>,
}

/// A finished run as it is kept in a file of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The source it was made with, as in [`super::About::commit`].
    pub commit: String,
    /// Its figures.
    pub row: Row,
    /// Its further tables.
    pub samples: Vec<Samples>,
}

impl Finished {
    /// Refuses what could not be written down or read back unchanged.
    pub(crate) fn check(&self) -> Result<(), ResultsError> {
        let Row {
            cell, seed, params, ..
        } = &self.row;
        let bad = |reason: String| ResultsError::BadRow {
            cell: *cell,
            seed: *seed,
            reason,
        };
        for (name, value) in params {
            if value.number().is_some_and(|n| !n.is_finite()) {
                return Err(bad(format!("the parameter {name} is not finite: {value}")));
            }
        }
        let mut tables = std::collections::BTreeSet::new();
        for samples in &self.samples {
            let name = &samples.table;
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if name.is_empty() || !name.chars().all(plain) {
                return Err(bad(format!(
                    "the table name {name:?} cannot name a file: use letters, digits, - and _"
                )));
            }
            if ["results", "summary", "run"].contains(&name.as_str()) || !tables.insert(name) {
                return Err(bad(format!("the table name {name} is taken: use another")));
            }
            let width = samples.columns.len();
            if let Some(at) = samples.rows.iter().position(|row| row.len() != width) {
                return Err(bad(format!(
                    "line {at} of the table {name} has {} figures for {width} columns",
                    samples.rows[at].len()
                )));
            }
        }
        Ok(())
    }
}

/// JSON knows no NaN: null stands for it, both ways.
fn to_null(f: &f64) -> Option<f64> {
    Some(*f).filter(|f| f.is_finite())
}

fn from_null(f: Option<f64>) -> f64 {
    f.unwrap_or(f64::NAN)
}

mod map_of_floats {
    use super::{BTreeMap, from_null, to_null};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(map: &BTreeMap<String, f64>, s: S) -> Result<S::Ok, S::Error> {
        let map: BTreeMap<_, _> = map.iter().map(|(k, f)| (k, to_null(f))).collect();
        map.serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, f64>, D::Error> {
        let map = BTreeMap::<String, Option<f64>>::deserialize(d)?;
        Ok(map.into_iter().map(|(k, f)| (k, from_null(f))).collect())
    }
}

mod rows_of_floats {
    use super::{from_null, to_null};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(rows: &[Vec<f64>], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(
            rows.iter()
                .map(|row| row.iter().map(to_null).collect::<Vec<_>>()),
        )
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Vec<f64>>, D::Error> {
        let rows = Vec::<Vec<Option<f64>>>::deserialize(d)?;
        let full = |row: Vec<Option<f64>>| row.into_iter().map(from_null).collect();
        Ok(rows.into_iter().map(full).collect())
    }
}
