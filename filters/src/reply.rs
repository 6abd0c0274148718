//! Answers the client in place of an upstream.

use proxy_wasm::types::Action;
use sluice::error::{ApiError, Shape};

use crate::host;

/// Answers with an error. The returned action stops the request that the answer replaces.
pub fn error(error: &ApiError, shape: Shape) -> Action {
    let mut headers = vec![("content-type", "application/json")];
    if error.status == 401 {
        headers.push(("www-authenticate", "Bearer"));
    }
    if let Some(method) = error.allow {
        headers.push(("allow", method));
    }
    host::reply(error.status, &details(error.code), &headers, &error.body(shape));
    Action::Pause
}

/// Answers what was asked of the gateway itself.
pub fn json(body: &str) -> Action {
    host::reply(200, &details("gateway"), &[("content-type", "application/json")], body);
    Action::Pause
}

/// Answers that the gateway itself failed, and tells the operator why.
pub fn internal(reason: &str) -> Action {
    log::error!("sluice: {reason}");
    error(&ApiError::internal("The gateway could not handle the request."), Shape::OpenAi)
}

/// What access logs show, and what tells envoy.yaml's `local_reply_config` that a reply is ours.
fn details(code: &str) -> String {
    format!("sluice:{code}")
}
