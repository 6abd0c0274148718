//! Errors in each provider's own shape, caused by the request or by a fault.

use hyper::StatusCode;
use serde_json::{json, Value};

/// The dialect of the error's shape and of the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    OpenAi,
    Azure,
    Anthropic,
    Ollama,
    Gemini,
    Converse,
}

/// Why a request is not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    message: String,
    /// OpenAI's `code`, if the status does not determine it.
    code: Option<&'static str>,
}

impl Problem {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), code: None }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub fn bad_credential() -> Self {
        let problem = Self::new(StatusCode::UNAUTHORIZED, "Incorrect API key provided.");
        Self { code: Some("invalid_api_key"), ..problem }
    }

    pub fn unknown_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self { code: Some("model_not_found"), ..Self::new(StatusCode::NOT_FOUND, message) }
    }

    pub fn no_such_route(method: &str, path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("Invalid URL ({method} {path})"))
    }

    pub fn wrong_method(method: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("Not allowed to {method} here"))
    }

    pub fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request body exceeds 64 MiB")
    }

    /// An error from a fault.
    pub fn injected(status: StatusCode) -> Self {
        Self::new(status, format!("Injected fault: {}", status.as_u16()))
    }

    /// The failure that a provider reports after it has answered 200: it is overloaded.
    pub fn in_stream(dialect: Dialect) -> Self {
        let status = match dialect {
            Dialect::Anthropic => StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            Dialect::OpenAi | Dialect::Azure | Dialect::Ollama | Dialect::Gemini | Dialect::Converse => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, "Overloaded")
    }

    /// The error object in that provider's words.
    pub fn body(&self, dialect: Dialect) -> Value {
        let message = &self.message;
        match dialect {
            Dialect::OpenAi => json!({"error": {
                "message": message, "type": self.openai_type(), "param": null, "code": self.openai_code(),
            }}),
            Dialect::Azure => json!({"error": {"code": self.azure_code(), "message": message}}),
            Dialect::Anthropic => json!({"type": "error", "error": {
                "type": self.anthropic_type(), "message": message,
            }}),
            Dialect::Ollama => json!({"error": message}),
            Dialect::Converse => json!({"message": message}),
            Dialect::Gemini => json!({"error": {
                "code": self.status.as_u16(), "message": message, "status": self.gemini_status(),
            }}),
        }
    }

    /// The error event of OpenAI's Responses streams, which is flat.
    pub fn responses_event(&self) -> Value {
        json!({
            "type": "error", "code": self.openai_code().unwrap_or("server_error"),
            "message": self.message, "param": null, "sequence_number": 0,
        })
    }

    fn openai_type(&self) -> &'static str {
        match self.status.as_u16() {
            429 => "requests",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn openai_code(&self) -> Option<&'static str> {
        match (self.code, self.status.as_u16()) {
            (Some(code), _) => Some(code),
            (None, 429) => Some("rate_limit_exceeded"),
            (None, _) => None,
        }
    }

    fn azure_code(&self) -> String {
        match self.code {
            Some("model_not_found") => "DeploymentNotFound".to_owned(),
            Some(_) | None => self.status.as_u16().to_string(),
        }
    }

    fn anthropic_type(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            503 | 529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        }
    }

    fn gemini_status(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            500.. => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        }
    }
}
