use std::time::Duration;

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::error::{ApiError, Shape};
use sluice::outcome::Outcome;

use crate::generate::text;

fn parsed(error: &ApiError, shape: Shape) -> Value {
    serde_json::from_str(&error.body(shape)).unwrap()
}

#[test]
fn bodies() {
    let cases = [
        (
            ApiError::bad_request("invalid_type", Some("stream"), "m"),
            400,
            "invalid_request_error",
            json!("stream"),
            "invalid_type",
            "invalid_request_error",
        ),
        (
            ApiError::unauthorized("m"),
            401,
            "invalid_request_error",
            Value::Null,
            "invalid_api_key",
            "authentication_error",
        ),
        (
            ApiError::model_not_allowed("m"),
            403,
            "invalid_request_error",
            json!("model"),
            "model_not_allowed",
            "permission_error",
        ),
        (
            ApiError::model_not_found("m"),
            404,
            "invalid_request_error",
            json!("model"),
            "model_not_found",
            "not_found_error",
        ),
        (ApiError::internal("m"), 500, "server_error", Value::Null, "gateway_error", "api_error"),
    ];
    for (error, status, kind, param, code, anthropic) in cases {
        assert_eq!(error.status, status, "{code}");
        let want = json!({"error": {"message": "m", "type": kind, "param": param, "code": code}});
        assert_eq!(parsed(&error, Shape::OpenAi), want, "{code}");
        let want = json!({"type": "error", "error": {"type": anthropic, "message": "m"}});
        assert_eq!(parsed(&error, Shape::Anthropic), want, "{code}");
        assert_eq!(parsed(&error, Shape::Ollama), json!({"error": error.message}), "{code}");
    }
}

#[test]
fn google_bodies() {
    let limited = ApiError { retry_after: Some(Duration::from_millis(1500)), ..ApiError::no_free_slot("m") };
    let cases = [
        (ApiError::bad_request("invalid_type", Some("stream"), "m"), "INVALID_ARGUMENT"),
        (ApiError::unauthorized("m"), "UNAUTHENTICATED"),
        (ApiError::model_not_allowed("m"), "PERMISSION_DENIED"),
        (ApiError::model_not_found("m"), "NOT_FOUND"),
        (ApiError::method_not_allowed("GET", "POST"), "INVALID_ARGUMENT"),
        (ApiError::conflict("own_key", "id", "m"), "ABORTED"),
        (ApiError::body_too_large(), "INVALID_ARGUMENT"),
        (limited.clone(), "RESOURCE_EXHAUSTED"),
        (ApiError::internal("m"), "INTERNAL"),
        (ApiError::unavailable(Outcome::Credential), "UNAVAILABLE"),
        (ApiError::unavailable(Outcome::Reset), "UNAVAILABLE"),
        (ApiError::unavailable(Outcome::Timeout), "DEADLINE_EXCEEDED"),
    ];
    for (error, status) in cases {
        let body = parsed(&error, Shape::Gemini);
        let found = (&body["error"]["code"], &body["error"]["message"], &body["error"]["status"]);
        assert_eq!(found, (&json!(error.status), &json!(error.message), &json!(status)), "{}", error.code);
    }
    let details = parsed(&ApiError::model_not_found("m"), Shape::Gemini)["error"]["details"].clone();
    let info = "type.googleapis.com/google.rpc.ErrorInfo";
    let want =
        json!([{"@type": info, "reason": "MODEL_NOT_FOUND", "domain": "sluice", "metadata": {"param": "model"}}]);
    assert_eq!(details, want);
    let pause = &parsed(&limited, Shape::Gemini)["error"]["details"][1];
    assert_eq!(*pause, json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}));
}

#[test]
fn paths_and_methods() {
    let unknown = ApiError::unknown_path("GET", "/v2/\"x\"");
    let message = "Unknown request URL: GET /v2/\"x\". Check the URL for typos and the method.";
    assert_eq!((unknown.status, unknown.code), (404, "unknown_url"));
    assert_eq!(parsed(&unknown, Shape::OpenAi)["error"]["message"], message);
    let method = ApiError::method_not_allowed("GET", "POST");
    assert_eq!((method.status, method.message.as_str()), (405, "This path does not take GET; use POST."));
}

#[test]
fn shapes() {
    let cases = [
        ("/v1/messages", Shape::Anthropic),
        ("/v1/messages?x", Shape::Anthropic),
        ("/v1/chat/completions", Shape::OpenAi),
        ("/api/chat", Shape::Ollama),
        ("/api/tags", Shape::Ollama),
        ("/v1beta/models/m:generateContent?alt=sse", Shape::Gemini),
        ("/v1beta/nothing", Shape::Gemini),
        ("/", Shape::OpenAi),
    ];
    for (path, want) in cases {
        assert_eq!(Shape::for_path(path), want, "{path}");
    }
}

proptest! {
    #[test]
    fn any_message_is_json(message in text()) {
        let error = ApiError::bad_request("c", None, message.as_str());
        for shape in [Shape::OpenAi, Shape::Anthropic, Shape::Gemini] {
            let body = parsed(&error, shape);
            prop_assert_eq!(&body["error"]["message"], &message);
        }
    }
}
