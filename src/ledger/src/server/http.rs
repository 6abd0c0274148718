//! What people and programs ask over HTTP, and the paths of everything that is served.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Query as Parameters, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::Router;
use serde_json::{json, Value};

use super::{envoys, now, services, LedgerState};
use crate::day::DAY;
use crate::store::Failed;
use crate::usage::{Query, ReportFormat};

/// The longest revocation, in bytes.
const MAX_REVOCATION: usize = 4096;

pub(super) fn routes(state: Arc<LedgerState>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/usage", get(usage))
        .route("/windows", get(envoys::windows))
        .route("/revocations", get(envoys::revocations))
        .route("/revocations/{id}", put(envoys::revoke).delete(envoys::restore))
        .route("/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", post(services::should_rate_limit))
        .route("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", post(services::stream_access_logs))
        .layer(DefaultBodyLimit::max(MAX_REVOCATION))
        .with_state(state)
}

pub(super) fn json_answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub(super) fn error(status: StatusCode, message: &str) -> Response {
    json_answer(status, &json!({"error": {"message": message}}))
}

pub(super) fn failed(state: &LedgerState, failure: &Failed) -> Response {
    state.failed(failure);
    error(StatusCode::SERVICE_UNAVAILABLE, &failure.0)
}

async fn health(State(state): State<Arc<LedgerState>>) -> Response {
    match state.metrics.failing() {
        None => json_answer(StatusCode::OK, &json!({"status": "ok"})),
        Some(said) => error(StatusCode::SERVICE_UNAVAILABLE, &said),
    }
}

async fn metrics(State(state): State<Arc<LedgerState>>) -> Response {
    let text = state.metrics.text(state.limits().len());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn usage(
    State(state): State<Arc<LedgerState>>,
    Parameters(parameters): Parameters<Vec<(String, String)>>,
) -> Response {
    let pairs = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let query = match Query::read(pairs, now() / DAY as i64) {
        Ok(query) => query,
        Err(problem) => return error(StatusCode::BAD_REQUEST, &problem),
    };
    let form = query.form;
    match state.store_thread.run(move |store| query.answer(store)).await {
        Ok(table) => match form {
            ReportFormat::Json => ([(CONTENT_TYPE, "application/json")], table.json()).into_response(),
            ReportFormat::Csv => ([(CONTENT_TYPE, "text/csv; charset=utf-8")], table.csv()).into_response(),
        },
        Err(failure) => failed(&state, &failure),
    }
}
