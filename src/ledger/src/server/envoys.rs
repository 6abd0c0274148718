//! What Envoys ask when they start, and what they tell each other: which keys are revoked.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Path, Query as Parameters, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{json, Value};
use sluice::fleet::MAX_CHANGES;
use sluice::keys::{bearer, KeyHash, Revocations};

use super::http::{error, failed, json_answer};
use super::{now, LedgerState};
use crate::revocation::RevokedId;
use crate::store::{Failed, Revocation, Store};

/// The longest id of a key, in bytes.
const MAX_ID: usize = 1024;
/// How old the windows may be that several Envoys are told.
const TOLD_FOR: Duration = Duration::from_secs(1);

/// The refusal of a client that does not show the token, if there is one.
fn refusal(state: &LedgerState, headers: &HeaderMap) -> Option<Response> {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer).map(KeyHash::of);
    match state.token {
        Some(token) if shown != Some(token) => {
            let answer = error(StatusCode::UNAUTHORIZED, "authorization: must be Bearer and SLUICE_LEDGER_TOKEN");
            Some(([(WWW_AUTHENTICATE, "Bearer")], answer).into_response())
        }
        _ => None,
    }
}

/// The usage of days and months.
pub(super) async fn windows(State(state): State<Arc<LedgerState>>, headers: HeaderMap) -> Response {
    if let Some(refusal) = refusal(&state, &headers) {
        return refusal;
    }
    let shared = state.clone();
    let told = state.store_thread.run(move |store| {
        let mut last = shared.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = last.as_ref().filter(|(made, _)| made.elapsed() < TOLD_FOR) {
            return Ok(bytes.clone());
        }
        let bytes = Arc::new(crate::windows::windows(store, now())?);
        *last = Some((Instant::now(), bytes.clone()));
        Ok(bytes)
    });
    match told.await {
        Ok(bytes) => ([(CONTENT_TYPE, "application/octet-stream")], bytes.to_vec()).into_response(),
        Err(failure) => failed(&state, &failure),
    }
}

#[derive(Deserialize)]
pub(super) struct Known {
    #[serde(default)]
    after: i64,
    #[serde(default)]
    instance: String,
}

/// What has changed of what is revoked, since a change.
pub(super) async fn revocations(
    State(state): State<Arc<LedgerState>>,
    Parameters(known): Parameters<Known>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = refusal(&state, &headers) {
        return refusal;
    }
    // the numbers of another process may be of another store
    let after = if known.instance == state.instance { known.after } else { 0 };
    let instance = &state.instance;
    let last = state.last_change.load(Ordering::Acquire);
    if last >= 0 && after >= last {
        return json_answer(StatusCode::OK, &json!({"instance": instance, "last": last, "changes": []}));
    }
    match state.store_thread.run(move |store| store.revocations(after, MAX_CHANGES)).await {
        Ok(changes) => {
            let more = changes.len() == MAX_CHANGES;
            let last = changes.last().map_or(after, |last| last.change);
            if !more {
                state.last_change.fetch_max(last, Ordering::AcqRel);
            }
            let entry = |revocation: &Revocation| {
                let value = revocation.value.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
                json!({"id": revocation.id, "revocation": value})
            };
            let changes: Vec<Value> = changes.iter().map(entry).collect();
            let answer = json!({"instance": instance, "last": last, "more": more, "changes": changes});
            json_answer(StatusCode::OK, &answer)
        }
        Err(failure) => failed(&state, &failure),
    }
}

/// An id is revoked.
pub(super) async fn revoke(
    State(state): State<Arc<LedgerState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    if let Some(refusal) = refusal(&state, &headers) {
        return refusal;
    }
    let revoked: RevokedId = match serde_json::from_str(&body) {
        Ok(revoked) => revoked,
        Err(problem) => {
            let message = format!("the body must be an object with at, before and until in milliseconds: {problem}");
            return error(StatusCode::BAD_REQUEST, &message);
        }
    };
    let now = now().saturating_mul(1000);
    let revoked = RevokedId { at: revoked.at.or(Some(now)), ..revoked };
    change(state, id, move |store, id| {
        if store.revoked()? >= Revocations::MAX as i64 {
            store.prune_revoked(now)?;
        }
        match store.revoked()? < Revocations::MAX as i64 {
            true => store.revoke(id, &|known| revoked.after(known, now)).map(Some),
            false => Ok(None),
        }
    })
    .await
}

#[derive(Deserialize)]
pub(super) struct At {
    at: Option<i64>,
}

/// An id is restored.
pub(super) async fn restore(
    State(state): State<Arc<LedgerState>>,
    Path(id): Path<String>,
    Parameters(At { at }): Parameters<At>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = refusal(&state, &headers) {
        return refusal;
    }
    let at = at.unwrap_or(now().saturating_mul(1000));
    change(state, id, move |store, id| store.revoke(id, &|known| RevokedId::restored(known, at)).map(Some)).await
}

/// Makes a change; `None`: there are too many ids.
async fn change(
    state: Arc<LedgerState>,
    id: String,
    change: impl FnOnce(&mut dyn Store, &str) -> Result<Option<i64>, Failed> + Send + 'static,
) -> Response {
    if id.is_empty() || id.len() > MAX_ID {
        return error(StatusCode::BAD_REQUEST, &format!("id: must be 1 to {MAX_ID} bytes"));
    }
    match state.store_thread.run(move |store| change(store, &id)).await {
        Ok(Some(change)) => {
            state.last_change.fetch_max(change, Ordering::AcqRel);
            json_answer(StatusCode::OK, &json!({"last": change}))
        }
        Ok(None) => error(StatusCode::BAD_REQUEST, &format!("id: {} ids are revoked already", Revocations::MAX)),
        Err(failure) => failed(&state, &failure),
    }
}
