//! Routes of lending: whether the device is lent, why not, and how it is.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use starling_protocol::lending::{Readings, Rule, Standing, Switch};
use utoipa::{IntoParams, ToSchema};

use super::Hosted;
use super::extract::{Query, Sent, bad};
use super::handlers::{Answer, Shared};
use super::types::{Problem, SCHEMA};
use crate::compute::Usage;
use crate::driver::unix_s;
use crate::lend::{Earnings, Keeper, Running, Sample, Span, Standings};
use crate::reason::Reason;

/// Longest pause with an end: a year.
const PAUSE_MAX_S: u64 = 366 * 86_400;

/// Whether the device is lent, and why not.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LendView {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whether it is lent now.
    pub lends: bool,
    /// What the owner says: `on`, `off` or `paused`.
    pub switch: String,
    /// When a pause ends by itself, Unix seconds.
    pub paused_until_s: Option<u64>,
    /// What speaks against lending most.
    pub reason: Option<Reason>,
    /// All that speaks against it, the weightiest first.
    pub against: Vec<Reason>,
    /// Since when it is lent, or is not, Unix seconds.
    pub since_s: u64,
    /// What it is judged by; null where there is no sensor, or no rule that needs it.
    #[schema(value_type = Object)]
    pub readings: Readings,
    /// The owner's rules.
    pub rules: Vec<RuleView>,
}

/// One rule, and what it does now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RuleView {
    /// The setting that holds it.
    pub key: String,
    /// What it does: `off` if it is not set, `unknown` without its sensor, else `allows`, `limits` or `forbids`.
    #[schema(value_type = String)]
    pub now: Standing,
}

/// What the owner says.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LendOrder {
    /// `on`, `off` or `pause`.
    pub switch: SwitchWord,
    /// For how long to pause, seconds; until it is ended, if it is not said.
    #[serde(default)]
    pub for_s: Option<u64>,
}

/// A word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SwitchWord {
    /// The rules decide.
    On,
    /// Never.
    Off,
    /// Not for a while.
    Pause,
}

/// Which samples.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
pub struct SpanQuery {
    /// `hour` or `day`.
    #[serde(default)]
    #[param(inline)]
    pub span: Span,
}

/// How the device was.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SensorsView {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Seconds between two samples.
    pub every_s: u64,
    /// The oldest first.
    pub samples: Vec<Sample>,
}

/// The setting that holds a rule.
pub fn key_of(rule: Rule) -> &'static str {
    match rule {
        Rule::Idle => "lend.idle_s",
        Rule::FullScreen => "lend.full_screen",
        Rule::Apps => "lend.apps",
        Rule::ForeignGpu => "lend.foreign_gpu_pct",
        Rule::Battery => "lend.battery",
        Rule::Hours => "lend.hours",
        Rule::Temperature => "lend.temperature_c",
        Rule::Memory => "lend.memory_pct",
        Rule::Duty => "lend.duty_pct",
        Rule::Upload => "lend.upload_mbit_s",
        Rule::Download => "lend.download_mbit_s",
    }
}

impl From<Standings> for LendView {
    fn from(now: Standings) -> Self {
        let against: Vec<Reason> = now.against.iter().map(Reason::from).collect();
        let (switch, paused_until_s) = match now.switch {
            Switch::On => ("on", None),
            Switch::Off => ("off", None),
            Switch::Paused { until_s } => ("paused", until_s),
        };
        let rule = |(rule, now): &(Rule, Standing)| RuleView {
            key: key_of(*rule).into(),
            now: *now,
        };
        Self {
            schema: SCHEMA,
            lends: against.is_empty(),
            switch: switch.into(),
            paused_until_s,
            reason: against.first().cloned(),
            against,
            since_s: now.since_s,
            readings: now.readings,
            rules: now.rules.iter().map(rule).collect(),
        }
    }
}

fn keeper(hosted: &Hosted) -> Result<&Keeper, Reason> {
    hosted.lending.as_ref().ok_or_else(|| {
        let what = "this is no lending peer, but one of a command";
        Reason::new("not_found", what, "start one with `starling up`")
    })
}

/// Whether the device is lent, and why not.
#[utoipa::path(get, path = "/lend", responses((status = 200, body = LendView),
    (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(hosted): Shared) -> Answer<LendView> {
    Ok(Json(keeper(&hosted)?.standings().into()))
}

/// Switches lending on, off, or pauses it; at once.
#[utoipa::path(post, path = "/lend", request_body = LendOrder, responses((status = 200, body = LendView),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set(State(hosted): Shared, Sent(order): Sent<LendOrder>) -> Answer<LendView> {
    let keeper = keeper(&hosted)?.clone();
    if order.for_s.is_some_and(|s| s == 0 || s > PAUSE_MAX_S) {
        return Err(bad(format!("`for_s` is 1 to {PAUSE_MAX_S}")));
    }
    let switch = match (order.switch, order.for_s) {
        (SwitchWord::On, None) => Switch::On,
        (SwitchWord::Off, None) => Switch::Off,
        (SwitchWord::Pause, for_s) => Switch::Paused {
            until_s: for_s.map(|s| unix_s() + s),
        },
        _ => return Err(bad("`for_s` goes with `pause` only")),
    };
    // It waits for the disk.
    let set = tokio::task::spawn_blocking(move || keeper.set(switch).map(|()| keeper.standings()));
    let standings = set.await.map_err(|e| Reason::of("error", e))??;
    Ok(Json(standings.into()))
}

/// What the peer does for others.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkView {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Earned since midnight.
    pub today: Earnings,
    /// Slices that are being computed or audited.
    pub running: Vec<Running>,
    /// Device time and tiles by purpose, since the peer started.
    #[schema(value_type = Object)]
    pub usage: Usage,
}

/// What the peer computes for others, and what it has earned today.
#[utoipa::path(get, path = "/work", responses((status = 200, body = WorkView),
    (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn work(State(hosted): Shared) -> Answer<WorkView> {
    keeper(&hosted)?;
    let usage = match &hosted.lender {
        Some(node) => node.usage().await,
        None => Usage::default(),
    };
    Ok(Json(WorkView {
        schema: SCHEMA,
        today: hosted.ledger.today(),
        running: hosted.ledger.running(),
        usage,
    }))
}

/// How the device was in the last hour or day.
#[utoipa::path(get, path = "/sensors", params(SpanQuery), responses((status = 200, body = SensorsView),
    (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn sensors(
    State(hosted): Shared,
    Query(query): Query<SpanQuery>,
) -> Answer<SensorsView> {
    Ok(Json(SensorsView {
        schema: SCHEMA,
        every_s: query.span.every_s(),
        samples: keeper(&hosted)?.samples(query.span),
    }))
}
