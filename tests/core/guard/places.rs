//! Every place for text, and attempts to hide something there.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use sluice::endpoint::Endpoint;
use sluice::guard::checks::{PassageRewrite, RewriteMode};
use sluice::guard::pii::{Entity, Patterns, Vault};
use sluice::guard::rewriting::{replacements, rewrite_answer, rewrite_request, Restoring};
use sluice::guard::stream::{Limits, Mode, StreamGuard};
use sluice::guard::texts::{answer_passages, field, passages, Passage, FIELDS};
use sluice::usage::Framing;

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn patterns() -> Patterns {
    Patterns::new(Entity::ALL, &[]).unwrap()
}

fn rewrites(found: &[Passage], mode: RewriteMode) -> Vec<Vec<PassageRewrite>> {
    found.iter().map(|passage| vec![PassageRewrite::new(patterns().find(&passage.text), mode)]).collect()
}

/// Requests with `@` somewhere: an address in nested JSON strings replaces it.
const REQUESTS: &[&str] = &[
    r#"{"messages":[{"role":"user","content":"@"}]}"#,
    r#"{"messages":[{"role":"user","content":"x","brand_new":{"deep":[["@"]]}}]}"#,
    r#"{"brand_new":"@","Metadata":{"a":"@","@":"b"},"USER":"@","stop":["x","@"]}"#,
    r#"{"messages":[{"role":"user","name":"x","content":[{"type":"@","id":"@","text":"a"}]}]}"#,
    r#"{"prediction":{"type":"content","content":[{"type":"text","text":"@"}]},"safety_identifier":"@"}"#,
    r#"{"tools":[{"type":"function","function":{"name":"f","description":"@","parameters":{"type":"object","properties":{"@":{"type":"string","enum":["@"],"const":"@","description":"@"}},"required":["@"]}}}]}"#,
    r#"{"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"properties":{"type":{"default":"@"}}}}}}"#,
    r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"see @","detail":"low"}},{"type":"file","file":{"filename":"@","file_data":"@"}}]}]}"#,
    r#"{"messages":[{"role":"assistant","refusal":"@","audio":{"transcript":"@"},"annotations":[{"url_citation":{"url":"https://x/?q=@","title":"@"}}]}]}"#,
    r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"a\":\"@\",\"b\":{\"@\":[\"@\"]}}"}}]},{"role":"tool","tool_call_id":"1","content":"{\"r\":\"@\"}"}]}"#,
    r#"{"system":[{"type":"text","text":"@","citations":[{"cited_text":"@","document_title":"@"}]}],"metadata":{"user_id":"@"},"stop_sequences":["@"]}"#,
    r#"{"messages":[{"role":"user","content":[{"type":"document","title":"@","context":"@","source":{"type":"text","data":"@"}},{"type":"search_result","source":"@","title":"@","content":[{"type":"text","text":"@"}]}]}]}"#,
    r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"bash_code_execution_result","stdout":"@","stderr":"@"}]}]}]}"#,
    r#"{"tools":[{"name":"t","description":"@","input_schema":{"x":"@"},"input_examples":[{"a":"@"}]}],"mcp_servers":[{"name":"n","url":"see @"}]}"#,
    r#"{"input":[{"type":"shell_call","action":{"commands":["@"],"env":{"A":"@"},"working_directory":"@"}},{"type":"mcp_call","arguments":"{\"a\":\"@\"}","output":"@","error":"@"}]}"#,
    r#"{"input":[{"type":"file_search_call","queries":["@"],"results":[{"filename":"@","text":"@","attributes":{"a":"@"}}]},{"type":"mcp_approval_response","reason":"@"}]}"#,
    r#"{"input":[{"type":"apply_patch_call","operation":{"type":"update_file","path":"@","diff":"@"}},{"type":"code_interpreter_call","code":"@","outputs":[{"type":"logs","logs":"@"}]}]}"#,
    r#"{"text":{"format":{"type":"json_schema","name":"n","description":"@","schema":{"enum":["@"]}}},"prompt":{"id":"p","variables":{"a":"@","b":{"type":"input_text","text":"@"}}}}"#,
    r#"{"contents":[{"parts":[{"functionCall":{"name":"f","args":{"a":{"b":"@"}}}},{"functionResponse":{"name":"f","response":{"r":"{\"s\":\"@\"}"}}},{"fileData":{"displayName":"@","fileUri":"gs://x"}}]}]}"#,
    r#"{"systemInstruction":{"parts":[{"text":"@"}]},"tools":[{"functionDeclarations":[{"name":"f","description":"@","parameters":{"properties":{"a":{"enum":["@"]}}}}]}],"labels":{"a":"@"},"generationConfig":{"stopSequences":["@"],"responseSchema":{"description":"@"}}}"#,
    r#"{"contents":[{"parts":[{"executable_code":{"code":"@"}},{"code_execution_result":{"output":"@"}},{"text":"@","thoughtSignature":"c2ln"}]}]}"#,
    r#"{"model":"m","prompt":"@","suffix":"@","system":"@","template":"@","options":{"stop":["@"]},"format":{"properties":{"a":{"description":"@"}}}}"#,
    r#"{"query":"@","documents":["@",{"text":"@","any":{"deep":"@"}}],"instruction":"@"}"#,
    r#"{"input":["@",{"type":"text","text":"@"}],"instructions":"@","voice":"@","user":"@"}"#,
];

/// The replacement of `@`, as JSON in a string, and the value that must be hidden.
const VALUES: &[(&str, &str)] = &[
    ("jo.public@example.com", "jo.public@example.com"),
    (r"a\njo.public@example.com\tb", "jo.public@example.com"),
    (r"jo.public\u0040example.com", "jo.public@example.com"),
    (r"\u0034111 1111 1111 1111", "4111 1111 1111 1111"),
    (r"ssn\u003a 123-45-6789", "123-45-6789"),
];

fn written(template: &str, value: &str) -> String {
    // in nested JSON, escapes are escaped again
    let mut parts = template.split('@');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let open = out.rfind(r#"{\""#) > out.rfind(r#"}""#) && out.rfind(r#"{\""#).is_some();
        out.push_str(&if open { value.replace('\\', r"\\") } else { value.to_owned() });
        out.push_str(part);
    }
    out
}

/// A text, and the strings in its nested JSON, three levels deep.
fn said(text: &str, depth: u8, out: &mut String) {
    out.push_str(text);
    out.push('\n');
    if let (Ok(value), true) = (serde_json::from_str::<Value>(text), depth < 4) {
        all(&value, depth, out);
    }
}

fn all(value: &Value, depth: u8, out: &mut String) {
    match value {
        Value::String(text) => said(text, depth + 1, out),
        Value::Array(values) => values.iter().for_each(|value| all(value, depth, out)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            out.push_str(name);
            out.push('\n');
            all(value, depth, out);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn hidden_and_back(body: &str, secret: &str) {
    let found = passages(body.as_bytes()).unwrap();
    let mut vault = Vault::default();
    let rewrites = rewrites(&found, RewriteMode::Restore);
    let sent = String::from_utf8(rewrite_request(body.as_bytes(), &found, &rewrites, &mut vault).unwrap()).unwrap();
    let mut told = String::new();
    said(&sent, 0, &mut told);
    assert!(!told.contains(secret), "{body}\n{sent}");
    let parsed: Value = serde_json::from_str(&sent).expect(&sent);
    let restored: Value = serde_json::from_str(&vault.restore(&sent)).unwrap();
    assert_eq!(opened(restored), opened(serde_json::from_str(body).unwrap()), "{parsed}");
}

/// Parses JSON in strings, because the form of its escapes does not matter.
fn opened(value: Value) -> Value {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(&text) {
            Ok(inner) if inner.is_object() || inner.is_array() => opened(inner),
            _ => Value::String(text),
        },
        Value::Array(values) => values.into_iter().map(opened).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, opened(value))).collect(),
        other => other,
    }
}

#[test]
fn requests_are_hidden_and_answers_restored() {
    for template in REQUESTS {
        for (value, secret) in VALUES {
            hidden_and_back(&written(template, value), secret);
        }
    }
}

proptest! {
    #![proptest_config(crate::cases(2000))]

    #[test]
    fn generated_requests(
        template in 0..REQUESTS.len(),
        value in 0..VALUES.len(),
        before in prop::sample::select(vec!["", "é🙂 ", "<", "a & b ", "x, ", "&lt;", "to: "]),
        after in prop::sample::select(vec!["", " ", ", x", "; <b>", "!", "\u{20ac}"]),
    ) {
        let (value, secret) = VALUES[value];
        let value = format!("{before}{value}{after}");
        hidden_and_back(&written(REQUESTS[template], &value), secret);
    }
}

#[test]
fn data_that_is_not_text_stays() {
    for body in [
        r#"{"model":"gpt-4o-2024-08-06","messages":[{"role":"tool","tool_call_id":"123-45-6789","content":"a"}]}"#,
        r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://10.0.0.1/a?to=jo@example.com"}}]}]}"#,
        r#"{"messages":[{"content":[{"type":"redacted_thinking","data":"jo@example.com"}]}],"x":{"signature":"jo@example.com"}}"#,
        r#"{"tools":[{"type":"mcp","headers":{"x":"jo@example.com"},"authorization":"Bearer jo@example.com"}]}"#,
        r#"{"input":[{"type":"input_file","file_data":"data:application/pdf;base64,AAAA4111111111111111"}]}"#,
        r#"{"input":[{"type":"reasoning","encrypted_content":"jo@example.com","summary":[]}]}"#,
    ] {
        let found = passages(body.as_bytes()).unwrap();
        let rewrites = rewrites(&found, RewriteMode::Mask);
        let sent = rewrite_request(body.as_bytes(), &found, &rewrites, &mut Vault::default()).unwrap();
        assert_eq!(String::from_utf8(sent).unwrap(), body);
    }
}

#[test]
fn names_have_no_brackets() {
    let body = r#"{"tools":[{"name":"f-123-45-6789"}],"messages":[{"name":"jo@example.com","content":"a"}]}"#;
    let found = passages(body.as_bytes()).unwrap();
    let mut vault = Vault::default();
    let rewrites = rewrites(&found, RewriteMode::Restore);
    let sent = rewrite_request(body.as_bytes(), &found, &rewrites, &mut vault).unwrap();
    let want = r#"{"tools":[{"name":"f-US_SSN_1"}],"messages":[{"name":"EMAIL_ADDRESS_1","content":"a"}]}"#;
    assert_eq!(String::from_utf8(sent).unwrap(), want);
    let answer = br#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f-US_SSN_1","args":{}}}]}}]}"#;
    let found = answer_passages(answer).unwrap();
    let shown = String::from_utf8(rewrite_answer(answer, &found, &[], &vault)).unwrap();
    assert!(shown.contains(r#""name":"f-123-45-6789""#), "{shown}");
    assert_eq!((vault.restore_name("get_US_SSN_1"), vault.restore_name("x")), ("get_US_SSN_1".into(), "x".into()));
}

#[test]
fn lists_in_schemas_match_its_properties() {
    let schema = r#"{"type":"object","properties":{"for jo@example.com":{"type":"string"}},"required":["for jo@example.com","plain"],"propertyOrdering":["for jo@example.com"]}"#;
    for field in ["format", "responseSchema", "response_format", "tools"] {
        let body = format!(r#"{{"{field}":{schema}}}"#);
        let found = passages(body.as_bytes()).unwrap();
        let rewrites = rewrites(&found, RewriteMode::Restore);
        let sent = rewrite_request(body.as_bytes(), &found, &rewrites, &mut Vault::default()).unwrap();
        let want = body.replace("jo@example.com", "<EMAIL_ADDRESS_1>");
        assert_eq!(String::from_utf8(sent).unwrap(), want, "providers compare the names");
    }
}

/// Streams of function calls with a name to mask.
const NAMED: &[(Endpoint, &str)] = &[
    (
        Endpoint::ChatCompletions,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"f-123-45-6789","arguments":""}}]}}]}"#,
    ),
    (
        Endpoint::Messages,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"1","name":"f-123-45-6789","input":{}}}"#,
    ),
    (
        Endpoint::Responses,
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","name":"f-123-45-6789","arguments":""}}"#,
    ),
    (
        Endpoint::StreamGenerateContent,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f-123-45-6789","args":{}}}]}}]}"#,
    ),
    (
        Endpoint::OllamaChat,
        r#"{"message":{"tool_calls":[{"function":{"name":"f-123-45-6789","arguments":{}}}]},"done":false}"#,
    ),
];

#[test]
fn masked_names_have_no_brackets_in_streams() {
    for (endpoint, event) in NAMED {
        let shown = masked(*endpoint, &[event], usize::MAX);
        assert!(shown.contains(r#""name":"f-US_SSN""#), "{endpoint:?}: {shown}");
    }
}

#[test]
fn values_of_the_application_are_numbered_first() {
    let body = r#"{"messages":[{"content":"jo@example.com"}],"tools":[{"description":"me@example.com"}]}"#;
    let found = passages(body.as_bytes()).unwrap();
    let rewrites = rewrites(&found, RewriteMode::Restore);
    let sent = rewrite_request(body.as_bytes(), &found, &rewrites, &mut Vault::default()).unwrap();
    let want = r#"{"messages":[{"content":"<EMAIL_ADDRESS_2>"}],"tools":[{"description":"<EMAIL_ADDRESS_1>"}]}"#;
    assert_eq!(String::from_utf8(sent).unwrap(), want);
}

/// Streams with a value in pieces, and the expected output.
const STREAMS: &[(Endpoint, &[&str], &[&str])] = &[
    (
        Endpoint::ChatCompletions,
        &[
            r#"{"choices":[{"index":0,"delta":{"content":"Hi. ","brand_new":"jo@exam"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"You.","brand_new":"ple.com"}}]}"#,
        ],
        &["jo@exam", "ple.com"],
    ),
    (
        Endpoint::ChatCompletions,
        &[
            r#"{"choices":[{"index":0,"delta":{"content":"jo@example.com"},"logprobs":{"content":[{"token":"jo@example.com"}]}}],"brand_new":"see jo@example.com"}"#,
        ],
        &["jo@example.com"],
    ),
    (
        Endpoint::Messages,
        &[
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":\"x\\njo\\u00"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"40example.com\"}"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"cited_text":"jo@example.com","title":"jo@example.com"}}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
        ],
        &["40example", "jo@example.com"],
    ),
    (
        Endpoint::Responses,
        &[
            r#"{"type":"response.output_text.delta","output_index":0,"delta":"jo@example"}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"delta":".com","logprobs":[{"token":".com"}]}"#,
            r#"{"type":"response.output_text.done","output_index":0,"text":"jo@example.com"}"#,
            r#"{"type":"response.output_text.annotation.added","output_index":0,"annotation":{"type":"url_citation","url":"https://x/?q=jo@example.com","title":"jo@example.com"}}"#,
            r#"{"type":"response.mcp_call.completed","item":{"type":"mcp_call","output":"jo@example.com"}}"#,
        ],
        &["jo@example"],
    ),
    (
        Endpoint::StreamGenerateContent,
        &[
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":["jo@example.com"]}}}]},"groundingMetadata":{"webSearchQueries":["jo@example.com"],"groundingChunks":[{"web":{"title":"jo@example.com","uri":"https://jo@example.com"}}]},"finishMessage":"jo@example.com"}]}"#,
        ],
        &["jo@example.com"],
    ),
];

/// The output of a stream in chunks of this size.
fn masked(endpoint: Endpoint, events: &[&str], size: usize) -> String {
    let framing = if endpoint == Endpoint::OllamaChat { Framing::Ndjson } else { Framing::Sse };
    let data = if framing == Framing::Sse { ("data: ", "\n\n") } else { ("", "\n") };
    let stream: String = events.iter().map(|event| [data.0, event, data.1].concat()).collect();
    let mut guard = StreamGuard::new(endpoint, framing, Mode::Window, Limits::default());
    let mut out = Vec::new();
    let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size.min(stream.len())).collect();
    for (index, chunk) in chunks.iter().enumerate() {
        out.extend(guard.chunk(chunk, index + 1 == chunks.len(), NOW));
        while let Some(window) = guard.ready() {
            let rewrites = [PassageRewrite::new(patterns().find(&window.text), RewriteMode::Mask)];
            let replaced = replacements(&window.text, window.flow.kind, &rewrites, &mut Vault::default()).unwrap();
            out.extend(guard.release(window.id, &replaced));
        }
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn no_value_passes_in_streams() {
    for (endpoint, events, gone) in STREAMS {
        for size in [1, 5, usize::MAX] {
            let shown = masked(*endpoint, events, size);
            assert!(gone.iter().all(|piece| !shown.contains(piece)), "{endpoint:?}: {shown}");
            for event in shown.split("\n\n").filter_map(|event| event.strip_prefix("data: ")) {
                serde_json::from_str::<Value>(event).expect(event);
            }
        }
    }
}

/// Gemini's stream without `alt=sse` is one array: a value or a placeholder may span several of its answers.
#[test]
fn pieces_in_an_array_are_one_text() {
    let mut vault = Vault::default();
    vault.hide("me@example.com", &patterns().find("me@example.com")).unwrap();
    let piece = |text: &str| {
        format!(
            r#"{{"candidates":[{{"index":0,"content":{{"parts":[{{"text":"{text}"}}]}}}},{{"index":1,"content":{{"parts":[{{"text":"x"}}]}}}}]}}"#
        )
    };
    let call =
        r#"{"candidates":[{"index":0,"content":{"parts":[{"functionCall":{"name":"f","args":{"a":"x","b":"y"}}}]}}]}"#;
    let pieces = ["To jo@exam", "ple.com: <EM", "AIL_ADD", "RESS_1", ">."];
    let body = format!("[{},\r\n{call}]", pieces.map(piece).join(",\r\n"));
    let found = answer_passages(body.as_bytes()).unwrap();
    let rewrites = rewrites(&found, RewriteMode::Mask);
    let shown = rewrite_answer(body.as_bytes(), &found, &rewrites, &vault);
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    let said = |candidate: usize| -> String {
        let text =
            |event: &Value| event["candidates"][candidate]["content"]["parts"][0]["text"].as_str().map(str::to_owned);
        shown.as_array().unwrap().iter().filter_map(text).collect()
    };
    assert_eq!((said(0).as_str(), said(1).as_str()), ("To <EMAIL_ADDRESS>: me@example.com.", "xxxxx"));
    assert_eq!(shown[5]["candidates"][0]["content"]["parts"][0]["functionCall"]["args"]["b"], "y");
    // text without findings stays, byte for byte
    let plain = body.replace('@', "-").replace("<EM", "<em ");
    let found = answer_passages(plain.as_bytes()).unwrap();
    assert_eq!(rewrite_answer(plain.as_bytes(), &found, &[], &vault), plain.as_bytes());
}

/// The parts of the request that an answer repeats are restored, and not checked.
#[test]
fn repeated_parts_of_the_request() {
    let mut vault = Vault::default();
    vault.hide("jo@example.com", &patterns().find("jo@example.com")).unwrap();
    let event = r#"{"type":"response.created","response":{"id":"r","instructions":"To <EMAIL_ADDRESS_1>","tools":[{"name":"f","description":"<EMAIL_ADDRESS_1>"}],"metadata":{"a":"<EMAIL_ADDRESS_1>"},"output":[]}}"#;
    let guard = StreamGuard::new(Endpoint::Responses, Framing::Sse, Mode::Window, Limits::default());
    let mut guard = guard.with_rewrite(Box::new(Restoring::new(vault)));
    let shown = guard.chunk(format!("data: {event}\n\n").as_bytes(), true, NOW);
    assert!(guard.ready().is_none(), "nothing is to be checked");
    let want = event.replace("<EMAIL_ADDRESS_1>", "jo@example.com");
    assert_eq!(String::from_utf8(shown).unwrap(), format!("data: {want}\n\n"));
}

#[test]
fn the_table_has_each_name_once() {
    let names: Vec<&str> = FIELDS.iter().flat_map(|(_, names)| names.split_whitespace()).collect();
    for name in &names {
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        assert!(field(name).is_some() && !name.contains('_') && name.to_lowercase() == **name, "{name}");
    }
}

/// The manual names an unchecked field of each kind, and no checked one.
#[test]
fn the_manual_lists_unchecked_fields() {
    let manual = include_str!("../../../docs/guard.md");
    let table = manual.split("Not checked are:").nth(1).unwrap().split("\n\n").nth(1).unwrap();
    for row in table.lines().skip(2).filter(|row| !row.starts_with("| tokens")) {
        for name in row.split('|').nth(2).unwrap().split('`').skip(1).step_by(2) {
            let folded = name.replace('_', "").to_lowercase();
            assert!(field(&folded).is_some_and(|field| !field.is_checked()), "{name}");
        }
    }
}
