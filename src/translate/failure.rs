//! Errors: from any provider's shape to the shape of the client's dialect.
//!
//! Sources: the providers' lists of errors (OpenAI "Error codes", Anthropic "Errors", Google's `google.rpc.Code`); for
//! streams, the errors that their SDKs raise.

use std::borrow::Cow;

use super::raw::Raw;
use super::writer::Writer;
use crate::eventstream::Message;
use crate::response_gate::is_context_length_exceeded;

/// The longest forwarded message, in characters.
const MAX_MESSAGE: usize = 4096;

/// The kind of error, by its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureKind {
    Invalid,
    Authentication,
    Billing,
    Permission,
    NotFound,
    TooLarge,
    RateLimit,
    Server,
    Overloaded,
    Timeout,
}

/// One error of a provider.
#[derive(Debug)]
pub(super) struct ProviderError<'a> {
    kind: FailureKind,
    message: Cow<'a, str>,
    /// The provider's own code for programs, if it has one.
    code: Option<Cow<'a, str>>,
    /// The request is too long for the model.
    too_long: bool,
}

impl<'a> ProviderError<'a> {
    /// A stream that just stopped.
    pub fn interrupted() -> Self {
        ProviderError::own("The model server's stream ended before it was complete.", "upstream_stream_interrupted")
    }

    /// A stream, or an answer, that is invalid.
    pub fn unreadable() -> Self {
        ProviderError::own("The model server's answer could not be read.", "upstream_answer_unreadable")
    }

    /// The gateway has no memory left for the stream.
    pub fn out_of_memory() -> Self {
        ProviderError::own("The gateway is at its memory limit; try again later.", "overloaded")
    }

    fn own(message: &'static str, code: &'static str) -> Self {
        ProviderError { kind: FailureKind::Server, message: message.into(), code: Some(code.into()), too_long: false }
    }

    /// An error inside a stream.
    pub fn of_event(event: Raw<'a>) -> Self {
        let mut failure = ProviderError::read(event, FailureKind::Server);
        failure.too_long = is_context_length_exceeded(event.json().as_bytes());
        failure
    }

    /// An error in a binary stream, whose name is the kind of error.
    pub fn of_message(message: &Message<'a>) -> Self {
        let kind = FailureKind::of_word(message.name).unwrap_or(FailureKind::Server);
        let told = Raw::parse(message.payload).and_then(|told| told.text("message").or_else(|| told.text("Message")));
        let told = told.filter(|told| !told.is_empty()).unwrap_or(message.error.into());
        let told = if told.is_empty() { "The model server reported an error.".into() } else { told };
        let too_long = is_context_length_exceeded(message.payload);
        ProviderError { kind, message: shortened(told), code: Some(message.name.into()), too_long }
    }

    /// An answer with an error status.
    pub fn of_answer(status: u16, body: &'a [u8]) -> Self {
        let kind = FailureKind::of_status(status);
        let mut failure = match Raw::parse(body) {
            // Google answers with a list of one error
            Some(raw) => ProviderError { kind, ..ProviderError::read(raw.first().unwrap_or(raw), kind) },
            None => ProviderError { kind, message: Cow::Borrowed(""), code: None, too_long: false },
        };
        if failure.message.is_empty() {
            failure.message = format!("The model server answered with status {status}.").into();
        }
        failure.too_long = matches!(status, 400 | 413) && is_context_length_exceeded(body);
        failure
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The code for programs, in OpenAI's terms.
    pub fn code(&self) -> &str {
        self.openai_code().unwrap_or("server_error")
    }

    /// Reads the error's fields, in any place.
    fn read(event: Raw<'a>, otherwise: FailureKind) -> Self {
        let inner = event.field("response").unwrap_or(event);
        let error = inner.field("error").unwrap_or(inner);
        let [message, bedrocks, kind, code, status, detail] =
            error.fields(["message", "Message", "type", "code", "status", "detail"]);
        let text = |field: Option<Raw<'a>>| field.and_then(Raw::string);
        let (kind, code, status) = (text(kind), text(code), text(status));
        let message = text(message).or_else(|| text(bedrocks)).or_else(|| text(detail)).or_else(|| error.string());
        let words = [code.as_deref(), status.as_deref(), kind.as_deref()];
        let told = words.into_iter().flatten().find_map(FailureKind::of_word);
        let message = message.unwrap_or("The model server reported an error.".into());
        ProviderError { kind: told.unwrap_or(otherwise), message: shortened(message), code, too_long: false }
    }

    /// The body of an answer to an OpenAI client.
    pub fn chat_body(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.object(|out| self.write_chat(out));
        out.into_bytes()
    }

    /// The event for a chat stream. No `[DONE]` follows.
    pub fn write_chat_event(&self, out: &mut Writer) {
        out.event(None, |out| self.write_chat(out));
    }

    fn write_chat(&self, out: &mut Writer) {
        out.put_object("error", |out| {
            out.put_string("message", &self.message);
            out.put_string("type", self.kind.openai());
            out.put("param", "null");
            match self.openai_code() {
                Some(code) => out.put_string("code", code),
                None => out.put("code", "null"),
            }
        });
    }

    /// The body of an answer to an Anthropic client.
    pub fn messages_body(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.object(|out| self.write_messages(out));
        out.into_bytes()
    }

    /// The event for a Messages stream.
    pub fn write_messages_event(&self, out: &mut Writer) {
        out.event(Some("error"), |out| self.write_messages(out));
    }

    fn write_messages(&self, out: &mut Writer) {
        out.put_string("type", "error");
        out.put_object("error", |out| {
            out.put_string("type", self.kind.anthropic());
            // these words tell clients to send less
            const TOO_LONG: &str = "prompt is too long";
            match self.too_long && !self.message.contains(TOO_LONG) {
                true => out.put_string("message", &format!("{TOO_LONG}: {}", self.message)),
                false => out.put_string("message", &self.message),
            }
        });
    }

    fn openai_code(&self) -> Option<&str> {
        match self.too_long {
            true => Some("context_length_exceeded"),
            false => self.code.as_deref().or(self.kind.openai_code()),
        }
    }
}

impl FailureKind {
    fn of_status(status: u16) -> Self {
        match status {
            401 => FailureKind::Authentication,
            402 => FailureKind::Billing,
            403 => FailureKind::Permission,
            404 => FailureKind::NotFound,
            413 => FailureKind::TooLarge,
            429 => FailureKind::RateLimit,
            424 => FailureKind::Server, // the model failed
            503 | 529 => FailureKind::Overloaded,
            408 | 504 => FailureKind::Timeout,
            400..=499 => FailureKind::Invalid,
            _ => FailureKind::Server,
        }
    }

    /// From the provider's own term: OpenAI's codes and types, Anthropic's types, Google's statuses.
    fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "invalid_api_key" | "authentication_error" | "UNAUTHENTICATED" => FailureKind::Authentication,
            "insufficient_quota" | "billing_error" => FailureKind::Billing,
            "permission_error" | "PERMISSION_DENIED" | "accessDeniedException" => FailureKind::Permission,
            "not_found_error" | "model_not_found" | "NOT_FOUND" => FailureKind::NotFound,
            "request_too_large" => FailureKind::TooLarge,
            "rate_limit_error"
            | "rate_limit_exceeded"
            | "tokens"
            | "requests"
            | "RESOURCE_EXHAUSTED"
            | "throttlingException" => FailureKind::RateLimit,
            "overloaded_error" | "overloaded" | "UNAVAILABLE" | "serviceUnavailableException" => {
                FailureKind::Overloaded
            }
            "timeout_error" | "DEADLINE_EXCEEDED" | "modelTimeoutException" => FailureKind::Timeout,
            "invalid_request_error"
            | "context_length_exceeded"
            | "INVALID_ARGUMENT"
            | "FAILED_PRECONDITION"
            | "validationException" => FailureKind::Invalid,
            "api_error" | "server_error" | "INTERNAL" => FailureKind::Server,
            _ => return None,
        })
    }

    fn openai(self) -> &'static str {
        match self {
            FailureKind::Invalid | FailureKind::Authentication | FailureKind::NotFound | FailureKind::TooLarge => {
                "invalid_request_error"
            }
            FailureKind::Permission => "permission_error",
            FailureKind::Billing => "insufficient_quota",
            FailureKind::RateLimit => "rate_limit_error",
            FailureKind::Server | FailureKind::Overloaded | FailureKind::Timeout => "server_error",
        }
    }

    fn openai_code(self) -> Option<&'static str> {
        match self {
            FailureKind::Authentication => Some("invalid_api_key"),
            FailureKind::Billing => Some("insufficient_quota"),
            FailureKind::NotFound => Some("model_not_found"),
            FailureKind::TooLarge => Some("request_too_large"),
            FailureKind::RateLimit => Some("rate_limit_exceeded"),
            FailureKind::Overloaded => Some("overloaded"),
            FailureKind::Timeout => Some("upstream_timeout"),
            FailureKind::Invalid | FailureKind::Permission | FailureKind::Server => None,
        }
    }

    fn anthropic(self) -> &'static str {
        match self {
            FailureKind::Invalid => "invalid_request_error",
            FailureKind::Authentication => "authentication_error",
            FailureKind::Billing => "billing_error",
            FailureKind::Permission => "permission_error",
            FailureKind::NotFound => "not_found_error",
            FailureKind::TooLarge => "request_too_large",
            FailureKind::RateLimit => "rate_limit_error",
            FailureKind::Server => "api_error",
            FailureKind::Overloaded => "overloaded_error",
            FailureKind::Timeout => "timeout_error",
        }
    }
}

fn shortened(message: Cow<'_, str>) -> Cow<'_, str> {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => Cow::Owned(message.get(..end).unwrap_or_default().to_owned()),
        None => message,
    }
}
