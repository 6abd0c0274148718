//! Providers' limits: of one model, of everything, or of one request that is too large.

use sluice::health::Blame::{self, Cluster, Model, Nobody};
use sluice::outcome::Outcome::{self, RateLimited, ServerError};
use sluice::response_gate::Refusal;

const MODEL: &str = "gpt-4o";

#[test]
fn scope_of_a_limit() {
    let cases: &[(&str, u16, &str, Outcome, Blame)] = &[
        (
            "OpenAI's rate of everything",
            429,
            r#"{"error":{"message":"Rate limit reached for requests","type":"requests","code":"rate_limit_exceeded"}}"#,
            RateLimited,
            Cluster,
        ),
        (
            "OpenAI's request beyond a minute's tokens",
            429,
            r#"{"error":{"message":"Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 48000.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            RateLimited,
            Nobody,
        ),
        (
            "Anthropic's rate",
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 30,000 input tokens per minute (org: o, model: claude-sonnet-4-20250514). For details, refer to: https://docs.claude.com"}}"#,
            RateLimited,
            Model,
        ),
        (
            "Anthropic's rate of everything",
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"Number of concurrent connections has exceeded your rate limit."}}"#,
            RateLimited,
            Cluster,
        ),
        (
            "Azure's deployment",
            429,
            r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 6 seconds."}}"#,
            RateLimited,
            Model,
        ),
        (
            "GitHub's model",
            429,
            r#"{"error":{"code":"RateLimitReached","message":"Rate limit of 10 per 60s exceeded for UserByModelByMinute. Please wait 23 seconds before retrying."}}"#,
            RateLimited,
            Model,
        ),
        (
            "Bedrock's tokens",
            429,
            r#"{"__type":"ThrottlingException","message":"Too many tokens, please wait before trying again."}"#,
            RateLimited,
            Model,
        ),
        (
            "Bedrock's model that is not ready",
            429,
            r#"{"__type":"ModelNotReadyException","message":"The model is not ready for inference."}"#,
            RateLimited,
            Model,
        ),
        (
            "AWS's rate of the account",
            429,
            r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#,
            RateLimited,
            Cluster,
        ),
        (
            "OpenRouter's provider",
            429,
            r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"x is temporarily rate-limited upstream","provider_name":"Chutes"}}}"#,
            RateLimited,
            Model,
        ),
        (
            "OpenRouter's free models",
            429,
            r#"{"error":{"message":"Rate limit exceeded: free-models-per-day","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"50"},"provider_name":null}}}"#,
            RateLimited,
            Cluster,
        ),
        (
            "xAI's model",
            429,
            r#"{"code":"Some resource has been exhausted","error":"Too many requests for team t and model grok-4. Your team's rate limit is 1."}"#,
            RateLimited,
            Model,
        ),
        (
            "Vertex's base model",
            429,
            r#"{"error":{"code":429,"message":"Quota exceeded for aiplatform.googleapis.com/generate_content_requests_per_minute_per_project_per_base_model with base model: gemini-2.5-pro.","status":"RESOURCE_EXHAUSTED"}}"#,
            RateLimited,
            Model,
        ),
        (
            "Cohere's trial key",
            429,
            r#"{"message":"You are using a Trial key, which is limited to 10 API calls / minute."}"#,
            RateLimited,
            Cluster,
        ),
        (
            "Hugging Face's model",
            503,
            r#"{"error":"Model org/m is currently loading","estimated_time":20.0}"#,
            ServerError,
            Model,
        ),
        (
            "Ollama's queue",
            503,
            r#"{"error":"server busy, please try again. maximum pending requests exceeded"}"#,
            ServerError,
            Cluster,
        ),
    ];
    for (name, status, body, outcome, blame) in cases {
        let refusal = Refusal::judge(*status, body.as_bytes(), MODEL);
        assert_eq!((refusal.outcome, refusal.blame), (*outcome, *blame), "{status}: {name}");
    }
}

#[test]
fn limits_with_status_200() {
    for (body, blame) in [
        (r#"{"error":{"code":429,"message":"Rate limit reached for gpt-4o in organization o"}}"#, Model),
        (r#"{"error":{"code":"rate_limit_exceeded","message":"Too many requests"}}"#, Cluster),
        (r#"{"type":"error","error":{"type":"rate_limit_error","message":"Requests per minute (model: m)"}}"#, Model),
        (r#"{"error":{"code":503,"message":"x","metadata":{"provider_name":"Chutes"}}}"#, Model),
    ] {
        assert_eq!(Refusal::judge_reported(body.as_bytes(), MODEL).map(|refusal| refusal.blame), Some(blame), "{body}");
    }
}

#[test]
fn retry_delay_in_the_body() {
    let google = |delay: &str| {
        format!(
            r#"{{"error":{{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}]}}}}"#
        )
    };
    let pause =
        |status, body: &str| Refusal::judge(status, body.as_bytes(), MODEL).pause.map(|pause| pause.as_millis());
    assert_eq!(pause(429, &google("34.5s")), Some(34_500));
    assert_eq!(pause(503, &google("2s")), Some(2000));
    assert_eq!(pause(429, &google("soon")), None);
    assert_eq!(pause(500, &google("34s")), None, "the server does not say that it has too much to do");
    assert_eq!(pause(429, "{}"), None);
}
