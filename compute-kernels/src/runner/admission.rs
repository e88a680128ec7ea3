//! Asks about a shader of a stranger, or of one's own, without looking at it in this process.
//!
//! Each question has a fresh, confined process, which is killed if it does not answer by its deadline. What is decided
//! there is `shader`'s affair.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::{Request, Response};
use super::process::unexpected;
use super::{RunnerCommand, RunnerError};
use crate::shader::survey::Survey;
use crate::shader::{Refusal, Spec};

/// What a shader is, or every reason not to run it.
pub type Surveyed = Result<Survey, Vec<Refusal>>;

impl RunnerCommand {
    /// See [`crate::shader::survey::survey`].
    pub fn survey(
        &self,
        shader: &str,
        entry: Option<&str>,
        overrides: &[(String, f64)],
        deadline: Duration,
    ) -> Result<Surveyed, RunnerError> {
        let parts = vec![text(shader), json(&entry)?.into(), json(&overrides)?.into()];
        match self.confined().ask(Request::Survey, parts, deadline)? {
            (Response::Surveyed, answer) => parsed(&answer),
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// The same job with the digest of the program that the shader becomes in it, on inputs of so many `bytes`.
    pub fn admit(
        &self,
        spec: &Spec,
        shader: &str,
        bytes: &[usize],
        deadline: Duration,
    ) -> Result<Result<Spec, Refusal>, RunnerError> {
        let parts = vec![text(shader), json(spec)?.into(), json(&bytes)?.into()];
        match self.confined().ask(Request::Admit, parts, deadline)? {
            (Response::Admitted, answer) => {
                let admitted: Result<String, Refusal> = parsed(&answer)?;
                Ok(admitted.map(|program| Spec {
                    program,
                    ..spec.clone()
                }))
            }
            (other, _) => Err(unexpected(&other)),
        }
    }
}

fn text(shader: &str) -> Arc<[u8]> {
    Arc::from(shader.as_bytes())
}

/// A text and two values.
pub(super) fn asked<A: DeserializeOwned, B: DeserializeOwned>(
    parts: &[Vec<u8>],
) -> Result<(&str, A, B), RunnerError> {
    let [text, a, b] = parts else {
        return Err(RunnerError::Device("three parts are needed".into()));
    };
    let text = std::str::from_utf8(text).map_err(lost)?;
    Ok((text, parsed(a)?, parsed(b)?))
}

pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>, RunnerError> {
    serde_json::to_vec(value).map_err(lost)
}

pub(super) fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RunnerError> {
    serde_json::from_slice(bytes).map_err(lost)
}

/// Neither end says what the other does not understand, unless it is broken.
fn lost(error: impl std::fmt::Display) -> RunnerError {
    RunnerError::Lost(format!("its process makes no sense: {error}"))
}
