use proptest::collection::vec;
use proptest::prelude::*;
use sluice::endpoint::Endpoint;
use sluice::response_gate::{is_context_length_exceeded, Fault, FirstEvent, Gate, MAX_HELD};

use crate::generate::chunks;

use Endpoint::{ChatCompletions, Completions, Messages, OllamaChat, OllamaGenerate, Responses, StreamGenerateContent};
use Fault::{EmptyStream, ErrorEvent, Garbage, NotAStream};
use Gate::{Commit, Hold, Reject};

const SSE: Option<&str> = Some("text/event-stream");
const NDJSON: Option<&str> = Some("application/x-ndjson");
const JSON: Option<&str> = Some("application/json; charset=UTF-8");

/// Feeds a stream in chunks; `end` comes with the last one. Returns the decision, and the number of bytes before it.
fn watch(endpoint: Endpoint, content_type: Option<&str>, chunks: &[&[u8]], end: bool) -> (Gate, usize) {
    let mut first = match FirstEvent::new(endpoint, content_type) {
        Ok(first) => first,
        Err(fault) => return (Reject(fault), 0),
    };
    let mut seen = 0;
    for (index, chunk) in chunks.iter().enumerate() {
        seen += chunk.len();
        let gate = first.chunk(chunk, end && index + 1 == chunks.len());
        if gate != Hold {
            return (gate, seen);
        }
    }
    (Hold, seen)
}

/// Cuts a stream at every place: the decision is the same, and comes with the same byte.
fn at_every_split(
    name: &str,
    endpoint: Endpoint,
    content_type: Option<&str>,
    bytes: &[u8],
    end: bool,
) -> (Gate, usize) {
    let single: Vec<&[u8]> = if bytes.is_empty() { vec![bytes] } else { bytes.chunks(1).collect() };
    let (want, position) = watch(endpoint, content_type, &single, end);
    for at in 0..=bytes.len() {
        let seen = match position {
            0 => 0, // the header was enough
            _ if want != Hold && position <= at => at,
            _ => bytes.len(),
        };
        let found = watch(endpoint, content_type, &[&bytes[..at], &bytes[at..]], end);
        assert_eq!(found, (want, seen), "{name}: split at {at}");
    }
    (want, position)
}

#[test]
fn committed_streams() {
    let role = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
    let cases: &[(&str, Endpoint, Option<&str>, &str, Gate)] = &[
        ("a role", ChatCompletions, SSE, role, Commit),
        ("text", Completions, SSE, r#"data: {"choices":[{"text":"a"}]}"#, Commit),
        ("several lines of data", ChatCompletions, SSE, "id: 1\ndata: {\"choices\":\ndata: [{}]}", Commit),
        ("another spelling of the type", ChatCompletions, Some("Text/Event-Stream;charset=utf-8"), role, Commit),
        ("no type", ChatCompletions, None, role, Commit),
        ("an empty type", ChatCompletions, Some(" "), role, Commit),
        ("a comment", ChatCompletions, SSE, ": OPENROUTER PROCESSING", Hold),
        ("a retry line", ChatCompletions, SSE, "retry: 5000", Hold),
        ("an event without data", Messages, SSE, "event: message_start", Hold),
        ("empty data", ChatCompletions, SSE, "data:", Hold),
        ("blank lines", ChatCompletions, SSE, "\n\n\n", Hold),
        ("a comment, then a role", ChatCompletions, SSE, ": ping\n\ndata: {\"choices\":[{}]}", Commit),
        ("a chunk without choices", ChatCompletions, SSE, r#"data: {"choices":[],"prompt_filter_results":[]}"#, Hold),
        ("nothing but usage", ChatCompletions, SSE, r#"data: {"choices":[],"usage":{"prompt_tokens":1}}"#, Hold),
        ("an error", ChatCompletions, SSE, r#"data: {"error":{"message":"m"}}"#, Reject(ErrorEvent)),
        ("an error after a comment", ChatCompletions, SSE, ": ping\n\ndata: {\"error\":\"m\"}", Reject(ErrorEvent)),
        ("an error by its name", ChatCompletions, SSE, "event: error\ndata: overloaded", Reject(ErrorEvent)),
        ("a flat error", ChatCompletions, SSE, r#"data: {"object":"error","message":"m"}"#, Reject(ErrorEvent)),
        ("an error that is null", ChatCompletions, SSE, r#"data: {"error":null,"choices":[{}]}"#, Commit),
        ("the end", ChatCompletions, SSE, "data: [DONE]", Reject(EmptyStream)),
        ("the end and white space", ChatCompletions, SSE, "data: [DONE] ", Reject(EmptyStream)),
        ("garbage", ChatCompletions, SSE, "data: Internal Server Error", Reject(Garbage)),
        ("half JSON", ChatCompletions, SSE, "data: {\"choices\":[", Reject(Garbage)),
        ("no object", ChatCompletions, SSE, "data: 5", Reject(Garbage)),
        ("a web page", ChatCompletions, Some("text/html"), "", Reject(NotAStream)),
        ("a web page that says it is a stream", ChatCompletions, SSE, "<html>", Reject(NotAStream)),
        ("a web page of no type", ChatCompletions, None, " <html>", Reject(NotAStream)),
        ("JSON", ChatCompletions, JSON, "{}", Reject(NotAStream)),
        ("JSON that says it is a stream", Messages, SSE, "\n {\"error\":{}}", Reject(NotAStream)),
        ("JSON of no type", Responses, None, "{\"error\":{}}", Reject(NotAStream)),
        ("lines of JSON", ChatCompletions, NDJSON, "{}", Reject(NotAStream)),
        ("a message", Messages, SSE, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}", Hold),
        ("a ping", Messages, SSE, "event: ping\ndata: {\"type\": \"ping\"}", Hold),
        ("a ping by its name", Messages, SSE, "event: ping\ndata: {}", Hold),
        (
            "a message that fails",
            Messages,
            SSE,
            "data: {\"type\":\"message_start\"}\n\ndata: {\"type\":\"ping\"}\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}",
            Reject(ErrorEvent),
        ),
        (
            "a message that begins",
            Messages,
            SSE,
            "data: {\"type\":\"message_start\"}\n\ndata: {\"type\":\"content_block_start\",\"index\":0}",
            Commit,
        ),
        ("a message of nothing", Messages, SSE, "data: {\"type\":\"message_start\"}\n\ndata: {\"type\":\"message_stop\"}", Commit),
        ("a response", Responses, SSE, "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"error\":null}}", Hold),
        ("a response in progress", Responses, SSE, r#"data: {"type":"response.in_progress"}"#, Hold),
        ("a response in a queue", Responses, SSE, r#"data: {"type":"response.queued"}"#, Hold),
        ("a response that begins", Responses, SSE, r#"data: {"type":"response.output_item.added"}"#, Commit),
        ("a response that is complete", Responses, SSE, r#"data: {"type":"response.completed","response":{"error":null}}"#, Commit),
        ("a response that is incomplete", Responses, SSE, r#"data: {"type":"response.incomplete"}"#, Commit),
        (
            "a response that fails",
            Responses,
            SSE,
            "data: {\"type\":\"response.created\"}\n\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{}}}",
            Reject(ErrorEvent),
        ),
        ("a response's error", Responses, SSE, r#"data: {"type":"error","code":"server_error","message":"m"}"#, Reject(ErrorEvent)),
        ("Gemini's events", StreamGenerateContent, SSE, r#"data: {"candidates":[{"content":{}}]}"#, Commit),
        ("Gemini's events of no type", StreamGenerateContent, None, r#"data: {"candidates":[{}]}"#, Commit),
        ("a blocked prompt", StreamGenerateContent, SSE, r#"data: {"promptFeedback":{"blockReason":"SAFETY"}}"#, Commit),
        ("Gemini's error event", StreamGenerateContent, SSE, r#"data: {"error":{"code":503}}"#, Reject(ErrorEvent)),
        ("an array where events are due", StreamGenerateContent, SSE, "[{}]", Reject(NotAStream)),
        ("events where an array is due", StreamGenerateContent, JSON, r#"data: {"candidates":[{}]}"#, Commit),
        ("events of another type", ChatCompletions, NDJSON, r#"data: {"choices":[{}]}"#, Commit),
        ("events of plain text", Messages, Some("text/plain"), r#"data: {"type":"content_block_start"}"#, Commit),
        ("null first", ChatCompletions, SSE, "data: null\n\ndata: {}", Hold),
        ("null, then a role", ChatCompletions, SSE, "data: null\n\ndata: {\"choices\":[{}]}", Commit),
        ("an empty object, then a role", ChatCompletions, SSE, "data: {}\n\ndata: {\"choices\":[{}]}", Commit),
        ("an empty object, then a message", Messages, SSE, "data: {}\n\ndata: {\"type\":\"content_block_start\"}", Commit),
        ("null, then a response", Responses, SSE, "data: null\n\ndata: {\"type\":\"response.output_item.added\"}", Commit),
        ("null, then Gemini's", StreamGenerateContent, SSE, "data: null\n\ndata: {\"candidates\":[{}]}", Commit),
        ("null, then an error", ChatCompletions, SSE, "data: null\n\ndata: {\"error\":{}}", Reject(ErrorEvent)),
        ("a message's events of another type", Messages, NDJSON, r#"data: {"type":"content_block_start"}"#, Commit),
        ("Gemini's events of plain text", StreamGenerateContent, Some("text/plain"), r#"data: {"candidates":[{}]}"#, Commit),
        ("events of JSON", ChatCompletions, JSON, r#"data: {"choices":[{}]}"#, Commit),
        ("events of bytes", Responses, Some("application/octet-stream"), r#"data: {"type":"response.output_item.added"}"#, Commit),
        ("Gemini's lines", StreamGenerateContent, NDJSON, "{}", Reject(NotAStream)),
    ];
    for (name, endpoint, content_type, text, want) in cases {
        for (way, line_end, bom) in
            [("LF", "\n", ""), ("CRLF", "\r\n", ""), ("CR", "\r", ""), ("BOM", "\n", "\u{feff}")]
        {
            let text = format!("{bom}{}{}", text.replace('\n', line_end), line_end.repeat(2));
            let name = format!("{name}, {way}");
            assert_eq!(at_every_split(&name, *endpoint, *content_type, text.as_bytes(), false).0, *want, "{name}");
        }
    }
}

#[test]
fn committed_lines_and_arrays() {
    let cases: &[(&str, Endpoint, Option<&str>, &str, Gate)] = &[
        ("a line", OllamaChat, NDJSON, "{\"message\":{\"content\":\"a\"},\"done\":false}\n", Commit),
        ("a line, CRLF", OllamaGenerate, NDJSON, "\r\n{\"response\":\"a\"}\r\n", Commit),
        ("a line said to be JSON", OllamaGenerate, Some("application/json"), "{\"response\":\"a\"}\n", Commit),
        ("a line of no type", OllamaGenerate, None, "{\"response\":\"a\"}\n", Commit),
        ("the last line", OllamaGenerate, NDJSON, "{\"done\":true,\"done_reason\":\"load\"}\n", Commit),
        ("half a line", OllamaGenerate, NDJSON, "{\"response\":\"a\"}", Hold),
        ("null first", OllamaChat, NDJSON, "null\n{}\n", Hold),
        ("null, then a line", OllamaChat, NDJSON, "null\n{\"message\":{\"content\":\"a\"}}\n", Commit),
        ("an empty object, then a line", OllamaGenerate, NDJSON, "{}\n{\"response\":\"a\"}\n", Commit),
        (
            "Ollama's error",
            OllamaChat,
            NDJSON,
            "{\"error\":\"llama runner process has terminated\"}\n",
            Reject(ErrorEvent),
        ),
        ("half JSON in a line", OllamaChat, NDJSON, "{\"message\":\n", Reject(Garbage)),
        ("Ollama's events", OllamaChat, SSE, "data: {}\n\n", Reject(NotAStream)),
        ("no line", OllamaChat, JSON, "[{}]\n", Reject(NotAStream)),
        ("text", OllamaChat, Some("text/plain"), "", Hold),
        ("an array", StreamGenerateContent, JSON, "[{\"candidates\":[{\"text\":\"]}\\\"\\\\\"}]}", Commit),
        ("an array of no type", StreamGenerateContent, None, "[ {}", Commit),
        ("white space", StreamGenerateContent, JSON, " \r\n [\n\t{\"candidates\": [{}]}\n", Commit),
        ("half an answer", StreamGenerateContent, JSON, "[{\"candidates\":[{}]", Hold),
        ("half an answer, in a string", StreamGenerateContent, JSON, "[{\"text\":\"}", Hold),
        ("one answer", StreamGenerateContent, JSON, "{\"candidates\":[{}]}", Commit),
        ("an error in an array", StreamGenerateContent, JSON, "[{\"error\":{\"code\":503}}\n]", Reject(ErrorEvent)),
        ("an error alone", StreamGenerateContent, JSON, "{\n\"error\":{}}", Reject(ErrorEvent)),
        ("an empty array", StreamGenerateContent, JSON, "[ ]", Reject(EmptyStream)),
        ("an array of numbers", StreamGenerateContent, JSON, "[1]", Reject(Garbage)),
        ("an array of arrays", StreamGenerateContent, JSON, "[[{}]]", Reject(Garbage)),
        ("brackets that do not match", StreamGenerateContent, JSON, "[{\"a\":[}]", Reject(Garbage)),
        ("a number", StreamGenerateContent, JSON, "5", Reject(NotAStream)),
        ("a web page", StreamGenerateContent, Some("text/html; charset=UTF-8"), "<html>", Reject(NotAStream)),
    ];
    for (name, endpoint, content_type, text, want) in cases {
        assert_eq!(at_every_split(name, *endpoint, *content_type, text.as_bytes(), false).0, *want, "{name}");
    }
}

#[test]
fn failed_streams() {
    let cases: &[(&str, Endpoint, Option<&str>, &str, Gate)] = &[
        ("nothing", ChatCompletions, SSE, "", Reject(EmptyStream)),
        ("nothing of no type", StreamGenerateContent, None, "", Reject(EmptyStream)),
        ("white space", OllamaChat, JSON, " \n", Reject(EmptyStream)),
        ("half a BOM", ChatCompletions, SSE, "\u{feff}", Reject(EmptyStream)),
        ("comments", ChatCompletions, SSE, ": a\n\n: b", Reject(EmptyStream)),
        ("text that is no field", ChatCompletions, SSE, "Internal Server Error", Reject(EmptyStream)),
        ("preliminaries", Messages, SSE, "data: {\"type\":\"message_start\"}\n\n", Reject(EmptyStream)),
        ("an event without its blank line", ChatCompletions, SSE, "data: {\"choices\":[{}]}", Commit),
        ("half an event", ChatCompletions, SSE, "data: {\"choices\":[{", Reject(Garbage)),
        ("an error without its blank line", ChatCompletions, SSE, "data: {\"error\":{}}\n", Reject(ErrorEvent)),
        ("a line without its end", OllamaChat, NDJSON, "{\"done\":true}", Commit),
        ("half a line", OllamaChat, NDJSON, "{\"done\":tr", Reject(Garbage)),
        ("an array", StreamGenerateContent, JSON, "[{}]", Commit),
        ("half an array", StreamGenerateContent, JSON, "[{\"candidates\":", Reject(Garbage)),
        ("a bracket", StreamGenerateContent, JSON, "[", Reject(EmptyStream)),
    ];
    for (name, endpoint, content_type, text, want) in cases {
        assert_eq!(at_every_split(name, *endpoint, *content_type, text.as_bytes(), true).0, *want, "{name}");
        let (gate, _) = watch(*endpoint, *content_type, &[text.as_bytes(), b""], true);
        assert_eq!(gate, *want, "{name}: an empty chunk at the end");
    }
}

#[test]
fn the_hold_is_bounded() {
    let comment = |length: usize| [&b":"[..], &vec![b'x'; length - 3], b"\n\n"].concat();
    let error = b"data: {\"error\":{}}\n\n";
    let large = |length: usize| [&b"data: {\"x\":\""[..], &vec![b'x'; length], b"\"}\n\n"].concat();
    let cases = [
        ("preliminaries", comment(MAX_HELD), Hold),
        ("more preliminaries", [comment(MAX_HELD), b"\n".to_vec()].concat(), Commit),
        ("an error just in time", [&comment(MAX_HELD - error.len())[..], error].concat(), Reject(ErrorEvent)),
        ("an error too late", [&comment(MAX_HELD - error.len() + 1)[..], error].concat(), Commit),
        ("a large event", large(MAX_HELD), Commit),
        ("half a large event", large(2 * MAX_HELD)[..MAX_HELD].to_vec(), Hold),
    ];
    for (name, bytes, want) in cases {
        for size in [1, 1_000, usize::MAX] {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(watch(ChatCompletions, SSE, &chunks, false).0, want, "{name}, chunks of {size}");
        }
    }
    let array = [&b"[{\"x\":\""[..], &vec![b'x'; MAX_HELD]].concat();
    assert_eq!(watch(StreamGenerateContent, JSON, &[&array], false).0, Commit);
}

#[test]
fn labels() {
    let labels = Fault::ALL.map(Fault::label);
    assert_eq!(labels, ["not_a_stream", "error_event", "empty_stream", "garbage"]);
}

#[test]
fn context_length() {
    let yes = [
        ("OpenAI", r#"{"error":{"message":"m","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#),
        ("OpenAI responses", r#"{"error":{"message":"Your input exceeds the context window of this model.","code":null}}"#),
        ("vLLM, flat", r#"{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens","type":"BadRequestError","param":null,"code":400}"#),
        ("vLLM", r#"{"error":{"message":"This model's Maximum Context Length is 4096 tokens.","type":"BadRequestError","code":400}}"#),
        ("vLLM, the prompt", r#"{"error":{"message":"The decoder prompt (length 5000) is longer than the maximum model length of 4096."}}"#),
        ("Anthropic", r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}"#),
        ("Anthropic, max_tokens", r#"{"type":"error","error":{"message":"input length and `max_tokens` exceed context limit: 199211 + 20000 > 200000"}}"#),
        ("Gemini", r#"{"error":{"code":400,"message":"The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#),
        ("Gemini's array", "[{\n\"error\": {\"message\": \"The input token count exceeds the maximum number of tokens allowed (5).\"}}\n]"),
        ("llama.cpp", r#"{"error":{"code":400,"message":"m","type":"exceed_context_size_error","n_ctx":4096}}"#),
        ("Ollama", r#"{"error":"the input length exceeds the context length"}"#),
        ("LiteLLM", r#"{"error":{"message":"litellm.ContextWindowExceededError: m","code":"400"}}"#),
        ("a detail", r#"{"detail":"Input is too long for requested model."}"#),
        ("cut", r#"{"error":{"message":"prompt is too long: 5","type":"#),
    ];
    let no = [
        ("nothing", ""),
        ("no JSON", "<html>prompt is too long"),
        ("an empty object", "{}"),
        ("another code", r#"{"error":{"message":"Unknown parameter.","code":"unknown_parameter"}}"#),
        (
            "too much output",
            r#"{"error":{"message":"max_tokens: 9000 > 8192, which is the maximum allowed number of output tokens"}}"#,
        ),
        ("another field", r#"{"error":{"message":"m","param":"context_length_exceeded"},"x":"prompt is too long"}"#),
        (
            "another size",
            r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#,
        ),
        ("numbers", r#"{"error":{"message":5,"code":null},"code":400}"#),
        ("too deep", r#"{"error":{"error":{"error":{"error":{"message":"prompt is too long"}}}}}"#),
    ];
    for (name, body) in yes {
        assert!(is_context_length_exceeded(body.as_bytes()), "{name}");
    }
    for (name, body) in no {
        assert!(!is_context_length_exceeded(body.as_bytes()), "{name}");
    }
    let far = format!(r#"{{"x":"{}","error":{{"code":"context_length_exceeded"}}}}"#, "x".repeat(64 * 1024));
    assert!(!is_context_length_exceeded(far.as_bytes()), "beyond what is read");
}

fn stream_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"data: "[..],
        b"event: ping\n",
        b"event: error\n",
        b": c\n\n",
        b"{\"type\":\"message_start\"}",
        b"{\"choices\":[{}]}",
        b"{\"choices\":[],\"usage\":{}}",
        b"{\"error\":{}}",
        b"[DONE]",
        b"[",
        b"]",
        b"{\"a\":\"\\\"}\"",
        b"}",
        b"\n",
        b"\n\n",
        b"\r\n\r\n",
        b"\r",
        b"\xef\xbb\xbf",
        b"\xff",
        b" ",
    ]);
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(crate::cases(512))]

    #[test]
    fn cuts_change_no_decision(
        bytes in prop_oneof![4 => stream_like(), 1 => vec(any::<u8>(), 0..80)],
        lengths in vec(0..12usize, 0..10),
        endpoint in prop::sample::select(vec![ChatCompletions, Messages, Responses, OllamaChat, StreamGenerateContent]),
        content_type in prop::sample::select(vec![SSE, NDJSON, JSON, None]),
        end in any::<bool>(),
    ) {
        let (want, position) = at_every_split("any", endpoint, content_type, &bytes, end);
        let (gate, seen) = watch(endpoint, content_type, &chunks(&bytes, &lengths), end);
        prop_assert_eq!(gate, want);
        prop_assert!(seen >= position);
    }

    #[test]
    fn any_bytes_are_searched(body in vec(any::<u8>(), 0..200)) {
        is_context_length_exceeded(&body);
    }
}
