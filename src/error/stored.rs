//! Errors of follow-up requests to stored responses.

use std::time::Duration;

use super::ApiError;

impl ApiError {
    /// 503: the upstream that stores the response or conversation is ejected.
    pub fn storing_upstream_unavailable(retry_after: Option<Duration>) -> Self {
        let message = "The provider that stores the response or the conversation is not available; try again later.";
        ApiError { code: "stored_response_unavailable", message: message.to_owned(), retry_after, ..ApiError::busy() }
    }

    /// 404: no upstream is known to store a response with that id for this caller.
    pub fn response_not_found() -> Self {
        let message =
            "No response of this id is known to the gateway for your key. Ids are known for a time, and to the \
                       Envoy that passed the response on.";
        ApiError {
            param: Some("response_id"),
            code: "response_not_found",
            ..ApiError::model_not_found(message.to_owned())
        }
    }

    /// 400: the upstream that stores it does not serve the model.
    pub fn stored_elsewhere() -> Self {
        let message = "The response or conversation is stored by a provider that does not serve \
                       this model.";
        ApiError::bad_request("previous_response_not_found", Some("previous_response_id"), message)
    }
}
