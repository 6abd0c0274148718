//! The shapes of errors, and their names for each kind of error.

/// The `type` of an error; each dialect has its own name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
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

impl Kind {
    pub(super) fn openai(self) -> &'static str {
        match self {
            Kind::InvalidRequest | Kind::Authentication | Kind::Permission | Kind::NotFound => "invalid_request_error",
            Kind::Server | Kind::Timeout => "server_error",
            Kind::RateLimit => "rate_limit_error",
            Kind::Requests => "requests",
            Kind::Tokens => "tokens",
            Kind::Quota => "insufficient_quota",
        }
    }

    pub(super) fn anthropic(self) -> &'static str {
        match self {
            Kind::InvalidRequest => "invalid_request_error",
            Kind::Authentication => "authentication_error",
            Kind::Permission => "permission_error",
            Kind::NotFound => "not_found_error",
            Kind::Server => "api_error",
            Kind::Timeout => "timeout_error",
            Kind::RateLimit | Kind::Requests | Kind::Tokens | Kind::Quota => "rate_limit_error",
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
