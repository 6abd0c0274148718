//! Real providers' errors: the cause, and whether another target may succeed.

use proptest::prelude::*;
use sluice::health::Blame::{self, Cluster, Model, Nobody};
use sluice::outcome::Outcome::{self, BadResponse, ClientError, Credential, RateLimited, ServerError, TryAgain};
use sluice::response_gate::Refusal;

const MODEL: &str = "gpt-4o";

#[test]
fn errors_by_their_status() {
    let cases: &[(&str, u16, &str, Outcome, Blame)] = &[
        ("nothing", 401, "", Credential, Cluster),
        (
            "OpenAI's key",
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-x","code":"invalid_api_key"}}"#,
            Credential,
            Cluster,
        ),
        ("a web page", 401, "<html>", Credential, Cluster),
        (
            "LiteLLM's model",
            401,
            r#"{"error":{"message":"key not allowed to access model. This key can only access models=['a']","type":"key_model_access_denied","code":"401"}}"#,
            Credential,
            Model,
        ),
        (
            "DeepSeek's balance",
            402,
            r#"{"error":{"message":"Insufficient Balance","code":"invalid_request_error"}}"#,
            Credential,
            Cluster,
        ),
        (
            "OpenRouter's credits",
            402,
            r#"{"error":{"message":"Insufficient credits. Add more","code":402}}"#,
            Credential,
            Cluster,
        ),
        (
            "OpenRouter's credits for this one",
            402,
            r#"{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 64000 tokens, but can only afford 12.","code":402}}"#,
            Credential,
            Nobody,
        ),
        ("nothing", 403, "", ClientError, Nobody),
        ("a web page", 403, "<html>Sorry, you have been blocked</html>", ClientError, Nobody),
        (
            "Anthropic's permission",
            403,
            r#"{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the specified resource."}}"#,
            Credential,
            Cluster,
        ),
        (
            "Gemini's permission",
            403,
            r#"{"error":{"code":403,"message":"Permission denied: Consumer 'projects/1' has been suspended.","status":"PERMISSION_DENIED","details":[{"reason":"CONSUMER_SUSPENDED"}]}}"#,
            Credential,
            Cluster,
        ),
        (
            "OpenAI's country",
            403,
            r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported"}}"#,
            Credential,
            Cluster,
        ),
        (
            "OpenAI's model",
            403,
            r#"{"error":{"message":"Project `p` does not have access to model `gpt-4o`","code":"model_not_found"}}"#,
            Credential,
            Model,
        ),
        (
            "Bedrock's model",
            403,
            r#"{"message":"You don't have access to the model with the specified model ID."}"#,
            Credential,
            Model,
        ),
        (
            "xAI's credits",
            403,
            r#"{"code":"The caller does not have permission to execute the specified operation","error":"Your newly created team doesn't have any credits yet."}"#,
            Credential,
            Cluster,
        ),
        (
            "Azure's network",
            403,
            r#"{"error":{"code":"403","message":"Access denied due to Virtual Network/Firewall rules."}}"#,
            Credential,
            Cluster,
        ),
        (
            "SiliconFlow's balance",
            403,
            r#"{"code":30001,"message":"Sorry, your account balance is insufficient","data":null}"#,
            Credential,
            Cluster,
        ),
        (
            "OpenRouter's moderation",
            403,
            r#"{"error":{"code":403,"message":"Input was flagged","metadata":{"reasons":["violence"],"flagged_input":"your api key"}}}"#,
            ClientError,
            Nobody,
        ),
        (
            "xAI's moderation",
            403,
            r#"{"error":"Content violates usage guidelines. Team: t, API key ID: k"}"#,
            ClientError,
            Nobody,
        ),
        (
            "a moderation that quotes",
            403,
            r#"{"error":{"type":"permission_error","code":"content_filter","message":"Your API key"}}"#,
            ClientError,
            Nobody,
        ),
        (
            "words of a client's",
            403,
            r#"{"error":{"message":"Refused: 'invalid api key, permission_error'"}}"#,
            ClientError,
            Nobody,
        ),
        (
            "Gemini's key",
            400,
            r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"x","reason":"API_KEY_INVALID"}]}}"#,
            Credential,
            Cluster,
        ),
        (
            "Gemini's key, in a list",
            400,
            "[{\"error\":{\"code\":400,\"message\":\"API key expired. Please renew the API key.\"}}]",
            Credential,
            Cluster,
        ),
        (
            "Anthropic's credits",
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
            Credential,
            Cluster,
        ),
        (
            "Groq's organization",
            400,
            r#"{"error":{"message":"Organization has been restricted.","code":"organization_restricted"}}"#,
            Credential,
            Cluster,
        ),
        (
            "DashScope's account",
            400,
            r#"{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing."}"#,
            Credential,
            Cluster,
        ),
        (
            "LiteLLM's budget",
            400,
            r#"{"error":{"message":"Budget has been exceeded!","type":"budget_exceeded","code":"400"}}"#,
            Credential,
            Cluster,
        ),
        (
            "what a client wrote",
            400,
            r#"{"error":{"message":"Invalid value: 'api key not valid'","type":"invalid_request_error"}}"#,
            ClientError,
            Cluster,
        ),
        (
            "what a client wrote, in a detail",
            422,
            r#"{"detail":[{"type":"missing","msg":"Field required","input":{"code":"insufficient_quota"}}]}"#,
            ClientError,
            Cluster,
        ),
        ("a model", 404, r#"{"error":{"code":"model_not_found"}}"#, ClientError, Cluster),
        (
            "OpenAI's quota",
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            Credential,
            Cluster,
        ),
        (
            "OpenAI's account",
            429,
            r#"{"error":{"message":"Your account is not active","code":"billing_not_active"}}"#,
            Credential,
            Cluster,
        ),
        (
            "Moonshot's quota",
            429,
            r#"{"error":{"message":"Your account is suspended","type":"exceeded_current_quota_error"}}"#,
            Credential,
            Cluster,
        ),
        (
            "Zhipu's balance",
            429,
            r#"{"error":{"code":"1113","message":"Insufficient balance or no resource package."}}"#,
            Credential,
            Cluster,
        ),
        (
            "OpenAI's rate",
            429,
            r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x","code":"rate_limit_exceeded"}}"#,
            RateLimited,
            Model,
        ),
        (
            "a rate of a model by another name",
            429,
            r#"{"error":{"message":"Rate limit reached for o3","code":"rate_limit_exceeded"}}"#,
            RateLimited,
            Model,
        ),
        (
            "Gemini's quota",
            429,
            r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"x","quotaDimensions":{"location":"global","model":"gemini-2.5-pro"}}]}]}}"#,
            RateLimited,
            Model,
        ),
        (
            "Gemini's quota of everything",
            429,
            r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}"#,
            RateLimited,
            Cluster,
        ),
        (
            "Mistral's capacity",
            429,
            r#"{"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded"}"#,
            RateLimited,
            Model,
        ),
        ("a rate", 429, "Too many requests", RateLimited, Cluster),
        ("an overload", 503, r#"{"error":{"message":"The model `gpt-4o` is overloaded"}}"#, ServerError, Model),
        (
            "another overload",
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            ServerError,
            Cluster,
        ),
        ("a failure that speaks of keys", 500, r#"{"error":{"code":"invalid_api_key"}}"#, ServerError, Cluster),
        ("a conflict", 409, "{}", TryAgain, Cluster),
        ("an odd status", 302, "", BadResponse, Cluster),
    ];
    for (name, status, body, outcome, blame) in cases {
        let refusal = Refusal::judge(*status, body.as_bytes(), MODEL);
        assert_eq!((refusal.outcome, refusal.blame), (*outcome, *blame), "{status}: {name}");
    }
}

#[test]
fn errors_with_status_200() {
    let cases: &[(&str, &str, Option<Outcome>)] = &[
        ("a number", r#"{"error":{"code":429,"message":"m"}}"#, Some(RateLimited)),
        ("a number in a text", r#"{"error":{"code":"503","message":"m"}}"#, Some(ServerError)),
        ("a number of its own", r#"{"error":{"code":1234,"message":"m"}}"#, None),
        ("no code", r#"{"error":{"message":"m"}}"#, None),
        ("OpenAI's request", r#"{"error":{"type":"invalid_request_error","code":null}}"#, Some(ClientError)),
        ("OpenAI's key", r#"{"error":{"type":"invalid_request_error","code":"invalid_api_key"}}"#, Some(Credential)),
        ("OpenAI's server", r#"{"error":{"type":"server_error"}}"#, Some(ServerError)),
        ("OpenAI's rate", r#"{"error":{"type":"requests","code":"rate_limit_exceeded"}}"#, Some(RateLimited)),
        ("Anthropic's overload", r#"{"type":"error","error":{"type":"overloaded_error"}}"#, Some(ServerError)),
        ("Anthropic's request", r#"{"type":"error","error":{"type":"invalid_request_error"}}"#, Some(ClientError)),
        ("Gemini's status", r#"{"error":{"status":"RESOURCE_EXHAUSTED"}}"#, Some(RateLimited)),
        ("Gemini's argument", r#"{"error":{"status":"INVALID_ARGUMENT","code":400}}"#, Some(ClientError)),
        ("vLLM's flat request", r#"{"object":"error","type":"BadRequestError","code":400}"#, Some(ClientError)),
        (
            "Responses' failure",
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error"}}}"#,
            Some(ServerError),
        ),
        ("Responses' rate", r#"{"response":{"error":{"code":"rate_limit_exceeded"}}}"#, Some(RateLimited)),
        ("Responses' prompt", r#"{"response":{"error":{"code":"invalid_prompt"}}}"#, Some(ClientError)),
        ("OpenRouter's choice", r#"{"choices":[{"error":{"code":502,"message":"m"}}]}"#, Some(ServerError)),
        ("moderation", r#"{"error":{"code":403,"metadata":{"flagged_input":"x"}}}"#, Some(ClientError)),
        ("Ollama's text", r#"{"error":"500"}"#, None),
        ("no JSON", "<html>", None),
    ];
    for (name, body, want) in cases {
        assert_eq!(Refusal::judge_reported(body.as_bytes(), MODEL).map(|refusal| refusal.outcome), *want, "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_judged(status in 0..1000_u16, body in prop::collection::vec(any::<u8>(), 0..200)) {
        Refusal::judge(status, &body, MODEL);
        Refusal::judge_reported(&body, "");
    }
}
