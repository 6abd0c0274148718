//! The shapes of errors, and their names for each kind of error.

/// The `type` of an error; each dialect has its own name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong.
    InvalidRequest,
    /// The caller is unknown.
    Authentication,
    /// The caller may not do this.
    Permission,
    /// It does not exist.
    NotFound,
    /// The gateway failed.
    Server,
    /// The model servers took too long.
    Timeout,
    /// Overload.
    RateLimit,
    /// More requests than the caller may make.
    Requests,
    /// More tokens than the caller may use in a minute.
    Tokens,
    /// More than the caller may use in a day or a month.
    Quota,
}

impl ErrorKind {
    pub(super) fn openai(self) -> &'static str {
        match self {
            ErrorKind::InvalidRequest | ErrorKind::Authentication | ErrorKind::Permission | ErrorKind::NotFound => {
                "invalid_request_error"
            }
            ErrorKind::Server | ErrorKind::Timeout => "server_error",
            ErrorKind::RateLimit => "rate_limit_error",
            ErrorKind::Requests => "requests",
            ErrorKind::Tokens => "tokens",
            ErrorKind::Quota => "insufficient_quota",
        }
    }

    pub(super) fn anthropic(self) -> &'static str {
        match self {
            ErrorKind::InvalidRequest => "invalid_request_error",
            ErrorKind::Authentication => "authentication_error",
            ErrorKind::Permission => "permission_error",
            ErrorKind::NotFound => "not_found_error",
            ErrorKind::Server => "api_error",
            ErrorKind::Timeout => "timeout_error",
            ErrorKind::RateLimit | ErrorKind::Requests | ErrorKind::Tokens | ErrorKind::Quota => "rate_limit_error",
        }
    }
}

/// The shape of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{"error":{"message","type","param","code"}}`
    OpenAi,
    /// `{"type":"error","error":{"type","message"}}`
    Anthropic,
    /// `{"error":"message"}` (Ollama's `docs/api.md`)
    Ollama,
    /// `{"error":{"code":400,"message","status":"INVALID_ARGUMENT","details"}}`
    Gemini,
}

impl Shape {
    /// The shape for a request path.
    pub fn for_path(path: &str) -> Shape {
        if crate::endpoint::is_anthropic_path(path) {
            Shape::Anthropic
        } else if path.starts_with("/api/") {
            Shape::Ollama
        } else if path.starts_with("/v1beta/") {
            Shape::Gemini
        } else {
            Shape::OpenAi
        }
    }
}
