use std::time::Duration;

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::callout::Callout;
use sluice::guard::api::callout;
use sluice::guard::checks::{Backend, Guard};

use super::one;
use crate::generate;

fn asked(guard: &Guard, texts: &[&str]) -> Callout {
    let Backend::Service(api, service) = &guard.checks[0].backend else { panic!("{guard:?}") };
    callout(api, service, "request", texts)
}

const DENY: &str = r#""on_failure":"deny","action":"block","cluster":"c""#;

#[test]
fn bodies() {
    let cases = [
        (r#""api":"openai_moderations""#, r#"{"input":["a \"b\"\n","é😀"]}"#),
        (
            r#""api":"openai_moderations","model":"omni","thresholds":0.5"#,
            r#"{"input":["a \"b\"\n","é😀"],"model":"omni"}"#,
        ),
        (r#""api":"presidio""#, r#"{"text":["a \"b\"\n","é😀"],"language":"en"}"#),
        (
            r#""api":"presidio","language":"de","entities":["EMAIL_ADDRESS","URL"],"score_threshold":"0.45""#,
            concat!(
                r#"{"text":["a \"b\"\n","é😀"],"language":"de","entities":["EMAIL_ADDRESS","URL"],"#,
                r#""score_threshold":0.45}"#
            ),
        ),
        (
            r#""api":"text_classification","server":"tei","thresholds":{"MALICIOUS":0.5}"#,
            r#"{"inputs":[["a \"b\"\n"],["é😀"]]}"#,
        ),
        (
            r#""api":"text_classification","server":"vllm","labels":["A","B"],"thresholds":{"B":0.5}"#,
            r#"{"input":["a \"b\"\n","é😀"]}"#,
        ),
        (
            r#""api":"text_classification","server":"vllm","model":"pg2","labels":["A","B"],"thresholds":{"B":0.5}"#,
            r#"{"input":["a \"b\"\n","é😀"],"model":"pg2"}"#,
        ),
        (
            r#""api":"generic_guardrail_api""#,
            concat!(
                r#"{"input_type":"request","texts":["a \"b\"\n","é😀"],"request_data":{},"litellm_call_id":null,"#,
                r#""litellm_trace_id":null,"structured_messages":null,"images":null,"tools":null,"tool_calls":null,"#,
                r#""request_headers":null,"litellm_version":null,"additional_provider_specific_params":{},"model":null}"#
            ),
        ),
    ];
    for (fields, want) in cases {
        let callout = asked(&one(&format!("{fields},{DENY}")), &["a \"b\"\n", "é😀"]);
        assert_eq!(String::from_utf8(callout.body).unwrap(), want, "{fields}");
    }
    let callout = asked(&one(&format!(r#""api":"chat_classifier","model":"guard-3",{DENY}"#)), &["a \"b\""]);
    let want =
        r#"{"model":"guard-3","messages":[{"role":"user","content":"a \"b\""}],"temperature":0,"max_tokens":20}"#;
    assert_eq!(String::from_utf8(callout.body).unwrap(), want);
}

#[test]
fn headers() {
    let service = format!(r#"{DENY},"timeout":"250ms","credential":{{"env":"KEY"}}"#);
    let callout = asked(&one(&format!(r#""api":"openai_moderations",{service}"#)), &["a"]);
    let want = [
        (":method", "POST"),
        (":path", "/v1/moderations"),
        (":authority", "c"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("authorization", "Bearer sk-secret"),
    ];
    let got: Vec<(&str, &str)> = callout.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(got, want);
    assert_eq!((callout.cluster.as_str(), callout.timeout), ("c", Duration::from_millis(250)));
    assert_eq!(format!("{callout:?}"), "Callout(c, 15 bytes)");
    let callout = asked(&one(&format!(r#""api":"presidio",{DENY},"path":"/p","authority":"a""#)), &["a"]);
    assert_eq!(callout.headers.len(), 5, "no key");
    assert_eq!((callout.headers[1].1.as_str(), callout.headers[2].1.as_str()), ("/p", "a"));
    let callout = asked(&one(&format!(r#""api":"generic_guardrail_api",{service}"#)), &["a"]);
    assert_eq!(callout.headers[1].1, "/beta/litellm_basic_guardrail_api");
    assert_eq!(callout.headers[5], ("x-api-key", "sk-secret".to_owned()));
    let tei = r#""api":"text_classification","server":"tei","thresholds":{"M":0.5}"#;
    assert_eq!(asked(&one(&format!("{tei},{DENY}")), &["a"]).headers[1].1, "/predict");
    let vllm = r#""api":"text_classification","server":"vllm","labels":["M"],"thresholds":{"M":0.5}"#;
    assert_eq!(asked(&one(&format!("{vllm},{DENY}")), &["a"]).headers[1].1, "/classify");
}

proptest! {
    /// For any texts, the service receives them unchanged.
    #[test]
    fn texts_arrive(texts in prop::collection::vec(generate::text(), 1..4)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let body = |api: &str| -> Value {
            serde_json::from_slice(&asked(&one(&format!("{api},{DENY}")), &texts).body).unwrap()
        };
        prop_assert_eq!(&body(r#""api":"openai_moderations""#)["input"], &json!(texts));
        prop_assert_eq!(&body(r#""api":"presidio""#)["text"], &json!(texts));
        let content = &body(r#""api":"chat_classifier","model":"m""#)["messages"][0]["content"];
        prop_assert_eq!(content, &json!(texts[0]));
        prop_assert_eq!(&body(r#""api":"generic_guardrail_api""#)["texts"], &json!(texts));
        let tei = body(r#""api":"text_classification","server":"tei","thresholds":{"M":0.5}"#);
        let alone: Vec<Value> = texts.iter().map(|text| json!([text])).collect();
        prop_assert_eq!(&tei["inputs"], &json!(alone));
    }
}
