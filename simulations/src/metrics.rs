//! The figures of a run that tables and plots show, each with its unit, its meaning and which way is better.

use crate::observe::{JobStats, PeerStats};
use crate::results::{Better, MetricInfo, Row, Samples, Value};
use crate::run::Report;
use Better::{Higher, Lower, Neither};
use starling_protocol::Time;
use std::collections::BTreeMap;

type Metric = (
    &'static str,
    &'static str,
    Better,
    &'static str,
    fn(&Report) -> Option<f64>,
);

fn some(x: impl Into<f64>) -> Option<f64> {
    Some(x.into())
}

fn share(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) / f64::from(whole))
}

fn part(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// In the order in which they are shown.
const METRICS: &[Metric] = &[
    ("jobs", "", Neither, "jobs submitted", |r| some(r.jobs)),
    (
        "jobs_done_share",
        "",
        Higher,
        "jobs that came to their end, of those that were not still running",
        |r| share(r.jobs_done, r.jobs - r.jobs_open.min(r.jobs)),
    ),
    (
        "job_s",
        "s",
        Lower,
        "from a job's submission to its end, mean",
        |r| r.job_s.mean,
    ),
    ("job_s_p95", "s", Lower, "the same, 95th percentile", |r| {
        r.job_s.p95
    }),
    (
        "placement_ms",
        "ms",
        Lower,
        "from submission to the first worker's start, median",
        |r| r.placement_ms.p50,
    ),
    (
        "placement_ms_p95",
        "ms",
        Lower,
        "the same, 95th percentile",
        |r| r.placement_ms.p95,
    ),
    (
        "traffic_bytes_per_s",
        "B/s",
        Lower,
        "sent by a peer: messages, gossip, lookups; blobs aside",
        |r| some(r.traffic_bytes_per_s),
    ),
    (
        "gossip_bytes_per_s",
        "B/s",
        Lower,
        "of these, gossip with its control",
        |r| {
            some(
                (r.gossip.bytes + r.gossip.control_bytes) as f64 / f64::from(r.peers) / r.virtual_s,
            )
        },
    ),
    ("messages_per_slice", "", Lower, "control messages", |r| {
        some(r.messages_per_slice)
    }),
    ("bytes_per_slice", "B", Lower, "control messages", |r| {
        some(r.bytes_per_slice)
    }),
    ("slices_done", "", Higher, "slices with an output", |r| {
        some(r.slices_done)
    }),
    (
        "receipts",
        "",
        Higher,
        "receipts at their requesters, verified offline",
        |r| some(r.receipts),
    ),
    (
        "detection_share",
        "",
        Higher,
        "slices of cheats that were refuted, of those that were committed",
        |r| {
            share(
                r.cheat_slices_refuted,
                r.cheat_slices_refuted + r.slices_wrong,
            )
        },
    ),
    (
        "slices_wrong",
        "",
        Lower,
        "slices taken for right that are wrong",
        |r| some(r.slices_wrong),
    ),
    (
        "adversaries_caught_share",
        "",
        Higher,
        "adversaries blamed at least once",
        |r| share(r.adversaries_caught, r.adversaries),
    ),
    (
        "paid_tiles",
        "",
        Neither,
        "tiles with a receipt, of a peer in a group of adversaries",
        |r| part(r.grouped_paid, r.grouped.into()),
    ),
    (
        "worked_tiles",
        "",
        Neither,
        "tiles of leases that it computed",
        |r| part(r.grouped_worked, r.grouped.into()),
    ),
    (
        "profit_tiles",
        "",
        Neither,
        "the first less the second",
        |r| {
            let (paid, worked) = (r.grouped_paid as f64, r.grouped_worked as f64);
            (r.grouped > 0).then(|| (paid - worked) / f64::from(r.grouped))
        },
    ),
    (
        "false_accusations",
        "",
        Lower,
        "honest peers blamed, by honest ones",
        |r| some(r.false_accusations),
    ),
    (
        "audit_share",
        "",
        Lower,
        "tiles recomputed by auditors per tile of work",
        |r| some(r.audit_share),
    ),
    (
        "audit_share_newcomers",
        "",
        Lower,
        "the same of newcomers' slices with receipts",
        |r| part(r.audits.newcomer_audited, r.audits.newcomer_tiles),
    ),
    (
        "audit_share_trusted",
        "",
        Lower,
        "the same of trusted workers' slices",
        |r| part(r.audits.trusted_audited, r.audits.trusted_tiles),
    ),
    (
        "trusted_share",
        "",
        Higher,
        "work with receipts that was done by workers whom their steward trusts",
        |r| {
            let all = r.audits.trusted_tiles + r.audits.newcomer_tiles;
            part(r.audits.trusted_tiles, all)
        },
    ),
    (
        "wasted_share",
        "",
        Lower,
        "work computed for slices that had to be done again or were cut off by the horizon",
        |r| some(r.wasted_share),
    ),
    (
        "re_leases_per_slice",
        "",
        Lower,
        "leases that ended without a receipt",
        |r| share(r.re_leases.values().sum(), r.slices),
    ),
    ("weak_share", "", Lower, "receipts flagged weak", |r| {
        share(r.flags.weak, r.receipts)
    }),
    (
        "self_checked_share",
        "",
        Lower,
        "receipts that rest on their requester alone",
        |r| share(r.flags.self_checked, r.receipts),
    ),
    (
        "lookup_failures_share",
        "",
        Lower,
        "board look-ups without an answer",
        |r| (r.lookups.lookups > 0).then(|| r.lookups.failed as f64 / r.lookups.lookups as f64),
    ),
    (
        "earning_share",
        "",
        Higher,
        "lending peers that earned at least one receipt",
        |r| some(r.earning_share),
    ),
    (
        "earning_share_slowest",
        "",
        Higher,
        "the same of the slowest third",
        |r| some(r.earning_share_slowest),
    ),
    (
        "utilisation",
        "",
        Higher,
        "share of all lent capacity that receipts were earned with",
        |r| some(r.utilisation),
    ),
    (
        "utilisation_slowest",
        "",
        Higher,
        "the same of the slowest third",
        |r| some(r.utilisation_slowest),
    ),
    (
        "events_per_virtual_s",
        "1/s",
        Neither,
        "events of the simulator",
        |r| some(r.events as f64 / r.virtual_s),
    ),
];

/// What each metric is.
#[must_use]
pub fn all() -> Vec<MetricInfo> {
    let info = |(name, unit, better, help, _): &Metric| MetricInfo {
        name: (*name).into(),
        unit: (*unit).into(),
        help: (*help).into(),
        better: *better,
    };
    METRICS.iter().map(info).collect()
}

/// A run's row.
#[must_use]
pub fn row(cell: u32, params: &BTreeMap<String, Value>, report: &Report) -> Row {
    let figure = |(name, .., of): &Metric| Some(((*name).to_owned(), of(report)?));
    Row {
        cell,
        params: params.clone(),
        seed: report.seed,
        metrics: METRICS.iter().filter_map(figure).collect(),
        trace_hash: report.trace_hash.clone(),
        violations: report.violations.clone(),
    }
}

/// The tables whose columns are plotted as distributions.
#[must_use]
pub fn distributions() -> Vec<(String, String)> {
    [
        ("jobs", "placement_ms"),
        ("jobs", "job_s"),
        ("peers", "earned_units_per_s"),
    ]
    .map(|(table, column)| (table.into(), column.into()))
    .into()
}

/// One line a job.
#[must_use]
pub fn jobs<'a>(jobs: impl Iterator<Item = &'a JobStats>) -> Samples {
    let ms = |from: Time, to: Option<Time>| {
        to.map_or(f64::NAN, |t| t.since(from).as_micros() as f64 / 1e3)
    };
    let line = |j: &JobStats| {
        let ended = j.ended.map(|(at, _)| at);
        let failed = j.ended.map_or(f64::NAN, |(_, reason)| {
            f64::from(u8::from(reason.is_some()))
        });
        vec![
            f64::from(j.requester),
            j.submitted.0 as f64 / 1e6,
            ms(j.submitted, j.first_work),
            ms(j.submitted, ended) / 1e3,
            f64::from(j.slices),
            f64::from(j.done),
            f64::from(j.reopened),
            failed,
        ]
    };
    let columns = [
        ("requester", ""),
        ("submitted_s", "s"),
        ("placement_ms", "ms"),
        ("job_s", "s"),
        ("slices", ""),
        ("done", ""),
        ("re_leases", ""),
        ("failed", ""),
    ];
    table("jobs", &columns, jobs.map(line).collect())
}

/// One line a peer that lends.
#[must_use]
pub fn peers<'a>(peers: impl Iterator<Item = (u32, &'a PeerStats)>, virtual_s: f64) -> Samples {
    let line = |(peer, stats): (u32, &PeerStats)| {
        vec![
            f64::from(peer),
            f64::from(stats.kind),
            stats.units_per_s,
            f64::from(stats.earned),
            stats.earned_units as f64 / virtual_s.max(1e-6),
            stats.sent_bytes as f64,
        ]
    };
    let columns = [
        ("peer", ""),
        ("device_kind", ""),
        ("units_per_s", "1/s"),
        ("earned_slices", ""),
        ("earned_units_per_s", "1/s"),
        ("sent_bytes", "B"),
    ];
    table("peers", &columns, peers.map(line).collect())
}

fn table(name: &str, columns: &[(&str, &str)], rows: Vec<Vec<f64>>) -> Samples {
    Samples {
        table: name.into(),
        columns: columns
            .iter()
            .map(|(n, u)| ((*n).into(), (*u).into()))
            .collect(),
        rows,
    }
}
