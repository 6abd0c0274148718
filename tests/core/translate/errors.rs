//! Providers' errors in the client's dialect.

use serde_json::{json, Value};
use sluice::translate::Pair;

fn error(pair: Pair, status: u16, body: &str) -> Value {
    serde_json::from_slice(&pair.error(status, body.as_bytes())).unwrap()
}

#[test]
fn anthropic_errors_for_openai_clients() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#;
    let too_long = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 5 tokens > 4 maximum"}}"#;
    let cases = [
        (529, overloaded, "Overloaded", "server_error", json!("overloaded")),
        (
            400,
            too_long,
            "prompt is too long: 5 tokens > 4 maximum",
            "invalid_request_error",
            json!("context_length_exceeded"),
        ),
        (
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"m"}}"#,
            "m",
            "rate_limit_error",
            json!("rate_limit_exceeded"),
        ),
        (
            401,
            r#"{"error":{"type":"authentication_error","message":"m"}}"#,
            "m",
            "invalid_request_error",
            json!("invalid_api_key"),
        ),
        (
            404,
            r#"{"error":{"type":"not_found_error","message":"m"}}"#,
            "m",
            "invalid_request_error",
            json!("model_not_found"),
        ),
        (500, "<html>", "The model server answered with status 500.", "server_error", Value::Null),
        (418, r#"{"detail":"no"}"#, "no", "invalid_request_error", Value::Null),
    ];
    for (status, body, message, kind, code) in cases {
        let want = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
        assert_eq!(error(Pair::ChatToMessages, status, body), want, "{status} {body}");
    }
    assert_eq!((Pair::ChatToMessages.status(529), Pair::ChatToMessages.status(429)), (503, 429));
}

#[test]
fn openai_errors_for_anthropic_clients() {
    let cases = [
        (429, r#"{"error":{"message":"m","type":"tokens","code":"rate_limit_exceeded"}}"#, "m", "rate_limit_error"),
        (402, r#"{"error":{"message":"m"}}"#, "m", "billing_error"),
        (503, r#"{"error":"busy"}"#, "busy", "overloaded_error"),
        (500, r#"{"object":"error","message":"flat","type":"InternalServerError","code":500}"#, "flat", "api_error"),
        (504, "", "The model server answered with status 504.", "timeout_error"),
        // these words tell Claude Code to send less
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 4 tokens.","code":"context_length_exceeded"}}"#,
            "prompt is too long: This model's maximum context length is 4 tokens.",
            "invalid_request_error",
        ),
    ];
    for (status, body, message, kind) in cases {
        let want = json!({"type": "error", "error": {"type": kind, "message": message}});
        assert_eq!(error(Pair::MessagesToChat, status, body), want, "{status} {body}");
    }
}
