//! The gateway's own errors, in the shape of the client's SDK.
//!
//! [`Shape`] has the shapes, from the providers' API references.

mod body;
mod google;
mod shape;
mod stored;
mod tools;

use std::time::Duration;

use crate::outcome::Outcome;
pub use shape::{ErrorKind, Shape};

/// SDKs do not wait longer than this; they retry after their own delay.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A refusal, before it gets a dialect's shape. Messages name fields, models and ids; never keys or prompts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The kind of error.
    pub kind: ErrorKind,
    /// For developers: the problem, and what to do.
    pub message: String,
    /// The wrong field of the request, if there is one.
    pub param: Option<&'static str>,
    /// OpenAI's machine-readable code.
    pub code: &'static str,
    /// For 405: the path's method.
    pub allow: Option<&'static str>,
    /// When a retry may succeed.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// 400: the request is wrong.
    pub fn bad_request(code: &'static str, param: Option<&'static str>, message: impl Into<String>) -> Self {
        ApiError {
            status: 400,
            kind: ErrorKind::InvalidRequest,
            message: message.into(),
            param,
            code,
            allow: None,
            retry_after: None,
        }
    }

    /// 401: no key, or an unknown one.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        ApiError {
            status: 401,
            kind: ErrorKind::Authentication,
            message: message.into(),
            param: None,
            code: "invalid_api_key",
            allow: None,
            retry_after: None,
        }
    }

    /// 401: the user name or the password is wrong; it does not say which.
    pub fn wrong_password() -> Self {
        ApiError::unauthorized("Incorrect user name or password.")
    }

    /// 401: the key has expired.
    pub fn expired(message: impl Into<String>) -> Self {
        ApiError { code: "expired_api_key", ..ApiError::unauthorized(message) }
    }

    /// 429: too many wrong passwords for one user.
    pub fn too_many_failures(retry_after: Duration) -> Self {
        ApiError {
            status: 429,
            kind: ErrorKind::RateLimit,
            message: "Too many wrong passwords for this user; try again later.".to_owned(),
            param: None,
            code: "rate_limit_exceeded",
            allow: None,
            retry_after: Some(retry_after),
        }
    }

    /// 503: too many passwords are being checked.
    pub fn busy() -> Self {
        ApiError {
            status: 503,
            kind: ErrorKind::Server,
            message: "Too many passwords are being checked; try again later.".to_owned(),
            param: None,
            code: "overloaded",
            allow: None,
            retry_after: Some(Duration::from_secs(1)),
        }
    }

    /// 404: virtual keys are not configured, so none can be issued or changed here.
    pub fn virtual_keys_off() -> Self {
        ApiError {
            status: 404,
            kind: ErrorKind::NotFound,
            message: "This gateway issues no keys: `auth.virtual_keys` is not configured.".to_owned(),
            param: None,
            code: "virtual_keys_disabled",
            allow: None,
            retry_after: None,
        }
    }

    /// 403: the key may not use this model.
    pub fn model_not_allowed(message: impl Into<String>) -> Self {
        ApiError {
            status: 403,
            kind: ErrorKind::Permission,
            message: message.into(),
            param: Some("model"),
            code: "model_not_allowed",
            allow: None,
            retry_after: None,
        }
    }

    /// 403: the key may not use this path.
    pub fn path_not_allowed(path: &str) -> Self {
        let message = format!("This key may not use the path {path}: its `models` do not name it.");
        ApiError { param: None, code: "path_not_allowed", ..ApiError::model_not_allowed(message) }
    }

    /// 403: the guard cannot check what passes on this path.
    pub fn unguarded_path() -> Self {
        let message =
            "The guard cannot check requests to this path, so it refuses them. (For the operator: a path with \
                       `guard: skip` passes unchecked.)";
        ApiError { param: None, code: "guard_unchecked", ..ApiError::model_not_allowed(message) }
    }

    /// 403: the caller is known, but may not call.
    pub fn not_permitted(message: impl Into<String>) -> Self {
        ApiError { param: None, code: "not_permitted", ..ApiError::model_not_allowed(message) }
    }

    /// 403: the path is for administrators.
    pub fn admin_only() -> Self {
        ApiError {
            status: 403,
            kind: ErrorKind::Permission,
            message: "This path needs a key with the role `admin`.".to_owned(),
            param: None,
            code: "admin_only",
            allow: None,
            retry_after: None,
        }
    }

    /// 409: it conflicts with the gateway's state or configuration.
    pub fn conflict(code: &'static str, param: &'static str, message: impl Into<String>) -> Self {
        ApiError { status: 409, ..ApiError::bad_request(code, Some(param), message) }
    }

    /// 404: no cluster with that name.
    pub fn unknown_cluster(name: &str, known: &str) -> Self {
        ApiError {
            status: 404,
            kind: ErrorKind::NotFound,
            message: format!("There is no cluster `{name}`; there is {known}."),
            param: Some("cluster"),
            code: "unknown_cluster",
            allow: None,
            retry_after: None,
        }
    }

    /// 429: every target was at its limit for as long as the request could wait.
    pub fn no_free_slot(model: &str) -> Self {
        ApiError {
            status: 429,
            kind: ErrorKind::RateLimit,
            message: format!("Every model server of `{model}` is busy; try again later."),
            param: None,
            code: "rate_limit_exceeded",
            allow: None,
            retry_after: None,
        }
    }

    /// 404: no such model.
    pub fn model_not_found(message: impl Into<String>) -> Self {
        ApiError {
            status: 404,
            kind: ErrorKind::NotFound,
            message: message.into(),
            param: Some("model"),
            code: "model_not_found",
            allow: None,
            retry_after: None,
        }
    }

    /// 404: no such path.
    pub fn unknown_path(method: &str, path: &str) -> Self {
        ApiError {
            status: 404,
            kind: ErrorKind::NotFound,
            message: format!("Unknown request URL: {method} {path}. Check the URL for typos and the method."),
            param: None,
            code: "unknown_url",
            allow: None,
            retry_after: None,
        }
    }

    /// 426: a path that is only served over WebSocket, or one that is not.
    pub fn upgrade_required(message: &'static str) -> Self {
        ApiError { status: 426, ..ApiError::bad_request("upgrade_required", None, message) }
    }

    /// 403: the guard cannot check what a WebSocket carries.
    pub fn unguarded_socket() -> Self {
        let message = "The guard checks this model for this key, and cannot read a WebSocket: use plain HTTP.";
        ApiError { message: message.to_owned(), ..ApiError::unguarded_path() }
    }

    /// 405: a known path, another method.
    pub fn method_not_allowed(method: &str, allowed: &'static str) -> Self {
        ApiError {
            status: 405,
            kind: ErrorKind::InvalidRequest,
            message: format!("This path does not take {method}; use {allowed}."),
            param: None,
            code: "method_not_allowed",
            allow: Some(allowed),
            retry_after: None,
        }
    }

    /// 429, 502, 503 or 504: every target failed, the last one with this outcome.
    pub fn unavailable(last: Outcome) -> Self {
        let (status, kind, code, message) = match last {
            Outcome::Timeout => (
                504,
                ErrorKind::Timeout,
                "upstream_timeout",
                "The model servers took too long to answer; try again later.",
            ),
            Outcome::Credential => {
                let message =
                    "The model server refused the gateway's own account. The gateway's operator must fix this; \
                               your key is not to blame.";
                (502, ErrorKind::Server, "upstream_credential", message)
            }
            Outcome::RateLimited => {
                let message = "The model server has too much to do; try again later.";
                (429, ErrorKind::RateLimit, "rate_limit_exceeded", message)
            }
            Outcome::BadResponse | Outcome::BadStream | Outcome::ServerError => {
                let message = "The model server sent something that is no answer; try again later.";
                (502, ErrorKind::Server, "upstream_bad_response", message)
            }
            Outcome::Success
            | Outcome::ClientError
            | Outcome::TryAgain
            | Outcome::ConnectFailure
            | Outcome::Reset
            | Outcome::Interrupted
            | Outcome::Abandoned => {
                (503, ErrorKind::Server, "upstream_unavailable", "No model server could be reached; try again later.")
            }
        };
        ApiError { status, kind, message: message.to_owned(), param: None, code, allow: None, retry_after: None }
    }

    /// 504: no answer began before the deadline for all attempts.
    pub fn deadline() -> Self {
        ApiError::unavailable(Outcome::Timeout)
    }

    /// 502: an unreadable answer, which cannot be translated.
    pub fn unreadable() -> Self {
        ApiError {
            status: 502,
            kind: ErrorKind::Server,
            message: "The model server's answer could not be read.".to_owned(),
            param: None,
            code: "upstream_answer_unreadable",
            allow: None,
            retry_after: None,
        }
    }

    /// 503: the answer could not be checked, and unchecked answers must not pass.
    pub fn unchecked() -> Self {
        ApiError {
            status: 503,
            kind: ErrorKind::Server,
            message: "The answer could not be checked.".to_owned(),
            param: None,
            code: "guard_unavailable",
            allow: None,
            retry_after: None,
        }
    }

    /// 503: no more texts can be held, because too many are being checked.
    pub fn busy_checking() -> Self {
        ApiError {
            message: "Too many requests are being checked; try again later.".to_owned(),
            retry_after: Some(Duration::from_secs(1)),
            ..ApiError::unchecked()
        }
    }

    /// 503: the gateway is at its memory limit.
    pub fn out_of_memory() -> Self {
        ApiError { message: "The gateway is at its memory limit; try again later.".to_owned(), ..ApiError::busy() }
    }

    /// 415: a compressed body, which the gateway cannot read.
    pub fn unsupported_encoding() -> Self {
        let message = "The gateway does not read compressed bodies: send the request without `content-encoding`.";
        ApiError {
            status: 415,
            ..ApiError::bad_request("unsupported_content_encoding", Some("content-encoding"), message)
        }
    }

    /// 413: a request to the gateway itself with a body that is too large.
    pub fn body_too_large() -> Self {
        let message = "The request body is larger than this path takes.";
        ApiError { status: 413, ..ApiError::bad_request("request_too_large", None, message) }
    }

    /// 413: the form is larger than `max_upload`.
    pub fn upload_too_large(most: usize) -> Self {
        let message = format!("The upload is larger than this gateway takes: {most} bytes.");
        ApiError { message, ..ApiError::body_too_large() }
    }

    /// 400: this path takes a form.
    pub fn form_expected() -> Self {
        let message = "This path takes a form: send the request as `multipart/form-data`.";
        ApiError::bad_request("invalid_content_type", None, message)
    }

    /// 400: the guard must check all texts of a form, and some are too long, too many, or not UTF-8.
    pub fn unread_fields() -> Self {
        let message =
            "The form cannot be checked: its fields are too long, too many, or not UTF-8. Files need a `filename`.";
        ApiError::bad_request("guard_unchecked", None, message)
    }

    /// 500: the filters do not fit together. Envoy's log has the reason.
    pub fn internal(message: impl Into<String>) -> Self {
        ApiError {
            status: 500,
            kind: ErrorKind::Server,
            message: message.into(),
            param: None,
            code: "gateway_error",
            allow: None,
            retry_after: None,
        }
    }

    /// 500: with this order of filters the caller is unknown.
    pub fn filter_order() -> Self {
        let message =
            "The gateway is misconfigured, so it refuses all requests: `auth` comes after another of Sluice's \
                       filters in http_filters. Its operator must put `auth` first; `sluice check` shows the line.";
        ApiError { code: "filter_order", ..ApiError::internal(message) }
    }

    /// Whether a client should not retry: it would be refused again, or for longer than SDKs wait.
    pub fn is_final(&self) -> bool {
        match self.kind {
            ErrorKind::Tokens | ErrorKind::Quota => self.retry_after.is_none_or(|wait| wait > LONGEST_RETRY_AFTER),
            ErrorKind::InvalidRequest
            | ErrorKind::Authentication
            | ErrorKind::Permission
            | ErrorKind::NotFound
            | ErrorKind::Server
            | ErrorKind::Timeout
            | ErrorKind::RateLimit
            | ErrorKind::Requests => false,
        }
    }
}
