//! How an attempt ended.

use std::time::Duration;

/// The end of one attempt at one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, and the answer is the client's.
    Success,
    /// It answered that the request is wrong; another target would say the same.
    ClientError,
    /// It refuses the gateway's own account: its key, its permissions, or its money.
    Credential,
    /// 429: it has too much to do.
    RateLimited,
    /// 408, 409 or 425: it asks for another try.
    TryAgain,
    /// 5xx, 529 included.
    ServerError,
    /// No connection.
    ConnectFailure,
    /// The connection broke before an answer began.
    Reset,
    /// No answer in time.
    Timeout,
    /// 200, but not the answer that was asked for: a stream that began with an error, or had no event at all.
    BadStream,
    /// It answered, but with no answer to what was asked: a status that means nothing here, an empty body, a web page,
    /// half a document, an error as 200.
    BadResponse,
    /// The connection broke in the middle of an answer that had already reached the client.
    Interrupted,
    /// The client left first; nothing is known of the target.
    Abandoned,
}

impl Outcome {
    /// Every outcome.
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

    /// Judges an answer by its status alone. What an error's body says may change it.
    ///
    /// A model server has no reason to redirect, to switch protocols, or to send a status that does not exist.
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Outcome::Success,
            401 | 402 => Outcome::Credential,
            408 | 409 | 425 => Outcome::TryAgain,
            424 => Outcome::ServerError, // Bedrock's, and TGI's: the model failed
            429 => Outcome::RateLimited,
            400..=499 => Outcome::ClientError,
            500..=599 => Outcome::ServerError,
            _ => Outcome::BadResponse,
        }
    }

    /// Judges an attempt that ended without an answer: Envoy names a reason only when the connection never
    /// stood, and a timeout shows in the time alone (`late`).
    pub fn of_silence(connected: bool, late: bool) -> Self {
        match (connected, late) {
            (false, _) => Outcome::ConnectFailure,
            (true, true) => Outcome::Timeout,
            (true, false) => Outcome::Reset,
        }
    }

    /// Whether an attempt of this length ran into its limit. Envoy's timer may fire a little before the limit
    /// by another clock; an answer that broke that close to it is as good as late.
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
