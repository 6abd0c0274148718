//! Passes a routed request to Envoy: the cluster in filter state, and an attempt's timeout.

use sluice::exchange::Exchange;
use sluice::wire_names::{CLUSTER, PER_TRY_TIMEOUT_HEADER};

use crate::host::{self, Headers};

/// Tells Envoy the request's cluster and an attempt's timeout.
pub fn hand_over(exchange: &Exchange) -> bool {
    let Some(route) = exchange.routed() else {
        return false;
    };
    let Some(upstream) = route.upstream() else {
        return false;
    };
    let streamed = exchange.streams();
    host::set_filter_state(CLUSTER, upstream.cluster.as_bytes())
        && match route.per_try_timeout(streamed) {
            // writing a header makes Envoy choose the route again
            Some(timeout) => {
                host::set_header(Headers::Request, PER_TRY_TIMEOUT_HEADER, &timeout.as_millis().to_string())
            }
            None => host::clear_route_cache(),
        }
}
