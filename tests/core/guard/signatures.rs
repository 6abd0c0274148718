//! Signatures and encrypted reasoning pass unchanged, in requests, answers and streams, whatever they contain; the text
//! beside them is rewritten like other text.

use std::time::Duration;

use serde_json::Value;
use sluice::endpoint::Endpoint;
use sluice::guard::checks::{PassageRewrite, RewriteMode};
use sluice::guard::pii::{Entity, Patterns, Vault};
use sluice::guard::rewriting::{replacements, rewrite_answer, rewrite_request, Restoring};
use sluice::guard::stream::{Limits, Mode, StreamGuard};
use sluice::guard::texts::{answer_passages, passages, Passage};
use sluice::usage::Framing;

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn rewrites_of(text: &str, mode: RewriteMode) -> Vec<PassageRewrite> {
    vec![PassageRewrite::new(Patterns::new(Entity::ALL, &[]).unwrap().find(text), mode)]
}

fn rewrites(found: &[Passage], mode: RewriteMode) -> Vec<Vec<PassageRewrite>> {
    found.iter().map(|passage| rewrites_of(&passage.text, mode)).collect()
}

/// A request, with its values hidden.
fn hidden(body: &str, vault: &mut Vault) -> String {
    let found = passages(body.as_bytes()).unwrap();
    let rewrites = rewrites(&found, RewriteMode::Restore);
    String::from_utf8(rewrite_request(body.as_bytes(), &found, &rewrites, vault).unwrap()).unwrap()
}

/// An answer: new values are masked, and placeholders restored.
fn shown(body: &str, vault: &Vault) -> String {
    let found = answer_passages(body.as_bytes()).unwrap();
    String::from_utf8(rewrite_answer(body.as_bytes(), &found, &rewrites(&found, RewriteMode::Mask), vault)).unwrap()
}

fn vault() -> Vault {
    let mut vault = Vault::default();
    hidden(r#"{"input":"jo@example.com"}"#, &mut vault);
    vault
}

/// Requests with `$` in what is signed, and `@` in what is not.
const REQUESTS: &[&str] = &[
    r#"{"contents":[{"role":"model","parts":[{"text":"@","thoughtSignature":"$"}]}]}"#,
    r#"{"contents":[{"role":"model","parts":[{"text":"@","thought_signature":"$"}]}]}"#,
    r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{"to":"@"}},"thoughtSignature":"$"}]}]}"#,
    r#"{"contents":[{"role":"model","parts":[{"thoughtSignature":"$","functionCall":{"args":{"to":"@"}}},{"text":"@"}]}]}"#,
    r#"{"messages":[{"role":"assistant","content":[{"type":"redacted_thinking","data":"$"},{"type":"text","text":"@"}]}]}"#,
    r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"$","signature":"$"},{"type":"tool_use","input":{"to":"@"}}]}]}"#,
    r#"{"input":[{"type":"reasoning","encrypted_content":"$","summary":[{"type":"summary_text","text":"@"}]},{"role":"user","content":"@"}]}"#,
    r#"{"input":[{"type":"compaction","encrypted_content":"$"},{"type":"function_call_output","output":"@"}]}"#,
    r#"{"messages":[{"role":"assistant","content":"@","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"$"}}}]}]}"#,
];

#[test]
fn in_requests() {
    for template in REQUESTS {
        let body = template.replace(['$', '@'], "jo@example.com");
        let want = template.replace('$', "jo@example.com").replace('@', "<EMAIL_ADDRESS_1>");
        let want = want.replace("jo<EMAIL_ADDRESS_1>example.com", "jo@example.com");
        assert_eq!(hidden(&body, &mut Vault::default()), want);
    }
}

/// Answers, as above.
const ANSWERS: &[&str] = &[
    r#"{"candidates":[{"content":{"parts":[{"text":"@","thoughtSignature":"$"}]}}]}"#,
    r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"to":"@"}},"thoughtSignature":"$"}]}}]}"#,
    r#"[{"candidates":[{"content":{"parts":[{"thoughtSignature":"$","text":"@ "}]}}]}]"#,
    r#"{"type":"message","content":[{"type":"redacted_thinking","data":"$"},{"type":"text","text":"@"}]}"#,
    r#"{"type":"message","content":[{"type":"thinking","thinking":"$","signature":"$"},{"type":"tool_use","input":{"to":"@"}}]}"#,
    r#"{"object":"response","output":[{"type":"reasoning","encrypted_content":"$","summary":[{"type":"summary_text","text":"@"}]},{"type":"message","content":[{"type":"output_text","text":"@"}]}]}"#,
    r#"{"choices":[{"message":{"content":"@","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"$"}}}]}}]}"#,
];

#[test]
fn in_answers() {
    for template in ANSWERS {
        let of = |open: &str, signed: &str| template.replace('@', open).replace('$', signed);
        for signed in ["<EMAIL_ADDRESS_1>", "4111 1111 1111 1111"] {
            let restored = shown(&of("<EMAIL_ADDRESS_1>", signed), &vault());
            assert_eq!(restored, of("jo@example.com", signed));
            let masked = shown(&of("4111 1111 1111 1111", signed), &vault());
            assert_eq!(masked, of("<CREDIT_CARD>", signed));
        }
    }
}

/// Streams, as above; their texts end within the event.
const STREAMS: &[(Endpoint, &[&str])] = &[
    (
        Endpoint::StreamGenerateContent,
        &[
            r#"{"candidates":[{"content":{"parts":[{"text":"@ ","thoughtSignature":"$"}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"to":"@"}},"thoughtSignature":"$"}]}}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"$"}]},"finishReason":"STOP"}]}"#,
        ],
    ),
    (
        Endpoint::Responses,
        &[
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","encrypted_content":"$","summary":[]}}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","encrypted_content":"$","summary":[{"type":"summary_text","text":"@"}]}}"#,
            r#"{"type":"response.completed","response":{"output":[{"type":"reasoning","encrypted_content":"$","summary":[]},{"type":"message","content":[{"type":"output_text","text":"@"}]}]}}"#,
        ],
    ),
    (
        Endpoint::ChatCompletions,
        &[
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"{\"to\":\"@\"}"},"extra_content":{"google":{"thought_signature":"$"}}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        ],
    ),
    (
        Endpoint::Messages,
        &[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"$"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"signature_delta","signature":"$"}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"@ "}}"#,
            r#"{"type":"content_block_stop","index":2}"#,
            r#"{"type":"message_stop"}"#,
        ],
    ),
];

/// What the client reads, in chunks of this size.
fn streamed(endpoint: Endpoint, events: &[String], size: usize) -> Vec<Value> {
    let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let guard = StreamGuard::new(endpoint, Framing::Sse, Mode::Window, Limits::default());
    let mut guard = guard.with_rewrite(Box::new(Restoring::new(vault())));
    let mut out = Vec::new();
    let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size.min(stream.len())).collect();
    for (index, chunk) in chunks.iter().enumerate() {
        out.extend(guard.chunk(chunk, index + 1 == chunks.len(), NOW));
        while let Some(window) = guard.ready() {
            let rewrites = rewrites_of(&window.text, RewriteMode::Mask);
            let found = replacements(&window.text, window.flow.kind, &rewrites, &mut Vault::default()).unwrap();
            out.extend(guard.release(window.id, &found));
        }
    }
    let shown = String::from_utf8(out).unwrap();
    shown
        .split_terminator("\n\n")
        .map(|event| serde_json::from_str(event.trim_start_matches("data: ")).unwrap())
        .collect()
}

#[test]
fn in_streams() {
    for (endpoint, templates) in STREAMS {
        let of = |open: &str, signed: &str| -> Vec<String> {
            templates.iter().map(|template| template.replace('@', open).replace('$', signed)).collect()
        };
        for signed in ["<EMAIL_ADDRESS_1>", "4111 1111 1111 1111"] {
            for (wrote, want) in [("<EMAIL_ADDRESS_1>", "jo@example.com"), ("4111 1111 1111 1111", "<CREDIT_CARD>")] {
                let want: Vec<Value> =
                    of(want, signed).iter().map(|event| serde_json::from_str(event).unwrap()).collect();
                for size in [1, 7, 100, usize::MAX] {
                    assert_eq!(streamed(*endpoint, &of(wrote, signed), size), want, "{endpoint:?}, {size}");
                }
            }
        }
    }
}

/// A conversation with Gemini: what is beside a signature has the same placeholder in each turn.
#[test]
fn the_same_placeholder_on_the_way_back() {
    let first = r#"{"contents":[{"role":"user","parts":[{"text":"I am jo@example.com, not me@example.com"}]}]}"#;
    let mut vault = Vault::default();
    hidden(first, &mut vault);
    let parts = r#"[{"text":"Hi jo@example.com","thoughtSignature":"c2ln"},{"functionCall":{"name":"f","args":{"to":"me@example.com"}},"thoughtSignature":"c2ln"}]"#;
    let wrote = parts.replace("jo@example.com", "<EMAIL_ADDRESS_1>").replace("me@example.com", "<EMAIL_ADDRESS_2>");
    let answer = |parts: &str| format!(r#"{{"candidates":[{{"content":{{"role":"model","parts":{parts}}}}}]}}"#);
    assert_eq!(shown(&answer(&wrote), &vault), answer(parts));
    let second = |first: &str, parts: &str| {
        first.replace("}]}]}", &format!("}}]}},{{\"role\":\"model\",\"parts\":{parts}}}]}}"))
    };
    let sent = hidden(&second(first, parts), &mut Vault::default());
    let hidden = first.replace("jo@example.com", "<EMAIL_ADDRESS_1>").replace("me@example.com", "<EMAIL_ADDRESS_2>");
    assert_eq!(sent, second(&hidden, &wrote));
}
