//! Decides what is plotted: every metric against the first swept number, or a bar per cell, and the distributions
//! that were asked for.
//!
//! Further parameters are never averaged over: the second becomes the series, each combination of the others a plot
//! of its own.

use super::export::{Data, Pooled};
use super::folder::About;
use super::plot::{Plot, Point, Shape};
use super::row::{MetricInfo, Params, Row, Value, label, title};
use super::stats::Sample;
use super::summary::{by_cell, in_order};
use std::collections::{BTreeMap, BTreeSet};

/// More series than these cannot be told apart.
const SERIES: usize = 8;
/// More bars than these get plots of their own.
const BARS: usize = 40;
/// Steps of a distribution, which bound a file's size.
const STEPS: usize = 400;

/// All plots, metric by metric, then table by table. What is the same in every run needs none.
pub fn all(about: &About, data: &Data) -> Vec<Plot> {
    let sweep = Sweep::new(&about.swept, &data.rows);
    let applies = |metric: &&MetricInfo| {
        let applies = |row: &Row| row.metric(&metric.name).is_some();
        data.rows.iter().any(applies)
    };
    let metrics = in_order(&data.metrics, &about.stop, &data.rows);
    let mut plots: Vec<Plot> = metrics
        .into_iter()
        .map(|at| &data.metrics[at])
        .filter(applies)
        .flat_map(|metric| match &sweep.x {
            Some(x) => lines(metric, x, &sweep, &data.rows),
            None => bars(metric, &sweep, &data.rows),
        })
        .collect();
    for (table, column) in &about.distributions {
        if let Some(pooled) = data.samples.get(table) {
            plots.extend(steps(table, column, pooled, &sweep, data));
        }
    }
    make_unique(&mut plots);
    plots
}

/// Which parameter plays which part.
struct Sweep {
    x: Option<String>,
    series: Option<String>,
    rest: Vec<String>,
}

impl Sweep {
    fn new(swept: &[String], rows: &[Row]) -> Self {
        // What was not announced comes last, by name.
        let known: BTreeSet<&String> = rows.iter().flat_map(|r| r.params.keys()).collect();
        let unannounced = known.into_iter().filter(|name| !swept.contains(name));
        let mut varying: Vec<String> = swept
            .iter()
            .chain(unannounced)
            .filter(|name| values(rows, name).len() > 1)
            .cloned()
            .collect();
        let numeric = |name: &String| {
            let values = values(rows, name);
            values
                .iter()
                .all(|v| v.is_some_and(|v| v.number().is_some()))
        };
        let x = varying.iter().position(numeric);
        let x = x.map(|at| varying.remove(at));
        let series = (x.is_some() && !varying.is_empty()).then(|| varying.remove(0));
        Self {
            x,
            series,
            rest: varying,
        }
    }

    /// Of a cell, its varying parameters alone.
    fn short_label(&self, params: &Params) -> String {
        let names = self.x.iter().chain(&self.series).chain(&self.rest);
        let kept = names.filter_map(|n| Some((n.clone(), params.get(n)?.clone())));
        label(&kept.collect())
    }
}

fn values<'a>(rows: &'a [Row], name: &str) -> BTreeSet<Option<&'a Value>> {
    rows.iter().map(|r| r.params.get(name)).collect()
}

/// Those of `names`, in words; empty if none.
fn part(names: &[String], params: &Params) -> String {
    let parts: Vec<_> = names
        .iter()
        .filter_map(|n| Some(format!("{n} = {}", params.get(n)?)))
        .collect();
    parts.join(", ")
}

fn lines(metric: &MetricInfo, x: &str, sweep: &Sweep, rows: &[Row]) -> Vec<Plot> {
    type Figures = BTreeMap<Value, Vec<f64>>;
    let mut plots = BTreeMap::<Vec<Option<Value>>, BTreeMap<Option<Value>, Figures>>::new();
    let mut titles = BTreeMap::new();
    for row in rows {
        let (Some(at), Some(figure)) = (row.params.get(x), row.metric(&metric.name)) else {
            continue;
        };
        let rest: Vec<_> = sweep
            .rest
            .iter()
            .map(|n| row.params.get(n).cloned())
            .collect();
        titles.insert(rest.clone(), part(&sweep.rest, &row.params));
        let series = sweep
            .series
            .as_ref()
            .and_then(|n| row.params.get(n).cloned());
        let plot = plots.entry(rest).or_default();
        let figures = plot.entry(series).or_default().entry(at.clone());
        figures.or_default().push(figure);
    }
    let mut made = Vec::new();
    for (rest, series) in plots {
        let series: Vec<_> = series.into_iter().collect();
        for (group, series) in series.chunks(SERIES).enumerate() {
            let named = series.iter().map(|(value, figures)| {
                let name = match (&sweep.series, value) {
                    (Some(name), Some(value)) => format!("{name} = {value}"),
                    (Some(name), None) => format!("without {name}"),
                    (None, _) => metric.name.clone(),
                };
                let points = figures.iter().filter_map(|(at, figures)| {
                    let sample = Sample::of(figures)?;
                    Some(point(at.number()?, &sample))
                });
                (name, points.collect())
            });
            let mut title = metric.name.clone();
            if !titles[&rest].is_empty() {
                title = format!("{title}, {}", titles[&rest]);
            }
            if group > 0 {
                title = format!("{title}, part {}", group + 1);
            }
            let shape = Shape::Lines(named.collect());
            made.push(plot(metric, title, x.to_owned(), shape));
        }
    }
    made
}

fn point(x: f64, sample: &Sample) -> Point {
    Point {
        x,
        y: sample.mean,
        half: sample.half_width(),
    }
}

fn bars(metric: &MetricInfo, sweep: &Sweep, rows: &[Row]) -> Vec<Plot> {
    let mut bars = Vec::new();
    for runs in by_cell(rows).values() {
        let figures: Vec<_> = runs.iter().filter_map(|r| r.metric(&metric.name)).collect();
        if let Some(sample) = Sample::of(&figures) {
            let name = match &sweep.rest[..] {
                [only] => runs[0].params.get(only).map(ToString::to_string),
                _ => Some(sweep.short_label(&runs[0].params)),
            };
            bars.push((name.unwrap_or_default(), point(0.0, &sample), figures));
        }
    }
    let x = match &sweep.rest[..] {
        [only] => only.clone(),
        _ => "cell".into(),
    };
    let parts = bars.chunks(BARS).enumerate();
    parts
        .map(|(group, bars)| {
            let title = match group {
                0 => metric.name.clone(),
                more => format!("{}, part {}", metric.name, more + 1),
            };
            plot(metric, title, x.clone(), Shape::Bars(bars.to_vec()))
        })
        .collect()
}

fn plot(metric: &MetricInfo, title: String, x: String, shape: Shape) -> Plot {
    let (drawn, figures) = match &shape {
        Shape::Lines(series) => (
            "Lines",
            said(series.iter().flat_map(|(name, points)| {
                points
                    .iter()
                    .map(move |p| (format!("{name} at {}", p.x), p))
            })),
        ),
        Shape::Bars(bars) => (
            "Bars",
            said(bars.iter().map(|(name, p, _)| (name.clone(), p))),
        ),
        Shape::Steps(_) => ("Steps", String::new()),
    };
    let file = file_name(&title);
    Plot {
        file,
        description: format!(
            "{} {drawn} of means with 95 % intervals by Student's t against {x}. {figures}",
            metric.help
        )
        .trim()
        .to_owned(),
        title,
        x,
        y: metric.title(),
        shape,
    }
}

/// The lowest and the highest mean, in words.
fn said<'a>(points: impl Iterator<Item = (String, &'a Point)>) -> String {
    let points: Vec<_> = points.collect();
    let low = points.iter().min_by(|a, b| a.1.y.total_cmp(&b.1.y));
    let high = points.iter().max_by(|a, b| a.1.y.total_cmp(&b.1.y));
    let short = super::compare::short;
    match (low, high) {
        (Some(low), Some(high)) => format!(
            "Lowest {} for {}, highest {} for {}.",
            short(low.1.y),
            low.0,
            short(high.1.y),
            high.0
        ),
        _ => String::new(),
    }
}

fn steps(table: &str, column: &str, pooled: &Pooled, sweep: &Sweep, data: &Data) -> Vec<Plot> {
    let Some(at) = pooled.columns.iter().position(|(name, _)| name == column) else {
        return Vec::new();
    };
    let mut cells = BTreeMap::<u32, (String, Vec<f64>)>::new();
    for (line, figure) in pooled.of.iter().zip(&pooled.figures[at]) {
        let row = &data.rows[*line];
        let name = || (sweep.short_label(&row.params), Vec::new());
        let cell = cells.entry(row.cell).or_insert_with(name);
        if figure.is_finite() {
            cell.1.push(*figure);
        }
    }
    let cells = cells
        .into_values()
        .filter(|(_, figures)| !figures.is_empty());
    let series: Vec<_> = cells
        .map(|(name, figures)| (name, distribution(figures)))
        .collect();
    let parts = series.chunks(SERIES).enumerate();
    parts
        .map(|(group, series)| {
            let title = match group {
                0 => format!("Distribution of {column} in {table}"),
                more => format!("Distribution of {column} in {table}, part {}", more + 1),
            };
            let medians = series.iter().map(|(name, steps)| {
                let median = steps.iter().find(|s| s.1 >= 0.5).map_or(f64::NAN, |s| s.0);
                format!("{name}: median {}", super::compare::short(median))
            });
            Plot {
                file: file_name(&format!("{table}.{column}, {group}")),
                description: format!(
                    "The share of lines of {table}, of all seeds of a cell together, with at most so much. {}.",
                    medians.collect::<Vec<_>>().join("; ")
                ),
                title,
                x: title_of(pooled, at),
                y: "share of samples".into(),
                shape: Shape::Steps(series.to_vec()),
            }
        })
        .collect()
}

fn title_of(pooled: &Pooled, column: usize) -> String {
    let (name, unit) = &pooled.columns[column];
    title(name, unit)
}

/// At most [`STEPS`] steps of the empirical distribution; the last is the largest figure.
fn distribution(mut figures: Vec<f64>) -> Vec<(f64, f64)> {
    figures.sort_by(f64::total_cmp);
    let n = figures.len();
    let every = n.div_ceil(STEPS);
    let kept = (1..=n).filter(|rank| rank % every == 0 || *rank == n);
    kept.map(|rank| (figures[rank - 1], rank as f64 / n as f64))
        .collect()
}

/// Letters, digits, dots and dashes of a title: also safe as an id in a page.
fn file_name(title: &str) -> String {
    let mut name = String::new();
    for c in title.chars() {
        match c {
            c if c.is_ascii_alphanumeric() || "._".contains(c) => name.push(c),
            _ if name.ends_with('-') || name.is_empty() => {}
            _ => name.push('-'),
        }
    }
    // Some file systems stop at 255 bytes.
    name.truncate(120);
    let name = name.trim_end_matches(['-', '.']);
    if name.is_empty() || name.starts_with('.') {
        format!("plot{name}")
    } else {
        name.to_owned()
    }
}

/// Different titles may shrink to one name; file systems that ignore case count too.
fn make_unique(plots: &mut [Plot]) {
    let mut taken = BTreeSet::new();
    for plot in plots {
        let plain = plot.file.clone();
        let mut number = 2;
        while !taken.insert(plot.file.to_ascii_lowercase()) {
            plot.file = format!("{plain}-{number}");
            number += 1;
        }
    }
}
