//! From one file to cells: every combination of the swept values, each an experiment of its own, and the seeds that
//! each is run with.

use super::{Experiment, ExperimentError};
use crate::churn::{Churn, Trace};
use crate::results::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use toml::Table;

/// Cells of one file, at most.
const CELLS_MAX: usize = 10_000;

/// One swept parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swept {
    /// Its place in the file, such as `population.peers` or `adversaries.0.share`.
    pub key: String,
    /// The values that it takes, one after the other.
    pub values: Vec<toml::Value>,
}

/// Which seeds a cell is run with, and when there are enough of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seeds {
    /// The first one.
    pub first: u64,
    /// At least so many.
    pub count: u32,
    /// More of them until the half-width of every [`Seeds::stop`] metric's 95 % interval is at most 5 % of its mean, up
    /// to so many.
    pub most: u32,
    /// The metrics that decide it; none: no more than `count`.
    pub stop: Vec<String>,
}

impl Default for Seeds {
    fn default() -> Self {
        Self {
            first: 1,
            count: 10,
            most: 200,
            stop: Vec::new(),
        }
    }
}

/// One combination of swept values.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Its number.
    pub number: u32,
    /// The values.
    pub params: BTreeMap<String, Value>,
    /// What is run.
    pub experiment: Experiment,
}

/// A file and all that it stands for.
#[derive(Clone, Debug)]
pub struct Study {
    /// Its text, from which everything can be run again.
    pub text: String,
    /// In the order in which the file names them.
    pub swept: Vec<String>,
    /// The seeds.
    pub seeds: Seeds,
    /// At least one.
    pub cells: Vec<Cell>,
}

impl Study {
    /// Reads and checks a file, and every cell of it.
    ///
    /// # Errors
    /// [`ExperimentError`], with file and line or with the cell.
    pub fn load(path: &Path) -> Result<Self, ExperimentError> {
        let read = |source| ExperimentError::Read {
            path: path.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(read)?;
        Self::parse(&text, path)
    }

    /// As [`Study::load`], of a text that is or was in `path`.
    ///
    /// # Errors
    /// [`ExperimentError`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ExperimentError> {
        let parse = |source| ExperimentError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        };
        // As a whole first: an unknown key is told with its line.
        let whole: Experiment = toml::from_str(text).map_err(parse)?;
        let table: Table = toml::from_str(text).map_err(parse)?;
        let mut combinations: Vec<Vec<(&str, &toml::Value)>> = vec![Vec::new()];
        for swept in &whole.sweep {
            if swept.values.is_empty() {
                return Err(ExperimentError::EmptySweep(swept.key.clone()));
            }
            let longer =
                |c: &Vec<(_, _)>, v| c.iter().copied().chain([(swept.key.as_str(), v)]).collect();
            combinations = combinations
                .iter()
                .flat_map(|c| swept.values.iter().map(move |v| longer(c, v)))
                .collect();
            if combinations.len() > CELLS_MAX {
                return Err(ExperimentError::TooManyCells(CELLS_MAX));
            }
        }
        let cells = combinations.iter().zip(0..);
        let cells = cells.map(|(values, number)| cell(&table, values, number, path));
        let study = Self {
            text: text.into(),
            swept: whole.sweep.iter().map(|s| s.key.clone()).collect(),
            seeds: whole.seeds.clone(),
            cells: cells.collect::<Result<_, _>>()?,
        };
        whole.seeds.check()?;
        Ok(study)
    }
}

impl Seeds {
    fn check(&self) -> Result<(), ExperimentError> {
        let known: Vec<String> = crate::metrics::all().into_iter().map(|m| m.name).collect();
        let names = self.stop.iter().all(|name| known.contains(name));
        let known = format!("names of metrics: {}", known.join(", "));
        let rules = [
            ((1..=100_000).contains(&self.count), "count", "1 to 100000"),
            ((1..=100_000).contains(&self.most), "most", "1 to 100000"),
            (names, "stop", known.as_str()),
        ];
        super::first_fault("seeds", &rules)
    }
}

fn cell(
    table: &Table,
    values: &[(&str, &toml::Value)],
    number: u32,
    path: &Path,
) -> Result<Cell, ExperimentError> {
    let mut table = table.clone();
    table.remove("sweep");
    let mut params = BTreeMap::new();
    let mut named = Vec::new();
    for (key, value) in values {
        let unknown = || ExperimentError::UnknownKey((*key).into());
        *place(&mut table, key).ok_or_else(unknown)? = (*value).clone();
        params.insert((*key).to_owned(), shown(value));
        named.push(format!("{key} = {value}"));
    }
    let in_cell = |error: String| ExperimentError::Cell {
        number,
        values: named.join(", "),
        error,
    };
    let experiment = Experiment::deserialize(toml::Value::Table(table));
    let mut experiment = experiment.map_err(|e| in_cell(e.to_string()))?;
    let checked = experiment.check();
    let fine = checked.and_then(|()| find_trace(&mut experiment, path));
    match fine {
        // A file without a sweep has no cells to speak of.
        Err(error) if !values.is_empty() => Err(in_cell(error.to_string())),
        Err(error) => Err(error),
        Ok(()) => Ok(Cell {
            number,
            params,
            experiment,
        }),
    }
}

/// A churn's trace is named beside the experiment; from now on by its full name.
fn find_trace(experiment: &mut Experiment, path: &Path) -> Result<(), ExperimentError> {
    if let Churn::Trace { file } = &mut experiment.churn {
        let beside = path.parent().unwrap_or(Path::new("")).join(&*file);
        *file = std::path::absolute(&beside).unwrap_or(beside);
        Trace::read(file)?.of(experiment.population.peers, file)?;
    }
    Ok(())
}

/// Where a dotted key leads, making tables and the last key on the way. A number names a place in a list that is there.
fn place<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut toml::Value> {
    let (first, mut rest) = key.split_once('.').unwrap_or((key, ""));
    let is_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    if !table.contains_key(first) && is_number(rest) {
        return None;
    }
    let new = || toml::Value::Table(Table::new());
    let mut at = table.entry(first.to_owned()).or_insert_with(new);
    while !rest.is_empty() {
        let (part, further) = rest.split_once('.').unwrap_or((rest, ""));
        at = match at {
            toml::Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?)?,
            toml::Value::Table(table) => {
                if !table.contains_key(part) && is_number(further) {
                    return None;
                }
                table.entry(part.to_owned()).or_insert_with(new)
            }
            _ => return None,
        };
        rest = further;
    }
    Some(at)
}

/// A swept value, for tables and plots.
fn shown(value: &toml::Value) -> Value {
    match value {
        toml::Value::Integer(n) => Value::Integer(*n),
        toml::Value::Float(x) => Value::Float(*x),
        toml::Value::Boolean(b) => Value::Bool(*b),
        toml::Value::String(text) => Value::Text(text.clone()),
        other => Value::Text(other.to_string()),
    }
}
