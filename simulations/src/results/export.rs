//! Makes tables, plots and the page of a results folder. All of them can be deleted and made again from its cells.
//!
//! ```text
//! results.{csv,json,parquet}   a line per finished run
//! summary.{csv,json}           a line per cell and metric
//! TABLE.{csv,parquet}          all samples of one table, with their cells and seeds
//! plots/*.svg, report.html     for people
//! ```

use super::folder::{self, Folder};
use super::row::{MetricInfo, Params, Row};
use super::summary::{self, Summary};
use super::table::{Figures, Table};
use super::{ResultsError, atomic, page, plots};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Finished runs in it.
    pub runs: usize,
    /// Cells in it.
    pub cells: usize,
    /// The files, by name.
    pub files: BTreeSet<PathBuf>,
}

/// Everything that tables, plots and pages are made of.
pub(super) struct Data {
    pub rows: Vec<Row>,
    pub metrics: Vec<MetricInfo>,
    pub summaries: Vec<Summary>,
    pub samples: BTreeMap<String, Pooled>,
    /// The commits that rows were made at; more than one after an interrupted experiment went on later.
    pub commits: BTreeSet<String>,
}

/// One table of samples over all runs.
#[derive(Default)]
pub(super) struct Pooled {
    /// Names and units.
    pub columns: Vec<(String, String)>,
    /// For each line the row, by its place in [`Data::rows`], that it belongs to.
    pub of: Vec<usize>,
    /// Column by column.
    pub figures: Vec<Vec<f64>>,
}

impl Data {
    pub fn read(folder: &Folder) -> Result<Self, ResultsError> {
        let (mut rows, mut commits) = (Vec::new(), BTreeSet::new());
        let mut samples = BTreeMap::<String, Pooled>::new();
        for (cell, seed) in folder.finished()? {
            let finished = folder.get(cell, seed)?;
            for table in finished.samples {
                let pooled = samples.entry(table.table).or_default();
                if pooled.columns.is_empty() {
                    pooled.figures = vec![Vec::new(); table.columns.len()];
                    pooled.columns = table.columns;
                } else if pooled.columns != table.columns {
                    let reason = "its table of samples has other columns than those of other runs";
                    return Err(ResultsError::BadRow {
                        cell,
                        seed,
                        reason: reason.into(),
                    });
                }
                for line in table.rows {
                    pooled.of.push(rows.len());
                    for (column, figure) in pooled.figures.iter_mut().zip(line) {
                        column.push(figure);
                    }
                }
            }
            commits.insert(finished.commit);
            rows.push(finished.row);
        }
        if rows.is_empty() {
            return Err(ResultsError::Empty {
                dir: folder.dir().into(),
            });
        }
        let described = &folder.about().metrics;
        Ok(Self {
            metrics: summary::metrics(described, &rows),
            summaries: summary::summarise(described, &rows),
            rows,
            samples,
            commits,
        })
    }
}

/// Makes all files anew.
///
/// # Errors
/// When no cell is finished, one is damaged, or a file cannot be written.
pub fn export(folder: &Folder) -> Result<Exported, ResultsError> {
    #[derive(Serialize)]
    struct Json<'a, T> {
        format: u32,
        metrics: &'a [MetricInfo],
        #[serde(flatten)]
        body: BTreeMap<&'static str, &'a [T]>,
    }
    let data = Data::read(folder)?;
    let mut files = Files {
        folder,
        made: BTreeSet::new(),
    };
    let results = results_table(&data);
    files.put("results.csv", |path| results.csv(path))?;
    files.put("results.parquet", |path| results.parquet(path))?;
    let summary = summary_table(&data);
    files.put("summary.csv", |path| summary.csv(path))?;
    for (name, pooled) in &data.samples {
        let table = samples_table(&data, pooled);
        files.put(&format!("{name}.csv"), |path| table.csv(path))?;
        files.put(&format!("{name}.parquet"), |path| table.parquet(path))?;
    }
    let (format, metrics) = (folder::FORMAT, &data.metrics[..]);
    let body = BTreeMap::from([("rows", &data.rows[..])]);
    files.json(
        "results.json",
        &Json {
            format,
            metrics,
            body,
        },
    )?;
    let body = BTreeMap::from([("cells", &data.summaries[..])]);
    files.json(
        "summary.json",
        &Json {
            format,
            metrics,
            body,
        },
    )?;

    files.clear_plots()?;
    let plots = plots::all(folder.about(), &data);
    for plot in &plots {
        let name = format!("plots/{}.svg", plot.file);
        files.put(&name, |_| Ok(plot.standalone().into_bytes()))?;
    }
    let page = page::page(folder, &data, &plots)?;
    files.put("report.html", |_| Ok(page.into_bytes()))?;
    Ok(Exported {
        runs: data.rows.len(),
        cells: summary::by_cell(&data.rows).len(),
        files: files.made,
    })
}

struct Files<'a> {
    folder: &'a Folder,
    made: BTreeSet<PathBuf>,
}

impl Files<'_> {
    fn put(
        &mut self,
        name: &str,
        bytes: impl FnOnce(&std::path::Path) -> Result<Vec<u8>, ResultsError>,
    ) -> Result<(), ResultsError> {
        let path = self.folder.dir().join(name);
        atomic::write(&path, &bytes(&path)?)?;
        self.made.insert(name.into());
        Ok(())
    }

    fn json(&mut self, name: &str, what: &impl Serialize) -> Result<(), ResultsError> {
        folder::write_json(&self.folder.dir().join(name), what)?;
        self.made.insert(name.into());
        Ok(())
    }

    /// Plots of metrics that are no more must not stay.
    fn clear_plots(&self) -> Result<(), ResultsError> {
        let dir = self.folder.dir().join("plots");
        fs::create_dir_all(&dir).map_err(|e| ResultsError::io("create", &dir, e))?;
        for path in folder::entries(&dir)? {
            if path.extension().is_some_and(|e| e == "svg") {
                folder::remove(&path)?;
            }
        }
        Ok(())
    }
}

/// Every column that names a line: cell, parameters, seed.
fn heads(lines: &[&Row]) -> Table {
    let mut table = Table::default();
    let cells = lines.iter().map(|r| Some(i64::from(r.cell))).collect();
    table.push("", "cell", Figures::Integer(cells));
    let params: Vec<&Params> = lines.iter().map(|r| &r.params).collect();
    table.push_params(&params);
    let seeds = lines.iter().map(|r| Some(r.seed)).collect();
    table.push("run", "seed", Figures::Unsigned(seeds));
    table
}

fn results_table(data: &Data) -> Table {
    let rows: Vec<&Row> = data.rows.iter().collect();
    let mut table = heads(&rows);
    for metric in &data.metrics {
        let figures = rows.iter().map(|r| r.metric(&metric.name)).collect();
        table.push("metric", &metric.name, Figures::Float(figures));
    }
    let count = |r: &&Row| i64::try_from(r.violations.len()).ok();
    let violations = rows.iter().map(count).collect();
    table.push("run", "violations", Figures::Integer(violations));
    let hashes = rows.iter().map(|r| Some(r.trace_hash.clone())).collect();
    table.push("run", "trace_hash", Figures::Text(hashes));
    table
}

fn samples_table(data: &Data, pooled: &Pooled) -> Table {
    let rows: Vec<&Row> = pooled.of.iter().map(|at| &data.rows[*at]).collect();
    let mut table = heads(&rows);
    for ((name, _), figures) in pooled.columns.iter().zip(&pooled.figures) {
        let figures = figures.iter().map(|f| Some(*f)).collect();
        table.push("sample", name, Figures::Float(figures));
    }
    table
}

fn summary_table(data: &Data) -> Table {
    let all = &data.summaries;
    let mut table = Table::default();
    let cells = all.iter().map(|s| Some(i64::from(s.cell))).collect();
    table.push("", "cell", Figures::Integer(cells));
    let params: Vec<&Params> = all.iter().map(|s| &s.params).collect();
    table.push_params(&params);
    let mut text = |name: &str, of: fn(&Summary) -> &String| {
        let texts = all.iter().map(|s| Some(of(s).clone())).collect();
        table.push("summary", name, Figures::Text(texts));
    };
    text("metric", |s| &s.metric);
    text("unit", |s| &s.unit);
    let n = all.iter().map(|s| i64::try_from(s.n).ok()).collect();
    table.push("summary", "n", Figures::Integer(n));
    let mut float = |name: &str, of: fn(&Summary) -> Option<f64>| {
        table.push(
            "summary",
            name,
            Figures::Float(all.iter().map(of).collect()),
        );
    };
    float("mean", |s| s.mean);
    float("half_width_95", |s| s.half_width_95);
    float("p50", |s| s.p50);
    float("p95", |s| s.p95);
    let met = |s: &Summary| match s.stop {
        summary::Stop::Met => Some(true),
        summary::Stop::NotMet => Some(false),
        summary::Stop::NotApplicable => None,
    };
    let met = all.iter().map(met).collect();
    table.push("summary", "stop_rule_met", Figures::Bool(met));
    table
}
