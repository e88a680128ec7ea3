//! Routes of what only the owner's shell knows: settings, checks of the machine, its log, receipts.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Hosted;
use super::extract::{Path, Query, Sent};
use super::handlers::{Answer, Shared};
use super::types::{Problem, SCHEMA};
use crate::home::config::{Kind, Value};
use crate::reason::Reason;
use crate::recent::{self, Line};

/// The shell behind the API. Calls may take seconds: they are made where that disturbs nobody.
pub trait Owner: Send + Sync {
    /// All settings.
    ///
    /// # Errors
    /// `bad_settings`.
    fn settings(&self) -> Result<Vec<SettingView>, Reason>;

    /// Writes one, or takes it out so that its default counts.
    ///
    /// # Errors
    /// `not_found`, `bad_settings`, `disk_failed`.
    fn set(&self, key: &str, value: Option<Value>) -> Result<SettingView, Reason>;

    /// What `starling doctor` finds.
    fn doctor(&self) -> Vec<serde_json::Value>;

    /// What `starling proof verify` says of a bundle.
    fn verify(&self, bundle: &[u8]) -> serde_json::Value;
}

/// A setting.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SettingView {
    /// Its name.
    pub key: String,
    /// What it is, in a line.
    pub about: String,
    /// What counts.
    #[schema(value_type = serde_json::Value)]
    pub value: Value,
    /// What counts if nobody says anything.
    #[schema(value_type = serde_json::Value)]
    pub default: Value,
    /// Who said it: `default`, `file`, `variable` or `flag`.
    pub from: String,
    /// What it takes.
    pub kind: KindView,
    /// Whether a running peer takes it at once.
    pub live: bool,
}

/// What a setting takes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KindView {
    /// `addresses`, `list`, `one_of`, `text` or `number`.
    pub r#type: String,
    /// What may be written, for people.
    pub hint: String,
    /// The words to choose from.
    pub words: Option<Vec<String>>,
    /// The least number, or bytes of a text.
    pub low: Option<u64>,
    /// The most.
    pub high: Option<u64>,
}

impl From<Kind> for KindView {
    fn from(kind: Kind) -> Self {
        let (r#type, low, high) = match kind {
            Kind::Addresses => ("addresses", None, None),
            Kind::Names | Kind::Hours => ("list", None, None),
            Kind::OneOf(_) => ("one_of", None, None),
            Kind::Text { least, most } => ("text", Some(least as u64), Some(most as u64)),
            Kind::Number { low, high } => ("number", Some(low), Some(high)),
        };
        let words = match kind {
            Kind::OneOf(words) => Some(words.iter().map(|w| (*w).to_owned()).collect()),
            _ => None,
        };
        Self {
            r#type: r#type.into(),
            hint: kind.hint(),
            words,
            low,
            high,
        }
    }
}

/// All settings.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Settings {
    /// [`SCHEMA`].
    pub schema: u32,
    /// In the order of the file.
    pub settings: Vec<SettingView>,
}

/// A new value.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct SettingOrder {
    /// A text, a number or a list; null takes the setting out of the file.
    #[schema(value_type = Option<Object>)]
    pub value: Option<Value>,
}

/// What the doctor says.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Checks {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Each with `name`, `status` (`ok`, `note` or `finding`), `what` and `fix`.
    #[schema(value_type = Vec<Object>)]
    pub checks: Vec<serde_json::Value>,
}

/// Asks the shell, where that disturbs nobody.
async fn ask<T: Send + 'static>(
    hosted: &Hosted,
    what: impl FnOnce(&dyn Owner) -> T + Send + 'static,
) -> Result<T, Reason> {
    let owner = hosted.owner.clone().ok_or_else(|| {
        let what = "this is no lasting peer, but one of a command";
        Reason::new("not_found", what, "start one with `starling up`")
    })?;
    let asked = tokio::task::spawn_blocking(move || what(owner.as_ref()));
    asked.await.map_err(|e| Reason::of("error", e))
}

/// All settings, with where each comes from.
#[utoipa::path(get, path = "/settings", responses((status = 200, body = Settings),
    (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn settings(State(hosted): Shared) -> Answer<Settings> {
    let settings = ask(&hosted, |owner| owner.settings()).await??;
    Ok(Json(Settings {
        schema: SCHEMA,
        settings,
    }))
}

/// Writes one setting into the file; comments stay.
#[utoipa::path(put, path = "/settings/{key}", params(("key" = String, Path)), request_body = SettingOrder,
    responses((status = 200, body = SettingView), (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn set(
    State(hosted): Shared,
    Path(key): Path<String>,
    Sent(order): Sent<SettingOrder>,
) -> Answer<SettingView> {
    let set = ask(&hosted, move |owner| owner.set(&key, order.value)).await??;
    Ok(Json(set))
}

/// Which lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
pub struct LogQuery {
    /// Those after this number; all that are kept, if it is not said.
    #[serde(default)]
    pub after: u64,
}

/// Lines of the log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Logs {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The oldest first.
    pub lines: Vec<Line>,
}

/// The latest lines of the log.
#[utoipa::path(get, path = "/logs", params(LogQuery), responses((status = 200, body = Logs)))]
pub(super) async fn logs(Query(query): Query<LogQuery>) -> Json<Logs> {
    Json(Logs {
        schema: SCHEMA,
        lines: recent::lines(query.after),
    })
}

/// What keeps this machine from working well, as `starling doctor` finds it.
#[utoipa::path(get, path = "/doctor", responses((status = 200, body = Checks),
    (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn doctor(State(hosted): Shared) -> Answer<Checks> {
    let checks = ask(&hosted, |owner| owner.doctor()).await?;
    Ok(Json(Checks {
        schema: SCHEMA,
        checks,
    }))
}

/// What the receipts of a bundle are worth, as `starling proof verify --json` says it.
#[utoipa::path(post, path = "/bundles/verify",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 200, body = Object),
    (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn verify(State(hosted): Shared, bundle: Bytes) -> Answer<serde_json::Value> {
    Ok(Json(
        ask(&hosted, move |owner| owner.verify(&bundle)).await?,
    ))
}
