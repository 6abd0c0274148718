//! The error codes that providers document, grouped by their cause. In lower case.

/// The account is unknown, invalid, or out of money.
pub(super) const ACCOUNT: &[&str] = &[
    "insufficient_quota", // OpenAI, Azure
    "billing_not_active",
    "billing_hard_limit_reached",
    "account_deactivated",
    "invalid_api_key",
    "invalid_issuer",
    "unsupported_country_region_territory",
    "authentication_error", // Anthropic and compatible servers
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
/// The account lacks a permission.
pub(super) const PERMISSION: &[&str] = &[
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
/// The client's content.
pub(super) const CONTENT: &[&str] = &[
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
/// The model, for this account.
pub(super) const MODEL: &[&str] = &[
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
/// Overload or rate limits.
pub(super) const RATE: &[&str] = &[
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
/// The server's own failure.
pub(super) const SERVER: &[&str] = &[
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
/// The request.
pub(super) const REQUEST: &[&str] = &[
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
