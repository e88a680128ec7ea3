//! `/metrics` in OpenMetrics text, and `/healthz` and `/readyz` for whoever starts and watches the peer.
//!
//! Units are base units, and no label holds a peer's or a job's name: a scrape tells of this peer alone.

use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Hosted;
use super::handlers::Shared;
use crate::compute::Usage;
use crate::jobs::{JobState, account};
use crate::lend::Span;
use crate::reason::Reason;

/// What the specification calls the format.
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// Everything of this peer that is a number.
pub(super) async fn metrics(State(hosted): Shared) -> Result<Response, Reason> {
    let mut all = Registry::with_prefix("starling");
    peer(&mut all, &hosted).await;
    lending(&mut all, &hosted);
    jobs(&mut all, &hosted);
    let mut text = String::new();
    encode(&mut text, &all).map_err(|e| Reason::of("error", e))?;
    Ok(([(header::CONTENT_TYPE, FORMAT)], text).into_response())
}

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The peer is connected to somebody, or has nobody to be connected to.
pub(super) async fn readyz(State(hosted): Shared) -> Response {
    let net = match &hosted.lender {
        Some(node) => node.network().await,
        None => None,
    };
    let (status, says) = match net {
        None => (StatusCode::SERVICE_UNAVAILABLE, "leaving\n"),
        Some(net) if net.peers == 0 && !net.bootstrap.is_empty() => {
            (StatusCode::SERVICE_UNAVAILABLE, "no peer is connected\n")
        }
        Some(_) => (StatusCode::OK, "ok\n"),
    };
    (status, says).into_response()
}

type Named<'a> = (&'a str, &'a str);

fn gauges(
    all: &mut Registry,
    about: Named<'_>,
    unit: Option<Unit>,
    values: impl IntoIterator<Item = (Labels, f64)>,
) {
    register(
        all,
        about,
        unit,
        values,
        |gauge: &Gauge<f64, AtomicU64>, value| {
            gauge.set(value);
        },
    );
}

fn counters(
    all: &mut Registry,
    about: Named<'_>,
    unit: Option<Unit>,
    values: impl IntoIterator<Item = (Labels, f64)>,
) {
    register(
        all,
        about,
        unit,
        values,
        |counter: &Counter<f64, AtomicU64>, value| {
            counter.inc_by(value);
        },
    );
}

/// One family, with a value for each set of labels.
fn register<M>(
    all: &mut Registry,
    (name, help): Named<'_>,
    unit: Option<Unit>,
    values: impl IntoIterator<Item = (Labels, f64)>,
    put: impl Fn(&M, f64),
) where
    M: EncodeMetric + TypedMetric + Default + std::fmt::Debug + Send + Sync + 'static,
{
    let family = Family::<Labels, M>::default();
    for (labels, value) in values {
        put(&family.get_or_create(&labels), value);
    }
    match unit {
        Some(unit) => all.register_with_unit(name, help, unit, family),
        None => all.register(name, help, family),
    }
}

fn one(value: f64) -> [(Labels, f64); 1] {
    [(Vec::new(), value)]
}

async fn peer(all: &mut Registry, hosted: &Hosted) {
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    let about = ("build", "This program; always 1");
    gauges(all, about, None, [(version, 1.0)]);
    let Some(node) = &hosted.lender else {
        return;
    };
    if let Some(net) = node.network().await {
        let direct = (net.peers - net.relayed_peers.min(net.peers)) as f64;
        let path = |name: &str| vec![("path", name.to_owned())];
        let about = ("connected_peers", "Peers of the swarm that are connected");
        let counts = [
            (path("direct"), direct),
            (path("relayed"), net.relayed_peers as f64),
        ];
        gauges(all, about, None, counts);
    }
    let peers = node.peers().await;
    let known = peers.iter().filter(|(a, _)| a.peer != node.key()).count();
    let about = ("known_peers", "Other peers with a valid advert");
    gauges(all, about, None, one(known as f64));
    let about = ("store", "What the lending peer's blob store holds");
    let held = node.blobs().used_bytes() as f64;
    gauges(all, about, Some(Unit::Bytes), one(held));
    usage(all, node.usage().await);
}

fn usage(all: &mut Registry, usage: Usage) {
    let purpose = |name: &str| vec![("purpose", name.to_owned())];
    let seconds = |us: u64| us as f64 / 1e6;
    let about = ("device", "Device time by purpose");
    let times = [
        (purpose("work"), seconds(usage.work_us)),
        (purpose("audit"), seconds(usage.audit_us)),
        (purpose("own"), seconds(usage.own_us)),
        (purpose("probe"), seconds(usage.probe_us)),
    ];
    counters(all, about, Some(Unit::Seconds), times);
    let about = ("tiles", "Tiles computed, by purpose");
    let tiles = [
        (purpose("work"), usage.work_tiles as f64),
        (purpose("audit"), usage.audit_tiles as f64),
        (purpose("probe"), usage.probe_tiles as f64),
    ];
    counters(all, about, None, tiles);
    let about = (
        "device_losses",
        "Device processes that died or had to be killed",
    );
    counters(all, about, None, one(usage.lost as f64));
}

fn lending(all: &mut Registry, hosted: &Hosted) {
    let Some(keeper) = &hosted.lending else {
        return;
    };
    let now = keeper.standings();
    let about = ("lending", "1 while the device is lent, else 0");
    let lends = f64::from(u8::from(now.against.is_empty()));
    gauges(all, about, None, one(lends));
    let about = ("lending_objection", "1 for all that speaks against lending");
    let reason =
        |o: &starling_protocol::lending::Objection| (vec![("reason", o.code().to_owned())], 1.0);
    gauges(all, about, None, now.against.iter().map(reason));
    let about = ("slices_running", "Slices being computed or audited");
    let running = hosted.ledger.running().len();
    gauges(all, about, None, one(running as f64));
    let Some(sample) = keeper.samples(Span::Hour).pop() else {
        return;
    };
    let of = |value: Option<f64>| value.map(|v| (Vec::new(), v));
    let mib = |value: Option<u64>| value.map(|mib| (mib << 20) as f64);
    let how = sample.gauges;
    for (about, unit, value) in [
        (
            ("gpu_utilization", "How much of the GPU is in use"),
            Unit::Ratios,
            of(how.gpu_pct.map(|p| f64::from(p) / 100.0)),
        ),
        (
            ("gpu_power", "What the GPU draws"),
            Unit::Other("watts".into()),
            of(how.watts.map(f64::from)),
        ),
        (
            ("gpu_memory_used", "Memory of the GPU in use"),
            Unit::Bytes,
            of(mib(how.memory_mib)),
        ),
        (
            ("device_temperature", "The device's temperature"),
            Unit::Celsius,
            of(how.temperature_c.map(f64::from)),
        ),
    ] {
        if value.is_some() {
            gauges(all, about, Some(unit), value);
        }
    }
}

fn jobs(all: &mut Registry, hosted: &Hosted) {
    let states = [
        (JobState::Running, "running"),
        (JobState::Done, "done"),
        (JobState::Cancelled, "cancelled"),
        (JobState::Failed, "failed"),
        (JobState::Interrupted, "interrupted"),
    ];
    let files = match hosted.desk.get() {
        Some(desk) => desk.list(),
        None => account::all(&hosted.jobs),
    };
    let count = |state| files.iter().filter(|f| f.state == state).count() as f64;
    let counts = states.map(|(state, name)| (vec![("state", name.to_owned())], count(state)));
    let about = ("jobs", "Jobs of this home, by state");
    gauges(all, about, None, counts);
}
