//! The headers that the gateway adds to an answer.

use sluice::connect_failure::ConnectFailure;
use sluice::outcome::Outcome;
use sluice::routing::{AnswerHeaders, ResponseModel, Table};
use sluice::wire_names::{ATTEMPTS_HEADER, CACHE_HEADER, CLUSTER_HEADER, KIND_HEADER, MODEL_HEADER, RETRY_HEADER};

use crate::clusters::{self, AllClusters};
use crate::host::{self, Headers};
use crate::limits;
use crate::registry::SharedExchange;

/// Writes them. `own`: the exchange ends with `router`, so that no other filter reports its limits.
pub fn write(exchange: &SharedExchange, table: &Table, own: bool) {
    record_unroutable(exchange);
    let exchange = exchange.borrow();
    if own {
        limits::write_headers(&exchange);
    }
    if exchange.is_retry_asked() {
        // Envoy did not retry as requested, so the mark is still there
        host::remove_header(Headers::Response, RETRY_HEADER);
    }
    let succeeded = usize::from(exchange.passing() == Some(Outcome::Success));
    let failed = exchange.attempt_count() > succeeded;
    let tells = match table.answer_headers {
        AnswerHeaders::Always => true,
        AnswerHeaders::AfterFailure => exchange.attempt_count() > 1 || failed && !exchange.blames_client(),
        AnswerHeaders::Never => false,
    };
    if let Some(cluster) = exchange.answering_cluster().filter(|_| tells) {
        host::set_header(Headers::Response, CLUSTER_HEADER, cluster);
    }
    // if the answer has the client's name, only this header has the target's
    let hides = table.response_model == ResponseModel::Requested
        && table.answer_headers != AnswerHeaders::Never
        && exchange.passing() == Some(Outcome::Success);
    if exchange.answered().is_some() && (tells || hides) {
        host::set_header(Headers::Response, MODEL_HEADER, exchange.target_model().unwrap_or_default());
    }
    if tells && failed {
        host::set_header(Headers::Response, ATTEMPTS_HEADER, &exchange.attempts());
    }
    if let Some(cached) = exchange.cached().filter(|_| !exchange.is_hit()) {
        host::set_header(Headers::Response, CACHE_HEADER, cached.result.name());
    }
    if let Some(kind) = exchange.kind() {
        host::set_header(Headers::Response, KIND_HEADER, &kind.kind);
    }
}

/// Counts an attempt that never reached an upstream: Envoy answered it itself, because it has no such cluster, or no host
/// in it. Envoy does not try another cluster for this request, but later requests avoid this one.
fn record_unroutable(exchange: &SharedExchange) {
    if exchange.borrow().answered().is_some() || exchange.borrow().has_begun() {
        return;
    }
    let details = host::property("response\0code_details").unwrap_or_default();
    // for a retry's cluster, Envoy always reports the second reason
    if !matches!(details.as_slice(), b"cluster_not_found" | b"no_healthy_upstream") {
        return;
    }
    let mut exchange = exchange.borrow_mut();
    let ending = clusters::unconnected(&mut exchange, ConnectFailure::NoCluster, "");
    exchange.end_attempt(ending, &AllClusters);
}
