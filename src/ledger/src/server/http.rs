//! What people and programs ask over HTTP, and the paths of everything that is served.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query as Parameters, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::Router;
use serde::Deserialize;
use serde_json::{json, Value};

use super::{now, services, LedgerState};
use crate::day::DAY;
use crate::store::Failed;
use crate::usage::{Form, Query};

/// The longest revocation, in bytes.
const MAX_REVOCATION: usize = 4096;
/// The longest id of a key, in bytes.
const MAX_ID: usize = 256;

pub(super) fn routes(state: Arc<LedgerState>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/usage", get(usage))
        .route("/revocations", get(revocations))
        .route("/revocations/{id}", put(revoke).delete(restore))
        .route("/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", post(services::should_rate_limit))
        .route("/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", post(services::stream_access_logs))
        .layer(DefaultBodyLimit::max(MAX_REVOCATION))
        .with_state(state)
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn error(status: StatusCode, message: &str) -> Response {
    json_answer(status, &json!({"error": {"message": message}}))
}

fn failed(state: &LedgerState, failure: &Failed) -> Response {
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
            Form::Json => ([(CONTENT_TYPE, "application/json")], table.json()).into_response(),
            Form::Csv => ([(CONTENT_TYPE, "text/csv; charset=utf-8")], table.csv()).into_response(),
        },
        Err(failure) => failed(&state, &failure),
    }
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: i64,
}

/// What has changed of what is revoked, since a change.
async fn revocations(
    State(state): State<Arc<LedgerState>>,
    Parameters(After { after }): Parameters<After>,
) -> Response {
    match state.store_thread.run(move |store| store.revocations(after)).await {
        Ok(changes) => {
            let last = changes.last().map_or(after, |last| last.change);
            let entry = |revocation: &crate::store::Revocation| {
                let value = revocation.value.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
                json!({"id": revocation.id, "revocation": value})
            };
            let changes: Vec<Value> = changes.iter().map(entry).collect();
            json_answer(StatusCode::OK, &json!({"last": last, "changes": changes}))
        }
        Err(failure) => failed(&state, &failure),
    }
}

async fn revoke(State(state): State<Arc<LedgerState>>, Path(id): Path<String>, body: String) -> Response {
    match serde_json::from_str::<Value>(&body) {
        Ok(Value::Object(fields)) => change(state, id, Some(Value::Object(fields).to_string())).await,
        _ => error(StatusCode::BAD_REQUEST, "the body must be a JSON object"),
    }
}

async fn restore(State(state): State<Arc<LedgerState>>, Path(id): Path<String>) -> Response {
    change(state, id, None).await
}

async fn change(state: Arc<LedgerState>, id: String, value: Option<String>) -> Response {
    if id.is_empty() || id.len() > MAX_ID {
        return error(StatusCode::BAD_REQUEST, "id: must be 1 to 256 bytes");
    }
    match state.store_thread.run(move |store| store.revoke(&id, value.as_deref())).await {
        Ok(change) => json_answer(StatusCode::OK, &json!({"last": change})),
        Err(failure) => failed(&state, &failure),
    }
}
