//! A [`Reason`] as an answer: status by code, body by RFC 9457.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::types::Problem;
use crate::reason::Reason;

/// The status that goes with a code.
fn status(code: &str) -> StatusCode {
    match code {
        "token_missing" | "token_wrong" | "session_over" | "code_spent" => StatusCode::UNAUTHORIZED,
        "host_not_allowed" | "origin_not_allowed" | "scope_too_small" | "not_issuer" => {
            StatusCode::FORBIDDEN
        }
        "unknown_job" | "not_found" => StatusCode::NOT_FOUND,
        "not_allowed" => StatusCode::METHOD_NOT_ALLOWED,
        "output_collected" => StatusCode::GONE,
        "job_running" | "slice_not_done" | "ambiguous_job" | "swarm_open" | "swarm_full"
        | "bad_settings" => StatusCode::CONFLICT,
        "body_too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_slow" => StatusCode::REQUEST_TIMEOUT,
        "bad_request" | "bad_input" | "bad_params" | "bad_job" | "unknown_kernel"
        | "token_in_url" => StatusCode::BAD_REQUEST,
        "too_many" => StatusCode::TOO_MANY_REQUESTS,
        "no_eligible_peer" => StatusCode::SERVICE_UNAVAILABLE,
        "storage_full" => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Reason {
    fn into_response(self) -> Response {
        let status = status(&self.code);
        let problem = Problem {
            r#type: format!("urn:starling:reason:{}", self.code),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: self.what.clone(),
            reason: self,
        };
        // Plain data always becomes JSON.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut answer = (status, body).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        answer.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            answer
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        answer
    }
}
