//! Reads an error's cause, and so whether another target may succeed.
//!
//! A status alone is not enough. A 403 may be about the gateway's key or about one client's content; a 429 may be a
//! rate limit or an empty account; an error may even have status 200. So documented codes are read first, and without a
//! code the first words of the message. Text that a client can write, such as a prompt quoted in an error, must not
//! decide: only codes, or the start of a message, can blame an account.

use std::time::Duration;

use super::codes::{ACCOUNT, CONTENT, MODEL, PERMISSION, RATE, REQUEST, SERVER};
use super::words::Words;
use crate::health::{self, Blame};
use crate::outcome::Outcome;

/// The outcome of an attempt that was answered with an error, and the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The outcome.
    pub outcome: Outcome,
    /// What to eject because of it.
    pub blame: Blame,
    /// The retry delay in the body. Google sends it there and in no header.
    pub pause: Option<Duration>,
}

/// The meaning of a code, with any status. In lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The account is unknown, invalid, or out of money.
    Account,
    /// The account lacks a permission. Some providers also use it for a client's content.
    Permission,
    /// The client's content.
    Content,
    /// The model, for this account.
    Model,
    /// Overload or rate limits.
    Rate,
    /// The server's own failure.
    Server,
    /// The request.
    Request,
}

/// The order in which the codes of an error without a status are checked, the most specific first.
const CAUSES: [(Cause, &[&str]); 7] = [
    (Cause::Account, ACCOUNT),
    (Cause::Content, CONTENT),
    (Cause::Model, MODEL),
    (Cause::Rate, RATE),
    (Cause::Permission, PERMISSION),
    (Cause::Server, SERVER),
    (Cause::Request, REQUEST),
];

/// The first words of messages that blame the account, for errors without a code. In lower case.
const BLAMES_ACCOUNT: &[&str] = &[
    "api key not valid", // Gemini, 400
    "api key expired",
    "api key not found",
    "your credit balance is too low",                                   // Anthropic, 400
    "insufficient balance",                                             // DeepSeek, Zhipu
    "sorry, your account balance is insufficient",                      // SiliconFlow
    "access denied, please make sure your account is in good standing", // DashScope
    "billing hard limit has been reached",
    "organization has been restricted",
];
/// The same for a 403, for which many servers have no code.
const FORBIDS_ACCOUNT: &[&str] = &[
    "your api key",
    "invalid api key",
    "the api key",
    "api key",
    "key limit exceeded", // OpenRouter
    "your account",
    "your team",
    "your newly created team", // xAI
    "your organization",
    "the caller does not have permission",
    "permission denied",
    "permission_denied",
    "access denied due to",
    "public access is disabled",                 // Azure
    "method doesn't allow unregistered callers", // Gemini
    "requests from referer",
    "requests to this api",
    "you have insufficient permissions", // OpenAI
    "country, region, or territory not supported",
    "not authenticated", // FastAPI
    "invalid token",
    "the security token included in the request",
    "user is not authorized",
];
/// Phrases about a client's content, anywhere in a message.
const SAYS_CONTENT: &[&str] = &[
    "moderation",
    "flagged",
    "content policy",
    "usage guidelines",
    "usage policies",
    "violat",
    "safety",
    "inappropriate",
];
/// Phrases about one model, anywhere in a message.
const SAYS_MODEL: &[&str] = &[
    "access to model",
    "access to the model",
    "access to this model",
    "for this model",
    "sample from this model",
    "not allowed to access model",
];
/// Phrases about one model's limit, anywhere in a message, which may use another name for the model. Anthropic, Azure
/// and Bedrock limit each model or deployment separately (see their documentation of rate limits and quotas).
const LIMITS_MODEL: &[&str] = &[
    "(model: ",                                 // Anthropic
    "would exceed your organization's",         // Anthropic
    "would exceed the rate limit for your org", // Anthropic
    "pricing tier",                             // Azure
    "usermodelbyminute",                        // GitHub Models
    "userbymodelby",                            // the same
    "too many tokens, please wait",             // Bedrock
    "too many requests, please wait before tr", // Bedrock
    "too many tokens per day",                  // Bedrock
    "with base model",                          // Vertex
    "model is overloaded",                      // Gemini, TGI
    "model is currently overloaded",            // OpenAI, Gemini
    "model busy",                               // DeepInfra
    "is currently loading",                     // Hugging Face
    "rate-limited upstream",                    // OpenRouter
];
/// OpenAI's and Groq's words before a limit's owner: a model, unless one of [`LIMITS_ALL`] follows.
const LIMIT_OF: &[&str] = &["rate limit reached for ", "too many requests for "];
const LIMITS_ALL: &[&str] = &[
    "reached for requests",
    "reached for your",
    "reached for org",
    "reached for user",
    "reached for this",
    "requests for your",
    "requests for this",
];
/// Codes with the same meaning.
const LIMITS_MODEL_CODES: &[&str] = &["modelnotreadyexception", "model_overloaded", "model_rate_limit_exceeded"];
/// Phrases of a 429 about one request that exceeds a limit per minute; a smaller one would be served.
const SAYS_TOO_LARGE: &[&str] = &["request too large for", "requested tokens exceed"];

/// Phrases of a 402 about one request that costs more than the account has.
const SAYS_TOO_EXPENSIVE: &[&str] = &["fewer max_tokens", "can only afford"];

impl Refusal {
    const fn of(outcome: Outcome, blame: Blame) -> Self {
        Refusal { outcome, blame, pause: None }
    }

    /// Judges an error by its status and the read part of its body; `model` is the target's name for the model.
    ///
    /// ```
    /// use sluice::response_gate::Refusal;
    /// use sluice::health::Blame;
    /// use sluice::outcome::Outcome;
    ///
    /// let judge = |status, body: &str| Refusal::judge(status, body.as_bytes(), "m");
    /// let full = judge(429, r#"{"error":{"message":"Rate limit reached","code":"rate_limit_exceeded"}}"#);
    /// assert_eq!((full.outcome, full.blame), (Outcome::RateLimited, Blame::Cluster));
    /// let broke = judge(429, r#"{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}"#);
    /// assert_eq!((broke.outcome, broke.blame), (Outcome::Credential, Blame::Cluster));
    /// ```
    pub fn judge(status: u16, body: &[u8], model: &str) -> Self {
        Self::by_words(status, &Words::of(body), model)
    }

    /// Judges an error with status 200 by its code. `None` if it has no known code.
    ///
    /// ```
    /// use sluice::response_gate::Refusal;
    /// use sluice::outcome::Outcome;
    ///
    /// let judge = |body: &str| Refusal::judge_reported(body.as_bytes(), "m").map(|refusal| refusal.outcome);
    /// assert_eq!(judge(r#"{"error":{"message":"slow down","code":429}}"#), Some(Outcome::RateLimited));
    /// assert_eq!(judge(r#"{"error":{"message":"no","type":"invalid_request_error"}}"#), Some(Outcome::ClientError));
    /// assert_eq!(judge(r#"{"error":"something"}"#), None);
    /// ```
    pub fn judge_reported(body: &[u8], model: &str) -> Option<Self> {
        let words = Words::of(body);
        let status = words.status.or_else(|| Some(status_of(cause(&words)?)))?;
        Some(Self::by_words(status, &words, model))
    }

    fn by_words(status: u16, words: &Words<'_>, model: &str) -> Self {
        let cause = cause(words);
        let plain = Outcome::of_status(status);
        match status {
            401 => match says_model(words, cause) {
                true => Refusal::of(Outcome::Credential, Blame::Model),
                false => Refusal::of(Outcome::Credential, Blame::Cluster),
            },
            402 if words.message_has(SAYS_TOO_EXPENSIVE) => Refusal::of(Outcome::Credential, Blame::Nobody),
            402 => Refusal::of(Outcome::Credential, Blame::Cluster),
            403 => forbidden(words, cause),
            429 if blames_account(words, cause) => Refusal::of(Outcome::Credential, Blame::Cluster),
            429 if words.message_has(SAYS_TOO_LARGE) => Refusal::of(plain, Blame::Nobody),
            429 | 503 | 529 => {
                let blame = if limits_model(words, model) { Blame::Model } else { Blame::Cluster };
                Refusal {
                    pause: words.retry_delay.and_then(|text| health::pause_of(text.raw())),
                    ..Refusal::of(plain, blame)
                }
            }
            400..=499 if plain == Outcome::ClientError && blames_account(words, cause) => {
                Refusal::of(Outcome::Credential, Blame::Cluster)
            }
            _ => Refusal::of(plain, Blame::Cluster),
        }
    }
}

/// Judges a 403: content first, because its message may quote anything. Without a known phrase, nothing is ejected.
fn forbidden(words: &Words<'_>, cause: Option<Cause>) -> Refusal {
    if cause == Some(Cause::Content) || words.moderated || words.message_has(SAYS_CONTENT) {
        Refusal::of(Outcome::ClientError, Blame::Nobody)
    } else if says_model(words, cause) {
        Refusal::of(Outcome::Credential, Blame::Model)
    } else if cause == Some(Cause::Permission) || blames_account(words, cause) || words.message_begins(FORBIDS_ACCOUNT)
    {
        Refusal::of(Outcome::Credential, Blame::Cluster)
    } else {
        Refusal::of(Outcome::ClientError, Blame::Nobody)
    }
}

fn says_model(words: &Words<'_>, cause: Option<Cause>) -> bool {
    cause == Some(Cause::Model) || cause != Some(Cause::Account) && words.message_has(SAYS_MODEL)
}

/// Whether an answer about overload or limits is about one model, which the target calls `model`.
fn limits_model(words: &Words<'_>, model: &str) -> bool {
    words.model_quota
        || words.has_code(LIMITS_MODEL_CODES)
        || words.message_names(model)
        || words.message_has(SAYS_MODEL)
        || words.message_has(LIMITS_MODEL)
        || words.message_has(LIMIT_OF) && !words.message_has(LIMITS_ALL)
}

fn blames_account(words: &Words<'_>, cause: Option<Cause>) -> bool {
    cause == Some(Cause::Account) || words.message_begins(BLAMES_ACCOUNT)
}

/// The codes' meaning.
fn cause(words: &Words<'_>) -> Option<Cause> {
    CAUSES.into_iter().find(|(_, codes)| words.has_code(codes)).map(|(cause, _)| cause)
}

/// The status that such an error should have had.
fn status_of(cause: Cause) -> u16 {
    match cause {
        Cause::Account => 401,
        Cause::Permission => 403,
        Cause::Content | Cause::Request => 400,
        Cause::Model => 404,
        Cause::Rate => 429,
        Cause::Server => 500,
    }
}
