//! The gRPC services.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use tonic::server::{ClientStreamingService, Grpc, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{now, LedgerState};
use crate::limits::{Decision, Full};
use crate::metrics::add;
use crate::proto::{AccessLogs, Nothing, RateLimitRequest, RateLimitResponse};
use crate::record::{NoRecord, Record};

/// How long records wait after a failure of the store, before the next try.
const TRIED_EVERY: Duration = Duration::from_secs(1);

/// `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`
pub(super) async fn should_rate_limit(
    State(state): State<Arc<LedgerState>>,
    request: axum::extract::Request,
) -> axum::response::Response {
    let answer = Grpc::new(ProstCodec::default()).unary(RateLimits(state), request).await;
    answer.map(Body::new)
}

/// `envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs`
pub(super) async fn stream_access_logs(
    State(state): State<Arc<LedgerState>>,
    request: axum::extract::Request,
) -> axum::response::Response {
    let answer = Grpc::new(ProstCodec::default()).client_streaming(Logs(state), request).await;
    answer.map(Body::new)
}

type ResponseFuture<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

struct RateLimits(Arc<LedgerState>);

impl UnaryService<RateLimitRequest> for RateLimits {
    type Response = RateLimitResponse;
    type Future = ResponseFuture<RateLimitResponse>;

    fn call(&mut self, request: Request<RateLimitRequest>) -> Self::Future {
        let state = self.0.clone();
        Box::pin(async move {
            let (decided, change) = {
                let mut limits = state.limits();
                (limits.decide(request.get_ref(), now()), limits.changes())
            };
            let full = |Full| Status::resource_exhausted("too many limits are counted");
            let (answer, decision) = decided.map_err(full)?;
            let metrics = &state.metrics;
            match decision {
                Decision::Passes => add(&metrics.passed, 1),
                Decision::Refused => add(&metrics.refused, 1),
                Decision::Charged => {
                    add(&metrics.charged, 1);
                    // the client keeps charges that are not acknowledged
                    let _ = state.written.subscribe().wait_for(|written| *written >= change).await;
                }
            }
            Ok(Response::new(answer))
        })
    }
}

struct Logs(Arc<LedgerState>);

impl ClientStreamingService<AccessLogs> for Logs {
    type Response = Nothing;
    type Future = ResponseFuture<Nothing>;

    fn call(&mut self, request: Request<Streaming<AccessLogs>>) -> Self::Future {
        let state = self.0.clone();
        Box::pin(async move {
            let mut messages = request.into_inner();
            while let Some(message) = messages.message().await? {
                let entries = message.http.map(|logs| logs.entries).unwrap_or_default();
                keep(&state, entries.into_iter().map(Record::of_entry)).await;
            }
            Ok(Response::new(Nothing {}))
        })
    }
}

/// Stores records. While the store fails they wait here, and so does Envoy's stream.
async fn keep(state: &LedgerState, entries: impl Iterator<Item = Result<Record, NoRecord>>) {
    let metrics = &state.metrics;
    let mut records = Vec::new();
    for entry in entries {
        match entry {
            Ok(record) => records.push(record),
            Err(NoRecord::NoUsage) => add(&metrics.without_usage, 1),
            Err(NoRecord::Malformed) => add(&metrics.malformed, 1),
        }
    }
    if records.is_empty() {
        return;
    }
    let records = Arc::new(records);
    loop {
        let batch = records.clone();
        match state.store_thread.run(move |store| store.add(&batch)).await {
            Ok(new) => {
                metrics.recover();
                add(&metrics.new, new);
                add(&metrics.known, records.len().saturating_sub(new));
                return;
            }
            Err(error) => {
                state.failed(&error);
                tokio::time::sleep(TRIED_EVERY).await;
            }
        }
    }
}
