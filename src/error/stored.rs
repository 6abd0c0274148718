//! Errors of requests that go on from what an upstream stores.

use std::time::Duration;

use super::ApiError;

impl ApiError {
    /// 503: the upstream that stores what the request goes on from is out of the pool.
    pub fn keeper_away(retry_after: Option<Duration>) -> Self {
        let message = "The provider that stores what `previous_response_id` or `conversation` names is not available; \
                       try again later.";
        ApiError {
            code: "stored_response_unavailable",
            param: Some("previous_response_id"),
            message: message.to_owned(),
            retry_after,
            ..ApiError::busy()
        }
    }

    /// 400: that upstream does not serve the model.
    pub fn stored_elsewhere() -> Self {
        let message =
            "What `previous_response_id` or `conversation` names is stored by a provider that does not serve \
                       this model.";
        ApiError::bad_request("previous_response_not_found", Some("previous_response_id"), message)
    }
}
