//! The outcomes of attempts.

use std::time::Duration;

/// The outcome of one attempt at one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, and the answer goes to the client.
    Success,
    /// It says that the request is wrong; another target would say the same.
    ClientError,
    /// It refuses the gateway's own account: its key, its permissions, or its money.
    Credential,
    /// 429: overload or rate limits.
    RateLimited,
    /// 408, 409 or 425: it asks for a retry.
    TryAgain,
    /// 5xx, including 529.
    ServerError,
    /// The connection could not be established.
    ConnectFailure,
    /// The connection broke before an answer began.
    Reset,
    /// No answer in time.
    Timeout,
    /// 200, but without a valid stream: it began with an error, or had no event at all.
    BadStream,
    /// A response that is not a valid answer: an unexpected status, an empty body, a web page, cut JSON, an error with
    /// status 200.
    BadResponse,
    /// The connection broke in the middle of an answer that had already reached the client.
    Interrupted,
    /// The client left first; nothing is known about the target.
    Abandoned,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Outcome; 13] = [
        Outcome::Success,
        Outcome::ClientError,
        Outcome::Credential,
        Outcome::RateLimited,
        Outcome::TryAgain,
        Outcome::ServerError,
        Outcome::ConnectFailure,
        Outcome::Reset,
        Outcome::Timeout,
        Outcome::BadStream,
        Outcome::BadResponse,
        Outcome::Interrupted,
        Outcome::Abandoned,
    ];

    /// Judges an answer by its status alone. An error's body may change the result.
    ///
    /// A model server has no reason to redirect, to switch protocols, or to send an invalid status.
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Outcome::Success,
            401 | 402 => Outcome::Credential,
            408 | 409 | 425 => Outcome::TryAgain,
            424 => Outcome::ServerError, // from Bedrock and TGI: the model failed
            429 => Outcome::RateLimited,
            400..=499 => Outcome::ClientError,
            500..=599 => Outcome::ServerError,
            _ => Outcome::BadResponse,
        }
    }

    /// Judges an attempt that ended without an answer. Envoy only names a reason if the connection was never
    /// established, and only the elapsed time shows a timeout (`late`).
    pub fn of_silence(connected: bool, late: bool) -> Self {
        match (connected, late) {
            (false, _) => Outcome::ConnectFailure,
            (true, true) => Outcome::Timeout,
            (true, false) => Outcome::Reset,
        }
    }

    /// Whether an attempt of this duration reached its timeout. By another clock, Envoy's timer may fire slightly
    /// before the timeout, so a connection that breaks that close to it counts as late.
    pub fn is_late(elapsed: Duration, limit: Duration) -> bool {
        elapsed + limit / 20 + Duration::from_millis(20) >= limit
    }

    /// The label in stats.
    pub fn label(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::ClientError => "client_error",
            Outcome::Credential => "credential",
            Outcome::RateLimited => "rate_limited",
            Outcome::TryAgain => "try_again",
            Outcome::ServerError => "server_error",
            Outcome::ConnectFailure => "connect_failure",
            Outcome::Reset => "reset",
            Outcome::Timeout => "timeout",
            Outcome::BadStream => "bad_stream",
            Outcome::BadResponse => "bad_response",
            Outcome::Interrupted => "interrupted",
            Outcome::Abandoned => "abandoned",
        }
    }
}
