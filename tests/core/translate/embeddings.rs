//! OpenAI's embeddings to Gemini's.

use serde_json::{json, Value};
use sluice::translate::{Pair, Platform, Reply, Target, Translated};

fn translate(body: &Value) -> Result<Translated, sluice::error::ApiError> {
    let target =
        Target { model: "g", stream: false, include_usage: true, max_output_tokens: 1, platform: Platform::Own };
    Pair::EmbeddingsToGemini.request(body.to_string().as_bytes(), &target)
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn requests() {
    let one = |text: &str| json!({"model": "models/g", "content": {"parts": [{"text": text}]}});
    let with = |mut one: Value| {
        one["outputDimensionality"] = json!(3);
        one
    };
    for (fields, want, dropped) in [
        (json!({"input": "a \"b\""}), json!([one("a \"b\"")]), None),
        (json!({"input": ["a", "b"], "encoding_format": "float"}), json!([one("a"), one("b")]), None),
        (json!({"input": ["a"], "dimensions": 3, "user": "u"}), json!([with(one("a"))]), Some("user")),
    ] {
        let translated = translate(&fields).expect("translated");
        assert_eq!(value(&translated.body), json!({"requests": want}));
        assert_eq!(translated.dropped.header(), dropped);
    }
    for (fields, param) in [
        (json!({}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": [1, 2]}), "input"),
        (json!({"input": [[1], [2]]}), "input"),
        (json!({"input": ["a", 1]}), "input"),
        (json!({"input": {"a": 1}}), "input"),
        (json!({"input": "a", "dimensions": "3"}), "dimensions"),
        (json!({"input": "a", "encoding_format": "hex"}), "encoding_format"),
        (json!({"input": "a", "encoding_format": 1}), "encoding_format"),
    ] {
        let error = translate(&fields).expect_err("refused");
        assert_eq!((error.status, error.param), (400, Some(param)), "{fields}");
    }
}

#[test]
fn answers() {
    let answer = |format: &str, body: &Value| {
        let notes = translate(&json!({"input": ["a", "b"], "encoding_format": format})).expect("translated").notes;
        let reply = Reply { prompt_tokens: 7, notes, ..Reply::default() };
        Pair::EmbeddingsToGemini.answer(body.to_string().as_bytes(), &reply).map(|answer| value(&answer.body))
    };
    let body = json!({"embeddings": [{"values": [1, -0.5]}, {"values": [1e-3]}]});
    let item = |index: u64, vector: Value| json!({"object": "embedding", "index": index, "embedding": vector});
    let want = |one: Value, two: Value| {
        json!({"object": "list", "data": [item(0, one), item(1, two)], "model": "g",
            "usage": {"prompt_tokens": 7, "total_tokens": 7}})
    };
    assert_eq!(answer("float", &body), Ok(want(json!([1, -0.5]), json!([1e-3]))));
    assert_eq!(answer("base64", &body), Ok(want(json!("AACAPwAAAL8="), json!("bxKDOg=="))));
    let mut told = body.clone();
    told["usageMetadata"] = json!({"promptTokenCount": 5, "totalTokenCount": 5});
    assert_eq!(answer("float", &told).expect("read")["usage"]["prompt_tokens"], 5);
    for broken in [
        json!({}),
        json!({"embeddings": {}}),
        json!({"embeddings": [{"values": [1]}]}),
        json!({"embeddings": [{"values": [1]}, {}]}),
        json!({"embeddings": [{"values": [1]}, {"values": ["1"]}]}),
        json!({"error": {"code": 500}}),
    ] {
        assert!(answer("float", &broken).is_err(), "{broken}");
    }
}
