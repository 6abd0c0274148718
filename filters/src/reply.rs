//! Answers the client instead of an upstream.

use std::borrow::Cow;

use sluice::error::{ApiError, Shape};
use sluice::fleet::RevocationChange;
use sluice::limits::retry_after_seconds;
use sluice::wire_names::{CACHE_HEADER, SIMILARITY_HEADER};

use crate::host::{self, Buffer, Headers};
use crate::registry;
use crate::types::Action;

/// Makes an error of an answer that is held with its headers, and comes from the gateway itself: Envoy sends only one
/// such answer.
pub fn error_in_place(error: &ApiError, shape: Shape) {
    host::set_header(Headers::Response, ":status", &error.status.to_string());
    host::set_header(Headers::Response, "content-type", "application/json");
    for name in ["content-length", "age", CACHE_HEADER, SIMILARITY_HEADER] {
        host::remove_header(Headers::Response, name);
    }
    host::replace_bytes(Buffer::ResponseBody, error.body(shape).as_bytes());
}

/// Answers with an error. The returned action stops the replaced request.
pub fn error(error: &ApiError, shape: Shape) -> Action {
    let mut headers = vec![("content-type", "application/json")];
    if error.status == 401 {
        headers.push(("www-authenticate", "Bearer"));
    }
    if let Some(method) = error.allow {
        headers.push(("allow", method));
    }
    let wait = error.retry_after.map(|wait| {
        let millis = wait.as_nanos().div_ceil(1_000_000).max(1);
        (retry_after_seconds(wait).to_string(), millis.to_string())
    });
    if let Some((seconds, millis)) = &wait {
        headers.extend([("retry-after", seconds.as_str()), ("retry-after-ms", millis)]);
    }
    if error.is_final() {
        headers.push(("x-should-retry", "false"));
    }
    host::reply(error.status, &details(error.code), &headers, error.body(shape).as_bytes());
    Action::Pause
}

/// The answer to a command.
pub struct CommandReply {
    content_type: &'static str,
    body: Cow<'static, [u8]>,
    /// Further headers.
    headers: &'static [(&'static str, &'static str)],
    /// What other Envoys must learn.
    change: Option<RevocationChange>,
    /// The answer follows later.
    later: bool,
}

impl CommandReply {
    /// An answer that follows later, from elsewhere.
    pub fn later() -> Self {
        CommandReply { later: true, ..CommandReply::text("") }
    }

    /// JSON.
    pub fn json(body: impl Into<Cow<'static, str>>) -> Self {
        CommandReply::of("application/json", body.into())
    }

    /// Comma-separated values.
    pub fn csv(body: String) -> Self {
        CommandReply::of("text/csv; charset=utf-8", body.into())
    }

    /// Plain text.
    pub fn text(body: &'static str) -> Self {
        CommandReply::of("text/plain", body.into())
    }

    /// A web page.
    pub fn html(body: &'static [u8]) -> Self {
        CommandReply {
            content_type: "text/html; charset=utf-8",
            body: body.into(),
            headers: &[],
            change: None,
            later: false,
        }
    }

    fn of(content_type: &'static str, body: Cow<'static, str>) -> Self {
        let body = match body {
            Cow::Borrowed(text) => text.as_bytes().into(),
            Cow::Owned(text) => text.into_bytes().into(),
        };
        CommandReply { content_type, body, headers: &[], change: None, later: false }
    }

    /// With further headers.
    pub fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        CommandReply { headers, ..self }
    }

    /// With a change that other Envoys must learn.
    pub fn about(self, change: RevocationChange) -> Self {
        CommandReply { change: Some(change), ..self }
    }

    /// The change that other Envoys must learn.
    pub fn take_change(&mut self) -> Option<RevocationChange> {
        self.change.take()
    }

    /// With the field `spread` at the end of its JSON object: whether the other Envoys learn of the change.
    pub fn spread(mut self, spread: bool) -> Self {
        let mut body = self.body.into_owned();
        if body.pop().is_some() {
            body.extend_from_slice(if spread { br#","spread":true}"# } else { br#","spread":false}"# });
        }
        self.body = body.into();
        self
    }

    /// Sends the answer. It may contain a key that nobody else may see.
    pub fn reply(&self) -> Action {
        if self.later {
            return Action::Pause;
        }
        let mut headers = vec![("content-type", self.content_type), ("cache-control", "no-store")];
        headers.extend(self.headers);
        host::reply(200, &details("gateway"), &headers, &self.body);
        Action::Pause
    }
}

/// Answers that the gateway itself failed, and logs the reason for the operator.
pub fn internal(reason: &str) -> Action {
    log::error!("sluice: {reason}");
    let exchange = registry::current();
    let path = exchange.as_ref().and_then(|exchange| exchange.try_borrow().ok());
    let shape = path.map_or(Shape::OpenAi, |exchange| exchange.shape());
    error(&ApiError::internal("The gateway could not handle the request."), shape)
}

/// The details in access logs, which show envoy.yaml's `local_reply_config` that a reply is the gateway's own.
fn details(code: &str) -> String {
    format!("sluice:{code}")
}
