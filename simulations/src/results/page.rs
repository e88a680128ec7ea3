//! `report.html`: all that an experiment showed, in one file that needs no network, script or font.
//!
//! It says plainly what is missing: cells without enough seeds, rows of several commits, broken invariants.

use super::compare::short;
use super::export::Data;
use super::plot::Plot;
use super::provenance::typed;
use super::row::label;
use super::summary::{STOP_SHARE, Stop, Summary, by_cell, constant, in_order};
use super::svg::{self, escape};
use super::{Folder, ResultsError};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a1a1a;--ground:#fff;--soft:#f3f3f3;--rule:#bbb;--bad:#a30000}\
@media(prefers-color-scheme:dark){:root{--ink:#e8e8e8;--ground:#16181d;--soft:#22252c;--rule:#555;--bad:#ff8f80}}\
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}caption{text-align:left;padding:.3rem 0}\
th,td{border-bottom:1px solid var(--rule);padding:.25rem .7rem;text-align:right}th{text-align:left}\
.figure{white-space:nowrap}\
thead th{vertical-align:bottom}code,pre{font:14px/1.4 ui-monospace,monospace}\
pre,.wide{overflow-x:auto}pre{background:var(--soft);padding:.7rem}code{overflow-wrap:anywhere}\
.bad{color:var(--bad);font-weight:600}dt{font-weight:600}dd{margin:0 0 .4rem}\
svg{max-width:100%;height:auto;margin:.5rem 0}:focus-visible{outline:3px solid #0072b2;outline-offset:2px}";

/// The page. Its text depends on the folder's path only in the commands that it tells.
pub fn page(folder: &Folder, data: &Data, plots: &[Plot]) -> Result<String, ResultsError> {
    let experiment = folder.experiment()?;
    let name = name(&folder.about().command);
    let mut body = String::new();
    heading(&mut body, &name, &experiment, data);
    violations(&mut body, folder, data);
    stop_rule(&mut body, folder, data);
    cells(&mut body, folder, data);
    if !plots.is_empty() {
        body.push_str("<h2>Plots</h2>\n<p>Bars around points are 95 % intervals of the mean by Student's t; series stand a little apart so that these do not hide each other.</p>\n");
    }
    for plot in plots {
        let _ = write!(body, "<figure>\n{}</figure>\n", plot.inline());
    }
    meanings(&mut body, data);
    origin(&mut body, folder, data, &experiment);
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{} - Starling simulation</title>\n<style>{STYLE}{}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        escape(&name),
        svg::style()
    ))
}

/// The experiment's file, which the command names, without path and ending.
fn name(command: &[String]) -> String {
    let mut files = command.iter().map(Path::new);
    let file = files.find(|f| f.extension().is_some_and(|e| e == "toml"));
    let stem = file.and_then(Path::file_stem).map(|s| s.to_string_lossy());
    stem.unwrap_or("experiment".into()).into_owned()
}

/// What the experiment asks.
fn about(experiment: &str) -> Option<String> {
    let table: toml::Table = experiment.parse().ok()?;
    Some(table.get("about")?.as_str()?.trim().to_owned())
}

// Writing to a string cannot fail, which is what every `let _` below leaves out.

fn heading(body: &mut String, name: &str, experiment: &str, data: &Data) {
    let seeds: BTreeSet<u64> = data.rows.iter().map(|r| r.seed).collect();
    let _ = writeln!(
        body,
        "<h1>{}</h1>\n<p>{} finished runs of {} cells with {} different seeds. All figures come from a simulation: \
         real protocol code, modelled machines and networks, virtual time.</p>",
        escape(name),
        data.rows.len(),
        by_cell(&data.rows).len(),
        seeds.len(),
    );
    if let Some(about) = about(experiment).filter(|a| !a.is_empty()) {
        let _ = writeln!(body, "<p>{}</p>", escape(&about));
    }
}

fn violations(body: &mut String, folder: &Folder, data: &Data) {
    body.push_str("<h2>Violations</h2>\n");
    let bad: Vec<_> = data
        .rows
        .iter()
        .filter(|r| !r.violations.is_empty())
        .collect();
    if bad.is_empty() {
        body.push_str("<p>None: every checked invariant held in every run.</p>\n");
        return;
    }
    let _ = writeln!(
        body,
        "<p class=\"bad\">In {} of {} runs something happened that must never happen.</p>\n\
         <div class=\"wide\" role=\"region\" aria-label=\"Violations\" tabindex=\"0\">\n<table>\n\
         <caption>Violations, and the command that repeats each run</caption>\n<thead><tr><th scope=\"col\">cell</th>\
         <th scope=\"col\">seed</th><th scope=\"col\">what happened</th><th scope=\"col\">repeat it</th></tr></thead>\n<tbody>",
        bad.len(),
        data.rows.len()
    );
    let dir = folder.dir().display().to_string();
    for row in bad {
        let what: Vec<_> = row.violations.iter().map(|v| escape(v)).collect();
        let (cell, seed) = (row.cell.to_string(), row.seed.to_string());
        let replay = typed(&[
            "starling-sim",
            "replay",
            &dir,
            "--cell",
            &cell,
            "--seed",
            &seed,
        ]);
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\">{cell} ({})</th><td>{seed}</td><td>{}</td><td><code>{}</code></td></tr>",
            escape(&label(&row.params)),
            what.join("<br>"),
            escape(&replay)
        );
    }
    body.push_str("</tbody>\n</table>\n</div>\n");
}

fn stop_rule(body: &mut String, folder: &Folder, data: &Data) {
    let stop = &folder.about().stop;
    let looked_at = |s: &&Summary| stop.is_empty() || stop.contains(&s.metric);
    let (share, unmet) = (
        STOP_SHARE * 100.0,
        data.summaries
            .iter()
            .filter(looked_at)
            .filter(|s| s.stop == Stop::NotMet)
            .collect::<Vec<_>>(),
    );
    let which = match stop.is_empty() {
        true => "all metrics".to_owned(),
        false => stop.join(", "),
    };
    let _ = writeln!(
        body,
        "<h2>Enough seeds?</h2>\n<p>The stop rule: the 95 % half-width of a mean is at most {share} % of it, for {}.</p>",
        escape(&which)
    );
    if unmet.is_empty() {
        body.push_str("<p>Every cell met it.</p>\n");
        return;
    }
    let _ = writeln!(
        body,
        "<p class=\"bad\">Not met by {} of them, so read these means with their intervals:</p>\n<ul>",
        count(unmet.len(), "mean")
    );
    for summary in unmet {
        let by = match summary.relative() {
            r if r.is_finite() => format!("half-width {} % of the mean", short(r * 100.0)),
            _ => "no half-width to be had".into(),
        };
        let _ = writeln!(
            body,
            "<li>cell {} ({}): {}, {by} after {}</li>",
            summary.cell,
            escape(&label(&summary.params)),
            escape(&summary.metric),
            count(summary.n, "run")
        );
    }
    body.push_str("</ul>\n");
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn cells(body: &mut String, folder: &Folder, data: &Data) {
    let shown = in_order(&data.metrics, &folder.about().stop, &data.rows);
    body.push_str(
        "<h2>Cells</h2>\n<div class=\"wide\" role=\"region\" aria-label=\"Cells\" tabindex=\"0\">\n<table>\n\
         <caption>Mean ± 95 % half-width over the seeds of each cell; a dash where a metric does not apply</caption>\n\
         <thead><tr><th scope=\"col\">cell</th><th scope=\"col\">runs</th>",
    );
    for metric in &shown {
        let title = escape(&data.metrics[*metric].title());
        let _ = write!(body, "<th scope=\"col\">{title}</th>");
    }
    body.push_str("</tr></thead>\n<tbody>\n");
    let cells = by_cell(&data.rows);
    for ((cell, runs), summaries) in cells
        .iter()
        .zip(data.summaries.chunks(data.metrics.len().max(1)))
    {
        let _ = write!(
            body,
            "<tr><th scope=\"row\">{cell} ({})</th><td>{}</td>",
            escape(&label(&runs[0].params)),
            runs.len()
        );
        for metric in &shown {
            let mean = mean(&summaries[*metric]);
            let _ = write!(body, "<td class=\"figure\">{mean}</td>");
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody>\n</table>\n</div>\n");
    let constant = data.metrics.iter().filter_map(|metric| {
        let figure = constant(metric, &data.rows)?;
        Some(format!("{} {figure}", escape(&metric.title())))
    });
    let constant: Vec<_> = constant.collect();
    if !constant.is_empty() {
        let _ = writeln!(
            body,
            "<p>The same in every run: {}.</p>",
            constant.join(", ")
        );
    }
}

fn mean(summary: &Summary) -> String {
    match (summary.mean, summary.half_width_95) {
        (Some(mean), Some(half)) => format!("{} ± {}", short(mean), short(half)),
        (Some(mean), None) => format!("{} (one run)", short(mean)),
        (None, _) => "-".into(),
    }
}

fn meanings(body: &mut String, data: &Data) {
    let described: Vec<_> = data.metrics.iter().filter(|m| !m.help.is_empty()).collect();
    if described.is_empty() {
        return;
    }
    body.push_str("<h2>Metrics</h2>\n<dl>\n");
    for metric in described {
        let better = match metric.better {
            super::Better::Lower => " Lower is better.",
            super::Better::Higher => " Higher is better.",
            super::Better::Neither => "",
        };
        let _ = writeln!(
            body,
            "<dt>{}</dt><dd>{}{better}</dd>",
            escape(&metric.title()),
            escape(&metric.help)
        );
    }
    body.push_str("</dl>\n");
}

fn origin(body: &mut String, folder: &Folder, data: &Data, experiment: &str) {
    let about = folder.about();
    body.push_str("<h2>How to repeat it</h2>\n");
    let others: Vec<_> = data
        .commits
        .iter()
        .filter(|c| **c != about.commit)
        .collect();
    if !others.is_empty() {
        let others: Vec<_> = others.iter().map(|c| escape(c)).collect();
        let _ = writeln!(
            body,
            "<p class=\"bad\">The runs were not all made at one commit: some come from {}.</p>",
            others.join(", ")
        );
    }
    if about.commit.ends_with("-dirty") || about.commit == "unknown" {
        body.push_str("<p class=\"bad\">The sources were changed or unknown, so the commit alone does not repeat it.</p>\n");
    }
    let _ = writeln!(
        body,
        "<pre tabindex=\"0\" aria-label=\"Command\">{}</pre>\n<dl>\n<dt>Program</dt><dd>starling-sim {}</dd>\n\
         <dt>Commit</dt><dd><code>{}</code></dd>\n<dt>Lockfile, BLAKE3</dt><dd><code>{}</code></dd>\n\
         <dt>Experiment, BLAKE3</dt><dd><code>{}</code></dd>\n<dt>Seeds</dt><dd>{}</dd>\n</dl>\n\
         <h3>Experiment</h3>\n<pre tabindex=\"0\" aria-label=\"Experiment\">{}</pre>",
        escape(&about.command_line()),
        escape(&about.version),
        escape(&about.commit),
        escape(&about.lockfile_blake3),
        escape(&about.experiment_blake3),
        seeds(&data.rows.iter().map(|r| r.seed).collect()),
        escape(experiment)
    );
}

/// `1 to 5, 9`.
fn seeds(all: &BTreeSet<u64>) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for seed in all {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*seed) => *last = *seed,
            Some(_) | None => runs.push((*seed, *seed)),
        }
    }
    let runs = runs.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first} to {last}"),
    });
    runs.collect::<Vec<_>>().join(", ")
}
