//! Hands a routed request to Envoy: the cluster in filter state, and the time that an attempt may take.

use sluice::exchange::Exchange;
use sluice::wire_names::{CLUSTER, PER_TRY_TIMEOUT_HEADER};

use crate::host::{self, Headers};

/// Tells Envoy where the request goes and how long it may be tried there.
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
            // a header that is written has Envoy choose the route anew
            Some(timeout) => {
                host::set_header(Headers::Request, PER_TRY_TIMEOUT_HEADER, &timeout.as_millis().to_string())
            }
            None => host::clear_route_cache(),
        }
}
