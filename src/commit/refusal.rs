//! What an error says: whose fault it is, and so whether another target may do better.
//!
//! A status alone does not tell. A 403 may refuse the gateway's key or one client's words; a 429 may be a full minute or
//! an empty account; an error may even come as 200. So the codes are read that providers document, and only where they
//! have none the first words of the message. What a client can write itself, such as a prompt that an error quotes,
//! must not decide: an account is blamed by codes, or by how a message begins.

use super::words::Words;
use crate::health::Blame;
use crate::outcome::Outcome;

/// How an attempt ended whose answer is an error, and what is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// How it ended.
    pub outcome: Outcome,
    /// Who stays away from what because of it.
    pub blame: Blame,
}

/// What a code means, whatever status it comes with. In lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The account is not known, not valid, or out of money.
    Account,
    /// The account lacks a permission. Also said of one client's content.
    Permission,
    /// One client's content.
    Content,
    /// The model, for this account.
    Model,
    /// Too much to do.
    Rate,
    /// The server's own failure.
    Server,
    /// The request.
    Request,
}

const ACCOUNT: &[&str] = &[
    "insufficient_quota", // OpenAI, Azure
    "billing_not_active",
    "billing_hard_limit_reached",
    "account_deactivated",
    "invalid_api_key",
    "invalid_issuer",
    "unsupported_country_region_territory",
    "authentication_error", // Anthropic, and who copies it
    "billing_error",
    "unauthenticated", // Gemini, and its reasons
    "api_key_invalid",
    "api_key_expired",
    "api_key_service_blocked",
    "api_key_ip_address_blocked",
    "api_key_http_referrer_blocked",
    "consumer_suspended",
    "consumer_invalid",
    "billing_disabled",
    "service_disabled",
    "access_token_expired",
    "credentials_missing",
    "exceeded_current_quota_error", // Moonshot
    "invalid_authentication_error",
    "incorrect_api_key_error",
    "arrearage", // DashScope
    "invalidapikey",
    "access_denied.unpurchased",
    "organization_restricted", // Groq
    "insufficient_balance",
    "insufficient_funds",
    "payment_required",
    "credit_limit_reached",
    "budget_exceeded",             // LiteLLM
    "unrecognizedclientexception", // Bedrock
    "expiredtokenexception",
    "invalidsignatureexception",
    "missingauthenticationtokenexception",
    "unauthorized",
    "1113", // Zhipu
];
const PERMISSION: &[&str] = &[
    "permission_error",
    "permission_denied",
    "insufficient_permissions",
    "missing_scope",
    "access_denied",
    "accessdenied",
    "accessdeniedexception",
    "access_terminated",
    "access_terminated_error",
    "permission_denied_error",
];
const CONTENT: &[&str] = &[
    "content_policy_violation",
    "content_filter",
    "content_filtered",
    "contentfilter",
    "responsibleaipolicyviolation",
    "image_content_policy_violation",
    "invalid_prompt",
    "moderation",
    "moderation_blocked",
    "moderation_error",
    "data_inspection_failed", // DashScope
    "datainspectionfailed",
    "prohibited_content",
    "safety",
    "sensitive",
    "cyber_policy_violation",
    "1301", // Zhipu
];
const MODEL: &[&str] = &[
    "model_not_found",
    "model_not_available",
    "model_not_allowed",
    "model_terms_required",
    "model_permission_blocked_org", // Groq
    "model_permission_blocked_project",
    "deploymentnotfound",
    "key_model_access_denied", // LiteLLM
    "team_model_access_denied",
    "org_model_access_denied",
    "user_model_access_denied",
    "model_access_denied",
];
const RATE: &[&str] = &[
    "rate_limit_exceeded",
    "rate_limit_error",
    "rate_limited",
    "ratelimitreached",
    "rate_limit_reached_error",
    "too_many_requests",
    "resource_exhausted",
    "throttlingexception",
    "throttling",
    "throttling.ratequota",
];
const SERVER: &[&str] = &[
    "server_error",
    "api_error",
    "internal",
    "internal_error",
    "internal_server_error",
    "internalservererror",
    "overloaded",
    "overloaded_error",
    "engine_overloaded_error",
    "unavailable",
    "service_unavailable",
    "service_unavailable_error",
    "deadline_exceeded",
    "timeout",
    "timeout_error",
    "bad_gateway",
    "upstream_error",
    "vector_store_timeout",
];
const REQUEST: &[&str] = &[
    "invalid_request_error",
    "invalid_request",
    "invalid_argument",
    "invalid_value",
    "bad_request",
    "bad_request_error",
    "badrequesterror",
    "failed_precondition",
    "out_of_range",
    "not_found",
    "not_found_error",
    "notfounderror",
    "request_too_large",
    "context_length_exceeded",
    "exceed_context_size_error",
    "string_above_max_length",
    "unsupported_parameter",
    "unsupported_value",
    "validationexception",
];
/// By these, in this order, an error without a status is judged: the code that says most first.
const CAUSES: [(Cause, &[&str]); 7] = [
    (Cause::Account, ACCOUNT),
    (Cause::Content, CONTENT),
    (Cause::Model, MODEL),
    (Cause::Rate, RATE),
    (Cause::Permission, PERMISSION),
    (Cause::Server, SERVER),
    (Cause::Request, REQUEST),
];

/// How messages begin that blame the account, where the code says nothing of it. In lower case.
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
/// The same for a 403, which has no code at many servers.
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
/// What messages say of one client's content, anywhere in them.
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
/// What messages say of one model, anywhere in them.
const SAYS_MODEL: &[&str] = &[
    "access to model",
    "access to the model",
    "access to this model",
    "for this model",
    "sample from this model",
    "not allowed to access model",
];
/// What a 402 says of one request, which asks for more than the account can pay.
const SAYS_TOO_EXPENSIVE: &[&str] = &["fewer max_tokens", "can only afford"];

impl Refusal {
    const fn of(outcome: Outcome, blame: Blame) -> Self {
        Refusal { outcome, blame }
    }

    /// Judges an error by its status and its body, as far as that has been read; `model` is the name that the target
    /// knows the model by.
    ///
    /// ```
    /// use sluice::commit::Refusal;
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

    /// Judges an error that came as 200, by the code it has. `None` if it has none that says anything.
    ///
    /// ```
    /// use sluice::commit::Refusal;
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
            429 | 503 | 529 if words.message_names(model) || words.message_has(SAYS_MODEL) || words.model_quota => {
                Refusal::of(plain, Blame::Model)
            }
            400..=499 if plain == Outcome::ClientError && blames_account(words, cause) => {
                Refusal::of(Outcome::Credential, Blame::Cluster)
            }
            _ => Refusal::of(plain, Blame::Cluster),
        }
    }
}

/// Judges a 403: content first, for its message may quote anything; nobody is blamed where it says nothing.
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

fn blames_account(words: &Words<'_>, cause: Option<Cause>) -> bool {
    cause == Some(Cause::Account) || words.message_begins(BLAMES_ACCOUNT)
}

/// What the codes say.
fn cause(words: &Words<'_>) -> Option<Cause> {
    CAUSES.into_iter().find(|(_, codes)| words.has_code(codes)).map(|(cause, _)| cause)
}

/// The status such an error should have had.
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
