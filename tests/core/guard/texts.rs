use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use sluice::guard::texts::PassageKind::{Argument, Arguments, Given, Plain, Reasoning, Refusal, Signed};
use sluice::guard::texts::{answer_passages, echoes, passages, splice, Passage, PassageKind, Unreadable, MAX_PASSAGES};
use sluice::guard::Speaker::{self, Assistant, System, Tool, User};
use sluice::json::JsonError;

use crate::generate::{json_like, json_text, text};

type Case = (&'static str, &'static str, &'static [(Speaker, PassageKind, &'static str)]);

const REQUESTS: &[Case] = &[
    (
        "strings and parts",
        r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"developer","content":"d"},{"content":[{"type":"text","text":"a\n\"b\""},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}},{"type":"refusal","refusal":"no"}],"role":"user"}],"stop":"x"}"#,
        &[
            (System, Plain, "s"),
            (System, Plain, "d"),
            (User, Plain, "a\n\"b\""),
            (User, Refusal, "no"),
            (System, Plain, "x"),
        ],
    ),
    (
        "tools",
        r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"1","content":"r"},{"role":"assistant","function_call":{"name":"g","arguments":"{}"}},{"role":"function","name":"g","content":"s"}],"tools":[{"function":{"description":"x"}}]}"#,
        &[
            (Assistant, Arguments, "{\"a\":1}"),
            (Tool, Plain, "r"),
            (Assistant, Arguments, "{}"),
            (Tool, Plain, "s"),
            (System, Plain, "x"),
        ],
    ),
    ("completions", r#"{"prompt":"p","suffix":"s"}"#, &[(User, Plain, "p"), (User, Plain, "s")]),
    (
        "what is ranked",
        r#"{"query":"q","documents":["a",{"title":"b","rank":1}]}"#,
        &[(User, Plain, "q"), (User, Plain, "a"), (User, Plain, "b")],
    ),
    ("several prompts", r#"{"prompt":["p","","q"]}"#, &[(User, Plain, "p"), (User, Plain, "q")]),
    ("tokens", r#"{"prompt":[1,2],"input":[[1],[2]]}"#, &[]),
    ("embeddings", r#"{"input":["a","b"]}"#, &[(User, Plain, "a"), (User, Plain, "b")]),
    (
        "moderations",
        r#"{"input":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"u"}}]}"#,
        &[(User, Plain, "a")],
    ),
    (
        "responses",
        r#"{"instructions":"i","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"function_call","name":"f","arguments":"{}","call_id":"c"},{"type":"function_call_output","call_id":"c","output":"o"},{"type":"function_call_output","output":[{"type":"input_text","text":"p"}]},{"type":"reasoning","summary":[{"type":"summary_text","text":"why"}]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"b","annotations":[]}]}]}"#,
        &[
            (System, Plain, "i"),
            (User, Plain, "a"),
            (Assistant, Arguments, "{}"),
            (Tool, Plain, "o"),
            (Tool, Plain, "p"),
            (Assistant, Reasoning, "why"),
            (Assistant, Plain, "b"),
        ],
    ),
    ("a responses string", r#"{"input":"a"}"#, &[(User, Plain, "a")]),
    ("a stored prompt", r#"{"prompt":{"id":"p","variables":{"city":"Ulm"}}}"#, &[(User, Argument, "Ulm")]),
    (
        "Anthropic",
        r#"{"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"x"},{"type":"tool_use","id":"1","name":"n","input":{"to":["x",{"y":"z"}],"n":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"r"}]},{"type":"tool_result","content":"q"},{"type":"document","title":"h","source":{"type":"text","media_type":"text/plain","data":"d"}},{"type":"image","source":{"type":"base64","data":"AA"}}]}]}"#,
        &[
            (System, Plain, "s"),
            (User, Plain, "a"),
            (Assistant, Signed, "t"),
            (Assistant, Argument, "x"),
            (Assistant, Argument, "z"),
            (Tool, Plain, "r"),
            (Tool, Plain, "q"),
            (User, Plain, "h"),
            (User, Plain, "d"),
        ],
    ),
    (
        "Ollama",
        r#"{"system":"s","prompt":"p","messages":[{"role":"user","content":"a","images":["AA"]},{"role":"assistant","thinking":"t","tool_calls":[{"function":{"name":"f","arguments":{"a":"b"}}}]}]}"#,
        &[
            (System, Plain, "s"),
            (User, Plain, "p"),
            (User, Plain, "a"),
            (Assistant, Reasoning, "t"),
            (Assistant, Argument, "b"),
        ],
    ),
    (
        "Gemini",
        r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"a"},{"inlineData":{"mimeType":"m","data":"AA"}}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{"x":"y"}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"r":"z"}}}]}]}"#,
        &[(System, Plain, "s"), (User, Plain, "a"), (Assistant, Argument, "y"), (Tool, Argument, "z")],
    ),
    (
        "Gemini, one content, other names",
        r#"{"system_instruction":{"parts":{"text":"s"}},"contents":{"parts":[{"function_call":{"args":{"x":"y"}}}]}}"#,
        &[(System, Plain, "s"), (Assistant, Argument, "y")],
    ),
    (
        "hidden names",
        r#"{"Messages":[{"ROLE":"assistant","c\u006fntent":"a"}],"me\u017f\u017fages":"b"}"#,
        &[(Assistant, Plain, "a"), (User, Plain, "b")],
    ),
    (
        "a field twice",
        r#"{"messages":[{"content":"a","content":"b"}],"messages":[{"content":"c"}]}"#,
        &[(User, Plain, "a"), (User, Plain, "b"), (User, Plain, "c")],
    ),
    ("the role comes last", r#"{"messages":[{"content":"a","role":"system"}]}"#, &[(System, Plain, "a")]),
    ("too many blocks in blocks", r#"{"messages":[[[[[[[[[[[[[[[{"type":"a"}]]]]]]]]]]]]]]]}"#, &[(User, Plain, "a")]),
    ("odd shapes", r#"{"messages":{"content":{"text":{"text":"a"}}},"input":null,"system":1}"#, &[(User, Plain, "a")]),
    ("no object", "[1]", &[]),
];

const ANSWERS: &[Case] = &[
    (
        "OpenAI",
        r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"a","refusal":null,"reasoning_content":"r","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"},{"message":{"content":null,"refusal":"no"}}]}"#,
        &[
            (Assistant, Plain, "a"),
            (Assistant, Reasoning, "r"),
            (Assistant, Arguments, "{}"),
            (Assistant, Refusal, "no"),
        ],
    ),
    ("completions", r#"{"choices":[{"text":"a"},{"text":"b"}]}"#, &[(Assistant, Plain, "a"), (Assistant, Plain, "b")]),
    (
        "responses",
        r#"{"object":"response","instructions":"i","output":[{"type":"reasoning","summary":[{"text":"r"}]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"},{"type":"refusal","refusal":"no"}]},{"type":"function_call","arguments":"{}"}]}"#,
        &[
            (Assistant, Given, "i"),
            (Assistant, Reasoning, "r"),
            (Assistant, Plain, "a"),
            (Assistant, Refusal, "no"),
            (Assistant, Arguments, "{}"),
        ],
    ),
    (
        "Anthropic",
        r#"{"type":"message","role":"assistant","content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"a"},{"type":"tool_use","name":"n","input":{"x":"y"}}]}"#,
        &[(Assistant, Signed, "t"), (Assistant, Plain, "a"), (Assistant, Argument, "y")],
    ),
    (
        "Ollama chat",
        r#"{"message":{"role":"assistant","content":"a","tool_calls":[{"function":{"name":"f","arguments":{"x":"y"}}}]},"done":true}"#,
        &[(Assistant, Plain, "a"), (Assistant, Argument, "y")],
    ),
    (
        "Ollama generate",
        r#"{"response":"a","thinking":"t","context":[1],"done":true}"#,
        &[(Assistant, Plain, "a"), (Assistant, Reasoning, "t")],
    ),
    (
        "Gemini",
        r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"t","thought":true},{"text":"a"}]}}]}"#,
        &[(Assistant, Reasoning, "t"), (Assistant, Plain, "a")],
    ),
    (
        "Gemini's array",
        r#"[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},{"candidates":[{"content":{"parts":[{"text":"b"}]}}]}]"#,
        &[(Assistant, Plain, "ab")],
    ),
    ("embeddings", r#"{"data":[{"embedding":[0.1]}]}"#, &[]),
];

fn check(cases: &[Case], read: impl Fn(&[u8]) -> Result<Vec<Passage>, Unreadable>) {
    for (name, body, want) in cases {
        let found = read(body.as_bytes()).unwrap();
        let got: Vec<_> = found.iter().map(|passage| (passage.speaker, passage.kind, passage.text.as_str())).collect();
        assert_eq!(got, *want, "{name}");
        for passage in found {
            let string = |span: &std::ops::Range<usize>| serde_json::from_str::<String>(&body[span.clone()]).unwrap();
            let string: String = std::iter::once(&passage.span).chain(&passage.more).map(string).collect();
            assert_eq!(string, passage.source(), "{name}");
        }
    }
}

#[test]
fn texts_of_requests() {
    check(REQUESTS, passages);
}

#[test]
fn texts_of_answers() {
    check(ANSWERS, answer_passages);
}

#[test]
fn unreadable_bodies() {
    let many = |count: usize| format!(r#"{{"input":["{}"]}}"#, vec!["a"; count].join("\",\""));
    assert_eq!(passages(many(MAX_PASSAGES).as_bytes()).unwrap().len(), MAX_PASSAGES);
    assert_eq!(passages(many(MAX_PASSAGES + 1).as_bytes()), Err(Unreadable::TooMany));
    assert_eq!(passages(b"{"), Err(Unreadable::Json(JsonError::UnexpectedEnd)));
    assert_eq!(passages(b"{}x"), Err(Unreadable::Json(JsonError::Unexpected { at: 2 })));
    let deep = format!(r#"{{"input":{}"#, "[".repeat(200));
    assert_eq!(passages(deep.as_bytes()), Err(Unreadable::Json(JsonError::TooDeep)));
}

#[test]
fn repeated_texts() {
    let body = br#"{"choices":[{"logprobs":null},{"message":{"content":"a"},"logprobs":{"content":[{"token":"a"}]}}]}"#;
    let echoes = echoes(body, true).unwrap();
    let said: Vec<_> = echoes.into_iter().map(|(span, _)| &body[span]).collect();
    assert_eq!(said, [br#"{"content":[{"token":"a"}]}"#]);
}

#[test]
fn splices() {
    let body = br#"{"a":"b","c":"d"}"#;
    let cases: &[(&str, &[(std::ops::Range<usize>, String)], &str)] = &[
        ("none", &[], r#"{"a":"b","c":"d"}"#),
        ("two, out of order", &[(13..16, "\u{1}".into()), (5..8, "é\\".into())], "{\"a\":\"é\\\\\",\"c\":\"\\u0001\"}"),
        ("overlapping", &[(5..8, "x".into()), (7..9, "y".into())], r#"{"a":"x","c":"d"}"#),
        ("outside", &[(5..99, "x".into()), (99..100, "y".into())], r#"{"a":"b","c":"d"}"#),
    ];
    for (name, replacements, want) in cases {
        assert_eq!(String::from_utf8(splice(body, replacements)).unwrap(), *want, "{name}");
    }
}

fn conversation() -> impl Strategy<Value = (Vec<String>, String)> {
    let message = prop_oneof![
        text().prop_map(|text| (text.clone(), serde_json::json!({"role": "user", "content": text}))),
        text().prop_map(|text| (
            text.clone(),
            serde_json::json!({"content": [{"type": "text", "text": text}], "id": "y"})
        )),
    ];
    vec(message, 0..6).prop_map(|messages| {
        let (texts, messages): (Vec<String>, Vec<Value>) = messages.into_iter().unzip();
        let body = serde_json::json!({"n": 1, "messages": messages, "z": [1, {"type": "none"}]});
        (texts, serde_json::to_string_pretty(&body).unwrap())
    })
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn any_bytes_are_read(bytes in prop_oneof![vec(any::<u8>(), 0..80), json_like()]) {
        let found = passages(&bytes).unwrap_or_default();
        prop_assert!(found.iter().all(|passage| passage.span.end <= bytes.len()));
        let _ = answer_passages(&bytes);
    }

    #[test]
    fn positions_of_strings_are_right(body in json_text()) {
        let body = format!(r#"{{"input": {body}, "messages": [{body}]}}"#);
        for passage in passages(body.as_bytes()).unwrap() {
            let string: String = serde_json::from_str(&body[passage.span.clone()]).unwrap();
            prop_assert_eq!(string, passage.source());
        }
    }

    #[test]
    fn spliced_texts_are_read_back((texts, body) in conversation(), new in text()) {
        let found = passages(body.as_bytes()).unwrap();
        let wanted: Vec<&String> = texts.iter().filter(|text| !text.is_empty()).collect();
        prop_assert_eq!(found.iter().map(|passage| passage.source()).collect::<Vec<_>>(), wanted);

        let marked = format!("{new}!");
        let replacements: Vec<_> = found.iter().map(|passage| (passage.span.clone(), marked.clone())).collect();
        let spliced = splice(body.as_bytes(), &replacements);
        let again = passages(&spliced).unwrap();
        prop_assert!(again.iter().all(|passage| passage.source() == marked));
        prop_assert_eq!(again.len(), found.len());
        let back: Vec<_> = again.iter().zip(&found).map(|(new, old)| (new.span.clone(), old.source().to_owned())).collect();
        let back: Value = serde_json::from_slice(&splice(&spliced, &back)).unwrap();
        prop_assert_eq!(back, serde_json::from_str::<Value>(&body).unwrap());
    }
}
